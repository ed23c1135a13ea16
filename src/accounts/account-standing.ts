import { Injectable } from '@nestjs/common';

import type { Actor } from '../access/audit.service.js';
import { Clock } from '../common/clock.js';
import type { Tx } from '../database/database.js';
import type { Account } from './account.entity.js';
import { AccountNews } from './account-news.js';
import { AccountsRepository } from './accounts.repository.js';
import { failingChecks, switchOffReason } from './enable-checks.js';
import { AccountPictures } from './pictures/account-pictures.service.js';

/** What follows from whatever has changed about an account, in the transaction that changed it. */
@Injectable()
export class AccountStanding {
  constructor(
    private readonly accounts: AccountsRepository,
    private readonly pictures: AccountPictures,
    private readonly news: AccountNews,
    private readonly clock: Clock,
  ) {}

  /**
   * Switches an account off that cannot stay on, flags one that fails a check, and has new pictures copied.
   *
   * @param before as it was, locked
   * @returns as it is now
   */
  async settle(tx: Tx, before: Account | null, appid: string): Promise<Account> {
    const account = await this.getWritten(tx, appid);
    const isOn = account.enabled && switchOffReason(account) === null;
    const isFailing = isOn && failingChecks(account).length > 0;
    const flaggedAt = isFailing ? (account.flaggedAt ?? this.clock.now()) : null;
    if (isOn !== account.enabled || flaggedAt?.getTime() !== account.flaggedAt?.getTime())
      await this.accounts.update(tx, appid, { enabled: isOn, flaggedAt });
    const { avatarUrl, qrcodeUrl } = account;
    if (before?.avatarUrl !== avatarUrl || before.qrcodeUrl !== qrcodeUrl)
      await this.pictures.follow(tx, account);
    return this.getWritten(tx, appid);
  }

  /** Tells of what is different now, and of its having been switched off. */
  async settleAndTell(tx: Tx, before: Account, actor: Actor): Promise<void> {
    const after = await this.settle(tx, before, before.appid);
    await this.news.changed(tx, before, after, actor);
    await this.tellSwitchedOff(tx, before, after, actor);
  }

  async tellSwitchedOff(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    const reason = switchOffReason(after);
    if (before.enabled && !after.enabled && reason)
      await this.news.disabled(tx, after, reason, actor);
  }

  /** The account as it is, which the transaction has written. */
  async getWritten(tx: Tx, appid: string): Promise<Account> {
    // As it is, not as it was when the transaction began to read: a write that changed nothing does not show it anew.
    const account = await this.accounts.findForUpdate(tx, appid);
    if (!account) throw new TypeError('The account was written in this transaction.');
    return account;
  }
}
