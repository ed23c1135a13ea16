import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { ComponentService } from '../src/component-authorization/component.service.js';
import { Database, type Tx } from '../src/database/database.js';
import { EventRow } from '../src/events/event.entity.js';
import { EventsService } from '../src/events/events.service.js';
import { type Answer, COMPONENT, startApp, type TestApp } from './app.js';
import { begin, callbackUrl, authorizationOf } from './helpers.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

interface FeedEvent {
  id: string;
  type: string;
  version: number;
  occurredAt: string;
  tenantId: string | null;
  appid: string | null;
  data: Record<string, unknown>;
}

interface FeedBody {
  items: FeedEvent[];
  nextCursor: string | null;
  after: string;
}

type Headers = Record<string, string>;

let app: TestApp;
let db: Database;
let events: EventsService;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
  events = app.app.get(EventsService);
});
afterAll(() => app.stop());

/** An account of the test's own, so that the tests do not meet. */
function newAccount(): string {
  const appid = `wx${(0xe0e000000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, nickname: `事件账号${serial}` });
  return appid;
}

/** A tenant of the test's own. */
const newTenant = (): string => `feed-${++serial}`;

const ofTenant = (tenant: string): Headers => ({ 'x-tenant-id': tenant });

function feed(query: string, headers: Headers = {}): Promise<Answer<FeedBody>> {
  return app.api<FeedBody>('GET', `/events${query}`, undefined, headers);
}

/** Reads on to the end. */
async function readOn(
  after: string | null,
  headers: Headers = {},
): Promise<{ items: FeedEvent[]; after: string }> {
  const items: FeedEvent[] = [];
  for (let from = after; ;) {
    const { status, body } = await feed(`?limit=200${from ? `&after=${from}` : ''}`, headers);
    if (status !== 200) throw new Error(`GET /events: ${status} ${JSON.stringify(body)}`);
    items.push(...body.items);
    from = body.after;
    if (body.nextCursor === null) return { items, after: from };
  }
}

/** Where the feed ends now. */
async function endOfFeed(headers: Headers = {}): Promise<string> {
  return (await readOn(null, headers)).after;
}

/** What has come since, by whoever asks. */
async function since(after: string, headers: Headers = {}): Promise<FeedEvent[]> {
  return (await readOn(after, headers)).items;
}

/** An authorization from its start to WeChat's push of it. */
async function authorize(
  appid: string,
  tenant: string,
  permissionIds?: number[],
): Promise<{ redirectUri: string; authCode: string }> {
  const { preAuthCode, redirectUri } = await begin(app, { accountType: 'any' }, tenant);
  const { authCode, pushed } = app.sandbox.authorize({
    appid,
    preAuthCode,
    ...(permissionIds && { permissionIds }),
  });
  await pushed;
  await app.settled();
  return { redirectUri, authCode };
}

/** An event that carries a number, so that it can be told from others. */
function emit(tx: Tx, tenantId: string, number: number, appid = 'wxfeedfeedfeedfeed') {
  return events.emit(
    tx,
    'account.updated',
    { tenantId, appid },
    {
      appid,
      accountType: 'official_account',
      nickname: '',
      changed: [String(number)],
      gainedPermissionIds: [],
      lostPermissionIds: [],
      gainedScenes: [],
      lostScenes: [],
      failingChecks: [],
    },
  );
}

/** An event of another type. */
function emitUnauthorized(tx: Tx, tenantId: string, appid = 'wxfeedfeedfeedfeed') {
  return events.emit(
    tx,
    'account.unauthorized',
    { tenantId, appid },
    {
      appid,
      accountType: 'official_account',
      nickname: '',
      unauthorizedAt: app.clock.now().toISOString(),
      state: 'unauthorized',
    },
  );
}

const numberOf = ({ data }: FeedEvent): number => Number((data['changed'] as string[])[0]);
const numbersUpTo = (count: number): number[] => Array.from({ length: count }, (_none, n) => n);

describe('an account', () => {
  it('that is authorized is told of once, and once more when its details are read', async () => {
    const [appid, tenant, start] = [newAccount(), newTenant(), await endOfFeed()];
    const at = app.clock.now().toISOString();
    const { redirectUri, authCode } = await authorize(appid, tenant, [1, 2, 3, 8, 11, 15]);
    await app.page(callbackUrl(redirectUri, authCode));
    const told = { id: expect.stringMatching(UUID_V7), version: 1, tenantId: tenant, appid };
    expect(await since(start)).toEqual([
      {
        ...told,
        type: 'account.authorized',
        occurredAt: at,
        data: {
          appid,
          accountType: 'official_account',
          nickname: '',
          authorizedAt: at,
          permissionIds: [1, 2, 3, 8, 11, 15],
          missingPermissionIds: [7],
        },
      },
      {
        ...told,
        type: 'account.updated',
        occurredAt: at,
        data: {
          appid,
          accountType: 'official_account',
          nickname: app.sandbox.account(appid).nickname,
          changed: ['subtype', 'nickname', 'originalId', 'principalName', 'verifyType'],
          gainedPermissionIds: [],
          lostPermissionIds: [],
          // Verified only now; broadcasts and templates lack permission 7.
          gainedScenes: ['customer_service_message', 'qr_code'],
          lostScenes: [],
          failingChecks: [],
        },
      },
    ]);
  });

  it('is told of once when the redirect and three pushes of it come at the same time', async () => {
    const [appid, tenant, start] = [newAccount(), newTenant(), await endOfFeed()];
    const { preAuthCode, redirectUri } = await begin(app, { accountType: 'any' }, tenant);
    const { authCode, event } = app.sandbox.authorize({ appid, preAuthCode, push: false });
    await Promise.all([
      app.page(callbackUrl(redirectUri, authCode)),
      ...[1, 2, 3].map(() => app.sandbox.pushEvent(event ?? {})),
    ]);
    await app.settled();
    const types = (await since(start)).map(({ type }) => type);
    expect(types).toEqual(['account.authorized', 'account.updated']);
  });

  it('whose permissions change is told of with what it gained and lost', async () => {
    const [appid, tenant] = [newAccount(), newTenant()];
    await authorize(appid, tenant, [1, 2, 3, 7]);
    const start = await endOfFeed();
    app.clock.advance(MINUTE_MS);
    await app.sandbox.authorize({ appid, preAuthCode: null, permissionIds: [1, 3, 15] }).pushed;
    await app.settled();
    expect(await since(start)).toMatchObject([
      {
        type: 'account.updated',
        tenantId: tenant,
        data: {
          nickname: app.sandbox.account(appid).nickname,
          changed: ['permissions'],
          gainedPermissionIds: [15],
          lostPermissionIds: [2, 7],
        },
      },
    ]);
  });

  it('that cancels is told of once, however often WeChat says so', async () => {
    const [appid, tenant] = [newAccount(), newTenant()];
    await authorize(appid, tenant);
    const start = await endOfFeed();
    app.clock.advance(MINUTE_MS);
    const { event } = app.sandbox.cancel(appid, { push: false });
    await Promise.all([1, 2, 3].map(() => app.sandbox.pushEvent(event)));
    await app.settled();
    // The same again in other words.
    await app.sandbox.pushEvent({ ...event, CreateTime: Number(event['CreateTime']) + 1 });
    await app.settled();
    expect(await since(start)).toEqual([
      {
        id: expect.stringMatching(UUID_V7),
        type: 'account.unauthorized',
        version: 1,
        occurredAt: app.clock.now().toISOString(),
        tenantId: tenant,
        appid,
        data: {
          appid,
          accountType: 'official_account',
          nickname: app.sandbox.account(appid).nickname,
          unauthorizedAt: app.clock.now().toISOString(),
          state: 'unauthorized',
        },
      },
    ]);
  });

  it('is told of again when it authorizes again', async () => {
    const [appid, tenant] = [newAccount(), newTenant()];
    await authorize(appid, tenant);
    app.clock.advance(MINUTE_MS);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    const start = await endOfFeed();
    app.clock.advance(MINUTE_MS);
    await authorize(appid, tenant);
    expect((await since(start)).map(({ type }) => type)).toEqual(['account.authorized']);
  });

  it('is not told of when the push is older than what we know', async () => {
    const [appid, tenant] = [newAccount(), newTenant()];
    const before = Math.floor(app.clock.now().getTime() / 1000);
    app.clock.advance(MINUTE_MS);
    await authorize(appid, tenant);
    const start = await endOfFeed();
    await app.sandbox.pushEvent({
      InfoType: 'unauthorized',
      AuthorizerAppid: appid,
      CreateTime: before,
    });
    await app.settled();
    expect(await since(start)).toEqual([]);
  });

  it('that another tenant holds is told of to its holder only', async () => {
    const [appid, holder, asker] = [newAccount(), newTenant(), newTenant()];
    await authorize(appid, holder, [1, 2]);
    const start = await endOfFeed();
    app.clock.advance(MINUTE_MS);
    await authorize(appid, asker, [1, 2, 3]);
    const told = [
      { type: 'account.updated', tenantId: holder, appid, data: { gainedPermissionIds: [3] } },
    ];
    expect(await since(start)).toMatchObject(told);
    expect(await since(start, ofTenant(holder))).toMatchObject(told);
    expect(await since(start, ofTenant(asker))).toEqual([]);
  });

  it('is told of to nobody but its tenant and owners of everything', async () => {
    const [appid, tenant, other] = [newAccount(), newTenant(), newTenant()];
    const start = await endOfFeed();
    await authorize(appid, tenant);
    const own = await authorizationOf(app, 'viewer', tenant);
    const foreign = await authorizationOf(app, 'viewer', other);
    const types = ['account.authorized', 'account.updated'];
    expect((await since(start, own)).map(({ type }) => type)).toEqual(types);
    expect((await since(start)).map(({ type }) => type)).toEqual(types);
    const { body } = await feed(`?after=${start}`, foreign);
    expect(body).toEqual({ items: [], nextCursor: null, after: await endOfFeed() });
    expect((await feed('', foreign)).body.items).toEqual([]);
  });
});

describe('a ticket that does not come', () => {
  const watch = async (): Promise<void> => {
    const component = app.app.get(ComponentService);
    await Promise.all([1, 2, 3, 4].map(() => component.watchTicket()));
    await component.watchTicket();
  };

  it('is told of once each time, to owners of everything only', async () => {
    await app.sandbox.pushTicket();
    await app.settled();
    const start = await endOfFeed();
    const firstAt = app.clock.now();
    app.clock.advance(30 * MINUTE_MS);
    await watch();
    expect(await since(start)).toEqual([]);

    app.clock.advance(MINUTE_MS);
    await watch();
    app.clock.advance(MINUTE_MS);
    await watch();
    const late = (lastReceivedAt: Date) => ({
      type: 'component.ticket_late',
      version: 1,
      tenantId: null,
      appid: null,
      data: {
        componentAppid: COMPONENT.appid,
        state: 'late',
        lastReceivedAt: lastReceivedAt.toISOString(),
      },
    });
    expect(await since(start)).toMatchObject([late(firstAt)]);

    await app.sandbox.pushTicket();
    await app.settled();
    const secondAt = app.clock.now();
    await watch();
    app.clock.advance(31 * MINUTE_MS);
    await watch();
    expect(await since(start)).toMatchObject([late(firstAt), late(secondAt)]);

    expect(await since(start, ofTenant('default'))).toEqual([]);
    expect(await since(start, await authorizationOf(app, 'admin', 'default'))).toEqual([]);
    await app.sandbox.pushTicket();
    await app.settled();
  });
});

describe('GET /events', () => {
  it('gives pages in the order of emission, and where to go on even at the end', async () => {
    const tenant = newTenant();
    const headers = ofTenant(tenant);
    const start = await endOfFeed(headers);
    await db.write(async (tx) => {
      for (const number of numbersUpTo(5)) await emit(tx, tenant, number);
    });
    const first = await feed(`?limit=2&after=${start}`, headers);
    const second = await feed(`?limit=2&after=${first.body.after}`, headers);
    const third = await feed(`?limit=2&cursor=${second.body.nextCursor}`, headers);
    const pages = [first, second, third].map(({ body }) => ({
      numbers: body.items.map(numberOf),
      hasMore: body.nextCursor !== null,
    }));
    expect(pages).toEqual([
      { numbers: [0, 1], hasMore: true },
      { numbers: [2, 3], hasMore: true },
      { numbers: [4], hasMore: false },
    ]);
    expect(first.body.nextCursor).toBe(first.body.after);

    const end = await feed(`?after=${third.body.after}`, headers);
    expect(end.body).toMatchObject({ items: [], nextCursor: null });
    await db.write((tx) => emit(tx, tenant, 5));
    const next = await feed(`?after=${end.body.after}`, headers);
    expect(next.body.items.map(numberOf)).toEqual([5]);
    // Whoever crashed reads the same again, under the same ids.
    expect((await feed(`?after=${end.body.after}`, headers)).body.items).toEqual(next.body.items);
  });

  it('keeps the order of what one transaction tells within the same millisecond', async () => {
    const tenant = newTenant();
    const start = await endOfFeed();
    await db.write(async (tx) => {
      for (const number of numbersUpTo(40)) await emit(tx, tenant, number);
    });
    expect((await since(start, ofTenant(tenant))).map(numberOf)).toEqual(numbersUpTo(40));
  });

  it('gives only the types that are asked for, and goes past the others', async () => {
    const tenant = newTenant();
    const headers = ofTenant(tenant);
    const start = await endOfFeed();
    await db.write(async (tx) => {
      await emit(tx, tenant, 0);
      await emitUnauthorized(tx, tenant);
      await emit(tx, tenant, 1);
    });
    const typesOf = async (query: string): Promise<string[]> =>
      (await feed(`?after=${start}${query}`, headers)).body.items.map(({ type }) => type);
    const [updated, unauthorized] = ['account.updated', 'account.unauthorized'];
    expect(await typesOf(`&type=${updated}`)).toEqual([updated, updated]);
    expect(await typesOf(`&type=${unauthorized}`)).toEqual([unauthorized]);
    for (const both of [
      `&type=${updated}&type=${unauthorized}`,
      `&type=${updated},${unauthorized}`,
    ])
      expect(await typesOf(both)).toEqual([updated, unauthorized, updated]);

    const none = await feed(`?after=${start}&type=account.authorized`, headers);
    expect(none.body).toEqual({ items: [], nextCursor: null, after: await endOfFeed() });
    const paged = await feed(`?after=${start}&type=${updated}&limit=1`, headers);
    expect(paged.body.nextCursor).toBe(paged.body.after);
    expect(
      (await feed(`?after=${paged.body.after}&type=${updated}`, headers)).body.items.map(numberOf),
    ).toEqual([1]);
  });

  it.each([
    ['an unknown type', '?type=account.exploded', 'type'],
    ['an unknown type beside a known one', '?type=account.updated,account.exploded', 'type'],
    ['an empty type', '?type=', 'type'],
    ['an `after` that is not ours', '?after=nonsense', 'after'],
    ['an `after` before the beginning', `?after=${encode('e-1')}`, 'after'],
    ['an `after` between two places', `?after=${encode('e1.5')}`, 'after'],
    ['an `after` with more behind it', `?after=${encode('e1 OR 1=1')}`, 'after'],
    ['an `after` that is too long', `?after=${'A'.repeat(65)}`, 'after'],
    ['no items a page', '?limit=0', 'limit'],
    ['too many items a page', '?limit=201', 'limit'],
    ['a parameter that there is not', '?since=yesterday', 'since'],
  ])('refuses %s by name', async (_case, query, field) => {
    const answer = await app.api<{ code: string; errors: { field: string }[] }>(
      'GET',
      `/events${query}`,
    );
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    expect(new Set(answer.body.errors.map((error) => error.field))).toEqual(new Set([field]));
  });

  it('tells nothing of a transaction that is rolled back', async () => {
    const [appid, tenant, start] = [newAccount(), newTenant(), await endOfFeed()];
    const undone = db.write(async (tx) => {
      await emit(tx, tenant, 0, appid);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await db.write((tx) => emit(tx, tenant, 1, appid));
    expect((await since(start)).map(numberOf)).toEqual([1]);
  });

  it('after seven days tells a reader that it has missed something, but none that had read it', async () => {
    const tenant = newTenant();
    const headers = ofTenant(tenant);
    const behind = await endOfFeed();
    await db.write(async (tx) => {
      await emit(tx, tenant, 0);
      await emit(tx, tenant, 1);
    });
    const [first] = (await feed(`?limit=1&after=${behind}`, headers)).body.items;
    const halfWay = (await feed(`?limit=1&after=${behind}`, headers)).body.after;
    const end = await endOfFeed();
    await events.trim();
    expect((await since(behind, headers)).map(numberOf)).toEqual([0, 1]);

    // As if eight days had passed: what is cut off is chosen by the database's clock.
    const old = new Date((await db.now()).getTime() - 8 * DAY_MS);
    await db.write((tx) => tx.update(EventRow, { tenantId: tenant }, { emittedAt: old }));
    await events.trim();
    expect(first && (await db.read.existsBy(EventRow, { id: first.id }))).toBe(false);
    for (const after of [behind, halfWay]) {
      expect(await feed(`?after=${after}`, { ...headers, 'accept-language': 'en' })).toMatchObject({
        status: 410,
        body: { code: 'event_cursor_expired', title: 'The events are no longer kept' },
      });
    }
    expect((await feed(`?after=${end}`, headers)).body).toMatchObject({
      items: [],
      nextCursor: null,
    });
    await db.write((tx) => emit(tx, tenant, 2));
    expect((await since(end, headers)).map(numberOf)).toEqual([2]);
    // Without `after` it begins with what is left.
    expect((await feed('', headers)).body.items.map(numberOf)).toEqual([2]);
  });

  // So many that MySQL would rather read along an index, on which the open transaction's event stands.
  it.each([1, 300])(
    'leaves out no event whose transaction ends after that of %i later ones, and does not wait for it',
    async (count) => {
      const tenant = newTenant();
      const headers = ofTenant(tenant);
      const start = await endOfFeed();
      const laterOnes = numbersUpTo(count).map((number) => number + 1);
      const gate = newGate();
      const emitted = newGate();
      const early = db.write(async (tx) => {
        await emit(tx, tenant, 0, 'wxearly');
        emitted.open();
        await gate.opened;
      });
      await emitted.opened;
      const late = db.write(async (tx) => {
        for (const number of laterOnes) await emit(tx, tenant, number, 'wxlate');
      });
      // On SQLite the second has to wait for the first; elsewhere it is over, and read, before it.
      if (!db.isSqlite) await late;
      const before = await readOn(start, headers);
      expect(before.items.map(numberOf)).toEqual(db.isSqlite ? [] : laterOnes);
      gate.open();
      await Promise.all([early, late]);
      const then = await since(before.after, headers);
      expect(then.map(numberOf)).toEqual(db.isSqlite ? [0, ...laterOnes] : [0]);
      const all = db.isSqlite ? [0, ...laterOnes] : [...laterOnes, 0];
      expect((await since(start, headers)).map(numberOf)).toEqual(all);
    },
  );

  it('gives every reader every event of 32 writers once, and those of one account in their order', async () => {
    const [WRITERS, TRANSACTIONS, EACH, PAGE] = [32, 3, 2, 7];
    const tenant = newTenant();
    const headers = ofTenant(tenant);
    const start = await endOfFeed();
    let haveEnded = false;

    const write = async (writer: number): Promise<void> => {
      for (const turn of numbersUpTo(TRANSACTIONS)) {
        await db.write(async (tx) => {
          for (const nth of numbersUpTo(EACH)) {
            await emit(tx, tenant, turn * EACH + nth, `wxwriter${writer}`);
            await dawdle(tx);
          }
        });
      }
    };
    const read = async (): Promise<FeedEvent[]> => {
      const seen: FeedEvent[] = [];
      for (let after = start; ;) {
        const isLastLook = haveEnded;
        const { body } = await feed(`?limit=${PAGE}&after=${after}`, headers);
        seen.push(...body.items);
        after = body.after;
        if (isLastLook && body.nextCursor === null) return seen;
      }
    };
    const readers = [read(), read()];
    await Promise.all(numbersUpTo(WRITERS).map(write)).finally(() => (haveEnded = true));
    const [one = [], other = []] = await Promise.all(readers);

    expect(one).toHaveLength(WRITERS * TRANSACTIONS * EACH);
    expect(new Set(one.map(({ id }) => id)).size).toBe(one.length);
    expect(other).toEqual(one);
    for (const writer of numbersUpTo(WRITERS)) {
      const own = one.filter(({ appid }) => appid === `wxwriter${writer}`);
      expect(own.map(numberOf)).toEqual(numbersUpTo(TRANSACTIONS * EACH));
    }
    // Ids grow in the order of emission, places in that of the commits: here is whether the two were different.
    const inversions = one.filter(({ id }, at) => at > 0 && id < (one[at - 1]?.id ?? '')).length;
    expect(inversions > 0).toBe(!db.isSqlite);
  });
});

/** Keeps a transaction open for a while that nobody can foresee. */
async function dawdle(tx: Tx): Promise<void> {
  for (let trips = Math.floor(Math.random() * 3); trips > 0; trips--) await tx.query('SELECT 1');
  if (Math.random() < 0.3) await new Promise((go) => setTimeout(go, Math.random() * 5));
}

/** Something to wait for. */
function newGate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
