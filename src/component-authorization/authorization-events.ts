import { Injectable, type OnModuleInit } from '@nestjs/common';

import { PushHandlers } from '../pushes/push-handlers.js';
import { AuthorizationsService } from './authorizations.service.js';

/** Says which of WeChat's authorization events are ours to handle. */
@Injectable()
export class AuthorizationEvents implements OnModuleInit {
  constructor(
    private readonly handlers: PushHandlers,
    private readonly authorizations: AuthorizationsService,
  ) {}

  onModuleInit(): void {
    this.handlers.register('authorized', (push) => this.authorizations.completeByPush(push));
    this.handlers.register('updateauthorized', (push) => this.authorizations.completeByPush(push));
    this.handlers.register('unauthorized', (push) => this.authorizations.recordUnauthorized(push));
  }
}
