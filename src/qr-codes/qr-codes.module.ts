import { Module } from '@nestjs/common';

/** Channel codes: who came by which of them. */
@Module({})
export class QrCodesModule {}
