import { makePush } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { COMPONENT, newDatabase, startApp, type TestApp } from './app.js';
import { FaultProxy } from './faults/fault-proxy.js';
import { newOpenid, newSender } from './message-helpers.js';
import { until } from './until.js';

let wire: FaultProxy;
let app: TestApp;
let drop: () => Promise<void>;
let serial = 0;

beforeAll(async () => {
  const database = await newDatabase();
  drop = database.drop;
  const url = new URL(database.url);
  wire = await FaultProxy.to(url.hostname, Number(url.port || 3306));
  url.host = `127.0.0.1:${wire.port}`;
  app = await startApp({ env: { DATABASE_URL: url.href } });
});
afterAll(async () => {
  wire.set({ kind: 'none' });
  await app.stop();
  await wire.close();
  await drop();
});

async function push(): Promise<{ status: number; body: string; ms: number }> {
  const createTime = Math.floor(app.clock.now().getTime() / 1000);
  const xml = `<xml><AppId>${COMPONENT.appid}</AppId><CreateTime>${createTime}</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@${++serial}</ComponentVerifyTicket></xml>`;
  const { query, body } = makePush(xml, COMPONENT, createTime);
  const startedAt = Date.now();
  const response = await request(`${app.url}/wechat/component/events`, {
    method: 'POST',
    query,
    body,
  });
  return {
    status: response.statusCode,
    body: await response.body.text(),
    ms: Date.now() - startedAt,
  };
}

describe('while the database is away', () => {
  it('a push is answered 503 and never success, health says so, and both come back by themselves', async () => {
    wire.set({ kind: 'reset' });
    expect(await push()).toMatchObject({ status: 503, body: '' });
    const ready = await fetch(`${app.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ status: 'unready', database: 'down' });
    expect(await app.api('GET', '/accounts')).toMatchObject({
      status: 503,
      body: { code: 'storage_unavailable' },
    });
    wire.set({ kind: 'none' });
    await until(async () => (await push()).status === 200);
    expect((await fetch(`${app.url}/health/ready`)).status).toBe(200);
    await app.settled();
  });

  it('a database that does not answer makes no push late', async () => {
    wire.set({ kind: 'blackhole' });
    const { status, body, ms } = await push();
    expect({ status, body }).toEqual({ status: 503, body: '' });
    expect(ms).toBeLessThan(4_500);
    wire.set({ kind: 'none' });
    await until(async () => (await push()).status === 200);
  });

  it('a slow one makes no message late whose account has to be looked up first', async () => {
    app.clock.advance(1_000);
    await app.sandbox.pushTicket();
    await app.settled();
    const appid = await newSender(app);
    const person = app.sandbox.person(appid, newOpenid());
    await app.restart();
    wire.set({ kind: 'latency', ms: 2_000, perChunk: false });
    const { attempts } = await person.write('你好');
    // WeChat hangs up on what is late, and has no status then.
    expect(attempts.map(({ status }) => status)).not.toContain(null);
    wire.set({ kind: 'none' });
    await until(async () => (await push()).status === 200);
  }, 60_000);
});
