import { AppError } from '../common/app-error.js';
import { isStorageAway } from './storage-away.js';

export interface GroupCommitOptions<I, O> {
  /** Writes the items in one statement. @returns one result for each, in their order */
  commit: (items: I[]) => Promise<O[]>;
  /** How much an item weighs, in bytes. */
  weigh: (item: I) => number;
  /** Statements under way at once: few make large groups. */
  inFlight: number;
  /** As many once all of them are slow: one that waits must not wait for two of them. Default: no more. */
  inFlightWhenSlow?: number;
  maxItems: number;
  maxBytes: number;
  /** Bounds of what may wait; beyond them items are refused at once. */
  maxWaitingItems: number;
  maxWaitingBytes: number;
  /** How long a caller waits for its item. What is still waiting then is not written any more. */
  withinMs: number;
  /**
   * Where items have nothing to do with each other: called when a group has failed, not for want of the storage. Each is
   * then written alone, so that what is wrong with one does not cost the others. Default: all of them have failed.
   */
  onSplit?: (error: unknown, items: number) => void;
}

interface Waiting<I, O> {
  item: I;
  bytes: number;
  since: number;
  resolve: (result: O) => void;
  reject: (error: unknown) => void;
  /** Called when its statement has come back. */
  ended?: () => void;
}

/** A statement that has taken so long is slow. */
const SLOW_MS = 250;

/**
 * Gathers what the calls of one turn of the event loop bring and writes it as one group: one commit for all of them,
 * without making the first one wait for more to come.
 *
 * While the storage is silent, callers are refused: those that wait when their time is up, and new ones at once.
 */
export class GroupCommit<I, O> {
  readonly #waiting: Waiting<I, O>[] = [];
  readonly #startedAt = new Set<{ at: number }>();
  #waitingBytes = 0;
  /** What has come in this turn of the event loop; null while nothing has. */
  #turn: Waiting<I, O>[] | null = null;

  constructor(private readonly options: GroupCommitOptions<I, O>) {}

  /**
   * Resolves when the item is committed.
   *
   * @throws AppError `storage_unavailable` when it is not, or not in time: it may then be committed all the same
   */
  add(item: I): Promise<O> {
    const { weigh } = this.options;
    const bytes = weigh(item);
    if (this.#isFull(bytes) || this.#isSilent())
      return Promise.reject(new AppError('storage_unavailable'));
    return new Promise<O>((resolve, reject) => {
      const one = { item, bytes, since: performance.now(), resolve, reject };
      this.#waiting.push(one);
      this.#waitingBytes += bytes;
      this.#ofThisTurn().push(one);
    });
  }

  #isFull(bytes: number): boolean {
    const { maxWaitingItems, maxWaitingBytes } = this.options;
    return this.#waiting.length >= maxWaitingItems || this.#waitingBytes + bytes > maxWaitingBytes;
  }

  /** Every statement that may be under way is, and none has come back in the time that a caller waits. */
  #isSilent(): boolean {
    const { inFlight, inFlightWhenSlow = inFlight, withinMs } = this.options;
    return this.#startedAt.size >= inFlightWhenSlow && this.#haveAllTaken(withinMs);
  }

  #mayStart(): boolean {
    const { inFlight, inFlightWhenSlow = inFlight } = this.options;
    const underWay = this.#startedAt.size;
    return underWay < inFlight || (underWay < inFlightWhenSlow && this.#haveAllTaken(SLOW_MS));
  }

  #haveAllTaken(ms: number): boolean {
    const before = performance.now() - ms;
    return [...this.#startedAt].every(({ at }) => at < before);
  }

  #ofThisTurn(): Waiting<I, O>[] {
    if (this.#turn) return this.#turn;
    const turn: Waiting<I, O>[] = [];
    this.#turn = turn;
    setImmediate(() => {
      this.#turn = null;
      this.#limit(turn);
      this.#flush();
    });
    return turn;
  }

  /** One timer for all that came together. Refusing what has been answered changes nothing. */
  #limit(turn: readonly Waiting<I, O>[]): void {
    let open = turn.length;
    const timer = setTimeout(() => {
      for (const { reject } of turn) reject(new AppError('storage_unavailable'));
    }, this.options.withinMs);
    for (const one of turn) {
      one.ended = () => {
        open -= 1;
        if (open === 0) clearTimeout(timer);
      };
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#mayStart()) {
      const group = this.#takeGroup();
      if (group.length > 0) void this.#commit(group);
    }
  }

  #takeGroup(): Waiting<I, O>[] {
    const { maxItems, maxBytes, withinMs } = this.options;
    const tooOld = performance.now() - withinMs;
    const group: Waiting<I, O>[] = [];
    let bytes = 0;
    let taken = 0;
    for (const one of this.#waiting) {
      if (group.length >= maxItems || (group.length > 0 && bytes + one.bytes > maxBytes)) break;
      taken += 1;
      this.#waitingBytes -= one.bytes;
      // Its caller has been refused already.
      if (one.since <= tooOld) continue;
      group.push(one);
      bytes += one.bytes;
    }
    this.#waiting.splice(0, taken);
    return group;
  }

  async #commit(group: Waiting<I, O>[]): Promise<void> {
    const started = { at: performance.now() };
    this.#startedAt.add(started);
    try {
      const results = await this.options.commit(group.map(({ item }) => item));
      group.forEach(({ resolve }, n) => resolve(results[n] as O));
    } catch (error) {
      const { onSplit } = this.options;
      if (onSplit && group.length > 1 && !isStorageAway(error)) {
        onSplit(error, group.length);
        for (const one of group) await this.#commitAlone(one);
      } else for (const { reject } of group) reject(error);
    } finally {
      for (const { ended } of group) ended?.();
      this.#startedAt.delete(started);
      this.#flush();
    }
  }

  async #commitAlone({ item, resolve, reject }: Waiting<I, O>): Promise<void> {
    try {
      const [result] = await this.options.commit([item]);
      resolve(result as O);
    } catch (error) {
      reject(error);
    }
  }
}
