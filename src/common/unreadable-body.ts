import type { AppError } from './app-error.js';

/**
 * Stands where a body would that cannot be read, until somebody wants to read it: who may not call, or asks for what is
 * not there, is told that first.
 */
export class UnreadableBody {
  constructor(readonly problem: AppError) {}

  /** What tells it from another one: an `Idempotency-Key` is held against it. */
  toJSON(): object {
    return { unreadable: this.problem.code };
  }
}
