import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { errorFields, Logger } from '../common/logger.js';

/** Renews leases that this process holds. */
export type Renewal = () => Promise<void>;

interface Held {
  renew: Renewal;
  isRenewing: boolean;
  /** A beat has come while it was renewing. */
  isDue: boolean;
}

/** The pulse by which a living process keeps its leases: three times in the life of one, while any is held. */
@Injectable()
export class Heartbeat {
  readonly #held = new Set<Held>();
  #beating: NodeJS.Timeout | null = null;

  constructor(
    private readonly env: Env,
    private readonly logger: Logger,
  ) {}

  /** How long a lease lasts. */
  get leaseMs(): number {
    return this.env.leaseSeconds * 1000;
  }

  /**
   * Calls `renew` at every beat, but never while its last call is under way: where the database is slow or has it wait for
   * a lock, a call at each beat would take one connection after the other. What was missed is made up for when it ends.
   *
   * @returns stops it
   */
  hold(renew: Renewal): () => void {
    const held: Held = { renew, isRenewing: false, isDue: false };
    this.#held.add(held);
    this.#beating ??= setInterval(() => this.#beat(), this.leaseMs / 3);
    return () => {
      this.#held.delete(held);
      if (this.#held.size > 0 || !this.#beating) return;
      clearInterval(this.#beating);
      this.#beating = null;
    };
  }

  #beat(): void {
    for (const held of this.#held) {
      held.isDue = true;
      if (!held.isRenewing) void this.#renew(held);
    }
  }

  async #renew(held: Held): Promise<void> {
    held.isRenewing = true;
    while (held.isDue && this.#held.has(held)) {
      held.isDue = false;
      await this.#try(held);
    }
    held.isRenewing = false;
  }

  /** A lease that cannot be renewed runs out: what its holder then writes is refused by its epoch. */
  async #try({ renew }: Held): Promise<void> {
    try {
      await renew();
    } catch (error) {
      this.logger.warn('lease.not_renewed', errorFields(error));
    }
  }
}
