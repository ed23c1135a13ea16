import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../../access/access.module.js';
import { AccountsModule } from '../../accounts/accounts.module.js';
import { SendConfigModule } from '../../send-config/send-config.module.js';
import { TokensModule } from '../../tokens/tokens.module.js';
import { PeopleModule } from '../people/people.module.js';
import { TemplateList } from './template-list.entity.js';
import { TemplateListsRepository } from './template-lists.repository.js';
import { TemplateReader } from './template-reader.js';
import { TemplatesController } from './templates.controller.js';
import { TemplatesService } from './templates.service.js';

/** The templates that accounts have chosen at WeChat. */
@Module({
  imports: [
    TypeOrmModule.forFeature([TemplateList]),
    AccessModule,
    AccountsModule,
    PeopleModule,
    SendConfigModule,
    TokensModule,
  ],
  controllers: [TemplatesController],
  providers: [TemplateListsRepository, TemplateReader, TemplatesService],
  exports: [TemplatesService],
})
export class TemplatesModule {}
