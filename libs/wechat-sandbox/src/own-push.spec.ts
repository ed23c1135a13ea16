import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { parsePushJson, parseXml, readSubscriptionEvent } from '@app/wechat';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import WXBizMsgCrypt from 'wechat-crypto';

import { type PushConfig, WechatSandbox } from './index.js';

const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const TOKEN = 'ownToken2026';
const KEY = 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg';
const ENTRIES = [
  { TemplateId: 'TPL_A', MsgID: '1864323726461255680', ErrorCode: '0', ErrorStatus: 'success' },
];
const EVENT = 'subscribe_msg_sent_event';

interface Received {
  method: string | undefined;
  query: URLSearchParams;
  contentType: string | undefined;
  body: string;
}

let sandbox: WechatSandbox;
let receiver: Server;
let url: string;
let received: Received[];
/** What the address answers; the handshake's text where it is null. */
let answer: string | null;

beforeEach(async () => {
  received = [];
  answer = null;
  receiver = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { searchParams } = new URL(incoming.url ?? '', 'http://x');
      received.push({
        method: incoming.method,
        query: searchParams,
        contentType: incoming.headers['content-type'],
        body: Buffer.concat(chunks).toString(),
      });
      response.end(answer ?? searchParams.get('echostr') ?? 'success');
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/own`;
  sandbox = await WechatSandbox.start({
    component: {
      appid: 'wx0c0ffee0c0ffee00',
      appSecret: 'sandbox0secret0sandbox0secret000',
      token: 'sandboxToken2026',
      encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
    },
    launchDomain: 'channel.test',
    pushRetryDelaysMs: [0, 0],
  });
});
afterEach(async () => {
  await sandbox.stop();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

const configOf = (over: Partial<PushConfig> = {}): PushConfig => ({
  url,
  token: TOKEN,
  encodingAesKey: KEY,
  mode: 'secure',
  format: 'xml',
  ...over,
});
const last = (): Received => {
  const one = received.at(-1);
  if (!one) throw new Error('Nothing has come.');
  return one;
};
const signatureOf = (query: URLSearchParams, ...more: string[]): string =>
  createHash('sha1')
    .update(
      [TOKEN, query.get('timestamp') ?? '', query.get('nonce') ?? '', ...more].sort().join(''),
    )
    .digest('hex');

describe('saving a push configuration', () => {
  it('tries the address first, and keeps what echoes', async () => {
    expect(await sandbox.savePushConfig(MINI_PROGRAM, configOf())).toMatchObject({
      isSaved: true,
      status: 200,
    });
    const { method, query } = last();
    expect(method).toBe('GET');
    expect(query.get('signature')).toBe(signatureOf(query));
    expect(query.get('echostr')).toMatch(/^\d+$/);
    expect(sandbox.account(MINI_PROGRAM).pushConfig).toEqual(configOf());
  });

  it.each(['"1"', '', 'success'])('keeps nothing when the answer is %j', async (text) => {
    answer = text;
    expect(await sandbox.savePushConfig(MINI_PROGRAM, configOf())).toEqual({
      isSaved: false,
      status: 200,
      body: text,
    });
    expect(sandbox.account(MINI_PROGRAM).pushConfig).toBeNull();
    await expect(sandbox.pushOwn(MINI_PROGRAM, { MsgType: 'text' })).rejects.toThrow(
      'no push configuration',
    );
  });

  it('keeps nothing when nobody answers', async () => {
    expect(
      await sandbox.savePushConfig(MINI_PROGRAM, configOf({ url: 'http://127.0.0.1:9/' })),
    ).toMatchObject({ isSaved: false, status: null });
  });
});

describe.each(['xml', 'json'] as const)('a receipt in %s', (format) => {
  const read = format === 'xml' ? (text: string) => parseXml(text) : parsePushJson;

  it.each(['plaintext', 'compatible', 'secure'] as const)(
    'is what the independent implementation opens, in %s mode',
    async (mode) => {
      await sandbox.savePushConfig(MINI_PROGRAM, configOf({ mode, format }));
      const result = await sandbox.pushReceipt(MINI_PROGRAM, {
        event: EVENT,
        entries: ENTRIES,
        openid: 'oPerson',
      });
      expect(result.delivered).toBe(true);
      const { query, body, contentType } = last();
      expect(contentType).toBe(format === 'xml' ? 'text/xml' : 'application/json');
      expect(query.get('signature')).toBe(signatureOf(query));
      expect(query.get('openid')).toBe('oPerson');
      const outer = read(body);
      const encrypted = typeof outer['Encrypt'] === 'string' ? outer['Encrypt'] : '';
      const crypt = new WXBizMsgCrypt(TOKEN, KEY, MINI_PROGRAM);
      const { message, id } =
        mode === 'plaintext' ? { message: body, id: MINI_PROGRAM } : crypt.decrypt(encrypted);
      expect(id).toBe(MINI_PROGRAM);
      const isSealed = mode !== 'plaintext';
      expect(query.get('msg_signature')).toBe(isSealed ? signatureOf(query, encrypted) : null);
      // Only in secure mode nothing stands beside the ciphertext.
      expect(outer['Event']).toBe(mode === 'secure' ? undefined : EVENT);
      const fields = read(message);
      expect(fields).toMatchObject({ FromUserName: 'oPerson', MsgType: 'event', Event: EVENT });
      expect(readSubscriptionEvent(EVENT, fields)).toMatchObject([{ msgid: ENTRIES[0]?.MsgID }]);
    },
  );

  it('has one entry or a list, where it is wanted', async () => {
    const config = configOf({ mode: 'plaintext', format });
    const bodyOf = async (entries: typeof ENTRIES, listAt?: 'top' | 'inside') => {
      await sandbox.pushReceipt(MINI_PROGRAM, { event: EVENT, entries, listAt }, { config });
      return read(last().body);
    };
    const one = await bodyOf(ENTRIES);
    const two = await bodyOf([...ENTRIES, ...ENTRIES]);
    const inside = await bodyOf(ENTRIES, 'inside');
    const holder = { SubscribeMsgSentEvent: { List: { TemplateId: 'TPL_A' } } };
    expect(one).toMatchObject(format === 'xml' ? holder : { List: { TemplateId: 'TPL_A' } });
    expect(inside).toMatchObject(holder);
    expect(readSubscriptionEvent(EVENT, two)).toHaveLength(2);
  });
});

describe('a forwarder', () => {
  it('sends the same bytes and query again and again, under whatever Content-Type', async () => {
    await sandbox.savePushConfig(MINI_PROGRAM, configOf());
    received = [];
    await sandbox.pushOwn(
      MINI_PROGRAM,
      { MsgType: 'text', Content: '你好' },
      { forwarder: { times: 3, contentType: 'application/x-www-form-urlencoded' } },
    );
    expect(received).toHaveLength(3);
    expect(new Set(received.map(({ query, body }) => `${query.toString()} ${body}`)).size).toBe(1);
    expect(last().contentType).toBe('application/x-www-form-urlencoded');
  });

  it('loses the query where it is told to', async () => {
    answer = '';
    const over = { config: configOf(), forwarder: { dropsQuery: true } };
    await sandbox.pushReceipt(MINI_PROGRAM, { event: EVENT, entries: ENTRIES }, over);
    expect([...last().query]).toEqual([]);
  });
});

it('can be scripted from outside', async () => {
  const control = async (command: string, body: object): Promise<unknown> => {
    const response = await fetch(`${sandbox.url}/_sandbox/${command}`, {
      method: 'POST',
      body: JSON.stringify({ appid: MINI_PROGRAM, ...body }),
    });
    return response.json();
  };
  expect(await control('push-config', { ...configOf() })).toMatchObject({ isSaved: true });
  expect(await control('receipt', { event: EVENT, entries: ENTRIES })).toMatchObject({
    delivered: true,
  });
  expect(
    await control('own-push', {
      fields: { MsgType: 'text', Content: '你好' },
      corruption: { isTruncated: true },
    }),
  ).toMatchObject({ attempts: [{ status: 200 }] });
  expect(last().body).not.toContain('</xml>');
});
