import { Injectable } from '@nestjs/common';

import { AppError } from '../common/app-error.js';
import { BriefMemory } from '../common/brief-memory.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import type { PassiveReply, PushHandler } from './push-handlers.js';

/** An account whose messages are taken in. */
export interface HeldAccount {
  /** `gh_…`, to which its messages are addressed; empty while it is not known. */
  originalId: string;
  /** As people know it. */
  nickname: string;
  /** Instead of the handlers of the kinds, for an account that is not like the others. */
  handler?: PushHandler;
  /** Likewise instead of the passive replies. */
  reply?: PassiveReply;
}

/** Tells whether the account is held and switched on; null when not, or when it is another source's to tell. */
export type AccountSource = (appid: string) => Promise<HeldAccount | null>;

/** Has in memory what an account's pushes are answered with. */
export type Preparation = (appid: string) => Promise<unknown>;

/** WeChat waits for five seconds. */
const ANSWER_WITHIN_MS = 4_300;
/** No push waits longer for them: what is not ready is answered without. */
const PREPARE_MS = 300;

/** Which accounts' messages are ours: the rooms above know, this remembers for a moment. */
@Injectable()
export class PushAccounts {
  readonly #sources: AccountSource[] = [];
  readonly #preparations: Preparation[] = [];
  readonly #memory = new BriefMemory((appid) => this.#ask(appid));

  constructor(private readonly logger: Logger) {}

  register(source: AccountSource): void {
    this.#sources.push(source);
  }

  /**
   * Asks for a preparation whenever an account is looked up: before its first push and then, while pushes come, once a
   * second. So what passive replies are made of is never older than what is known of the account.
   */
  prepare(preparation: Preparation): void {
    this.#preparations.push(preparation);
  }

  /**
   * Has a push answered by what is known of its account. Where that has to be looked up, the push is answered within the
   * time that WeChat waits: the look goes on and is done at its next try, and what is kept meanwhile is kept once.
   *
   * @param take gets null for an account that is unknown, switched off or deleted
   * @throws AppError `storage_unavailable` when the time is up
   */
  answer<T>(appid: string, take: (account: HeldAccount | null) => Promise<T>): Promise<T> {
    const known = this.#memory.peek(appid);
    if (known !== undefined) return take(known);
    const answer = this.#memory.find(appid).then(take);
    return inTime(answer, ANSWER_WITHIN_MS, () => new AppError('storage_unavailable'));
  }

  /** @returns null for an account that is unknown, switched off or deleted */
  find(appid: string): Promise<HeldAccount | null> {
    return this.#memory.find(appid);
  }

  async #ask(appid: string): Promise<HeldAccount | null> {
    const preparations = Promise.all(
      this.#preparations.map((prepare) =>
        prepare(appid).catch((error: unknown) =>
          this.logger.warn('push.not_prepared', { appid, ...errorFields(error) }),
        ),
      ),
    );
    let account: HeldAccount | null = null;
    for (const source of this.#sources) account ??= await source(appid);
    // What is not ready by then is so for the next push: there is nothing to tell.
    await inTime(preparations, PREPARE_MS, () => new Error('slow')).catch(() => undefined);
    return account;
  }
}
