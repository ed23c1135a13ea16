import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

import { newDatabase } from './app.js';
import { Canary, decoded } from './canary.js';
import { openView } from './faults/checker.js';
import { type Program, startProgram } from './processes.js';

// oxlint-disable-next-line node/no-process-env -- where test/run.mjs has found one
const redisUrl = new URL('/11', process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379').href;

let canary: Canary;
let worker: Program;
let view: DataSource;
let redis: Redis;
let drop: () => Promise<void>;
/** Everything that was ever written to Redis, as Redis itself has seen it. */
const written: string[] = [];

beforeAll(async () => {
  redis = new Redis(redisUrl);
  await redis.flushdb();
  const monitor = await redis.duplicate().monitor();
  monitor.on('monitor', (_time: string, words: string[]) => written.push(words.join(' ')));
  const database = await newDatabase();
  drop = database.drop;
  canary = await Canary.start(database.url, { REDIS_URL: redisUrl });
  ({ program: worker } = await startProgram('src/worker.js', canary.processEnv));
  view = await openView(database.url);
  await canary.walk();
  monitor.disconnect();
}, 90_000);
afterAll(async () => {
  await worker.stop();
  await canary.stop();
  await view.destroy();
  redis.disconnect();
  await drop();
});

/** Every row of every table. */
async function dump(): Promise<string> {
  const tables = await view.query<Record<string, string>[]>('SHOW TABLES');
  const names = tables.flatMap((row) => Object.values(row));
  const rows = await Promise.all(names.map((name) => view.query(`SELECT * FROM \`${name}\``)));
  return JSON.stringify(rows);
}

describe('no secret, with MySQL, Redis and a worker,', () => {
  it('stands in a log line of either process', () => {
    expect(worker.output).toContain('"role":"worker"');
    for (const output of [canary.service.output, worker.output]) {
      expect(canary.leaksIn(output)).toEqual([]);
      expect(canary.leaksIn(decoded(output))).toEqual([]);
    }
  });

  it('stands in an answer', () => {
    expect(canary.leaksIn(canary.answers.join('\n'))).toEqual([]);
  });

  it('stands in a dump of the database', async () => {
    const text = await dump();
    expect(text).toContain('wx1badb002feedface');
    expect(canary.leaksIn(text)).toEqual([]);
  });

  it('was ever written to Redis', () => {
    const text = written.join('\n');
    expect(text).toContain('rotate-keys');
    expect(text).toContain('token-changed');
    expect(canary.leaksIn(text)).toEqual([]);
  });
});
