import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { newsReply, parseXml, sealReply, textReply } from '@app/wechat';
import { request } from 'undici';
import WXBizMsgCrypt from 'wechat-crypto';

import { type SandboxAccount, WechatSandbox } from './index.js';

const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: 'sandbox0secret0sandbox0secret000',
  token: 'sandboxToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
const SERVICE_ACCOUNT = 'wx1badb002feedface';
const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const HOUR_MS = 3_600_000;

let sandbox: WechatSandbox;
let now: number;
let receiver: Server;
let received: { path: string; query: URLSearchParams; body: string }[];
let receiverStatus: number;
let receiverBody: string;

beforeEach(async () => {
  now = Date.UTC(2026, 0, 31, 15);
  received = [];
  receiverStatus = 200;
  receiverBody = 'success';
  receiver = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { pathname, searchParams } = new URL(incoming.url ?? '', 'http://x');
      received.push({
        path: pathname,
        query: searchParams,
        body: Buffer.concat(chunks).toString(),
      });
      response.writeHead(receiverStatus).end(receiverBody);
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const receiverUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  sandbox = await WechatSandbox.start({
    component,
    launchDomain: 'channel.test',
    eventsUrl: `${receiverUrl}/events`,
    messagesUrl: `${receiverUrl}/accounts/$APPID$/messages`,
    now: () => now,
    pushRetryDelaysMs: [0, 0],
  });
});

afterEach(async () => {
  await sandbox.stop();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

type Answer = Record<string, unknown> & { errcode?: number };

async function call(path: string, body: object | string | null, token?: string): Promise<Answer> {
  const response = await request(`${sandbox.url}/cgi-bin${path}`, {
    method: 'POST',
    query: token === undefined ? {} : { access_token: token },
    body: body === null ? '' : typeof body === 'string' ? body : JSON.stringify(body),
  });
  return (await response.body.json()) as Answer;
}

const own = { component_appid: component.appid };

async function componentToken(): Promise<string> {
  await sandbox.pushTicket('ticket@@@now');
  const answer = await call('/component/api_component_token', {
    ...own,
    component_appsecret: component.appSecret,
    component_verify_ticket: 'ticket@@@now',
  });
  return String(answer['component_access_token']);
}

async function exchanged(
  appid: string,
): Promise<{ token: string; accessToken: string; refreshToken: string; authCode: string }> {
  const token = await componentToken();
  const { authCode } = sandbox.authorize({ appid, preAuthCode: null, push: false });
  const answer = await call(
    '/component/api_query_auth',
    { ...own, authorization_code: authCode },
    token,
  );
  const info = answer['authorization_info'] as Record<string, string>;
  return {
    token,
    authCode,
    accessToken: info['authorizer_access_token'] ?? '',
    refreshToken: info['authorizer_refresh_token'] ?? '',
  };
}

describe('the component API', () => {
  it('gives a token for the ticket that was pushed, until it is twelve hours old', async () => {
    const ask = (ticket: string, secret = component.appSecret) =>
      call('/component/api_component_token', {
        ...own,
        component_appsecret: secret,
        component_verify_ticket: ticket,
      });
    expect(await ask('ticket@@@never')).toMatchObject({ errcode: 61006 });
    await sandbox.pushTicket('ticket@@@a');
    expect(await ask('ticket@@@a')).toMatchObject({
      component_access_token: expect.any(String),
      expires_in: 7200,
    });
    expect(await ask('ticket@@@a', 'wrong')).toMatchObject({ errcode: 40125 });
    now += 12 * HOUR_MS + 1;
    expect(await ask('ticket@@@a')).toMatchObject({ errcode: 61005 });
  });

  it('retires a token when the next one is fetched, and ends it after two hours', async () => {
    const first = await componentToken();
    const second = await componentToken();
    expect(await call('/component/api_create_preauthcode', own, first)).toMatchObject({
      errcode: 40001,
    });
    expect(await call('/component/api_create_preauthcode', own, second)).toMatchObject({
      expires_in: 1800,
    });
    now += 2 * HOUR_MS + 1;
    expect(await call('/component/api_create_preauthcode', own, second)).toMatchObject({
      errcode: 42001,
    });
  });

  it('checks method, body and token in that order, with a rid that can be looked up', async () => {
    const token = await componentToken();
    const got = await request(`${sandbox.url}/cgi-bin/component/api_create_preauthcode`);
    expect(await got.body.json()).toMatchObject({ errcode: 43002 });
    expect(await call('/component/api_create_preauthcode', null, token)).toMatchObject({
      errcode: 44002,
    });
    expect(await call('/component/api_create_preauthcode', '{', token)).toMatchObject({
      errcode: 47001,
    });
    expect(await call('/component/api_create_preauthcode', own)).toMatchObject({ errcode: 41001 });
    const refused = await call('/component/api_create_preauthcode', own, 'unknown');
    expect(refused).toMatchObject({ errcode: 40001 });
    const rid = /rid: ([0-9a-f-]{26})$/.exec(String(refused['errmsg']))?.[1];
    expect(await call('/openapi/rid/get', { rid }, token)).toMatchObject({
      request: { request_url: '/cgi-bin/component/api_create_preauthcode' },
    });
    expect(
      await call('/openapi/rid/get', { rid: '00000000-00000000-00000000' }, token),
    ).toMatchObject({ errcode: 76001 });
    expect(await call('/openapi/rid/get', { rid: 'x' }, token)).toMatchObject({ errcode: 76002 });
    expect(await call('/nothing', own, token)).toMatchObject({ errcode: 40066 });
  });

  it('tells the two kinds of token apart', async () => {
    const { token, accessToken } = await exchanged(SERVICE_ACCOUNT);
    expect(await call('/component/api_create_preauthcode', own, accessToken)).toMatchObject({
      errcode: 61014,
    });
    expect(await call('/message/custom/send', { touser: 'o' }, token)).toMatchObject({
      errcode: 61015,
    });
  });

  it('exchanges a code once, while it lives', async () => {
    const { token, authCode } = await exchanged(SERVICE_ACCOUNT);
    const ask = (code: string) =>
      call('/component/api_query_auth', { ...own, authorization_code: code }, token);
    expect(await ask(authCode)).toMatchObject({ errcode: 61009 });
    expect(await ask('queryauthcode@@@unknown')).toMatchObject({ errcode: 61009 });
    const late = sandbox.authorize({ appid: MINI_PROGRAM, preAuthCode: null, push: false });
    now += HOUR_MS + 1;
    expect(await ask(late.authCode)).toMatchObject({ errcode: 61010 });
  });

  it('kills the old access token at a refresh, and takes only the right refresh token', async () => {
    const { token, accessToken, refreshToken } = await exchanged(SERVICE_ACCOUNT);
    const other = await exchanged(MINI_PROGRAM);
    const refresh = (appid: string, value: string) =>
      call(
        '/component/api_authorizer_token',
        { ...own, authorizer_appid: appid, authorizer_refresh_token: value },
        other.token,
      );
    expect(token).not.toBe(other.token);
    expect(await refresh(SERVICE_ACCOUNT, refreshToken)).toMatchObject({
      authorizer_refresh_token: refreshToken,
      expires_in: 7200,
    });
    expect(await call('/clear_quota', { appid: SERVICE_ACCOUNT }, accessToken)).toMatchObject({
      errcode: 40001,
    });
    expect(await refresh(SERVICE_ACCOUNT, other.refreshToken)).toMatchObject({ errcode: 61023 });
    expect(await refresh(SERVICE_ACCOUNT, '')).toMatchObject({ errcode: 61023 });
    expect(await refresh('wx2b00b1e52b00b1e5', refreshToken)).toMatchObject({ errcode: 61003 });
    sandbox.rotateRefreshToken(SERVICE_ACCOUNT);
    const rotated = await refresh(SERVICE_ACCOUNT, refreshToken);
    expect(rotated['authorizer_refresh_token']).not.toBe(refreshToken);
    now += 5 * 60_000 + 1;
    expect(await refresh(SERVICE_ACCOUNT, refreshToken)).toMatchObject({ errcode: 61023 });
  });

  it('gives a new refresh token with every authorization, and shows none before an exchange', async () => {
    const { token, refreshToken, accessToken } = await exchanged(SERVICE_ACCOUNT);
    sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null, push: false });
    sandbox.authorize({ appid: MINI_PROGRAM, preAuthCode: null, push: false });
    expect(await call('/clear_quota', { appid: SERVICE_ACCOUNT }, accessToken)).toMatchObject({
      errcode: 40001,
    });
    const list = await call(
      '/component/api_get_authorizer_list',
      { ...own, offset: 0, count: 500 },
      token,
    );
    const tokens = Object.fromEntries(
      (list['list'] as { authorizer_appid: string; refresh_token: string }[]).map((item) => [
        item.authorizer_appid,
        item.refresh_token,
      ]),
    );
    expect(tokens[MINI_PROGRAM]).toBe('');
    expect(tokens[SERVICE_ACCOUNT]).not.toBe(refreshToken);
    expect(tokens[SERVICE_ACCOUNT]).toMatch(/^refreshtoken@@@/);
  });

  it('lists in pages of 500 at the most', async () => {
    const token = await componentToken();
    for (let n = 0; n < 1200; n++) {
      const appid = `wx${n.toString(16).padStart(16, '0')}`;
      sandbox.addAccount({ appid });
      sandbox.authorize({ appid, preAuthCode: null, push: false });
    }
    const page = async (offset: number, count: number): Promise<Answer> =>
      call('/component/api_get_authorizer_list', { ...own, offset, count }, token);
    expect(await page(0, 501)).toMatchObject({ errcode: 40170 });
    const sizes = await Promise.all(
      [0, 500, 1000, 1500].map(
        async (offset) => ((await page(offset, 500))['list'] as object[]).length,
      ),
    );
    expect(sizes).toEqual([500, 500, 200, 0]);
  });

  it('forgets everything of an account that cancels', async () => {
    const { token, accessToken } = await exchanged(SERVICE_ACCOUNT);
    sandbox.cancel(SERVICE_ACCOUNT, { push: false });
    expect(
      await call(
        '/component/api_get_authorizer_info',
        { ...own, authorizer_appid: SERVICE_ACCOUNT },
        token,
      ),
    ).toMatchObject({ errcode: 61003 });
    expect(await call('/clear_quota', { appid: SERVICE_ACCOUNT }, accessToken)).toMatchObject({
      errcode: 40001,
    });
  });
});

describe('the stable token', () => {
  const ask = (over: object = {}) =>
    call('/stable_token', {
      grant_type: 'client_credential',
      appid: MINI_PROGRAM,
      secret: sandbox.account(MINI_PROGRAM).appSecret,
      force_refresh: false,
      ...over,
    });
  const isGood = async (token: unknown): Promise<boolean> => {
    const path = { cgi_path: '/cgi-bin/message/custom/send' };
    return (await call('/openapi/quota/get', path, String(token))).errcode === 0;
  };

  it('is the same for everybody until five minutes before its end', async () => {
    const first = await ask();
    expect(first).toMatchObject({ access_token: expect.any(String), expires_in: 7200 });
    now += 6000_000;
    expect(await ask()).toEqual({ access_token: first['access_token'], expires_in: 1200 });
    now += 900_000;
    const second = await ask();
    expect(second).toMatchObject({ expires_in: 7200 });
    expect(second['access_token']).not.toBe(first['access_token']);
    expect(await isGood(first['access_token'])).toBe(true);
    const third = await ask({ force_refresh: true });
    expect(await isGood(second['access_token'])).toBe(false);
    expect(await isGood(third['access_token'])).toBe(true);
  });

  it('neither ends the tokens of the platform nor is ended by them, and needs no grant', async () => {
    const { access_token: stable } = await ask();
    const { accessToken } = await exchanged(MINI_PROGRAM);
    expect(await ask()).toMatchObject({ access_token: stable });
    for (const token of [accessToken, String(stable)])
      expect(await call('/account/getaccountbasicinfo', {}, token)).toMatchObject({
        appid: MINI_PROGRAM,
        account_type: 3,
      });
    sandbox.cancel(MINI_PROGRAM);
    await sandbox.person(MINI_PROGRAM, 'oAbC').write('x');
    const message = { touser: 'oAbC', msgtype: 'text', text: { content: 'x' } };
    expect(await call('/message/custom/send', message, String(stable))).toMatchObject({
      errcode: 0,
    });
  });

  it.each([
    ['another grant', { grant_type: 'password' }, 40002],
    ['no appid', { appid: '' }, 41002],
    ['an unknown appid', { appid: 'wx0000000000000000' }, 40013],
    ['no secret', { secret: '' }, 41004],
    ['a secret that is none', { secret: 'short' }, 40125],
    ['a wrong secret', { secret: '0'.repeat(32) }, 40001],
  ])('is refused with %s', async (_what, over, errcode) => {
    expect(await ask(over)).toMatchObject({ errcode });
  });

  it('is refused for a frozen secret, and from an address that is not in the whitelist', async () => {
    const account = sandbox.account(MINI_PROGRAM);
    account.ipWhitelist = ['203.0.113.7'];
    expect(await ask()).toMatchObject({
      errcode: 40164,
      errmsg: expect.stringMatching(/^invalid ip 127\.0\.0\.1 .*not in whitelist rid: /),
    });
    account.ipWhitelist.push('127.0.0.1');
    expect(await ask()).toMatchObject({ expires_in: 7200 });
    account.isSecretFrozen = true;
    expect(await ask()).toMatchObject({ errcode: 40243 });
  });
});

describe('quotas', () => {
  it('end the day with 45009 until they are reset, ten times a Shanghai month', async () => {
    const { accessToken, token } = await exchanged(SERVICE_ACCOUNT);
    sandbox.data.dailyLimits['/cgi-bin/message/custom/send'] = 2;
    await sandbox.person(SERVICE_ACCOUNT, 'oPerson').write('x');
    const message = { touser: 'oPerson', msgtype: 'text', text: { content: 'x' } };
    const sendTo = () => call('/message/custom/send', message, accessToken);
    expect([await sendTo(), await sendTo(), await sendTo()].map(({ errcode }) => errcode)).toEqual([
      0, 0, 45009,
    ]);
    const figures = await call(
      '/openapi/quota/get',
      { cgi_path: '/cgi-bin/message/custom/send' },
      accessToken,
    );
    expect(figures).toMatchObject({ quota: { daily_limit: 2, used: 2, remain: 0 } });
    expect(
      await call('/openapi/quota/get', { cgi_path: 'https://x/y' }, accessToken),
    ).toMatchObject({ errcode: 76003 });
    expect(await call('/openapi/quota/get', { cgi_path: '/nothing' }, accessToken)).toMatchObject({
      errcode: 76021,
    });
    const reset = () => call('/clear_quota', { appid: SERVICE_ACCOUNT }, accessToken);
    expect(await reset()).toEqual({ errcode: 0, errmsg: 'ok' });
    expect(await sendTo()).toMatchObject({ errcode: 0 });
    const bySecret = () =>
      call('/component/clear_quota/v2', {
        ...own,
        appsecret: component.appSecret,
        appid: SERVICE_ACCOUNT,
      });
    for (let n = 0; n < 9; n++) expect(await bySecret()).toMatchObject({ errcode: 0 });
    expect(await reset()).toMatchObject({ errcode: 48006 });
    expect(await call('/clear_quota', { appid: MINI_PROGRAM }, token)).toMatchObject({
      errcode: 40013,
    });
    now += HOUR_MS; // Shanghai is eight hours ahead: 31 January 15:00 UTC is its last hour.
    expect(await reset()).toMatchObject({ errcode: 0 });
  });

  it('refuses an API whose permission was not granted', async () => {
    const token = await componentToken();
    const { authCode } = sandbox.authorize({
      appid: SERVICE_ACCOUNT,
      preAuthCode: null,
      permissionIds: [2],
      push: false,
    });
    const answer = await call(
      '/component/api_query_auth',
      { ...own, authorization_code: authCode },
      token,
    );
    const { authorizer_access_token: accessToken } = answer['authorization_info'] as Record<
      string,
      string
    >;
    expect(await call('/message/custom/send', { touser: 'o' }, accessToken)).toMatchObject({
      errcode: 61007,
    });
  });
});

describe('faults', () => {
  const path = '/cgi-bin/component/api_start_push_ticket';
  const start = () =>
    request(`${sandbox.url}${path}`, {
      method: 'POST',
      body: JSON.stringify({ ...own, component_secret: component.appSecret }),
      signal: AbortSignal.timeout(200),
    });

  it.each([
    ['errcode', async () => ((await (await start()).body.json()) as Answer).errcode, -1],
    ['http_500', async () => (await start()).statusCode, 500],
    ['not_json', async () => (await (await start()).body.text()).slice(0, 6), '<html>'],
    ['delay', async () => ((await (await start()).body.json()) as Answer).errcode, 0],
    ['reset', async () => start().catch(() => 'broken'), 'broken'],
    ['hang', async () => start().catch(() => 'broken'), 'broken'],
    ['lost_answer', async () => start().catch(() => 'broken'), 'broken'],
  ] as const)('%s spoils one call', async (kind, act, expected) => {
    sandbox.faults.add({ path: '/cgi-bin/component/*', kind, delayMs: 1 });
    expect(await act()).toBe(expected);
    expect((await start()).statusCode).toBe(200);
    await sandbox.settled();
    // The ticket of the second call, and of those faults after which the effect stands.
    expect(received).toHaveLength(kind === 'delay' || kind === 'lost_answer' ? 2 : 1);
  });

  it('strike only the account they are for', async () => {
    const token = await componentToken();
    for (const appid of [SERVICE_ACCOUNT, MINI_PROGRAM])
      sandbox.authorize({ appid, preAuthCode: null, push: false });
    sandbox.faults.add({
      path: '/cgi-bin/component/api_get_authorizer_info',
      appid: MINI_PROGRAM,
      kind: 'errcode',
      errcode: -1,
    });
    const info = (appid: string) =>
      call('/component/api_get_authorizer_info', { ...own, authorizer_appid: appid }, token);
    expect(await info(SERVICE_ACCOUNT)).toHaveProperty('authorizer_info');
    expect(await info(MINI_PROGRAM)).toMatchObject({ errcode: -1 });
    expect(await info(MINI_PROGRAM)).toHaveProperty('authorizer_info.MiniProgramInfo');
  });
});

const independent = new WXBizMsgCrypt(component.token, component.encodingAesKey, component.appid);

function opened(body = ''): { message: string; id: string } {
  return independent.decrypt(/<Encrypt><!\[CDATA\[(.*)\]\]><\/Encrypt>/.exec(body)?.[1] ?? '');
}

describe('pushes', () => {
  it('are signed and encrypted as the independent implementation does it', async () => {
    expect(await sandbox.pushTicket('ticket@@@x')).toEqual({
      attempts: [{ status: 200, body: 'success' }],
      delivered: true,
    });
    const { query, body } = received[0] ?? { query: new URLSearchParams(), body: '' };
    const encrypted = /<Encrypt><!\[CDATA\[(.*)\]\]><\/Encrypt>/.exec(body)?.[1] ?? '';
    expect(query.get('msg_signature')).toBe(
      independent.getSignature(query.get('timestamp') ?? '', query.get('nonce') ?? '', encrypted),
    );
    const { message, id } = independent.decrypt(encrypted);
    expect(id).toBe(component.appid);
    expect(message).toContain(
      '<ComponentVerifyTicket><![CDATA[ticket@@@x]]></ComponentVerifyTicket>',
    );
  });

  it('are sent three times at the most, the same content under new signatures', async () => {
    receiverStatus = 503;
    expect(await sandbox.pushTicket()).toMatchObject({
      attempts: [{ status: 503 }, { status: 503 }, { status: 503 }],
      delivered: false,
    });
    expect(new Set(received.map(({ query }) => query.get('msg_signature'))).size).toBe(3);
  });

  it('tell of an authorization once, of a change, and of a cancellation, but not of nothing', async () => {
    const events = (): (string | undefined)[] =>
      received.map(({ body }) => /<InfoType><!\[CDATA\[(\w+)/.exec(opened(body).message)?.[1]);
    await sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null }).pushed;
    await sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null }).pushed;
    await sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null, permissionIds: [1] })
      .pushed;
    await sandbox.cancel(SERVICE_ACCOUNT).pushed;
    expect(events()).toEqual(['authorized', 'updateauthorized', 'unauthorized']);
  });
});

describe('messages', () => {
  const SENDER = 'oPerson00000000000000000001';
  const head = { to: SENDER, from: 'gh_0123456789ab', createTime: 1_769_871_600 };
  const text = { FromUserName: SENDER, MsgType: 'text', Content: '你好' };
  const seal = (clear: string, over: Partial<Parameters<typeof sealReply>[1]> = {}): string =>
    sealReply(clear, {
      ...component,
      timestamp: 1_769_871_600,
      nonce: '1234567890',
      format: 'xml',
      ...over,
    });

  it("go to the account's address, sealed with the component's identity", async () => {
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toEqual({
      attempts: [{ status: 200, body: 'success' }],
      delivered: true,
      reply: null,
    });
    const { path, query, body } = received[0] ?? { query: new URLSearchParams() };
    expect(path).toBe(`/accounts/${SERVICE_ACCOUNT}/messages`);
    expect(query.get('openid')).toBe(SENDER);
    const { ToUserName, Encrypt } = parseXml(body ?? '');
    expect(ToUserName).toBe('gh_0123456789ab');
    expect(query.get('msg_signature')).toBe(
      independent.getSignature(
        query.get('timestamp') ?? '',
        query.get('nonce') ?? '',
        Encrypt as string,
      ),
    );
    const { message, id } = opened(body);
    expect(id).toBe(component.appid);
    expect(parseXml(message)).toEqual({
      ToUserName: 'gh_0123456789ab',
      CreateTime: String(now / 1000),
      MsgId: expect.stringMatching(/^[1-9]\d{18}$/),
      ...text,
    });
  });

  it('have a number each, events none, and what is given goes over it', async () => {
    await sandbox.pushMessage(SERVICE_ACCOUNT, { MsgType: 'text' });
    await sandbox.pushMessage(SERVICE_ACCOUNT, { MsgType: 'text' });
    await sandbox.pushMessage(SERVICE_ACCOUNT, { MsgType: 'event', Event: 'subscribe' });
    await sandbox.pushMessage(SERVICE_ACCOUNT, {
      MsgType: 'text',
      MsgId: '7',
      CreateTime: 5,
      ToUserName: 'gh_else',
    });
    const [first, second, event, given] = received.map(({ body }) =>
      parseXml(opened(body).message),
    );
    expect(first?.['MsgId']).not.toBe(second?.['MsgId']);
    expect(first?.['FromUserName']).toMatch(/^o[\w-]{27}$/);
    expect(event).not.toHaveProperty('MsgId');
    expect(given).toMatchObject({ MsgId: '7', CreateTime: '5', ToUserName: 'gh_else' });
  });

  it('bring back the passive reply, nested texts by their path', async () => {
    receiverBody = seal(textReply(head, '收到 ]]> & <b>'));
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toMatchObject({
      attempts: [{ status: 200 }],
      delivered: true,
      reply: {
        ToUserName: SENDER,
        FromUserName: 'gh_0123456789ab',
        CreateTime: '1769871600',
        MsgType: 'text',
        Content: '收到 ]]> & <b>',
      },
    });
    const article = { title: '一', description: '', imageUrl: '', url: 'https://a.test/' };
    receiverBody = seal(newsReply(head, [article, { ...article, title: '二' }]));
    expect((await sandbox.pushMessage(SERVICE_ACCOUNT, text)).reply).toMatchObject({
      ArticleCount: '2',
      'Articles.item.0.Url': 'https://a.test/',
      'Articles.item.1.Title': '二',
    });
  });

  it('may be answered with nothing, which a component event may not', async () => {
    receiverBody = '';
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toMatchObject({
      attempts: [{ status: 200 }],
      delivered: true,
      reply: null,
    });
    expect(await sandbox.pushTicket()).toMatchObject({ delivered: false });
    receiverBody = seal(textReply(head, '收到'));
    expect(await sandbox.pushTicket()).toMatchObject({ delivered: false });
  });

  it.each([
    ['garbage', '<html>maintenance</html>'],
    ['JSON', '{"errcode":0}'],
    ['a reply in the clear', textReply(head, '收到')],
    ['a reply in JSON', seal('{}', { format: 'json' })],
    ["another Token's signature", seal(textReply(head, '收到'), { token: 'another' })],
    ["another appid's reply", seal(textReply(head, '收到'), { appid: SERVICE_ACCOUNT })],
    [
      "another key's reply",
      seal(textReply(head, '收到'), { encodingAesKey: component.encodingAesKey.toUpperCase() }),
    ],
    ['an unreadable reply', seal('hello')],
  ])('are pushed again after %s', async (_case, body) => {
    receiverBody = body;
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toEqual({
      attempts: Array.from({ length: 3 }, () => ({ status: 200, body })),
      delivered: false,
      reply: null,
    });
    const numbers = received.map((push) => parseXml(opened(push.body).message)['MsgId']);
    expect(new Set(numbers).size).toBe(1);
  });

  it('bring back no reply that stands under an error', async () => {
    receiverStatus = 500;
    receiverBody = seal(textReply(head, '收到'));
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toMatchObject({
      delivered: false,
      reply: null,
    });
  });

  it('go nowhere without an address, and come only from accounts there are', async () => {
    sandbox.messagesUrl = null;
    expect(await sandbox.pushMessage(SERVICE_ACCOUNT, text)).toEqual({
      attempts: [],
      delivered: false,
      reply: null,
    });
    await expect(sandbox.pushMessage('wx0', text)).rejects.toThrow(RangeError);
  });

  it('are remembered, when the platform sends one, with the code that gave the token', async () => {
    const { token, accessToken, authCode, refreshToken } = await exchanged(SERVICE_ACCOUNT);
    await sandbox.person(SERVICE_ACCOUNT, SENDER).write('x');
    const message = { touser: SENDER, msgtype: 'text', text: { content: 'y' } };
    await call('/message/custom/send', message, accessToken);
    const refreshed = await call(
      '/component/api_authorizer_token',
      {
        ...own,
        authorizer_appid: SERVICE_ACCOUNT,
        authorizer_refresh_token: refreshToken,
      },
      token,
    );
    const newToken = String(refreshed['authorizer_access_token']);
    await call('/message/custom/send', message, newToken);
    expect(sandbox.data.messages).toMatchObject([
      { appid: SERVICE_ACCOUNT, toUser: SENDER, authorizationCode: authCode },
      { appid: SERVICE_ACCOUNT, toUser: SENDER, authorizationCode: null },
    ]);
  });
});

describe('the scan page', () => {
  async function scanUrl(over: Record<string, string> = {}): Promise<string> {
    const token = await componentToken();
    const { pre_auth_code: code } = await call('/component/api_create_preauthcode', own, token);
    const query = new URLSearchParams({
      component_appid: component.appid,
      pre_auth_code: String(code),
      redirect_uri: 'http://channel.test/back/s?x=1',
      auth_type: '3',
      ...over,
    });
    return `${sandbox.url}/cgi-bin/componentloginpage?${query.toString()}`;
  }
  const visit = async (
    url: string,
    referer?: string,
  ): Promise<{ status: number; text: string }> => {
    const response = await request(url, { headers: referer === undefined ? {} : { referer } });
    return { status: response.statusCode, text: await response.body.text() };
  };
  const post = (path: string, fields: Record<string, string> | [string, string][]) =>
    request(`${sandbox.url}${path}`, {
      method: 'POST',
      body: new URLSearchParams(fields).toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  const sessionOf = (text: string): string =>
    /name="session"\s+value="([^"]+)"/.exec(text)?.[1] ?? '';

  it('refuses a visit that does not come from our page, and says from where it came', async () => {
    const url = await scanUrl();
    expect(await visit(url)).toMatchObject({
      status: 403,
      text: expect.stringContaining('授权入口页所在域名：空'),
    });
    expect(await visit(url, 'https://evil.test/')).toMatchObject({
      status: 403,
      text: expect.stringContaining('evil.test'),
    });
    expect(await visit(url, 'http://channel.test/')).toMatchObject({ status: 200 });
  });

  it.each([
    ['another component', { component_appid: 'wx1' }],
    ['a code that is unknown', { pre_auth_code: 'preauthcode@@@no' }],
    ['a return to another domain', { redirect_uri: 'https://evil.test/back' }],
  ])('refuses %s', async (_case, over) => {
    expect((await visit(await scanUrl(over), 'http://channel.test/')).status).toBe(403);
  });

  it('refuses a code that has expired', async () => {
    const url = await scanUrl();
    now += 1_800_001;
    expect(await visit(url, 'http://channel.test/')).toMatchObject({
      status: 403,
      text: expect.stringContaining('已过期'),
    });
  });

  it.each([
    [{ auth_type: '1' }, [true, false]],
    [{ auth_type: '2' }, [false, true]],
    [{ auth_type: '3' }, [true, true]],
    [{ auth_type: '1', biz_appid: MINI_PROGRAM }, [false, true]],
  ])('offers the accounts of %j', async (over, expected) => {
    const { text } = await visit(await scanUrl(over), 'http://channel.test/');
    expect([SERVICE_ACCOUNT, MINI_PROGRAM].map((appid) => text.includes(appid))).toEqual(expected);
  });

  it('sends the browser back with a code, once', async () => {
    const url = await scanUrl({ category_id_list: '1|7' });
    const session = sessionOf((await visit(url, 'http://channel.test/')).text);
    const choose = await post('/_scan/permissions', { session, appid: SERVICE_ACCOUNT });
    const boxes = [
      ...(await choose.body.text()).matchAll(/name="permission"\s+value="(\d+)"/g),
    ].map(([, id]) => id);
    expect(boxes).toEqual(['1', '7']);
    const fields: [string, string][] = [
      ['session', session],
      ['appid', SERVICE_ACCOUNT],
      ['permission', '1'],
    ];
    const confirmed = await post('/_scan/confirm', fields);
    expect(confirmed.statusCode).toBe(303);
    expect(String(confirmed.headers['location'])).toMatch(
      /^http:\/\/channel\.test\/back\/s\?x=1&auth_code=queryauthcode/,
    );
    await confirmed.body.dump();
    expect(sandbox.account(SERVICE_ACCOUNT).authorization?.permissionIds).toEqual([1]);
    const again = await post('/_scan/confirm', fields);
    expect(again.statusCode).toBe(403);
    await again.body.dump();
    expect((await visit(url, 'http://channel.test/')).text).toContain('已使用');
  });
});

describe('the control API', () => {
  const control = async <T = Record<string, unknown>>(
    command: string,
    body: object = {},
  ): Promise<{ status: number; body: T }> => {
    const response = await request(`${sandbox.url}/_sandbox/${command}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return {
      status: response.statusCode,
      body: (await response.body.json()) as T,
    };
  };

  it('scripts everything from outside', async () => {
    expect((await control('account', { appid: 'wxffffffffffffffff', nickname: '新' })).status).toBe(
      200,
    );
    expect((await control('authorize', { appid: 'wxffffffffffffffff' })).body).toMatchObject({
      push: { delivered: true },
    });
    expect(
      (await control('fault', { path: '/cgi-bin/*', kind: 'errcode', errcode: -1 })).status,
    ).toBe(200);
    expect(await call('/component/api_component_token', own)).toMatchObject({ errcode: -1 });
    expect((await control('advance', { seconds: 60 })).body).toEqual({ clockOffsetMs: 60_000 });
    expect(sandbox.now()).toBe(now + 60_000);
    expect((await control('cancel', { appid: 'wxffffffffffffffff' })).body).toMatchObject({
      push: { delivered: true },
    });
    const { body: settings } = await control<Record<string, string>>('settings', {
      messagesUrl: sandbox.messagesUrl?.replace('/messages', '/inbox'),
    });
    expect(settings['messagesUrl']).toMatch(/\/accounts\/\$APPID\$\/inbox$/);
    expect(
      (
        await control('message', {
          appid: 'wxffffffffffffffff',
          fields: { MsgType: 'text', Content: '你好' },
        })
      ).body,
    ).toMatchObject({ delivered: true, reply: null });
    expect(received.at(-1)?.path).toBe('/accounts/wxffffffffffffffff/inbox');
    const { body: state } = await control<{ accounts: SandboxAccount[] }>('state');
    expect(
      state.accounts.find(({ appid }) => appid === 'wxffffffffffffffff')?.authorization,
    ).toBeNull();
    const { body: journal } = await control<{ path: string; errcode: number }[]>('journal');
    expect(journal).toMatchObject([
      { path: '/cgi-bin/component/api_component_token', errcode: -1 },
    ]);
  });

  it('draws a picture and a QR code for each of its accounts, the same each time', async () => {
    for (const folder of ['mmopen', 'mmbiz_png']) {
      const read = async (appid: string): Promise<Buffer> => {
        const response = await fetch(`${sandbox.url}/${folder}/${appid}/0`);
        expect(response.headers.get('content-type')).toBe('image/png');
        return Buffer.from(await response.arrayBuffer());
      };
      const picture = await read('wx1');
      expect(picture.subarray(1, 4).toString()).toBe('PNG');
      expect(picture.equals(await read('wx1'))).toBe(true);
      expect(picture.equals(await read('wx2'))).toBe(false);
    }
  });

  it('says what it cannot do', async () => {
    expect(await control('nothing')).toMatchObject({
      status: 404,
      body: { commands: expect.arrayContaining(['state', 'fault']) },
    });
    expect(await control('cancel', { appid: 'wx0' })).toMatchObject({ status: 400 });
    expect(await control('message', { appid: 'wx0' })).toMatchObject({ status: 400 });
    expect(await control('cancel')).toMatchObject({
      status: 400,
      body: { error: '"appid" is missing' },
    });
  });
});
