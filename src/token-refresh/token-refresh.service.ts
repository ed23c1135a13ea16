import { Injectable, type OnModuleInit } from '@nestjs/common';
import pMap from 'p-map';

import { errorFields, Logger } from '../common/logger.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { type EndingToken, TokensService } from '../tokens/tokens.service.js';
import { RefreshPace } from './refresh-pace.js';

const EVERY_SECONDS = 60;
const PAGE = 200;

/** What keeps tokens fresh while nobody asks for them. */
@Injectable()
export class TokenRefreshService implements OnModuleInit {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly schedule: LeasedSchedule,
    private readonly pace: RefreshPace,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.schedule.every('refresh-tokens', EVERY_SECONDS, () => this.refreshAhead());
    this.schedule.every('watch-ticket', EVERY_SECONDS, () => this.component.watchTicket());
  }

  /** Renews what ends soon, page by page and never faster than the pace. One that fails has its own pause. */
  async refreshAhead(): Promise<void> {
    for (let after: EndingToken | null = null; ;) {
      const { appids, next } = await this.tokens.findDue(after, PAGE);
      await pMap(appids, (appid) => this.#refresh(appid), { concurrency: this.pace.concurrency });
      if (!next) return;
      after = next;
    }
  }

  async #refresh(appid: string): Promise<void> {
    await this.pace.turn();
    try {
      await this.tokens.refresh(appid);
    } catch (error) {
      this.logger.warn('token.refresh_failed', { appid, ...errorFields(error) });
    }
  }
}
