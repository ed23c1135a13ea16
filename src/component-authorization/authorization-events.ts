import { type AuthorizedPush, isReleaseTestAccount } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { type PushContext, PushHandlers } from '../pushes/push-handlers.js';
import { AuthorizationCompletion } from './authorization-completion.js';

/** Says which of WeChat's authorization events are ours to handle. */
@Injectable()
export class AuthorizationEvents implements OnModuleInit {
  constructor(
    private readonly handlers: PushHandlers,
    private readonly completion: AuthorizationCompletion,
  ) {}

  onModuleInit(): void {
    this.handlers.register('authorized', (push, context) => this.#complete(push, context));
    this.handlers.register('updateauthorized', (push, context) => this.#complete(push, context));
    this.handlers.register('unauthorized', (push, context) =>
      this.completion.recordUnauthorized(push, context),
    );
  }

  /** The accounts of WeChat's release test authorize us by themselves and are nobody's: see {@link ReleaseTest}. */
  async #complete(push: AuthorizedPush, context: PushContext): Promise<void> {
    if (!isReleaseTestAccount(push.appid)) await this.completion.completeByPush(push, context);
  }
}
