import { Injectable, type OnModuleInit } from '@nestjs/common';
import pMap from 'p-map';

import { errorFields, Logger } from '../common/logger.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { TokensService } from '../tokens/tokens.service.js';

/** Early enough to try again several times before the token ends. */
const AHEAD_MS = 10 * 60_000;
const EVERY_SECONDS = 60;
const PAGE = 200;
const CONCURRENCY = 4;

/** What keeps tokens fresh while nobody asks for them. */
@Injectable()
export class TokenRefreshService implements OnModuleInit {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly schedule: LeasedSchedule,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.schedule.every('refresh-tokens', EVERY_SECONDS, () => this.refreshAhead());
    this.schedule.every('watch-ticket', EVERY_SECONDS, () => this.component.watchTicket());
  }

  /** Renews what ends soon. One that fails is tried again at the next tick, and on demand. */
  async refreshAhead(): Promise<void> {
    const appids = await this.tokens.findEndingWithin(AHEAD_MS, PAGE);
    await pMap(appids, (appid) => this.#refresh(appid), { concurrency: CONCURRENCY });
  }

  async #refresh(appid: string): Promise<void> {
    try {
      await this.tokens.refresh(appid);
    } catch (error) {
      this.logger.warn('token.refresh_failed', { appid, ...errorFields(error) });
    }
  }
}
