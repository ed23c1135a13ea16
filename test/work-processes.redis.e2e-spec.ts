import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';

import { type DatabaseTarget, Env } from '../config/env.js';
import { Database } from '../src/database/database.js';
import { WorkQueue } from '../src/queue/work-queue.js';
import { Work } from '../src/queue/work.entity.js';
import { OWNER_KEY, startApp, type TestApp } from './app.js';
import { type AccountBody, begin } from './helpers.js';
import { freePort, Program, serviceEnv } from './processes.js';
import { until } from './until.js';

/* oxlint-disable node/no-process-env -- how test/run.mjs tells a run its engines */
const isMysql = process.env['TEST_DATABASE_URL'] !== undefined;
const redisUrl = new URL(process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379');
/* oxlint-enable node/no-process-env */
// A database of Redis for this suite alone: it is emptied.
redisUrl.pathname = '/10';

const PIECES = 300;
/** Of each kind in a worker. */
const CONCURRENCY = 4;
/** A worker whose work leaves a trace. Under `dist/` or not: it runs the build. */
const CHILD = '../test/faults/work-child.mjs';
const WORKER = 'src/worker.js';

interface Effect {
  n: number;
  attempts: number;
  pid: number;
}

const title = isMysql ? 'worker processes' : 'worker processes (TEST_DATABASE_URL is not set)';
(isMysql ? describe : describe.skip)(title, () => {
  let app: TestApp;
  let db: Database;
  let queue: WorkQueue;
  let running: Program[] = [];

  beforeAll(async () => {
    const redis = new Redis(redisUrl.href);
    await redis.flushdb();
    redis.disconnect();
    // A main: it adds work and does none.
    app = await startApp({
      now: new Date().toISOString(),
      env: { REDIS_URL: redisUrl.href, LEASE_SECONDS: '2' },
    });
    db = app.app.get(Database);
    queue = app.app.get(WorkQueue);
    queue.register('test-effect', () => Promise.reject(new Error('A main does no work.')));
    // No key keeps effects single.
    await db.statement('CREATE TABLE test_effect (n INT, attempts INT, pid INT)', []);
  }, 30_000);
  afterAll(async () => {
    await killAll();
    await app.stop();
  });

  async function killAll(): Promise<void> {
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ exited }) => exited));
    running = [];
  }

  /** Two whose work leaves a trace, those that an earlier test has left running first. */
  async function twoWorkers(): Promise<[Program, Program]> {
    running = running.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    const missing = Array.from({ length: 2 - running.length }, () => startWorker(CHILD));
    await Promise.all(missing);
    const [one, other] = running;
    if (!one || !other) throw new Error('There are not two workers.');
    return [one, other];
  }

  async function startWorker(file: string): Promise<{ worker: Program; url: string }> {
    const port = await freePort();
    const worker = Program.start(file, {
      env: serviceEnv(toUrl(app.app.get(Env).database), {
        PORT: String(port),
        HOST: '127.0.0.1',
        SECRET_KEYS: app.app.get(Env).secretKeys ?? '',
        REDIS_URL: redisUrl.href,
        LEASE_SECONDS: '2',
        WECHAT_API_BASE_URL: app.sandbox.url,
      }),
    });
    running.push(worker);
    const url = `http://127.0.0.1:${port}`;
    await until(async () => {
      if (worker.child.exitCode !== null) throw new Error(`The worker ended: ${worker.output}`);
      return (await fetch(`${url}/health/ready`).catch(() => null))?.ok ?? false;
    });
    return { worker, url };
  }

  async function addPieces(from: number): Promise<void> {
    await db.write(async (tx) => {
      for (let n = from; n < from + PIECES; n++)
        await queue.add(tx, { kind: 'test-effect', payload: { n } });
    });
  }

  function effects(from: number): Promise<Effect[]> {
    return db.read.query<Effect[]>(
      'SELECT n, attempts, pid FROM test_effect WHERE n >= ? AND n < ? ORDER BY n',
      [from, from + PIECES],
    );
  }

  /** Until no piece is left; what two workers can have left behind is pointed to again. */
  async function allDone(): Promise<void> {
    const left = (): Promise<number> => db.read.countBy(Work, { kind: 'test-effect' });
    await until(async () => (await left()) <= 2 * CONCURRENCY);
    await until(async () => {
      app.clock.advance(Date.now() - app.clock.now().getTime());
      await queue.announceDue();
      return (await left()) === 0;
    });
  }

  function numbers(from: number): number[] {
    return Array.from({ length: PIECES }, (_, i) => from + i);
  }

  it('do each piece once, although one is killed in the middle', async () => {
    const [killed, other] = await twoWorkers();
    await addPieces(0);
    await until(async () => (await effects(0)).length >= 100);
    killed.child.kill('SIGKILL');
    await killed.exited;
    await twoWorkers();
    await allDone();
    const done = await effects(0);
    expect(done.map(({ n }) => n)).toEqual(numbers(0));
    // What it had begun was begun again by others.
    const again = done.filter(({ attempts }) => attempts > 1);
    expect(again.length).toBeGreaterThan(0);
    expect(again.map(({ pid }) => pid)).not.toContain(killed.child.pid);
    const pids = new Set(done.map(({ pid }) => pid));
    expect([killed, other].map(({ child }) => pids.has(child.pid ?? 0))).toEqual([true, true]);
  }, 40_000);

  it('do each piece once, although one is told to stop in the middle, and none in vain', async () => {
    const [stopped] = await twoWorkers();
    await addPieces(1_000);
    await until(async () => (await effects(1_000)).length >= 100);
    expect(await stopped.stop()).toBe(0);
    expect((await effects(1_000)).length).toBeLessThan(PIECES);
    await allDone();
    const done = await effects(1_000);
    expect(done.map(({ n }) => n)).toEqual(numbers(1_000));
    expect(done.filter(({ attempts }) => attempts > 1)).toEqual([]);
    expect(done.filter(({ pid }) => pid === stopped.child.pid).length).toBeGreaterThan(0);
  }, 40_000);

  it('do the work of the service, answer their supervisor alone, and stop when told', async () => {
    const appid = 'wx00000000000f1a7e';
    app.sandbox.addAccount({ appid, nickname: '待读取' });
    app.sandbox.faults.add({
      path: '/cgi-bin/component/api_get_authorizer_info',
      appid,
      kind: 'http_500',
    });
    const { preAuthCode } = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode }).pushed;
    await app.settled();
    const account = async (): Promise<AccountBody> =>
      (await app.api<AccountBody>('GET', `/accounts/${appid}`)).body;
    expect(await account()).toMatchObject({ nickname: '', syncedAt: null });

    // It alone.
    await killAll();
    const { worker, url } = await startWorker(WORKER);
    const statuses = ['/health/live', '/health/ready', '/metrics', '/api/v1/accounts', '/docs'].map(
      async (path) => {
        const headers = { authorization: `Bearer ${OWNER_KEY}` };
        return [path, (await fetch(`${url}${path}`, { headers })).status];
      },
    );
    expect(Object.fromEntries(await Promise.all(statuses))).toEqual({
      '/health/live': 200,
      '/health/ready': 200,
      '/metrics': 200,
      '/api/v1/accounts': 404,
      '/docs': 404,
    });
    await db.write((tx) =>
      queue.add(tx, { kind: 'read-account-details', appid, payload: { appid } }),
    );
    await until(async () => (await account()).syncedAt !== null);
    expect((await account()).nickname).toBe('待读取');
    expect(await worker.stop()).toBe(0);
    expect(worker.output).toContain('"role":"worker"');
  }, 40_000);
});

function toUrl(target: DatabaseTarget): string {
  if (target.kind === 'sqlite') return `sqlite:${target.path}`;
  const url = new URL(`${target.kind}://${target.host}:${target.port}/${target.database}`);
  url.username = encodeURIComponent(target.user);
  url.password = encodeURIComponent(target.password);
  return url.href;
}
