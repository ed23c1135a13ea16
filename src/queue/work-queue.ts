import {
  type BeforeApplicationShutdown,
  Injectable,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../config/env.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { ProcessRole } from '../common/process-role.js';
import { STOP_WITHIN_MS } from '../common/stop.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { Heartbeat } from './heartbeat.js';
import { LeaseLostError } from './lease-lost.error.js';
import { LeasedSchedule } from './leased-schedule.js';
import {
  retryDelay,
  type WorkHandler,
  WorkHandlers,
  type WorkKind,
  type WorkKindOptions,
} from './work-handlers.js';
import { type WorkPointer, WorkTransport } from './work-transport.js';
import type { Work, WorkState } from './work.entity.js';
import { type ClaimedWork, type WorkDepth, WorkRepository } from './work.repository.js';

const RECONCILE_SECONDS = 10;
const RECONCILE_PAGE = 1_000;
const USUAL_PRIORITY = 5;
/** The clocks of two hosts may differ by so much: what Redis brings is not refused for being early by less. */
const CLOCK_SKEW_MS = 1_000;

/** Work to be done after the transaction that asks for it, by whichever process. */
export interface NewWork {
  kind: string;
  /** Ids only: no secret, no person's words. */
  payload: object;
  /** While work of this kind with this key stands, adding it again only has it done sooner, if this one is due sooner. */
  key?: string;
  /** The account it is about. */
  appid?: string;
  /** Default: at once. */
  delayMs?: number;
  /** 0, the most urgent, to 9; default 5. */
  priority?: number;
}

/**
 * Durable work: added in the transaction of the change that needs it, done at least once, retried with growing pauses,
 * set aside with its reason when it keeps failing.
 */
@Injectable()
export class WorkQueue implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #running = new Map<string, ClaimedWork>();

  constructor(
    private readonly env: Env,
    private readonly role: ProcessRole,
    private readonly db: Database,
    private readonly work: WorkRepository,
    private readonly handlers: WorkHandlers,
    private readonly transport: WorkTransport,
    private readonly heartbeat: Heartbeat,
    private readonly schedule: LeasedSchedule,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'work',
      isHistory: true,
      erase: (tx, appid, limit) => this.work.eraseAccount(tx, appid, limit),
    });
  }

  /** Says who does a kind of work. Once for each kind, at start. */
  register<P extends object>(
    kind: string,
    handler: WorkHandler<P>,
    options: Partial<WorkKindOptions> = {},
  ): void {
    this.handlers.register(kind, handler, options);
  }

  /** Every process that has registered its kinds; where Redis carries the work, the workers only. */
  onApplicationBootstrap(): void {
    if (this.env.redisUrl)
      this.schedule.every('announce-work', RECONCILE_SECONDS, () => this.announceDue());
    if (!this.env.redisUrl || this.role.name === 'worker')
      this.transport.start(this.handlers.all(), (id) => this.#run(id));
  }

  /** Adds work in the transaction of the change: both happen, or neither. */
  async add(tx: Tx, { kind, payload, key, appid, delayMs = 0, priority }: NewWork): Promise<void> {
    const now = this.clock.now();
    const row: Work = {
      id: uuidV7({ msecs: now.getTime() }),
      kind,
      dedupKey: key ?? null,
      appid: appid ?? null,
      payload,
      priority: priority ?? USUAL_PRIORITY,
      state: 'ready',
      runAt: new Date(now.getTime() + delayMs),
      attempts: 0,
      epoch: 0,
      leaseUntil: null,
      failure: null,
      createdAt: now,
      updatedAt: now,
    };
    const standing = await this.work.insertOrHasten(tx, row);
    this.db.afterCommit(tx, () => void this.transport.announce([this.#pointerTo(standing)]));
  }

  /** Points again to everything that waits: what was lost on its way is found here. */
  async announceDue(): Promise<void> {
    const kinds = this.handlers.all().map(({ kind }) => kind);
    const due = await this.work.findDue(kinds, this.clock.now(), RECONCILE_PAGE);
    if (due.length > 0) await this.transport.announce(due.map((row) => this.#pointerTo(row)));
  }

  /** The newest first. */
  async list(query: {
    state?: WorkState;
    kind?: string;
    limit: number;
    cursor?: string;
  }): Promise<Page<Work>> {
    const { limit, cursor, ...filter } = query;
    const rows = await this.work.findPage(filter, limit, cursor ? fromCursor(cursor) : null);
    return toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
  }

  /**
   * Gives dead work all its tries again, the first of them now.
   *
   * @param note writes in the same transaction who wanted that
   * @throws AppError `not_found`, `work_not_dead`
   */
  async revive(id: string, note: (tx: Tx, work: Work) => Promise<void>): Promise<void> {
    const row = await this.db.write(async (tx) => {
      const isRevived = await this.work.revive(tx, id, this.clock.now());
      const found = await this.work.find(id, tx);
      if (!found) throw new AppError('not_found');
      if (!isRevived) throw new AppError('work_not_dead');
      await note(tx, found);
      return found;
    });
    await this.transport.announce([this.#pointerTo(row)]);
  }

  depths(): Promise<WorkDepth[]> {
    return this.work.depths();
  }

  /** Takes no more, lets what runs end in its time, and hands back what does not. */
  async beforeApplicationShutdown(): Promise<void> {
    try {
      await inTime(this.transport.stop(), STOP_WITHIN_MS, () => new Error('work goes on'));
    } catch {
      await Promise.all([...this.#running.values()].map((work) => this.#handBack(work)));
    }
  }

  async #run(id: string): Promise<void> {
    try {
      const now = this.clock.now();
      const dueBy = new Date(now.getTime() + (this.env.redisUrl ? CLOCK_SKEW_MS : 0));
      const claimed = await this.work.claim(id, { now, dueBy }, this.heartbeat.leaseMs);
      const kind = claimed && this.handlers.find(claimed.kind);
      if (!kind) return;
      // It ended its process each time, before that could say why.
      if (claimed.attempts > kind.maxAttempts) await this.#bury(claimed);
      else await this.#attempt(claimed, kind);
    } catch (error) {
      // It stays where it is, and its lease brings it back.
      this.logger.error('work.lost_hold', { workId: id, ...errorFields(error) });
    }
  }

  async #attempt(work: ClaimedWork, kind: WorkKind): Promise<void> {
    const { leaseMs } = this.heartbeat;
    this.#running.set(work.id, work);
    const stopRenewing = this.heartbeat.hold(async () => {
      await this.work.renew(work, leaseMs);
    });
    let isFinished = false;
    const finish = async (tx: Tx): Promise<void> => {
      await this.work.finish(tx, work);
      this.db.afterCommit(tx, () => (isFinished = true));
    };
    try {
      const { id, appid, attempts } = work;
      await kind.handler(work.payload, { id, appid, attempts, finish });
      if (!isFinished) await this.db.write(finish);
    } catch (error) {
      await this.#fail(work, kind, error);
    } finally {
      stopRenewing();
      this.#running.delete(work.id);
    }
  }

  async #bury(work: ClaimedWork): Promise<void> {
    this.logger.error('work.dead', { workId: work.id, kind: work.kind, attempts: work.attempts });
    const now = this.clock.now();
    await this.work.giveBack(work, {
      state: 'dead',
      attempts: work.attempts,
      failure: work.failure ?? 'Its process ended each time it was tried.',
      runAt: now,
      updatedAt: now,
    });
  }

  async #fail(work: ClaimedWork, kind: WorkKind, error: unknown): Promise<void> {
    const { id, attempts } = work;
    this.logger.error('work.failed', {
      workId: id,
      kind: kind.kind,
      attempts,
      ...errorFields(error),
    });
    if (error instanceof LeaseLostError) return;
    const now = this.clock.now();
    const isDead = attempts >= kind.maxAttempts;
    const delayMs = retryDelay(kind, attempts);
    await this.work.giveBack(work, {
      state: isDead ? 'dead' : 'ready',
      attempts,
      failure: String(error).slice(0, 512),
      runAt: new Date(now.getTime() + delayMs),
      updatedAt: now,
    });
    if (!isDead) await this.transport.announce([{ ...this.#pointerTo(work), delayMs }]);
  }

  /** The try does not count: it was cut short by us. */
  async #handBack(work: ClaimedWork): Promise<void> {
    const now = this.clock.now();
    const attempts = work.attempts - 1;
    await this.work
      .giveBack(work, {
        state: 'ready',
        attempts,
        failure: work.failure,
        runAt: now,
        updatedAt: now,
      })
      .catch((error: unknown) =>
        this.logger.warn('work.not_handed_back', { workId: work.id, ...errorFields(error) }),
      );
  }

  #pointerTo({ id, kind, epoch, priority, runAt }: Work): WorkPointer {
    return { id, kind, epoch, priority, delayMs: runAt.getTime() - this.clock.now().getTime() };
  }
}
