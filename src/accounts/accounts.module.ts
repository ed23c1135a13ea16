import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { EventsModule } from '../events/events.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { Account } from './account.entity.js';
import { AccountNews } from './account-news.js';
import { AccountsController } from './accounts.controller.js';
import { AccountsRepository } from './accounts.repository.js';
import { AccountsService } from './accounts.service.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { ClaimableAccountGuard } from './claimable-account.guard.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([Account]),
    AccessModule,
    EventsModule,
    PushesModule,
    TokensModule,
  ],
  controllers: [AccountsController],
  providers: [
    AccountNews,
    AccountsService,
    AccountsSyncService,
    AccountsRepository,
    ClaimableAccountGuard,
  ],
  exports: [AccountsService, AccountsSyncService],
})
export class AccountsModule {}
