import { randomUUID } from 'node:crypto';

import { SecretBox } from '@app/secret-box';
import type { EventPush, MessagePush } from '@app/wechat';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../config/env.js';
import { AuditService } from '../src/access/audit.service.js';
import { Clock } from '../src/common/clock.js';
import { Logger } from '../src/common/logger.js';
import { AccountData } from '../src/database/account-data.js';
import { Database } from '../src/database/database.js';
import { SealedColumns } from '../src/database/sealed-columns.js';
import { EventRow } from '../src/events/event.entity.js';
import { EventsService } from '../src/events/events.service.js';
import { PushAccounts } from '../src/pushes/push-accounts.js';
import { type PushContext, type PushHandler, PushHandlers } from '../src/pushes/push-handlers.js';
import { PushLedger, type VerifiedPush } from '../src/pushes/push-ledger.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { PushesRepository } from '../src/pushes/pushes.repository.js';
import { Heartbeat } from '../src/queue/heartbeat.js';
import { LeasedSchedule } from '../src/queue/leased-schedule.js';
import { type HeldLease, LeasesRepository } from '../src/queue/leases.repository.js';
import { OWNER_KEY, startApp, type TestApp } from './app.js';
import { authorizationOf } from './helpers.js';
import { until } from './until.js';

const DAY_MS = 86_400_000;
const RETENTION_DAYS = 2;
const MAX_TRIES = 12;
const LONGEST_RETRY_MS = 600_000;

type Handle = (push: MessagePush | EventPush, context: PushContext) => Promise<void>;

interface PushBody {
  id: string;
  account: string;
  kind: string;
  state: string;
  attempts: number;
  failure: string | null;
}

interface PageBody {
  items: PushBody[];
  nextCursor: string | null;
}

let app: TestApp;
let db: Database;
let ledger: PushLedger;
let serial = 0;
const accounts = new Set<string>();
/** What is done with the pushes of the tests' accounts. */
const handles = new Map<string, Handle>();
const handle: PushHandler = async (push, context) => {
  if (push.kind === 'message' || push.kind === 'event')
    await handles.get(context.account)?.(push, context);
};
const originalIdOf = (appid: string): string => `gh_${appid.slice(-12)}`;

beforeAll(async () => {
  app = await startApp({
    env: { LEASE_SECONDS: '1', PUSH_RETENTION_DAYS: String(RETENTION_DAYS) },
  });
  db = app.app.get(Database);
  ledger = app.app.get(PushLedger);
  // Accounts that only the ledger knows, with a handler of their own.
  app.app
    .get(PushAccounts)
    .register((appid) =>
      Promise.resolve(
        accounts.has(appid)
          ? { originalId: originalIdOf(appid), nickname: '', handler: handle }
          : null,
      ),
    );
});
afterAll(() => app.stop());

/** An account of the test's own. */
function newAccount(handleIts: Handle): string {
  const digits = (0x1ed9e4000000 + ++serial).toString(16);
  const appid = `wx${digits.padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, originalId: originalIdOf(appid) });
  accounts.add(appid);
  handles.set(appid, handleIts);
  return appid;
}

async function push(appid: string, Content = 'hello'): Promise<void> {
  const { delivered } = await app.sandbox.pushMessage(appid, { MsgType: 'text', Content });
  expect(delivered).toBe(true);
}

const rowsOf = (account: string): Promise<PushRow[]> => db.read.findBy(PushRow, { account });

/** Sweeps with time going by until it holds. */
function sweepUntil(holds: () => Promise<boolean>): Promise<void> {
  return until(async () => {
    if (await holds()) return true;
    app.clock.advance(LONGEST_RETRY_MS);
    await ledger.sweep();
    return holds();
  });
}

/** Fails as often as it may. */
async function park(appid: string): Promise<PushRow> {
  await push(appid, 'canary-of-a-parked-push');
  await sweepUntil(async () => (await rowsOf(appid)).every(({ state }) => state === 'parked'));
  const [row] = await rowsOf(appid);
  if (!row) throw new Error('There is no parked push.');
  return row;
}

const list = (query: string): Promise<{ status: number; body: PageBody }> =>
  app.api<PageBody>('GET', `/pushes${query}`);
const redrive = (path: string, body?: object) => app.api('POST', `/pushes/${path}`, body);

/** Something to wait for. */
function newGate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open: () => open() };
}

async function takenTurn(take: () => Promise<HeldLease | null>): Promise<HeldLease> {
  let held: HeldLease | null = null;
  await until(async () => (held = await take()) !== null);
  if (!held) throw new Error('The lease is held by somebody else.');
  return held;
}

/** Leaves a mark that can be counted, in the transaction that ends the handling. */
function leaveMark(context: PushContext, mark: string): Promise<void> {
  const { account } = context;
  return db.write(async (tx) => {
    await app.app.get(EventsService).emit(
      tx,
      'account.updated',
      { tenantId: null, appid: account },
      {
        appid: account,
        accountType: 'official_account',
        nickname: mark,
        changed: [],
        gainedPermissionIds: [],
        lostPermissionIds: [],
        gainedScenes: [],
        lostScenes: [],
        failingChecks: [],
      },
    );
    await context.finish(tx);
  });
}

async function marksOf(appid: string): Promise<string[]> {
  const rows = await db.read.findBy(EventRow, { appid, type: 'account.updated' });
  return rows
    .map(({ payload }) => (payload as { nickname: string }).nickname)
    .filter((name) => name.startsWith('mark '));
}

describe('a push whose handler throws', () => {
  it('is parked after twelve tries with its reason, while others go on being handled', async () => {
    const tries: number[] = [];
    const failing = newAccount((_push, { attempts }) => {
      tries.push(attempts);
      return Promise.reject(new TypeError(`the cause of try ${attempts}`));
    });
    const other = newAccount((_push, context) => leaveMark(context, 'mark of the other'));
    await push(failing);
    await app.settled();
    expect(await rowsOf(failing)).toMatchObject([
      { state: 'waiting', attempts: 1, failure: 'TypeError: the cause of try 1' },
    ]);
    await push(other);
    await app.settled();
    expect(await rowsOf(other)).toMatchObject([{ state: 'handled', failure: null }]);

    await sweepUntil(async () => (await rowsOf(failing)).every(({ state }) => state === 'parked'));
    expect(tries).toEqual(Array.from({ length: MAX_TRIES }, (_none, n) => n + 1));
    expect(await rowsOf(failing)).toMatchObject([
      { attempts: MAX_TRIES, failure: 'TypeError: the cause of try 12', handledAt: null },
    ]);
    await push(other);
    await app.settled();
    expect(await marksOf(other)).toEqual(['mark of the other', 'mark of the other']);
    // Parked, it is not tried again by itself.
    app.clock.advance(LONGEST_RETRY_MS);
    await ledger.sweep();
    expect(tries).toHaveLength(MAX_TRIES);
  });

  it('waits ten seconds, then twenty, then ever longer', async () => {
    let tries = 0;
    const appid = newAccount(() => Promise.reject(new Error(`try ${++tries}`)));
    await push(appid);
    await app.settled();
    for (const [waitMs, then] of [
      [9_999, 1],
      [1, 2],
      [19_999, 2],
      [1, 3],
    ] as const) {
      app.clock.advance(waitMs);
      // The service's own sweep may be the one that takes it.
      await until(async () => {
        await ledger.sweep();
        return tries >= then;
      });
      await app.settled();
      expect(tries).toBe(then);
    }
    handles.delete(appid);
    await sweepUntil(async () => (await rowsOf(appid)).every(({ state }) => state === 'handled'));
  });

  it('is not kept from its next try by another one that takes its time', async () => {
    const gate = newGate();
    const slow = newAccount(() => gate.opened);
    let tries = 0;
    const failing = newAccount(() =>
      ++tries === 1 ? Promise.reject(new Error('once')) : Promise.resolve(),
    );
    await push(failing);
    await app.settled();
    await push(slow);
    app.clock.advance(10_000);
    await until(async () => {
      await ledger.sweep();
      return (await rowsOf(failing)).every(({ state }) => state === 'handled');
    });
    expect(await rowsOf(slow)).toMatchObject([{ state: 'waiting', attempts: 1 }]);
    gate.open();
    await app.settled();
    expect(await rowsOf(slow)).toMatchObject([{ state: 'handled', attempts: 1 }]);
  });
});

describe('the ledger', () => {
  it('lists what is parked, without what it says', async () => {
    const appid = newAccount(() => Promise.reject(new Error('no such thing')));
    const { id } = await park(appid);
    const { status, body } = await list(`?state=parked&account=${appid}`);
    expect(status).toBe(200);
    expect(body).toEqual({
      items: [
        {
          id,
          account: appid,
          kind: 'message',
          state: 'parked',
          attempts: MAX_TRIES,
          failure: 'Error: no such thing',
          occurredAt: expect.any(String),
          receivedAt: expect.any(String),
          nextTryAt: expect.any(String),
          handledAt: null,
        },
      ],
      nextCursor: null,
    });
    const all = await app.api('GET', `/pushes?account=${appid}`);
    expect(JSON.stringify([body, all.body])).not.toContain('canary-of-a-parked-push');
    expect((await list(`?state=handled&account=${appid}`)).body.items).toEqual([]);
    expect((await list(`?kind=event&account=${appid}`)).body.items).toEqual([]);
  });

  it('gives pages, the newest first', async () => {
    const appid = newAccount(() => Promise.resolve());
    for (let count = 0; count < 3; count++) {
      app.clock.advance(1_000);
      await push(appid);
    }
    await app.settled();
    const first = await list(`?account=${appid}&limit=2`);
    const second = await list(`?account=${appid}&limit=2&cursor=${first.body.nextCursor}`);
    const ids = [...first.body.items, ...second.body.items].map(({ id }) => id);
    expect(first.body.items).toHaveLength(2);
    expect(second.body.nextCursor).toBeNull();
    expect(ids).toEqual(
      (await rowsOf(appid))
        .map(({ id }) => id)
        .toSorted()
        .toReversed(),
    );
  });

  it.each([['?state=lost'], ['?limit=0'], ['?cursor=nonsense'], ['?content=x']])(
    'refuses %s',
    async (query) => {
      expect(await list(query)).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    },
  );

  it('drives a parked push again, and completes it once its cause is gone', async () => {
    let cause: Error | null = new Error('down');
    const appid = newAccount((_push, context) =>
      cause ? Promise.reject(cause) : leaveMark(context, 'mark at last'),
    );
    const { id } = await park(appid);
    expect(await redrive(`${id}/redrive`)).toMatchObject({ status: 200, body: { redriven: 1 } });
    // The cause is still there: it has all its tries again.
    await until(async () =>
      (await rowsOf(appid)).every(({ attempts, leaseUntil }) => attempts === 1 && !leaseUntil),
    );
    expect(await rowsOf(appid)).toMatchObject([{ state: 'waiting', failure: 'Error: down' }]);
    expect(await redrive(`${id}/redrive`)).toMatchObject({
      status: 409,
      body: { code: 'push_not_parked' },
    });
    await sweepUntil(async () => (await rowsOf(appid)).every(({ state }) => state === 'parked'));
    cause = null;
    expect((await redrive(`${id}/redrive`)).status).toBe(200);
    await until(async () => (await rowsOf(appid)).every(({ state }) => state === 'handled'));
    expect(await rowsOf(appid)).toMatchObject([{ state: 'handled', attempts: 1, failure: null }]);
    expect(await marksOf(appid)).toEqual(['mark at last']);
    expect(await redrive(`${id}/redrive`)).toMatchObject({
      status: 409,
      body: { code: 'push_not_parked' },
    });
  });

  it('knows no other push', async () => {
    for (const id of [randomUUID(), 'nonsense'])
      expect(await redrive(`${id}/redrive`)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      });
  });

  it('drives all of an account or a kind again, and says how many', async () => {
    let isDown = true;
    const handle: Handle = () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve());
    const [one, other] = [newAccount(handle), newAccount(handle)];
    // What earlier tests have parked.
    await redrive('redrive', {});
    for (let count = 0; count < 3; count++) await push(one);
    await app.sandbox.pushMessage(one, { MsgType: 'event', Event: 'subscribe' });
    await push(other);
    const stateOf = async (): Promise<string[]> =>
      [...(await rowsOf(one)), ...(await rowsOf(other))].map(({ state }) => state);
    await sweepUntil(async () => (await stateOf()).every((state) => state === 'parked'));
    isDown = false;
    expect((await redrive('redrive', { kind: 'authorized' })).body).toEqual({ redriven: 0 });
    expect((await redrive('redrive', { account: one, kind: 'event' })).body).toEqual({
      redriven: 1,
    });
    expect((await redrive('redrive', { account: one })).body).toEqual({ redriven: 3 });
    await until(async () => {
      await ledger.sweep();
      return (await rowsOf(one)).every(({ state }) => state === 'handled');
    });
    expect(await rowsOf(other)).toMatchObject([{ state: 'parked' }]);
    const { body } = await redrive('redrive', { kind: 'message' });
    expect(body['redriven']).toBeGreaterThanOrEqual(1);
    await until(async () => {
      await ledger.sweep();
      return (await rowsOf(other)).every(({ state }) => state === 'handled');
    });
    for (const filter of [{ state: 'handled' }, { kind: null }, { account: null }])
      expect(await redrive('redrive', filter)).toMatchObject({
        status: 422,
        body: { code: 'validation_failed' },
      });
  });

  it.each([
    ['GET', '/pushes'],
    ['POST', '/pushes/redrive'],
    ['POST', `/pushes/${randomUUID()}/redrive`],
  ])('is for owners: %s %s', async (method, path) => {
    expect(
      await app.api(method, path, undefined, await authorizationOf(app, 'admin', 'default')),
    ).toMatchObject({ status: 403, body: { code: 'role_too_small' } });
    expect(await app.api(method, path, undefined, { authorization: '' })).toMatchObject({
      status: 401,
    });
    const owner = await app.api(method, path, undefined, { authorization: `Bearer ${OWNER_KEY}` });
    expect(owner.status).not.toBe(403);
  });
});

describe('what is older than the days that pushes are kept', () => {
  it('is deleted when it was handled or parked, and not while it waits', async () => {
    const handled = newAccount(() => Promise.resolve());
    const parked = newAccount(() => Promise.reject(new Error('down')));
    await park(parked);
    const waiting = newAccount(() => Promise.reject(new Error('not yet')));
    const young = newAccount(() => Promise.resolve());
    await push(handled);
    await push(waiting);
    await app.settled();
    app.clock.advance(RETENTION_DAYS * DAY_MS - 1_000);
    await ledger.purge();
    for (const account of [handled, waiting]) expect(await rowsOf(account)).toHaveLength(1);

    app.clock.advance(2_000);
    await push(young);
    await app.settled();
    await ledger.purge();
    for (const account of [handled, parked]) expect(await rowsOf(account)).toEqual([]);
    expect(await rowsOf(young)).toHaveLength(1);
    const [left] = await rowsOf(waiting);
    expect(left).toMatchObject({ state: 'waiting' });
    handles.delete(waiting);
    await sweepUntil(async () => (await rowsOf(waiting)).every(({ state }) => state === 'handled'));
    await ledger.purge();
    expect(await rowsOf(waiting)).toEqual([]);
    // WeChat's ticket has run out meanwhile.
    await app.sandbox.pushTicket();
    await app.settled();
  });
});

describe('a push that another process takes over', () => {
  /** A process whose heart has stopped: what it holds is not renewed. */
  class StoppedHeart extends Heartbeat {
    override hold(): () => void {
      return () => undefined;
    }
  }

  it('when the lease of the first one has run out, has the effect of one of them only', async () => {
    const inject = app.app;
    const env = inject.get(Env);
    const first = new PushLedger(
      env,
      db,
      inject.get(PushesRepository),
      inject.get(PushHandlers),
      inject.get(PushAccounts),
      new StoppedHeart(env, inject.get(Logger)),
      inject.get(LeasedSchedule),
      inject.get(SecretBox),
      inject.get(AuditService),
      inject.get(SealedColumns),
      new AccountData(),
      inject.get(Clock),
      inject.get(Logger),
    );
    const gate = newGate();
    const tries: number[] = [];
    const account = newAccount((_push, context) => {
      tries.push(context.attempts);
      return leaveMark(context, 'mark of the second');
    });
    let ofFirst: unknown = null;
    const message: VerifiedPush = {
      row: {
        id: uuidV7({ msecs: app.clock.now().getTime() }),
        account,
        dedupKey: String(++serial),
        kind: 'message',
        occurredAt: app.clock.now(),
        answer: null,
      },
      content:
        '<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1767225601</CreateTime><MsgType>text</MsgType><Content>hi</Content><MsgId>1</MsgId></xml>',
      push: {
        kind: 'message',
        msgType: 'text',
        msgId: '1',
        toUserName: 'gh_1',
        fromUserName: 'o1',
        createTime: 1_767_225_601,
        fields: {},
      },
      request: { requestId: 'of the first', ip: '127.0.0.1' },
      handler: async (_push, context) => {
        await gate.opened;
        await leaveMark(context, 'mark of the first').catch((error: unknown) => {
          ofFirst = error;
          throw error;
        });
      },
    };
    await first.keep(message);
    await ledger.sweep();
    expect(tries).toEqual([]);

    await until(async () => {
      await ledger.sweep();
      return tries.length > 0;
    });
    await app.settled();
    expect(tries).toEqual([2]);
    gate.open();
    await first.settled();
    expect(ofFirst).toMatchObject({ name: 'LeaseLostError' });
    expect(await marksOf(account)).toEqual(['mark of the second']);
    expect(await rowsOf(account)).toMatchObject([{ state: 'handled', attempts: 2, failure: null }]);
  });

  it('does not come about while its handler runs, however long', async () => {
    const gate = newGate();
    const tries: number[] = [];
    const appid = newAccount(async (_push, { attempts }) => {
      tries.push(attempts);
      await gate.opened;
    });
    const leaseOf = async (): Promise<number> =>
      (await rowsOf(appid))[0]?.leaseUntil?.getTime() ?? 0;
    await push(appid);
    const first = await leaseOf();
    await until(async () => (await leaseOf()) > first + 1_000);
    expect(await app.app.get(PushesRepository).findDue(app.clock.now(), 100)).toEqual([]);
    gate.open();
    await app.settled();
    expect(tries).toEqual([1]);
    expect(await rowsOf(appid)).toMatchObject([{ state: 'handled', leaseUntil: null }]);
  });
});

describe('more pushes than are kept in memory', () => {
  it('are all handled, each once', async () => {
    const COUNT = 1_100;
    const gate = newGate();
    // The sweep of the schedule would take up at any moment what is to be seen waiting here.
    const leases = app.app.get(LeasesRepository);
    const sweep = await takenTurn(() => leases.takeTurn('sweep-pushes', 'the test', 60_000));
    const handled: string[] = [];
    const appid = newAccount(async (message) => {
      await gate.opened;
      handled.push('msgId' in message ? (message.msgId ?? '') : '');
    });
    const numbers = Array.from({ length: COUNT }, (_none, n) => n);
    for (let at = 0; at < COUNT; at += 100)
      await Promise.all(numbers.slice(at, at + 100).map(() => push(appid)));
    const rows = await rowsOf(appid);
    gate.open();
    await leases.release(sweep);
    expect(rows).toHaveLength(COUNT);
    expect(rows.filter(({ attempts }) => attempts === 0).length).toBeGreaterThanOrEqual(1);
    await until(async () => {
      await ledger.sweep();
      await app.settled();
      return (await rowsOf(appid)).every(({ state }) => state === 'handled');
    });
    expect(handled).toHaveLength(COUNT);
    expect(new Set(handled).size).toBe(COUNT);
  });
});
