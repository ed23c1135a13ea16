import { randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { AuditChain, AuditEntry } from '../src/access/audit-entry.entity.js';
import { AuditSealer } from '../src/access/audit-sealer.js';
import { AuditService } from '../src/access/audit.service.js';
import { AccountsService } from '../src/accounts/accounts.service.js';
import { Database } from '../src/database/database.js';
import { PushLedger } from '../src/pushes/push-ledger.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { Work } from '../src/queue/work.entity.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { OWNER_KEY, startApp, type TestApp } from './app.js';
import { begin, callbackUrl, getAccount, getAuthorization, SERVICE_ACCOUNT } from './helpers.js';

const QUERY_AUTH = '/cgi-bin/component/api_query_auth';

interface Entry {
  id: string;
  at: string;
  tenantId: string | null;
  actor: { type: string; id: string | null; name: string };
  action: string;
  target: string;
  outcome: string;
  detail: Record<string, unknown>;
  ip: string | null;
  requestId: string | null;
  sequence: number | null;
  hash: string | null;
}

interface Verification {
  ok: boolean;
  tenants: {
    tenantId: string | null;
    sealed: number;
    unsealed: number;
    ok: boolean;
    brokenAt: { sequence: number; id: string | null; reason: string } | null;
  }[];
}

const OWNER = { type: 'api_key', id: 'env', name: 'ADMIN_API_KEY' };
const PAGE = { type: 'page', id: null, name: 'authorization-callback' };
const wechat = (name: string) => ({ type: 'wechat', id: null, name });

let app: TestApp;
let db: Database;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
});
afterAll(() => app.stop());
afterEach(() => app.sandbox.faults.clear());

function newAccount(nickname = `账号${++serial}`): string {
  const appid = `wx${(0xa0d17000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, nickname });
  return appid;
}

const newTenant = (): string => `brand-${++serial}`;

/** Every entry that matches, the oldest first. */
async function log(query: Record<string, string> = {}, tenant?: string): Promise<Entry[]> {
  const search = new URLSearchParams({ limit: '200', ...query });
  const headers: Record<string, string> = tenant === undefined ? {} : { 'x-tenant-id': tenant };
  const answer = await app.api<{ items: Entry[] }>(
    'GET',
    `/audit-log?${search.toString()}`,
    undefined,
    headers,
  );
  expect(answer.status).toBe(200);
  return answer.body.items.toReversed();
}

const actions = (entries: Entry[]): string[] => entries.map(({ action }) => action).toSorted();

/** What `act` adds to the log. */
async function added(act: () => Promise<unknown>): Promise<Entry[]> {
  const before = new Set((await log()).map(({ id }) => id));
  await act();
  await app.settled();
  return (await log()).filter(({ id }) => !before.has(id));
}

async function authorized(tenant: string, permissionIds?: number[]): Promise<string> {
  const appid = newAccount();
  const begun = await begin(app, { accountType: 'any' }, tenant);
  await app.sandbox.authorize({
    appid,
    preAuthCode: begun.preAuthCode,
    ...(permissionIds && { permissionIds }),
  }).pushed;
  await app.settled();
  return appid;
}

const pushThrice = (event: Record<string, string | number> | null) => async () => {
  for (let n = 0; n < 3; n++) await app.sandbox.pushEvent(event ?? {});
};

describe('one entry for', () => {
  it('an authorization that is started', async () => {
    const tenant = newTenant();
    const body = { accountType: 'any', appid: SERVICE_ACCOUNT, openidProperty: 'wx_openid' };
    const entries = await added(() =>
      app.api('POST', '/authorizations', body, {
        'x-tenant-id': tenant,
        'x-request-id': 'audit-start',
      }),
    );
    expect(entries).toEqual([
      {
        id: expect.any(String),
        at: app.clock.now().toISOString(),
        tenantId: tenant,
        actor: OWNER,
        action: 'authorization.started',
        target: expect.stringMatching(/^[\w-]{43}$/),
        outcome: 'succeeded',
        detail: {
          accountType: 'any',
          onlyAppid: SERVICE_ACCOUNT,
          openidProperty: 'wx_openid',
          onlyPermissionIds: null,
        },
        ip: '127.0.0.1',
        requestId: 'audit-start',
        sequence: null,
        hash: null,
      },
    ]);
  });

  it('each effect of the browser that comes back, and none for the pushes that follow', async () => {
    const [tenant, appid] = [newTenant(), newAccount()];
    const begun = await begin(app, { accountType: 'any', openidProperty: 'wx_o' }, tenant);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      permissionIds: [1, 2],
      push: false,
    });
    const entries = await added(() =>
      app.page(callbackUrl(begun.redirectUri, authCode), { 'x-request-id': 'audit-page' }),
    );
    const by = {
      tenantId: tenant,
      actor: PAGE,
      outcome: 'succeeded',
      ip: '127.0.0.1',
      requestId: 'audit-page',
    };
    expect(entries).toMatchObject([
      {
        ...by,
        action: 'account.authorized',
        target: appid,
        detail: {
          reauthorized: false,
          requested: true,
          gainedPermissionIds: [1, 2],
          lostPermissionIds: [],
        },
      },
      {
        ...by,
        action: 'account.openid_property_set',
        target: appid,
        detail: { openidProperty: 'wx_o' },
      },
      {
        ...by,
        action: 'authorization.completed',
        target: begun.id,
        detail: { appid, onlyAppid: null, failureCode: null },
      },
    ]);
    expect(await added(pushThrice(event))).toEqual([]);
    expect(await added(() => app.page(callbackUrl(begun.redirectUri, authCode)))).toEqual([]);
  });

  it('each effect of a push that comes three times, with the redirect after it', async () => {
    const [tenant, appid] = [newTenant(), newAccount()];
    const begun = await begin(app, { accountType: 'any' }, tenant);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    const entries = await added(pushThrice(event));
    expect(entries).toMatchObject([
      { action: 'account.authorized', target: appid, ip: '127.0.0.1' },
      { action: 'authorization.completed', target: begun.id, ip: '127.0.0.1' },
    ]);
    expect(entries.map(({ actor }) => actor)).toEqual([wechat('authorized'), wechat('authorized')]);
    expect(await added(() => app.page(callbackUrl(begun.redirectUri, authCode)))).toEqual([]);
  });

  it('each effect when push and redirect come at once', async () => {
    const [tenant, appid] = [newTenant(), newAccount()];
    const begun = await begin(app, { accountType: 'any' }, tenant);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    const entries = await added(() =>
      Promise.all([
        app.page(callbackUrl(begun.redirectUri, authCode)),
        pushThrice(event)(),
        pushThrice(event)(),
      ]),
    );
    expect(actions(entries)).toEqual(['account.authorized', 'authorization.completed']);
  });

  it('each effect of a handler that fails first, and that runs once more afterwards', async () => {
    const [tenant, appid] = [newTenant(), newAccount()];
    const begun = await begin(app, { accountType: 'any' }, tenant);
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'errcode', errcode: 45009, times: 2 });
    const entries = await added(async () => {
      await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
      for (let tries = 0; tries < 3; tries++) {
        await app.settled();
        app.clock.advance(60_000);
        await app.app.get(PushLedger).sweep();
      }
    });
    expect(actions(entries)).toEqual(['account.authorized', 'authorization.completed']);
    // Nobody's request: the sweep handled it.
    expect(entries).toMatchObject([
      { ip: null, requestId: null },
      { ip: null, requestId: null },
    ]);
    const again = await added(async () => {
      await db.write((tx) =>
        tx.update(PushRow, { kind: 'authorized' }, { state: 'waiting', handledAt: null }),
      );
      await app.app.get(PushLedger).sweep();
    });
    expect(again).toEqual([]);
  });

  it('permissions that change, with what came and went', async () => {
    const appid = await authorized(newTenant(), [1, 2, 3]);
    app.clock.advance(60_000);
    const { event } = app.sandbox.authorize({
      appid,
      preAuthCode: null,
      permissionIds: [2, 3, 7],
      push: false,
    });
    expect(await added(pushThrice(event))).toMatchObject([
      {
        action: 'account.permissions_changed',
        target: appid,
        actor: wechat('updateauthorized'),
        detail: {
          reauthorized: true,
          requested: false,
          gainedPermissionIds: [7],
          lostPermissionIds: [1],
        },
      },
    ]);
  });

  it('an account that is authorized again as it was', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    const begun = await begin(app, { accountType: 'any', appid }, tenant);
    const { authCode } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode });
    const entries = await added(() => app.page(callbackUrl(begun.redirectUri, authCode)));
    expect(entries).toMatchObject([
      {
        action: 'account.authorized',
        actor: PAGE,
        detail: { reauthorized: true, requested: true, gainedPermissionIds: [] },
      },
      { action: 'authorization.completed' },
    ]);
  });

  it('an authorization that fails, however often it is looked at', async () => {
    const tenant = newTenant();
    const begun = await begin(app, { accountType: 'any' }, tenant);
    const look = () => app.page(callbackUrl(begun.redirectUri, 'queryauthcode@@@forged'));
    expect(await added(look)).toMatchObject([
      {
        tenantId: tenant,
        actor: PAGE,
        action: 'authorization.failed',
        target: begun.id,
        outcome: 'failed',
        detail: { appid: null, failureCode: 'authorization_code_invalid', failureErrcode: 61009 },
      },
    ]);
    expect(await added(look)).toEqual([]);
  });

  it('an authorization that a push ends without an account', async () => {
    const [tenant, appid] = [newTenant(), newAccount()];
    const begun = await begin(app, { accountType: 'any' }, tenant);
    const { event } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode, push: false });
    app.sandbox.cancel(appid, { push: false });
    expect(await added(pushThrice(event))).toMatchObject([
      {
        action: 'authorization.failed',
        actor: wechat('authorized'),
        detail: { failureCode: 'wechat_error', failureErrcode: 61003 },
      },
    ]);
  });

  it('a cancellation, by a push that comes three times', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    app.clock.advance(60_000);
    const { event } = app.sandbox.cancel(appid, { push: false });
    expect(await added(pushThrice(event))).toMatchObject([
      {
        tenantId: tenant,
        action: 'account.unauthorized',
        target: appid,
        actor: wechat('unauthorized'),
      },
    ]);
  });

  it('a cancellation that a reconciliation finds, and none for the push that comes late', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    app.clock.advance(60_000);
    const { event } = app.sandbox.cancel(appid, { push: false });
    const entries = await added(() =>
      app.api('POST', '/accounts/sync', undefined, { 'x-tenant-id': tenant }),
    );
    expect(entries).toMatchObject([
      { tenantId: tenant, action: 'account.unauthorized', target: appid, actor: OWNER },
      {
        tenantId: tenant,
        action: 'accounts.synced',
        actor: OWNER,
        detail: { added: 0, updated: 0, unauthorized: 1, unchanged: 0, failed: 0 },
      },
    ]);
    app.clock.advance(60_000);
    expect(
      await added(() =>
        app.sandbox.pushEvent({
          ...event,
          CreateTime: Math.floor(app.clock.now().getTime() / 1000),
        }),
      ),
    ).toEqual([]);
    const events = await app.api<{ items: { type: string }[] }>('GET', '/events', undefined, {
      'x-tenant-id': tenant,
    });
    expect(events.body.items.map(({ type }) => type)).toEqual([
      'account.authorized',
      'account.updated',
      'account.unauthorized',
    ]);
  });

  it('what a reconciliation finds different, with the fields that an admin cares about', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant, [1, 2]);
    const account = app.sandbox.account(appid);
    account.nickname = '改名';
    account.headImg = 'http://wx.qlogo.cn/other';
    if (account.authorization) account.authorization.permissionIds = [1];
    const sync = () => app.api('POST', '/accounts/sync', undefined, { 'x-tenant-id': tenant });
    expect(await added(sync)).toMatchObject([
      {
        action: 'account.permissions_changed',
        actor: OWNER,
        detail: { gainedPermissionIds: [], lostPermissionIds: [2] },
      },
      { action: 'account.details_changed', actor: OWNER, detail: { changed: ['nickname'] } },
      { action: 'accounts.synced', detail: { updated: 1 } },
    ]);
    account.headImg = 'http://wx.qlogo.cn/another';
    expect(actions(await added(sync))).toEqual(['accounts.synced']);
  });

  it('one change that two reconciliations find at once', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    app.sandbox.account(appid).nickname = '同时改名';
    const sync = () => app.api('POST', '/accounts/sync', undefined, { 'x-tenant-id': tenant });
    const entries = await added(() => Promise.all([sync(), sync(), sync(), sync()]));
    expect(entries.filter(({ action }) => action === 'account.details_changed')).toHaveLength(1);
  });

  it('an account that a reconciliation brings, in the log of the platform', async () => {
    const appid = newAccount();
    app.sandbox.authorize({ appid, preAuthCode: null, push: false });
    const { authorization } = app.sandbox.account(appid);
    if (authorization) authorization.isExchanged = true;
    const entries = await added(() => app.api('POST', '/accounts/sync'));
    expect(entries.filter(({ target }) => target === appid)).toMatchObject([
      { tenantId: null, action: 'account.authorized', actor: OWNER, detail: { requested: false } },
    ]);
    expect(entries.at(-1)).toMatchObject({ tenantId: null, action: 'accounts.synced' });
  });

  it('credentials that WeChat no longer takes', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    app.sandbox.cancel(appid, { push: false });
    const tokens = app.app.get(TokensService);
    const entries = await added(async () => {
      await tokens.invalidate(appid, await tokens.getToken(appid));
      await expect(tokens.getToken(appid)).rejects.toMatchObject({
        code: 'reauthorization_required',
      });
    });
    expect(entries).toMatchObject([
      {
        tenantId: tenant,
        action: 'account.reauthorization_required',
        target: appid,
        actor: { type: 'system', id: null, name: 'token-refresh' },
        ip: null,
        requestId: null,
      },
    ]);
  });

  it('a ticket that an owner asks for, and none for the ticket', async () => {
    const entries = await added(() => app.api('POST', '/component/ticket-push'));
    expect(entries).toMatchObject([
      {
        tenantId: null,
        action: 'component.ticket_push_requested',
        target: 'wx0c0ffee0c0ffee00',
        actor: OWNER,
        ip: '127.0.0.1',
      },
    ]);
  });

  it('pushes that are driven again, and none where there are none', async () => {
    const park = (): Promise<unknown> =>
      db.write((tx) =>
        tx.update(PushRow, { kind: 'component_verify_ticket' }, { state: 'parked' }),
      );
    await park();
    const parked = await app.api<{ items: PushRow[] }>('GET', '/pushes?state=parked&limit=1');
    const id = parked.body.items[0]?.id ?? 'none';
    const filter = { kind: 'component_verify_ticket' };
    expect(await added(() => app.api('POST', `/pushes/${id}/redrive`))).toMatchObject([
      {
        tenantId: null,
        action: 'push.redriven',
        target: id,
        actor: OWNER,
        detail: { ...filter, redriven: 1 },
      },
    ]);
    expect(await added(() => app.api('POST', `/pushes/${id}/redrive`))).toEqual([]);
    await park();
    expect(await added(() => app.api('POST', '/pushes/redrive', filter))).toMatchObject([
      { action: 'push.redriven', target: 'pushes', detail: filter },
    ]);
    expect(await added(() => app.api('POST', '/pushes/redrive', filter))).toEqual([]);
    await app.app.get(PushLedger).sweep();
  });

  it('what a push that is driven again brings: it is WeChat’s, not the operator’s', async () => {
    const appid = newAccount();
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'errcode', errcode: 45009 });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    const { id } = await db.read.findOneByOrFail(PushRow, { state: 'waiting' });
    await db.write((tx) => tx.update(PushRow, { id }, { state: 'parked' }));
    const entries = await added(() => app.api('POST', `/pushes/${id}/redrive`));
    expect(entries.find(({ target }) => target === appid)).toMatchObject({
      action: 'account.authorized',
      actor: wechat('authorized'),
      ip: null,
      requestId: null,
    });
  });

  it('work that is tried again', async () => {
    const id = randomUUID();
    const now = app.clock.now();
    await db.write((tx) =>
      tx.insert(Work, {
        id,
        kind: 'read-account-details',
        dedupKey: null,
        appid: SERVICE_ACCOUNT,
        payload: { appid: SERVICE_ACCOUNT },
        priority: 5,
        state: 'dead',
        runAt: now,
        attempts: 12,
        epoch: 1,
        leaseUntil: null,
        failure: 'no',
        createdAt: now,
        updatedAt: now,
      }),
    );
    expect(await added(() => app.api('POST', `/work/${id}/retry`))).toMatchObject([
      {
        tenantId: null,
        action: 'work.retried',
        target: id,
        actor: OWNER,
        detail: { kind: 'read-account-details', appid: SERVICE_ACCOUNT },
      },
    ]);
    expect(await added(() => app.api('POST', `/work/${id}/retry`))).toEqual([]);
  });
});

describe('an account that another tenant holds', () => {
  it('stays with its new tokens; both logs say what each may know', async () => {
    const [holder, asker] = [newTenant(), newTenant()];
    const appid = await authorized(holder);
    const begun = await begin(app, { accountType: 'any' }, asker);
    const { authCode } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(page.text).toContain('已属于本平台的另一个租户');

    expect((await getAccount(app, appid))?.tenantId).toBe(holder);
    const token = await app.app.get(TokensService).getToken(appid);
    expect(app.sandbox.data.accessTokens[token]).toMatchObject({ appid, isRetired: false });
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'failed',
      account: null,
      failure: { code: 'account_held_elsewhere' },
    });

    const theirs = await log({}, asker);
    expect(theirs).toMatchObject([
      { action: 'authorization.started' },
      {
        action: 'authorization.failed',
        outcome: 'failed',
        target: begun.id,
        detail: { appid: null, failureCode: 'account_held_elsewhere' },
      },
    ]);
    expect(JSON.stringify(theirs)).not.toContain(appid);
    const own = await log({ target: appid }, holder);
    expect(own.at(-1)).toMatchObject({
      action: 'account.authorized',
      actor: PAGE,
      detail: { reauthorized: true, requested: false },
    });
    expect(JSON.stringify(own)).not.toContain(asker);
  });
});

describe('a change that is not made', () => {
  it('leaves no entry', async () => {
    const tenant = newTenant();
    const record = (): Promise<void> =>
      db.write(async (tx) => {
        const actor = { type: 'system', name: 'test' } as const;
        await app.app
          .get(AuditService)
          .record(tx, { actor, action: 'test', target: 'x', tenantId: tenant });
        throw new Error('half way');
      });
    await expect(record()).rejects.toThrow('half way');
    expect(await log({}, tenant)).toEqual([]);
  });

  it('because its entry cannot be written, is not made', async () => {
    const appid = await authorized(newTenant());
    const audit = app.app.get(AuditService);
    const record = audit.record.bind(audit);
    audit.record = () => Promise.reject(new Error('the disk is full'));
    const claimed = await app.api('POST', `/accounts/${appid}/claim`, { tenantId: newTenant() });
    audit.record = record;
    expect(claimed.status).toBe(500);
    const holder = (await app.app.get(AccountsService).find(appid))?.tenantId ?? '';
    expect((await log({ target: appid }, holder)).map(({ action }) => action)).toEqual([
      'account.authorized',
    ]);
  });
});

describe('GET /audit-log', () => {
  const record = async (tenantId: string, action: string, actor = 'reader'): Promise<void> => {
    const by = { keyId: `key-of-${actor}`, name: actor, role: 'admin', allTenants: false } as const;
    await db.write((tx) =>
      app.app
        .get(AuditService)
        .record(tx, { actor: { ...by, tenantId }, action, target: `t-${action}`, tenantId }),
    );
  };

  it('pages, the newest first, missing and repeating none', async () => {
    const tenant = newTenant();
    for (let n = 0; n < 7; n++) {
      await record(tenant, `n${n}`);
      if (n % 3 === 0) app.clock.advance(1_000);
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor ? `?limit=3&cursor=${encodeURIComponent(cursor)}` : '?limit=3';
      const answer: { body: { items: Entry[]; nextCursor: string | null } } = await app.api(
        'GET',
        `/audit-log${query}`,
        undefined,
        { 'x-tenant-id': tenant },
      );
      seen.push(...answer.body.items.map(({ action }) => action));
      cursor = answer.body.nextCursor;
    } while (cursor);
    expect(seen).toEqual(['n6', 'n5', 'n4', 'n3', 'n2', 'n1', 'n0']);
  });

  it('filters by actor, action, target and time', async () => {
    const tenant = newTenant();
    await record(tenant, 'first');
    app.clock.advance(1_000);
    const second = app.clock.now();
    await record(tenant, 'second', 'other');
    app.clock.advance(1_000);
    const third = app.clock.now();
    await record(tenant, 'third');
    const found = async (query: Record<string, string>): Promise<string[]> =>
      actions(await log(query, tenant));
    expect(await found({ actor: 'other' })).toEqual(['second']);
    expect(await found({ actor: 'key-of-other' })).toEqual(['second']);
    expect(await found({ actor: 'api_key' })).toEqual(['first', 'second', 'third']);
    expect(await found({ action: 'third' })).toEqual(['third']);
    expect(await found({ target: 't-first' })).toEqual(['first']);
    expect(await found({ from: second.toISOString() })).toEqual(['second', 'third']);
    expect(await found({ to: third.toISOString() })).toEqual(['first', 'second']);
    expect(
      await found({ from: second.toISOString(), to: third.toISOString(), actor: 'other' }),
    ).toEqual(['second']);
    expect(await found({ from: '2026-01-01T00:00:00+08:00', action: 'first' })).toEqual(['first']);
  });

  it.each([
    ['from', 'yesterday'],
    ['from', '2026-01-01'],
    ['from', '2026-01-01T00:00:00'],
    ['to', '2026-02-31T00:00:00Z'],
    ['to', '2026-01-01T25:00:00Z'],
    ['to', ''],
    ['cursor', 'nonsense'],
    ['limit', '0'],
    ['actor', ''],
  ])('refuses %s=%s by name', async (field, value) => {
    const answer = await app.api<{ code: string; errors: { field: string }[] }>(
      'GET',
      `/audit-log?${new URLSearchParams({ [field]: value }).toString()}`,
    );
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    expect(answer.body.errors.map((error) => error.field)).toContain(field);
  });

  it("shows a tenant its own, and the platform's to owners that name none", async () => {
    const [one, other] = [newTenant(), newTenant()];
    await record(one, 'of-one');
    await record(other, 'of-other');
    expect(actions(await log({}, one))).toEqual(['of-one']);
    expect((await log({ action: 'of-one' }, other)).length).toBe(0);
    const all = await log();
    expect(all.map(({ action }) => action)).toEqual(expect.arrayContaining(['of-one', 'of-other']));
    expect(all.some(({ tenantId }) => tenantId === null)).toBe(true);
    expect((await log({}, 'default')).some(({ tenantId }) => tenantId !== 'default')).toBe(false);
  });
});

describe('what the log says', () => {
  it('holds no secret, token, code or openid of any of the above', async () => {
    const { data } = app.sandbox;
    const secrets = [
      OWNER_KEY,
      ...Object.keys(data.tickets),
      ...Object.keys(data.accessTokens),
      ...Object.keys(data.formerRefreshTokens),
      ...Object.keys(data.preAuthCodes),
      ...Object.keys(data.authorizationCodes),
      ...Object.values(data.accounts).flatMap(({ authorization }) =>
        authorization ? [authorization.refreshToken] : [],
      ),
      app.sandbox.component.appSecret,
      app.sandbox.component.token,
      app.sandbox.component.encodingAesKey,
    ];
    expect(secrets.length).toBeGreaterThan(50);
    const entries = JSON.stringify(await db.read.find(AuditEntry));
    expect(secrets.filter((secret) => entries.includes(secret))).toEqual([]);
    expect(entries).not.toMatch(/@@@|oSandbox/);
  });
});

describe('the seal', () => {
  const write = async (tenantId: string, count: number): Promise<void> => {
    for (let n = 0; n < count; n++)
      await db.write((tx) =>
        app.app.get(AuditService).record(tx, {
          actor: { type: 'system', name: 'test' },
          action: `n${n}`,
          target: '目标',
          tenantId,
          detail: { z: [n, null, { b: 'ü', a: true }], a: '说明' },
        }),
      );
  };
  const seal = async (): Promise<void> => {
    app.clock.advance(6_000);
    await app.app.get(AuditSealer).sealAudit();
  };
  const verify = async (tenant: string): Promise<Verification['tenants'][number]> => {
    const { body } = await app.api<Verification>('GET', '/audit-log/verification', undefined, {
      'x-tenant-id': tenant,
    });
    expect(body.tenants).toHaveLength(1);
    expect(body.ok).toBe(body.tenants[0]?.ok);
    const [report] = body.tenants;
    if (!report) throw new Error('The tenant has no chain.');
    return report;
  };
  const sealedEntries = (tenantId: string): Promise<AuditEntry[]> =>
    db.read.find(AuditEntry, { where: { tenantId }, order: { sequence: 'ASC' } });
  const entryAt = async (tenantId: string, sequence: number): Promise<AuditEntry> =>
    db.read.findOneByOrFail(AuditEntry, { tenantId, sequence });
  const sql = (text: string, ...parameters: unknown[]): Promise<unknown> =>
    db.statement(text, parameters);

  it('holds for everything that happened above, the platform included', async () => {
    await seal();
    const { status, body } = await app.api<Verification>('GET', '/audit-log/verification');
    expect(status).toBe(200);
    expect(body.ok).toBe(true);
    expect(body.tenants.length).toBeGreaterThan(10);
    const total = await db.read.count(AuditEntry);
    expect(body.tenants.reduce((sum, { sealed }) => sum + sealed, 0)).toBe(total);
    expect(body.tenants.filter(({ tenantId }) => tenantId === null)).toMatchObject([
      { ok: true, unsealed: 0, brokenAt: null },
    ]);
  });

  it('waits for entries that may still be on their way, and takes late ones in behind', async () => {
    const tenant = newTenant();
    await write(tenant, 2);
    app.clock.advance(4_999);
    await app.app.get(AuditSealer).sealAudit();
    expect(await verify(tenant)).toMatchObject({ sealed: 0, unsealed: 2, ok: true });
    await seal();
    const { id, ...first } = await entryAt(tenant, 1);
    // It was written before the others, and committed long after them.
    const late = { ...first, id: `00${id.slice(2)}`, sequence: null, hash: null };
    await db.write((tx) => tx.insert(AuditEntry, late));
    await write(tenant, 1);
    await seal();
    expect(await verify(tenant)).toMatchObject({ sealed: 4, unsealed: 0, ok: true });
    const order = (await sealedEntries(tenant)).map((entry) => entry.id);
    expect(order[2]).toBe(late.id);
  });

  it('is shown with the entry', async () => {
    const tenant = newTenant();
    await write(tenant, 1);
    await seal();
    expect(await log({}, tenant)).toMatchObject([
      { sequence: 1, hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
  });

  it('is one chain when several processes seal at once, page by page', async () => {
    const tenant = newTenant();
    await write(tenant, 250);
    app.clock.advance(6_000);
    const sealer = app.app.get(AuditSealer);
    await Promise.all(Array.from({ length: 6 }, () => sealer.sealAudit()));
    await sealer.sealAudit();
    const sequences = (await sealedEntries(tenant)).map(({ sequence }) => sequence);
    expect(sequences).toEqual(Array.from({ length: 250 }, (_unused, n) => n + 1));
    expect(await verify(tenant)).toMatchObject({ sealed: 250, unsealed: 0, ok: true });
  });

  it('writes nothing when it does not come to its end', async () => {
    const tenant = newTenant();
    await write(tenant, 3);
    app.clock.advance(6_000);
    await expect(
      db.write(async (tx) => {
        const { id } = await tx.findOneByOrFail(AuditEntry, { tenantId: tenant });
        await tx.update(AuditEntry, { id }, { sequence: 1, hash: 'x' });
        throw new Error('killed');
      }),
    ).rejects.toThrow('killed');
    await app.app.get(AuditSealer).sealAudit();
    expect(await verify(tenant)).toMatchObject({ sealed: 3, ok: true });
  });

  describe('is found broken by', () => {
    const cases: [string, (tenant: string) => Promise<unknown>, object][] = [
      [
        'a detail that was changed',
        (t) => sql(`UPDATE audit_entry SET detail = '{}' WHERE tenant_id = ? AND sequence = 3`, t),
        { sequence: 3, id: 3, reason: 'changed' },
      ],
      [
        'a detail that is no JSON any more',
        (t) => sql(`UPDATE audit_entry SET detail = '{' WHERE tenant_id = ? AND sequence = 3`, t),
        { sequence: 3, id: 3, reason: 'changed' },
      ],
      [
        'an actor that was changed',
        (t) =>
          sql(`UPDATE audit_entry SET actor_name = 'eve' WHERE tenant_id = ? AND sequence = 5`, t),
        { sequence: 5, id: 5, reason: 'changed' },
      ],
      [
        'a time that was changed',
        (t) =>
          sql(
            `UPDATE audit_entry SET at = '2020-01-01 00:00:00.000' WHERE tenant_id = ? AND sequence = 1`,
            t,
          ),
        { sequence: 1, id: 1, reason: 'changed' },
      ],
      [
        'an entry deleted in the middle',
        (t) => sql(`DELETE FROM audit_entry WHERE tenant_id = ? AND sequence = 2`, t),
        { sequence: 2, id: null, reason: 'missing' },
      ],
      [
        'an entry that is to be sealed anew',
        (t) =>
          sql(
            `UPDATE audit_entry SET sequence = NULL, hash = NULL WHERE tenant_id = ? AND sequence = 2`,
            t,
          ),
        { sequence: 2, id: null, reason: 'missing' },
      ],
      [
        'entries deleted at the end',
        (t) => sql(`DELETE FROM audit_entry WHERE tenant_id = ? AND sequence > 3`, t),
        { sequence: 4, id: null, reason: 'cut_off' },
      ],
      [
        'all entries deleted',
        (t) => sql(`DELETE FROM audit_entry WHERE tenant_id = ?`, t),
        { sequence: 1, id: null, reason: 'cut_off' },
      ],
      [
        'a head that was set back with them',
        async (t) => {
          await sql(`DELETE FROM audit_entry WHERE tenant_id = ? AND sequence > 3`, t);
          await sql(`UPDATE audit_chain SET last_sequence = 3 WHERE tenant_id = ?`, t);
        },
        { sequence: 3, id: 3, reason: 'changed' },
      ],
      [
        'a head that was changed',
        (t) => sql(`UPDATE audit_chain SET last_hash = ? WHERE tenant_id = ?`, '0'.repeat(64), t),
        { sequence: 5, id: 5, reason: 'changed' },
      ],
      [
        'a head that is gone',
        (t) => sql(`DELETE FROM audit_chain WHERE tenant_id = ?`, t),
        { sequence: 5, id: 5, reason: 'changed' },
      ],
      [
        'an entry that was put in under a place that is taken',
        async (t) => {
          const { id, ...entry } = await entryAt(t, 3);
          await db.write((tx) => tx.insert(AuditEntry, { ...entry, id: `f${id.slice(1)}` }));
        },
        { sequence: 3, id: expect.stringMatching(/^f/), reason: 'changed' },
      ],
      [
        'an entry that was put in before the first',
        async (t) => {
          const { id, ...entry } = await entryAt(t, 3);
          await db.write((tx) =>
            tx.insert(AuditEntry, { ...entry, id: `f${id.slice(1)}`, sequence: 0 }),
          );
        },
        { sequence: 0, id: expect.stringMatching(/^f/), reason: 'changed' },
      ],
      [
        'two entries that changed places',
        async (t) => {
          await sql(
            `UPDATE audit_entry SET sequence = 9 - sequence WHERE tenant_id = ? AND sequence IN (4, 5)`,
            t,
          );
        },
        { sequence: 4, id: 5, reason: 'changed' },
      ],
    ];

    it.each(cases)('%s', async (_case, tamper, expected) => {
      const tenant = newTenant();
      await write(tenant, 5);
      await seal();
      expect(await verify(tenant)).toMatchObject({ sealed: 5, ok: true, brokenAt: null });
      const ids = (await sealedEntries(tenant)).map(({ id }) => id);
      await tamper(tenant);
      // Sealing goes on, and hides nothing.
      await write(tenant, 1);
      const { brokenAt, ok } = await verify(tenant);
      const { id } = expected as { id: unknown };
      expect({ ok, brokenAt }).toEqual({
        ok: false,
        brokenAt: { ...expected, id: typeof id === 'number' ? ids[id - 1] : id },
      });
      // The rest of the log can still be read.
      expect((await log({}, tenant)).length).toBeGreaterThan(0);
      const { body } = await app.api<Verification>('GET', '/audit-log/verification');
      expect(body.ok).toBe(false);
      await sql(`DELETE FROM audit_entry WHERE tenant_id = ?`, tenant);
      await db.write((tx) => tx.delete(AuditChain, { tenantId: tenant }));
    });
  });
});
