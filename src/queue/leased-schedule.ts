import { randomUUID } from 'node:crypto';

import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';

import { Env } from '../../config/env.js';
import { errorFields, Logger } from '../common/logger.js';
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
    private readonly env: Env,
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

  /** Lets running jobs end and begins no new one. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    const running = [...this.#jobs.values()].map((job) => job.running ?? Promise.resolve());
    await Promise.all(running);
  }

  async #run({ name, periodMs, job }: Scheduled): Promise<void> {
    const leaseMs = this.env.leaseSeconds * 1000;
    let renewing: NodeJS.Timeout | undefined;
    let held: HeldLease | null = null;
    try {
      held = await this.leases.take(name, this.#owner, periodMs, leaseMs);
      if (!held) return;
      const lease = held;
      renewing = setInterval(() => void this.#renew(lease, leaseMs), leaseMs / 3);
      await job();
    } catch (error) {
      this.logger.error('schedule.job_failed', { job: name, ...errorFields(error) });
    } finally {
      clearInterval(renewing);
      if (held) await this.#release(held);
    }
  }

  async #renew(held: HeldLease, leaseMs: number): Promise<void> {
    try {
      const isHeld = await this.leases.renew(held, leaseMs);
      if (!isHeld) this.logger.warn('schedule.lease_lost', { job: held.name });
    } catch (error) {
      this.logger.warn('schedule.not_renewed', { job: held.name, ...errorFields(error) });
    }
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
