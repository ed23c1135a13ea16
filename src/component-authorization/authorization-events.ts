import { Injectable, type OnModuleInit } from '@nestjs/common';

import { PushHandlers } from '../pushes/push-handlers.js';
import { AuthorizationCompletion } from './authorization-completion.js';

/** Says which of WeChat's authorization events are ours to handle. */
@Injectable()
export class AuthorizationEvents implements OnModuleInit {
  constructor(
    private readonly handlers: PushHandlers,
    private readonly completion: AuthorizationCompletion,
  ) {}

  onModuleInit(): void {
    this.handlers.register('authorized', (push) => this.completion.completeByPush(push));
    this.handlers.register('updateauthorized', (push) => this.completion.completeByPush(push));
    this.handlers.register('unauthorized', (push) => this.completion.recordUnauthorized(push));
  }
}
