import { WechatApiError } from '@app/wechat';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { Database } from '../src/database/database.js';
import { TokenRefreshService } from '../src/token-refresh/token-refresh.service.js';
import { TokenCache } from '../src/tokens/token-cache.js';
import { TokenHistoryRow } from '../src/tokens/token-history.entity.js';
import { TokenRow } from '../src/tokens/token.entity.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { COMPONENT, startApp, type TestApp } from './app.js';
import { begin, getAccount } from './helpers.js';
import { until } from './until.js';

const REFRESH = '/cgi-bin/component/api_authorizer_token';
const INFO = '/cgi-bin/component/api_get_authorizer_info';
const HOUR_MS = 3_600_000;

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());
afterEach(() => {
  app.sandbox.faults.clear();
  app.sandbox.data.rotatesAtRefresh = false;
});

const tokens = (): TokensService => app.app.get(TokensService);
const isUsable = (token: string): boolean =>
  app.sandbox.data.accessTokens[token]?.isRetired === false;
const refreshesOf = (appid: string): number =>
  app.sandbox.journal.filter(
    ({ path, body }) => path === REFRESH && Object(body).authorizer_appid === appid,
  ).length;
const rowOf = (appid: string): Promise<TokenRow> =>
  app.app.get(Database).read.findOneByOrFail(TokenRow, { appid });
const eventsOf = async (appid: string): Promise<string[]> => {
  const { body } = await app.api<{ items: { type: string; appid: string }[] }>(
    'GET',
    '/events?limit=200',
  );
  return body.items.filter((event) => event.appid === appid).map(({ type }) => type);
};

/** An account that has authorized us, whose access token has run out. */
async function newAccount(): Promise<string> {
  const appid = `wx${(0xc0570000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid });
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  await expire(appid);
  return appid;
}

async function expire(appid: string): Promise<void> {
  await app.app
    .get(Database)
    .write((tx) => tx.update(TokenRow, { appid }, { accessToken: null, expiresAt: null }));
  app.app.get(TokenCache).forget(appid);
}

describe('authorizations of one account', () => {
  it('that are taken in at the same moment do not get in the way of each other', async () => {
    const db = app.app.get(Database);
    for (let round = 0; round < 10; round++) {
      const appid = `wx${(0xc0580000 + ++serial).toString(16).padStart(16, '0')}`;
      for (const time of ['first', 'again'])
        await Promise.all(
          Array.from({ length: 8 }, (_unused, n) =>
            db.write((tx) =>
              tokens().store(tx, appid, 'authorizer', { refreshToken: `${time}-${appid}-${n}` }),
            ),
          ),
        );
      expect(await rowOf(appid)).toMatchObject({ authorizationEpoch: 16, state: 'ok' });
    }
  });
});

describe('after hours in which nothing was running', () => {
  it('every token is got, though the platform’s own has ended as well', async () => {
    const appids: string[] = [];
    // More than are refreshed at once.
    while (appids.length < 20) appids.push(await newAccount());
    const shared = app.sandbox.callsTo('/cgi-bin/component/api_component_token');
    for (const appid of [...appids, COMPONENT.appid]) await expire(appid);
    const got = await Promise.all(appids.map((appid) => tokens().getToken(appid)));
    expect(got.every(isUsable)).toBe(true);
    expect(app.sandbox.callsTo('/cgi-bin/component/api_component_token')).toBe(shared + 1);
    expect(appids.map(refreshesOf)).toEqual(appids.map(() => 1));
  });
});

describe('a refresh token that WeChat no longer takes', () => {
  it('is replaced by one that came earlier and is still good', async () => {
    const appid = await newAccount();
    const good = app.sandbox.account(appid).authorization?.refreshToken ?? '';
    const other = await newAccount();
    // As a restored backup of the row alone would leave it.
    const db = app.app.get(Database);
    await db.write((tx) => tokens().store(tx, other, 'authorizer', { refreshToken: good }));
    await db.write((tx) =>
      tokens().store(tx, appid, 'authorizer', { refreshToken: 'refreshtoken@@@of-no-use' }),
    );
    const reads = app.sandbox.callsTo(INFO);
    expect(isUsable(await tokens().getToken(appid))).toBe(true);
    expect(app.sandbox.callsTo(INFO)).toBe(reads);
    expect(await rowOf(appid)).toMatchObject({ state: 'ok', failCount: 0 });
  });

  it('is replaced by the one that WeChat shows, and both are remembered', async () => {
    const appid = await newAccount();
    app.sandbox.rotateRefreshToken(appid);
    app.sandbox.data.formerRefreshTokens = {};
    expect(isUsable(await tokens().getToken(appid))).toBe(true);
    const history = await app.app.get(Database).read.findBy(TokenHistoryRow, { appid });
    expect(history.map(({ source }) => source).toSorted()).toEqual(['authorization', 'refresh']);
    expect(JSON.stringify(history)).not.toContain('refreshtoken@@@');
  });

  it.each([
    [
      'cancelled without a word',
      (appid: string) => (app.sandbox.account(appid).authorization = null),
    ],
    [
      'shown by WeChat as one that it does not take',
      (appid: string) =>
        app.sandbox.faults.add({
          path: REFRESH,
          appid,
          kind: 'errcode',
          errcode: 61023,
          times: Infinity,
        }),
    ],
  ])(
    'and none that is good, %s: the account says that it needs a new scan',
    async (_how, revoke) => {
      const appid = await newAccount();
      revoke(appid);
      await expect(tokens().getToken(appid)).rejects.toMatchObject({
        code: 'reauthorization_required',
      });
      expect((await getAccount(app, appid))?.authorization.state).toBe('reauthorization_required');
      expect(
        (await eventsOf(appid)).filter((type) => type === 'account.unauthorized'),
      ).toHaveLength(1);
      // WeChat is not asked again and again.
      const calls = refreshesOf(appid);
      await expect(tokens().getToken(appid)).rejects.toMatchObject({
        code: 'reauthorization_required',
      });
      expect(refreshesOf(appid)).toBe(calls);
      // A new scan puts it right.
      app.sandbox.faults.clear();
      app.clock.advance(1_000);
      const { preAuthCode } = await begin(app, { accountType: 'any', appid });
      // With other permissions: WeChat tells of an authorization that changes something only.
      await app.sandbox.authorize({ appid, preAuthCode, permissionIds: [1, 7] }).pushed;
      await app.settled();
      expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
      await expire(appid);
      expect(isUsable(await tokens().getToken(appid))).toBe(true);
    },
  );
});

describe('a refresh that fails', () => {
  it('never takes the authorization away, whatever WeChat says, and pauses longer and longer', async () => {
    const appid = await newAccount();
    const fault = { path: REFRESH, appid, times: Infinity } as const;
    app.sandbox.faults.add({ ...fault, kind: 'http_500' });
    for (let n = 0; n < 3; n++)
      await expect(tokens().getToken(appid)).rejects.toThrow('http_status');
    expect(await rowOf(appid)).toMatchObject({ state: 'failing', failCount: 3 });
    expect(await eventsOf(appid)).toContain('token.failing');
    const calls = refreshesOf(appid);
    await expect(tokens().getToken(appid)).rejects.toMatchObject({ code: 'token_unavailable' });
    expect(refreshesOf(appid)).toBe(calls);
    app.clock.advance(4_000);
    await expect(tokens().getToken(appid)).rejects.toThrow('http_status');
    expect(refreshesOf(appid)).toBe(calls + 1);
    expect((await eventsOf(appid)).filter((type) => type === 'token.failing')).toHaveLength(1);
    expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
    app.sandbox.faults.clear();
    app.clock.advance(60_000);
    expect(isUsable(await tokens().getToken(appid))).toBe(true);
    expect(await rowOf(appid)).toMatchObject({ state: 'ok', failCount: 0, nextTryAt: null });
  });

  it('for the platform’s own set-up is not the account’s failure', async () => {
    const appid = await newAccount();
    app.sandbox.faults.add({ path: REFRESH, appid, kind: 'errcode', errcode: 61004, times: 5 });
    for (let n = 0; n < 5; n++)
      await expect(tokens().getToken(appid)).rejects.toMatchObject({ errcode: 61004 });
    expect(await rowOf(appid)).toMatchObject({ state: 'ok', failCount: 0 });
    expect(isUsable(await tokens().getToken(appid))).toBe(true);
  });
});

describe('an authorization event while a refresh is under way', () => {
  it('that ends the authorization voids what the refresh brings', async () => {
    const appid = await newAccount();
    app.sandbox.faults.add({ path: REFRESH, appid, kind: 'delay', delayMs: 300 });
    const late = tokens()
      .getToken(appid)
      .catch((error: unknown) => error);
    await until(() => refreshesOf(appid) > 0);
    app.clock.advance(1_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect(await late).toMatchObject({ code: 'account_not_authorized' });
    expect(await rowOf(appid)).toMatchObject({ accessToken: null, refreshToken: null });
  });

  it('that authorizes anew wins over it', async () => {
    const appid = await newAccount();
    app.sandbox.faults.add({ path: REFRESH, appid, kind: 'delay', delayMs: 300 });
    const late = tokens().getToken(appid);
    await until(() => refreshesOf(appid) > 0);
    app.clock.advance(1_000);
    const { preAuthCode } = await begin(app, { accountType: 'any', appid });
    await app.sandbox.authorize({ appid, preAuthCode, permissionIds: [1, 7] }).pushed;
    await app.settled();
    await late.catch((error: unknown) => {
      if (!(error instanceof WechatApiError)) throw error;
    });
    await expire(appid);
    expect(isUsable(await tokens().getToken(appid))).toBe(true);
    expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
  });
});

describe('a token that is handed out', () => {
  it('always lives for another minute, whenever it is asked for', async () => {
    const appid = await newAccount();
    for (const minutes of [0, 50, 58, 3, 7, 1, 1, 60, 119, 2, 1, 118, 1, 240]) {
      app.clock.advance(minutes * 60_000);
      await app.sandbox.pushTicket();
      await app.settled();
      const token = await tokens().getToken(appid);
      const endsAt = app.sandbox.data.accessTokens[token]?.expiresAt ?? 0;
      expect(endsAt - app.clock.now().getTime()).toBeGreaterThanOrEqual(60_000);
    }
  });

  it('is the old one while a new one is being got, and the new one afterwards', async () => {
    const appid = await newAccount();
    const old = await tokens().getToken(appid);
    app.clock.advance(2 * HOUR_MS - 5 * 60_000);
    await app.sandbox.pushTicket();
    await app.settled();
    await tokens().refresh((await app.api<{ appid: string }>('GET', '/component')).body.appid);
    app.app.get(TokenCache).forget(appid);
    app.sandbox.faults.add({ path: REFRESH, appid, kind: 'delay', delayMs: 200 });
    const calls = refreshesOf(appid);
    const handed = await Promise.all(Array.from({ length: 100 }, () => tokens().getToken(appid)));
    expect(new Set(handed)).toEqual(new Set([old]));
    await until(async () => (await tokens().getToken(appid)) !== old);
    expect(refreshesOf(appid)).toBe(calls + 1);
  });
});

describe('the nightly reconciliation', () => {
  const nightly = (): TokenRefreshService => app.app.get(TokenRefreshService);

  it('takes in what WeChat’s list says of tokens and accounts, and reports what differed', async () => {
    const [changed, gone] = [await newAccount(), await newAccount()];
    // What the tests above have left behind.
    await nightly().reconcile();
    app.sandbox.rotateRefreshToken(changed);
    app.sandbox.data.formerRefreshTokens = {};
    app.sandbox.cancel(gone, { push: false });
    await nightly().reconcile();
    expect((await getAccount(app, gone))?.authorization.state).toBe('unauthorized');
    const calls = app.sandbox.callsTo(INFO);
    expect(isUsable(await tokens().getToken(changed))).toBe(true);
    expect(app.sandbox.callsTo(INFO)).toBe(calls);
    const { body } = await app.api<{ items: { actor: { name: string }; detail: object }[] }>(
      'GET',
      '/audit-log?action=accounts.synced',
    );
    expect(body.items[0]).toMatchObject({
      actor: { name: 'nightly-reconcile' },
      detail: { updated: 1, unauthorized: 1, failed: 0 },
    });
  });

  it('runs at three in Shanghai and at no other hour', async () => {
    const list = '/cgi-bin/component/api_get_authorizer_list';
    const hours: number[] = [];
    for (let n = 0; n < 24; n++) {
      app.clock.advance(HOUR_MS);
      await app.sandbox.pushTicket();
      await app.settled();
      const calls = app.sandbox.callsTo(list);
      await nightly().reconcileAtNight();
      if (app.sandbox.callsTo(list) > calls) hours.push((app.clock.now().getUTCHours() + 8) % 24);
    }
    expect(hours).toEqual([3]);
  });
});
