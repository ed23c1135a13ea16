import { type ApiQuota, getQuota, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Caller } from '../../access/roles.js';
import { AppError } from '../../common/app-error.js';
import { errorFields, Logger } from '../../common/logger.js';
import { Database } from '../../database/database.js';
import { TokensService } from '../../tokens/tokens.service.js';
import type { Account } from '../account.entity.js';
import { AccountsService } from '../accounts.service.js';
import { QuotaPauses } from './quota-pauses.js';
import { type Budget, QuotaResets, type ResetWithBudget } from './quota-resets.service.js';
import type { QuotaReset } from './quota.entity.js';

/** WeChat's quota of an account, for those who may see the account. */
@Injectable()
export class AccountQuota {
  constructor(
    private readonly db: Database,
    private readonly accounts: AccountsService,
    private readonly resets: QuotaResets,
    private readonly pauses: QuotaPauses,
    private readonly tokens: TokensService,
    private readonly wechat: WechatHttp,
    private readonly logger: Logger,
  ) {}

  /**
   * WeChat's own figures for one API. Whether scenes are paused for want of quota follows them.
   *
   * @throws AppError `not_found`, and what the custody throws
   * @throws WechatApiError 76021 for a path that WeChat does not know, 76022 for one that is not the account's
   */
  async look(caller: Caller, appid: string, path: string): Promise<ApiQuota> {
    const account = await this.accounts.get(caller, appid);
    const quota = await this.tokens.withToken(appid, (token) => getQuota(this.wechat, token, path));
    await this.db.write((tx) =>
      quota.remaining > 0 ? this.pauses.lift(tx, appid, path) : this.pauses.note(tx, account, path),
    );
    return quota;
  }

  /**
   * WeChat has refused a call for want of quota. Where its own figures say that some is left, it was a limit of the moment;
   * else the API is paused until midnight, and where the figures are not to be had, too.
   */
  async noteUsedUp(account: Account, path: string): Promise<void> {
    const { appid } = account;
    const quota = await this.tokens
      .withToken(appid, (token) => getQuota(this.wechat, token, path))
      .catch((error: unknown) => {
        this.logger.warn('quota.not_read', { appid, path, ...errorFields(error) });
        return null;
      });
    if (quota && quota.remaining > 0) return;
    await this.db.write((tx) => this.pauses.note(tx, account, path));
  }

  /** @throws AppError `not_found`, `official_account_only` */
  async list(caller: Caller, appid: string): Promise<{ budget: Budget; resets: QuotaReset[] }> {
    await this.#getOfficial(caller, appid);
    return this.resets.list(appid);
  }

  /** @throws AppError `not_found`, `official_account_only`, and what {@link QuotaResets.reset} throws */
  async reset(caller: Caller, appid: string): Promise<ResetWithBudget> {
    const { tenantId } = await this.#getOfficial(caller, appid);
    return this.resets.reset({ appid, tenantId }, caller);
  }

  async #getOfficial(caller: Caller, appid: string): Promise<Account> {
    const account = await this.accounts.get(caller, appid);
    if (account.accountType !== 'official_account') throw new AppError('official_account_only');
    return account;
  }
}
