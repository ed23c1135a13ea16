import { GroupCommit } from './group-commit.js';

const BOUNDS = {
  maxItems: 500,
  maxBytes: Infinity,
  maxWaitingItems: 10_000,
  maxWaitingBytes: Infinity,
  // Longer than a statement that a silent database has swallowed.
  withinMs: 15_000,
};

/**
 * Reads together what the calls of one turn of the event loop ask for, or of those that come while another look is under
 * way. Nothing is remembered: each look begins after it was asked for, and sees what had been committed by then.
 */
export class GroupRead<K, V> {
  readonly #group: GroupCommit<K, V>;

  /** @param read looks for all of them in one statement. @returns one result for each, in their order */
  constructor(isSqlite: boolean, read: (keys: readonly K[]) => Promise<V[]>) {
    this.#group = new GroupCommit({
      ...BOUNDS,
      ...(isSqlite ? { inFlight: 1 } : { inFlight: 2, inFlightWhenSlow: 4 }),
      commit: read,
      weigh: () => 0,
    });
  }

  /** @throws AppError `storage_unavailable` when the database does not answer in time */
  find(key: K): Promise<V> {
    return this.#group.add(key);
  }
}
