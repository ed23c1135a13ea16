import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { TokensService } from '../src/tokens/tokens.service.js';
import { COMPONENT, PUBLIC_URL, startApp, type TestApp } from './app.js';
import {
  type AuthorizationBody,
  begin,
  callbackUrl,
  getAccount,
  getAuthorization,
  linkOf,
  MINI_PROGRAM,
  SERVICE_ACCOUNT,
  statusOf,
} from './helpers.js';
import { until } from './until.js';

const QUERY_AUTH = '/cgi-bin/component/api_query_auth';

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());
afterEach(() => app.sandbox.faults.clear());

/** An account of the test's own, so that the tests do not meet. */
function newAccount(): string {
  const appid = `wx${(0xabc000000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, nickname: `测试账号${serial}` });
  return appid;
}

/** WeChat takes the token that we hold for the account. */
async function expectUsableToken(appid: string): Promise<void> {
  const token = await app.app.get(TokensService).getToken(appid);
  expect(app.sandbox.data.accessTokens[token]).toMatchObject({ appid, isRetired: false });
}

describe('POST /authorizations', () => {
  it('answers the pages, and an id that cannot be guessed', async () => {
    const { status, body } = await app.api('POST', '/authorizations', {
      accountType: 'official_account',
    });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^[\w-]{43}$/),
      status: 'pending',
      launchUrl: `${PUBLIC_URL}/authorize/${String(body['id'])}`,
      mobileUrl: `${PUBLIC_URL}/authorize/${String(body['id'])}?form=phone`,
      expiresAt: new Date(app.clock.now().getTime() + 1_800_000).toISOString(),
    });
  });

  it.each([
    ['an unknown account type', { accountType: 'channels' }, 'accountType'],
    ['no body', undefined, 'accountType'],
    ['an appid that is none', { accountType: 'any', appid: 'gh_1' }, 'appid'],
    ['an unknown field', { accountType: 'any', extra: 1 }, 'extra'],
    ['a property with spaces', { accountType: 'any', openidProperty: 'a b' }, 'openidProperty'],
  ])('refuses %s by name', async (_case, body, field) => {
    const answer = await app.api<{ code: string; errors: { field: string; detail: string }[] }>(
      'POST',
      '/authorizations',
      body,
    );
    expect(answer.status).toBe(422);
    expect(answer.body.code).toBe('validation_failed');
    expect(answer.body.errors.map((error) => error.field)).toEqual([field]);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });

  it('refuses a body that is not JSON, in the language asked for', async () => {
    const answer = await app.api('POST', '/authorizations', '{', { 'accept-language': 'en' });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: 'malformed_body', title: 'The body is not JSON' });
  });

  it('answers 400 for a body that is nested without end, and reads brackets in a text as text', async () => {
    const nested = `{"accountType":${'['.repeat(60_000)}${']'.repeat(60_000)}}`;
    expect(await app.api('POST', '/authorizations', nested)).toMatchObject({
      status: 400,
      body: { code: 'malformed_body' },
    });
    const text = JSON.stringify({ accountType: `"\\${'['.repeat(1_000)}` });
    expect((await app.api('POST', '/authorizations', text)).status).toBe(422);
  });

  it("says what WeChat's refusal means", async () => {
    app.sandbox.faults.add({
      path: '/cgi-bin/component/api_create_preauthcode',
      kind: 'errcode',
      errcode: 61004,
    });
    const answer = await app.api(
      'POST',
      '/authorizations',
      { accountType: 'any' },
      { 'accept-language': 'en' },
    );
    expect(answer.status).toBe(502);
    expect(answer.body).toMatchObject({
      code: 'wechat_error',
      wechat: {
        errcode: 61004,
        path: '/cgi-bin/component/api_create_preauthcode',
        rid: expect.stringMatching(/^[0-9a-f-]{26}$/),
        advice: expect.stringContaining('whitelist'),
      },
    });
  });

  it('answers 504 while WeChat is away', async () => {
    app.sandbox.faults.add({ path: '/cgi-bin/component/api_create_preauthcode', kind: 'http_500' });
    expect(await app.api('POST', '/authorizations', { accountType: 'any' })).toMatchObject({
      status: 504,
      body: { code: 'wechat_unavailable' },
    });
  });
});

describe('the launch page', () => {
  it("links to both of WeChat's pages, says what is asked, and keeps the referrer", async () => {
    const { launchUrl } = await begin(app, { accountType: 'mini_program' });
    const { status, text, headers } = await app.page(launchUrl);
    expect(status).toBe(200);
    const scan = new URL(linkOf(text, 'scan-link'));
    expect(scan.pathname).toBe('/cgi-bin/componentloginpage');
    expect(Object.fromEntries(scan.searchParams)).toEqual({
      component_appid: COMPONENT.appid,
      pre_auth_code: expect.stringMatching(/^preauthcode@@@/),
      redirect_uri: expect.stringMatching(
        /^http:\/\/channel\.test\/authorize\/callback\/[\w-]{43}$/,
      ),
      auth_type: '2',
    });
    const phone = new URL(linkOf(text, 'phone-link'));
    expect(phone.pathname).toBe('/wxaopen/safe/bindcomponent');
    expect(phone.hash).toBe('#wechat_redirect');
    expect(text).toContain('小程序链接管理');
    expect(text).not.toContain('群发与通知');
    expect(headers.get('referrer-policy')).toBe('strict-origin-when-cross-origin');
    expect(headers.get('content-security-policy')).not.toContain('upgrade-insecure-requests');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(text).not.toMatch(/noreferrer|no-referrer/);
  });

  it('speaks the language that is asked for', async () => {
    const { launchUrl } = await begin(app);
    expect((await app.page(launchUrl)).text).toContain('使用微信扫码授权');
    expect(
      (await app.page(launchUrl, { 'accept-language': 'en-GB,en;q=0.9,zh;q=0.5' })).text,
    ).toContain('Scan with WeChat');
    expect((await app.page(`${launchUrl}?lang=en`)).text).toContain('<html lang="en">');
  });

  it('only offers the account that is to be updated', async () => {
    const { launchUrl } = await begin(app, { accountType: 'any', appid: SERVICE_ACCOUNT });
    const { text } = await app.page(launchUrl);
    expect(new URL(linkOf(text, 'scan-link')).searchParams.get('biz_appid')).toBe(SERVICE_ACCOUNT);
    expect(text).toContain(SERVICE_ACCOUNT);
  });

  it('says that a link is not valid, or has expired', async () => {
    const unknown = await app.page('/authorize/no-such-authorization');
    expect(unknown.status).toBe(404);
    expect(unknown.text).toContain('链接无效');
    const { launchUrl, id } = await begin(app);
    app.clock.advance(1_800_000);
    expect(statusOf((await app.page(launchUrl)).text)).toBe('expired');
    expect((await getAuthorization(app, id)).status).toBe('expired');
  });
});

describe('an account that is authorized', () => {
  it('redirect first, then the push: one account, one exchange', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    const exchanges = app.sandbox.callsTo(QUERY_AUTH);
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(page.text)).toBe('completed');
    expect(page.text).toContain(`测试账号${serial}`);
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect(app.sandbox.callsTo(QUERY_AUTH)).toBe(exchanges + 1);
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
      failure: null,
    });
    await expectUsableToken(appid);
  });

  it('push first, then the redirect, which shows the same at every reload', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode, pushed } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode });
    await pushed;
    await app.settled();
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
    });
    const first = await app.page(callbackUrl(begun.redirectUri, authCode));
    const second = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(first.text)).toBe('completed');
    expect(second.text).toBe(first.text);
    await expectUsableToken(appid);
  });

  it('push and redirect at once, the push three times: one exchange', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    const exchanges = app.sandbox.callsTo(QUERY_AUTH);
    const [page] = await Promise.all([
      app.page(callbackUrl(begun.redirectUri, authCode)),
      ...[1, 2, 3].map(() => app.sandbox.pushEvent(event ?? {})),
    ]);
    await app.settled();
    expect(statusOf(page.text)).toBe('completed');
    expect(app.sandbox.callsTo(QUERY_AUTH)).toBe(exchanges + 1);
    await expectUsableToken(appid);
  });

  it('by the redirect alone', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(await getAccount(app, appid)).toMatchObject({
      appid,
      tenantId: 'default',
      accountType: 'official_account',
      subtype: 'service_account',
      verified: true,
      authorization: { state: 'authorized' },
      missingPermissions: [],
      enabled: false,
    });
    await expectUsableToken(appid);
  });

  it('by the push alone', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect(await getAccount(app, appid)).toMatchObject({
      tenantId: 'default',
      authorization: { state: 'authorized' },
    });
    await expectUsableToken(appid);
  });

  it('by a push that comes after the link has expired', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { event } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode, push: false });
    app.clock.advance(1_801_000);
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect((await getAuthorization(app, begun.id)).status).toBe('completed');
  });

  it('says on the page what is missing', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      permissionIds: [1, 2, 3, 8, 11, 15, 9999],
    });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(page.text).toContain('群发与通知');
    const account = await getAccount(app, appid);
    expect(account?.missingPermissions).toEqual([{ id: 7, name: '群发与通知' }]);
    expect(account?.permissions).toContainEqual({
      id: 9999,
      name: '权限集 9999',
      required: false,
      granted: true,
    });
  });

  it('takes the OpenID property along, unless another account has it', async () => {
    const [first, second] = [newAccount(), newAccount()];
    const property = `wx_openid_${serial}`;
    const begun = await begin(app, { accountType: 'any', openidProperty: property });
    await app.sandbox.authorize({ appid: first, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect((await getAccount(app, first))?.openidProperty).toBe(property);
    expect(
      await app.api('POST', '/authorizations', { accountType: 'any', openidProperty: property }),
    ).toMatchObject({
      status: 409,
      body: { code: 'openid_property_in_use' },
    });
    const begunElsewhere = await begin(
      app,
      { accountType: 'any', openidProperty: property },
      'brand-b',
    );
    await app.sandbox.authorize({ appid: second, preAuthCode: begunElsewhere.preAuthCode }).pushed;
    await app.settled();
    expect((await getAccount(app, second))?.openidProperty).toBe(property);
  });

  it('escapes what the account calls itself', async () => {
    const appid = newAccount();
    app.sandbox.account(appid).nickname = '<script>alert(1)</script>"';
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(page.text).toContain('&#60;script&#62;alert(1)');
    expect(page.text).not.toContain('<script>alert');
  });

  it('catches up on details that could not be read', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    app.sandbox.faults.add({
      path: '/cgi-bin/component/api_get_authorizer_info',
      appid,
      kind: 'http_500',
    });
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect(await getAccount(app, appid)).toMatchObject({
      nickname: '',
      syncedAt: null,
      authorization: { state: 'authorized' },
    });
    app.clock.advance(60_000);
    await until(async () => (await getAccount(app, appid))?.syncedAt !== null);
    expect(await getAccount(app, appid)).toMatchObject({
      nickname: `测试账号${serial}`,
      subtype: 'service_account',
    });
  });
});

describe('an exchange whose answer is lost', () => {
  it('heals by the push, which names the account', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
    });
    await expectUsableToken(appid);
  });

  it('heals by the redirect alone when exactly one account has changed', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(page.text)).toBe('completed');
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
    });
    await expectUsableToken(appid);
  });

  it('heals by the redirect alone when the account was named from the start', async () => {
    const appid = newAccount();
    const first = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: first.preAuthCode }).pushed;
    await app.settled();
    const other = newAccount();
    const begun = await begin(app, { accountType: 'any', appid });
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.authorize({ appid: other, preAuthCode: null, push: false });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
    });
    await expectUsableToken(appid);
    app.sandbox.cancel(other, { push: false });
  });

  it('heals by trying again when the request never arrived', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'reset' });
    expect(statusOf((await app.page(callbackUrl(begun.redirectUri, authCode))).text)).toBe(
      'completed',
    );
  });

  it('asks for another scan when two accounts have changed, and is still healed by a late push', async () => {
    const [appid, other] = [newAccount(), newAccount()];
    const begun = await begin(app);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.authorize({ appid: other, preAuthCode: null, push: false });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(page.text)).toBe('failed');
    expect(page.text).toContain('再扫一次码');
    expect((await getAuthorization(app, begun.id)).failure?.code).toBe('authorization_lost');
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'completed',
      account: { appid },
      failure: null,
    });
    expect(statusOf((await app.page(callbackUrl(begun.redirectUri, authCode))).text)).toBe(
      'completed',
    );
    app.sandbox.cancel(other, { push: false });
  });

  it('guesses nothing while another tenant is authorizing', async () => {
    const appid = newAccount();
    const theirs = await begin(app, { accountType: 'any' }, 'brand-c');
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    expect((await getAuthorization(app, begun.id)).failure?.code).toBe('authorization_lost');
    expect(theirs.id).not.toBe(begun.id);
    app.clock.advance(1_800_000);
    app.sandbox.cancel(appid, { push: false });
  });

  it('heals at a reload when WeChat stays away after the lost answer', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'lost_answer' });
    app.sandbox.faults.add({ path: '/cgi-bin/component/*', kind: 'http_500', times: 2 });
    const first = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(first.text)).toBe('pending');
    const second = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(statusOf(second.text)).toBe('completed');
    expect((await getAuthorization(app, begun.id)).account?.appid).toBe(appid);
    await expectUsableToken(appid);
  });

  it('keeps the code for a reload while WeChat is away before the exchange', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'errcode', errcode: 45009 });
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(page.status).toBe(503);
    expect(statusOf(page.text)).toBe('pending');
    expect(page.text).toContain('重新尝试');
    expect(statusOf((await app.page(callbackUrl(begun.redirectUri, authCode))).text)).toBe(
      'completed',
    );
  });
});

describe('the redirect is not believed', () => {
  it('with a state that we did not make', async () => {
    const page = await app.page(
      callbackUrl(`${PUBLIC_URL}/authorize/callback/${'A'.repeat(43)}`, 'queryauthcode@@@x'),
    );
    expect(page.status).toBe(404);
    expect(page.text).toContain('无法识别这次授权');
  });

  it('with a state that has expired', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.clock.advance(1_800_000);
    const page = await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(page.status).toBe(410);
    expect(page.text).toContain('授权已过期');
    expect(await getAccount(app, appid)).toBeNull();
    app.sandbox.cancel(appid, { push: false });
  });

  it('with another code than the first', async () => {
    const [appid, other] = [newAccount(), newAccount()];
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    const stolen = app.sandbox.authorize({ appid: other, preAuthCode: null, push: false });
    const page = await app.page(callbackUrl(begun.redirectUri, stolen.authCode));
    expect(page.status).toBe(409);
    expect(page.text).toContain('已经处理过');
    expect(await getAccount(app, other)).toBeNull();
    app.sandbox.cancel(other, { push: false });
  });

  it('with a code that is forged, even for an account that has authorized us', async () => {
    const appid = newAccount();
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    const begun = await begin(app, { accountType: 'any', appid });
    const page = await app.page(callbackUrl(begun.redirectUri, 'queryauthcode@@@forged'));
    expect(statusOf(page.text)).toBe('failed');
    expect((await getAuthorization(app, begun.id)).failure?.code).toBe(
      'authorization_code_invalid',
    );
    expect((await getAccount(app, appid))?.tenantId).toBeNull();
  });

  it('without a code', async () => {
    const begun = await begin(app);
    const page = await app.page(begun.redirectUri);
    expect(page.status).toBe(400);
    expect(page.text).toContain('微信没有返回授权码');
  });

  it('with a code that has expired', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    app.sandbox.faults.add({ path: QUERY_AUTH, kind: 'errcode', errcode: 61010 });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    expect((await getAuthorization(app, begun.id)).failure?.code).toBe(
      'authorization_code_expired',
    );
    app.sandbox.cancel(appid, { push: false });
  });
});

describe('whose the account is', () => {
  it('the account goes to the tenant that asked', async () => {
    const appid = newAccount();
    const begun = await begin(app, { accountType: 'any' }, 'brand-a');
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect((await getAccount(app, appid, 'brand-a'))?.tenantId).toBe('brand-a');
    expect(await getAccount(app, appid, 'brand-b')).toBeNull();
  });

  it('an account of another tenant stays there and keeps working; the asker is told', async () => {
    const appid = newAccount();
    const first = await begin(app, { accountType: 'any' }, 'brand-a');
    await app.sandbox.authorize({ appid, preAuthCode: first.preAuthCode }).pushed;
    await app.settled();
    const second = await begin(app, { accountType: 'any' }, 'brand-b');
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: second.preAuthCode,
      push: false,
    });
    const page = await app.page(callbackUrl(second.redirectUri, authCode));
    expect(page.text).not.toContain(`测试账号${serial}`);
    expect(await getAuthorization(app, second.id)).toMatchObject({
      status: 'failed',
      account: null,
      failure: { code: 'account_held_elsewhere' },
    });
    expect((await getAccount(app, appid))?.tenantId).toBe('brand-a');
    await expectUsableToken(appid);
  });

  it('an authorization that nobody asked for is unclaimed, and seen by owners only', async () => {
    const appid = newAccount();
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    expect((await getAccount(app, appid))?.tenantId).toBeNull();
    expect(await getAccount(app, appid, 'default')).toBeNull();
    const list = await app.api<{ items: { appid: string }[] }>('GET', '/accounts?state=unclaimed');
    expect(list.body.items.map((item) => item.appid)).toContain(appid);
    const begun = await begin(app, { accountType: 'any' }, 'brand-a');
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode, permissionIds: [1] })
      .pushed;
    await app.settled();
    expect((await getAccount(app, appid))?.tenantId).toBe('brand-a');
  });

  it('another account than the one asked for fails the authorization and is not taken over', async () => {
    const [asked, other] = [newAccount(), newAccount()];
    const begun = await begin(app, { accountType: 'any', appid: asked });
    const { authCode } = app.sandbox.authorize({
      appid: other,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'failed',
      failure: { code: 'wrong_account' },
    });
    expect((await getAccount(app, other))?.tenantId).toBeNull();
  });

  it("answers another tenant's authorization and account like ones that do not exist", async () => {
    const appid = newAccount();
    const begun = await begin(app, { accountType: 'any' }, 'brand-a');
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    const foreign = { 'x-tenant-id': 'brand-b' };
    const paths = [
      `/authorizations/${begun.id}`,
      '/authorizations/nothing',
      `/accounts/${appid}`,
      '/accounts/wx0',
    ];
    const answers = await Promise.all(
      paths.map((path) => app.api('GET', path, undefined, foreign)),
    );
    const bodies = answers.map(({ status, body }) => ({
      ...body,
      status,
      instance: '',
      requestId: '',
    }));
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]).toMatchObject({ status: 404, code: 'not_found' });
    expect(
      await app.api('POST', '/authorizations', { accountType: 'any', appid }, foreign),
    ).toMatchObject({ status: 404 });
  });
});

describe('authorization events', () => {
  async function authorized(): Promise<string> {
    const appid = newAccount();
    const begun = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    return appid;
  }

  it('updateauthorized brings the new permissions and tokens', async () => {
    const appid = await authorized();
    app.clock.advance(60_000);
    await app.sandbox.authorize({ appid, preAuthCode: null, permissionIds: [1, 2, 3] }).pushed;
    await app.settled();
    const account = await getAccount(app, appid);
    expect(account?.missingPermissions.map(({ id }) => id)).toEqual([7, 8, 11, 15]);
    expect(account?.tenantId).toBe('default');
    await expectUsableToken(appid);
  });

  it('unauthorized ends it, and drops the tokens', async () => {
    const appid = await authorized();
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect(await getAccount(app, appid)).toMatchObject({
      enabled: false,
      authorization: { state: 'unauthorized', unauthorizedAt: app.clock.now().toISOString() },
    });
    await expect(app.app.get(TokensService).getToken(appid)).rejects.toMatchObject({
      code: 'account_not_authorized',
    });
  });

  it('an unauthorized from before the present authorization changes nothing, in whatever order it comes', async () => {
    const appid = await authorized();
    const createTime = Math.floor(app.clock.now().getTime() / 1000);
    app.clock.advance(60_000);
    app.sandbox.cancel(appid, { push: false });
    const again = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: again.preAuthCode }).pushed;
    await app.settled();
    await app.sandbox.pushEvent({
      InfoType: 'unauthorized',
      AuthorizerAppid: appid,
      CreateTime: createTime + 30,
    });
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
    await expectUsableToken(appid);
  });

  it('an older unauthorized does not undo an authorization that only the redirect brought', async () => {
    const appid = newAccount();
    const before = Math.floor(app.clock.now().getTime() / 1000);
    app.clock.advance(60_000);
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    await app.sandbox.pushEvent({
      InfoType: 'unauthorized',
      AuthorizerAppid: appid,
      CreateTime: before,
    });
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('unauthorized');
  });

  it('a cancellation on the way to it, told after the redirect, does not outlast the event that follows', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    app.clock.advance(60_000);
    const cancelledAt = Math.floor(app.clock.now().getTime() / 1000);
    app.clock.advance(60_000);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    await app.sandbox.pushEvent({
      InfoType: 'unauthorized',
      AuthorizerAppid: appid,
      CreateTime: cancelledAt,
    });
    await app.settled();
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('authorized');
    await expectUsableToken(appid);
    expect((await getAuthorization(app, begun.id)).status).toBe('completed');
  });

  it("an event of the same second counts, although WeChat's time has no milliseconds", async () => {
    app.clock.advance(700);
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('unauthorized');
    app.clock.advance(300);
  });

  it('an older authorized does not undo a cancellation', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { authCode, event } = app.sandbox.authorize({
      appid,
      preAuthCode: begun.preAuthCode,
      push: false,
    });
    await app.page(callbackUrl(begun.redirectUri, authCode));
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect((await getAccount(app, appid))?.authorization.state).toBe('unauthorized');
  });

  it('every other InfoType is answered and has no effect', async () => {
    const result = await app.sandbox.pushEvent({
      InfoType: 'notify_3rd_wxa_auth',
      appid: SERVICE_ACCOUNT,
    });
    expect(result.attempts).toEqual([{ status: 200, body: 'success' }]);
    await app.settled();
  });

  it('an account WeChat cancelled before we could exchange does not come in', async () => {
    const appid = newAccount();
    const begun = await begin(app);
    const { event } = app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode, push: false });
    app.sandbox.cancel(appid, { push: false });
    await app.sandbox.pushEvent(event ?? {});
    await app.settled();
    expect(await getAccount(app, appid)).toBeNull();
    expect(await getAuthorization(app, begun.id)).toMatchObject({
      status: 'failed',
      failure: { code: 'wechat_error' },
    } satisfies Partial<Record<keyof AuthorizationBody, unknown>>);
  });
});

describe('the ready accounts', () => {
  it('a mini-program is one, with its own minimum', async () => {
    const begun = await begin(app, { accountType: 'mini_program' });
    await app.sandbox.authorize({ appid: MINI_PROGRAM, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    expect(await getAccount(app, MINI_PROGRAM)).toMatchObject({
      accountType: 'mini_program',
      subtype: 'mini_program',
      missingPermissions: [],
      permissions: [17, 19, 30, 88].map((id) => ({ id, required: true, granted: true })),
    });
  });
});
