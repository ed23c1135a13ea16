import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { AccountsSyncService } from '../src/accounts/accounts-sync.service.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { startApp, type TestApp } from './app.js';
import { type AccountBody, begin, getAccount } from './helpers.js';

const INFO = '/cgi-bin/component/api_get_authorizer_info';
const LIST = '/cgi-bin/component/api_get_authorizer_list';

interface Report {
  added: string[];
  updated: string[];
  unauthorized: string[];
  unchanged: number;
  failed: { appid: string; code: string; detail: string }[];
}

interface List {
  items: AccountBody[];
  nextCursor: string | null;
}

const appidOf = (n: number): string => `wx${n.toString(16).padStart(16, '0')}`;

async function authorize(app: TestApp, appid: string, tenant?: string): Promise<void> {
  const begun = await begin(app, { accountType: 'any' }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
  await app.settled();
}

describe('GET /accounts', () => {
  let app: TestApp;
  const appids = Array.from({ length: 7 }, (_unused, n) => appidOf(0xa0 + n));

  beforeAll(async () => {
    app = await startApp();
    for (const [n, appid] of appids.entries()) {
      app.sandbox.addAccount({
        appid,
        nickname: n === 3 ? '100%_花店ＣＡＦÉ' : `账号${n}`,
        accountType: n % 2 === 0 ? 'official_account' : 'mini_program',
      });
      app.clock.advance(60_000);
      await authorize(app, appid, n === 6 ? 'brand-b' : undefined);
    }
  });
  afterAll(() => app.stop());

  const list = async (query: string, headers?: Record<string, string>): Promise<string[]> =>
    (await app.api<List>('GET', `/accounts${query}`, undefined, headers)).body.items.map(
      ({ appid }) => appid,
    );

  it('lists the newest authorization first', async () => {
    expect(await list('')).toEqual(appids.toReversed());
  });

  it("lists a tenant's own", async () => {
    expect(await list('', { 'x-tenant-id': 'brand-b' })).toEqual([appids[6]]);
    expect(await list('', { 'x-tenant-id': 'brand-nobody' })).toEqual([]);
  });

  it('pages by an opaque cursor that misses and repeats none', async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor ? `?limit=3&cursor=${encodeURIComponent(cursor)}` : '?limit=3';
      const { body }: { body: List } = await app.api<List>('GET', `/accounts${query}`);
      seen.push(...body.items.map(({ appid }) => appid));
      cursor = body.nextCursor;
    } while (cursor);
    expect(seen).toEqual(appids.toReversed());
  });

  it.each([
    ['?accountType=mini_program', [5, 3, 1]],
    ['?enabled=true', []],
    ['?state=unauthorized', []],
    ['?state=unclaimed', []],
    [`?q=${encodeURIComponent('账号2')}`, [2]],
    [`?q=${encodeURIComponent('100%_')}`, [3]],
    [`?q=${encodeURIComponent('%')}`, [3]],
    [`?q=${encodeURIComponent('花店ＣＡＦÉ')}`, [3]],
    ['?q=A3', [3]],
  ])('filters by %s', async (query, expected) => {
    expect(await list(query)).toEqual(expected.map((n) => appids[n]));
  });

  it.each([
    ['-authorizedAt', [6, 5, 4, 3, 2, 1, 0]],
    ['authorizedAt', [0, 1, 2, 3, 4, 5, 6]],
    ['nickname', [3, 0, 1, 2, 4, 5, 6]],
    ['-nickname', [6, 5, 4, 2, 1, 0, 3]],
  ])('is ordered by %s, and paged in that order', async (sort, expected) => {
    const wanted = expected.map((n) => appids[n]);
    expect(await list(`?sort=${sort}`)).toEqual(wanted);
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const query: string = `?sort=${sort}&limit=2${cursor && `&cursor=${cursor}`}`;
      const { body }: { body: List } = await app.api<List>('GET', `/accounts${query}`);
      seen.push(...body.items.map(({ appid }) => appid));
      cursor = body.nextCursor;
    }
    expect(seen).toEqual(wanted);
  });

  it('takes no cursor of a list in another order', async () => {
    const { body } = await app.api<List>('GET', '/accounts?limit=2&sort=nickname');
    const answer = await app.api('GET', `/accounts?limit=2&cursor=${body.nextCursor}`);
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'invalid_query', errors: [{ field: 'cursor' }] },
    });
  });

  it('counts the accounts of each state, whatever states the page shows', async () => {
    const counts = async (query: string, headers?: Record<string, string>): Promise<object> =>
      (await app.api<{ counts: object }>('GET', `/accounts${query}`, undefined, headers)).body
        .counts;
    const none = { unauthorized: 0, reauthorizationRequired: 0, enabled: 0, flagged: 0 };
    expect(await counts('')).toEqual({ ...none, total: 7, authorized: 7, disabled: 7 });
    expect(await counts('?state=unauthorized&enabled=true&limit=1')).toEqual(await counts(''));
    expect(await counts('?accountType=mini_program')).toMatchObject({ total: 3 });
    expect(await counts('', { 'x-tenant-id': 'brand-b' })).toMatchObject({ total: 1 });
  });

  it.each([
    ['limit=0', 'limit'],
    ['sort=principalName', 'sort'],
    ['flagged=perhaps', 'flagged'],
    ['accountStatus=odd', 'accountStatus'],
    ['limit=201', 'limit'],
    ['limit=x', 'limit'],
    ['enabled=maybe', 'enabled'],
    ['accountType=x', 'accountType'],
    ['cursor=nonsense', 'cursor'],
  ])('refuses %s by name', async (query, field) => {
    const answer = await app.api<{ code: string; errors: { field: string }[] }>(
      'GET',
      `/accounts?${query}`,
    );
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('invalid_query');
    expect(answer.body.errors[0]?.field).toBe(field);
  });

  it('shows an account as the contract has it', async () => {
    const account = await getAccount(app, appids[0] ?? '');
    expect(account).toEqual({
      appid: appids[0],
      tenantId: 'default',
      accountType: 'official_account',
      subtype: 'service_account',
      nickname: '账号0',
      avatarUrl: '',
      qrcodeUrl: '',
      originalId: expect.stringMatching(/^gh_/),
      alias: '',
      principalName: '沙箱科技有限公司',
      verified: true,
      verifyType: 0,
      accountStatus: 'normal',
      authorization: {
        state: 'authorized',
        authorizedAt: '2026-01-01T00:01:00.000Z',
        unauthorizedAt: null,
      },
      permissions: expect.any(Array),
      missingPermissions: [],
      openidProperty: null,
      suggestedOpenidProperty: { name: 'wx_openid_gh_000000000000', inCatalogue: false },
      enabled: false,
      flaggedAt: null,
      failingChecks: [expect.objectContaining({ check: 'openid_property' })],
      scenes: expect.any(Array),
      syncedAt: expect.any(String),
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
  });

  it.each([
    [-1, false],
    [0, true],
    [3, false],
    [5, false],
  ])('calls verify_type %i verified: %s', async (verifyType, verified) => {
    const appid = appids[0] ?? '';
    app.sandbox.account(appid).verifyType = verifyType;
    await app.app.get(AccountsSyncService).refreshDetails(appid);
    expect(await getAccount(app, appid)).toMatchObject({ verified, verifyType });
  });

  it.each([
    [1, 'normal'],
    [14, 'cancelled'],
    [16, 'banned'],
    [18, 'warned'],
    [19, 'frozen'],
  ])('reads account_status %i as %s', async (accountStatus, expected) => {
    const appid = appids[1] ?? '';
    app.sandbox.account(appid).accountStatus = accountStatus;
    await app.app.get(AccountsSyncService).refreshDetails(appid);
    expect(await getAccount(app, appid)).toMatchObject({ accountStatus: expected });
  });
});

describe('ids that differ in case only', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  it('stay apart: appids, tenants and properties', async () => {
    const [lower, upper] = ['wxabcdefabcdef0001', 'wxABCDEFabcdef0001'];
    for (const appid of [lower, upper]) {
      app.sandbox.addAccount({ appid, nickname: appid });
      await authorize(app, appid);
    }
    expect((await getAccount(app, lower))?.nickname).toBe(lower);
    expect((await getAccount(app, upper))?.nickname).toBe(upper);
    expect(await getAccount(app, 'wxABCDEFABCDEF0001')).toBeNull();
    const begun = await begin(app, {
      accountType: 'any',
      openidProperty: 'wx_openid',
      appid: lower,
    });
    await app.sandbox.authorize({
      appid: lower,
      preAuthCode: begun.preAuthCode,
      permissionIds: [1],
    }).pushed;
    await app.settled();
    const other = await app.api('POST', '/authorizations', {
      accountType: 'any',
      openidProperty: 'WX_openid',
    });
    expect(other.status).toBe(201);
  });
});

describe('POST /accounts/sync', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());
  afterEach(() => app.sandbox.faults.clear());

  const sync = async (tenant?: string): Promise<Report> => {
    const headers: Record<string, string> = tenant === undefined ? {} : { 'x-tenant-id': tenant };
    const answer = await app.api<Report>('POST', '/accounts/sync', undefined, headers);
    expect(answer.status).toBe(200);
    return answer.body;
  };

  it('takes in 520 accounts in two pages, and reports the one whose details cannot be read', async () => {
    const appids = Array.from({ length: 520 }, (_unused, n) => appidOf(0x10000 + n));
    for (const appid of appids) {
      app.sandbox.addAccount({ appid, nickname: `批量${appid.slice(-4)}` });
      app.sandbox.authorize({ appid, preAuthCode: null, push: false });
      const account = app.sandbox.account(appid);
      if (account.authorization) account.authorization.isExchanged = true;
    }
    const failing = appids[510] ?? '';
    app.sandbox.faults.add({ path: INFO, appid: failing, kind: 'errcode', errcode: -1 });
    const lists = app.sandbox.callsTo(LIST);
    const report = await sync();
    expect(app.sandbox.callsTo(LIST) - lists).toBe(2);
    expect(report.added).toHaveLength(519);
    expect(report).toMatchObject({ updated: [], unauthorized: [], unchanged: 0 });
    expect(report.failed).toEqual([
      { appid: failing, code: 'wechat_error', detail: '微信系统繁忙，请稍后重试。' },
    ]);
    expect(await getAccount(app, failing)).toBeNull();
    const taken = appids[0] ?? '';
    expect(await getAccount(app, taken)).toMatchObject({
      tenantId: null,
      nickname: `批量${taken.slice(-4)}`,
    });
    const token = await app.app.get(TokensService).getToken(taken);
    expect(app.sandbox.data.accessTokens[token]?.appid).toBe(taken);

    app.sandbox.account(taken).nickname = '改名';
    const again = await sync();
    expect(again).toMatchObject({
      added: [failing],
      updated: [taken],
      unauthorized: [],
      unchanged: 518,
      failed: [],
    });
    expect((await getAccount(app, taken))?.nickname).toBe('改名');
  }, 60_000);

  it('leaves an account as it was when its details cannot be read', async () => {
    const appid = appidOf(0x20001);
    app.sandbox.addAccount({ appid, nickname: '原名' });
    await authorize(app, appid, 'brand-s');
    const before = await getAccount(app, appid);
    app.sandbox.account(appid).nickname = '新名';
    app.sandbox.faults.add({ path: INFO, appid, kind: 'not_json' });
    const report = await sync('brand-s');
    expect(report).toMatchObject({
      added: [],
      updated: [],
      unchanged: 0,
      failed: [{ appid, code: 'wechat_unavailable' }],
    });
    expect(await getAccount(app, appid)).toEqual(before);
  });

  it("shows a tenant's admin nothing of the others", async () => {
    const report = await sync('brand-s');
    const seen = [...report.added, ...report.updated, ...report.unauthorized];
    expect(seen).toEqual([appidOf(0x20001)]);
    expect(report.unchanged).toBe(0);
  });

  it('believes an absence only after asking for that account', async () => {
    const [gone, hidden] = [appidOf(0x30001), appidOf(0x30002)];
    for (const appid of [gone, hidden]) {
      app.sandbox.addAccount({ appid });
      await authorize(app, appid, 'brand-t');
    }
    app.sandbox.cancel(gone, { push: false });
    // WeChat's list lost the other one between two pages: it is still authorized.
    const account = app.sandbox.account(hidden);
    delete app.sandbox.data.accounts[hidden];
    app.sandbox.faults.add({ path: INFO, appid: hidden, kind: 'http_500' });
    const report = await sync('brand-t');
    expect(report).toMatchObject({
      unauthorized: [gone],
      failed: [{ appid: hidden, code: 'wechat_unavailable' }],
    });
    expect((await getAccount(app, hidden))?.authorization.state).toBe('authorized');
    expect((await getAccount(app, gone))?.authorization.state).toBe('unauthorized');
    app.sandbox.data.accounts[hidden] = account;
  });

  it('heals a missed event: an account that authorized us again, with its new refresh token', async () => {
    const appid = appidOf(0x40001);
    app.sandbox.addAccount({ appid });
    await authorize(app, appid, 'brand-u');
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    app.clock.advance(60_000);
    app.sandbox.authorize({ appid, preAuthCode: null, permissionIds: [1, 2], push: false });
    const account = app.sandbox.account(appid);
    if (account.authorization) account.authorization.isExchanged = true;
    expect(await sync('brand-u')).toMatchObject({ updated: [appid] });
    expect(await getAccount(app, appid)).toMatchObject({
      tenantId: 'brand-u',
      authorization: { state: 'authorized' },
    });
    const token = await app.app.get(TokensService).getToken(appid);
    expect(app.sandbox.data.accessTokens[token]).toMatchObject({ appid, isRetired: false });
  });

  it('changes nothing when the list cannot be read', async () => {
    app.sandbox.faults.add({ path: LIST, kind: 'http_500' });
    const before = await app.api<List>('GET', '/accounts?limit=200');
    const answer = await app.api('POST', '/accounts/sync');
    expect(answer).toMatchObject({ status: 504, body: { code: 'wechat_unavailable' } });
    expect((await app.api<List>('GET', '/accounts?limit=200')).body).toEqual(before.body);
  });
});
