import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { type Answer, startApp, type TestApp } from './app.js';
import { type AccountBody, authorizationOf, begin, getAccount } from './helpers.js';

interface Property {
  name: string;
  displayName: string;
  dataType: string;
  usedBy?: string | null;
}

interface Refused {
  code: string;
  errors?: { field: string; code: string; detail: string }[];
}

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const newTenant = (): string => `brand-properties-${++serial}`;
const text = (name: string, displayName = name): Property => ({
  name,
  displayName,
  dataType: 'string',
});
const replace = (tenant: string, properties: unknown): Promise<Answer<Refused & object>> =>
  app.api('PUT', '/user-properties', { properties }, { 'x-tenant-id': tenant });
const list = async (tenant: string): Promise<Property[]> =>
  (
    await app.api<{ properties: Property[] }>('GET', '/user-properties', undefined, {
      'x-tenant-id': tenant,
    })
  ).body.properties;
const choose = (appid: string, property: unknown): Promise<Answer<AccountBody & Refused>> =>
  app.api('PUT', `/accounts/${appid}/openid-property`, { property });

async function authorized(
  tenant: string,
  account: { alias?: string; nickname?: string } = {},
  openidProperty?: string,
): Promise<string> {
  const appid = `wx${(0x09e27000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, ...account });
  const asked = { accountType: 'any', ...(openidProperty && { openidProperty }) };
  const { preAuthCode } = await begin(app, asked, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  return appid;
}

describe('PUT /user-properties', () => {
  it('replaces the catalogue whole and tells the difference', async () => {
    const tenant = newTenant();
    const first = Array.from({ length: 500 }, (_unused, n) => text(`property_${n}`));
    expect(await replace(tenant, first)).toMatchObject({
      status: 200,
      body: { removed: [], changed: [], unchanged: 0 },
    });
    expect(await list(tenant)).toEqual(first.map((property) => ({ ...property, usedBy: null })));
    const second = [
      ...first
        .slice(2)
        .map((property, n) => (n === 0 ? { ...property, displayName: '二' } : property)),
      { name: 'birthday', displayName: '生日', dataType: 'datetime' },
    ];
    expect((await replace(tenant, second)).body).toEqual({
      added: ['birthday'],
      removed: ['property_0', 'property_1'],
      changed: ['property_2'],
      unchanged: 497,
    });
    expect((await list(tenant)).map(({ name }) => name)).toEqual(second.map(({ name }) => name));
    expect((await replace(tenant, second)).body).toEqual({
      added: [],
      removed: [],
      changed: [],
      unchanged: 499,
    });
    const { body } = await app.api<{ items: { detail: object }[] }>(
      'GET',
      '/audit-log?action=user_properties.replaced',
      undefined,
      { 'x-tenant-id': tenant },
    );
    // What changes nothing is no entry.
    expect(body.items.map(({ detail }) => detail)).toMatchObject([
      { added: ['birthday'], removed: ['property_0', 'property_1'], total: 499 },
      { total: 500 },
    ]);
  });

  it.each([
    ['gone', []],
    ['gone from others', [text('other')]],
    ['no text any more', [{ ...text('wx_openid_used'), dataType: 'number' }]],
  ])(
    'refuses a catalogue in which a property in use is %s, naming the account',
    async (_case, next) => {
      const tenant = newTenant();
      await replace(tenant, [text('wx_openid_used'), text('free')]);
      const appid = await authorized(tenant, { nickname: '用户花店' }, 'wx_openid_used');
      const answer = await replace(tenant, next);
      expect(answer).toMatchObject({
        status: 409,
        body: {
          code: 'user_property_in_use',
          errors: [{ field: 'wx_openid_used', detail: `账号 用户花店 ${appid} 正在使用` }],
        },
      });
      expect(await list(tenant)).toMatchObject([
        { name: 'wx_openid_used', usedBy: appid },
        { name: 'free', usedBy: null },
      ]);
    },
  );

  it('keeps tenants apart', async () => {
    const [one, other] = [newTenant(), newTenant()];
    await replace(one, [text('mine')]);
    expect(await list(other)).toEqual([]);
    const admin = await authorizationOf(app, 'admin', other);
    const { body } = await app.api(
      'PUT',
      '/user-properties',
      { properties: [text('theirs')] },
      admin,
    );
    expect(body).toMatchObject({ added: ['theirs'], removed: [] });
    expect((await list(one)).map(({ name }) => name)).toEqual(['mine']);
  });

  it.each([
    ['no list', 'x', 'properties'],
    ['a name that stands twice', [text('a'), text('b'), text('a')], 'properties.2.name'],
    ['a name with a space', [text('a b')], 'properties.0.name'],
    ['no name', [{ displayName: 'x', dataType: 'string' }], 'properties.0.name'],
    ['a name of 129 characters', [text('a'.repeat(129))], 'properties.0.name'],
    ['no type', [{ name: 'a', displayName: 'a' }], 'properties.0.dataType'],
    ['a list as one of them', [[]], 'properties'],
    ['too many', Array.from({ length: 2_001 }, (_unused, n) => text(`p${n}`)), 'properties'],
  ])('refuses %s by name', async (_case, properties, field) => {
    const tenant = newTenant();
    const answer = await replace(tenant, properties);
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answer.body.errors?.map((error) => error.field)).toContain(field);
    expect(await list(tenant)).toEqual([]);
  });
});

describe('PUT /accounts/{appid}/openid-property', () => {
  it('takes any name while there is no catalogue, and says so in event and log', async () => {
    const appid = await authorized(newTenant());
    expect(await choose(appid, 'wx_openid_any')).toMatchObject({
      status: 200,
      body: { appid, openidProperty: 'wx_openid_any', suggestedOpenidProperty: null },
    });
    const events = await app.api<{ items: { appid: string; data: { changed: string[] } }[] }>(
      'GET',
      '/events?type=account.updated&limit=200',
    );
    const mine = events.body.items.filter((event) => event.appid === appid);
    expect(mine.at(-1)?.data.changed).toEqual(['openidProperty']);
    const { body } = await app.api<{ items: object[] }>(
      'GET',
      `/audit-log?action=account.openid_property_set&target=${appid}`,
    );
    expect(body.items).toMatchObject([
      { detail: { openidProperty: 'wx_openid_any', before: null } },
    ]);
    // The same again is no change.
    await choose(appid, 'wx_openid_any');
    const again = await app.api<{ items: object[] }>(
      'GET',
      `/audit-log?action=account.openid_property_set&target=${appid}`,
    );
    expect(again.body.items).toHaveLength(1);
  });

  it.each([
    ['string', 200, undefined],
    ['STRING', 200, undefined],
    ['Text', 200, undefined],
    ['number', 422, 'user_property_not_text'],
    ['list', 422, 'user_property_not_text'],
  ])('takes a property of type %s: %i', async (dataType, status, code) => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    await replace(tenant, [{ name: 'chosen', displayName: '', dataType }]);
    const answer = await choose(appid, 'chosen');
    expect(answer).toMatchObject({ status, body: code ? { code } : { openidProperty: 'chosen' } });
  });

  it('takes only what the catalogue has', async () => {
    const tenant = newTenant();
    const appid = await authorized(tenant);
    await replace(tenant, [text('known')]);
    expect(await choose(appid, 'unknown')).toMatchObject({
      status: 422,
      body: { code: 'unknown_user_property' },
    });
    const asked = { accountType: 'any', openidProperty: 'unknown' };
    expect(
      await app.api('POST', '/authorizations', asked, { 'x-tenant-id': tenant }),
    ).toMatchObject({ status: 422, body: { code: 'unknown_user_property' } });
  });

  it('gives a property to one account of a tenant only', async () => {
    const tenant = newTenant();
    const [first, second] = [await authorized(tenant), await authorized(tenant)];
    const elsewhere = await authorized(newTenant());
    await choose(first, 'wx_openid_one');
    expect(await choose(second, 'wx_openid_one')).toMatchObject({
      status: 409,
      body: { code: 'openid_property_in_use' },
    });
    expect((await choose(elsewhere, 'wx_openid_one')).status).toBe(200);
    await choose(first, 'wx_openid_other');
    expect((await choose(second, 'wx_openid_one')).status).toBe(200);
  });

  it('gives it to one of ten accounts that want it at once', async () => {
    const tenant = newTenant();
    const appids = [];
    for (let n = 0; n < 10; n++) appids.push(await authorized(tenant));
    const answers = await Promise.all(appids.map((appid) => choose(appid, 'wx_openid_race')));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200,
      ...Array.from({ length: 9 }, () => 409),
    ]);
  });

  it('gives it to one of two accounts whose authorizations want it at once', async () => {
    const tenant = newTenant();
    const asked = { accountType: 'any', openidProperty: 'wx_openid_both' };
    const begun = [await begin(app, asked, tenant), await begin(app, asked, tenant)];
    const appids = begun.map(({ preAuthCode }) => {
      const appid = `wx${(0x09e27000000 + ++serial).toString(16).padStart(16, '0')}`;
      app.sandbox.addAccount({ appid });
      app.sandbox.authorize({ appid, preAuthCode });
      return appid;
    });
    await app.settled();
    const held = await Promise.all(appids.map((appid) => getAccount(app, appid)));
    expect(held.map((account) => account?.authorization.state)).toEqual([
      'authorized',
      'authorized',
    ]);
    const properties = held.map((account) => account?.openidProperty ?? '');
    expect(properties.toSorted()).toEqual(['', 'wx_openid_both']);
  });

  it('loses no property to a catalogue that is replaced at the same moment', async () => {
    for (let n = 0; n < 5; n++) {
      const tenant = newTenant();
      const appid = await authorized(tenant);
      await replace(tenant, [text('wanted'), text('other')]);
      const [chosen, replaced] = await Promise.all([
        choose(appid, 'wanted'),
        replace(tenant, [text('other')]),
      ]);
      expect([chosen.status, replaced.status].toSorted((a, b) => a - b)).toEqual(
        chosen.status === 200 ? [200, 409] : [200, 422],
      );
      const names = (await list(tenant)).map(({ name }) => name);
      expect(names.includes('wanted')).toBe(chosen.status === 200);
    }
  });

  it('is cleared while the account is off, and not while it is on', async () => {
    const appid = await authorized(newTenant(), {}, 'wx_openid_clear');
    await app.api('POST', `/accounts/${appid}/enable`);
    expect(await choose(appid, null)).toMatchObject({
      status: 409,
      body: { code: 'account_enabled' },
    });
    await app.api('POST', `/accounts/${appid}/disable`);
    expect(await choose(appid, null)).toMatchObject({
      status: 200,
      body: { openidProperty: null },
    });
  });

  it.each([[undefined], [''], [7], ['a b'], ['a'.repeat(129)]])(
    'refuses %p by name',
    async (property) => {
      const appid = await authorized(newTenant());
      const answer = await choose(appid, property);
      expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
      expect(new Set(answer.body.errors?.map(({ field }) => field))).toEqual(new Set(['property']));
      expect(await choose('wx0', property)).toMatchObject({ status: 404 });
    },
  );

  it('is a matter of the tenant that holds the account', async () => {
    const appid = `wx${(0x09e27000000 + ++serial).toString(16).padStart(16, '0')}`;
    app.sandbox.addAccount({ appid });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    expect(await choose(appid, 'wx_openid_x')).toMatchObject({
      status: 409,
      body: { code: 'account_unclaimed' },
    });
  });
});

describe('the suggestion for an account without a property', () => {
  const suggestionOf = async (appid: string): Promise<unknown> =>
    (await getAccount(app, appid))?.suggestedOpenidProperty;

  it('is made of its alias while there is no catalogue', async () => {
    const appid = await authorized(newTenant(), { alias: 'Example-Flowers' });
    expect(await suggestionOf(appid)).toEqual({
      name: 'wx_openid_example_flowers',
      inCatalogue: false,
    });
  });

  it('is the free property that is plainly its own', async () => {
    const tenant = newTenant();
    const [first, second] = [
      await authorized(tenant, { alias: 'flowers', nickname: '花店' }),
      await authorized(tenant, { alias: 'bakery', nickname: '面包房' }),
    ];
    await replace(tenant, [
      text('name', '姓名'),
      text('openid_flowers', '花店 OpenID'),
      text('openid_2', '面包房 OpenID'),
      { ...text('openid_flowers_count'), dataType: 'number' },
    ]);
    expect(await suggestionOf(first)).toEqual({ name: 'openid_flowers', inCatalogue: true });
    expect(await suggestionOf(second)).toEqual({ name: 'openid_2', inCatalogue: true });
    await choose(second, 'openid_flowers');
    expect(await suggestionOf(first)).toEqual({ name: 'wx_openid_flowers', inCatalogue: false });
    expect(await suggestionOf(second)).toBeNull();
  });
});
