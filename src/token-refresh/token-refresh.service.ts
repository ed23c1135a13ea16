import { Injectable, type OnModuleInit } from '@nestjs/common';
import pMap from 'p-map';

import type { AuditActor } from '../access/audit.service.js';
import { DEFAULT_TENANT } from '../access/roles.js';
import { AccountsSyncService } from '../accounts/accounts-sync.service.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { type EndingToken, TokensService } from '../tokens/tokens.service.js';
import { RefreshPace } from './refresh-pace.js';

const EVERY_SECONDS = 60;
const PAGE = 200;
const HOUR_SECONDS = 3_600;
/** In Shanghai, when the fewest people write and the day's quotas are fresh. */
const NIGHT_HOUR = 3;

/** What keeps tokens fresh while nobody asks for them. */
@Injectable()
export class TokenRefreshService implements OnModuleInit {
  constructor(
    private readonly tokens: TokensService,
    private readonly component: ComponentService,
    private readonly accountsSync: AccountsSyncService,
    private readonly schedule: LeasedSchedule,
    private readonly pace: RefreshPace,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.schedule.every('refresh-tokens', EVERY_SECONDS, () => this.refreshAhead());
    this.schedule.every('reconcile-accounts', HOUR_SECONDS, () => this.reconcileAtNight());
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

  /** Once a night: heals what a lost event, a restored backup or a change of the platform's set-up has left behind. */
  async reconcileAtNight(): Promise<void> {
    if (shanghaiHour(this.clock.now()) === NIGHT_HOUR) await this.reconcile();
  }

  /** Compares tokens and accounts with WeChat's list; what differed stands in the log and in the audit log. */
  async reconcile(): Promise<void> {
    const scope = { allTenants: true, tenantId: DEFAULT_TENANT };
    const actor: AuditActor = { type: 'system', name: 'nightly-reconcile' };
    const { added, updated, unauthorized, unchanged, failed } = await this.accountsSync.sync(
      scope,
      actor,
    );
    this.logger.info('accounts.reconciled', {
      added,
      updated,
      unauthorized,
      unchanged,
      failed: failed.map(({ appid, code }) => ({ appid, code })),
    });
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

function shanghaiHour(moment: Date): number {
  return (moment.getUTCHours() + 8) % 24;
}
