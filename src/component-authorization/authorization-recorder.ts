import { WechatApiError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { type AuditActor, AuditService } from '../access/audit.service.js';
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

/** What an authorization is recorded for. */
export interface Occasion {
  /** The browser that came back, or WeChat's event. */
  actor: AuditActor;
  /** Ends the handling of the event, in the same transaction. */
  finish?: (tx: Tx) => Promise<void>;
}

/** Writes down how an authorization ended. */
@Injectable()
export class AuthorizationRecorder {
  constructor(
    private readonly db: Database,
    private readonly authorizations: AuthorizationsRepository,
    private readonly accounts: AccountsService,
    private readonly accountsSync: AccountsSyncService,
    private readonly tokens: TokensService,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /**
   * Tokens, account and result in one transaction: a token that WeChat gave out once is never half kept.
   *
   * @param changedAt WeChat's time of the authorization, or an earlier one
   */
  async record(
    issued: IssuedAuthorization,
    row: Authorization | null,
    { changedAt, actor, finish }: Occasion & { changedAt: Date },
  ): Promise<void> {
    const { appid, permissionIds } = issued;
    const isWrongAccount = row !== null && row.onlyAppid !== null && row.onlyAppid !== appid;
    const tenantId = row && !isWrongAccount ? row.tenantId : null;
    const now = this.clock.now();
    await this.db.write(async (tx) => {
      await finish?.(tx);
      await this.tokens.store(tx, appid, 'authorizer', {
        ...(issued.accessToken && {
          accessToken: issued.accessToken,
          expiresInSeconds: issued.expiresInSeconds,
        }),
        refreshToken: issued.refreshToken,
      });
      // Another process has recorded the same scan since the row was read: the account is as that one left it.
      if (row && row.appid !== appid && (await this.authorizations.isEndedWith(tx, row.id, appid)))
        return;
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
          actor,
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
      const isEnded = await this.authorizations.finish(tx, row.id, {
        status: failureCode ? 'failed' : 'completed',
        appid,
        failureCode,
        failureErrcode: null,
        finishedAt: now,
        ...(!failureCode && {
          gainedPermissionIds: holder.change?.gained ?? null,
          lostPermissionIds: holder.change?.lost ?? null,
        }),
      });
      // Of an account that it does not hold the asker learns nothing.
      const shown = holder.tenantId === row.tenantId ? appid : null;
      if (isEnded) await this.#recordEnd(tx, row, actor, { appid: shown, failureCode });
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

  /** The code cannot be redeemed. An authorization that has ended stays as it is. */
  async fail(row: Authorization, error: unknown, { actor, finish }: Occasion): Promise<void> {
    const failureErrcode = error instanceof WechatApiError ? error.errcode : null;
    const failureCode = failureCodeOf(error);
    await this.db.write(async (tx) => {
      await finish?.(tx);
      const isFailed = await this.authorizations.fail(tx, row.id, {
        failureCode,
        failureErrcode,
        finishedAt: this.clock.now(),
      });
      if (isFailed)
        await this.#recordEnd(tx, row, actor, { appid: null, failureCode, failureErrcode });
    });
  }

  async #recordEnd(
    tx: Tx,
    { id, tenantId, onlyAppid }: Authorization,
    actor: AuditActor,
    how: { appid: string | null; failureCode: FailureCode | null; failureErrcode?: number | null },
  ): Promise<void> {
    const isFailed = how.failureCode !== null;
    await this.audit.record(tx, {
      actor,
      action: isFailed ? 'authorization.failed' : 'authorization.completed',
      target: id,
      tenantId,
      outcome: isFailed ? 'failed' : 'succeeded',
      detail: { onlyAppid, ...how },
    });
  }
}

function failureCodeOf(error: unknown): FailureCode {
  if (error instanceof AuthorizationLostError) return 'authorization_lost';
  if (!(error instanceof WechatApiError) || error.errorClass !== 'auth_code') return 'wechat_error';
  return error.errcode === CODE_EXPIRED
    ? 'authorization_code_expired'
    : 'authorization_code_invalid';
}
