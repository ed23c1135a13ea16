import { Module } from '@nestjs/common';

/** Rules that answer people by themselves. */
@Module({})
export class AutoRepliesModule {}
