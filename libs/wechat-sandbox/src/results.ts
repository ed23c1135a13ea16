import type { XmlInput } from '@app/wechat';

import type { SandboxReceipt } from './own-push.js';
import type { PushResult } from './pusher.js';
import type { SandboxData } from './state.js';

/** What became of a message, to be told to the account. */
export interface PendingResult {
  appid: string;
  msgid: string;
  /** An event of the account; for a subscription message, a receipt. */
  event: { fields: XmlInput } | { receipt: SandboxReceipt };
}

/**
 * When results are told: `after_answer` is WeChat as a rule; `before_answer` is WeChat overtaking itself; `held` until
 * they are released, dropped or repeated by hand.
 */
export type ResultTiming = 'after_answer' | 'before_answer' | 'held';

export interface Release {
  /** In this order; all that are held, unless it is said. */
  msgids?: readonly string[];
  isReversed?: boolean;
  /** How often each is told; default once. */
  times?: number;
  /** Stays held, to be told again. */
  isKept?: boolean;
  /** By the account's own push configuration or by the platform's; the first, where there is one, unless it is said. */
  via?: 'own' | 'platform';
}

/** The results of messages on their way to the account. Nothing here waits for time to pass. */
export class Results {
  timing: ResultTiming = 'after_answer';
  #fresh: PendingResult[] = [];

  constructor(
    private readonly data: SandboxData,
    private readonly tell: (result: PendingResult, via: Release['via']) => Promise<PushResult>,
  ) {}

  /** Those that are held, the oldest first. */
  get held(): readonly PendingResult[] {
    return this.data.results;
  }

  /** For the call that is being answered. */
  add(result: PendingResult): void {
    this.#fresh.push(result);
  }

  /** Those of the call that has just been made. Calls are made one at a time, so they are its own. */
  takeFresh(): PendingResult[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    if (this.timing !== 'held') return fresh;
    this.data.results.push(...fresh);
    return [];
  }

  /** Tells one after the other. */
  async tellAll(results: readonly PendingResult[], via?: Release['via']): Promise<PushResult[]> {
    const told: PushResult[] = [];
    for (const result of results) told.push(await this.tell(result, via));
    return told;
  }

  /** Tells those that are held. @throws RangeError for a number that is not among them */
  release(how: Release = {}): Promise<PushResult[]> {
    const chosen = this.#choose(how.msgids);
    if (!how.isKept) this.#forget(chosen);
    const ordered = how.isReversed ? chosen.toReversed() : chosen;
    const repeated = Array.from({ length: how.times ?? 1 }, () => ordered).flat();
    return this.tellAll(repeated, how.via);
  }

  /** They are never told. @returns how many were held */
  drop(msgids?: readonly string[]): number {
    const chosen = this.#choose(msgids);
    this.#forget(chosen);
    return chosen.length;
  }

  #choose(msgids: readonly string[] | undefined): PendingResult[] {
    if (!msgids) return [...this.data.results];
    return msgids.map((msgid) => {
      const found = this.data.results.find((result) => result.msgid === msgid);
      if (!found) throw new RangeError(`No result of ${msgid} is held.`);
      return found;
    });
  }

  #forget(results: readonly PendingResult[]): void {
    this.data.results = this.data.results.filter((result) => !results.includes(result));
  }
}
