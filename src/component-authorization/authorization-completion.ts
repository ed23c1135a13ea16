import { WechatApiError, WechatUnavailableError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { AuditActor } from '../access/audit.service.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import type { PushContext } from '../pushes/push-handlers.js';
import { SharedMutex } from '../queue/shared-mutex.js';
import { TokensService } from '../tokens/tokens.service.js';
import { AuthorizationExchange, AuthorizationLostError } from './authorization-exchange.js';
import { AuthorizationRecorder } from './authorization-recorder.js';
import type { Authorization } from './authorization.entity.js';
import { AuthorizationsRepository } from './authorizations.repository.js';
import { AuthorizationsService, type AuthorizationView } from './authorizations.service.js';
import { digest } from './digest.js';

const CALLBACK_PAGE: AuditActor = { type: 'page', name: 'authorization-callback' };

/** What the browser that came back from WeChat is told. */
export type CallbackOutcome =
  /** The result, final; the same at every reload. */
  | { kind: 'result'; view: AuthorizationView }
  /** WeChat could not be asked; the code is still good, and a reload asks again. */
  | { kind: 'try_again'; view: AuthorizationView }
  /** Not a state of ours, one that has run out, or one that was used with another code. */
  | { kind: 'refused'; reason: 'unknown_state' | 'expired' | 'other_code' | 'no_code' };

/**
 * Brings an authorization to its end, by the browser that comes back and by WeChat's events, in whatever order:
 * redeemed once, recorded once.
 */
@Injectable()
export class AuthorizationCompletion {
  constructor(
    private readonly db: Database,
    private readonly authorizations: AuthorizationsRepository,
    private readonly viewer: AuthorizationsService,
    private readonly exchange: AuthorizationExchange,
    private readonly recorder: AuthorizationRecorder,
    private readonly accounts: AccountsService,
    private readonly tokens: TokensService,
    private readonly turns: SharedMutex,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** The browser came back from WeChat. Only a state of ours is believed, with the first code it came with. */
  async completeByRedirect(state: string, code: string | undefined): Promise<CallbackOutcome> {
    const found = await this.authorizations.findByState(digest(state));
    if (!found) return { kind: 'refused', reason: 'unknown_state' };
    if (!code) return { kind: 'refused', reason: 'no_code' };
    return this.turns.run(found.id, async () => {
      const row = (await this.authorizations.find(found.id)) ?? found;
      const isFirstVisit = row.authCodeHash === null && row.status === 'pending';
      if (isFirstVisit && row.expiresAt <= this.clock.now())
        return { kind: 'refused', reason: 'expired' };
      if (!(await this.authorizations.bindCode(row.id, digest(code)))) {
        return { kind: 'refused', reason: 'other_code' };
      }
      if (row.status !== 'pending') return { kind: 'result', view: await this.viewer.view(row) };
      return this.#redeemRedirect(row, code);
    });
  }

  /** WeChat's `authorized` or `updateauthorized` event. Throws when it should be tried again later. */
  async completeByPush(
    push: {
      kind: string;
      appid: string;
      authorizationCode: string;
      preAuthCode: string | null;
      createTime: number;
    },
    { finish }: Pick<PushContext, 'finish'>,
  ): Promise<void> {
    const { appid } = push;
    const changedAt = new Date(push.createTime * 1000);
    const actor: AuditActor = { type: 'wechat', name: push.kind };
    const found = push.preAuthCode
      ? await this.authorizations.findByPreAuthCode(digest(push.preAuthCode))
      : null;
    await this.turns.run(found?.id ?? appid, async () => {
      const account = await this.accounts.find(appid);
      if (account && account.authorizationChangedAt > changedAt) {
        this.logger.info('authorization.event_outdated', { appid, changedAt });
        return;
      }
      const row = found && (await this.authorizations.find(found.id));
      if (account?.authorizationState === 'authorized' && row?.appid === appid) {
        // The redirect was first: what is new is WeChat's own time of the authorization. Until now it had an earlier one,
        // so that a cancellation of before the scan may have ended it: then this event has to give it back.
        await this.db.write(async (tx) => {
          await finish(tx);
          await this.accounts.recordAuthorizedAt(tx, appid, changedAt);
        });
        return;
      }
      try {
        const issued = await this.exchange.redeemPushed(push.authorizationCode, appid);
        await this.recorder.record(issued, row, { changedAt, actor, finish });
      } catch (error) {
        if (!isFinal(error)) throw error;
        this.logger.warn('authorization.exchange_failed', { appid, ...errorFields(error) });
        if (row) await this.recorder.fail(row, error, { actor, finish });
      }
    });
  }

  /** WeChat's `unauthorized` event. One from before the present authorization changes nothing. */
  async recordUnauthorized(
    push: { kind: string; appid: string; createTime: number },
    { finish }: Pick<PushContext, 'finish'>,
  ): Promise<void> {
    const { appid } = push;
    const at = new Date(push.createTime * 1000);
    const actor: AuditActor = { type: 'wechat', name: push.kind };
    await this.turns.run(appid, async () => {
      const account = await this.accounts.find(appid);
      if (!account || account.authorizationChangedAt > at) {
        this.logger.info('authorization.event_outdated', { appid, at, isKnown: account !== null });
        return;
      }
      await this.db.write(async (tx) => {
        await finish(tx);
        const readAt = account.authorizationChangedAt;
        await this.accounts.recordUnauthorized(tx, appid, { actor, at }, readAt);
      });
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
      await this.recorder.record(issued, row, { changedAt: row.createdAt, actor: CALLBACK_PAGE });
    } catch (error) {
      this.logger.warn('authorization.exchange_failed', errorFields(error));
      if (!isFinal(error)) return { kind: 'try_again', view: await this.viewer.view(row) };
      await this.recorder.fail(row, error, { actor: CALLBACK_PAGE });
    }
    const finished = (await this.authorizations.find(row.id)) ?? row;
    return { kind: 'result', view: await this.viewer.view(finished) };
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
}

/** Whether trying the same code again is of no use. */
function isFinal(error: unknown): boolean {
  if (error instanceof AuthorizationLostError) return true;
  if (error instanceof WechatUnavailableError || error instanceof AppError) return false;
  if (!(error instanceof WechatApiError)) return false;
  return ['auth_code', 'reauthorize', 'account_state', 'permission'].includes(error.errorClass);
}
