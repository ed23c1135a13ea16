import type { WorkKind } from './work-handlers.js';

/** Where a piece of work is to be found. Nothing of what it is about travels. */
export interface WorkPointer {
  id: string;
  kind: string;
  /** Raised by every claim: two pointers of one epoch are the same. */
  epoch: number;
  /** 0 is the most urgent. */
  priority: number;
  delayMs: number;
}

/**
 * Brings pointers to the processes that work. It may lose, repeat and reorder them: the rows say what is to be done,
 * and what is lost is pointed to again.
 */
export abstract class WorkTransport {
  /** Never rejects: what cannot be brought is found in the rows later. */
  abstract announce(pointers: readonly WorkPointer[]): Promise<void>;

  /**
   * Begins to bring pointers to this process.
   *
   * @param run does one piece of work if it is still to be done; never rejects
   */
  abstract start(kinds: readonly WorkKind[], run: (id: string) => Promise<void>): void;

  /** Brings no more, and resolves when every `run` has ended. */
  abstract stop(): Promise<void>;
}
