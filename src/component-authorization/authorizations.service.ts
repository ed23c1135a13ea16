import { createHash, randomBytes } from 'node:crypto';

import { SecretBox } from '@app/secret-box';
import {
  authorizationPageUrl,
  mobileAuthorizationPageUrl,
  WechatApiError,
  WechatUnavailableError,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import type { Caller } from '../access/roles.js';
import type { Account } from '../accounts/account.entity.js';
import { AccountsSyncService } from '../accounts/accounts-sync.service.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { KeyedMutex } from '../common/keyed-mutex.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { TokensService } from '../tokens/tokens.service.js';
import {
  AuthorizationExchange,
  AuthorizationLostError,
  type IssuedAuthorization,
} from './authorization-exchange.js';
import type { AskedType, Authorization } from './authorization.entity.js';
import { AuthorizationsRepository } from './authorizations.repository.js';
import { ComponentService } from './component.service.js';
import type { FailureCode } from './failures.js';

const AUTH_TYPES = { official_account: 1, mini_program: 2, any: 3 } as const;
const CODE_EXPIRED = 61010;

export interface NewAuthorization {
  accountType: AskedType;
  appid?: string;
  openidProperty?: string;
}

/** An authorization as it stands, with the account it led to where the asker may see it. */
export interface AuthorizationView {
  authorization: Authorization;
  status: 'pending' | 'completed' | 'failed' | 'expired';
  account: Account | null;
  failure: { code: FailureCode; errcode: number | null } | null;
}

/** What the browser that came back from WeChat is told. */
export type CallbackOutcome =
  /** The result, final; the same at every reload. */
  | { kind: 'result'; view: AuthorizationView }
  /** WeChat could not be asked; the code is still good, and a reload asks again. */
  | { kind: 'try_again'; view: AuthorizationView }
  /** Not a state of ours, one that has run out, or one that was used with another code. */
  | { kind: 'refused'; reason: 'unknown_state' | 'expired' | 'other_code' | 'no_code' };

/** The way of an account to us: asked for, scanned, redeemed once, recorded once. */
@Injectable()
export class AuthorizationsService {
  readonly #turns = new KeyedMutex();

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly authorizations: AuthorizationsRepository,
    private readonly component: ComponentService,
    private readonly exchange: AuthorizationExchange,
    private readonly accounts: AccountsService,
    private readonly accountsSync: AccountsSyncService,
    private readonly tokens: TokensService,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /**
   * Prepares an authorization. It ends with its pre-auth code, half an hour as a rule.
   *
   * @throws AppError `not_found` for another tenant's account, `openid_property_in_use`, `component_ticket_missing`
   */
  async create(caller: Caller, asked: NewAuthorization): Promise<AuthorizationView> {
    const { appid = null, openidProperty = null, accountType } = asked;
    const { tenantId } = caller;
    const account = appid && (await this.accounts.find(appid));
    if (account && account.tenantId !== null && account.tenantId !== tenantId)
      throw new AppError('not_found');
    if (openidProperty && (await this.accounts.isPropertyTaken(tenantId, openidProperty, appid))) {
      throw new AppError('openid_property_in_use');
    }
    const { preAuthCode, expiresInSeconds } = await this.component.createPreAuthCode();
    const [id, state] = [randomToken(), randomToken()];
    const now = this.clock.now();
    const row: Authorization = {
      id,
      tenantId,
      accountType,
      onlyAppid: appid,
      openidProperty,
      stateToken: this.secrets.seal(state, { owner: `authorization:${id}`, field: 'stateToken' }),
      stateHash: digest(state),
      preAuthCode: this.secrets.seal(preAuthCode, {
        owner: `authorization:${id}`,
        field: 'preAuthCode',
      }),
      preAuthCodeHash: digest(preAuthCode),
      authCodeHash: null,
      answerLostAt: null,
      status: 'pending',
      appid: null,
      failureCode: null,
      failureErrcode: null,
      createdAt: now,
      expiresAt: new Date(now.getTime() + expiresInSeconds * 1000),
      finishedAt: null,
    };
    await this.authorizations.insert(row);
    this.logger.info('authorization.created', {
      tenantId,
      accountType,
      onlyAppid: appid,
      by: caller.name,
    });
    return this.#view(row);
  }

  /** @throws AppError `not_found`, for another tenant's too */
  async get(caller: Caller, id: string): Promise<AuthorizationView> {
    const row = await this.authorizations.find(id);
    if (!row || !(caller.allTenants || row.tenantId === caller.tenantId))
      throw new AppError('not_found');
    return this.#view(row);
  }

  /** For the launch page: whoever has the address may see it. */
  async find(id: string): Promise<AuthorizationView | null> {
    const row = await this.authorizations.find(id);
    return row && this.#view(row);
  }

  /** The name of the only account that may be chosen, where the asker holds it. */
  async findOnlyNickname({ onlyAppid, tenantId }: Authorization): Promise<string | null> {
    const account = onlyAppid === null ? null : await this.accounts.find(onlyAppid);
    return account?.tenantId === tenantId ? account.nickname : null;
  }

  /** The addresses of WeChat's pages for an authorization that is pending. */
  scanPages(row: Authorization): { scanUrl: string; phoneUrl: string } {
    const open = (field: 'stateToken' | 'preAuthCode'): string =>
      this.secrets.open(row[field], { owner: `authorization:${row.id}`, field });
    const page = {
      componentAppid: this.component.appid,
      preAuthCode: open('preAuthCode'),
      redirectUri: `${this.env.publicUrl}/authorize/callback/${open('stateToken')}`,
      authType: AUTH_TYPES[row.accountType],
      ...(row.onlyAppid && { bizAppid: row.onlyAppid }),
    };
    return {
      scanUrl: authorizationPageUrl({ mpBaseUrl: this.env.wechatMpBaseUrl, ...page }),
      phoneUrl: mobileAuthorizationPageUrl({ openBaseUrl: this.env.wechatOpenBaseUrl, ...page }),
    };
  }

  /** The browser came back from WeChat. Only a state of ours is believed, with the first code it came with. */
  async completeByRedirect(state: string, code: string | undefined): Promise<CallbackOutcome> {
    const found = await this.authorizations.findByState(digest(state));
    if (!found) return { kind: 'refused', reason: 'unknown_state' };
    if (!code) return { kind: 'refused', reason: 'no_code' };
    return this.#turns.run(found.id, async () => {
      const row = (await this.authorizations.find(found.id)) ?? found;
      const isFirstVisit = row.authCodeHash === null && row.status === 'pending';
      if (isFirstVisit && row.expiresAt <= this.clock.now())
        return { kind: 'refused', reason: 'expired' };
      if (!(await this.authorizations.bindCode(row.id, digest(code)))) {
        return { kind: 'refused', reason: 'other_code' };
      }
      if (row.status !== 'pending') return { kind: 'result', view: await this.#view(row) };
      return this.#redeemRedirect(row, code);
    });
  }

  /** WeChat's `authorized` or `updateauthorized` event. Throws when it should be tried again later. */
  async completeByPush(push: {
    appid: string;
    authorizationCode: string;
    preAuthCode: string | null;
    createTime: number;
  }): Promise<void> {
    const { appid } = push;
    const changedAt = new Date(push.createTime * 1000);
    const found = push.preAuthCode
      ? await this.authorizations.findByPreAuthCode(digest(push.preAuthCode))
      : null;
    await this.#turns.run(found?.id ?? appid, async () => {
      const account = await this.accounts.find(appid);
      if (account && account.authorizationChangedAt > changedAt) {
        this.logger.info('authorization.event_outdated', { appid, changedAt });
        return;
      }
      const row = found && (await this.authorizations.find(found.id));
      if (account && row?.appid === appid) {
        // The redirect was first: what is new is WeChat's own time of the authorization.
        await this.db.write((tx) => this.accounts.recordAuthorizedAt(tx, appid, changedAt));
        return;
      }
      try {
        const issued = await this.exchange.redeemPushed(push.authorizationCode, appid);
        await this.#record(issued, row, changedAt);
      } catch (error) {
        if (!row || !isFinal(error)) throw error;
        await this.#fail(row, error);
      }
    });
  }

  /** WeChat's `unauthorized` event. One from before the present authorization changes nothing. */
  async recordUnauthorized(push: { appid: string; createTime: number }): Promise<void> {
    const { appid } = push;
    const at = new Date(push.createTime * 1000);
    await this.#turns.run(appid, async () => {
      const account = await this.accounts.find(appid);
      if (!account || account.authorizationChangedAt > at) {
        this.logger.info('authorization.event_outdated', { appid, at, isKnown: account !== null });
        return;
      }
      await this.db.write((tx) =>
        this.accounts.recordUnauthorized(tx, appid, at, account.authorizationChangedAt),
      );
      this.logger.info('account.unauthorized', { appid });
    });
  }

  async #redeemRedirect(row: Authorization, code: string): Promise<CallbackOutcome> {
    try {
      const issued = await this.exchange.redeemRedirected(code, {
        wasAnswerLost: row.answerLostAt !== null,
        onAnswerLost: () => this.authorizations.markAnswerLost(row.id, this.clock.now()),
        findAccount: () => this.#findLostAccount(row),
      });
      // The scan came after this row was made: an earlier time, so that no later event is taken for older.
      await this.#record(issued, row, row.createdAt);
    } catch (error) {
      this.logger.warn('authorization.exchange_failed', errorFields(error));
      if (!isFinal(error)) return { kind: 'try_again', view: await this.#view(row) };
      await this.#fail(row, error);
    }
    const finished = (await this.authorizations.find(row.id)) ?? row;
    return { kind: 'result', view: await this.#view(finished) };
  }

  /**
   * Which account a lost exchange was for: the one that was asked for, or the only one that changed at WeChat.
   * Nothing is guessed while another tenant may be authorizing an account at this moment.
   */
  async #findLostAccount(row: Authorization): Promise<string | null> {
    if (await this.authorizations.isAnotherTenantAsking(row.tenantId, this.clock.now())) {
      return this.#ownAccount(row.onlyAppid, row.tenantId);
    }
    const changed = await this.exchange.findChangedAccounts(
      row.createdAt,
      await this.tokens.readRefreshTokens(),
    );
    const explained = await this.authorizations.findAppidsFinishedSince(row.createdAt, row.id);
    const candidates = changed.filter((appid) => !explained.has(appid));
    if (row.onlyAppid) {
      return candidates.includes(row.onlyAppid)
        ? row.onlyAppid
        : this.#ownAccount(row.onlyAppid, row.tenantId);
    }
    return candidates.length === 1 ? (candidates[0] ?? null) : null;
  }

  async #ownAccount(appid: string | null, tenantId: string): Promise<string | null> {
    const account = appid === null ? null : await this.accounts.find(appid);
    return account?.tenantId === tenantId ? account.appid : null;
  }

  /** Tokens, account and result in one transaction: a token that WeChat gave out once is never half kept. */
  async #record(
    issued: IssuedAuthorization,
    row: Authorization | null,
    changedAt: Date,
  ): Promise<void> {
    const { appid, permissionIds } = issued;
    const isWrongAccount = row !== null && row.onlyAppid !== null && row.onlyAppid !== appid;
    const tenantId = row && !isWrongAccount ? row.tenantId : null;
    const now = this.clock.now();
    await this.db.write(async (tx) => {
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
    this.logger.info('account.authorized', { appid, isAskedFor: row !== null });
    await this.#readDetails(appid);
  }

  /** Not part of the authorization: when it fails, the schedule catches up. */
  async #readDetails(appid: string): Promise<void> {
    try {
      await this.accountsSync.refreshDetails(appid);
    } catch (error) {
      this.logger.warn('account.details_failed', { appid, ...errorFields(error) });
    }
  }

  async #fail(row: Authorization, error: unknown): Promise<void> {
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

  async #view(row: Authorization): Promise<AuthorizationView> {
    const isExpired = row.status === 'pending' && row.expiresAt <= this.clock.now();
    const account = row.appid === null ? null : await this.accounts.find(row.appid);
    return {
      authorization: row,
      status: isExpired ? 'expired' : row.status,
      // Of another tenant's account nothing is told.
      account: account?.tenantId === row.tenantId ? account : null,
      failure: row.failureCode && { code: row.failureCode, errcode: row.failureErrcode },
    };
  }
}

/** Whether trying the same code again is of no use. */
function isFinal(error: unknown): boolean {
  if (error instanceof AuthorizationLostError) return true;
  if (error instanceof WechatUnavailableError || error instanceof AppError) return false;
  if (!(error instanceof WechatApiError)) return false;
  return ['auth_code', 'reauthorize', 'account_state', 'permission'].includes(error.errorClass);
}

function failureCodeOf(error: unknown): FailureCode {
  if (error instanceof AuthorizationLostError) return 'authorization_lost';
  if (!(error instanceof WechatApiError) || error.errorClass !== 'auth_code') return 'wechat_error';
  return error.errcode === CODE_EXPIRED
    ? 'authorization_code_expired'
    : 'authorization_code_invalid';
}

/** 256 random bits, 43 characters. */
function randomToken(): string {
  return randomBytes(32).toString('base64url');
}

function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
