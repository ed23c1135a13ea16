import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Redis } from 'ioredis';

import type { Env } from '../config/env.js';
import { AppModule } from '../src/app.module.js';
import { createAdapter, setUpApp } from '../src/app.setup.js';
import { Clock } from '../src/common/clock.js';
import { Logger } from '../src/common/logger.js';
import { ProcessRole } from '../src/common/process-role.js';
import type { SecretWatch } from './secret-watch.js';

/** The Redis of a run in which two mains and two workers share everything; without it, one app does all. */
export const clusterRedisUrl = ownDatabase(
  // oxlint-disable-next-line node/no-process-env -- how test/run.mjs asks for such a run
  process.env['TEST_CLUSTER_REDIS_URL'],
  // oxlint-disable-next-line node/no-process-env -- how Jest numbers the processes that suites run in
  Number(process.env['JEST_WORKER_ID'] ?? 1),
);

const FLUSH_EVERY_MS = 700;

/** It is emptied all the time: what runs beside it has one of its own. @param url of the first one, the others go down */
function ownDatabase(url: string | undefined, place: number): string | undefined {
  if (url === undefined) return undefined;
  const number = Number(new URL(url).pathname.slice(1)) + 1 - place;
  return new URL(`/${number}`, url).href;
}

/** One process of the service, inside this one. */
export async function startProcess(
  env: Env,
  clock: Clock,
  options: { role?: ProcessRole; controllers?: Type[]; watch?: SecretWatch } = {},
): Promise<NestFastifyApplication> {
  const { role = new ProcessRole('main'), controllers = [], watch } = options;
  const logger = new Logger(env, watch);
  const module = await Test.createTestingModule({
    imports: [AppModule.forRoot(env, role)],
    controllers,
  })
    .overrideProvider(Clock)
    .useValue(clock)
    .overrideProvider(Logger)
    .useValue(logger)
    .setLogger(logger)
    .compile();
  const app = module.createNestApplication<NestFastifyApplication>(createAdapter(env), {
    bodyParser: false,
  });
  watch?.follow(app);
  await setUpApp(app);
  await app.listen(0, '127.0.0.1');
  return app;
}

/** The other processes of a cluster: a second main and two workers, on a Redis that forgets everything all the time. */
export class Cluster {
  private constructor(
    readonly main: NestFastifyApplication,
    private readonly workers: NestFastifyApplication[],
    private readonly redis: Redis,
    private readonly flushing: NodeJS.Timeout,
  ) {}

  static async start(
    env: Env,
    clock: Clock,
    redisUrl: string,
    watch: SecretWatch,
  ): Promise<Cluster> {
    const redis = new Redis(redisUrl);
    const flushing = setInterval(() => void redis.flushdb(), FLUSH_EVERY_MS);
    const worker = (): Promise<NestFastifyApplication> =>
      startProcess(env, clock, { role: new ProcessRole('worker'), watch });
    const [main, ...workers] = await Promise.all([
      startProcess(env, clock, { watch }),
      worker(),
      worker(),
    ]);
    return new Cluster(main, workers, redis, flushing);
  }

  /** Has Redis forget everything at once. */
  async empty(): Promise<void> {
    await this.redis.flushdb();
  }

  async stop(): Promise<void> {
    await Promise.all([this.main, ...this.workers].map((app) => app.close()));
    clearInterval(this.flushing);
    this.redis.disconnect();
  }
}
