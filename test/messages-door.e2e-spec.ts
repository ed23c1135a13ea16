import { makePush } from '@app/wechat-sandbox';
import { textReply } from '@app/wechat';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { request } from 'undici';

import { Database } from '../src/database/database.js';
import { EventRow } from '../src/events/event.entity.js';
import { type PassiveReply, PushHandlers } from '../src/pushes/push-handlers.js';
import { PushLedger } from '../src/pushes/push-ledger.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { PushesRepository } from '../src/pushes/pushes.repository.js';
import { COMPONENT, startApp, type TestApp } from './app.js';
import { begin, enableAccount, figureOf, readMetrics } from './helpers.js';

const SUCCESS = { attempts: [{ status: 200, body: 'success' }], delivered: true, reply: null };
const LIMIT_BYTES = 256 * 1024;

let app: TestApp;
let db: Database;
let serial = 0;
/** What the accounts of the tests answer with. */
const replies = new Map<string, PassiveReply>();

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
  app.app
    .get(PushHandlers)
    .registerReply((push, account) => replies.get(account.appid)?.(push, account) ?? null);
});
afterAll(() => app.stop());

/** An account of the test's own, so that the tests do not meet: authorized, but switched off. */
async function newAccount(): Promise<string> {
  const digits = (0xd00d000000 + ++serial).toString(16);
  const appid = `wx${digits.padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, originalId: `gh_${digits.padStart(12, '0')}` });
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  return appid;
}

async function newEnabledAccount(): Promise<string> {
  const appid = await newAccount();
  await enableAccount(app, appid);
  return appid;
}

/** What a message says. */
const wordsOf = ({ fields }: Parameters<PassiveReply>[0]): string => {
  const { Content } = fields;
  return typeof Content === 'string' ? Content : '';
};
const newMsgId = (): string => String(6060349595123187000n + BigInt(++serial));
const rowsOf = (account: string): Promise<PushRow[]> => db.read.findBy(PushRow, { account });

/** What the marketing platform was told: the effect of a message is an event in the transaction that ends its handling. */
async function effectsOf(account: string): Promise<string[]> {
  const rows = await db.read.findBy(EventRow, { appid: account, type: 'message.received' });
  return rows.map(({ payload }) => `message ${(payload as { messageId: string }).messageId}`);
}

const text = (content: string, msgId = newMsgId()) => ({
  MsgType: 'text',
  Content: content,
  MsgId: msgId,
});

/** A push in WeChat's form to an address that may be another than its own. */
async function send(
  appid: string,
  push: { query: Record<string, string>; body: string | Buffer },
): Promise<{ status: number; body: string; contentType: unknown }> {
  const response = await request(`${app.url}/wechat/accounts/${appid}/messages`, {
    method: 'POST',
    query: push.query,
    body: push.body,
    headers: { 'content-type': 'text/xml' },
  });
  return {
    status: response.statusCode,
    body: await response.body.text(),
    contentType: response.headers['content-type'],
  };
}

const seconds = (): number => Math.floor(app.clock.now().getTime() / 1000);

/** How often pushes of accounts have been counted. */
async function counted(
  name: 'pushes_total' | 'push_refusals_total',
  labels: Record<string, string>,
): Promise<number> {
  return figureOf(await readMetrics(app), name, { door: 'account', ...labels }) ?? 0;
}

describe("an account's message", () => {
  it('is kept before it is answered, once for its MsgId, and handled once', async () => {
    const appid = await newEnabledAccount();
    const message = text('你好 canary-of-a-message');
    expect(await app.sandbox.pushMessage(appid, message)).toEqual(SUCCESS);
    expect(await rowsOf(appid)).toHaveLength(1);
    // WeChat asks again under another signature, and with another time.
    expect(await app.sandbox.pushMessage(appid, message)).toEqual(SUCCESS);
    expect(await app.sandbox.pushMessage(appid, { ...message, CreateTime: seconds() + 5 })).toEqual(
      SUCCESS,
    );
    await app.settled();
    const rows = await rowsOf(appid);
    expect(rows).toMatchObject([
      { kind: 'message', dedupKey: message.MsgId, state: 'handled', attempts: 1, answer: null },
    ]);
    expect(JSON.stringify(rows)).not.toContain('canary-of-a-message');
    expect(await effectsOf(appid)).toEqual([`message ${message.MsgId}`]);
    const kind = 'message';
    expect(await counted('pushes_total', { kind, outcome: 'kept' })).toBeGreaterThan(0);
    expect(await counted('pushes_total', { kind, outcome: 'duplicate' })).toBeGreaterThan(1);
  });

  it('is another one than that of another account, although their MsgIds are the same', async () => {
    const [one, other] = [await newEnabledAccount(), await newEnabledAccount()];
    const message = text('twice');
    await app.sandbox.pushMessage(one, message);
    await app.sandbox.pushMessage(other, message);
    await app.settled();
    for (const appid of [one, other]) {
      expect(await rowsOf(appid)).toMatchObject([{ dedupKey: message.MsgId, state: 'handled' }]);
      expect(await effectsOf(appid)).toEqual([`message ${message.MsgId}`]);
    }
  });

  it('that comes three times at once has one row, one effect and one answer', async () => {
    const appid = await newEnabledAccount();
    let asked = 0;
    replies.set(appid, ({ fromUserName, toUserName, createTime }) =>
      textReply({ to: fromUserName, from: toUserName, createTime }, `answer ${++asked}`),
    );
    const message = text('at once');
    const results = await Promise.all([1, 2, 3].map(() => app.sandbox.pushMessage(appid, message)));
    await app.settled();
    const bodies = new Set(results.flatMap(({ attempts }) => attempts.map(({ body }) => body)));
    expect(bodies.size).toBe(1);
    expect(results.map(({ reply }) => reply?.['Content'])).toEqual(
      Array(3).fill(expect.stringMatching(/^answer [123]$/)),
    );
    expect(await rowsOf(appid)).toMatchObject([{ state: 'handled', attempts: 1 }]);
    expect(await effectsOf(appid)).toEqual([`message ${message.MsgId}`]);
  });
});

describe("an account's event", () => {
  it('is told from others by what it says: a scan and a subscription of one person in one second are two', async () => {
    const appid = await newEnabledAccount();
    const event = { MsgType: 'event', EventKey: 'qrscene_7', Ticket: 'gQH_ticket' };
    for (const name of ['SCAN', 'subscribe', 'SCAN'])
      expect(await app.sandbox.pushMessage(appid, { ...event, Event: name })).toEqual(SUCCESS);
    await app.settled();
    const rows = await rowsOf(appid);
    expect(rows).toHaveLength(2);
    for (const row of rows) {
      expect(row).toMatchObject({ kind: 'event', state: 'handled' });
      expect(row.dedupKey).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('of another person in the same second is another one', async () => {
    const appid = await newEnabledAccount();
    const event = { MsgType: 'event', Event: 'subscribe' };
    // WeChat tells people apart by letters that differ in case only.
    for (const FromUserName of ['oPersonA', 'opersona'])
      await app.sandbox.pushMessage(appid, { ...event, FromUserName });
    expect(await rowsOf(appid)).toHaveLength(2);
    await app.settled();
  });
});

describe('what is answered and forgotten', () => {
  it.each<[string, () => Promise<string>]>([
    [
      'that never authorized us',
      () => {
        const appid = `wx${(0xfade000000 + ++serial).toString(16).padStart(16, '0')}`;
        app.sandbox.addAccount({ appid });
        return Promise.resolve(appid);
      },
    ],
    ['that is switched off', () => newAccount()],
    [
      'that has cancelled',
      async () => {
        const appid = await newEnabledAccount();
        app.clock.advance(1_000);
        await app.sandbox.cancel(appid).pushed;
        await app.settled();
        await enableAccount(app, appid);
        return appid;
      },
    ],
  ])('is a message of an account %s', async (_case, make) => {
    const appid = await make();
    replies.set(appid, () => 'never asked');
    const labels = { kind: 'message', outcome: 'dropped' };
    const before = await counted('pushes_total', labels);
    expect(await app.sandbox.pushMessage(appid, text('nobody there'))).toEqual(SUCCESS);
    await app.settled();
    expect(await rowsOf(appid)).toEqual([]);
    expect(await effectsOf(appid)).toEqual([]);
    expect(await counted('pushes_total', labels)).toBe(before + 1);
  });
});

describe('what is refused with an empty body and not kept', () => {
  let appid: string;
  let other: string;

  beforeAll(async () => {
    [appid, other] = [await newEnabledAccount(), await newEnabledAccount()];
  });

  it("is a message of one account that comes to another's address", async () => {
    const toUserName = app.sandbox.account(other).originalId;
    const before = await counted('push_refusals_total', { reason: 'appid' });
    const result = await app.sandbox.pushMessage(appid, {
      ...text('passed off'),
      ToUserName: toUserName,
    });
    expect(result.attempts).toEqual([{ status: 403, body: '' }]);
    expect(await rowsOf(appid)).toEqual([]);
    expect(await rowsOf(other)).toEqual([]);
    expect(await counted('push_refusals_total', { reason: 'appid' })).toBe(before + 1);
  });

  it.each<[string, number, string, () => Parameters<typeof makePush>[3]]>([
    ["the account's appid at its end", 403, 'appid', () => ({ trailingAppid: appid })],
    ['a wrong signature', 403, 'signature', () => ({ badSignature: true })],
    ['another Token', 403, 'signature', () => ({ token: 'anotherToken' })],
    [
      'another key',
      403,
      'decrypt',
      () => ({ encodingAesKey: 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg' }),
    ],
    ['no msg_signature', 403, 'query_missing', () => ({ withoutQuery: ['msg_signature'] })],
    [
      'clear text',
      403,
      'plaintext_refused',
      () => ({ rawBody: '<xml><MsgType>text</MsgType></xml>' }),
    ],
    ['no XML', 400, 'unparsable', () => ({ rawBody: 'hello' })],
    ['a DOCTYPE', 400, 'unparsable', () => ({ rawBody: '<!DOCTYPE a><xml></xml>' })],
    ['JSON', 400, 'format_refused', () => ({ rawBody: '{"Encrypt":"x"}' })],
  ])('is a push with %s', async (_case, status, reason, corrupt) => {
    const before = await counted('push_refusals_total', { reason });
    const result = await app.sandbox.pushMessage(appid, text('spoilt'), corrupt());
    expect(result.attempts).toEqual([{ status, body: '' }]);
    expect(await rowsOf(appid)).toEqual([]);
    expect(await counted('push_refusals_total', { reason })).toBe(before + 1);
  });

  it('is a push of more than 256 KiB', async () => {
    const rawBody = Buffer.alloc(LIMIT_BYTES + 1, 97);
    const result = await app.sandbox.pushMessage(appid, text('large'), { rawBody });
    expect(result.attempts).toEqual([{ status: 413, body: '' }]);
    expect(await rowsOf(appid)).toEqual([]);
  });
});

describe('a passive reply', () => {
  it('comes encrypted, the same to the letter when WeChat asks again, whatever would be said now', async () => {
    const appid = await newEnabledAccount();
    const { originalId } = app.sandbox.account(appid);
    let content = 'canary-of-a-reply <&]]>';
    replies.set(appid, ({ fromUserName, toUserName, createTime }) =>
      textReply({ to: fromUserName, from: toUserName, createTime }, content),
    );
    const message = { ...text('hello'), FromUserName: 'oAsker' };
    const first = await app.sandbox.pushMessage(appid, message);
    expect(first).toMatchObject({
      attempts: [{ status: 200 }],
      reply: { ToUserName: 'oAsker', FromUserName: originalId, MsgType: 'text', Content: content },
    });
    content = 'something else';
    app.clock.advance(5_000);
    const again = await app.sandbox.pushMessage(appid, {
      ...message,
      CreateTime: seconds() - 5,
    });
    expect(again.attempts).toEqual(first.attempts);
    replies.delete(appid);
    expect((await app.sandbox.pushMessage(appid, message)).attempts).toEqual(first.attempts);
    await app.settled();
    expect(JSON.stringify(await rowsOf(appid))).not.toContain('canary-of-a-reply');
    expect(JSON.stringify(first.attempts)).not.toContain('canary-of-a-reply');
    expect(await effectsOf(appid)).toEqual([`message ${message.MsgId}`]);
  });

  it('is asked for anew for another message', async () => {
    const appid = await newEnabledAccount();
    replies.set(appid, (push) => {
      const { fromUserName, toUserName, createTime } = push;
      const head = { to: fromUserName, from: toUserName, createTime };
      return textReply(head, `you said ${wordsOf(push)}`);
    });
    for (const word of ['one', 'two'])
      expect((await app.sandbox.pushMessage(appid, text(word))).reply).toMatchObject({
        Content: `you said ${word}`,
      });
    await app.settled();
  });

  it('answers XML where there is one, nothing where nothing is to be said, and plain success else', async () => {
    const appid = await newEnabledAccount();
    const pushOf = (content: string) => {
      const xml = `<xml><ToUserName>${app.sandbox.account(appid).originalId}</ToUserName><FromUserName>o1</FromUserName><CreateTime>${seconds()}</CreateTime><MsgType>text</MsgType><Content>${content}</Content><MsgId>${newMsgId()}</MsgId></xml>`;
      return makePush(xml, COMPONENT, seconds());
    };
    replies.set(appid, (push) => {
      const { fromUserName, toUserName, createTime } = push;
      const word = wordsOf(push);
      if (word === 'silence') return '';
      if (word === 'nobody') return null;
      return textReply({ to: fromUserName, from: toUserName, createTime }, word);
    });
    expect(await send(appid, pushOf('hello'))).toEqual({
      status: 200,
      body: expect.stringMatching(/^<xml>.*<Encrypt>/s),
      contentType: 'application/xml; charset=utf-8',
    });
    const silence = pushOf('silence');
    for (let time = 0; time < 2; time++)
      expect(await send(appid, silence)).toMatchObject({ status: 200, body: '' });
    expect(await send(appid, pushOf('nobody'))).toEqual({
      status: 200,
      body: 'success',
      contentType: 'text/plain; charset=utf-8',
    });
    await app.settled();
  });

  it('that cannot be made costs nothing but the reply', async () => {
    const appid = await newEnabledAccount();
    replies.set(appid, () => {
      throw new Error('no reply today');
    });
    const message = text('hello');
    expect(await app.sandbox.pushMessage(appid, message)).toEqual(SUCCESS);
    await app.settled();
    expect(await rowsOf(appid)).toMatchObject([{ state: 'handled', answer: null }]);
    expect(await effectsOf(appid)).toEqual([`message ${message.MsgId}`]);
  });

  it('is no push when it is sent back to us: its signature stands in its body', async () => {
    const appid = await newEnabledAccount();
    replies.set(appid, ({ fromUserName, toUserName, createTime }) =>
      textReply({ to: fromUserName, from: toUserName, createTime }, 'x'.repeat(2_000)),
    );
    const { attempts, reply } = await app.sandbox.pushMessage(appid, text('long'));
    expect(reply?.['Content']).toHaveLength(2_000);
    expect(await send(appid, { query: {}, body: attempts[0]?.body ?? '' })).toMatchObject({
      status: 403,
      body: '',
    });
    expect(await rowsOf(appid)).toHaveLength(1);
    await app.settled();
  });
});

describe('a repeated message, where the database takes its time to find the first one', () => {
  let release: () => void;
  /** Reads of the ledger wait until they are let go. */
  function holdReads(): void {
    const held = new Promise<void>((resolve) => (release = resolve));
    const find = db.read.find.bind(db.read);
    jest.spyOn(db.read, 'find').mockImplementation(async (...query) => {
      if (query[0] === PushRow) await held;
      return find(...query);
    });
  }
  afterEach(() => {
    release();
    jest.restoreAllMocks();
  });

  it('costs no message its answer, and a new one of the same group is handled by the sweep', async () => {
    const appid = await newEnabledAccount();
    const again = { ...text('again'), FromUserName: 'oAgain' };
    const fresh = { ...text('new'), FromUserName: 'oAgain' };
    await app.sandbox.pushMessage(appid, again);
    await app.settled();
    const insertGroup = jest.spyOn(app.app.get(PushesRepository), 'insertGroup');
    holdReads();
    const answers = await Promise.all([
      app.sandbox.pushMessage(appid, again),
      app.sandbox.pushMessage(appid, fresh),
    ]);
    expect(answers).toEqual([SUCCESS, SUCCESS]);
    // Nothing is told of the new one either, where the two went together.
    const isTogether = insertGroup.mock.calls.some(([rows]) => rows.length === 2);
    await app.settled();
    expect(await effectsOf(appid)).toHaveLength(isTogether ? 1 : 2);
    release();
    await db.write((tx) =>
      tx.update(PushRow, { account: appid, state: 'waiting' }, { leaseUntil: null }),
    );
    app.clock.advance(1_000);
    await app.app.get(PushLedger).sweep();
    expect((await effectsOf(appid)).sort()).toEqual(
      [`message ${again.MsgId}`, `message ${fresh.MsgId}`].sort(),
    );
  });

  it('is refused when it is to be answered in words, until those of the first time can be read', async () => {
    const appid = await newEnabledAccount();
    replies.set(appid, ({ fromUserName, toUserName, createTime }) =>
      textReply({ to: fromUserName, from: toUserName, createTime }, 'in words'),
    );
    const xml = `<xml><ToUserName>${app.sandbox.account(appid).originalId}</ToUserName><FromUserName>oWords</FromUserName><CreateTime>${seconds()}</CreateTime><MsgType>text</MsgType><Content>hello</Content><MsgId>${newMsgId()}</MsgId></xml>`;
    const push = makePush(xml, COMPONENT, seconds());
    const first = await send(appid, push);
    expect(first).toMatchObject({ status: 200, contentType: 'application/xml; charset=utf-8' });
    holdReads();
    expect(await send(appid, push)).toMatchObject({ status: 503, body: '' });
    release();
    expect(await send(appid, push)).toEqual(first);
  });
});

describe('the check of an address', () => {
  it.each(['component/events', 'accounts/wx1badb002feedface/messages'])(
    'is echoed at /wechat/%s when it is signed with our Token, and not else',
    async (path) => {
      const { query } = makePush('<xml></xml>', COMPONENT, seconds());
      const ask = async (
        parameters: Record<string, string>,
      ): Promise<{ status: number; body: string }> => {
        const response = await request(`${app.url}/wechat/${path}`, { query: parameters });
        return { status: response.statusCode, body: await response.body.text() };
      };
      expect(await ask({ ...query, echostr: '58373975' })).toEqual({
        status: 200,
        body: '58373975',
      });
      const refused = { status: 403, body: '' };
      const badSignature = { ...query, signature: '0'.repeat(40), echostr: '58373975' };
      expect(await ask(badSignature)).toEqual(refused);
      expect(await ask({ ...query, echostr: '' })).toEqual(refused);
      expect(await ask(query)).toEqual(refused);
      expect(await ask({ echostr: '58373975' })).toEqual(refused);
    },
  );
});
