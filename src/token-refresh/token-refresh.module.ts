import { Module } from '@nestjs/common';

import { AccountsModule } from '../accounts/accounts.module.js';
import { ComponentAuthorizationModule } from '../component-authorization/component-authorization.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { RefreshPace } from './refresh-pace.js';
import { TokenRefreshService } from './token-refresh.service.js';

@Module({
  imports: [AccountsModule, ComponentAuthorizationModule, TokensModule],
  providers: [RefreshPace, TokenRefreshService],
})
export class TokenRefreshModule {}
