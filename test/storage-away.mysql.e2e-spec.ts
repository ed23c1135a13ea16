import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

import { makePush } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { COMPONENT, newDatabase, startApp, type TestApp } from './app.js';
import { until } from './until.js';

/** A wire between the service and its database, that can be cut or go silent. */
class Wire {
  readonly #sockets = new Set<Socket>();
  state: 'up' | 'cut' | 'silent' = 'up';

  private constructor(readonly server: Server) {}

  static async to(host: string, port: number): Promise<Wire> {
    const server = createServer();
    const wire = new Wire(server);
    server.on('connection', (near) => {
      if (wire.state === 'cut') {
        near.destroy();
        return;
      }
      const far = connect(port, host);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        wire.#sockets.add(from);
        from.on('data', (chunk: Buffer) => wire.state !== 'silent' && to.write(chunk));
        from.on('error', () => to.destroy());
        from.on('close', () => to.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  set(state: 'up' | 'cut' | 'silent'): void {
    this.state = state;
    if (state !== 'silent') for (const socket of this.#sockets) socket.destroy();
    if (state !== 'silent') this.#sockets.clear();
  }
}

let wire: Wire;
let app: TestApp;
let drop: () => Promise<void>;
let serial = 0;

beforeAll(async () => {
  const database = await newDatabase();
  drop = database.drop;
  const url = new URL(database.url);
  wire = await Wire.to(url.hostname, Number(url.port || 3306));
  url.host = `127.0.0.1:${wire.port}`;
  app = await startApp({ env: { DATABASE_URL: url.href } });
});
afterAll(async () => {
  wire.set('up');
  await app.stop();
  wire.server.close();
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
    wire.set('cut');
    expect(await push()).toMatchObject({ status: 503, body: '' });
    const ready = await fetch(`${app.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ status: 'unready', database: 'down' });
    expect(await app.api('GET', '/accounts')).toMatchObject({
      status: 503,
      body: { code: 'storage_unavailable' },
    });
    wire.set('up');
    await until(async () => (await push()).status === 200);
    expect((await fetch(`${app.url}/health/ready`)).status).toBe(200);
    await app.settled();
  });

  it('a database that does not answer makes no push late', async () => {
    wire.set('silent');
    const { status, body, ms } = await push();
    expect({ status, body }).toEqual({ status: 503, body: '' });
    expect(ms).toBeLessThan(4_500);
    wire.set('up');
    await until(async () => (await push()).status === 200);
  });
});
