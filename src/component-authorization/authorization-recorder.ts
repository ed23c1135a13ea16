import { WechatApiError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { AccountsSyncService } from '../accounts/accounts-sync.service.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { Clock } from '../common/clock.js';
import { crashPoint } from '../common/crash-point.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database, type Tx } from '../database/database.js';
import { TokensService } from '../tokens/tokens.service.js';
import { AuthorizationLostError, type IssuedAuthorization } from './authorization-exchange.js';
import type { Authorization } from './authorization.entity.js';
import { AuthorizationsRepository } from './authorizations.repository.js';
import type { FailureCode } from './failures.js';

const CODE_EXPIRED = 61010;

/** Writes down how an authorization ended. */
@Injectable()
export class AuthorizationRecorder {
  constructor(
    private readonly db: Database,
    private readonly authorizations: AuthorizationsRepository,
    private readonly accounts: AccountsService,
    private readonly accountsSync: AccountsSyncService,
    private readonly tokens: TokensService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /**
   * Tokens, account and result in one transaction: a token that WeChat gave out once is never half kept.
   *
   * @param finish ends what asked for it, in the same transaction
   */
  async record(
    issued: IssuedAuthorization,
    row: Authorization | null,
    changedAt: Date,
    finish: (tx: Tx) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const { appid, permissionIds } = issued;
    const isWrongAccount = row !== null && row.onlyAppid !== null && row.onlyAppid !== appid;
    const tenantId = row && !isWrongAccount ? row.tenantId : null;
    const now = this.clock.now();
    await this.db.write(async (tx) => {
      await finish(tx);
      await this.tokens.store(tx, appid, 'authorizer', {
        ...(issued.accessToken && {
          accessToken: issued.accessToken,
          expiresInSeconds: issued.expiresInSeconds,
        }),
        refreshToken: issued.refreshToken,
      });
      const askedType = row && row.accountType !== 'any' ? row.accountType : null;
      const holder = await this.accounts.recordGrant(
        tx,
        {
          appid,
          permissionIds,
          tenantId,
          askedType,
          authorizedAt: row ? now : changedAt,
          changedAt,
        },
        tenantId && (row?.openidProperty ?? null),
      );
      await this.accountsSync.readDetailsLater(tx, appid);
      if (!row) return;
      const failureCode: FailureCode | null = isWrongAccount
        ? 'wrong_account'
        : holder.tenantId !== tenantId
          ? 'account_held_elsewhere'
          : null;
      await this.authorizations.finish(tx, row.id, {
        status: failureCode ? 'failed' : 'completed',
        appid,
        failureCode,
        failureErrcode: null,
        finishedAt: now,
      });
    });
    crashPoint('authorization.recorded');
    this.logger.info('account.authorized', { appid, isAskedFor: row !== null });
    await this.#readDetails(appid);
  }

  /** Not part of the authorization: when it fails, or we die before it, the work that was added catches up. */
  async #readDetails(appid: string): Promise<void> {
    try {
      await this.accountsSync.refreshDetails(appid);
    } catch (error) {
      this.logger.warn('account.details_failed', { appid, ...errorFields(error) });
    }
  }

  /** The code cannot be redeemed. A completed authorization stays completed. */
  async fail(row: Authorization, error: unknown): Promise<void> {
    const failureErrcode = error instanceof WechatApiError ? error.errcode : null;
    await this.db.write((tx) =>
      this.authorizations.finish(tx, row.id, {
        status: 'failed',
        appid: null,
        failureCode: failureCodeOf(error),
        failureErrcode,
        finishedAt: this.clock.now(),
      }),
    );
  }
}

function failureCodeOf(error: unknown): FailureCode {
  if (error instanceof AuthorizationLostError) return 'authorization_lost';
  if (!(error instanceof WechatApiError) || error.errorClass !== 'auth_code') return 'wechat_error';
  return error.errcode === CODE_EXPIRED
    ? 'authorization_code_expired'
    : 'authorization_code_invalid';
}
