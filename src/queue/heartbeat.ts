import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { errorFields, Logger } from '../common/logger.js';

/** Renews leases that this process holds. */
export type Renewal = () => Promise<void>;

/** The pulse by which a living process keeps its leases: three times in the life of one, while any is held. */
@Injectable()
export class Heartbeat {
  readonly #renewals = new Set<Renewal>();
  #beating: NodeJS.Timeout | null = null;

  constructor(
    private readonly env: Env,
    private readonly logger: Logger,
  ) {}

  /** How long a lease lasts. */
  get leaseMs(): number {
    return this.env.leaseSeconds * 1000;
  }

  /** Calls `renew` at every beat. @returns stops it */
  hold(renew: Renewal): () => void {
    const renewal: Renewal = () => renew();
    this.#renewals.add(renewal);
    this.#beating ??= setInterval(() => this.#beat(), this.leaseMs / 3);
    return () => {
      this.#renewals.delete(renewal);
      if (this.#renewals.size > 0 || !this.#beating) return;
      clearInterval(this.#beating);
      this.#beating = null;
    };
  }

  #beat(): void {
    for (const renew of this.#renewals) void this.#renew(renew);
  }

  /** A lease that cannot be renewed runs out: what its holder then writes is refused by its epoch. */
  async #renew(renew: Renewal): Promise<void> {
    try {
      await renew();
    } catch (error) {
      this.logger.warn('lease.not_renewed', errorFields(error));
    }
  }
}
