import { Injectable } from '@nestjs/common';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';

import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import type { WorkKind } from './work-handlers.js';
import { type WorkPointer, WorkTransport } from './work-transport.js';

/** A job whose process died before it could claim its row comes back after these. The row, not the lock, keeps work single. */
const LOCK_MS = 15_000;
const STALLED_EVERY_MS = 10_000;
const MAX_STALLED = 1_000;
/** A Redis that takes longer to take pointers in is as good as away. */
const ANNOUNCE_WITHIN_MS = 1_500;

/**
 * Work travels over Redis: one queue a kind, a job carries the id of a row and nothing else.
 *
 * @see https://docs.bullmq.io/
 */
@Injectable()
export class BullmqTransport extends WorkTransport {
  readonly #queues = new Map<string, Queue>();
  readonly #workers: Worker[] = [];
  readonly #connections: Redis[] = [];
  readonly #producer: Redis;
  /** Resolves when Redis was reached, or could have been. */
  readonly #firstTry: Promise<unknown>;
  #isAway = false;
  #isGivenUp = false;

  readonly #prefix: string;

  /** @param installation tells services apart that share a Redis */
  constructor(
    private readonly redisUrl: string,
    installation: string,
    private readonly logger: Logger,
  ) {
    super();
    // In braces, so that a Redis cluster keeps all of it in one place.
    this.#prefix = `{wechat-channel:${installation}}`;
    // A producer must not wait for a Redis that is away: the rows are found again.
    this.#producer = this.#connect({ enableOfflineQueue: false, maxRetriesPerRequest: 0 });
    const connected = new Promise((resolve) => this.#producer.once('ready', resolve));
    this.#firstTry = inTime(connected, ANNOUNCE_WITHIN_MS, () => new Error('not yet')).catch(
      () => undefined,
    );
  }

  async announce(pointers: readonly WorkPointer[]): Promise<void> {
    try {
      await this.#firstTry;
      // What waits for it longer would pile up.
      if (this.#producer.status !== 'ready') throw new Error('There is no connection to Redis.');
      await inTime(this.#add(pointers), ANNOUNCE_WITHIN_MS, () => this.#giveUp());
    } catch (error) {
      this.logger.warn('work.not_announced', { count: pointers.length, ...errorFields(error) });
    }
  }

  start(kinds: readonly WorkKind[], run: (id: string) => Promise<void>): void {
    for (const { kind, concurrency } of kinds) {
      const worker = new Worker<{ id: string }>(kind, ({ data }) => run(data.id), {
        connection: this.#connect({ maxRetriesPerRequest: null }),
        prefix: this.#prefix,
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
    // BullMQ closes no connection that was given to it.
    for (const redis of this.#connections) redis.disconnect();
  }

  async #add(pointers: readonly WorkPointer[]): Promise<void> {
    const kinds = [...new Set(pointers.map(({ kind }) => kind))];
    await Promise.all(
      kinds.map((kind) =>
        this.#queue(kind).addBulk(pointers.filter((pointer) => pointer.kind === kind).map(toJob)),
      ),
    );
  }

  /** The connection may be dead without knowing it: another one is opened. */
  #giveUp(): Error {
    if (!this.#isGivenUp) {
      this.#isGivenUp = true;
      this.#producer.once('close', () => (this.#isGivenUp = false)).disconnect(true);
    }
    return new Error('Redis did not answer in time.');
  }

  #queue(kind: string): Queue {
    const known = this.#queues.get(kind);
    if (known) return known;
    const queue = new Queue(kind, {
      connection: this.#producer,
      prefix: this.#prefix,
      // Asked for once; a queue whose connection ends meanwhile would refuse everything for ever.
      skipVersionCheck: true,
    });
    queue.on('error', (error) => this.#note(error));
    this.#queues.set(kind, queue);
    return queue;
  }

  #connect(options: object): Redis {
    const redis = new Redis(this.redisUrl, { ...options, lazyConnect: false });
    this.#connections.push(redis);
    redis.on('error', (error) => this.#note(error));
    redis.on('ready', () => {
      if (this.#isAway) this.logger.info('redis.back');
      this.#isAway = false;
    });
    return redis;
  }

  /** Once, not at every try to connect; what BullMQ complains of while Redis is there is another matter. */
  #note(error: Error): void {
    if (this.#connections.every(({ status }) => status === 'ready')) {
      this.logger.warn('work.transport_failed', errorFields(error));
      return;
    }
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
