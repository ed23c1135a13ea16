import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { STOP_WITHIN_MS } from '../common/stop.js';
import { ApiKeysRepository } from './api-keys.repository.js';

/** A key in constant use is written down so often. */
const PERIOD_MS = 60_000;
/** Keys that were used in this time are written down together. */
const GATHER_MS = 1_000;

/** Writes down when keys were last used, beside the requests: nobody waits for it, and its failures are nobody's. */
@Injectable()
export class KeyUses implements BeforeApplicationShutdown {
  readonly #notedAt = new Map<string, number>();
  readonly #waiting = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly keys: ApiKeysRepository,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  note(keyId: string): void {
    const now = this.clock.now().getTime();
    const notedAt = this.#notedAt.get(keyId);
    if (notedAt !== undefined && now - notedAt < PERIOD_MS) return;
    this.#notedAt.set(keyId, now);
    this.#waiting.add(keyId);
    this.#timer ??= setTimeout(() => void this.#write(), GATHER_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await inTime(this.#write(), STOP_WITHIN_MS, () => new Error('the database is silent')).catch(
      () => undefined,
    );
  }

  /** What could not be written is left out: the next minute brings a newer time. */
  async #write(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const ids = [...this.#waiting];
    this.#waiting.clear();
    if (ids.length === 0) return;
    const now = this.clock.now();
    try {
      await this.keys.recordUses(ids, now, new Date(now.getTime() - PERIOD_MS));
    } catch (error) {
      this.logger.warn('api_key.use_not_written', { keys: ids.length, ...errorFields(error) });
    }
  }
}
