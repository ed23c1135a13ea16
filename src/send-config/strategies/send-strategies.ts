import { Injectable } from '@nestjs/common';

import { AccessTokenUrlStrategy } from './access-token-url.strategy.js';
import { AppSecretStrategy } from './app-secret.strategy.js';
import type { SendStrategy, StrategyName } from './strategy.js';

/** The strategies by their name. Another one is a file of its own and stands here and in the module. */
@Injectable()
export class SendStrategies {
  readonly #byName: Readonly<Record<StrategyName, SendStrategy>>;

  constructor(accessTokenUrl: AccessTokenUrlStrategy, appSecret: AppSecretStrategy) {
    this.#byName = { access_token_url: accessTokenUrl, app_secret: appSecret };
  }

  of(name: StrategyName): SendStrategy {
    return this.#byName[name];
  }
}
