import { Injectable } from '@nestjs/common';

import { Heartbeat } from '../../queue/heartbeat.js';
import { DeliveriesRepository, type Held } from '../deliveries/deliveries.repository.js';

/** The leases of what this process sends, renewed together as long as it lives. */
@Injectable()
export class DeliveryLeases {
  readonly #held = new Set<Held>();
  /** Ids of those whose rows a transaction of ours has locked, or is about to. */
  readonly #ending = new Set<string>();
  #stopRenewing: (() => void) | null = null;

  constructor(
    private readonly deliveries: DeliveriesRepository,
    private readonly heartbeat: Heartbeat,
  ) {}

  /** Renews the lease from now on. @returns ends that */
  hold({ id, epoch }: Held): () => void {
    const held = { id, epoch };
    this.#held.add(held);
    this.#stopRenewing ??= this.heartbeat.hold(() => this.#renew());
    return () => {
      this.#held.delete(held);
      if (this.#held.size > 0) return;
      this.#stopRenewing?.();
      this.#stopRenewing = null;
    };
  }

  /**
   * Renews none of them while `work` writes their ends: a renewal would wait for their rows with all the others' locked as
   * well. Nobody else can take a locked row over, whatever its lease.
   */
  async whileEnding<T>(ids: readonly string[], work: () => Promise<T>): Promise<T> {
    for (const id of ids) this.#ending.add(id);
    try {
      return await work();
    } finally {
      for (const id of ids) this.#ending.delete(id);
    }
  }

  async #renew(): Promise<void> {
    const held = [...this.#held].filter(({ id }) => !this.#ending.has(id));
    await this.deliveries.renew(held, this.heartbeat.leaseMs);
  }
}
