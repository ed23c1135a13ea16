import { type DynamicModule, Module } from '@nestjs/common';

import type { Env } from '../config/env.js';
import { AccessModule } from './access/access.module.js';
import { AccountsModule } from './accounts/accounts.module.js';
import { AutoRepliesModule } from './auto-replies/auto-replies.module.js';
import { CommonModule } from './common/common.module.js';
import { ProcessRole } from './common/process-role.js';
import { ComponentAuthorizationModule } from './component-authorization/component-authorization.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EventsModule } from './events/events.module.js';
import { HealthModule } from './health/health.module.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { KeyRotationModule } from './key-rotation/key-rotation.module.js';
import { MessagesModule } from './messages/messages.module.js';
import { PushesModule } from './pushes/pushes.module.js';
import { QrCodesModule } from './qr-codes/qr-codes.module.js';
import { QueueModule } from './queue/queue.module.js';
import { SendConfigModule } from './send-config/send-config.module.js';
import { ReceiptsModule } from './receipts/receipts.module.js';
import { TokenRefreshModule } from './token-refresh/token-refresh.module.js';
import { TokensModule } from './tokens/tokens.module.js';

/** The rooms of the house, the lower ones first. */
@Module({})
export class AppModule {
  static forRoot(env: Env, role = new ProcessRole('main')): DynamicModule {
    return {
      module: AppModule,
      imports: [
        CommonModule.forRoot(env, role),
        DatabaseModule,
        QueueModule,
        AccessModule,
        IdempotencyModule,
        KeyRotationModule,
        EventsModule,
        PushesModule,
        TokensModule,
        AccountsModule,
        ComponentAuthorizationModule,
        SendConfigModule,
        TokenRefreshModule,
        MessagesModule,
        ReceiptsModule,
        AutoRepliesModule,
        QrCodesModule,
        HealthModule,
      ],
    };
  }
}
