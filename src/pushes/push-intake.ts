import { randomInt } from 'node:crypto';

import {
  answerHandshake,
  type OpenedPush,
  openPush,
  type Push,
  PushError,
  type PushQuery,
  sealReply,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import type { RequestContext } from '../common/request-context.js';
import { type HeldAccount, PushAccounts } from './push-accounts.js';
import {
  type AccountPush,
  type AnsweringAccount,
  type NotedReply,
  PushHandlers,
} from './push-handlers.js';
import { type PushAnswer, PushKeeper, TEXT_TYPE } from './push-keeper.js';
import { readPush } from './push-ledger.js';

/** The component's two doors: verify, have it kept, answer. */
@Injectable()
export class PushIntake {
  constructor(
    private readonly env: Env,
    private readonly keeper: PushKeeper,
    private readonly handlers: PushHandlers,
    private readonly accounts: PushAccounts,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** The address check that WeChat may make when one of the component's addresses is saved. @throws PushError */
  answerHandshake(query: PushQuery): PushAnswer {
    const body = answerHandshake(query, [this.env.component.token]);
    return { body, contentType: TEXT_TYPE };
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
    const handler = push && this.handlers.find(push);
    return this.keeper.keep({
      door: 'component',
      account: appid,
      opened,
      push,
      handler,
      request,
      answer: null,
    });
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
    const about = { door: 'account', account: appid, push, request } as const;
    return this.accounts.answer(appid, (account) => this.#take(account, opened, about));
  }

  async #take(
    account: HeldAccount | null,
    opened: OpenedPush,
    about: { door: 'account'; account: string; push: Push | null; request: RequestContext },
  ): Promise<PushAnswer> {
    if (!account) return this.keeper.drop(about);
    const { account: appid, push } = about;
    const ofAccount = push && 'toUserName' in push ? push : null;
    // The signature does not cover the address: a push of one account must not be passed off as another's.
    if (ofAccount && account.originalId && ofAccount.toUserName !== account.originalId)
      throw new PushError('appid');
    const handler = account.handler ?? (push && this.handlers.find(push));
    const answering = { appid, nickname: account.nickname };
    const reply =
      ofAccount &&
      (account.reply ? account.reply(ofAccount, answering) : this.#reply(ofAccount, answering));
    const { document, by } = notedOf(reply);
    const answer = document && this.#sealReply(document, opened);
    return this.keeper.keep({ ...about, opened, handler, answer, answeredBy: by });
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
  #reply(push: AccountPush, account: AnsweringAccount): string | NotedReply | null {
    try {
      return this.handlers.reply(push, account);
    } catch (error) {
      this.logger.error('push.reply_failed', { appid: account.appid, error: String(error) });
      return null;
    }
  }

  #sealReply(clear: string, { encodingAesKey, format }: OpenedPush): string {
    const { appid, token, encodingAesKey: key } = this.env.component;
    return sealReply(clear, {
      token,
      encodingAesKey: encodingAesKey ?? key,
      appid,
      timestamp: Math.floor(this.clock.now().getTime() / 1000),
      nonce: String(randomInt(1_000_000_000, 9_999_999_999)),
      format,
    });
  }
}

function notedOf(reply: string | NotedReply | null): {
  document: string | null;
  by: string | null;
} {
  return typeof reply === 'string' || reply === null ? { document: reply, by: null } : reply;
}
