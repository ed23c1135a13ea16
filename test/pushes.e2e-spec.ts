import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makePush } from '@app/wechat-sandbox';
import { request } from 'undici';

import { Database } from '../src/database/database.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { PushLedger } from '../src/pushes/push-ledger.js';
import { COMPONENT, startApp, type TestApp } from './app.js';

const DOOR = '/wechat/component/events';
const LIMIT_BYTES = 256 * 1024;

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const seconds = (): number => Math.floor(app.clock.now().getTime() / 1000);

function ticketXml(ticket = `ticket@@@${++serial}`, createTime = seconds()): string {
  return `<xml><AppId>${COMPONENT.appid}</AppId><CreateTime>${createTime}</CreateTime><InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>${ticket}</ComponentVerifyTicket></xml>`;
}

async function send(push: {
  query: Record<string, string>;
  body: string | Buffer;
  contentType?: string;
}): Promise<{ status: number; body: string }> {
  const response = await request(`${app.url}${DOOR}`, {
    method: 'POST',
    query: push.query,
    body: push.body,
    headers: { 'content-type': push.contentType ?? 'text/xml' },
  });
  return { status: response.statusCode, body: await response.body.text() };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const rows = (): Promise<PushRow[]> => app.app.get(Database).read.find(PushRow);

describe('POST /wechat/component/events', () => {
  it('keeps a push before it answers success', async () => {
    const before = (await rows()).length;
    expect(await send(makePush(ticketXml(), COMPONENT, seconds()))).toEqual({
      status: 200,
      body: 'success',
    });
    expect(await rows()).toHaveLength(before + 1);
    await app.settled();
  });

  it.each([
    'text/xml',
    'application/json',
    'application/octet-stream',
    'text/plain; charset=gbk',
    '',
  ])('takes a push under the Content-Type "%s"', async (contentType) => {
    const push = makePush(ticketXml(), COMPONENT, seconds());
    expect(await send({ ...push, contentType })).toEqual({ status: 200, body: 'success' });
  });

  it('keeps the same push once, however often and under whatever signature it comes', async () => {
    const xml = ticketXml();
    const before = (await rows()).length;
    const same = makePush(xml, COMPONENT, seconds());
    const answers = await Promise.all([
      send(same),
      send(same),
      send(makePush(xml, COMPONENT, seconds() + 5)),
      send(makePush(xml, COMPONENT, seconds() - 86_400)),
    ]);
    expect(answers).toEqual(Array(4).fill({ status: 200, body: 'success' }));
    expect(await rows()).toHaveLength(before + 1);
    await app.settled();
  });

  it('does not keep what it holds in clear text', async () => {
    await send(makePush(ticketXml('ticket@@@canary-in-the-ledger'), COMPONENT, seconds()));
    await app.settled();
    expect(JSON.stringify(await rows())).not.toContain('canary-in-the-ledger');
  });

  const good = (): ReturnType<typeof makePush> => makePush(ticketXml(), COMPONENT, seconds());
  it.each<[string, number, () => { query: Record<string, string>; body: string | Buffer }]>([
    [
      'a wrong signature',
      403,
      () => makePush(ticketXml(), COMPONENT, seconds(), { badSignature: true }),
    ],
    [
      'another Token',
      403,
      () => makePush(ticketXml(), COMPONENT, seconds(), { token: 'anotherToken' }),
    ],
    [
      'another key',
      403,
      () =>
        makePush(ticketXml(), COMPONENT, seconds(), {
          encodingAesKey: 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg',
        }),
    ],
    [
      'another appid at its end',
      403,
      () => makePush(ticketXml(), COMPONENT, seconds(), { trailingAppid: 'wx1badb002feedface' }),
    ],
    [
      'another appid inside',
      403,
      () =>
        makePush(ticketXml().replace(COMPONENT.appid, 'wx1badb002feedface'), COMPONENT, seconds()),
    ],
    [
      'no msg_signature',
      403,
      () => makePush(ticketXml(), COMPONENT, seconds(), { withoutQuery: ['msg_signature'] }),
    ],
    ['no query', 403, () => ({ ...good(), query: {} })],
    ['clear text', 403, () => ({ ...good(), body: ticketXml() })],
    ['a truncated body', 400, () => ({ ...good(), body: good().body.slice(0, 60) })],
    ['nothing', 400, () => ({ ...good(), body: '' })],
    ['JSON', 400, () => ({ ...good(), body: '{"Encrypt":"x"}' })],
    ['a DOCTYPE', 400, () => ({ ...good(), body: `<!DOCTYPE a>${good().body.toString()}` })],
    [
      'Encrypt twice',
      400,
      () => ({ ...good(), body: '<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>' }),
    ],
    ['too many levels', 400, () => ({ ...good(), body: `<xml>${'<a>'.repeat(20)}` })],
    ['bytes that are no text', 400, () => ({ ...good(), body: Buffer.from([0, 255, 254, 1]) })],
    ['a signed document that is no XML', 400, () => makePush('not xml', COMPONENT, seconds())],
    ['more than 256 KiB', 413, () => ({ ...good(), body: Buffer.alloc(LIMIT_BYTES + 1, 97) })],
  ])('refuses %s with %i and an empty body, and keeps nothing', async (_case, status, make) => {
    const before = (await rows()).length;
    expect(await send(make())).toEqual({ status, body: '' });
    expect(await rows()).toHaveLength(before);
  });

  it.each([
    ['says nothing that we know', '<xml><Demo>ok</Demo></xml>', 'unknown'],
    [
      'lacks what its kind needs',
      `<xml><AppId>${COMPONENT.appid}</AppId><InfoType>authorized</InfoType></xml>`,
      'unknown',
    ],
    [
      "is a person's message at the wrong address",
      '<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1767225601</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>6060349595123187712</MsgId></xml>',
      'message',
    ],
  ])('keeps and answers what is WeChat’s but %s', async (_case, xml, kind) => {
    expect(await send(makePush(xml, COMPONENT, seconds()))).toEqual({
      status: 200,
      body: 'success',
    });
    await app.settled();
    expect((await rows()).findLast((row) => row.kind === kind)).toMatchObject({ state: 'handled' });
  });

  it('takes a body right below the limit', async () => {
    const xml = ticketXml(`ticket@@@${'x'.repeat(180_000)}`);
    expect((await send(makePush(xml, COMPONENT, seconds()))).status).toBe(200);
    await app.settled();
  });

  it('has no other addresses', async () => {
    const { query, body } = good();
    const response = await request(`${app.url}/wechat/elsewhere`, {
      method: 'POST',
      query,
      body,
      headers: { 'content-type': 'text/xml' },
    });
    expect({ status: response.statusCode, body: await response.body.text() }).toEqual({
      status: 404,
      body: '',
    });
  });

  it('lives through ten thousand fuzzed bodies with flat memory', async () => {
    const body = good().body.toString();
    const { query } = good();
    const fuzz = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += 50) {
        const batch = Array.from({ length: 50 }, (_unused, offset) => {
          const cut = ((at + offset) * 7919) % body.length;
          const mutated =
            body.slice(0, cut) +
            String.fromCharCode((at + offset) % 256) +
            body.slice(cut + ((at + offset) % 5));
          return send({ query, body: mutated });
        });
        for (const { status } of await Promise.all(batch))
          expect([200, 400, 403]).toContain(status);
      }
    };
    const heap = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    await fuzz(0, 2_000);
    const before = heap();
    await fuzz(2_000, 10_000);
    expect(heap() - before).toBeLessThan(16 * 1024 * 1024);
    expect((await send(good())).status).toBe(200);
    await app.settled();
  }, 120_000);
});

describe('GET /wechat/component/events', () => {
  it('echoes a handshake that is signed with our Token, and no other', async () => {
    const { query } = makePush('<xml></xml>', COMPONENT, seconds());
    const ask = async (
      parameters: Record<string, string>,
    ): Promise<{ status: number; body: string }> => {
      const response = await request(`${app.url}${DOOR}`, { query: parameters });
      return { status: response.statusCode, body: await response.body.text() };
    };
    expect(await ask({ ...query, echostr: '58373975' })).toEqual({ status: 200, body: '58373975' });
    expect(await ask({ ...query, signature: '0'.repeat(40), echostr: '58373975' })).toEqual({
      status: 403,
      body: '',
    });
    expect(await ask(query)).toEqual({ status: 403, body: '' });
  });
});

describe('a push whose handler fails', () => {
  beforeAll(async () => {
    // The tickets of the tests above are not WeChat's.
    app.clock.advance(1_000);
    await app.sandbox.pushTicket();
    await app.settled();
  });

  it('is tried again later and then has its effect once', async () => {
    const appid = 'wx00000000000fa11e';
    app.sandbox.addAccount({ appid });
    const path = '/cgi-bin/component/api_query_auth';
    app.sandbox.faults.add({ path, kind: 'errcode', errcode: 45009, times: 2 });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    expect((await app.api('GET', `/accounts/${appid}`)).status).toBe(404);
    const failed = (await rows()).find(({ state }) => state === 'waiting');
    expect(failed).toMatchObject({ attempts: 1, failure: expect.stringContaining('45009') });

    await app.app.get(PushLedger).sweep();
    expect((await app.api('GET', `/accounts/${appid}`)).status).toBe(404);
    app.clock.advance(10_000);
    await app.app.get(PushLedger).sweep();
    app.clock.advance(20_000);
    await app.app.get(PushLedger).sweep();
    expect((await app.api('GET', `/accounts/${appid}`)).status).toBe(200);
    expect((await rows()).filter(({ state }) => state !== 'handled')).toEqual([]);
  });

  it('is handled after a restart when its process ended first', async () => {
    const xml = ticketXml('ticket@@@after-restart', seconds() + 60);
    const service = app.app.get(PushLedger);
    expect((await send(makePush(xml, COMPONENT, seconds()))).status).toBe(200);
    await service.settled();
    // As a kill -9 between the insert and the handler leaves it.
    await app.app
      .get(Database)
      .write((tx) =>
        tx.update(
          PushRow,
          { kind: 'component_verify_ticket' },
          { state: 'waiting', handledAt: null },
        ),
      );
    await app.restart();
    app.clock.advance(120_000);
    await app.app.get(PushLedger).sweep();
    expect((await rows()).filter(({ state }) => state !== 'handled')).toEqual([]);
  });

  it('is parked with its reason when it keeps failing', async () => {
    const appid = 'wx0000000000badbad';
    app.sandbox.addAccount({ appid });
    app.sandbox.faults.add({
      path: '/cgi-bin/component/api_query_auth',
      kind: 'errcode',
      errcode: 45009,
      times: Infinity,
    });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    for (let tries = 1; tries < 12; tries++) {
      app.clock.advance(600_000);
      await app.app.get(PushLedger).sweep();
    }
    const parked = (await rows()).filter(({ state }) => state === 'parked');
    expect(parked).toMatchObject([{ attempts: 12, failure: expect.stringContaining('45009') }]);
    app.sandbox.faults.clear();
  });
});
