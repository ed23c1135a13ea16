import { Module } from '@nestjs/common';

/** The templates that accounts have chosen at WeChat. */
@Module({})
export class TemplatesModule {}
