import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessModule } from '../access/access.module.js';
import { AccountsModule } from '../accounts/accounts.module.js';
import { EventsModule } from '../events/events.module.js';
import { PushesModule } from '../pushes/pushes.module.js';
import { TokensModule } from '../tokens/tokens.module.js';
import { AuthorizationCompletion } from './authorization-completion.js';
import { AuthorizationEvents } from './authorization-events.js';
import { AuthorizationExchange } from './authorization-exchange.js';
import { AuthorizationRecorder } from './authorization-recorder.js';
import { Authorization } from './authorization.entity.js';
import { AuthorizationsController } from './authorizations.controller.js';
import { AuthorizationsRepository } from './authorizations.repository.js';
import { AuthorizationsService } from './authorizations.service.js';
import { AuthorizePagesController } from './authorize-pages.controller.js';
import { AuthorizerTokens } from './authorizer-tokens.js';
import { ComponentTicket } from './component-ticket.entity.js';
import { ComponentTicketsRepository } from './component-tickets.repository.js';
import { ComponentController } from './component.controller.js';
import { ComponentQuotaController } from './component-quota.controller.js';
import { ComponentService } from './component.service.js';
import { ReauthorizationsController } from './reauthorizations.controller.js';
import { ReleaseTest } from './release-test.js';

@Module({
  imports: [
    TypeOrmModule.forFeature([Authorization, ComponentTicket]),
    AccessModule,
    AccountsModule,
    EventsModule,
    PushesModule,
    TokensModule,
  ],
  controllers: [
    ComponentController,
    ComponentQuotaController,
    AuthorizationsController,
    ReauthorizationsController,
    AuthorizePagesController,
  ],
  providers: [
    AuthorizationCompletion,
    AuthorizationEvents,
    AuthorizationExchange,
    AuthorizationRecorder,
    AuthorizationsRepository,
    AuthorizationsService,
    AuthorizerTokens,
    ComponentService,
    ComponentTicketsRepository,
    ReleaseTest,
  ],
  exports: [ComponentService],
})
export class ComponentAuthorizationModule {}
