import type { Push } from '@app/wechat';
import { Injectable } from '@nestjs/common';

/**
 * Does what a push asks for. Runs from the ledger, after the answer; may run again after a failure or a crash,
 * so doing it twice must be the same as doing it once.
 */
export type PushHandler<P extends Push = Push> = (push: P) => Promise<void>;

/** Who handles what: the rooms above register themselves, the ledger knows none of them. */
@Injectable()
export class PushHandlers {
  readonly #handlers = new Map<string, PushHandler>();

  /** @throws TypeError when the kind has a handler already */
  register<K extends Push['kind']>(
    kind: K,
    handler: PushHandler<Extract<Push, { kind: K }>>,
  ): void {
    if (this.#handlers.has(kind))
      throw new TypeError(`The push kind ${kind} has a handler already.`);
    // The ledger hands every handler the pushes of its own kind only.
    this.#handlers.set(kind, handler as PushHandler);
  }

  find(kind: string): PushHandler | null {
    return this.#handlers.get(kind) ?? null;
  }
}
