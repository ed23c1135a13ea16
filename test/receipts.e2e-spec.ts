import type { EncryptionMode, PushFormat, SubscriptionEvent } from '@app/wechat';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { AccountDeletion } from '../src/accounts/account-deletion.service.js';
import { Account } from '../src/accounts/account.entity.js';
import { Database } from '../src/database/database.js';
import { EventRow } from '../src/events/event.entity.js';
import { PushLedger } from '../src/pushes/push-ledger.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { ReceiptConfig } from '../src/receipts/receipt-config.entity.js';
import { Receipt } from '../src/receipts/receipt.entity.js';
import { ReceiptsService } from '../src/receipts/receipts.service.js';
import { startApp, type TestApp } from './app.js';
import { figureOf, readMetrics } from './helpers.js';
import {
  addressOf,
  getConfig,
  KEY,
  listReceipts,
  makeWirePush,
  newConfigured,
  newMiniProgram,
  OTHER_KEY,
  OTHER_TOKEN,
  post,
  type ReceiptBody,
  saveConfig,
  TOKEN,
  type WirePush,
} from './receipt-helpers.js';
import { until } from './until.js';

const MODES = ['plaintext', 'compatible', 'secure'] as const satisfies EncryptionMode[];
const FORMATS = ['xml', 'json'] as const satisfies PushFormat[];
const LIMIT_BYTES = 256 * 1024;
const DAY_MS = 86_400_000;
const RETENTION_DAYS = 3;
const POPUP: SubscriptionEvent = 'subscribe_msg_popup_event';
const SENT: SubscriptionEvent = 'subscribe_msg_sent_event';

let app: TestApp;
let db: Database;
let serial = 0;

beforeAll(async () => {
  app = await startApp({ env: { RECEIPT_RETENTION_DAYS: String(RETENTION_DAYS) } });
  db = app.app.get(Database);
});
afterAll(() => app.stop());

const newMsgid = (): string => String(1_864_323_726_461_255_000n + BigInt(++serial));
const sent = (over: Record<string, string> = {}): Record<string, string> => ({
  TemplateId: 'TPL_A',
  MsgID: newMsgid(),
  ErrorCode: '0',
  ErrorStatus: 'success',
  ...over,
});
const pushesOf = (account: string): Promise<PushRow[]> => db.read.findBy(PushRow, { account });
const eventsOf = (appid: string): Promise<EventRow[]> =>
  db.read.find(EventRow, {
    where: [
      { appid, type: 'receipt.received' },
      { appid, type: 'subscription.changed' },
    ],
    order: { id: 'ASC' },
  });
const seconds = (): number => Math.floor(app.clock.now().getTime() / 1000);

/** A receipt as WeChat writes it, without anything of ours. */
function documentOf(format: PushFormat, toUserName: string, msgid: string): string {
  const head = { ToUserName: toUserName, FromUserName: 'oReceiver', CreateTime: String(seconds()) };
  const fields = { ...head, MsgType: 'event', Event: SENT };
  const entry = { TemplateId: 'TPL_A', MsgID: msgid, ErrorCode: '0', ErrorStatus: 'success' };
  if (format === 'json') return JSON.stringify({ ...fields, List: entry });
  const elements = (of: Record<string, string>): string =>
    Object.entries(of)
      .map(([name, value]) => `<${name}><![CDATA[${value}]]></${name}>`)
      .join('');
  return `<xml>${elements(fields)}<SubscribeMsgSentEvent><List>${elements(entry)}</List></SubscribeMsgSentEvent></xml>`;
}

describe.each(
  MODES.flatMap((mode) => FORMATS.map((format): [EncryptionMode, PushFormat] => [mode, format])),
)('in %s mode, a push in %s', (mode, format) => {
  let appid: string;
  let url: string;

  beforeAll(async () => {
    appid = await newMiniProgram(app);
    await saveConfig(app, appid, { encryptionMode: mode, token: TOKEN, encodingAesKey: KEY });
    url = await addressOf(app, appid);
  });

  const make = (over: Partial<Parameters<typeof makeWirePush>[0]> = {}): WirePush => {
    const toUserName = over.toUserName ?? app.sandbox.account(appid).originalId;
    return makeWirePush({
      document: documentOf(format, toUserName, newMsgid()),
      format,
      mode,
      toUserName,
      appid,
      token: TOKEN,
      key: KEY,
      seconds: seconds(),
      ...over,
    });
  };

  it('that is good is answered success, and is a receipt', async () => {
    const before = (await listReceipts(app, appid)).body.items.length;
    expect(await post(url, make())).toEqual({ status: 200, body: 'success' });
    const { items } = (await listReceipts(app, appid)).body;
    expect(items).toHaveLength(before + 1);
    expect(items[0]?.msgid).toMatch(/^18643237264612\d{5}$/);
    expect((await getConfig(app, appid)).lastReceivedAt).toBe(app.clock.now().toISOString());
  });

  /** In plaintext there is no key to be wrong: it is ciphertext then, which nobody has agreed to. */
  const isClear = mode === 'plaintext';
  it.each<[string, () => WirePush, number, string]>([
    ['with another Token', () => make({ token: OTHER_TOKEN }), 403, 'signature'],
    [
      'with another key',
      () => make({ key: OTHER_KEY, ...(isClear && { mode: 'secure' }) }),
      403,
      isClear ? 'ciphertext_refused' : 'decrypt',
    ],
    [
      'of another mini-program',
      () => make(isClear ? { toUserName: 'gh_ffffffffffff' } : { appid: 'wxffffffffffffffff' }),
      403,
      'appid',
    ],
    ['to another original id', () => make({ toUserName: 'gh_ffffffffffff' }), 403, 'appid'],
    ['without its query', () => ({ ...make(), query: {} }), 403, 'query_missing'],
    [
      'that is cut off',
      () => {
        const { query, body } = make();
        return { query, body: body.slice(0, Math.floor(body.length / 2)) };
      },
      400,
      'unparsable',
    ],
  ])('%s is refused with an empty body and a reason', async (_case, spoil, status, reason) => {
    const before = await pushesOf(appid);
    app.clock.advance(1_000);
    const counted = async (): Promise<number> =>
      figureOf(await readMetrics(app), 'push_refusals_total', { door: 'receipt', reason }) ?? 0;
    const count = await counted();
    expect(await post(url, spoil())).toEqual({ status, body: '' });
    expect(await pushesOf(appid)).toEqual(before);
    const { lastRejection } = await getConfig(app, appid);
    expect(lastRejection).toMatchObject({ at: app.clock.now().toISOString(), reason });
    expect(lastRejection?.detail).toMatch(/[\u4e00-\u9fff]/);
    expect(await counted()).toBe(count + 1);
  });

  const clear = mode === 'secure' ? ['refused', 403, ''] : ['taken', 200, 'success'];
  it(`that is clear text is ${clear[0]}`, async () => {
    const [, status, body] = clear;
    expect(await post(url, make({ mode: 'plaintext' }))).toEqual({ status, body });
    const { lastRejection } = await getConfig(app, appid);
    expect(lastRejection?.reason === 'plaintext_refused').toBe(mode === 'secure');
    await app.settled();
  });
});

describe('an event of subscription messages', () => {
  const CASES: [SubscriptionEvent, Record<string, string>[], Partial<ReceiptBody>[]][] = [
    [
      'subscribe_msg_popup_event',
      [
        { TemplateId: 'TPL_A', SubscribeStatusString: 'accept', PopupScene: '0' },
        { TemplateId: 'TPL_B', SubscribeStatusString: 'reject', PopupScene: '2' },
      ],
      [
        { templateId: 'TPL_A', status: 'accept', msgid: null, errorCode: null, detail: null },
        { templateId: 'TPL_B', status: 'reject', msgid: null, errorCode: null, detail: null },
      ],
    ],
    [
      'subscribe_msg_change_event',
      [
        { TemplateId: 'TPL_A', SubscribeStatusString: 'reject' },
        { TemplateId: 'TPL_B', SubscribeStatusString: 'reject' },
      ],
      [
        { templateId: 'TPL_A', status: 'reject', msgid: null },
        { templateId: 'TPL_B', status: 'reject', msgid: null },
      ],
    ],
    [
      'subscribe_msg_sent_event',
      [
        sent({ MsgID: '1864323726461255680' }),
        sent({
          TemplateId: 'TPL_B',
          MsgID: '1864323726461255681',
          ErrorCode: '43107',
          ErrorStatus: '用户拒收 🌸',
        }),
      ],
      [
        {
          templateId: 'TPL_A',
          msgid: '1864323726461255680',
          status: 'success',
          errorCode: '0',
          detail: 'success',
        },
        {
          templateId: 'TPL_B',
          msgid: '1864323726461255681',
          status: 'failed',
          errorCode: '43107',
          detail: '用户拒收 🌸',
        },
      ],
    ],
  ];
  const SHAPES: [string, PushFormat, 'top' | 'inside'][] = [
    ['XML', 'xml', 'inside'],
    ['JSON with the list at the top', 'json', 'top'],
    ['JSON with the list inside', 'json', 'inside'],
  ];

  it.each(
    CASES.flatMap(([event, entries, expected]) =>
      SHAPES.flatMap(([shape, format, listAt]) =>
        [1, 2].map((count) => ({ event, entries, expected, shape, format, listAt, count })),
      ),
    ),
  )(
    '$event of $count, in $shape, is a receipt for each entry',
    async ({ event, entries, expected, format, listAt, count }) => {
      const appid = await newConfigured(app, 'secure', format);
      const receipt = { event, entries: entries.slice(0, count), openid: 'oPerson', listAt };
      expect(await app.sandbox.pushReceipt(appid, receipt)).toMatchObject({ delivered: true });
      const { items } = (await listReceipts(app, appid)).body;
      const now = app.clock.now().toISOString();
      expect(items.toReversed()).toEqual(
        expected.slice(0, count).map((wanted, n) =>
          expect.objectContaining({
            ...wanted,
            event,
            openid: 'oPerson',
            occurredAt: now,
            receivedAt: now,
            deliveryId: null,
            payload: entries[n],
          }),
        ),
      );
      const told = await eventsOf(appid);
      const isSent = event === SENT;
      expect(told.map(({ type }) => type)).toEqual(
        expected
          .slice(0, count)
          .flatMap(() =>
            isSent ? ['receipt.received'] : ['receipt.received', 'subscription.changed'],
          ),
      );
      expect(told[0]).toMatchObject({
        tenantId: 'default',
        subjectKey: `${appid}/oPerson`,
        payload: { receiptId: items.at(-1)?.id, event, openid: 'oPerson', templateId: 'TPL_A' },
      });
      expect(await pushesOf(appid)).toMatchObject([
        { kind: 'event', state: 'handled', attempts: 1 },
      ]);
    },
  );

  it('says where a person has changed their mind', async () => {
    const appid = await newConfigured(app);
    for (const event of [POPUP, 'subscribe_msg_change_event'] as const)
      await app.sandbox.pushReceipt(appid, {
        event,
        entries: [{ TemplateId: 'TPL_A', SubscribeStatusString: 'reject' }],
      });
    await app.settled();
    const changed = (await eventsOf(appid)).filter(({ type }) => type === 'subscription.changed');
    expect(
      changed.map(({ payload }) => (payload as { changedIn: string }).changedIn).sort(),
    ).toEqual(['dialog', 'settings']);
  });

  it('without entries is kept in the ledger, and is no receipt', async () => {
    const appid = await newConfigured(app, 'secure', 'json');
    await app.sandbox.pushReceipt(appid, { event: POPUP, entries: [] });
    expect((await listReceipts(app, appid)).body.items).toEqual([]);
    expect(await pushesOf(appid)).toMatchObject([{ state: 'handled' }]);
  });
});

describe('the same push', () => {
  it('three times at once and later again, by WeChat or a forwarder, is one', async () => {
    const appid = await newConfigured(app);
    const receipt = { event: SENT, entries: [sent(), sent({ TemplateId: 'TPL_B' })] };
    const at = String(seconds());
    await Promise.all([1, 2, 3].map(() => app.sandbox.pushReceipt(appid, receipt)));
    app.clock.advance(60_000);
    const { attempts } = await app.sandbox.pushOwn(
      appid,
      {
        MsgType: 'event',
        Event: SENT,
        CreateTime: at,
        SubscribeMsgSentEvent: { List: receipt.entries },
      },
      { forwarder: { times: 3, contentType: 'application/octet-stream' } },
    );
    expect(attempts).toEqual(Array(3).fill({ status: 200, body: 'success' }));
    expect((await listReceipts(app, appid)).body.items).toHaveLength(2);
    expect(await pushesOf(appid)).toHaveLength(1);
    expect(await eventsOf(appid)).toHaveLength(2);
  });

  it("by its own address and by the component's, in two formats, is one", async () => {
    const appid = await newConfigured(app, 'secure', 'json');
    const entries = [sent()];
    await app.sandbox.pushReceipt(appid, { event: SENT, entries });
    const { reply: _reply, ...result } = await app.sandbox.pushMessage(appid, {
      MsgType: 'event',
      Event: SENT,
      SubscribeMsgSentEvent: { List: entries },
    });
    expect(result).toEqual({ attempts: [{ status: 200, body: 'success' }], delivered: true });
    expect((await listReceipts(app, appid)).body.items).toHaveLength(1);
    expect(await pushesOf(appid)).toHaveLength(1);
  });

  it("is a receipt by the component's address alone as well", async () => {
    const appid = await newMiniProgram(app);
    await app.sandbox.pushMessage(appid, {
      MsgType: 'event',
      Event: SENT,
      SubscribeMsgSentEvent: { List: [sent(), sent()] },
    });
    expect((await listReceipts(app, appid)).body.items).toHaveLength(2);
  });

  it('is another one when it says something else in the same second', async () => {
    const appid = await newConfigured(app);
    for (const entries of [[sent()], [sent()], [sent({ ErrorCode: '1' })]])
      await app.sandbox.pushReceipt(appid, { event: SENT, entries });
    expect((await listReceipts(app, appid)).body.items).toHaveLength(3);
  });

  it('handled once more, as after a crash before its end was written, changes nothing', async () => {
    const appid = await newConfigured(app);
    await app.sandbox.pushReceipt(appid, {
      event: POPUP,
      entries: [{ TemplateId: 'T' }, { TemplateId: 'U' }],
    });
    const before = (await listReceipts(app, appid)).body.items;
    const told = await eventsOf(appid);
    await db.write((tx) =>
      tx.update(
        PushRow,
        { account: appid },
        { state: 'waiting', handledAt: null, leaseUntil: null },
      ),
    );
    await app.app.get(PushLedger).sweep();
    await app.settled();
    expect(await pushesOf(appid)).toMatchObject([{ state: 'handled', attempts: 2 }]);
    expect((await listReceipts(app, appid)).body.items).toEqual(before);
    expect(await eventsOf(appid)).toEqual(told);
    expect(before).toHaveLength(2);
  });

  it('in a backlog of thousands is handled with all others, each once', async () => {
    const appid = await newConfigured(app, 'plaintext');
    const url = await addressOf(app, appid);
    const toUserName = app.sandbox.account(appid).originalId;
    const COUNT = 1_500;
    const ledger = app.app.get(PushLedger);
    await db.write((tx) => tx.delete(PushRow, { account: appid }));
    const pushes = Array.from({ length: COUNT }, () =>
      makeWirePush({
        document: documentOf('xml', toUserName, newMsgid()),
        format: 'xml',
        mode: 'plaintext',
        toUserName,
        appid,
        token: TOKEN,
        key: KEY,
        seconds: seconds(),
      }),
    );
    for (let at = 0; at < COUNT; at += 100)
      await Promise.all(pushes.slice(at, at + 100).map((push) => post(url, push)));
    await app.settled();
    await db.write((tx) => tx.delete(Receipt, { appid }));
    // As if the process had died with all of them.
    await db.write((tx) =>
      tx.update(PushRow, { account: appid }, { state: 'waiting', handledAt: null, attempts: 0 }),
    );
    await ledger.sweep();
    await app.settled();
    expect(await db.read.countBy(Receipt, { appid })).toBe(COUNT);
    expect(await db.read.countBy(PushRow, { account: appid, state: 'handled' })).toBe(COUNT);
  }, 60_000);
});

describe('the address', () => {
  it.each(['text/plain', 'application/json', 'application/x-www-form-urlencoded', 'nonsense', ''])(
    'takes the bytes under Content-Type %j',
    async (contentType) => {
      const appid = await newConfigured(app);
      const forwarder = { contentType };
      expect(
        await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent()] }, { forwarder }),
      ).toMatchObject({ delivered: true });
      expect((await listReceipts(app, appid)).body.items).toHaveLength(1);
    },
  );

  it('says nothing of one that is not ours, whatever is asked', async () => {
    const push = { query: {}, body: '<xml></xml>' };
    for (const key of ['x', 'A'.repeat(43), '%00'.repeat(43), 'A'.repeat(100)]) {
      const url = `${app.url}/wechat/receipts/${key}`;
      expect(await post(url, push)).toEqual({ status: 404, body: '' });
      const got = await fetch(url);
      expect([got.status, await got.text()]).toEqual([404, '']);
    }
  });

  it('refuses more than 256 KiB', async () => {
    const appid = await newConfigured(app);
    const url = await addressOf(app, appid);
    const body = Buffer.alloc(LIMIT_BYTES + 1, 97);
    expect(await post(url, { query: {}, body })).toEqual({ status: 413, body: '' });
    expect(await pushesOf(appid)).toEqual([]);
  });

  it('keeps other messages and events in the ledger as they are', async () => {
    const appid = await newConfigured(app, 'secure', 'json');
    await app.sandbox.pushOwn(appid, { MsgType: 'text', Content: '你好' });
    await app.sandbox.pushOwn(appid, { MsgType: 'event', Event: 'user_enter_tempsession' });
    await app.settled();
    expect((await pushesOf(appid)).map(({ kind, state }) => `${kind} ${state}`).sort()).toEqual([
      'event handled',
      'message handled',
    ]);
    expect((await listReceipts(app, appid)).body.items).toEqual([]);
  });

  it('of an account that is switched off takes its receipts, and forgets everything else', async () => {
    const appid = await newConfigured(app);
    await db.write((tx) => tx.update(Account, { appid }, { enabled: false }));
    expect(await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent()] })).toMatchObject({
      delivered: true,
    });
    expect(await app.sandbox.pushOwn(appid, { MsgType: 'text', Content: '你好' })).toMatchObject({
      delivered: true,
    });
    expect((await listReceipts(app, appid)).body.items).toHaveLength(1);
    expect(await pushesOf(appid)).toMatchObject([{ kind: 'event' }]);
  });
});

describe('GET /accounts/{appid}/receipts', () => {
  let appid: string;
  let all: ReceiptBody[];

  beforeAll(async () => {
    appid = await newConfigured(app);
    const people = ['oAlice', 'oalice', 'oBob'];
    for (const openid of people) {
      app.clock.advance(60_000);
      const entries = [
        { TemplateId: 'TPL_A', SubscribeStatusString: 'accept' },
        { TemplateId: 'TPL_B', SubscribeStatusString: 'reject' },
      ];
      await app.sandbox.pushReceipt(appid, { event: POPUP, openid, entries });
      await app.sandbox.pushReceipt(appid, { event: SENT, openid, entries: [sent()] });
    }
    all = (await listReceipts(app, appid)).body.items;
  });

  it('gives the last received first, page by page', async () => {
    expect(all).toHaveLength(9);
    const times = all.map(({ receivedAt }) => receivedAt);
    expect(times).toEqual(times.toSorted().toReversed());
    const pages: ReceiptBody[] = [];
    let query = '?limit=2';
    for (let page = 0; page < 5; page++) {
      const { items, nextCursor } = (await listReceipts(app, appid, query)).body;
      pages.push(...items);
      query = `?limit=2&cursor=${nextCursor}`;
      expect(nextCursor === null).toBe(page === 4);
    }
    expect(pages).toEqual(all);
  });

  it('is filtered by what a receipt says and when it came', async () => {
    const [newest] = all;
    const middle = all[4]?.receivedAt ?? '';
    const filters: [string, (receipt: ReceiptBody) => boolean][] = [
      [`event=${POPUP}`, ({ event }) => event === POPUP],
      ['openid=oAlice', ({ openid }) => openid === 'oAlice'],
      ['templateId=TPL_B', ({ templateId }) => templateId === 'TPL_B'],
      [
        `msgid=${all.find(({ msgid }) => msgid)?.msgid}`,
        ({ msgid }) => msgid === all.find((one) => one.msgid)?.msgid,
      ],
      [`from=${middle}`, ({ receivedAt }) => receivedAt >= middle],
      [`to=${middle}`, ({ receivedAt }) => receivedAt < middle],
      [`openid=oBob&event=${SENT}`, ({ openid, event }) => openid === 'oBob' && event === SENT],
      ['openid=oNobody', () => false],
    ];
    for (const [query, matches] of filters) {
      const expected = all.filter(matches);
      expect((await listReceipts(app, appid, `?${query}`)).body.items).toEqual(expected);
    }
    expect(newest?.openid).toBe('oBob');
  });

  it.each(['limit=0', 'from=yesterday', 'cursor=nonsense', 'status=success', 'openid='])(
    'refuses ?%s',
    async (query) => {
      expect(await listReceipts(app, appid, `?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'invalid_query' },
      });
    },
  );
});

describe('what is no longer wanted', () => {
  it('is deleted when it is older than the days that receipts are kept', async () => {
    const appid = await newConfigured(app);
    await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent()] });
    await app.settled();
    app.clock.advance(RETENTION_DAYS * DAY_MS);
    await app.sandbox.pushTicket();
    await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent({ TemplateId: 'YOUNG' })] });
    await app.settled();
    await app.app.get(ReceiptsService).purge();
    expect(await db.read.countBy(Receipt, { appid })).toBe(2);
    app.clock.advance(1);
    await app.app.get(ReceiptsService).purge();
    expect(await db.read.findBy(Receipt, { appid })).toMatchObject([{ templateId: 'YOUNG' }]);
  });

  it('is about a person who is to be forgotten', async () => {
    const appid = await newConfigured(app);
    for (const openid of ['oA', 'oA', 'oB'])
      await app.sandbox.pushReceipt(appid, { event: SENT, openid, entries: [sent()] });
    await app.settled();
    await app.app.get(AccountDeletion).erasePerson(appid, 'oA');
    expect(await db.read.findBy(Receipt, { appid })).toMatchObject([{ openid: 'oB' }]);
  });

  it("is a deleted account's: its receipts, its configuration and its address", async () => {
    const [gone, other] = [await newConfigured(app), await newConfigured(app)];
    for (const appid of [gone, other])
      await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent()] });
    await app.settled();
    const url = await addressOf(app, gone);
    app.clock.advance(60_000);
    await app.sandbox.cancel(gone).pushed;
    await app.settled();
    expect((await app.api('DELETE', `/accounts/${gone}?confirm=${gone}`)).status).toBe(204);
    expect(await db.read.countBy(Receipt, { appid: gone })).toBe(0);
    expect(await db.read.countBy(ReceiptConfig, { appid: gone })).toBe(0);
    expect(await db.read.countBy(Receipt, { appid: other })).toBe(1);
    // What is remembered of an address is believed for a second.
    await until(async () => (await fetch(url)).status === 404);
  });

  it('is a receipt of an account that is there no more', async () => {
    const appid = await newConfigured(app);
    await app.sandbox.pushReceipt(appid, { event: SENT, entries: [sent()] });
    await app.settled();
    await db.write(async (tx) => {
      await tx.delete(Receipt, { appid });
      await tx.delete(Account, { appid });
      await tx.update(PushRow, { account: appid }, { state: 'waiting', handledAt: null });
    });
    await app.app.get(PushLedger).sweep();
    await app.settled();
    expect(await pushesOf(appid)).toMatchObject([{ state: 'handled' }]);
    expect(await db.read.countBy(Receipt, { appid })).toBe(0);
  });
});
