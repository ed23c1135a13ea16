import { makePush } from '@app/wechat-sandbox';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { In } from 'typeorm';
import { v7 as uuidV7 } from 'uuid';

import { ROLES } from '../src/access/roles.js';
import { ComponentTicket } from '../src/component-authorization/component-ticket.entity.js';
import { Database } from '../src/database/database.js';
import { EventRow } from '../src/events/event.entity.js';
import { EventsService } from '../src/events/events.service.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { Work } from '../src/queue/work.entity.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { COMPONENT, OWNER_KEY, startApp, type TestApp } from './app.js';
import {
  begin,
  enableAccount,
  figureOf,
  getAccount,
  authorizationOf,
  readMetrics,
} from './helpers.js';
import { until } from './until.js';

const MINUTE_MS = 60_000;
const PREAUTH = '/cgi-bin/component/api_create_preauthcode';
/** What stands in the place of a push's content where no handler will read it. */
const NOT_SEALED = 'not-sealed';
/** Work of kinds that this version does not do, so that it stays as it is. */
const FOREIGN_KINDS = ['of-another-version', 'of-the-future'] as const;
const OPENID = 'oCanaryOpenIdOfAMetricTest01';

let app: TestApp;
let db: Database;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
});
afterAll(() => app.stop());

/** An account of the test's own, switched on. */
async function newAccount(): Promise<string> {
  const digits = (0xac0000000000 + ++serial).toString(16);
  const appid = `wx${digits.padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, originalId: `gh_${digits}` });
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  await enableAccount(app, appid);
  return appid;
}

/** How much a figure has grown by something; what was never counted was counted 0 times. */
async function growthOf(
  figures: readonly [name: string, labels: Record<string, string>][],
  by: () => Promise<unknown>,
): Promise<number[]> {
  const look = async (): Promise<number[]> => {
    const metrics = await readMetrics(app);
    return figures.map(([name, labels]) => figureOf(metrics, name, labels) ?? 0);
  };
  const before = await look();
  await by();
  const after = await look();
  return after.map((value, n) => value - (before[n] ?? 0));
}

/** A push as the ledger keeps it, in whatever state. */
function pushRow(values: Partial<PushRow>): PushRow {
  const now = app.clock.now();
  return {
    id: uuidV7({ msecs: now.getTime() }),
    account: COMPONENT.appid,
    dedupKey: String(++serial),
    kind: 'other_info',
    occurredAt: now,
    content: NOT_SEALED,
    answer: null,
    answeredBy: null,
    state: 'handled',
    attempts: 1,
    nextTryAt: now,
    leaseUntil: null,
    failure: null,
    receivedAt: now,
    handledAt: null,
    ...values,
  };
}

function workRow(values: Partial<Work>): Work {
  const now = app.clock.now();
  return {
    id: uuidV7({ msecs: now.getTime() }),
    kind: FOREIGN_KINDS[0],
    dedupKey: null,
    appid: null,
    payload: {},
    priority: 5,
    state: 'ready',
    runAt: now,
    attempts: 0,
    epoch: 0,
    leaseUntil: null,
    failure: null,
    createdAt: now,
    updatedAt: now,
    ...values,
  };
}

const insertPush = (row: PushRow) => db.write((tx) => tx.insert(PushRow, row));
const insertWork = (row: Work) => db.write((tx) => tx.insert(Work, row));

/** Nothing of one test is told in another. */
afterEach(async () => {
  app.sandbox.faults.clear();
  await db.write(async (tx) => {
    await tx.delete(PushRow, { content: NOT_SEALED });
    await tx.delete(Work, { kind: In(FOREIGN_KINDS) });
  });
});

describe('GET /metrics', () => {
  it('is for owners', async () => {
    const ask = (headers: Record<string, string>) => fetch(`${app.url}/metrics`, { headers });
    expect((await ask({})).status).toBe(401);
    expect((await ask({ authorization: 'Bearer wrong' })).status).toBe(401);
    for (const role of ROLES) {
      const { status } = await ask(await authorizationOf(app, role, 'default'));
      expect({ role, status }).toEqual({ role, status: role === 'owner' ? 200 : 403 });
    }
    const answer = await ask({ authorization: `Bearer ${OWNER_KEY}` });
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await answer.text()).toMatch(/^# HELP wechat_channel_\w+ /m);
  });

  it('counts pushes by what became of them', async () => {
    const appid = await newAccount();
    const ofUnknown = 'wx00000000deadbeef';
    app.sandbox.addAccount({ appid: ofUnknown });
    const message = { MsgType: 'text', Content: 'hello', FromUserName: OPENID, MsgId: '606034959' };
    const pushes = (door: string, kind: string, outcome: string) =>
      ['pushes_total', { door, kind, outcome }] as [string, Record<string, string>];
    const grown = await growthOf(
      [
        pushes('account', 'message', 'kept'),
        pushes('account', 'message', 'duplicate'),
        pushes('account', 'message', 'dropped'),
        pushes('account', 'event', 'kept'),
        pushes('component', 'component_verify_ticket', 'kept'),
        pushes('component', 'unknown', 'kept'),
      ],
      async () => {
        for (let time = 0; time < 3; time++) await app.sandbox.pushMessage(appid, message);
        await app.sandbox.pushMessage(ofUnknown, message);
        await app.sandbox.pushMessage(appid, { MsgType: 'event', Event: 'subscribe' });
        await app.sandbox.pushTicket();
        await app.sandbox.pushXml('<xml><Demo>ok</Demo></xml>');
        await app.settled();
      },
    );
    expect(grown).toEqual([1, 2, 1, 1, 1, 1]);
  });

  it('counts refusals by the reason that the sender is not told', async () => {
    const appid = await newAccount();
    const refusals = (door: string, reason: string) =>
      ['push_refusals_total', { door, reason }] as [string, Record<string, string>];
    const grown = await growthOf(
      [
        refusals('component', 'signature'),
        refusals('account', 'signature'),
        refusals('account', 'appid'),
        refusals('component', 'unparsable'),
      ],
      async () => {
        await app.sandbox.pushTicket('ticket@@@refused', { badSignature: true });
        const message = { MsgType: 'text', Content: 'x' };
        await app.sandbox.pushMessage(appid, message, { token: 'anotherToken' });
        await app.sandbox.pushMessage(appid, message, { trailingAppid: appid });
        await app.sandbox.pushMessage(appid, { ...message, ToUserName: 'gh_ffffffffffff' });
        await app.sandbox.pushTicket('ticket@@@refused', { rawBody: 'hello' });
      },
    );
    expect(grown).toEqual([1, 1, 2, 1]);
  });

  it('counts calls of WeChat by path and errcode, and how long they took', async () => {
    const calls = (errcode: string) =>
      ['wechat_calls_total', { path: PREAUTH, errcode }] as [string, Record<string, string>];
    const grown = await growthOf(
      [
        calls('0'),
        calls('61004'),
        calls('none'),
        ['wechat_call_duration_seconds_count', { path: PREAUTH }],
      ],
      async () => {
        await begin(app);
        app.sandbox.faults.add({ path: PREAUTH, kind: 'errcode', errcode: 61004 });
        expect((await app.api('POST', '/authorizations', { accountType: 'any' })).status).toBe(502);
        app.sandbox.faults.add({ path: PREAUTH, kind: 'not_json', times: Infinity });
        expect((await app.api('POST', '/authorizations', { accountType: 'any' })).status).toBe(504);
      },
    );
    expect(grown.slice(0, 2)).toEqual([1, 1]);
    expect(grown[2]).toBeGreaterThanOrEqual(1);
    expect(grown[3]).toBe(grown.slice(0, 3).reduce((sum, count) => sum + count));
  });

  it('measures requests by the pattern of their address', async () => {
    const appid = await newAccount();
    const requests = (method: string, route: string, status: string) =>
      ['http_request_duration_seconds_count', { method, route, status }] as [
        string,
        Record<string, string>,
      ];
    const grown = await growthOf(
      [
        requests('GET', '/api/v1/accounts/:appid', '200'),
        requests('GET', '/api/v1/accounts/:appid', '404'),
        requests('POST', '/wechat/accounts/:appid/messages', '200'),
        requests('GET', '/authorize/:id', '404'),
        requests('GET', 'unknown', '404'),
      ],
      async () => {
        await getAccount(app, appid);
        await getAccount(app, 'wx0');
        await app.sandbox.pushMessage(appid, { MsgType: 'text', Content: 'x' });
        await app.page('/authorize/canary-of-an-authorization');
        await app.page('/canary-of-a-path');
        await app.settled();
      },
    );
    expect(grown).toEqual([1, 1, 1, 1, 1]);
  });

  it('says how old the ticket is, and when the tokens end', async () => {
    await app.sandbox.pushTicket();
    await app.settled();
    app.clock.advance(3 * 3_600_000);
    await app.sandbox.pushTicket();
    const appid = await newAccount();
    await app.app.get(TokensService).getToken(appid);
    app.clock.advance(90_000);
    const metrics = await readMetrics(app);
    expect(figureOf(metrics, 'component_ticket_age_seconds')).toBe(90);
    expect(figureOf(metrics, 'component_token_expires_in_seconds')).toBe(7_200 - 90);
    expect(figureOf(metrics, 'tokens', { kind: 'component', state: 'fresh' })).toBe(1);
    expect(
      figureOf(metrics, 'tokens', { kind: 'authorizer', state: 'fresh' }),
    ).toBeGreaterThanOrEqual(1);
    const sum = (text: string): number =>
      ['fresh', 'expiring', 'expired']
        .map((state) => figureOf(text, 'tokens', { kind: 'authorizer', state }) ?? 0)
        .reduce((total, count) => total + count);
    const { body } = await app.api<{ items: unknown[] }>('GET', '/accounts?limit=200');
    expect(sum(metrics)).toBe(body.items.length);

    app.clock.advance(7_200_000 - 90_000 - 5 * MINUTE_MS);
    const later = await readMetrics(app);
    expect(figureOf(later, 'tokens', { kind: 'component', state: 'expiring' })).toBe(1);
    expect(figureOf(later, 'tokens', { kind: 'component', state: 'fresh' })).toBeNull();
    await app.sandbox.pushTicket();
    await app.settled();
  });

  it('says how many pushes were not handled, and since when the longest waits', async () => {
    const clean = await readMetrics(app);
    expect(figureOf(clean, 'push_backlog', { state: 'waiting' })).toBe(0);
    expect(figureOf(clean, 'push_backlog', { state: 'parked' })).toBe(0);
    expect(figureOf(clean, 'push_oldest_waiting_seconds')).toBe(0);

    const nextTryAt = new Date(app.clock.now().getTime() + 10 * MINUTE_MS);
    const rows = [
      pushRow({ state: 'waiting', nextTryAt }),
      pushRow({ state: 'parked' }),
      pushRow({ state: 'parked' }),
    ];
    for (const row of rows) await insertPush(row);
    app.clock.advance(45_000);
    const metrics = await readMetrics(app);
    expect(figureOf(metrics, 'push_backlog', { state: 'waiting' })).toBe(1);
    expect(figureOf(metrics, 'push_backlog', { state: 'parked' })).toBe(2);
    expect(figureOf(metrics, 'push_oldest_waiting_seconds')).toBe(45);
  });

  it('says how much work there is, and for how long the longest due has waited', async () => {
    const [kind, otherKind] = FOREIGN_KINDS;
    const now = app.clock.now().getTime();
    const rows = [
      workRow({ runAt: new Date(now - 30_000) }),
      workRow({ runAt: new Date(now - 10_000) }),
      workRow({ kind: otherKind, runAt: new Date(now + 10_000) }),
      workRow({ state: 'dead', runAt: new Date(now - 99_000) }),
    ];
    for (const row of rows) await insertWork(row);
    const metrics = await readMetrics(app);
    expect(figureOf(metrics, 'work', { kind, state: 'ready' })).toBe(2);
    expect(figureOf(metrics, 'work', { kind, state: 'dead' })).toBe(1);
    expect(figureOf(metrics, 'work_oldest_ready_seconds', { kind })).toBe(30);
    expect(figureOf(metrics, 'work_oldest_ready_seconds', { kind: otherKind })).toBe(0);
  });

  it('says for how long an event has waited to be seen by readers', async () => {
    const lag = async (): Promise<number | null> =>
      figureOf(await readMetrics(app), 'outbox_lag_seconds');
    await app.api('GET', '/events');
    expect(await lag()).toBe(0);
    const tenantId = 'metrics-lag';
    // Somebody may give it its place at any moment: then the next one is looked at.
    await until(async () => {
      const old = new Date((await db.now()).getTime() - 20_000);
      await db.write(async (tx) => {
        const event = {
          componentAppid: COMPONENT.appid,
          state: 'late',
          lastReceivedAt: null,
        } as const;
        await app.app
          .get(EventsService)
          .emit(tx, 'component.ticket_late', { tenantId, appid: null }, event);
        await tx.update(EventRow, { tenantId }, { emittedAt: old });
      });
      const seconds = (await lag()) ?? 0;
      return seconds >= 20 && seconds < 40;
    });
    await app.api('GET', '/events');
    expect(await lag()).toBe(0);
  });

  it('holds no secret, no openid and no appid', async () => {
    const appid = await newAccount();
    await app.sandbox.pushMessage(appid, {
      MsgType: 'text',
      Content: 'canary-of-a-message',
      FromUserName: OPENID,
    });
    await app.sandbox.pushMessage(appid, { MsgType: 'text', Content: 'x' }, { badSignature: true });
    const { query, body } = makePush('<xml></xml>', COMPONENT, 1_767_225_600);
    await fetch(`${app.url}/wechat/component/events?${new URLSearchParams(query).toString()}`, {
      method: 'POST',
      body: String(body),
    });
    await app.sandbox.authorize({ appid, preAuthCode: null, permissionIds: [1] }).pushed;
    await app.settled();
    const { data } = app.sandbox;
    const secrets = [
      OWNER_KEY,
      OPENID,
      COMPONENT.appSecret,
      COMPONENT.token,
      COMPONENT.encodingAesKey,
      COMPONENT.appid,
      query['msg_signature'] ?? '',
      ...Object.keys(data.accounts),
      ...Object.values(data.accounts).map(({ originalId }) => originalId),
      ...Object.keys(data.accessTokens),
      ...Object.keys(data.tickets),
      ...Object.keys(data.preAuthCodes),
      ...Object.keys(data.authorizationCodes),
      ...Object.values(data.accounts).flatMap(({ authorization }) =>
        authorization ? [authorization.refreshToken] : [],
      ),
    ];
    const metrics = await readMetrics(app);
    expect(secrets.length).toBeGreaterThan(20);
    expect(secrets.filter((secret) => secret === '' || metrics.includes(secret))).toEqual([]);
    expect(metrics).not.toMatch(/canary|gh_|@@@/);
  });
});

describe('GET /health/ready', () => {
  /** What is missing, in one language. */
  async function missing(lang: string): Promise<string[]> {
    const response = await fetch(`${app.url}/health/ready`, {
      headers: { 'accept-language': lang },
    });
    expect(response.status).toBe(200);
    const body = (await response.json()) as { status: string; missing: string[] };
    expect(body.status).toBe('ready');
    // The tests' address has no certificate.
    return body.missing.filter((text) => !text.includes('PUBLIC_URL'));
  }

  const said = async (): Promise<{ en: string[]; zh: string[] }> => ({
    en: await missing('en'),
    zh: await missing('zh-CN'),
  });
  const one = (en: RegExp, zh: RegExp): { en: unknown[]; zh: unknown[] } => ({
    en: [expect.stringMatching(en)],
    zh: [expect.stringMatching(zh)],
  });
  const NOTHING = { en: [], zh: [] };

  beforeAll(async () => {
    // The details of the accounts of the tests above are looked for again after a minute.
    app.clock.advance(MINUTE_MS);
    await until(async () => (await db.read.countBy(Work, {})) === 0);
    await app.sandbox.pushTicket();
    await app.settled();
  });

  it('has nothing to say when all is well', async () => {
    expect(await said()).toEqual(NOTHING);
  });

  it('says that pushes are parked, and what to do', async () => {
    const rows = [pushRow({ state: 'parked' }), pushRow({ state: 'parked' })];
    for (const row of rows) await insertPush(row);
    expect(await said()).toEqual(
      one(
        /^2 pushes .* parked\. .*\/api\/v1\/pushes\?state=parked.*\/api\/v1\/pushes\/redrive/,
        /^有 2 条推送.*已搁置.*\/api\/v1\/pushes\?state=parked.*\/api\/v1\/pushes\/redrive/,
      ),
    );
  });

  it('says that a push waits for more than five minutes, and not before', async () => {
    const nextTryAt = new Date(app.clock.now().getTime() + 10 * MINUTE_MS);
    const row = pushRow({ state: 'waiting', nextTryAt });
    await insertPush(row);
    app.clock.advance(5 * MINUTE_MS);
    expect(await said()).toEqual(NOTHING);
    app.clock.advance(1);
    expect(await said()).toEqual(
      one(/more than 5 minutes.*push\.handler_failed/, /超过 5 分钟.*push\.handler_failed/),
    );
  });

  it('says that work is dead, and what to do', async () => {
    const row = workRow({ state: 'dead', attempts: 12, failure: 'no' });
    await insertWork(row);
    expect(await said()).toEqual(
      one(
        /^1 pieces of work .* dead\. .*\/api\/v1\/work\?state=dead.*\/api\/v1\/work\/\{id\}\/retry/,
        /^有 1 个任务.*已停止重试.*\/api\/v1\/work\?state=dead.*\/api\/v1\/work\/\{id\}\/retry/,
      ),
    );
  });

  it('says that work is late by more than a minute, and not before', async () => {
    const row = workRow({ runAt: app.clock.now() });
    await insertWork(row);
    app.clock.advance(MINUTE_MS);
    expect(await said()).toEqual(NOTHING);
    app.clock.advance(1);
    expect(await said()).toEqual(
      one(/^Work has been due for more than a minute/, /^有任务到期超过一分钟仍未开始/),
    );
  });

  it('says that the ticket is late, and that it has run out', async () => {
    await app.sandbox.pushTicket();
    await app.settled();
    app.clock.advance(31 * MINUTE_MS);
    expect(await said()).toEqual(
      one(
        /^No new ticket for more than 30 minutes\..*POST \/api\/v1\/component\/ticket-push/,
        /^超过 30 分钟没有收到新的 ticket。.*POST \/api\/v1\/component\/ticket-push/,
      ),
    );
    app.clock.advance(12 * 60 * MINUTE_MS);
    expect(await said()).toEqual(
      one(/^The ticket is older than 12 hours/, /^ticket 已超过 12 小时/),
    );
    await app.sandbox.pushTicket();
    await app.settled();
    expect(await said()).toEqual(NOTHING);
  });

  it('says that no ticket has come yet, and is ready all the same', async () => {
    // As before the first one.
    await db.write((tx) =>
      tx.update(
        ComponentTicket,
        { appid: COMPONENT.appid },
        { ticket: null, issuedAt: null, receivedAt: null },
      ),
    );
    expect(await said()).toEqual(
      one(
        /^No ticket has come yet\..*callbackUrls\.events/,
        /^还没有收到过 ticket。.*callbackUrls\.events/,
      ),
    );
    expect(figureOf(await readMetrics(app), 'component_ticket_age_seconds')).toBeNull();
    await app.sandbox.pushTicket();
    await app.settled();
    expect(await said()).toEqual(NOTHING);
  });
});
