import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { TokenAnnouncements } from './token-announcements.js';
import { TokenCache } from './token-cache.js';
import { TokenHistoryRow } from './token-history.entity.js';
import { TokenRefresher } from './token-refresher.js';
import { TokenSources } from './token-sources.js';
import { TokenVault } from './token-vault.js';
import { TokenRow } from './token.entity.js';
import { TokensRepository } from './tokens.repository.js';
import { TokensService } from './tokens.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([TokenRow, TokenHistoryRow])],
  providers: [
    TokenAnnouncements,
    TokenCache,
    TokenRefresher,
    TokenSources,
    TokensRepository,
    TokensService,
    TokenVault,
  ],
  exports: [TokensService],
})
export class TokensModule {}
