import { Injectable } from '@nestjs/common';

import type { Actor, AuditActor } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { inLang, type Lang, type Text } from '../common/text.js';
import { Database, type Tx } from '../database/database.js';
import type { EnableChecksDto } from './account.dto.js';
import type { Account } from './account.entity.js';
import { AccountNews } from './account-news.js';
import { AccountStanding } from './account-standing.js';
import { AccountViews, type ShownChecks } from './account-views.js';
import { AccountsSyncService, type SyncFailure } from './accounts-sync.service.js';
import { AccountsRepository } from './accounts.repository.js';
import { AccountsService } from './accounts.service.js';
import { runChecks } from './enable-checks.js';

const CHECKER: AuditActor = { type: 'system', name: 'enable-checks' };

const STORED: Text = {
  zh: '未能从微信读取最新数据，以下依据已保存的数据。',
  en: 'WeChat could not be asked: this is by what is kept. ',
};

/** The account fails checks; the answer says which, and what to do about each. */
export class EnableChecksFailedError extends AppError {
  constructor(private readonly checks: ShownChecks) {
    super('enable_checks_failed');
  }

  override members(lang: Lang): object {
    return { checks: this.checks(lang) };
  }
}

/** Switches accounts on, when they may be, and off. */
@Injectable()
export class AccountEnabling {
  constructor(
    private readonly db: Database,
    private readonly accounts: AccountsService,
    private readonly repository: AccountsRepository,
    private readonly accountsSync: AccountsSyncService,
    private readonly standing: AccountStanding,
    private readonly views: AccountViews,
    private readonly news: AccountNews,
    private readonly clock: Clock,
  ) {}

  /**
   * Whether the account could be switched on now, by what WeChat says of it at this moment; by what we have kept, saying
   * how old it is, when WeChat cannot be asked.
   *
   * @throws AppError `not_found`
   */
  async check(caller: Caller, appid: string, lang: Lang): Promise<EnableChecksDto> {
    const failure = await this.#refresh(caller, appid, CHECKER);
    const account = await this.accounts.get(caller, appid);
    const results = runChecks(account);
    const shown = await this.views.showChecks(account, results);
    const { syncedAt } = account;
    const ageMs = syncedAt && this.clock.now().getTime() - syncedAt.getTime();
    return {
      passed: results.every((result) => result.failure === null),
      checks: shown(lang),
      source: failure ? 'stored' : 'wechat',
      dataAgeSeconds: ageMs === null ? null : Math.max(0, Math.floor(ageMs / 1000)),
      ...(failure && { warning: inLang(STORED, lang) + inLang(failure.detail, lang) }),
    };
  }

  /**
   * Switches the account on. Its checks run on the row that is written, right after WeChat was asked.
   *
   * @throws AppError `not_found`, `account_unclaimed`
   * @throws EnableChecksFailedError naming every check that fails
   */
  async enable(caller: Caller, appid: string): Promise<Account> {
    await this.#refresh(caller, appid, caller);
    const { account, results } = await this.db.write(async (tx) => {
      const before = await this.accounts.getForUpdate(tx, caller, appid);
      if (before.tenantId === null) throw new AppError('account_unclaimed');
      const checked = runChecks(before);
      const isPassed = checked.every(({ failure }) => failure === null);
      if (isPassed && !before.enabled) await this.#switch(tx, before, true, caller);
      return { account: await this.standing.getWritten(tx, appid), results: checked };
    });
    if (results.some(({ failure }) => failure !== null))
      throw new EnableChecksFailedError(await this.views.showChecks(account, results));
    return account;
  }

  /** Switches the account off; one that is off stays so. @throws AppError `not_found` */
  disable(caller: Caller, appid: string): Promise<Account> {
    return this.db.write(async (tx) => {
      const before = await this.accounts.getForUpdate(tx, caller, appid);
      if (!before.enabled) return before;
      await this.#switch(tx, before, false, caller);
      return this.standing.getWritten(tx, appid);
    });
  }

  async #refresh(caller: Caller, appid: string, actor: Actor): Promise<SyncFailure | null> {
    return this.accountsSync.refresh(await this.accounts.get(caller, appid), actor);
  }

  async #switch(tx: Tx, before: Account, enabled: boolean, caller: Caller): Promise<void> {
    const { appid } = before;
    const updatedAt = this.clock.now();
    await this.repository.update(tx, appid, { enabled, flaggedAt: null, updatedAt });
    if (enabled) await this.news.enabled(tx, before, caller);
    else await this.news.disabled(tx, before, 'requested', caller);
  }
}
