import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { Account } from '../src/accounts/account.entity.js';
import { Database } from '../src/database/database.js';
import { startApp, type TestApp } from './app.js';
import { type AccountBody, begin, getAccount } from './helpers.js';

interface Entry {
  tenantId: string | null;
  action: string;
  detail: Record<string, unknown>;
}

interface Event {
  type: string;
  appid: string;
  tenantId: string | null;
  data: Record<string, unknown>;
}

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const newTenant = (): string => `brand-${++serial}`;

async function authorized(tenant: string | null, openidProperty?: string): Promise<string> {
  const appid = `wx${(0xc1a1d000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, nickname: `账号${serial}` });
  const asked = { accountType: 'any', ...(openidProperty && { openidProperty }) };
  const preAuthCode = tenant === null ? null : (await begin(app, asked, tenant)).preAuthCode;
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  return appid;
}

const claim = (appid: string, tenantId: unknown, headers: Record<string, string> = {}) =>
  app.api<AccountBody>('POST', `/accounts/${appid}/claim`, { tenantId }, headers);

async function items<T>(path: string, tenant: string): Promise<T[]> {
  const headers = { 'x-tenant-id': tenant };
  return (await app.api<{ items: T[] }>('GET', path, undefined, headers)).body.items;
}

const entries = (appid: string, tenant: string): Promise<Entry[]> =>
  items(`/audit-log?action=account.claimed&target=${appid}`, tenant);
/** The events that are there now, in their order; those before `from` left out. */
const events = async (tenant: string, from = 0): Promise<Event[]> =>
  (await items<Event>('/events?limit=200', tenant)).slice(from);

describe('POST /accounts/{appid}/claim', () => {
  it('gives an unclaimed account to a tenant', async () => {
    const tenant = newTenant();
    const appid = await authorized(null);
    const unclaimed = async (): Promise<string[]> =>
      (await app.api<{ items: AccountBody[] }>('GET', '/accounts?state=unclaimed')).body.items.map(
        (account) => account.appid,
      );
    expect(await unclaimed()).toContain(appid);
    const answer = await claim(appid, tenant);
    expect(answer).toMatchObject({
      status: 200,
      body: { appid, tenantId: tenant, enabled: false, authorization: { state: 'authorized' } },
    });
    expect(await unclaimed()).not.toContain(appid);
    expect(await getAccount(app, appid, tenant)).toEqual(answer.body);
    expect(await entries(appid, tenant)).toMatchObject([
      {
        tenantId: tenant,
        detail: {
          direction: 'received',
          wasUnclaimed: true,
          wasEnabled: false,
          clearedOpenidProperty: null,
        },
      },
    ]);
    const all = await app.api<{ items: Entry[] }>(
      'GET',
      `/audit-log?action=account.claimed&target=${appid}`,
    );
    expect(all.body.items).toHaveLength(1);
    expect(await events(tenant)).toMatchObject([
      { type: 'account.authorized', appid, tenantId: tenant },
    ]);
  });

  it('moves an account, switched off, and tells each side without naming the other', async () => {
    const [former, tenant] = [newTenant(), newTenant()];
    const appid = await authorized(former, 'wx_openid');
    await app.app.get(Database).write((tx) => tx.update(Account, { appid }, { enabled: true }));
    const before = (await events(former)).length;
    const { body } = await claim(appid, tenant);
    expect(body).toMatchObject({
      tenantId: tenant,
      enabled: false,
      openidProperty: 'wx_openid',
      authorization: { state: 'authorized' },
    });
    expect(await getAccount(app, appid, former)).toBeNull();

    const lost = await entries(appid, former);
    expect(lost.map(({ detail }) => detail)).toEqual([{ direction: 'given_away' }]);
    const gone = await events(former, before);
    expect(gone).toMatchObject([
      { type: 'account.updated', appid, tenantId: former, data: { changed: ['tenant'] } },
    ]);
    expect(JSON.stringify([lost, gone])).not.toContain(tenant);

    const won = await entries(appid, tenant);
    expect(won).toMatchObject([
      { detail: { direction: 'received', wasUnclaimed: false, wasEnabled: true } },
    ]);
    const come = await events(tenant);
    expect(come).toMatchObject([{ type: 'account.authorized', appid, tenantId: tenant }]);
    expect(JSON.stringify([won, come])).not.toContain(former);
  });

  it('changes and tells nothing for the tenant that has it already', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    const before = { account: await getAccount(app, appid), events: (await events(tenant)).length };
    expect(await claim(appid, tenant)).toMatchObject({ status: 200, body: before.account });
    expect(await entries(appid, tenant)).toEqual([]);
    expect(await events(tenant)).toHaveLength(before.events);
  });

  it('takes off a property that another account of the new tenant has, and says so', async () => {
    const [former, tenant] = [newTenant(), newTenant()];
    const holder = await authorized(tenant, 'wx_openid');
    const appid = await authorized(former, 'wx_openid');
    expect((await claim(appid, tenant)).body).toMatchObject({ openidProperty: null });
    expect((await getAccount(app, holder))?.openidProperty).toBe('wx_openid');
    expect(await entries(appid, tenant)).toMatchObject([
      { detail: { clearedOpenidProperty: 'wx_openid' } },
    ]);
  });

  it('says nothing of an authorization that has ended', async () => {
    const [former, tenant] = [newTenant(), newTenant()];
    const appid = await authorized(former);
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await claim(appid, tenant)).body).toMatchObject({
      tenantId: tenant,
      authorization: { state: 'unauthorized' },
    });
    expect(await events(tenant)).toEqual([]);
    expect((await events(former)).at(-1)).toMatchObject({ data: { changed: ['tenant'] } });
  });

  it('leaves one entry and one event when it is asked for several times at once', async () => {
    const [former, tenant] = [newTenant(), newTenant()];
    const appid = await authorized(former);
    const before = (await events(former)).length;
    const answers = await Promise.all(Array.from({ length: 5 }, () => claim(appid, tenant)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(await entries(appid, tenant)).toHaveLength(1);
    expect(await entries(appid, former)).toHaveLength(1);
    expect(await events(former, before)).toHaveLength(1);
    expect(await events(tenant)).toHaveLength(1);
  });

  it('moves what the tenant holds that the owner names, or nobody, and no other', async () => {
    const [former, tenant] = [newTenant(), newTenant()];
    const [held, own, unclaimed] = [
      await authorized(former),
      await authorized(tenant),
      await authorized(null),
    ];
    const named = { 'x-tenant-id': tenant };
    expect(await claim(held, tenant, named)).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
    expect((await getAccount(app, held))?.tenantId).toBe(former);
    expect((await claim(unclaimed, tenant, named)).status).toBe(200);
    expect(await claim(own, former, named)).toMatchObject({
      status: 200,
      body: { tenantId: former },
    });
  });

  it.each([['Brand A'], [''], ['a'.repeat(65)], [null], [7], [undefined]])(
    'refuses the tenant %p by name, after an account that is not there',
    async (tenantId) => {
      const appid = await authorized(newTenant());
      const answer = await app.api<{ code: string; errors: { field: string }[] }>(
        'POST',
        `/accounts/${appid}/claim`,
        { tenantId },
      );
      expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
      expect(answer.body.errors.map(({ field }) => field)).toEqual(['tenantId']);
      expect(await claim('wx0', tenantId)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      });
    },
  );
});
