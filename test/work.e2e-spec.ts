import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SchedulerRegistry } from '@nestjs/schedule';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';

import { Env, readEnv } from '../config/env.js';
import { AppModule } from '../src/app.module.js';
import { createAdapter, setUpApp } from '../src/app.setup.js';
import { AppError, PROBLEMS } from '../src/common/app-error.js';
import { Clock } from '../src/common/clock.js';
import { Logger } from '../src/common/logger.js';
import { ProcessRole } from '../src/common/process-role.js';
import { AccountData } from '../src/database/account-data.js';
import { Database } from '../src/database/database.js';
import { Heartbeat } from '../src/queue/heartbeat.js';
import { InProcessTransport } from '../src/queue/in-process-transport.js';
import { LeaseLostError } from '../src/queue/lease-lost.error.js';
import { LeasedSchedule } from '../src/queue/leased-schedule.js';
import {
  type WorkContext,
  WorkHandlers,
  type WorkKindOptions,
} from '../src/queue/work-handlers.js';
import { type NewWork, WorkQueue } from '../src/queue/work-queue.js';
import { WorkTransport } from '../src/queue/work-transport.js';
import { Work } from '../src/queue/work.entity.js';
import { WorkRepository } from '../src/queue/work.repository.js';
import { newDatabase, OWNER_KEY, TestClock } from './app.js';
import { type Fault, FaultProxy } from './faults/fault-proxy.js';
import { serviceEnv } from './processes.js';
import { until } from './until.js';

/* oxlint-disable node/no-process-env -- how test/run.mjs tells a run its engines */
const isMysql = process.env['TEST_DATABASE_URL'] !== undefined;
const isCi = process.env['CI'] === 'true';
const redisUrl = new URL(process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379');
/* oxlint-enable node/no-process-env */
// A database of Redis for this suite alone: it is emptied.
redisUrl.pathname = '/9';

const LEASE_SECONDS = 2;
/** Who retries is for the API to write down. */
const unnoted = (): Promise<void> => Promise.resolve();

const TRANSPORTS = ['in-process', 'BullMQ'] as const;
type Transport = (typeof TRANSPORTS)[number];

interface Gate {
  opened: Promise<void>;
  open: () => void;
}

function newGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}

interface Payload {
  n: number;
}

/** A kind of work of the test's own, which notes each time it is tried. */
class TestKind {
  readonly tries: { n: number; attempts: number; at: number }[] = [];
  /** How many are being done, and how many at once at the most. */
  running = 0;
  most = 0;
  does: (payload: Payload, context: WorkContext) => Promise<void> = () => Promise.resolve();

  constructor(
    readonly name: string,
    readonly options: Partial<WorkKindOptions>,
  ) {}

  registerAt({ queue, clock }: Pick<Process, 'queue' | 'clock'>): void {
    queue.register<Payload>(this.name, (payload, context) => this.#try(payload, context, clock), {
      ...this.options,
    });
  }

  get tried(): number[] {
    return this.tries.map(({ n }) => n);
  }

  /** Everything waits in its handler until the gate is opened. @returns opens it */
  close(): () => void {
    const { opened, open } = newGate();
    this.does = () => opened;
    return open;
  }

  async #try(payload: Payload, context: WorkContext, clock: Clock): Promise<void> {
    this.tries.push({ n: payload.n, attempts: context.attempts, at: clock.now().getTime() });
    this.most = Math.max(this.most, ++this.running);
    try {
      await this.does(payload, context);
    } finally {
      this.running--;
    }
  }
}

/** A process of the service, as far as work goes. */
interface Process {
  app: NestFastifyApplication;
  clock: Clock;
  db: Database;
  queue: WorkQueue;
}

/** A process in which the kinds stand before it begins to work. */
async function startProcess(
  env: Env,
  role: 'main' | 'worker',
  clock: Clock,
  kinds: readonly TestKind[] = [],
): Promise<Process> {
  class Kinds {}
  const registered = {
    provide: Kinds,
    inject: [WorkQueue],
    useFactory: (queue: WorkQueue) => {
      for (const kind of kinds) kind.registerAt({ queue, clock });
      return new Kinds();
    },
  };
  const module = await Test.createTestingModule({
    imports: [AppModule.forRoot(env, new ProcessRole(role))],
    providers: [registered],
  })
    .overrideProvider(Clock)
    .useValue(clock)
    .setLogger(new Logger(env))
    .compile();
  const app = module.createNestApplication<NestFastifyApplication>(createAdapter(env), {
    bodyParser: false,
  });
  await setUpApp(app);
  await app.listen(0, '127.0.0.1');
  return { app, clock, db: app.get(Database), queue: app.get(WorkQueue) };
}

/** Another process on the same database, as far as work goes. It looks for none before it is told to. */
function secondProcess(
  { worker: { app, db } }: Service,
  transport: WorkTransport,
  clock: Clock,
): WorkQueue {
  const [env, logger] = [app.get(Env), app.get(Logger)];
  return new WorkQueue(
    env,
    new ProcessRole('main'),
    db,
    app.get(WorkRepository),
    new WorkHandlers(),
    transport,
    new Heartbeat(env, logger),
    app.get(LeasedSchedule),
    new AccountData(),
    clock,
    logger,
  );
}

/** Where effects are counted: nothing in it keeps them single. */
async function createEffects({ db }: Process): Promise<void> {
  await db.statement(
    'CREATE TABLE test_effect (kind VARCHAR(64) NOT NULL, n INTEGER NOT NULL)',
    [],
  );
}

const redis = new Redis(redisUrl.href, {
  lazyConnect: true,
  retryStrategy: () => null,
  connectTimeout: 2_000,
});
redis.on('error', () => undefined);
const hasRedis = await redis.connect().then(
  () => true,
  () => false,
);
afterAll(() => redis.disconnect());

/** All processes, their database and what they take their time from. */
class Service {
  private constructor(
    private readonly transport: Transport,
    private readonly dropDatabase: () => Promise<void>,
    /** Answers requests. Null where it would share a file with the worker: SQLite lets one process in. */
    readonly main: Process | null,
    readonly worker: Process,
  ) {}

  static async start(
    transport: Transport,
    kinds: readonly TestKind[],
    redisAt = redisUrl,
  ): Promise<Service> {
    const database = await newDatabase();
    const env = readEnv(
      serviceEnv(database.url, {
        SECRET_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
        LOG_LEVEL: 'silent',
        LEASE_SECONDS: String(LEASE_SECONDS),
        ...(transport === 'BullMQ' && { REDIS_URL: redisAt.href }),
      }),
    );
    if (transport === 'in-process') {
      const main = await startProcess(env, 'main', new TestClock(new Date()), kinds);
      await createEffects(main);
      return new Service(transport, database.drop, main, main);
    }
    const worker = await startProcess(env, 'worker', new Clock(), kinds);
    const main = isMysql ? await startProcess(env, 'main', new Clock()) : null;
    await createEffects(worker);
    return new Service(transport, database.drop, main, worker);
  }

  async add(kind: TestKind, n: number, more: Partial<NewWork> = {}): Promise<void> {
    const { db, queue } = this.main ?? this.worker;
    await db.write((tx) => queue.add(tx, { kind: kind.name, payload: { n }, ...more }));
  }

  /** What is not done. */
  async rows(kind: TestKind): Promise<Work[]> {
    const rows = await this.worker.db.read.findBy(Work, { kind: kind.name });
    const nOf = ({ payload }: Work): number => (payload as Payload).n;
    return rows.toSorted((a, b) => nOf(a) - nOf(b));
  }

  async isDone(kind: TestKind): Promise<boolean> {
    return (await this.rows(kind)).length === 0;
  }

  /** Redis counts the time that is, everything else the time that it is told. */
  async pass(ms: number): Promise<void> {
    if (this.worker.clock instanceof TestClock) this.worker.clock.advance(ms);
    if (this.transport === 'in-process') await this.worker.queue.announceDue();
  }

  /** Ends work together with its effect. */
  async effect(kind: TestKind, n: number, context: WorkContext): Promise<void> {
    await this.worker.db.write(async (tx) => {
      await context.finish(tx);
      await tx.query('INSERT INTO test_effect (kind, n) VALUES (?, ?)', [kind.name, n]);
    });
  }

  async effects(kind: TestKind): Promise<number[]> {
    const rows = await this.worker.db.read.query<{ n: number | string }[]>(
      'SELECT n FROM test_effect WHERE kind = ? ORDER BY n',
      [kind.name],
    );
    return rows.map(({ n }) => Number(n));
  }

  /** As the API lists it to an owner; where no process answers requests, as the API has it. */
  async listDead(): Promise<Pick<Work, 'id' | 'kind' | 'state' | 'attempts' | 'failure'>[]> {
    if (!this.main) return (await this.worker.queue.list({ state: 'dead', limit: 100 })).items;
    const response = await this.#ask('GET', '?state=dead&limit=100');
    return ((await response.json()) as { items: Work[] }).items;
  }

  /** As an owner retries it over the API; where no process answers requests, as the API does. */
  async retry(id: string): Promise<{ status: number; code: string | null }> {
    if (!this.main) {
      try {
        await this.worker.queue.revive(id, unnoted);
        return { status: 204, code: null };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { status: PROBLEMS[error.code].status, code: error.code };
      }
    }
    const response = await this.#ask('POST', `/${id}/retry`);
    const text = await response.text();
    const { code = null } = (text ? JSON.parse(text) : {}) as { code?: string };
    return { status: response.status, code };
  }

  async #ask(method: string, path: string): Promise<Response> {
    const url = await this.main?.app.getUrl();
    return fetch(`${url}/api/v1/work${path}`, {
      method,
      headers: { authorization: `Bearer ${OWNER_KEY}` },
    });
  }

  async stop(): Promise<void> {
    if (this.main && this.main !== this.worker) await this.main.app.close();
    await this.worker.app.close();
    await this.dropDatabase();
  }
}

/** Without Redis, what needs it is left out, but not where everything has to run. */
const isSkipped = !hasRedis && !isCi;
const describeOverRedis = isSkipped ? describe.skip : describe;

describeOverRedis(`Redis at ${redisUrl.host}`, () => {
  it('is there for BullMQ', async () => {
    expect(await redis.ping()).toBe('PONG');
  });
});

describe.each(isSkipped ? ['in-process' as const] : TRANSPORTS)('durable work, %s', (transport) => {
  const isBullmq = transport === 'BullMQ';
  const kinds: TestKind[] = [];
  const others: WorkQueue[] = [];
  let service: Service;

  /** The kinds stand before the service starts, so each is named beside its test. */
  function newKind(options: Partial<WorkKindOptions> = {}): TestKind {
    const kind = new TestKind(`kind-${kinds.length + 1}`, options);
    kinds.push(kind);
    return kind;
  }

  beforeAll(async () => {
    if (isBullmq) await redis.flushdb();
    service = await Service.start(transport, kinds);
  }, 30_000);
  afterAll(async () => {
    for (const other of others) await other.beforeApplicationShutdown();
    await service.stop();
  });

  /** Another process that looks for work of a kind in the rows. */
  function startLooking(kind: TestKind): WorkQueue {
    const { app, clock } = service.worker;
    const registry = new SchedulerRegistry();
    const rows = app.get(WorkRepository);
    const queue = secondProcess(
      service,
      new InProcessTransport(rows, clock, registry, app.get(Logger)),
      clock,
    );
    others.push(queue);
    kind.registerAt({ queue, clock });
    queue.onApplicationBootstrap();
    return queue;
  }

  describe('that is added in a transaction', () => {
    const kind = newKind();

    it('is done once when that commits, and never when it does not', async () => {
      const { db, queue } = service.worker;
      const rolledBack = db.write(async (tx) => {
        await queue.add(tx, { kind: kind.name, payload: { n: 1 } });
        throw new Error('the change failed');
      });
      await expect(rolledBack).rejects.toThrow('the change failed');
      await service.add(kind, 2);
      await until(() => service.isDone(kind));
      await queue.announceDue();
      await service.add(kind, 3);
      await until(() => service.isDone(kind));
      expect(kind.tried).toEqual([2, 3]);
    });
  });

  describe('whose handler fails', () => {
    const kind = newKind({ firstRetryMs: 500 });

    it('is tried again after its pause, which doubles, with the reason in its row', async () => {
      const failedAt: number[] = [];
      kind.does = ({ n }, { attempts }) => {
        if (n !== 1 || attempts > 2) return Promise.resolve();
        failedAt.push(service.worker.clock.now().getTime());
        return Promise.reject(new TypeError(`no luck at ${attempts}`));
      };
      await service.add(kind, 1);
      for (const attempts of [1, 2]) {
        const failure = `TypeError: no luck at ${attempts}`;
        let row: Work | undefined;
        await until(async () => {
          [row] = await service.rows(kind);
          return row?.failure === failure;
        });
        expect(row).toMatchObject({ attempts, state: 'ready', leaseUntil: null });
        // What is due is done meanwhile.
        await service.add(kind, 10 + attempts);
        await until(() => kind.tried.includes(10 + attempts));
        await service.pass(500 * attempts);
      }
      await until(() => service.isDone(kind));
      const tries = kind.tries.filter(({ n }) => n === 1);
      expect(tries.map(({ attempts }) => attempts)).toEqual([1, 2, 3]);
      const pauses = failedAt.map((at, i) => (tries[i + 1]?.at ?? 0) - at);
      expect(pauses[0]).toBeGreaterThanOrEqual(500);
      expect(pauses[1]).toBeGreaterThanOrEqual(1_000);
    });
  });

  describe('that keeps failing', () => {
    const kind = newKind({ concurrency: 1, maxAttempts: 2, firstRetryMs: 20 });

    it('is set aside with its reason, holds nothing up, and is done once it is retried', async () => {
      let isHealed = false;
      kind.does = ({ n }) =>
        n === 1 && !isHealed ? Promise.reject(new Error('it is broken')) : Promise.resolve();
      await service.add(kind, 1);
      await until(async () => {
        await service.pass(20);
        return (await service.rows(kind))[0]?.state === 'dead';
      });
      await service.add(kind, 2);
      await until(() => kind.tried.includes(2));
      await service.pass(3_600_000);
      await service.worker.queue.announceDue();
      await service.add(kind, 3);
      await until(async () => (await service.rows(kind)).length === 1);
      expect(kind.tried).toEqual([1, 1, 2, 3]);

      const dead = (await service.listDead()).filter((row) => row.kind === kind.name);
      expect(dead).toMatchObject([{ state: 'dead', attempts: 2, failure: 'Error: it is broken' }]);
      isHealed = true;
      expect(await service.retry(dead[0]?.id ?? '')).toEqual({ status: 204, code: null });
      await until(() => service.isDone(kind));
      expect(kind.tries.map(({ n, attempts }) => [n, attempts])).toEqual([
        [1, 1],
        [1, 2],
        [2, 1],
        [3, 1],
        [1, 1],
      ]);
    });
  });

  describe('that ends its process each time', () => {
    const kind = newKind({ maxAttempts: 2 });

    it('is set aside too, though nothing ever came to say that it failed', async () => {
      await service.add(kind, 1, { delayMs: 3_600_000 });
      // As two processes leave it that died one after the other.
      await service.worker.app.get(Database).write((tx) =>
        tx.update(
          Work,
          { kind: kind.name },
          {
            state: 'running',
            attempts: 2,
            epoch: 2,
            runAt: new Date(0),
            leaseUntil: new Date(0),
          },
        ),
      );
      await service.worker.queue.announceDue();
      await until(async () => (await service.rows(kind))[0]?.state === 'dead');
      expect((await service.rows(kind))[0]?.failure).toContain('Its process ended');
      expect(kind.tried).toEqual([]);
    });
  });

  describe('that is not dead', () => {
    const kind = newKind();

    it('cannot be retried, nor can what does not exist', async () => {
      await service.add(kind, 1, { delayMs: 86_400_000 });
      const [row] = await service.rows(kind);
      expect(await service.retry(row?.id ?? '')).toEqual({ status: 409, code: 'work_not_dead' });
      expect(await service.retry('019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001')).toEqual({
        status: 404,
        code: 'not_found',
      });
      expect(await service.rows(kind)).toEqual([row]);
    });
  });

  describe('that is added for later', () => {
    const kind = newKind();

    it('is not done before its time', async () => {
      const addedAt = service.worker.clock.now().getTime();
      await service.add(kind, 1, { delayMs: 800 });
      await service.add(kind, 2);
      await until(() => kind.tried.includes(2));
      await service.pass(799);
      await service.add(kind, 3);
      await until(() => kind.tried.includes(3));
      await service.pass(1);
      await until(() => service.isDone(kind));
      const [third] = kind.tries.filter(({ n }) => n === 1);
      expect((third?.at ?? 0) - addedAt).toBeGreaterThanOrEqual(800);
      expect(kind.tried).toHaveLength(3);
    });
  });

  describe('that is added by a process whose clock is ahead', () => {
    const kind = newKind();

    it('does not have to be found again', async () => {
      const { app, clock, db } = service.worker;
      const ahead = new TestClock(new Date(clock.now().getTime() + 900));
      const other = secondProcess(service, app.get(WorkTransport), ahead);
      const since = performance.now();
      await db.write((tx) => other.add(tx, { kind: kind.name, payload: { n: 1 } }));
      await service.pass(900);
      await until(() => service.isDone(kind));
      // Every ten seconds it would be.
      expect(performance.now() - since).toBeLessThan(900);
      expect(kind.tried).toEqual([1]);
    });
  });

  describe('that waits for a place', () => {
    const kind = newKind({ concurrency: 1 });

    it('is done the most urgent first', async () => {
      const open = kind.close();
      await service.add(kind, 100);
      await until(() => kind.running === 1);
      for (const priority of [9, 5, 0, 3, 7, 1]) await service.add(kind, priority, { priority });
      await service.worker.queue.announceDue();
      open();
      await until(() => service.isDone(kind));
      expect(kind.tried).toEqual([100, 0, 1, 3, 5, 7, 9]);
    });
  });

  describe('of a kind', () => {
    const full = newKind({ concurrency: 2 });
    const other = newKind();
    const endless = newKind({ concurrency: 1 });
    const patient = newKind({ concurrency: 1 });

    it('is never done more than its concurrency at once, and holds no other up', async () => {
      const open = full.close();
      const { db, queue } = service.worker;
      // At once, so that the first look sees more than there are places.
      await db.write(async (tx) => {
        for (let n = 0; n < 10; n++) await queue.add(tx, { kind: full.name, payload: { n } });
      });
      await until(() => full.running === 2);
      await service.add(other, 1);
      await until(() => service.isDone(other));
      await queue.announceDue();
      expect({ tried: full.tries.length, most: full.most }).toEqual({ tried: 2, most: 2 });
      open();
      await until(() => service.isDone(full));
      expect(full.tried.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(full.most).toBe(2);
    });

    it('does not wait until a more urgent one has nothing left to do', async () => {
      const { db, queue } = service.worker;
      let triedBefore = Infinity;
      patient.does = () => {
        triedBefore = endless.tries.length;
        return Promise.resolve();
      };
      await db.write(async (tx) => {
        for (let n = 0; n < 200; n++)
          await queue.add(tx, { kind: endless.name, payload: { n }, priority: 0 });
        await queue.add(tx, { kind: patient.name, payload: { n: 0 } });
      });
      await until(async () => (await service.isDone(endless)) && service.isDone(patient));
      expect(triedBefore).toBeLessThan(50);
    });
  });

  describe('with a key', () => {
    const kind = newKind();

    it('is added once while it stands, and again when it is done', async () => {
      const open = kind.close();
      await service.add(kind, 1, { key: 'the-same' });
      await service.add(kind, 2, { key: 'the-same' });
      await until(() => kind.running === 1);
      await service.add(kind, 3, { key: 'the-same' });
      await service.add(kind, 4, { key: 'another' });
      await until(() => kind.running === 2);
      expect(await service.rows(kind)).toMatchObject([
        { dedupKey: 'the-same', payload: { n: 1 } },
        { dedupKey: 'another', payload: { n: 4 } },
      ]);
      open();
      await until(() => service.isDone(kind));
      await service.add(kind, 5, { key: 'the-same' });
      await until(() => service.isDone(kind));
      expect(kind.tried).toEqual([1, 4, 5]);
    });

    it('is done sooner when it is asked for sooner, and no later', async () => {
      await service.add(kind, 6, { key: 'hurry', delayMs: 3_600_000 });
      await service.add(kind, 7, { key: 'hurry', delayMs: 7_200_000 });
      const [before] = await service.rows(kind);
      await service.add(kind, 8, { key: 'hurry' });
      await until(() => service.isDone(kind));
      expect(before).toMatchObject({ payload: { n: 6 }, epoch: 0 });
      expect(kind.tried.at(-1)).toBe(6);
    });
  });

  describe('that is pointed to again and again', () => {
    const kind = newKind({ concurrency: 4 });

    it('has one effect', async () => {
      const { opened, open } = newGate();
      kind.does = async ({ n }, context) => {
        if (n === 1) await opened;
        await service.effect(kind, n, context);
      };
      await service.add(kind, 1);
      await until(() => kind.running === 1);
      const [row] = await service.rows(kind);
      const id = row?.id ?? '';
      const pointAgain = (from: number): Promise<void> =>
        service.worker.app.get(WorkTransport).announce(
          // Of other epochs, or Redis would take them for one.
          Array.from({ length: 20 }, (_, i) => ({
            id,
            kind: kind.name,
            epoch: from + i,
            priority: 0,
            delayMs: 0,
          })),
        );
      await pointAgain(1_000);
      await service.add(kind, 2, { priority: 9 });
      await until(() => kind.tried.includes(2));
      open();
      await until(() => service.isDone(kind));
      await pointAgain(2_000);
      await service.add(kind, 3, { priority: 9 });
      await until(() => service.isDone(kind));
      expect(kind.tried).toEqual([1, 2, 3]);
      expect(await service.effects(kind)).toEqual([1, 2, 3]);
    });
  });

  describe('that is held', () => {
    const long = newKind({ concurrency: 2 });
    const lost = newKind({ concurrency: 2 });

    it('stays with its holder for longer than a lease, while that lives', async () => {
      const open = long.close();
      await service.add(long, 1);
      await until(() => long.running === 1);
      const heldUntil = async (): Promise<number> =>
        (await service.rows(long))[0]?.leaseUntil?.getTime() ?? 0;
      const first = await heldUntil();
      // Renewed until the first lease is past.
      await until(async () => (await heldUntil()) > first + LEASE_SECONDS * 1000);
      await service.worker.queue.announceDue();
      await service.add(long, 2);
      await until(() => long.running === 2);
      open();
      await until(() => service.isDone(long));
      expect(long.tried).toEqual([1, 2]);
    });

    it('passes to another when its lease has run out, and then has one effect', async () => {
      const { worker } = service;
      const other = isBullmq ? worker.queue : startLooking(lost);
      const gate = newGate();
      const refused = newGate();
      let refusal: unknown = null;
      lost.does = async ({ n }, context) => {
        // The other is still at it when the first comes to its end.
        await (context.attempts > 1 ? refused : gate).opened;
        await service.effect(lost, n, context).catch((error: unknown) => {
          refusal = error;
          refused.open();
          throw error;
        });
      };
      await service.add(lost, 1);
      await until(() => lost.running === 1);
      await until(async () => {
        // It is alive and renews its lease: a process that hangs would not.
        await worker.db.write((tx) =>
          tx.update(Work, { kind: lost.name, epoch: 1 }, { leaseUntil: new Date(0) }),
        );
        await other.announceDue();
        return lost.tries.length === 2;
      });
      gate.open();
      await until(() => service.isDone(lost));
      await until(() => lost.running === 0);
      expect(refusal).toBeInstanceOf(LeaseLostError);
      expect(await service.effects(lost)).toEqual([1]);
      await worker.queue.announceDue();
      await service.add(lost, 2);
      await until(() => service.isDone(lost));
      expect(lost.tries.map(({ n, attempts }) => [n, attempts])).toEqual([
        [1, 1],
        [1, 2],
        [2, 1],
      ]);
    });
  });
});

describeOverRedis('work over a Redis that fails', () => {
  const emptied = new TestKind('emptied', { concurrency: 1 });
  const known = new TestKind('known', {});
  const unused = new TestKind('unused', {});
  const broken = new TestKind('broken', { maxAttempts: 1 });
  let wire: FaultProxy;
  let service: Service;

  beforeAll(async () => {
    await redis.flushdb();
    wire = await FaultProxy.to(redisUrl.hostname, Number(redisUrl.port || 6379));
    const redisAt = new URL(redisUrl);
    redisAt.hostname = '127.0.0.1';
    redisAt.port = String(wire.port);
    service = await Service.start('BullMQ', [emptied, known, unused, broken], redisAt);
  }, 30_000);
  afterAll(async () => {
    wire.set({ kind: 'none' });
    await service.stop();
    await wire.close();
  });

  it('is all done although Redis has lost everything in between', async () => {
    const open = emptied.close();
    for (let n = 0; n < 20; n++) await service.add(emptied, n);
    await until(() => emptied.running === 1);
    await service.worker.queue.announceDue();
    await redis.flushdb();
    open();
    await until(async () => (await service.rows(emptied)).length === 19);
    await until(async () => {
      await service.worker.queue.announceDue();
      return service.isDone(emptied);
    });
    expect(emptied.tried.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  it.each<Fault>([{ kind: 'reset' }, { kind: 'blackhole' }])(
    'is added at once and done afterwards, in a fault of kind $kind',
    async (fault) => {
      const { queue } = service.worker;
      const kinds = [known, unused];
      const tries = kinds.map((kind) => kind.tries.length);
      broken.does = () => Promise.reject(new Error('not now'));
      await service.add(known, 0);
      await service.add(broken, 0);
      await until(async () => (await service.rows(broken))[0]?.state === 'dead');
      await until(() => service.isDone(known));

      wire.set(fault);
      let longest = 0;
      const timed = async (asked: Promise<void>, since = performance.now()): Promise<void> => {
        await asked;
        longest = Math.max(longest, performance.now() - since);
      };
      for (let n = 1; n <= 10; n++) for (const kind of kinds) await timed(service.add(kind, n));
      const [dead] = await service.rows(broken);
      broken.does = () => Promise.resolve();
      await timed((service.main ?? service.worker).queue.revive(dead?.id ?? '', unnoted));
      await timed(queue.announceDue());
      expect(longest).toBeLessThan(2_000);

      wire.set({ kind: 'none' });
      for (const kind of [...kinds, broken])
        await until(async () => {
          await queue.announceDue();
          return service.isDone(kind);
          // What Redis gave away and nobody heard of comes back when its lock has run out.
        }, 40_000);
      expect(kinds.map((kind, i) => kind.tried.slice(tries[i]).toSorted((a, b) => a - b))).toEqual([
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      ]);
    },
    60_000,
  );
});
