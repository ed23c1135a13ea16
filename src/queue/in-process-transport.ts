import { Injectable } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import type { WorkKind } from './work-handlers.js';
import { type WorkPointer, WorkTransport } from './work-transport.js';
import { WorkRepository } from './work.repository.js';

const POLL = 'poll-work';
const POLL_MS = 1_000;

/** Each process looks for due rows itself: at once for what it has added, every second for everything else. */
@Injectable()
export class InProcessTransport extends WorkTransport {
  readonly #running = new Map<string, { kind: string; ended: Promise<void> }>();
  #kinds: readonly WorkKind[] = [];
  #run: ((id: string) => Promise<void>) | null = null;
  #looking: Promise<void> | null = null;
  #mustLookAgain = false;

  constructor(
    private readonly work: WorkRepository,
    private readonly clock: Clock,
    private readonly registry: SchedulerRegistry,
    private readonly logger: Logger,
  ) {
    super();
  }

  announce(_pointers: readonly WorkPointer[]): Promise<void> {
    this.#look();
    return Promise.resolve();
  }

  start(kinds: readonly WorkKind[], run: (id: string) => Promise<void>): void {
    this.#kinds = kinds;
    this.#run = run;
    this.registry.addInterval(
      POLL,
      setInterval(() => this.#look(), POLL_MS),
    );
    this.#look();
  }

  async stop(): Promise<void> {
    if (this.#run) this.registry.deleteInterval(POLL);
    this.#run = null;
    await this.#looking;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  /** One look at a time; one that is asked for meanwhile follows. */
  #look(): void {
    if (this.#looking) {
      this.#mustLookAgain = true;
      return;
    }
    this.#looking = this.#takeDue().finally(() => {
      this.#looking = null;
      if (!this.#mustLookAgain) return;
      this.#mustLookAgain = false;
      this.#look();
    });
  }

  async #takeDue(): Promise<void> {
    const run = this.#run;
    const spare = new Map(this.#kinds.map(({ kind, concurrency }) => [kind, concurrency]));
    for (const { kind } of this.#running.values()) spare.set(kind, (spare.get(kind) ?? 0) - 1);
    const kinds = [...spare].filter(([, places]) => places > 0).map(([kind]) => kind);
    if (!run || kinds.length === 0) return;
    const limit = [...spare.values()].reduce((sum, places) => sum + Math.max(0, places), 0);
    try {
      for (const { id, kind } of await this.work.findDue(kinds, this.clock.now(), limit)) {
        const places = spare.get(kind) ?? 0;
        if (places <= 0 || this.#running.has(id)) continue;
        spare.set(kind, places - 1);
        this.#begin(id, kind, run);
      }
    } catch (error) {
      this.logger.warn('work.not_polled', errorFields(error));
    }
  }

  #begin(id: string, kind: string, run: (id: string) => Promise<void>): void {
    const ended = run(id).finally(() => {
      this.#running.delete(id);
      // A place is free.
      this.#look();
    });
    this.#running.set(id, { kind, ended });
  }
}
