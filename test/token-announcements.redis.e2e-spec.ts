import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';

import { TokensService } from '../src/tokens/tokens.service.js';
import { startApp, type TestApp } from './app.js';
import { startProcess } from './cluster.js';
import { begin, SERVICE_ACCOUNT } from './helpers.js';
import { Env } from '../config/env.js';
import { until } from './until.js';

// oxlint-disable-next-line node/no-process-env -- where test/run.mjs has found one
const redisUrl = new URL('/12', process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379').href;
/** Less than a process goes on with what it has in memory. */
const SOON_MS = 3_000;

let app: TestApp;
let peer: NestFastifyApplication;

beforeAll(async () => {
  app = await startApp({ env: { REDIS_URL: redisUrl } });
  peer = await startProcess(app.app.get(Env), app.clock);
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode }).pushed;
  await app.settled();
}, 60_000);
afterAll(async () => {
  await peer.close();
  await app.stop();
});

describe('a token that has changed', () => {
  it('is announced over Redis, so that the other processes let go of theirs', async () => {
    const [mine, theirs] = [app.app.get(TokensService), peer.get(TokensService)];
    const old = await mine.getToken(SERVICE_ACCOUNT);
    expect(await theirs.getToken(SERVICE_ACCOUNT)).toBe(old);
    await mine.invalidate(SERVICE_ACCOUNT, old);
    const next = await mine.getToken(SERVICE_ACCOUNT);
    expect(next).not.toBe(old);
    await until(async () => (await theirs.getToken(SERVICE_ACCOUNT)) === next, SOON_MS);
  });
});
