import {
  answerHandshake,
  isSubscriptionEvent,
  type OpenedPush,
  openPush,
  type Push,
  PushError,
  type PushQuery,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { RequestContext } from '../common/request-context.js';
import { PushAccounts } from '../pushes/push-accounts.js';
import { PushHandlers } from '../pushes/push-handlers.js';
import { type PushAnswer, PushKeeper, TEXT_TYPE } from '../pushes/push-keeper.js';
import { readPush } from '../pushes/push-ledger.js';
import { type ReceiptDoor, ReceiptDoors } from './receipt-doors.js';
import { ReceiptNotes } from './receipt-notes.js';

/** The ledger's third door: a mini-program's own address, with its own Token, key and mode. */
@Injectable()
export class ReceiptIntake {
  constructor(
    private readonly doors: ReceiptDoors,
    private readonly keeper: PushKeeper,
    private readonly handlers: PushHandlers,
    private readonly accounts: PushAccounts,
    private readonly notes: ReceiptNotes,
  ) {}

  /**
   * The check of the address when it is saved in WeChat's console.
   *
   * @throws PushError 403
   * @throws AppError `not_found`, `storage_unavailable`
   */
  async answerHandshake(receiptKey: string, query: PushQuery): Promise<PushAnswer> {
    const door = await this.doors.get(receiptKey);
    const body = this.#noting(door, () => answerHandshake(query, this.#credentialsOf(door).tokens));
    this.notes.handshakeVerified(door.appid);
    return { body, contentType: TEXT_TYPE };
  }

  /**
   * Takes a push in. When this returns, it is in the database.
   *
   * Receipts are taken in as long as there is the account: they tell of what was sent before it was switched off. Everything
   * else of an account that is switched off is answered and forgotten, as at the component's door.
   *
   * @param body the bytes as they came
   * @throws PushError 400 or 403 for what is not a good push of this mini-program's
   * @throws AppError `not_found`; `storage_unavailable` when it could not be kept
   */
  async receive(
    receiptKey: string,
    body: Buffer,
    query: PushQuery,
    request: RequestContext,
  ): Promise<PushAnswer> {
    const door = await this.doors.get(receiptKey);
    const { opened, push } = this.#noting(door, () => this.#open(door, body, query));
    const about = { door: 'receipt', account: door.appid, push, request } as const;
    const handler = push && this.handlers.find(push);
    const keep = (): Promise<PushAnswer> =>
      this.keeper.keep({ ...about, opened, handler, answer: null });
    const answer = await (isReceipt(push)
      ? keep()
      : this.accounts.answer(door.appid, async (held) =>
          held ? keep() : this.keeper.drop(about),
        ));
    this.notes.received(door.appid);
    return answer;
  }

  #open(
    door: ReceiptDoor,
    body: Buffer,
    query: PushQuery,
  ): { opened: OpenedPush; push: Push | null } {
    const opened = openPush(body, query, this.#credentialsOf(door));
    const push = readPush(opened.fields);
    // Clear text has no appid at its end, and the signature does not cover it.
    const isForOther =
      push && 'toUserName' in push && door.originalId && push.toUserName !== door.originalId;
    if (isForOther) throw new PushError('appid');
    return { opened, push };
  }

  #credentialsOf(door: ReceiptDoor): ReturnType<ReceiptDoors['credentialsOf']> {
    const credentials = this.doors.credentialsOf(door);
    if (credentials.tokens.length === 0) throw new PushError('not_configured');
    return credentials;
  }

  #noting<T>(door: ReceiptDoor, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof PushError) this.notes.rejected(door.appid, error.reason);
      throw error;
    }
  }
}

function isReceipt(push: Push | null): boolean {
  return push?.kind === 'event' && isSubscriptionEvent(push.event);
}
