import type { PushRefusal } from '@app/wechat';
import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { STOP_WITHIN_MS } from '../common/stop.js';
import { type ReceiptNote, ReceiptConfigsRepository } from './receipt-configs.repository.js';

/** What comes in this time is written together: a flood of bad pushes costs one write a second. */
const GATHER_MS = 1_000;

/** Writes down what comes to the addresses, beside the pushes: no answer waits for it, and its failures are nobody's. */
@Injectable()
export class ReceiptNotes implements BeforeApplicationShutdown {
  readonly #waiting = new Map<string, ReceiptNote>();
  /** Set while a write is under way or was made a moment ago. */
  #pause: NodeJS.Timeout | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly configs: ReceiptConfigsRepository,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  handshakeVerified(appid: string): void {
    this.#of(appid).handshakeVerifiedAt = this.clock.now();
  }

  received(appid: string): void {
    this.#of(appid).lastReceivedAt = this.clock.now();
  }

  rejected(appid: string, reason: PushRefusal): void {
    this.#of(appid).rejection = { at: this.clock.now(), reason };
  }

  /** Resolves when what was noted until now stands in the database, or was given up. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await this.#write();
    await this.#writing;
  }

  async beforeApplicationShutdown(): Promise<void> {
    await inTime(this.settled(), STOP_WITHIN_MS, () => new Error('the database is silent')).catch(
      () => undefined,
    );
    if (this.#pause) clearTimeout(this.#pause);
  }

  #of(appid: string): ReceiptNote {
    let note = this.#waiting.get(appid);
    if (!note) {
      note = { handshakeVerifiedAt: null, lastReceivedAt: null, rejection: null };
      this.#waiting.set(appid, note);
    }
    // The first after a quiet while is to be seen at once. Not before the caller has said what it is.
    if (!this.#pause) {
      this.#rest();
      setImmediate(() => void this.#write());
    }
    return note;
  }

  #rest(): void {
    this.#pause = setTimeout(() => {
      this.#pause = null;
      if (this.#waiting.size === 0) return;
      this.#rest();
      void this.#write();
    }, GATHER_MS).unref();
  }

  #write(): Promise<void> {
    return (this.#writing = this.#writing.then(() => this.#writeAll()));
  }

  /** What could not be written is left out: the next push brings a newer note. */
  async #writeAll(): Promise<void> {
    const notes = new Map(this.#waiting);
    this.#waiting.clear();
    if (notes.size === 0) return;
    try {
      await this.configs.writeNotes(notes);
    } catch (error) {
      this.logger.warn('receipt.not_noted', { accounts: notes.size, ...errorFields(error) });
    }
  }
}
