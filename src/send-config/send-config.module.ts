import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { EventsModule } from '../events/events.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { SendConfigController } from './send-config.controller.js';
import { SendConfig } from './send-config.entity.js';
import { SendConfigRepository } from './send-config.repository.js';
import { SendConfigService } from './send-config.service.js';
import { SendTokens } from './send-tokens.js';
import { SendVault } from './send-vault.js';
import { AccessTokenUrlStrategy } from './strategies/access-token-url.strategy.js';
import { AppSecretStrategy } from './strategies/app-secret.strategy.js';
import { SendStrategies } from './strategies/send-strategies.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([SendConfig]),
    AccessModule,
    AccountsModule,
    EventsModule,
    TokensModule,
  ],
  controllers: [SendConfigController],
  providers: [
    AccessTokenUrlStrategy,
    AppSecretStrategy,
    SendConfigRepository,
    SendConfigService,
    SendStrategies,
    SendTokens,
    SendVault,
  ],
  exports: [SendConfigService, SendTokens],
})
export class SendConfigModule {}
