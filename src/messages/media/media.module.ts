import { Module } from '@nestjs/common';

/** Files that messages carry. */
@Module({})
export class MediaModule {}
