import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { Injectable } from '@nestjs/common';

import { KeyedMutex } from '../common/keyed-mutex.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { Heartbeat } from './heartbeat.js';
import { type HeldLease, LeasesRepository } from './leases.repository.js';

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 150;
/** Longer than what is done in turn takes; then its holder is taken for dead, or too slow to be waited for. */
const WAIT_MS = 15_000;

/**
 * Runs the work of one key in turns, whichever process does it. No connection is held meanwhile.
 *
 * It keeps processes from getting in each other's way, no more: a holder may die or be late, so what is written must
 * be right without it too.
 */
@Injectable()
export class SharedMutex {
  readonly #owner = randomUUID();
  readonly #turns = new KeyedMutex();

  constructor(
    private readonly db: Database,
    private readonly leases: LeasesRepository,
    private readonly heartbeat: Heartbeat,
    private readonly logger: Logger,
  ) {}

  /** @param key up to 59 characters */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    // The only process on its SQLite file has nobody else to wait for.
    return this.#turns.run(key, this.db.isSqlite ? work : () => this.#runAlone(key, work));
  }

  async #runAlone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const held = await this.#take(`turn:${key}`);
    if (!held) return work();
    const stopRenewing = this.heartbeat.hold(async () => {
      await this.leases.renew(held, this.heartbeat.leaseMs);
    });
    try {
      return await work();
    } finally {
      stopRenewing();
      await this.leases
        .remove(held)
        .catch((error: unknown) => this.logger.warn('turn.not_given_up', errorFields(error)));
    }
  }

  /** @returns null when waiting was of no use */
  async #take(name: string): Promise<HeldLease | null> {
    const deadline = performance.now() + WAIT_MS;
    for (
      let ms = FIRST_PAUSE_MS;
      performance.now() < deadline;
      ms = Math.min(ms * 1.5, LONGEST_PAUSE_MS)
    ) {
      const held = await this.leases.takeTurn(name, this.#owner, this.heartbeat.leaseMs);
      if (held) return held;
      await pause(ms);
    }
    this.logger.warn('turn.not_waited_for', { name });
    return null;
  }
}
