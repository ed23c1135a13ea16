import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';

import { WechatApiError } from '@app/wechat';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ModuleRef } from '@nestjs/core';

import { Database } from '../src/database/database.js';
import { SendConfig } from '../src/send-config/send-config.entity.js';
import { SendConfigService } from '../src/send-config/send-config.service.js';
import { SendTokens } from '../src/send-config/send-tokens.js';
import { TokenRefreshService } from '../src/token-refresh/token-refresh.service.js';
import { TokenRefresher } from '../src/tokens/token-refresher.js';
import { TokenRow } from '../src/tokens/token.entity.js';
import { TokensModule } from '../src/tokens/tokens.module.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { authorizationOf, begin, MINI_PROGRAM, SERVICE_ACCOUNT } from './helpers.js';
import { TokenServer } from './token-server.js';
import { until } from './until.js';

const STABLE_TOKEN = '/cgi-bin/stable_token';
const MINUTE_MS = 60_000;
/** What a customer would not want to be seen anywhere. */
const QUERY_SECRET = 'query-secret-0123456789abcdef';
const HEADER_SECRET = 'header-secret-0123456789abcdef';

interface Verification {
  at: string;
  ok: boolean;
  detail: string | null;
}

interface ConfigBody {
  strategy: string | null;
  accessTokenUrl?: string;
  headers?: Record<string, { set: boolean; hint: string }>;
  tokenPointer?: string | null;
  appSecret?: { set: boolean; hint: string };
  lastVerification: Verification | null;
  health: {
    state: string;
    failCount: number;
    lastSuccessAt: string | null;
    lastFailure: { at: string; step: string; detail: string } | null;
    nextTryAt: string | null;
  } | null;
}

interface ProblemBody {
  code: string;
  errors: { field: string; code: string; detail: string }[];
}

let app: TestApp;
let server: TokenServer;
let tls: TokenServer;
let serial = 0;

beforeAll(async () => {
  app = await startApp({
    env: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8' },
    secrets: [QUERY_SECRET, HEADER_SECRET],
  });
  server = await TokenServer.start();
  tls = await TokenServer.start({ tls: true });
  for (const appid of [MINI_PROGRAM, SERVICE_ACCOUNT]) await authorize(appid);
});
afterAll(async () => {
  await app.stop();
  await server.stop();
  await tls.stop();
});
afterEach(() => {
  app.sandbox.faults.clear();
  server.asked.length = 0;
  app.clock.advance(1_000);
});

async function authorize(appid: string, tenant?: string): Promise<void> {
  const { preAuthCode } = await begin(app, { accountType: 'any' }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
}

async function newMiniProgram(tenant?: string): Promise<string> {
  const appid = `wx${(0x5e4d0000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, accountType: 'mini_program' });
  await authorize(appid, tenant);
  return appid;
}

/** A token as WeChat would have given it to the customer's own server. */
function newToken(appid: string, seconds = 7_200): string {
  const token = `72_${randomBytes(24).toString('base64url')}`;
  const expiresAt = app.clock.now().getTime() + seconds * 1000;
  app.sandbox.data.accessTokens[token] = { kind: 'own', appid, expiresAt, isRetired: false };
  return token;
}

const pathOf = (appid: string): string => `/accounts/${appid}/send-config`;
const read = async (appid: string): Promise<ConfigBody> =>
  (await app.api<ConfigBody>('GET', pathOf(appid))).body;
const save = <T = ConfigBody>(
  appid: string,
  body: object,
  { query = '', headers = {} }: { query?: string; headers?: Record<string, string> } = {},
): Promise<Answer<T>> => app.api<T>('PUT', pathOf(appid) + query, body, headers);
const test = (appid: string, headers: Record<string, string> = {}) =>
  app.api<{ ok: boolean; step: string | null; latencyMs: number; detail: string }>(
    'POST',
    `${pathOf(appid)}/test`,
    undefined,
    headers,
  );
const rowOf = (appid: string): Promise<SendConfig | null> =>
  app.app.get(Database).read.findOneBy(SendConfig, { appid });
const custodyOf = (appid: string): Promise<TokenRow | null> =>
  app.app.get(Database).read.findOneBy(TokenRow, { appid: `send:${appid}` });
const sendTokens = (): SendTokens => app.app.get(SendTokens);
const tokenOf = (appid: string): Promise<string> =>
  sendTokens().withToken(appid, async (token) => token);
/** Without a path, an address that no other mini-program has. */
const byUrl = (path = `/${(serial += 1)}?key=${QUERY_SECRET}`): object => ({
  strategy: 'access_token_url',
  accessTokenUrl: server.url + path,
});
const bySecret = (appid: string): object => ({
  strategy: 'app_secret',
  appSecret: app.sandbox.account(appid).appSecret,
});
const stableCallsOf = (appid: string): number =>
  app.sandbox.journal.filter(
    ({ path, body }) => path === STABLE_TOKEN && Object(body).appid === appid,
  ).length;
const eventsOf = async (appid: string): Promise<{ type: string; data: object }[]> => {
  const { body } = await app.api<{ items: { type: string; appid: string; data: object }[] }>(
    'GET',
    '/events?type=token.failing&limit=200',
  );
  return body.items.filter((event) => event.appid === appid);
};

describe('GET send-config', () => {
  it('says that nothing is configured', async () => {
    expect(await read(await newMiniProgram())).toEqual({
      strategy: null,
      lastVerification: null,
      health: null,
    });
  });

  it.each(['GET', 'PUT', 'POST'])('%s answers 422 mini_program_only first', async (method) => {
    const path = pathOf(SERVICE_ACCOUNT) + (method === 'POST' ? '/test' : '');
    const body = method === 'PUT' ? { strategy: 'none' } : undefined;
    expect(await app.api(method, path, body)).toMatchObject({
      status: 422,
      body: { code: 'mini_program_only' },
    });
  });

  it.each(['GET', 'PUT', 'POST'])("%s does not find another tenant's", async (method) => {
    const headers = await authorizationOf(app, 'admin', 'brand-b');
    const suffix = method === 'POST' ? '/test' : '';
    const body = method === 'PUT' ? { strategy: 'none' } : undefined;
    const foreign = await app.api(method, pathOf(MINI_PROGRAM) + suffix, body, headers);
    const unknown = await app.api(method, pathOf('wx0000000000000000') + suffix, body, headers);
    expect([foreign.status, unknown.status]).toEqual([404, 404]);
    expect(foreign.body['detail']).toBe(unknown.body['detail']);
  });
});

describe('PUT send-config with an address', () => {
  it('saves what gave a token that WeChat takes, and shows no secret', async () => {
    const appid = await newMiniProgram();
    const token = newToken(appid);
    server.answers({ code: 0, data: { token, ttl: 7_000 } });
    const asked = {
      ...byUrl(`/token?key=${QUERY_SECRET}`),
      headers: { Authorization: `Bearer ${HEADER_SECRET}` },
      tokenPointer: '/data/token',
      expiresPointer: '/data/ttl',
    };
    const at = app.clock.now().toISOString();
    const shown = {
      strategy: 'access_token_url',
      accessTokenUrl: `${server.url}/token?key=***`,
      headers: { Authorization: { set: true, hint: `…${HEADER_SECRET.slice(-4)}` } },
      tokenPointer: '/data/token',
      expiresPointer: '/data/ttl',
      lastVerification: { at, ok: true, detail: null },
      health: {
        state: 'ok',
        failCount: 0,
        lastSuccessAt: at,
        lastFailure: null,
        nextTryAt: null,
        tokenExpiresAt: new Date(Date.parse(at) + 7_000_000).toISOString(),
      },
    };
    expect(await save(appid, asked)).toMatchObject({ status: 200, body: shown });
    expect(await read(appid)).toEqual(shown);
    expect(server.asked).toMatchObject([
      {
        url: `/token?key=${QUERY_SECRET}`,
        headers: { authorization: `Bearer ${HEADER_SECRET}`, 'accept-encoding': 'identity' },
      },
    ]);
    // It is in the custody: nobody is asked again.
    expect(await tokenOf(appid)).toBe(token);
    expect(server.asked).toHaveLength(1);
    const { body: log } = await app.api<{ items: object[] }>('GET', `/audit-log?target=${appid}`);
    expect(log.items).toContainEqual(
      expect.objectContaining({
        action: 'send_config.saved',
        outcome: 'succeeded',
        detail: {
          strategy: 'access_token_url',
          tried: true,
          changed: ['url', 'headers', 'tokenPointer', 'expiresPointer'],
        },
      }),
    );
  });

  it.each<[what: string, answer: (token: string) => unknown]>([
    ['the shape of WeChat', (token) => ({ access_token: token, expires_in: 7_200 })],
    ['nested', (token) => ({ data: { accessToken: token, expiresIn: 60 } })],
    ['the bare token', (token) => `${token}\n`],
    ['a JSON text', (token) => JSON.stringify(token)],
    ['an absolute time', (token) => ({ access_token: token, expire_time: 4_102_444_800 })],
    ['milliseconds', (token) => ({ access_token: token, expiresAt: 4_102_444_800_000 })],
  ])('takes %s', async (_what, answer) => {
    const appid = await newMiniProgram();
    const token = newToken(appid);
    server.answers(answer(token));
    expect((await save(appid, byUrl(`/${appid}`))).status).toBe(200);
    expect(await tokenOf(appid)).toBe(token);
  });

  const listeners: Record<string, RequestListener> = {
    status: (_request, response) => response.writeHead(401).end(HEADER_SECRET),
    redirect: (_request, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
    too_large: (_request, response) => response.end('x'.repeat(65_537)),
    body: ({ socket }) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
    compressed: (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{}')),
    timeout: () => undefined,
  };

  it.each<[step: string, listener: string, detail: RegExp]>([
    ['status', 'status', /HTTP 401/],
    ['redirect', 'redirect', /HTTP 302/],
    ['too_large', 'too_large', /64 KiB/],
    ['body', 'body', /压缩/],
    ['body', 'compressed', /content_encoding/],
    ['timeout', 'timeout', /5 秒/],
  ])('names the step %s (%s), and saves nothing', async (step, listener, detail) => {
    const appid = await newMiniProgram();
    server.answer = listeners[listener] ?? (() => undefined);
    expect(await rejectionOf(appid, byUrl())).toEqual(rejectedAt(step, detail));
  });

  it.each<[step: string, address: () => string, detail: RegExp]>([
    ['url', () => 'http://8.8.8.8/token', /必须使用 https/],
    ['blocked', () => 'https://10.0.0.1/token', /内网/],
    ['blocked', () => 'https://169.254.169.254/latest/meta-data', /OUTBOUND_ALLOWED_NETWORKS/],
    ['blocked', () => 'https://[::1]/token', /内网/],
    ['dns', () => 'https://token.invalid/', /域名无法解析/],
    ['connect', () => 'http://127.0.0.1:1/', /ECONNREFUSED/],
    ['tls', () => tls.url, /证书/],
    ['tls', () => server.url.replace('http:', 'https:'), /证书/],
  ])('names the step %s, and saves nothing', async (step, address, detail) => {
    const appid = await newMiniProgram();
    const asked = { strategy: 'access_token_url', accessTokenUrl: address() };
    expect(await rejectionOf(appid, asked)).toEqual(rejectedAt(step, detail));
    expect(tls.asked).toEqual([]);
  });

  it.each<[step: string, answer: (appid: string) => unknown, detail: RegExp]>([
    ['pointer', () => '<html>login</html>', /不是 JSON/],
    ['pointer', () => ({ errcode: 40164, errmsg: 'not in whitelist' }), /没有令牌/],
    ['token', () => ({ access_token: 'no token at all' }), /不像微信/],
    ['token', () => ({ access_token: `72_${'x'.repeat(40)}` }), /40001/],
    ['token', (appid) => ({ access_token: newToken(appid, -1) }), /42001/],
    ['token', () => ({ access_token: newToken(MINI_PROGRAM) }), /另一个账号/],
  ])('names the step %s, and saves nothing', async (step, answer, detail) => {
    const appid = await newMiniProgram();
    server.answers(answer(appid));
    expect(await rejectionOf(appid, byUrl())).toEqual(rejectedAt(step, detail));
  });

  it('names the step wechat while WeChat does not say whether it takes the token', async () => {
    const appid = await newMiniProgram();
    server.answers({ access_token: newToken(appid) });
    const path = '/cgi-bin/account/getaccountbasicinfo';
    app.sandbox.faults.add({ path, kind: 'http_500', appid });
    expect(await rejectionOf(appid, byUrl())).toEqual(rejectedAt('wechat', /500/));
    // What it refuses for another reason is a token all the same.
    app.sandbox.faults.add({ path, kind: 'errcode', errcode: 48001, appid });
    expect((await save(appid, byUrl(`/${appid}`))).status).toBe(200);
  });

  it('saves untried what is asked for so', async () => {
    const appid = await newMiniProgram();
    server.answer = (_request, response) => response.writeHead(500).end();
    const saved = await save(appid, byUrl(`/${appid}`), { query: '?verify=false' });
    expect(saved).toMatchObject({
      status: 200,
      body: { lastVerification: null, health: { state: 'untested', lastSuccessAt: null } },
    });
    expect(server.asked).toEqual([]);
    const token = newToken(appid);
    server.answers(token);
    expect(await tokenOf(appid)).toBe(token);
    expect(await read(appid)).toMatchObject({ lastVerification: null, health: { state: 'ok' } });
  });

  it.each<[what: string, body: object, field: string]>([
    ['no strategy', {}, 'strategy'],
    ['another strategy', { strategy: 'magic' }, 'strategy'],
    ['no address', { strategy: 'access_token_url' }, 'accessTokenUrl'],
    ['a user in the address', { ...byUrlOf('https://a:b@token.test/') }, 'accessTokenUrl'],
    ['another scheme', { ...byUrlOf('ftp://token.test/') }, 'accessTokenUrl'],
    ['headers that are ours', { ...byUrlOf('https://t.test/'), headers: { Host: 'x' } }, 'headers'],
    ['headers that are texts', { ...byUrlOf('https://t.test/'), headers: 'a: b' }, 'headers'],
    ['a broken pointer', { ...byUrlOf('https://t.test/'), tokenPointer: 'data' }, 'tokenPointer'],
    [
      'a field of another',
      { ...byUrlOf('https://t.test/'), appSecret: 'a'.repeat(32) },
      'appSecret',
    ],
    ['no secret', { strategy: 'app_secret' }, 'appSecret'],
    ['a short secret', { strategy: 'app_secret', appSecret: 'short' }, 'appSecret'],
  ])('answers 422 for %s', async (_what, body, field) => {
    const { status, body: problem } = await save<ProblemBody>(MINI_PROGRAM, body);
    expect(status).toBe(422);
    expect(problem).toMatchObject({ code: 'validation_failed', errors: [{ field }] });
  });

  it('answers 400 for another verify than true and false', async () => {
    expect(await save(MINI_PROGRAM, byUrl(), { query: '?verify=maybe' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_query' },
    });
  });
});

function byUrlOf(accessTokenUrl: string): object {
  return { strategy: 'access_token_url', accessTokenUrl };
}

/** What is answered to a configuration that does not work, and what of it was kept all the same. */
async function rejectionOf(appid: string, body: object): Promise<object> {
  const answer = await save<ProblemBody>(appid, body);
  const { code, errors } = answer.body;
  if (JSON.stringify(answer.body).includes(HEADER_SECRET)) throw new Error('It is echoed.');
  const kept = [await rowOf(appid), await custodyOf(appid)].filter(Boolean);
  return { status: answer.status, code, step: errors[0]?.code, detail: errors[0]?.detail, kept };
}

const rejectedAt = (step: string, detail: RegExp): object => ({
  status: 422,
  code: 'send_config_rejected',
  step,
  detail: expect.stringMatching(detail),
  kept: [],
});

describe('a secret that is left out', () => {
  it('is kept, whether it is left out or sent back as it was shown', async () => {
    const appid = await newMiniProgram();
    const token = newToken(appid);
    server.answers({ t: token, access_token: token });
    const headers = { 'X-Key': HEADER_SECRET };
    const { body: first } = await save(appid, { ...byUrl(`/${appid}?k=${QUERY_SECRET}`), headers });
    const again = { strategy: 'access_token_url', tokenPointer: '/t' };
    for (const body of [again, { ...again, accessTokenUrl: first.accessTokenUrl }])
      expect((await save(appid, body)).status).toBe(200);
    expect(server.asked).toHaveLength(3);
    for (const { url, headers: sent } of server.asked) {
      expect(url).toBe(`/${appid}?k=${QUERY_SECRET}`);
      expect(sent['x-key']).toBe(HEADER_SECRET);
    }
    expect((await save(appid, { ...again, headers: {} })).body.headers).toEqual({});
    expect(server.asked.at(-1)?.headers['x-key']).toBeUndefined();
  });

  it('is not sent to a server that it was not given for', async () => {
    const appid = await newMiniProgram();
    server.answers(newToken(appid));
    await save(appid, { ...byUrl(`/${appid}`), headers: { 'X-Key': HEADER_SECRET } });
    server.asked.length = 0;
    const elsewhere = byUrlOf(server.url.replace('127.0.0.1', '127.0.0.2'));
    expect(await save<ProblemBody>(appid, elsewhere)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'headers', code: 'needed_for_new_host' }] },
    });
    expect(server.asked).toEqual([]);
  });

  it('is deleted with its strategy', async () => {
    const appid = await newMiniProgram();
    server.answers(newToken(appid));
    await save(appid, byUrl(`/${appid}`));
    expect((await save(appid, bySecret(appid))).body.accessTokenUrl).toBeUndefined();
    expect(await save<ProblemBody>(appid, { strategy: 'access_token_url' })).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'accessTokenUrl', code: 'is_defined' }] },
    });
  });

  it('is saved by each of two who are the first at once', async () => {
    const appid = await newMiniProgram();
    const asked = [1, 2, 3].map((n) =>
      save(appid, byUrl(`/${appid}/${n}`), { query: '?verify=false' }),
    );
    const saved = await Promise.all(asked);
    expect(saved.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(await rowOf(appid)).toMatchObject({ revision: 3 });
  });

  it('is the newest, when two save at once', async () => {
    const appid = await newMiniProgram();
    const token = newToken(appid);
    server.answers({ access_token: token, t: token });
    await save(appid, byUrl(`/${appid}/old`));
    // The first waits for its token until the second has saved another address.
    const waiting: (() => void)[] = [];
    server.answer = (_request, response) =>
      waiting.push(() => response.end(JSON.stringify({ access_token: token, t: token })));
    const first = save(appid, { strategy: 'access_token_url', tokenPointer: '/t' });
    await until(() => waiting.length === 1);
    server.answers({ access_token: token, t: token });
    await save(appid, byUrl(`/${appid}/new`));
    waiting[0]?.();
    expect((await first).body).toMatchObject({
      accessTokenUrl: `${server.url}/${appid}/new`,
      tokenPointer: '/t',
    });
    expect(await rowOf(appid)).toMatchObject({ revision: 3 });
  });
});

describe('an address', () => {
  it('serves one mini-program of a tenant, at once and later', async () => {
    const [one, other] = [await newMiniProgram(), await newMiniProgram()];
    const elsewhere = await newMiniProgram('brand-c');
    const address = byUrl('/shared');
    server.answers(newToken(one));
    expect((await save(one, address)).status).toBe(200);
    server.answers(newToken(other));
    server.asked.length = 0;
    const inUse = { status: 409, body: { code: 'access_token_url_in_use' } };
    expect(await save(other, address)).toMatchObject(inUse);
    expect(await save(other, address, { query: '?verify=false' })).toMatchObject(inUse);
    expect(await save(other, byUrl('/x/../shared#part'))).toMatchObject(inUse);
    expect(server.asked).toEqual([]);
    expect(await rowOf(other)).toBeNull();
    server.answers(newToken(elsewhere));
    expect((await save(elsewhere, address)).status).toBe(200);
    server.answers(newToken(one));
    expect((await save(one, address)).status).toBe(200);
  });

  it('is free again when its account has moved to another tenant', async () => {
    const [one, other] = [await newMiniProgram(), await newMiniProgram()];
    server.answers(newToken(one));
    await save(one, byUrl('/moved'));
    expect((await app.api('POST', `/accounts/${one}/claim`, { tenantId: 'brand-d' })).status).toBe(
      200,
    );
    server.answers(newToken(other));
    expect((await save(other, byUrl('/moved'))).status).toBe(200);
    expect(await rowOf(one)).toMatchObject({ urlDigest: null });
  });

  it('is given to one of many who ask at once', async () => {
    const appids = [await newMiniProgram(), await newMiniProgram(), await newMiniProgram()];
    const saved = await Promise.all(
      appids.map((appid) => save(appid, byUrl('/race'), { query: '?verify=false' })),
    );
    const statuses = saved.map(({ status }) => status);
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 409, 409]);
  });
});

describe('PUT send-config with an AppSecret', () => {
  it('saves what WeChat takes, and uses the stable token without force', async () => {
    const appid = await newMiniProgram();
    const secret = app.sandbox.account(appid).appSecret;
    expect(await save(appid, bySecret(appid))).toMatchObject({
      status: 200,
      body: {
        strategy: 'app_secret',
        appSecret: { set: true, hint: `…${secret.slice(-4)}` },
        lastVerification: { ok: true },
        health: { state: 'ok' },
      },
    });
    expect(app.sandbox.data.accessTokens[await tokenOf(appid)]).toMatchObject({
      kind: 'own',
      appid,
    });
    expect(stableCallsOf(appid)).toBe(1);
    const bodies = app.sandbox.journal.filter(({ path }) => path === STABLE_TOKEN);
    for (const { body } of bodies) expect(body).toMatchObject({ force_refresh: false });
  });

  it.each<[step: string, spoil: (appid: string) => object, detail: RegExp]>([
    ['app_secret', () => ({ appSecret: '0'.repeat(32) }), /40001/],
    ['app_secret', () => ({ appSecret: 'Z'.repeat(32) }), /40125/],
    ['app_secret', (appid) => ((app.sandbox.account(appid).isSecretFrozen = true), {}), /40243/],
    [
      'ip_whitelist',
      (appid) => ((app.sandbox.account(appid).ipWhitelist = ['203.0.113.7']), {}),
      /IP 127\.0\.0\.1/,
    ],
    [
      'wechat',
      (appid) => (app.sandbox.faults.add({ path: STABLE_TOKEN, appid, kind: 'reset' }), {}),
      /微信没有应答/,
    ],
    [
      'wechat',
      (appid) => (
        app.sandbox.faults.add({ path: STABLE_TOKEN, appid, kind: 'errcode', errcode: 45009 }),
        {}
      ),
      /45009/,
    ],
  ])('names the step %s, and saves nothing', async (step, spoil, detail) => {
    const appid = await newMiniProgram();
    expect(await rejectionOf(appid, { ...bySecret(appid), ...spoil(appid) })).toEqual(
      rejectedAt(step, detail),
    );
  });
});

describe('POST send-config/test', () => {
  it('answers 409 send_config_missing before there is one', async () => {
    expect(await test(await newMiniProgram())).toMatchObject({
      status: 409,
      body: { code: 'send_config_missing' },
    });
  });

  it('says what came, and never the token', async () => {
    const appid = await newMiniProgram();
    server.answers({ access_token: newToken(appid), expires_in: 345 });
    await save(appid, byUrl(`/${appid}`));
    const { status, body } = await test(appid, { 'accept-language': 'en' });
    expect(status).toBe(200);
    expect(body).toEqual({
      ok: true,
      step: null,
      latencyMs: expect.any(Number),
      expiresInSeconds: 345,
      detail: 'A token came.',
    });
  });

  it('says what fails, remembers it, and puts to use what works again', async () => {
    const appid = await newMiniProgram();
    server.answers(newToken(appid));
    await save(appid, byUrl(`/${appid}`));
    server.answer = (_request, response) => response.writeHead(503).end();
    expect((await test(appid)).body).toMatchObject({ ok: false, step: 'status' });
    expect(await read(appid)).toMatchObject({
      lastVerification: { ok: false, detail: expect.stringContaining('HTTP 503') },
      health: { state: 'ok', lastFailure: { step: 'status' } },
    });
    const token = newToken(appid);
    server.answers(token);
    expect((await test(appid)).body).toMatchObject({ ok: true });
    expect(await tokenOf(appid)).toBe(token);
  });
});

describe("a mini-program's own token", () => {
  it('stands beside the one of its authorization', async () => {
    const appid = await newMiniProgram();
    const authorized = await app.app.get(TokensService).getToken(appid);
    await save(appid, bySecret(appid));
    expect(await tokenOf(appid)).not.toBe(authorized);
    expect(await app.app.get(TokensService).getToken(appid)).toBe(authorized);
    app.sandbox.cancel(appid);
    await app.settled();
    expect(app.sandbox.data.accessTokens[await tokenOf(appid)]?.isRetired).toBe(false);
    await expect(app.app.get(TokensService).getToken(appid)).rejects.toMatchObject({
      code: 'account_not_authorized',
    });
  });

  it('is not to be had without a configuration', async () => {
    const appid = await newMiniProgram();
    await expect(tokenOf(appid)).rejects.toMatchObject({ code: 'send_config_missing' });
    expect(await app.app.get(SendConfigService).hasSendConfig([appid])).toEqual(new Set());
    await save(appid, bySecret(appid));
    const asked = [appid, await newMiniProgram(), SERVICE_ACCOUNT];
    expect(await app.app.get(SendConfigService).hasSendConfig(asked)).toEqual(new Set([appid]));
    expect(await app.app.get(SendConfigService).hasSendConfig([])).toEqual(new Set());
  });

  it('is read again after some minutes when nobody tells its life, however many ask', async () => {
    const appid = await newMiniProgram();
    server.answers(newToken(appid));
    await save(appid, byUrl(`/${appid}`));
    const ask = (): Promise<unknown> =>
      Promise.all(Array.from({ length: 50 }, () => tokenOf(appid)));
    app.clock.advance(3 * MINUTE_MS);
    await ask();
    expect(server.asked).toHaveLength(1);
    const next = newToken(appid);
    server.answers(next);
    app.clock.advance(1.5 * MINUTE_MS);
    await ask();
    await until(async () => (await tokenOf(appid)) === next);
    await ask();
    expect(server.asked).toHaveLength(2);
  });

  it('is not asked for all the time while it ends soon', async () => {
    const appid = await newMiniProgram();
    await save(appid, bySecret(appid));
    const first = await tokenOf(appid);
    const tokens = app.app.get(TokensService);
    const asked: number[] = [];
    // WeChat gives the same one until five minutes before its end.
    for (let left = 119; left > 0; left -= 1) {
      app.clock.advance(MINUTE_MS);
      const { appids } = await tokens.findDue(null, 1_000);
      if (!appids.includes(`send:${appid}`)) continue;
      await tokens.refresh(`send:${appid}`);
      asked.push(left);
    }
    expect(await tokenOf(appid)).not.toBe(first);
    expect(asked).toHaveLength(2);
    expect(asked[0]).toBeGreaterThan(6);
    expect(asked[1]).toBeLessThan(5);
    expect(stableCallsOf(appid)).toBe(3);
  });

  it('is asked for once by processes that want it at once, although it stays the same', async () => {
    const appid = await newMiniProgram();
    const token = newToken(appid);
    server.answers(token);
    await save(appid, byUrl());
    server.asked.length = 0;
    const waiting: (() => void)[] = [];
    server.answer = (_request, response) => waiting.push(() => response.end(token));
    // Another process has another refresher, on the same database.
    const tokensModule = app.app.select(TokensModule).get(ModuleRef, { strict: true });
    const refreshers = await Promise.all([1, 2, 3].map(() => tokensModule.create(TokenRefresher)));
    const refreshed = refreshers.map((refresher) => refresher.refresh(`send:${appid}`, token));
    await until(() => waiting.length > 0);
    waiting[0]?.();
    const tokens = (await Promise.all(refreshed)).map((live) => live.token);
    expect(tokens).toEqual([token, token, token]);
    expect(server.asked).toHaveLength(1);
  });

  it('is used for some minutes although its server says that it has ended', async () => {
    const appid = await newMiniProgram();
    server.answers({ access_token: newToken(appid), expires_in: 0 });
    await save(appid, byUrl(`/${appid}`));
    for (let n = 0; n < 20; n++) await tokenOf(appid);
    expect(server.asked.length).toBeLessThanOrEqual(2);
  });

  it('is kept warm while nobody asks', async () => {
    const appid = await newMiniProgram();
    await save(appid, bySecret(appid));
    app.clock.advance(115 * MINUTE_MS + 1_000);
    await app.app.get(TokenRefreshService).refreshAhead();
    expect(stableCallsOf(appid)).toBe(2);
    const row = await custodyOf(appid);
    expect((row?.expiresAt?.getTime() ?? 0) - app.clock.now().getTime()).toBe(7_200_000);
  });

  it('is read once more, past what we keep, when WeChat calls it stale', async () => {
    const appid = await newMiniProgram();
    const [old, present] = [newToken(appid), newToken(appid)];
    server.answers({ access_token: old, expires_in: 7_200 });
    await save(appid, byUrl(`/${appid}`));
    server.answers({ access_token: present, expires_in: 7_200 });
    const used: string[] = [];
    const call = async (token: string): Promise<string> => {
      used.push(token);
      if (token === old) throw new WechatApiError(40001, 'invalid credential', null, '/x');
      return 'sent';
    };
    expect(await sendTokens().withToken(appid, call)).toBe('sent');
    expect(used).toEqual([old, present]);
    expect(server.asked).toHaveLength(2);
  });

  it('is flagged when its server gives a dead one again and again, and the server is left alone', async () => {
    const appid = await newMiniProgram();
    const dead = newToken(appid);
    server.answers({ access_token: dead, expires_in: 7_200 });
    await save(appid, byUrl(`/${appid}?k=${QUERY_SECRET}`));
    server.asked.length = 0;
    Object.assign(app.sandbox.data.accessTokens[dead] ?? {}, { isRetired: true });
    const refused = async (): Promise<string> => {
      throw new WechatApiError(40001, 'invalid credential', null, '/x');
    };
    const unavailable = {
      code: 'send_token_unavailable',
      fields: [{ field: 'sendConfig', code: 'token' }],
    };
    for (let n = 0; n < 3; n++)
      await expect(sendTokens().withToken(appid, refused)).rejects.toMatchObject(unavailable);
    expect(server.asked).toHaveLength(3);
    await Promise.all(
      Array.from({ length: 50 }, () =>
        expect(sendTokens().withToken(appid, refused)).rejects.toMatchObject(unavailable),
      ),
    );
    expect(server.asked).toHaveLength(3);
    expect(await read(appid)).toMatchObject({
      health: {
        state: 'failing',
        failCount: 3,
        lastFailure: { step: 'token', detail: expect.stringContaining('40001') },
        nextTryAt: expect.any(String),
      },
    });
    const told = [
      {
        type: 'token.failing',
        data: {
          appid,
          accountType: 'mini_program',
          credential: 'send_config',
          failCount: 3,
          reason: expect.stringContaining('token 40001'),
        },
      },
    ];
    await until(async () => (await eventsOf(appid)).length > 0);
    expect(await eventsOf(appid)).toMatchObject(told);
    // It goes on failing: nobody is told again.
    app.clock.advance(10 * MINUTE_MS);
    await expect(sendTokens().withToken(appid, refused)).rejects.toMatchObject(unavailable);
    expect(await eventsOf(appid)).toHaveLength(1);
    const good = newToken(appid);
    server.answers(good);
    expect((await test(appid)).body).toMatchObject({ ok: true });
    expect(await tokenOf(appid)).toBe(good);
    expect(await read(appid)).toMatchObject({ health: { state: 'ok', failCount: 0 } });
  });

  it('counts faults of its own configuration as failures', async () => {
    const appid = await newMiniProgram();
    await save(appid, bySecret(appid));
    app.sandbox.account(appid).appSecret = 'f'.repeat(32);
    app.clock.advance(120 * MINUTE_MS);
    for (let n = 0; n < 3; n++)
      await expect(tokenOf(appid)).rejects.toMatchObject({ code: 'send_token_unavailable' });
    expect(await custodyOf(appid)).toMatchObject({ state: 'failing', failCount: 3 });
  });

  it('of a former configuration is not used any more', async () => {
    const appid = await newMiniProgram();
    const [old, present] = [newToken(appid), newToken(appid)];
    server.answers({ access_token: old, expires_in: 7_200 });
    await save(appid, byUrl(`/${appid}/old`));
    expect(await tokenOf(appid)).toBe(old);
    server.answers({ access_token: present, expires_in: 7_200 });
    await save(appid, byUrl(`/${appid}/new`), { query: '?verify=false' });
    expect(await tokenOf(appid)).toBe(present);
  });

  it('is what the scene of subscription messages waits for', async () => {
    const appid = await newMiniProgram();
    const reasons = async (): Promise<string[]> => {
      const { body } = await app.api<{ scenes: { scene: string; reasons: { code: string }[] }[] }>(
        'GET',
        `/accounts/${appid}`,
      );
      const scene = body.scenes.find((found) => found.scene === 'subscription_message');
      return scene?.reasons.map(({ code }) => code) ?? [];
    };
    expect(await reasons()).toContain('send_config_missing');
    await save(appid, bySecret(appid));
    expect(await reasons()).not.toContain('send_config_missing');
  });

  it('goes with its account', async () => {
    const appid = await newMiniProgram();
    await save(appid, bySecret(appid));
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    const { status } = await app.api('DELETE', `/accounts/${appid}?confirm=${appid}`);
    expect(status).toBe(204);
    expect([await rowOf(appid), await custodyOf(appid)]).toEqual([null, null]);
  });

  it('goes with its configuration, and the other one stays', async () => {
    const appid = await newMiniProgram();
    await save(appid, bySecret(appid));
    const db = app.app.get(Database);
    const erased = await db.write((tx) => app.app.get(SendConfigService).eraseAll(tx, appid));
    expect(erased).toBe(2);
    expect([await rowOf(appid), await custodyOf(appid)]).toEqual([null, null]);
    expect(await db.read.existsBy(TokenRow, { appid })).toBe(true);
    expect(await db.write((tx) => app.app.get(SendConfigService).eraseAll(tx, appid))).toBe(0);
    await expect(tokenOf(appid)).rejects.toMatchObject({ code: 'send_config_missing' });
  });
});
