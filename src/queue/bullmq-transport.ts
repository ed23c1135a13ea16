import { Injectable } from '@nestjs/common';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { errorFields, Logger } from '../common/logger.js';
import type { WorkKind } from './work-handlers.js';
import { type WorkPointer, WorkTransport } from './work-transport.js';

/** In braces, so that a Redis cluster keeps all of it in one place. */
const PREFIX = '{wechat-channel}';
/** A job whose process died before it could claim its row comes back after these. The row, not the lock, keeps work single. */
const LOCK_MS = 15_000;
const STALLED_EVERY_MS = 10_000;
const MAX_STALLED = 1_000;

/**
 * Work travels over Redis: one queue a kind, a job carries the id of a row and nothing else.
 *
 * @see https://docs.bullmq.io/
 */
@Injectable()
export class BullmqTransport extends WorkTransport {
  readonly #queues = new Map<string, Queue>();
  readonly #workers: Worker[] = [];
  readonly #producer: Redis;
  #isAway = false;

  constructor(
    private readonly redisUrl: string,
    private readonly logger: Logger,
  ) {
    super();
    // A producer must not wait for a Redis that is away: the rows are found again.
    this.#producer = this.#connect({ enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  }

  async announce(pointers: readonly WorkPointer[]): Promise<void> {
    const kinds = new Set(pointers.map(({ kind }) => kind));
    try {
      for (const kind of kinds) {
        const ofKind = pointers.filter((pointer) => pointer.kind === kind);
        await this.#queue(kind).addBulk(ofKind.map(toJob));
      }
    } catch (error) {
      this.logger.warn('work.not_announced', { count: pointers.length, ...errorFields(error) });
    }
  }

  start(kinds: readonly WorkKind[], run: (id: string) => Promise<void>): void {
    for (const { kind, concurrency } of kinds) {
      const worker = new Worker<{ id: string }>(kind, ({ data }) => run(data.id), {
        connection: this.#connect({ maxRetriesPerRequest: null }),
        prefix: PREFIX,
        concurrency,
        lockDuration: LOCK_MS,
        stalledInterval: STALLED_EVERY_MS,
        maxStalledCount: MAX_STALLED,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
      });
      worker.on('error', (error) => this.#note(error));
      this.#workers.push(worker);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#producer.disconnect();
  }

  #queue(kind: string): Queue {
    const known = this.#queues.get(kind);
    if (known) return known;
    const queue = new Queue(kind, { connection: this.#producer, prefix: PREFIX });
    queue.on('error', (error) => this.#note(error));
    this.#queues.set(kind, queue);
    return queue;
  }

  #connect(options: object): Redis {
    const redis = new Redis(this.redisUrl, { ...options, lazyConnect: false });
    redis.on('error', (error) => this.#note(error));
    redis.on('ready', () => {
      if (this.#isAway) this.logger.info('redis.back');
      this.#isAway = false;
    });
    return redis;
  }

  /** Once, not at every try to connect. */
  #note(error: Error): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.logger.warn('redis.away', errorFields(error));
  }
}

function toJob({ id, kind, epoch, priority, delayMs }: WorkPointer) {
  return {
    name: kind,
    data: { id },
    opts: {
      // The same pointer twice is one job.
      jobId: `${id}-${epoch}`,
      delay: Math.max(0, delayMs),
      // BullMQ's 0 is "none", which goes before all others.
      priority: priority + 1,
      removeOnComplete: true,
      removeOnFail: true,
    },
  };
}
