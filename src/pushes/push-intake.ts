import { randomInt } from 'node:crypto';

import {
  answerHandshake,
  dedupKey,
  type OpenedPush,
  openPush,
  type Push,
  PushError,
  type PushQuery,
  sealReply,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../config/env.js';
import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { Metrics } from '../common/metrics.js';
import type { RequestContext } from '../common/request-context.js';
import { PushAccounts } from './push-accounts.js';
import { type AccountPush, PushHandlers } from './push-handlers.js';
import { PushLedger, readPush, type VerifiedPush } from './push-ledger.js';

/** What a push is answered with when there is nothing to say. */
export const SUCCESS = 'success';
const UNKNOWN_KIND = 'unknown';
const XML_TYPE = 'application/xml; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';

/** What to answer, once the push is kept. */
export interface PushAnswer {
  body: string;
  contentType: string;
}

/** The component's two doors: verify, have it kept, answer. */
@Injectable()
export class PushIntake {
  constructor(
    private readonly env: Env,
    private readonly ledger: PushLedger,
    private readonly handlers: PushHandlers,
    private readonly accounts: PushAccounts,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {}

  /** The address check that WeChat may make when one of the component's addresses is saved. @throws PushError */
  answerHandshake(query: PushQuery): string {
    return answerHandshake(query, [this.env.component.token]);
  }

  /**
   * Takes a push to the component's event address. When this returns, the push is in the database.
   *
   * @param body the bytes as they came
   * @param request what brought it: where it is handled, that stands in the log and the audit rows
   * @throws PushError 400 or 403 for what is not a good push of WeChat's
   * @throws AppError `storage_unavailable` when it could not be kept
   */
  async receiveComponentEvent(
    body: Buffer,
    query: PushQuery,
    request: RequestContext,
  ): Promise<PushAnswer> {
    const { appid } = this.env.component;
    const opened = this.#open(body, query);
    const push = readPush(opened.fields);
    if (push && 'componentAppid' in push && push.componentAppid !== appid)
      throw new PushError('appid');
    const handler = push && this.handlers.find(push.kind);
    return this.#keep('component', appid, opened, { push, handler, request, reply: null });
  }

  /**
   * Takes a message or an event of an account that authorized us, likewise. What is for an account that we do not
   * hold, or that is switched off, is answered and forgotten.
   *
   * @param appid the account that the address names
   */
  async receiveAccountPush(
    appid: string,
    body: Buffer,
    query: PushQuery,
    request: RequestContext,
  ): Promise<PushAnswer> {
    const opened = this.#open(body, query);
    const push = readPush(opened.fields);
    const known = this.accounts.peek(appid);
    const account = known === undefined ? await this.accounts.find(appid) : known;
    if (!account) {
      this.metrics.pushes.inc({ door: 'account', kind: kindOf(push), outcome: 'dropped' });
      this.logger.info('push.dropped', { ...request, appid, kind: kindOf(push) });
      return { body: SUCCESS, contentType: TEXT_TYPE };
    }
    const ofAccount = push && 'toUserName' in push ? push : null;
    // The signature does not cover the address: a push of one account must not be passed off as another's.
    if (ofAccount && account.originalId && ofAccount.toUserName !== account.originalId)
      throw new PushError('appid');
    const handler = account.handler ?? (push && this.handlers.find(push.kind));
    const reply =
      ofAccount &&
      (account.reply ? account.reply(ofAccount, appid) : this.#reply(ofAccount, appid));
    return this.#keep('account', appid, opened, { push, handler, request, reply });
  }

  #open(body: Buffer, query: PushQuery): OpenedPush {
    const { appid, token, encodingAesKey } = this.env.component;
    return openPush(body, query, {
      tokens: [token],
      encodingAesKeys: [encodingAesKey],
      appid,
      mode: 'secure',
      formats: ['xml'],
    });
  }

  /** A reply that cannot be made must not cost the push: it is then only answered `success`. */
  #reply(push: AccountPush, appid: string): string | null {
    try {
      return this.handlers.reply(push, appid);
    } catch (error) {
      this.logger.error('push.reply_failed', { appid, error: String(error) });
      return null;
    }
  }

  async #keep(
    door: 'component' | 'account',
    account: string,
    opened: OpenedPush,
    about: Pick<VerifiedPush, 'push' | 'handler' | 'request'> & { reply: string | null },
  ): Promise<PushAnswer> {
    const { push, handler, request, reply } = about;
    const now = this.clock.now();
    const kind = kindOf(push);
    const kept = await this.ledger.keep({
      row: {
        id: uuidV7({ msecs: now.getTime() }),
        account,
        dedupKey: dedupKey(opened),
        kind,
        occurredAt: push ? new Date(push.createTime * 1000) : now,
        answer: reply && this.#sealReply(reply, opened, now),
      },
      content: opened.content,
      push,
      handler,
      request,
    });
    const isNew = kept?.isNew ?? true;
    this.metrics.pushes.inc({ door, kind, outcome: isNew ? 'kept' : 'duplicate' });
    this.logger.debug('push.received', { account, kind, isNew });
    const answer = kept?.answer ?? null;
    return answer === null
      ? { body: SUCCESS, contentType: TEXT_TYPE }
      : { body: answer, contentType: XML_TYPE };
  }

  #sealReply(clear: string, { encodingAesKey, format }: OpenedPush, now: Date): string {
    const { appid, token, encodingAesKey: key } = this.env.component;
    return sealReply(clear, {
      token,
      encodingAesKey: encodingAesKey ?? key,
      appid,
      timestamp: Math.floor(now.getTime() / 1000),
      nonce: String(randomInt(1_000_000_000, 9_999_999_999)),
      format,
    });
  }
}

function kindOf(push: Push | null): string {
  return push?.kind ?? UNKNOWN_KIND;
}
