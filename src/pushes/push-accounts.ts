import { Injectable } from '@nestjs/common';

import { inTime } from '../common/in-time.js';
import type { PassiveReply, PushHandler } from './push-handlers.js';

/** An account whose messages are taken in. */
export interface HeldAccount {
  /** `gh_…`, to which its messages are addressed; empty while it is not known. */
  originalId: string;
  /** Instead of the handlers of the kinds, for an account that is not like the others. */
  handler?: PushHandler;
  /** Likewise instead of the passive replies. */
  reply?: PassiveReply;
}

/** Tells whether the account is held and switched on; null when not, or when it is another source's to tell. */
export type AccountSource = (appid: string) => Promise<HeldAccount | null>;

/** How long a process may go on with what it has read: as late as this a change is noticed. */
const FRESH_MS = 1_000;
/** A slow database must not delay every push: after this long, what was read last serves once more… */
const LOOK_UP_MS = 300;
/** …unless it is older than this. */
const STALE_MS = 60_000;
const MAX_REMEMBERED = 100_000;

interface Remembered {
  account: HeldAccount | null;
  at: number;
}

/** Which accounts' messages are ours: the rooms above know, this remembers for a moment. */
@Injectable()
export class PushAccounts {
  readonly #sources: AccountSource[] = [];
  readonly #remembered = new Map<string, Remembered>();
  readonly #lookUps = new Map<string, Promise<HeldAccount | null>>();

  register(source: AccountSource): void {
    this.#sources.push(source);
  }

  /** What was read a moment ago, without waiting; undefined when it has to be looked up. */
  peek(appid: string): HeldAccount | null | undefined {
    const known = this.#remembered.get(appid);
    return known && performance.now() - known.at < FRESH_MS ? known.account : undefined;
  }

  /** @returns null for an account that is unknown, switched off or deleted */
  async find(appid: string): Promise<HeldAccount | null> {
    const fresh = this.peek(appid);
    if (fresh !== undefined) return fresh;
    const known = this.#remembered.get(appid);
    const age = known ? performance.now() - known.at : Infinity;
    const lookUp = this.#lookUps.get(appid) ?? this.#lookUp(appid);
    if (!known || age > STALE_MS) return lookUp;
    return inTime(lookUp, LOOK_UP_MS, () => new Error('slow')).catch(() => known.account);
  }

  #lookUp(appid: string): Promise<HeldAccount | null> {
    const lookUp = this.#ask(appid).finally(() => this.#lookUps.delete(appid));
    this.#lookUps.set(appid, lookUp);
    return lookUp;
  }

  async #ask(appid: string): Promise<HeldAccount | null> {
    let account: HeldAccount | null = null;
    for (const source of this.#sources) account ??= await source(appid);
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(appid, { account, at: performance.now() });
    return account;
  }
}
