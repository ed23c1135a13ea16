import { WechatApiError, WechatUnavailableError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { errorFields, Logger } from '../common/logger.js';
import { AccountData, type AccountTable } from '../database/account-data.js';
import { Database } from '../database/database.js';
import type { Account } from './account.entity.js';
import { AccountNews } from './account-news.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { AccountsService } from './accounts.service.js';

/** Rows that one transaction removes: SQLite's only writer is not held up for longer than that takes. */
const PAGE = 500;

/** Removes all that we hold of an account, or of one person who used it. */
@Injectable()
export class AccountDeletion {
  constructor(
    private readonly db: Database,
    private readonly accounts: AccountsService,
    private readonly accountsSync: AccountsSyncService,
    private readonly accountData: AccountData,
    private readonly news: AccountNews,
    private readonly logger: Logger,
  ) {}

  /**
   * Deletes an account that has ended its authorization. What is left of it are its audit rows, the month's count of
   * quota resets, and the event that tells of its end.
   *
   * Its history goes page by page before: one that fails on the way leaves an account that can be deleted again. What the
   * account needs to work goes with it, in one transaction.
   *
   * @param confirm its appid once more
   * @throws AppError `not_found`, `confirmation_mismatch`, `account_still_authorized`
   * @throws WechatApiError, WechatUnavailableError when only WeChat can tell and does not
   */
  async delete(caller: Caller, appid: string, confirm: string | undefined): Promise<void> {
    const account = await this.accounts.get(caller, appid);
    if (confirm !== appid) throw new AppError('confirmation_mismatch');
    await this.#checkEnded(account, caller);
    for (const table of this.accountData.all().filter(({ isHistory }) => isHistory))
      await this.#erase(table, appid);
    await this.db.write(async (tx) => {
      const before = await this.accounts.getForUpdate(tx, caller, appid);
      // It may have been authorized anew while its rows went.
      if (before.authorizationState === 'authorized')
        throw new AppError('account_still_authorized');
      for (const table of this.accountData.all())
        while ((await table.erase(tx, appid, PAGE)) >= PAGE);
      await this.news.deleted(tx, before, caller);
    });
    this.logger.info('account.deleted', { appid, by: caller.name });
  }

  /** Removes what is about one person, as WeChat demands when somebody has unfollowed an account. The rest stays. */
  async erasePerson(appid: string, openid: string): Promise<void> {
    for (const { erasePerson } of this.accountData.all()) await erasePerson?.(appid, openid);
  }

  /** Whatever we believe, WeChat is asked; only when it has told us of the end before, its silence is no obstacle. */
  async #checkEnded(account: Account, caller: Caller): Promise<void> {
    const { appid } = account;
    const isKnown = account.authorizationState === 'unauthorized';
    try {
      if (!(await this.accountsSync.isAuthorized(appid))) {
        if (!isKnown) await this.accountsSync.refresh(account, caller);
        return;
      }
    } catch (error) {
      const isAway = error instanceof WechatUnavailableError || error instanceof WechatApiError;
      if (!isKnown || !(isAway || error instanceof AppError)) throw error;
      this.logger.warn('account.end_not_confirmed', { appid, ...errorFields(error) });
      return;
    }
    throw new AppError('account_still_authorized');
  }

  async #erase({ erase }: AccountTable, appid: string): Promise<void> {
    while ((await this.db.write((tx) => erase(tx, appid, PAGE))) >= PAGE);
  }
}
