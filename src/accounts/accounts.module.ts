import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { EventsModule } from '../events/events.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { Account } from './account.entity.js';
import { AccountDeletion } from './account-deletion.service.js';
import { AccountEnabling } from './account-enabling.service.js';
import { AccountNews } from './account-news.js';
import { AccountScenes } from './account-scenes.js';
import { AccountStanding } from './account-standing.js';
import { AccountViews } from './account-views.js';
import { AccountsController } from './accounts.controller.js';
import { AccountsList } from './accounts-list.service.js';
import { AccountsRepository } from './accounts.repository.js';
import { AccountsService } from './accounts.service.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { ClaimableAccountGuard } from './claimable-account.guard.js';
import { MiniProgramGuard } from './mini-program.guard.js';
import { AccountPicture } from './pictures/account-picture.entity.js';
import { AccountPicturesRepository } from './pictures/account-pictures.repository.js';
import { AccountPictures } from './pictures/account-pictures.service.js';
import { PicturesController } from './pictures/pictures.controller.js';
import { AccountQuotaController } from './quota/account-quota.controller.js';
import { AccountQuota } from './quota/account-quota.service.js';
import { QuotaBudget, QuotaPause, QuotaReset } from './quota/quota.entity.js';
import { QuotaPauses } from './quota/quota-pauses.js';
import { QuotaRepository } from './quota/quota.repository.js';
import { QuotaResets } from './quota/quota-resets.service.js';
import { SceneConditions } from './scene-conditions.js';
import { UserPropertiesController } from './user-properties/user-properties.controller.js';
import { UserPropertiesRepository } from './user-properties/user-properties.repository.js';
import { UserPropertiesService } from './user-properties/user-properties.service.js';
import { UserProperty, UserPropertyCatalogue } from './user-properties/user-property.entity.js';
import { VisibleAccountGuard } from './visible-account.guard.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([
      Account,
      AccountPicture,
      QuotaBudget,
      QuotaPause,
      QuotaReset,
      UserProperty,
      UserPropertyCatalogue,
    ]),
    AccessModule,
    EventsModule,
    PushesModule,
    TokensModule,
  ],
  controllers: [
    AccountsController,
    AccountQuotaController,
    PicturesController,
    UserPropertiesController,
  ],
  providers: [
    AccountDeletion,
    AccountEnabling,
    AccountNews,
    AccountPictures,
    AccountPicturesRepository,
    AccountQuota,
    AccountScenes,
    AccountStanding,
    AccountViews,
    AccountsList,
    AccountsRepository,
    AccountsService,
    AccountsSyncService,
    ClaimableAccountGuard,
    MiniProgramGuard,
    QuotaPauses,
    QuotaRepository,
    QuotaResets,
    SceneConditions,
    UserPropertiesRepository,
    UserPropertiesService,
    VisibleAccountGuard,
  ],
  exports: [
    AccountDeletion,
    AccountPictures,
    AccountQuota,
    AccountScenes,
    AccountsService,
    AccountsSyncService,
    MiniProgramGuard,
    QuotaPauses,
    QuotaResets,
    SceneConditions,
    UserPropertiesService,
    VisibleAccountGuard,
  ],
})
export class AccountsModule {}
