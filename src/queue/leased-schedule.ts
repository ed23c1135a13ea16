import { randomUUID } from 'node:crypto';

import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { STOP_WITHIN_MS } from '../common/stop.js';
import { Heartbeat } from './heartbeat.js';
import { type HeldLease, LeasesRepository } from './leases.repository.js';

/** Done once a period by one process; must bear being done again after a crash. */
export type Job = () => Promise<void>;

interface Scheduled {
  name: string;
  periodMs: number;
  job: Job;
  running: Promise<void> | null;
}

/**
 * Recurring work: every process ticks, one of them runs the job, once for each period of the database's clock.
 *
 * A holder renews its lease while the job runs; when it dies, another process goes on at the next tick after the lease.
 */
@Injectable()
export class LeasedSchedule implements BeforeApplicationShutdown {
  readonly #owner = randomUUID();
  readonly #jobs = new Map<string, Scheduled>();
  #isStopping = false;

  constructor(
    private readonly heartbeat: Heartbeat,
    private readonly leases: LeasesRepository,
    private readonly registry: SchedulerRegistry,
    private readonly logger: Logger,
  ) {}

  /**
   * @param name unique in the service; the lease's name
   * @param seconds the period, 1 or more
   */
  every(name: string, seconds: number, job: Job): void {
    const scheduled: Scheduled = { name, periodMs: seconds * 1000, job, running: null };
    this.#jobs.set(name, scheduled);
    this.registry.addInterval(
      name,
      setInterval(() => void this.tick(name), scheduled.periodMs),
    );
  }

  /**
   * One tick: runs the job if its time has come and nobody else does. Never rejects.
   *
   * @throws RangeError for a name that was not scheduled
   */
  async tick(name: string): Promise<void> {
    const scheduled = this.#jobs.get(name);
    if (!scheduled) throw new RangeError(`Nothing is scheduled as ${name}.`);
    if (this.#isStopping || scheduled.running) return;
    scheduled.running = this.#run(scheduled).finally(() => (scheduled.running = null));
    await scheduled.running;
  }

  /** Begins no new job and lets running ones end, within the time that a stop may take. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    const running = [...this.#jobs.values()].map((job) => job.running ?? Promise.resolve());
    await inTime(Promise.all(running), STOP_WITHIN_MS, () => new Error('jobs go on')).catch(() =>
      this.logger.warn('schedule.stopped_while_running'),
    );
  }

  async #run({ name, periodMs, job }: Scheduled): Promise<void> {
    const { leaseMs } = this.heartbeat;
    let stopRenewing = (): void => undefined;
    let held: HeldLease | null = null;
    try {
      held = await this.leases.take(name, this.#owner, periodMs, leaseMs);
      if (!held) return;
      const lease = held;
      stopRenewing = this.heartbeat.hold(() => this.#renew(lease, leaseMs));
      await job();
    } catch (error) {
      this.logger.error('schedule.job_failed', { job: name, ...errorFields(error) });
    } finally {
      stopRenewing();
      if (held) await this.#release(held);
    }
  }

  async #renew(held: HeldLease, leaseMs: number): Promise<void> {
    const isHeld = await this.leases.renew(held, leaseMs);
    if (!isHeld) this.logger.warn('schedule.lease_lost', { job: held.name });
  }

  /** A lease that cannot be given back runs out by itself. */
  async #release(held: HeldLease): Promise<void> {
    try {
      await this.leases.release(held);
    } catch (error) {
      this.logger.warn('schedule.not_released', { job: held.name, ...errorFields(error) });
    }
  }
}
