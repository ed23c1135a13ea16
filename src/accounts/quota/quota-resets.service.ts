import {
  clearQuota,
  clearQuotaBySecret,
  WechatApiError,
  WechatHttp,
  WechatUnavailableError,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../../config/env.js';
import { AuditService } from '../../access/audit.service.js';
import type { Caller } from '../../access/roles.js';
import { Clock } from '../../common/clock.js';
import { crashPoint } from '../../common/crash-point.js';
import { errorFields, Logger } from '../../common/logger.js';
import { AccountData } from '../../database/account-data.js';
import { Database } from '../../database/database.js';
import { EventsService } from '../../events/events.service.js';
import { TokenUnavailableError } from '../../tokens/token-errors.js';
import { TokensService } from '../../tokens/tokens.service.js';
import type { QuotaReset, ResetOutcome } from './quota.entity.js';
import { QuotaBudgetExhaustedError, QuotaResetLostError } from './quota-errors.js';
import { QuotaPauses } from './quota-pauses.js';
import { QuotaRepository } from './quota.repository.js';
import { shanghaiMonth, startOfMonth } from './shanghai-time.js';

/** Of an account, whoever asks: the console's button, other platforms and we share them. */
export const RESETS_A_MONTH = 10;
/** A call that begins so shortly before a month ends may be counted in the next one. */
const CALL_MAY_TAKE_MS = 20_000;
/** WeChat does not say when its month turns: that none is left is asked again, if it was said on the first day of ours. */
const FIRST_DAY_MS = 86_400_000;
const ASK_AGAIN_MS = 3_600_000;
const PATHS = ['/cgi-bin/clear_quota', '/cgi-bin/component/clear_quota/v2'];

/** Whose quota: an account's, or the platform's own. */
export interface QuotaSubject {
  appid: string;
  tenantId: string | null;
}

/** What a month allows. */
export interface Budget {
  month: string;
  limit: number;
  used: number;
  remaining: number;
  exhaustedByWechat: boolean;
}

/** A reset with what is left after it. */
export interface ResetWithBudget {
  reset: QuotaReset;
  budget: Budget;
}

/**
 * Resets WeChat's daily counters, never more often than ten times a month: one of the ten is taken before WeChat is
 * asked, and given back only when WeChat has refused.
 */
@Injectable()
export class QuotaResets implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly quotas: QuotaRepository,
    private readonly pauses: QuotaPauses,
    private readonly tokens: TokensService,
    private readonly wechat: WechatHttp,
    private readonly events: EventsService,
    private readonly audit: AuditService,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'quota_reset',
      erase: (tx, appid, limit) => this.quotas.eraseResets(tx, appid, limit),
    });
  }

  /** This month's resets, the newest first, and what is left. */
  async list(appid: string): Promise<{ budget: Budget; resets: QuotaReset[] }> {
    const budget = await this.#budget(appid);
    return { budget, resets: await this.quotas.findResets(appid, budget.month) };
  }

  /**
   * Resets all counters of the appid.
   *
   * @throws QuotaBudgetExhaustedError by our count, or when WeChat says so
   * @throws QuotaResetLostError when the answer was lost: it counts, and is not tried again
   * @throws WechatApiError, WechatUnavailableError, AppError when WeChat did nothing: it does not count
   */
  async reset(subject: QuotaSubject, caller: Caller): Promise<ResetWithBudget> {
    const { reset, months } = await this.#reserve(subject, caller);
    crashPoint('quota.reserved');
    try {
      await this.#clear(subject.appid);
    } catch (error) {
      await this.#keepFailure(subject, caller, { reset, months, error });
      if (error instanceof WechatApiError && error.errorClass === 'quota_month')
        throw new QuotaBudgetExhaustedError(error);
      if (isLost(error)) throw new QuotaResetLostError();
      throw error;
    }
    crashPoint('quota.answered');
    await this.#keepSuccess(subject, caller, reset);
    return { reset, budget: await this.#budget(subject.appid) };
  }

  #reserve(
    subject: QuotaSubject,
    caller: Caller,
  ): Promise<{ reset: QuotaReset; months: string[] }> {
    const { appid } = subject;
    const now = this.clock.now();
    const ends = new Date(now.getTime() + CALL_MAY_TAKE_MS);
    const months = [...new Set([shanghaiMonth(now), shanghaiMonth(ends)])];
    const reset: QuotaReset = {
      id: uuidV7({ msecs: now.getTime() }),
      appid,
      month: shanghaiMonth(now),
      actorName: caller.name,
      outcome: 'unknown',
      errcode: null,
      errmsg: null,
      rid: null,
      path: null,
      requestedAt: now,
    };
    return this.db.write(async (tx) => {
      for (const month of months) {
        const one = { appid, month, limit: RESETS_A_MONTH };
        if (!(await this.quotas.takeOne(tx, one, believedSince(month, now))))
          throw new QuotaBudgetExhaustedError(null);
      }
      await this.quotas.insertReset(tx, reset);
      await this.audit.record(tx, {
        actor: caller,
        action: 'quota_reset.requested',
        target: appid,
        tenantId: subject.tenantId,
        detail: { resetId: reset.id, month: reset.month },
      });
      return { reset, months };
    });
  }

  /** With the account's own token; by the platform's secret where WeChat gives none for want of quota. */
  async #clear(appid: string): Promise<void> {
    try {
      await this.tokens.withToken(appid, (token) => clearQuota(this.wechat, token, appid));
    } catch (error) {
      const isOutOfQuota = error instanceof WechatApiError && error.errorClass === 'quota_day';
      if (!isOutOfQuota && !(error instanceof TokenUnavailableError)) throw error;
      this.logger.warn('quota.reset_by_secret', { appid, ...errorFields(error) });
      const { appid: componentAppid, appSecret: componentAppSecret } = this.env.component;
      const component = { componentAppid, componentAppSecret };
      const isOwn = appid === componentAppid;
      await clearQuotaBySecret(this.wechat, isOwn ? component : { ...component, appid });
    }
  }

  async #keepSuccess(subject: QuotaSubject, caller: Caller, reset: QuotaReset): Promise<void> {
    const { appid, tenantId } = subject;
    reset.outcome = 'succeeded';
    await this.db.write(async (tx) => {
      await this.quotas.updateReset(tx, reset.id, { outcome: 'succeeded' });
      await this.quotas.noteExhausted(tx, appid, reset.month, null);
      await this.pauses.lift(tx, appid);
      await this.events.emit(
        tx,
        'quota.reset',
        { tenantId, appid: appid === this.env.component.appid ? null : appid },
        { appid, resetId: reset.id },
      );
      await this.#audit(tx, { subject, caller, reset, outcome: 'succeeded' });
    });
    this.logger.info('quota.reset', { appid, by: caller.name });
  }

  async #keepFailure(
    subject: QuotaSubject,
    caller: Caller,
    failed: { reset: QuotaReset; months: string[]; error: unknown },
  ): Promise<void> {
    const { reset, months, error } = failed;
    const { appid } = subject;
    const outcome = isLost(error) ? 'unknown' : 'failed';
    this.logger.warn('quota.reset_failed', { appid, outcome, ...errorFields(error) });
    const refusal = error instanceof WechatApiError ? error : null;
    await this.db.write(async (tx) => {
      if (outcome === 'failed') await this.quotas.giveBack(tx, appid, months);
      if (refusal?.errorClass === 'quota_month')
        await this.quotas.noteExhausted(tx, appid, reset.month, this.clock.now());
      await this.quotas.updateReset(tx, reset.id, {
        outcome,
        errcode: refusal?.errcode ?? null,
        errmsg: refusal?.errmsg.slice(0, 256) ?? null,
        rid: refusal?.rid?.slice(0, 64) ?? null,
        path: refusal?.path ?? null,
      });
      await this.#audit(tx, { subject, caller, reset, outcome, errcode: refusal?.errcode });
    });
  }

  async #audit(
    tx: Parameters<AuditService['record']>[0],
    about: {
      subject: QuotaSubject;
      caller: Caller;
      reset: QuotaReset;
      outcome: ResetOutcome;
      errcode?: number | undefined;
    },
  ): Promise<void> {
    const { subject, caller, reset, outcome, errcode } = about;
    await this.audit.record(tx, {
      actor: caller,
      action: 'quota_reset.ended',
      target: subject.appid,
      tenantId: subject.tenantId,
      outcome: outcome === 'succeeded' ? 'succeeded' : 'failed',
      detail: { resetId: reset.id, month: reset.month, outcome, errcode: errcode ?? null },
    });
  }

  async #budget(appid: string): Promise<Budget> {
    const now = this.clock.now();
    const month = shanghaiMonth(now);
    const row = await this.quotas.findBudget(appid, month);
    const used = row?.used ?? 0;
    const said = row?.exhaustedAt ?? null;
    const exhaustedByWechat = said !== null && said >= believedSince(month, now);
    return {
      month,
      limit: RESETS_A_MONTH,
      used,
      remaining: exhaustedByWechat ? 0 : RESETS_A_MONTH - used,
      exhaustedByWechat,
    };
  }
}

/** From when on WeChat's word that the month's resets are used up is believed. */
function believedSince(month: string, now: Date): Date {
  const start = startOfMonth(month).getTime();
  const isAskedAgain = now.getTime() - ASK_AGAIN_MS;
  // What was said within the first day may have been about the month before, by WeChat's own reckoning.
  return new Date(Math.min(isAskedAgain, start + FIRST_DAY_MS));
}

/** Whether WeChat may have reset the counters without our hearing of it. Getting a token for it resets nothing. */
function isLost(error: unknown): boolean {
  if (error instanceof WechatUnavailableError)
    return PATHS.includes(error.path) && error.maybeApplied;
  return (
    error instanceof WechatApiError &&
    PATHS.includes(error.path) &&
    error.errorClass === 'transient'
  );
}
