import { Injectable } from '@nestjs/common';

import type { Tx } from '../database/database.js';

/** What a handler knows of the work beside its payload. */
export interface WorkContext {
  id: string;
  appid: string | null;
  /** 1 at the first try. */
  attempts: number;
  /**
   * Ends the work in the transaction of its effect, which then happens once however often the work is tried.
   *
   * @throws LeaseLostError when another process has taken it over: the transaction must not be kept
   */
  finish(tx: Tx): Promise<void>;
}

/** Does the work. It may run again after a failure or a crash, so twice must be the same as once. */
export type WorkHandler<P extends object = object> = (
  payload: P,
  context: WorkContext,
) => Promise<void>;

export interface WorkKindOptions {
  /** How many at once in a process. */
  concurrency: number;
  /** After so many failures it is dead until somebody revives it. */
  maxAttempts: number;
  /** The pause after the first failure; it doubles with each further one. */
  firstRetryMs: number;
  longestRetryMs: number;
}

export interface WorkKind extends WorkKindOptions {
  kind: string;
  handler: WorkHandler;
}

const DEFAULTS: WorkKindOptions = {
  concurrency: 4,
  maxAttempts: 12,
  firstRetryMs: 10_000,
  longestRetryMs: 600_000,
};

/** Who does what: the rooms above register themselves, the queue knows none of them. */
@Injectable()
export class WorkHandlers {
  readonly #kinds = new Map<string, WorkKind>();

  /** @throws TypeError when the kind has a handler already */
  register<P extends object>(
    kind: string,
    handler: WorkHandler<P>,
    options: Partial<WorkKindOptions> = {},
  ): void {
    if (this.#kinds.has(kind)) throw new TypeError(`The work ${kind} has a handler already.`);
    // A payload is what was added under the same kind.
    this.#kinds.set(kind, { ...DEFAULTS, ...options, kind, handler: handler as WorkHandler });
  }

  find(kind: string): WorkKind | null {
    return this.#kinds.get(kind) ?? null;
  }

  all(): WorkKind[] {
    return [...this.#kinds.values()];
  }
}

/** The pause before the next try. */
export function retryDelay(
  { firstRetryMs, longestRetryMs }: WorkKindOptions,
  attempts: number,
): number {
  return Math.min(firstRetryMs * 2 ** (attempts - 1), longestRetryMs);
}
