import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Clock } from '../../common/clock.js';
import { AccountData } from '../../database/account-data.js';
import type { Tx } from '../../database/database.js';
import { EventsService } from '../../events/events.service.js';
import type { Account } from '../account.entity.js';
import { scenesOfPath } from '../scenes.js';
import { QuotaRepository } from './quota.repository.js';
import { nextMidnight } from './shanghai-time.js';

/** Which of WeChat's APIs are used up for today, for which account. */
@Injectable()
export class QuotaPauses implements OnModuleInit {
  constructor(
    private readonly quotas: QuotaRepository,
    private readonly events: EventsService,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'quota_pause',
      erase: (tx, appid) => this.quotas.lift(tx, appid),
    });
  }

  /** WeChat says that the API's quota of the day is used up: it is paused until midnight, which is told once. */
  async note(tx: Tx, account: Account, path: string): Promise<void> {
    const { appid, accountType, nickname, tenantId } = account;
    const pausedAt = this.clock.now();
    const until = nextMidnight(pausedAt);
    if (!(await this.quotas.pause(tx, { appid, path, pausedAt, until }))) return;
    await this.events.emit(
      tx,
      'quota.exhausted',
      { tenantId, appid },
      {
        ...{ appid, accountType, nickname, path },
        until: until.toISOString(),
        scenes: scenesOfPath(accountType, path),
      },
    );
  }

  /** There is quota again: of one API, or after a reset of all. */
  async lift(tx: Tx, appid: string, path?: string): Promise<void> {
    await this.quotas.lift(tx, appid, path);
  }

  /** What is paused now, by appid and then by API. */
  async find(appids: readonly string[]): Promise<Map<string, Map<string, Date>>> {
    const byAccount = new Map<string, Map<string, Date>>();
    for (const { appid, path, until } of await this.quotas.findPauses(appids, this.clock.now())) {
      const paused = byAccount.get(appid) ?? new Map<string, Date>();
      byAccount.set(appid, paused.set(path, until));
    }
    return byAccount;
  }
}
