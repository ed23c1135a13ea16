import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SchedulerRegistry } from '@nestjs/schedule';

import { Env } from '../config/env.js';
import { Logger } from '../src/common/logger.js';
import { Database } from '../src/database/database.js';
import { Heartbeat } from '../src/queue/heartbeat.js';
import { Lease } from '../src/queue/lease.entity.js';
import { LeasedSchedule } from '../src/queue/leased-schedule.js';
import { LeasesRepository } from '../src/queue/leases.repository.js';
import { startApp, type TestApp } from './app.js';
import { clusterRedisUrl } from './cluster.js';
import { until } from './until.js';

const DAY_SECONDS = 86_400;

let app: TestApp;
let db: Database;
const registries: SchedulerRegistry[] = [];
let serial = 0;

beforeAll(async () => {
  app = await startApp({ env: { LEASE_SECONDS: '1' } });
  db = app.app.get(Database);
});
afterAll(async () => {
  for (const registry of registries)
    for (const name of registry.getIntervals()) registry.deleteInterval(name);
  await app.stop();
});

/** A process of its own, as far as leases go. */
function newProcess(): LeasedSchedule {
  const registry = new SchedulerRegistry();
  registries.push(registry);
  return new LeasedSchedule(
    new Heartbeat(app.app.get(Env), app.app.get(Logger)),
    new LeasesRepository(db),
    registry,
    app.app.get(Logger),
  );
}

/** A job's name of the test's own, and a way to let it end. */
function newJob(): { name: string; runs: () => number; job: () => Promise<void>; end: () => void } {
  let runs = 0;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const job = (): Promise<void> => {
    runs += 1;
    return ended;
  };
  return { name: `job-${++serial}`, runs: () => runs, job, end: () => end() };
}

describe('LeasedSchedule', () => {
  it('runs a job once in a period, however many processes tick at once and afterwards', async () => {
    const { name, runs, job, end } = newJob();
    end();
    const processes = Array.from({ length: 8 }, newProcess);
    for (const schedule of processes) schedule.every(name, DAY_SECONDS, job);
    await Promise.all(processes.flatMap((schedule) => [schedule.tick(name), schedule.tick(name)]));
    await Promise.all(processes.map((schedule) => schedule.tick(name)));
    expect(runs()).toBe(1);
  });

  it('is asked for by any number of processes at once, none of which gets in the way of another', async () => {
    const leases = new LeasesRepository(db);
    const ask = [
      (name: string) => leases.take(name, 'one', DAY_SECONDS * 1_000, 1_000),
      (name: string) => leases.takeTurn(name, 'one', 1_000),
    ];
    for (const take of ask)
      for (let round = 0; round < 20; round++) {
        const name = `many-${++serial}`;
        const first = await Promise.all(Array.from({ length: 8 }, () => take(name)));
        expect(first.filter((held) => held !== null)).toHaveLength(1);
        const later = await Promise.all(Array.from({ length: 8 }, () => take(name)));
        expect(later.filter((held) => held !== null)).toEqual([]);
      }
  });

  it('runs it again in the next period', async () => {
    const { name, runs, job, end } = newJob();
    end();
    const schedule = newProcess();
    schedule.every(name, 1, job);
    await until(async () => {
      await schedule.tick(name);
      return runs() > 1;
    });
    expect(runs()).toBeGreaterThan(1);
  });

  it('keeps others out of a job that runs longer than its lease, and its period', async () => {
    const { name, runs, job, end } = newJob();
    const [one, other] = [newProcess(), newProcess()];
    for (const schedule of [one, other]) schedule.every(name, 1, job);
    const running = one.tick(name);
    const heldUntil = async (): Promise<number> =>
      (await db.read.findOneByOrFail(Lease, { name })).heldUntil.getTime();
    await until(() => runs() === 1);
    const first = await heldUntil();
    // Renewed twice over: the first lease is long past.
    await until(async () => (await heldUntil()) > first + 1_000);
    await other.tick(name);
    expect(runs()).toBe(1);
    end();
    await running;
  });

  it('passes to another process when its holder has died', async () => {
    const { name, runs, job, end } = newJob();
    end();
    // As a kill -9 leaves it: taken in an earlier period, held for one more second, never released.
    const leases = new LeasesRepository(db);
    const held = await leases.take(name, 'a-process-that-died', 1_000, 1_000);
    expect(held).toMatchObject({ epoch: 1 });
    const schedule = newProcess();
    schedule.every(name, 1, job);
    await schedule.tick(name);
    expect(runs()).toBe(0);
    await until(async () => {
      await schedule.tick(name);
      return runs() === 1;
    });
    expect(held && (await leases.renew(held, 1_000))).toBe(false);
  });

  it('goes on after a job that throws', async () => {
    const schedule = newProcess();
    let runs = 0;
    schedule.every('throws', 1, () => {
      runs += 1;
      return Promise.reject(new Error('no'));
    });
    await until(async () => {
      await schedule.tick('throws');
      return runs > 1;
    });
    expect(runs).toBeGreaterThan(1);
  });

  it('begins nothing new while it stops, and waits for what runs', async () => {
    const { name, runs, job, end } = newJob();
    const schedule = newProcess();
    schedule.every(name, DAY_SECONDS, job);
    schedule.every(`${name}-other`, DAY_SECONDS, job);
    const running = schedule.tick(name);
    await until(() => runs() === 1);
    let isStopped = false;
    const stopping = schedule.beforeApplicationShutdown().then(() => (isStopped = true));
    await schedule.tick(`${name}-other`);
    expect({ runs: runs(), isStopped }).toEqual({ runs: 1, isStopped: false });
    end();
    await Promise.all([running, stopping]);
    expect(isStopped).toBe(true);
  });

  it('carries every recurring job of the service', () => {
    const names = app.app.get(SchedulerRegistry).getIntervals();
    expect(names.toSorted()).toEqual([
      // Where Redis carries the work, one process points to it again; else every process looks for it itself.
      ...(clusterRedisUrl
        ? ['announce-work', 'end-overdue-deliveries', 'keep-up-qr-codes', 'place-events']
        : ['end-overdue-deliveries', 'keep-up-qr-codes', 'place-events', 'poll-work']),
      'purge-deliveries',
      'purge-idempotency',
      'purge-incoming-messages',
      'purge-message-results',
      'purge-pushes',
      'purge-receipts',
      'purge-webhook-deliveries',
      'reconcile-accounts',
      'recover-deliveries',
      'refresh-tokens',
      'relay-events',
      'renew-auto-reply-media',
      'seal-audit',
      'sweep-pushes',
      'trim-events',
      'watch-ticket',
    ]);
  });
});
