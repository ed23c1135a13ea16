import { Injectable } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import pMap from 'p-map';

import { errorFields, Logger } from '../common/logger.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { TokensService } from '../tokens/tokens.service.js';

/** Early enough to try again several times before the token ends. */
const AHEAD_MS = 10 * 60_000;
const PAGE = 200;
const CONCURRENCY = 4;

/** What keeps tokens fresh while nobody asks for them. */
@Injectable()
export class TokenRefreshService {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly logger: Logger,
  ) {}

  /** Renews what ends soon. One that fails is tried again at the next tick, and on demand. */
  @Cron('10 * * * * *', { waitForCompletion: true })
  async refreshAhead(): Promise<void> {
    const appids = await this.tokens.findEndingWithin(AHEAD_MS, PAGE);
    await pMap(appids, (appid) => this.#refresh(appid), { concurrency: CONCURRENCY });
  }

  @Cron('0 * * * * *', { waitForCompletion: true })
  async watchTicket(): Promise<void> {
    await this.component.watchTicket();
  }

  async #refresh(appid: string): Promise<void> {
    try {
      await this.tokens.refresh(appid);
    } catch (error) {
      this.logger.warn('token.refresh_failed', { appid, ...errorFields(error) });
    }
  }
}
