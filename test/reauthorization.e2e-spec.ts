import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { type Answer, startApp, type TestApp } from './app.js';
import { callbackUrl, getAccount, linkOf, statusOf } from './helpers.js';

const FULL = [1, 2, 3, 7, 8, 11, 15];

interface Authorization {
  id: string;
  status: string;
  launchUrl: string;
  failure: { code: string } | null;
  permissions: { gained: { id: number }[]; lost: { id: number }[] } | null;
}

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

interface Scan {
  id: string;
  link: URL;
  launchPage: string;
}

/** Starts an update of the account's authorization, and reads what its page links to. */
async function again(appid: string, body: object = {}): Promise<Scan> {
  const made = await app.api<Authorization>('POST', `/accounts/${appid}/reauthorizations`, body);
  if (made.status !== 201) throw new Error(JSON.stringify(made));
  const { text } = await app.page(made.body.launchUrl);
  return { id: made.body.id, link: new URL(linkOf(text, 'scan-link')), launchPage: text };
}

/** The administrator scans and keeps these sets; the browser comes back. @returns the page that it lands on */
async function scan(
  { link }: Scan,
  appid: string,
  permissionIds: number[],
  push = true,
): Promise<string> {
  const preAuthCode = link.searchParams.get('pre_auth_code');
  const { authCode, pushed } = app.sandbox.authorize({ appid, preAuthCode, permissionIds, push });
  const redirectUri = link.searchParams.get('redirect_uri') ?? '';
  const { text } = await app.page(callbackUrl(redirectUri, authCode));
  await pushed;
  await app.settled();
  return text;
}

async function authorized(permissionIds = FULL): Promise<string> {
  const appid = `wx${(0x4ea07000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, nickname: `再授权${serial}` });
  const asked = { accountType: 'any', openidProperty: `wx_${appid}` };
  const made = await app.api<Authorization>('POST', '/authorizations', asked);
  const { text } = await app.page(made.body.launchUrl);
  const link = new URL(linkOf(text, 'scan-link'));
  await scan({ id: made.body.id, link, launchPage: text }, appid, permissionIds);
  return appid;
}

const get = async (id: string): Promise<Authorization> =>
  (await app.api<Authorization>('GET', `/authorizations/${id}`)).body;

async function lastEvent(appid: string, type: string): Promise<{ data: Record<string, unknown> }> {
  const { body } = await app.api<{ items: { appid: string; data: Record<string, unknown> }[] }>(
    'GET',
    `/events?type=${type}&limit=200`,
  );
  const found = body.items.filter((event) => event.appid === appid).at(-1);
  if (!found) throw new Error(`There is no ${type} of ${appid}.`);
  return found;
}

async function scenesOf(appid: string): Promise<string[]> {
  const { body } = await app.api<{ scenes: { scene: string; available: boolean }[] }>(
    'GET',
    `/accounts/${appid}`,
  );
  return body.scenes.filter(({ available }) => available).map(({ scene }) => scene);
}

describe('POST /accounts/{appid}/reauthorizations', () => {
  it('leads to a page for exactly this account', async () => {
    const appid = await authorized();
    const { link, launchPage } = await again(appid);
    expect(link.searchParams.get('biz_appid')).toBe(appid);
    expect(link.searchParams.get('auth_type')).toBe('1');
    expect(link.searchParams.has('category_id_list')).toBe(false);
    expect(launchPage).toContain(`再授权${serial}`);
    expect(launchPage).toContain('本次只更新这个账号的授权');
  });

  it('asks for only what is missing, when it is told to', async () => {
    const appid = await authorized([1, 2, 3, 8, 15]);
    const { link, launchPage } = await again(appid, { permissionIds: [7, 11] });
    expect(link.searchParams.get('category_id_list')).toBe('7|11');
    const shown = [...launchPage.matchAll(/class="soft">#(\d+)</g)].map(([, id]) => Number(id));
    expect(shown).toEqual([7, 11]);
  });

  it('takes the fix of a check as it stands there', async () => {
    const appid = await authorized([1, 2, 3, 8, 11, 15]);
    const { body } = await app.api<{ checks: { call: { path: string; body: object } | null }[] }>(
      'GET',
      `/accounts/${appid}/enable-checks`,
    );
    const call = body.checks.find((check) => check.call?.path.includes('reauthorizations'))?.call;
    const made = await app.api('POST', call?.path.replace('/api/v1', '') ?? '', call?.body);
    expect(made.status).toBe(201);
    const { text } = await app.page(String(made.body['launchUrl']));
    const link = new URL(linkOf(text, 'scan-link'));
    expect(link.searchParams.get('category_id_list')).toBe('7');
  });

  it.each([[[]], [['x']], [[1, 1]], [[0]], ['7']])(
    'refuses the sets %p by name',
    async (permissionIds) => {
      const appid = await authorized();
      const answer: Answer<{ errors?: { field: string }[] }> = await app.api(
        'POST',
        `/accounts/${appid}/reauthorizations`,
        { permissionIds },
      );
      expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
      expect(new Set(answer.body.errors?.map(({ field }) => field))).toEqual(
        new Set(['permissionIds']),
      );
    },
  );

  it('is for whoever holds the account, where an owner starts it without naming a tenant', async () => {
    const appid = await authorized();
    const theirs = { 'x-tenant-id': 'brand-again' };
    expect(
      (await app.api('POST', `/accounts/${appid}/claim`, { tenantId: 'brand-again' })).status,
    ).toBe(200);
    const started = await again(appid);
    await scan(started, appid, [...FULL, 4]);
    const seen = await app.api<Authorization>(
      'GET',
      `/authorizations/${started.id}`,
      undefined,
      theirs,
    );
    expect(seen.body).toMatchObject({ status: 'completed', account: { appid } });
  });

  it('is not there for an account that is not', async () => {
    expect(await app.api('POST', '/accounts/wx0/reauthorizations')).toMatchObject({ status: 404 });
  });
});

describe('an update of an authorization', () => {
  it('tells what came, on the page, in the authorization, in the event and in the log', async () => {
    const appid = await authorized([1, 2, 3, 8, 15]);
    const begun = await again(appid);
    const page = await scan(begun, appid, FULL);
    expect(statusOf(page)).toBe('completed');
    expect(page).toContain('与之前相比，新增权限：');
    expect(page).not.toContain('减少权限');
    expect((await get(begun.id)).permissions).toEqual({
      gained: [
        { id: 7, name: '群发与通知' },
        { id: 11, name: '素材管理' },
      ],
      lost: [],
    });
    expect(await lastEvent(appid, 'account.updated')).toMatchObject({
      data: {
        changed: ['permissions'],
        gainedPermissionIds: [7, 11],
        gainedScenes: ['broadcast', 'template_message'],
        lostScenes: [],
      },
    });
    expect((await getAccount(app, appid))?.missingPermissions).toEqual([]);
  });

  it('that loses permission 7 takes broadcast and template messages away at once', async () => {
    const appid = await authorized();
    await app.api('POST', `/accounts/${appid}/enable`);
    expect(await scenesOf(appid)).toEqual(
      expect.arrayContaining(['broadcast', 'template_message']),
    );
    const begun = await again(appid);
    const page = await scan(
      begun,
      appid,
      FULL.filter((id) => id !== 7),
    );
    expect(page).toContain('与之前相比，减少权限：');
    expect(page).toContain('群发与通知');
    expect((await get(begun.id)).permissions).toEqual({
      gained: [],
      lost: [{ id: 7, name: '群发与通知' }],
    });
    expect(await scenesOf(appid)).toEqual(['customer_service_message', 'auto_reply', 'qr_code']);
    // It stays on, and is flagged.
    const account = await getAccount(app, appid);
    expect(account).toMatchObject({ enabled: true, flaggedAt: app.clock.now().toISOString() });
    expect(account?.failingChecks.map(({ check }) => check)).toEqual(['minimum_permissions']);
    const facts = {
      lostPermissionIds: [7],
      lostScenes: ['broadcast', 'template_message'],
      failingChecks: ['minimum_permissions'],
    };
    expect(await lastEvent(appid, 'account.updated')).toMatchObject({
      data: { changed: ['permissions', 'checks'], ...facts },
    });
    const { body } = await app.api<{ items: { action: string; detail: object }[] }>(
      'GET',
      `/audit-log?target=${appid}`,
    );
    expect(body.items.find(({ action }) => action === 'account.permissions_changed')).toMatchObject(
      {
        detail: { reauthorized: true, requested: true, ...facts },
      },
    );
  });

  it('that changes nothing ends by the redirect alone: WeChat sends no event then', async () => {
    const appid = await authorized();
    const begun = await again(appid);
    const before = app.sandbox.journal.length;
    const page = await scan(begun, appid, FULL);
    expect(statusOf(page)).toBe('completed');
    expect(page).toContain('与之前相比，权限没有变化。');
    expect(await get(begun.id)).toMatchObject({
      status: 'completed',
      permissions: { gained: [], lost: [] },
    });
    // The new refresh token works.
    app.clock.advance(3 * 3_600_000);
    await app.sandbox.pushTicket();
    const quota = await app.api(
      'GET',
      `/accounts/${appid}/quota?path=/cgi-bin/message/custom/send`,
    );
    expect(quota.status).toBe(200);
    expect(app.sandbox.journal.length).toBeGreaterThan(before);
  });

  it('shows the same at every reload, and in English', async () => {
    const appid = await authorized([1, 2, 3, 8, 11, 15]);
    const begun = await again(appid);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.link.searchParams.get('pre_auth_code'),
      permissionIds: FULL,
    });
    const address = callbackUrl(begun.link.searchParams.get('redirect_uri') ?? '', authCode);
    await app.page(address);
    await app.settled();
    const english = await app.page(address, { 'accept-language': 'en' });
    expect(english.text).toContain('Permissions that were added:');
    const launch = await app.page(`/authorize/${begun.id}`);
    expect(launch.text).toContain('新增权限');
  });

  it('by the pushes alone ends the same', async () => {
    const appid = await authorized([1, 2]);
    const begun = await again(appid);
    await app.sandbox.authorize({
      appid,
      preAuthCode: begun.link.searchParams.get('pre_auth_code'),
      permissionIds: [1, 3],
    }).pushed;
    await app.settled();
    expect(await get(begun.id)).toMatchObject({
      status: 'completed',
      permissions: { gained: [{ id: 3 }], lost: [{ id: 2 }] },
    });
  });

  it('restricted to one set leaves the others, as the scan page shows only that', async () => {
    const appid = await authorized([1, 2, 3, 8, 11, 15]);
    const { link } = await again(appid, { permissionIds: [7] });
    const scanPage = await fetch(link, { headers: { referer: 'http://channel.test/' } });
    const html = await scanPage.text();
    const session = /name="session" value="([^"]+)"/.exec(html)?.[1] ?? '';
    const post = (path: string, fields: Record<string, string>): Promise<Response> =>
      fetch(`${app.sandbox.url}${path}`, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams(fields),
      });
    const permissions = await (await post('/_scan/permissions', { session, appid })).text();
    expect(
      [...permissions.matchAll(/name="permission" value="(\d+)"/g)].map(([, id]) => id),
    ).toEqual(['7']);
    const redirect = await post('/_scan/confirm', { session, appid, permission: '7' });
    const page = await app.page(redirect.headers.get('location') ?? '');
    await app.settled();
    expect(page.text).toContain('新增权限');
    expect((await getAccount(app, appid))?.missingPermissions).toEqual([]);
  });

  it('with another account changes neither', async () => {
    const [appid, other] = [await authorized(), await authorized()];
    const begun = await again(appid);
    const page = await scan(begun, other, [1]);
    expect(statusOf(page)).toBe('failed');
    expect(await get(begun.id)).toMatchObject({
      status: 'failed',
      failure: { code: 'wrong_account' },
      permissions: null,
    });
    expect((await getAccount(app, appid))?.missingPermissions).toEqual([]);
  });

  it('says nothing of changes when it is the first one', async () => {
    const appid = `wx${(0x4ea07000000 + ++serial).toString(16).padStart(16, '0')}`;
    app.sandbox.addAccount({ appid });
    const made = await app.api<Authorization>('POST', '/authorizations', { accountType: 'any' });
    const { text } = await app.page(made.body.launchUrl);
    const link = new URL(linkOf(text, 'scan-link'));
    const page = await scan({ id: made.body.id, link, launchPage: text }, appid, FULL);
    expect(page).not.toContain('与之前相比');
    expect((await get(made.body.id)).permissions).toBeNull();
  });
});
