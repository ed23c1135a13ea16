import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { XmlInput } from '@app/wechat';

import { Account } from '../src/accounts/account.entity.js';
import { Database } from '../src/database/database.js';
import { EligibilityService } from '../src/messages/people/eligibility.service.js';
import { IncomingMessage } from '../src/messages/people/incoming-message.entity.js';
import { IncomingMessages } from '../src/messages/people/incoming-messages.service.js';
import { PeopleService } from '../src/messages/people/people.service.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { startApp, type TestApp } from './app.js';
import { authorizationOf, begin, enableAccount } from './helpers.js';
import { listReceipts, newConfigured } from './receipt-helpers.js';

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
const RETENTION_DAYS = 3;
const TEMPLATE = 'TPL_A';

interface PersonBody {
  openid: string;
  following: boolean | null;
  firstFollowedAt: string | null;
  followedAt: string | null;
  followScene: string | null;
  unfollowedAt: string | null;
  timesFollowed: number;
  lastInteractionAt: string | null;
  lastMessageAt: string | null;
  blockedAt: string | null;
  blacklistedAt: string | null;
  unknownAt: string | null;
  windows: { activity: string; until: string; left: number }[];
  grants: { templateId: string; left: number | null; rejectedAt: string | null }[];
}

interface EligibilityBody {
  eligible: boolean;
  reasons: { code: string; detail: string; changesAt: string | null }[];
  window: { until: string; left: number } | null;
}

interface EventBody {
  type: string;
  data: Record<string, unknown>;
}

let app: TestApp;
let db: Database;
let people: PeopleService;
let serial = 0;
/** Most tests need a person of their own only: they share these, which are switched on. */
let service: string;
let program: string;

beforeAll(async () => {
  app = await startApp({ env: { MESSAGE_RETENTION_DAYS: String(RETENTION_DAYS) } });
  db = app.app.get(Database);
  people = app.app.get(PeopleService);
  service = await newAccount();
  program = await newConfigured(app);
});
afterAll(() => app.stop());

/** A service account of the test's own, switched on. */
async function newAccount(tenant?: string): Promise<string> {
  const digits = (0x9e0b1e000000 + ++serial).toString(16);
  const appid = `wx${digits.padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, originalId: `gh_${digits}` });
  const { preAuthCode } = await begin(app, { accountType: 'official_account' }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  await enableAccount(app, appid);
  return appid;
}

const newOpenid = (): string => `oPerson${String(++serial).padStart(21, '0')}`;

/** What somebody does, and that it has been taken in. Each in a second of its own. */
async function after(...acts: (() => Promise<unknown>)[]): Promise<void> {
  for (const act of acts) {
    app.clock.advance(SECOND_MS);
    await act();
    await app.settled();
  }
}

const personOf = async (appid: string, openid: string): Promise<PersonBody> =>
  (await app.api<PersonBody>('GET', `/accounts/${appid}/people/${openid}`)).body;

async function eligibilityOf(
  appid: string,
  openid: string,
  kind: string,
  templateId?: string,
): Promise<EligibilityBody> {
  const query = new URLSearchParams({ openid, kind, ...(templateId && { templateId }) });
  const answer = await app.api<EligibilityBody>(
    'GET',
    `/accounts/${appid}/eligibility?${query.toString()}`,
  );
  expect(answer.status).toBe(200);
  return answer.body;
}

const codesOf = ({ reasons }: EligibilityBody): string[] => reasons.map(({ code }) => code);

async function eventsOf(openid: string): Promise<EventBody[]> {
  const types = 'follower.subscribed,follower.unsubscribed,message.received';
  const found: EventBody[] = [];
  let after = '';
  for (;;) {
    const { body } = await app.api<{
      items: EventBody[];
      after: string;
      nextCursor: string | null;
    }>('GET', `/events?type=${types}&limit=200${after && `&after=${after}`}`);
    found.push(...body.items.filter(({ data }) => data['openid'] === openid));
    if (body.nextCursor === null) return found;
    after = body.after;
  }
}

const write = <T>(work: Parameters<Database['write']>[0]): Promise<T> =>
  db.write(work) as Promise<T>;

describe('a customer-service message', () => {
  it('may be sent for 48 hours after a message of the person, and no longer', async () => {
    const [appid, openid] = [service, newOpenid()];
    const check = () => eligibilityOf(appid, openid, 'customer_service_message');
    expect(codesOf(await check())).toEqual(['window_closed']);
    await after(() => app.sandbox.person(appid, openid).write('你好'));
    app.clock.advance(SECOND_MS);
    const until = new Date(app.clock.now().getTime() - SECOND_MS + 48 * HOUR_MS).toISOString();
    expect(await check()).toEqual({ eligible: true, reasons: [], window: { until, left: 5 } });

    app.clock.advance(48 * HOUR_MS - SECOND_MS - 1);
    expect((await check()).eligible).toBe(true);
    app.clock.advance(1);
    const closed = await check();
    expect(closed).toMatchObject({
      eligible: false,
      reasons: [{ code: 'window_closed', changesAt: null }],
      window: null,
    });
    expect(closed.reasons[0]?.detail).toMatch(/[\u4e00-\u9fff]/);
    // WeChat's ticket has run out meanwhile.
    await app.sandbox.pushTicket();
    await app.settled();
  });

  it.each<[string, (appid: string, openid: string) => Promise<unknown>, string]>([
    ['a follow', (appid, openid) => app.sandbox.person(appid, openid).follow(), 'follow'],
    [
      'a follow by a code',
      (appid, openid) => app.sandbox.person(appid, openid).scan('s'),
      'follow',
    ],
    [
      'a tap in the menu',
      (appid, openid) => app.sandbox.person(appid, openid).clickMenu('k'),
      'menu_click',
    ],
    [
      'a tap in a message menu',
      (appid, openid) => app.sandbox.person(appid, openid).clickMessageMenu('101', '满意'),
      'menu_click',
    ],
  ])('may be sent three times within a minute after %s', async (_case, act, activity) => {
    const [appid, openid] = [service, newOpenid()];
    await after(() => act(appid, openid));
    const until = new Date(app.clock.now().getTime() + MINUTE_MS).toISOString();
    const { windows, lastMessageAt } = await personOf(appid, openid);
    expect(windows).toEqual([{ activity, until, left: 3 }]);
    expect(lastMessageAt).toBeNull();
    app.clock.advance(MINUTE_MS);
    expect((await personOf(appid, openid)).windows).toEqual([]);
  });

  it('may not be sent after a tap that opens a page', async () => {
    const [appid, openid] = [service, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(() => person.clickMenu('https://shop.example.com/', 'VIEW'));
    expect(await personOf(appid, openid)).toMatchObject({
      windows: [],
      lastInteractionAt: app.clock.now().toISOString(),
    });
  });

  it('is counted in the window that ends first, and each sort of activity has its own', async () => {
    const [appid, openid] = [service, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(
      () => person.write('hi'),
      () => person.clickMenu('k'),
      () => person.scan('s'),
    );
    const left = async () =>
      Object.fromEntries(
        (await personOf(appid, openid)).windows.map((one) => [one.activity, one.left]),
      );
    expect(await left()).toEqual({ menu_click: 3, scan: 3, message: 5 });
    expect((await eligibilityOf(appid, openid, 'customer_service_message')).window?.left).toBe(11);
    await write((tx) => people.useWindows(tx, appid, openid, 4));
    expect(await left()).toEqual({ menu_click: 0, scan: 2, message: 5 });
    app.clock.advance(MINUTE_MS);
    await write((tx) => people.useWindows(tx, appid, openid, 9));
    expect(await left()).toEqual({ message: 0 });
    const spent = await eligibilityOf(appid, openid, 'customer_service_message');
    expect(codesOf(spent)).toEqual(['window_used_up']);
    await after(() => person.write('again'));
    expect(await left()).toEqual({ message: 5 });
  });

  it('of a mini-program may be sent twice within a minute after its conversation was opened', async () => {
    const [appid, openid] = [program, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(() => person.enterSession('button'));
    expect(await personOf(appid, openid)).toMatchObject({
      following: null,
      windows: [{ activity: 'enter_session', left: 2 }],
    });
    await after(() => person.write('hi'));
    expect((await personOf(appid, openid)).windows).toMatchObject([
      { activity: 'enter_session', left: 2 },
      { activity: 'message', left: 5 },
    ]);
  });

  it('of which several are to be sent needs room for all of them', async () => {
    const [appid, openid] = [service, newOpenid()];
    await after(() => app.sandbox.person(appid, openid).follow());
    const account = await db.read.findOneByOrFail(Account, { appid });
    const check = (count: number) =>
      app.app
        .get(EligibilityService)
        .check(account, { kind: 'customer_service_message', openid, count });
    expect((await check(3)).eligible).toBe(true);
    expect((await check(4)).reasons).toMatchObject([{ code: 'window_used_up' }]);
  });
});

describe('a follower', () => {
  it('is told from one who comes back, and by which code they came', async () => {
    const [appid, openid] = [service, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(
      () => person.scan('qrscene_odd'),
      () => person.unfollow(),
      () => person.follow(),
    );
    const at = (secondsAgo: number): string =>
      new Date(app.clock.now().getTime() - secondsAgo * SECOND_MS).toISOString();
    expect(await personOf(appid, openid)).toMatchObject({
      following: true,
      firstFollowedAt: at(2),
      unfollowedAt: at(1),
      followedAt: at(0),
      followScene: null,
      timesFollowed: 2,
    });
    expect(await eventsOf(openid)).toMatchObject([
      {
        type: 'follower.subscribed',
        data: { appid, openid, isReturning: false, scene: 'qrscene_odd', occurredAt: at(2) },
      },
      { type: 'follower.unsubscribed', data: { appid, openid, occurredAt: at(1) } },
      { type: 'follower.subscribed', data: { isReturning: true, scene: null } },
    ]);
  });

  it('who has left is not written to, and one we know nothing of is', async () => {
    const [appid, openid] = [service, newOpenid()];
    for (const kind of ['template_message', 'broadcast'])
      expect((await eligibilityOf(appid, openid, kind)).eligible).toBe(true);
    const person = app.sandbox.person(appid, openid);
    await after(
      () => person.follow(),
      () => person.write('hi'),
      () => person.unfollow(),
    );
    for (const kind of ['template_message', 'broadcast'])
      expect(codesOf(await eligibilityOf(appid, openid, kind))).toEqual(['user_not_follower']);
    expect(codesOf(await eligibilityOf(appid, openid, 'customer_service_message'))).toEqual([
      'user_not_follower',
      'window_closed',
    ]);
  });

  it('is not lost by an older event that comes again later', async () => {
    const [appid, openid] = [service, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(() => person.follow());
    const left = Math.floor(app.clock.now().getTime() / 1000) - 5;
    await app.sandbox.pushMessage(appid, {
      ...{ FromUserName: openid, MsgType: 'event', Event: 'unsubscribe', EventKey: '' },
      CreateTime: left,
    });
    await app.settled();
    expect(await personOf(appid, openid)).toMatchObject({
      following: true,
      windows: [{ activity: 'follow', left: 3 }],
    });
  });
});

describe('pushes in any order, each more than once', () => {
  it('come to the same in the end', async () => {
    const appid = service;
    const start = Math.floor(app.clock.now().getTime() / 1000);
    const acts: XmlInput[] = [
      { MsgType: 'event', Event: 'subscribe', EventKey: 'qrscene_a' },
      { MsgType: 'text', Content: 'one' },
      { MsgType: 'event', Event: 'unsubscribe', EventKey: '' },
      { MsgType: 'event', Event: 'subscribe', EventKey: 'qrscene_b' },
      { MsgType: 'event', Event: 'CLICK', EventKey: 'k' },
      { MsgType: 'text', Content: 'two' },
    ];
    const outcome = async (order: readonly number[]): Promise<object> => {
      const openid = newOpenid();
      const first = ++serial * 10;
      for (const n of order) {
        const act = acts[n] ?? {};
        await app.sandbox.pushMessage(appid, {
          ...act,
          FromUserName: openid,
          CreateTime: start + n,
          ...(act['MsgType'] === 'text' && { MsgId: String(first + n) }),
        });
        await app.settled();
      }
      const { openid: _openid, ...rest } = await personOf(appid, openid);
      return rest;
    };
    const expected = await outcome([0, 1, 2, 3, 4, 5]);
    expect(expected).toMatchObject({ following: true, timesFollowed: 2, followScene: 'b' });
    const shuffled = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5], { minLength: 12 });
    await fc.assert(
      fc.asyncProperty(shuffled, async (order) => {
        expect(await outcome(order)).toEqual(expected);
      }),
      { numRuns: 12 },
    );
  });

  it('of one person at once lose nothing', async () => {
    const [appid, openid] = [await newAccount(), newOpenid()];
    const start = Math.floor(app.clock.now().getTime() / 1000);
    const about = { FromUserName: openid };
    await Promise.all(
      Array.from({ length: 24 }, (_none, n) =>
        app.sandbox.pushMessage(appid, {
          ...about,
          ...(n % 3 === 0
            ? { MsgType: 'event', Event: 'subscribe', EventKey: '', CreateTime: start + n }
            : { MsgType: 'text', Content: String(n), CreateTime: start + n }),
        }),
      ),
    );
    await app.settled();
    expect(await personOf(appid, openid)).toMatchObject({
      following: true,
      timesFollowed: 8,
      lastInteractionAt: new Date((start + 23) * 1000).toISOString(),
    });
    expect(await db.read.countBy(PushRow, { account: appid, attempts: 1, state: 'handled' })).toBe(
      24,
    );
    expect(await eventsOf(openid)).toHaveLength(24);
  });

  it('of people who are new, while messages to them go out, all end at the first try', async () => {
    const appid = await newAccount();
    const openids = Array.from({ length: 12 }, newOpenid);
    await Promise.all(
      openids.flatMap((openid) => {
        const person = app.sandbox.person(appid, openid);
        return [
          person.follow(),
          person.write('hi'),
          person.clickMenu('k'),
          write((tx) => people.useWindows(tx, appid, openid, 1)),
          write((tx) => people.noteRefusal(tx, appid, openid, 'user_blacklisted')),
          write((tx) => people.noteReached(tx, appid, openid)),
        ];
      }),
    );
    await app.settled();
    for (const openid of openids)
      expect(await personOf(appid, openid)).toMatchObject({ following: true, timesFollowed: 1 });
    expect(await db.read.countBy(PushRow, { account: appid, attempts: 1, state: 'handled' })).toBe(
      openids.length * 3,
    );
  });

  it('by two doors, in two formats, are one', async () => {
    const [appid, openid] = [await newConfigured(app, 'secure', 'json'), newOpenid()];
    const fields = {
      ...{ FromUserName: openid, MsgType: 'event', Event: 'user_enter_tempsession' },
      ...{ SessionFrom: 'button', CreateTime: Math.floor(app.clock.now().getTime() / 1000) },
    };
    await app.sandbox.pushMessage(appid, fields);
    await app.settled();
    await write((tx) => people.useWindows(tx, appid, openid, 1));
    await app.sandbox.pushOwn(appid, fields);
    await app.settled();
    expect(await db.read.countBy(PushRow, { account: appid, kind: 'event' })).toBe(2);
    expect((await personOf(appid, openid)).windows).toMatchObject([{ left: 1 }]);
    expect(await eventsOf(openid)).toHaveLength(1);
  });
});

describe('an event that is no doing of a person', () => {
  it.each(['LOCATION', 'TEMPLATESENDJOBFINISH', 'kf_create_session'])(
    '%s says nothing of one',
    async (Event) => {
      const openid = newOpenid();
      await app.sandbox.pushMessage(service, { FromUserName: openid, MsgType: 'event', Event });
      await app.settled();
      expect(await personOf(service, openid)).toMatchObject({
        ...{ following: null, lastInteractionAt: null, windows: [] },
      });
      expect(await eventsOf(openid)).toEqual([]);
    },
  );
});

describe('what WeChat says of a receiver', () => {
  const refused = (
    appid: string,
    openid: string,
    errorClass: Parameters<PeopleService['noteRefusal']>[3],
  ) => write((tx) => people.noteRefusal(tx, appid, openid, errorClass, TEMPLATE));

  it.each([
    ['user_blocked', 'user_blocked'],
    ['user_blacklisted', 'user_blacklisted'],
    ['user_unknown', 'user_unknown'],
    ['user_not_follower', 'user_not_follower'],
  ] as const)('%s stands against the next message', async (errorClass, code) => {
    const [appid, openid] = [service, newOpenid()];
    await refused(appid, openid, errorClass);
    expect(codesOf(await eligibilityOf(appid, openid, 'template_message'))).toEqual([code]);
  });

  it.each(['user_blocked', 'user_unknown', 'user_not_follower'] as const)(
    '%s ends when the person acts again, and not by what they did before',
    async (errorClass) => {
      const [appid, openid] = [service, newOpenid()];
      const before = Math.floor(app.clock.now().getTime() / 1000) - 5;
      await refused(appid, openid, errorClass);
      const message = { FromUserName: openid, MsgType: 'text', Content: 'hi' };
      await app.sandbox.pushMessage(appid, { ...message, CreateTime: before });
      await app.settled();
      const check = () => eligibilityOf(appid, openid, 'template_message');
      expect(codesOf(await check())).toEqual([errorClass]);
      await app.sandbox.pushMessage(appid, message);
      await app.settled();
      expect((await check()).eligible).toBe(true);
    },
  );

  it('ends for somebody of a mini-program with the next choice about a template', async () => {
    const openid = newOpenid();
    await refused(program, openid, 'user_unknown');
    await after(() => app.sandbox.person(program, openid).accept(TEMPLATE));
    expect(await people.findReach(program, openid)).toMatchObject({ unknownAt: null });
  });

  it('ends when a message gets through', async () => {
    const [appid, openid] = [service, newOpenid()];
    for (const errorClass of ['user_blocked', 'user_blacklisted', 'user_unknown'] as const)
      await refused(appid, openid, errorClass);
    await write((tx) => people.noteReached(tx, appid, openid));
    expect((await eligibilityOf(appid, openid, 'template_message')).eligible).toBe(true);
  });

  it.each([
    ['window_closed', 'window_closed'],
    ['window_used_up', 'window_used_up'],
  ] as const)(
    '%s is believed rather than our own count, until the next message',
    async (errorClass, code) => {
      const [appid, openid] = [service, newOpenid()];
      const person = app.sandbox.person(appid, openid);
      await after(() => person.write('hi'));
      await refused(appid, openid, errorClass);
      const check = () => eligibilityOf(appid, openid, 'customer_service_message');
      expect(codesOf(await check())).toEqual([code]);
      await after(() => person.write('again'));
      expect((await check()).window?.left).toBe(5);
    },
  );

  it.each(['transient', 'rate_minute', 'content_refused', 'unknown'] as const)(
    '%s says nothing of a person',
    async (errorClass) => {
      const [appid, openid] = [service, newOpenid()];
      await refused(appid, openid, errorClass);
      const nothing = { isFollower: null, blockedAt: null, blacklistedAt: null, unknownAt: null };
      expect(await people.findReach(appid, openid)).toEqual(nothing);
      expect(await people.findWindows(appid, openid)).toEqual([]);
    },
  );
});

describe('consents to subscription messages', () => {
  const check = (appid: string, openid: string) =>
    eligibilityOf(appid, openid, 'subscription_message', TEMPLATE);
  const leftOf = async (appid: string, openid: string) =>
    (await people.findGrant(appid, openid, TEMPLATE)).left;

  it('count each acceptance, and none is left once they are withdrawn', async () => {
    const [appid, openid] = [program, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    expect(await people.findGrant(appid, openid, TEMPLATE)).toEqual({ left: 0, isKnown: false });
    expect(codesOf(await check(appid, openid))).toContain('no_grant');
    await after(
      () => person.accept(TEMPLATE),
      () => person.accept(TEMPLATE, 'TPL_B'),
      () => person.reject(TEMPLATE),
    );
    expect(await leftOf(appid, openid)).toBe(2);
    expect(codesOf(await check(appid, openid))).not.toContain('no_grant');
    expect((await personOf(appid, openid)).grants).toMatchObject([
      { templateId: TEMPLATE, left: 2, rejectedAt: app.clock.now().toISOString() },
      { templateId: 'TPL_B', left: 1, rejectedAt: null },
    ]);
    await write((tx) => people.useGrants(tx, [{ appid, openid, templateId: TEMPLATE }]));
    expect(await leftOf(appid, openid)).toBe(1);
    await after(() => person.withdraw(TEMPLATE));
    expect(await leftOf(appid, openid)).toBe(0);
    await after(() => person.accept(TEMPLATE));
    expect(await leftOf(appid, openid)).toBe(1);
    for (let n = 0; n < 3; n++)
      await write((tx) => people.useGrants(tx, [{ appid, openid, templateId: TEMPLATE }]));
    expect(await leftOf(appid, openid)).toBe(0);
  });

  it('count once for an event that comes by both doors, and again and again', async () => {
    const [appid, openid] = [await newConfigured(app, 'secure', 'json'), newOpenid()];
    const entries = [{ TemplateId: TEMPLATE, SubscribeStatusString: 'accept', PopupScene: '0' }];
    const receipt = { event: 'subscribe_msg_popup_event', openid, entries } as const;
    await app.sandbox.pushReceipt(appid, receipt);
    await app.sandbox.pushMessage(appid, {
      ...{ FromUserName: openid, MsgType: 'event', Event: receipt.event },
      SubscribeMsgPopupEvent: { List: entries },
    });
    await app.sandbox.pushReceipt(appid, receipt);
    await app.settled();
    expect((await listReceipts(app, appid)).body.items).toHaveLength(1);
    expect(await leftOf(appid, openid)).toBe(1);
  });

  it('from before a withdrawal do not stand, in whatever order they come', async () => {
    const [appid, openid] = [program, newOpenid()];
    const at = (second: number): Date => new Date(app.clock.now().getTime() + second * SECOND_MS);
    const choice = (status: string, changedIn: 'dialog' | 'settings', second: number) =>
      write((tx) =>
        people.noteConsents(tx, [
          { appid, openid, templateId: TEMPLATE, status, changedIn, occurredAt: at(second) },
        ]),
      );
    await choice('reject', 'settings', 10);
    await choice('accept', 'dialog', 5);
    expect(await leftOf(appid, openid)).toBe(0);
    await choice('accept', 'dialog', 20);
    expect(await leftOf(appid, openid)).toBe(1);
    await choice('reject', 'settings', 15);
    expect(await leftOf(appid, openid)).toBe(1);
  });

  it('to a long-term template are good for any number of messages, until withdrawn', async () => {
    const [appid, openid] = [program, newOpenid()];
    const consent = { appid, openid, templateId: TEMPLATE, isLongTerm: true } as const;
    const note = (status: string, changedIn: 'dialog' | 'settings') => {
      app.clock.advance(SECOND_MS);
      const occurredAt = app.clock.now();
      return write((tx) =>
        people.noteConsents(tx, [{ ...consent, status, changedIn, occurredAt }]),
      );
    };
    await note('accept', 'dialog');
    await write((tx) => people.useGrants(tx, [{ appid, openid, templateId: TEMPLATE }]));
    expect(await leftOf(appid, openid)).toBeNull();
    expect(codesOf(await check(appid, openid))).not.toContain('no_grant');
    await note('reject', 'settings');
    expect(await leftOf(appid, openid)).toBe(0);
  });

  it('are none where WeChat says so', async () => {
    const [appid, openid] = [program, newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(() => person.accept(TEMPLATE));
    await write((tx) => people.noteRefusal(tx, appid, openid, 'no_grant', TEMPLATE));
    expect(await people.findGrant(appid, openid, TEMPLATE)).toEqual({ left: 0, isKnown: true });
  });

  it('of many people at once are all counted', async () => {
    const appid = await newConfigured(app);
    const openids = Array.from({ length: 10 }, newOpenid);
    for (let round = 0; round < 3; round++) {
      app.clock.advance(SECOND_MS);
      await Promise.all(
        openids.map((openid) => app.sandbox.person(appid, openid).accept(TEMPLATE)),
      );
    }
    await app.settled();
    for (const openid of openids) expect(await leftOf(appid, openid)).toBe(3);
  });
});

describe('GET /accounts/{appid}/eligibility', () => {
  it('refuses a kind that the account never sends', async () => {
    const path = `/accounts/${service}/eligibility?openid=o1&kind=subscription_message&templateId=T`;
    expect(await app.api('GET', path)).toMatchObject({
      status: 422,
      body: { code: 'kind_not_supported' },
    });
  });

  it.each([
    '?openid=o1',
    '?kind=broadcast',
    '?openid=o1&kind=sms',
    '?openid=o1&kind=subscription_message',
  ])('refuses the query %s', async (query) => {
    const appid = await newAccount();
    expect(await app.api('GET', `/accounts/${appid}/eligibility${query}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_query' },
    });
  });

  it('says what stands against the account, and until when', async () => {
    const appid = await newAccount();
    const path = '/cgi-bin/message/template/send';
    app.sandbox.account(appid).usage[path] = 100_000;
    await app.api('GET', `/accounts/${appid}/quota?path=${path}`);
    const paused = await eligibilityOf(appid, newOpenid(), 'template_message');
    expect(paused.reasons).toMatchObject([{ code: 'quota_exhausted' }]);
    expect(Date.parse(paused.reasons[0]?.changesAt ?? '')).toBeGreaterThan(
      app.clock.now().getTime(),
    );
    await app.api('POST', `/accounts/${appid}/disable`);
    expect(codesOf(await eligibilityOf(appid, newOpenid(), 'broadcast'))).toEqual([
      'account_disabled',
    ]);
  });
});

describe('GET /accounts/{appid}/people', () => {
  it('lists them page by page, by whether they follow', async () => {
    const appid = await newAccount();
    const [stays, leaves, writes] = [newOpenid(), newOpenid(), newOpenid()];
    await after(
      () => app.sandbox.person(appid, stays).follow(),
      () => app.sandbox.person(appid, leaves).follow(),
      () => app.sandbox.person(appid, leaves).unfollow(),
      () => app.sandbox.person(appid, writes).write('hi'),
    );
    interface PageBody {
      items: PersonBody[];
      nextCursor: string | null;
    }
    const list = (query: string) => app.api<PageBody>('GET', `/accounts/${appid}/people${query}`);
    const first = await list('?limit=2');
    const second = await list(`?limit=2&cursor=${first.body.nextCursor}`);
    expect([...first.body.items, ...second.body.items].map(({ openid }) => openid)).toEqual([
      writes,
      leaves,
      stays,
    ]);
    expect(second.body.nextCursor).toBeNull();
    const openidsOf = async (query: string) =>
      (await list(query)).body.items.map(({ openid }) => openid);
    expect(await openidsOf('?following=true')).toEqual([writes, stays]);
    expect(await openidsOf('?following=false')).toEqual([leaves]);
    expect((await list('?following=maybe')).status).toBe(400);
  });
});

describe('GET /accounts/{appid}/incoming-messages', () => {
  const list = (appid: string, query = '', headers?: Record<string, string>) =>
    app.api<{ items: Record<string, unknown>[]; nextCursor: string | null }>(
      'GET',
      `/accounts/${appid}/incoming-messages${query}`,
      undefined,
      headers,
    );

  it('says what was written and done, which the database holds sealed', async () => {
    const [appid, openid] = [await newAccount(), newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(
      () => person.write('canary-of-words 你好'),
      () =>
        person.write({ MsgType: 'image', PicUrl: 'http://mmbiz.example/p', MediaId: 'media-1' }),
      () => person.clickMenu('k'),
    );
    expect((await list(appid)).body.items).toMatchObject([
      { openid, messageType: 'event', event: 'click', content: { EventKey: 'k' } },
      { messageType: 'image', content: { PicUrl: 'http://mmbiz.example/p', MediaId: 'media-1' } },
      { messageType: 'text', event: null, content: { Content: 'canary-of-words 你好' } },
    ]);
    const events = await eventsOf(openid);
    expect(events.map(({ data }) => data)).toMatchObject([
      { messageType: 'text', text: 'canary-of-words 你好', isMenuTap: false, mediaId: null },
      { messageType: 'image', text: null, picUrl: 'http://mmbiz.example/p', mediaId: 'media-1' },
      { messageType: 'event', event: 'click', eventKey: 'k', messageId: null },
    ]);
    const [text] = events;
    expect((await list(appid)).body.items[2]?.['id']).toBe(text?.data['incomingMessageId']);
    for (const table of ['event', 'incoming_message', 'push']) {
      const rows = await db.read.query(`SELECT * FROM ${table}`);
      expect(JSON.stringify(rows)).not.toContain('canary-of-words');
    }
  });

  it('keeps what people write out of events beyond 2,048 characters, and whole in the list', async () => {
    const [appid, openid] = [await newAccount(), newOpenid()];
    const long = '长'.repeat(3_000);
    await after(() => app.sandbox.person(appid, openid).write(long));
    expect((await eventsOf(openid))[0]?.data['text']).toBe('长'.repeat(2_048));
    expect((await list(appid)).body.items[0]).toMatchObject({ content: { Content: long } });
  });

  it('looks for a person and a time, page by page, for admins', async () => {
    const [appid, openid] = [await newAccount('brand-people'), newOpenid()];
    const other = app.sandbox.person(appid, newOpenid());
    const person = app.sandbox.person(appid, openid);
    await after(
      () => person.write('1'),
      () => other.write('2'),
      () => person.write('3'),
    );
    const wordsOf = async (query: string) =>
      (await list(appid, query)).body.items.map(({ content }) => content);
    expect(await wordsOf(`?openid=${openid}`)).toEqual([{ Content: '3' }, { Content: '1' }]);
    const now = app.clock.now().toISOString();
    expect(await wordsOf(`?from=${now}`)).toEqual([{ Content: '3' }]);
    expect(await wordsOf(`?to=${now}`)).toEqual([{ Content: '2' }, { Content: '1' }]);
    const first = await list(appid, '?limit=2');
    expect(await wordsOf(`?limit=2&cursor=${first.body.nextCursor}`)).toEqual([{ Content: '1' }]);
    const as = async (role: 'viewer' | 'admin') =>
      (await list(appid, '', await authorizationOf(app, role, 'brand-people'))).status;
    expect([await as('viewer'), await as('admin')]).toEqual([403, 200]);
  });

  it('forgets what is older than the days that messages are kept', async () => {
    const [appid, openid] = [await newAccount(), newOpenid()];
    const person = app.sandbox.person(appid, openid);
    await after(() => person.write('old'));
    app.clock.advance(RETENTION_DAYS * DAY_MS - SECOND_MS);
    await after(() => person.write('young'));
    const messages = app.app.get(IncomingMessages);
    await messages.purge();
    expect(await db.read.countBy(IncomingMessage, { appid })).toBe(2);
    app.clock.advance(1);
    await messages.purge();
    expect((await list(appid)).body.items).toMatchObject([{ content: { Content: 'young' } }]);
    expect(await personOf(appid, openid)).toMatchObject({ following: true });
    // WeChat's ticket has run out meanwhile.
    await app.sandbox.pushTicket();
  });
});

describe('DELETE /accounts/{appid}/people/{openid}', () => {
  it('leaves nothing of the person, and says in the log that it was done and not to whom', async () => {
    const [appid, openid, other] = [await newAccount(), newOpenid(), newOpenid()];
    for (const one of [openid, other])
      await after(
        () => app.sandbox.person(appid, one).follow(),
        () => app.sandbox.person(appid, one).write('hi'),
        () =>
          write((tx) =>
            people.noteConsents(tx, [
              {
                ...{ appid, openid: one, templateId: TEMPLATE, status: 'accept' },
                ...{ changedIn: 'dialog', occurredAt: app.clock.now() },
              },
            ]),
          ),
      );
    const path = `/accounts/${appid}/people/${openid}`;
    expect((await app.api('DELETE', path)).status).toBe(204);
    expect(await personOf(appid, openid)).toMatchObject({
      ...{ following: null, timesFollowed: 0, lastInteractionAt: null, windows: [], grants: [] },
    });
    expect(await eventsOf(openid)).toEqual([]);
    const tables = [
      ...['person', 'reply_window', 'subscription_grant', 'incoming_message'],
      ...['event', 'qr_code_visit'],
    ];
    const all = async (table: string) =>
      JSON.stringify(await db.read.query(`SELECT * FROM ${table}`));
    for (const table of tables) {
      expect(await all(table)).not.toContain(openid);
      expect(await all(table)).toContain(other);
    }
    expect(await all('audit_entry')).not.toContain(openid);
    const log = await app.api<{ items: { action: string }[] }>('GET', `/audit-log?target=${appid}`);
    expect(log.body.items[0]?.action).toBe('person.erased');
    expect((await app.api('DELETE', path)).status).toBe(204);
  });
});
