import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { Database } from '../src/database/database.js';
import { TokenRefreshService } from '../src/token-refresh/token-refresh.service.js';
import { TokenCache } from '../src/tokens/token-cache.js';
import { TokenRow } from '../src/tokens/token.entity.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { WechatApiError } from '@app/wechat';
import { COMPONENT, startApp, type TestApp } from './app.js';
import { begin, MINI_PROGRAM, SERVICE_ACCOUNT } from './helpers.js';

const REFRESH = '/cgi-bin/component/api_authorizer_token';
const COMPONENT_TOKEN = '/cgi-bin/component/api_component_token';
const HOUR_MS = 3_600_000;

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
  for (const appid of [SERVICE_ACCOUNT, MINI_PROGRAM]) {
    const begun = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
  }
});
afterAll(() => app.stop());
afterEach(() => app.sandbox.faults.clear());

const tokens = (): TokensService => app.app.get(TokensService);
const isUsable = (token: string): boolean =>
  app.sandbox.data.accessTokens[token]?.isRetired === false;

describe('getToken', () => {
  it('hands out the same token while it lives', async () => {
    const calls = app.sandbox.callsTo(REFRESH);
    const token = await tokens().getToken(SERVICE_ACCOUNT);
    expect(await tokens().getToken(SERVICE_ACCOUNT)).toBe(token);
    expect(app.sandbox.callsTo(REFRESH)).toBe(calls);
  });

  it('fetches once for any number of callers of a token that has run out', async () => {
    app.clock.advance(2 * HOUR_MS);
    await app.sandbox.pushTicket();
    const calls = {
      refresh: app.sandbox.callsTo(REFRESH),
      component: app.sandbox.callsTo(COMPONENT_TOKEN),
    };
    const handed = await Promise.all(
      Array.from({ length: 200 }, () => tokens().getToken(SERVICE_ACCOUNT)),
    );
    expect(new Set(handed).size).toBe(1);
    expect(isUsable(handed[0] ?? '')).toBe(true);
    expect(app.sandbox.callsTo(REFRESH)).toBe(calls.refresh + 1);
    expect(app.sandbox.callsTo(COMPONENT_TOKEN)).toBe(calls.component + 1);
  });

  it('does not hand out a token in its last minute', async () => {
    const token = await tokens().getToken(SERVICE_ACCOUNT);
    app.clock.advance(2 * HOUR_MS - 60_000);
    const next = await tokens().getToken(SERVICE_ACCOUNT);
    expect(next).not.toBe(token);
    expect(isUsable(next)).toBe(true);
  });

  it('keeps a refresh token that WeChat changes at a refresh', async () => {
    app.sandbox.rotateRefreshToken(SERVICE_ACCOUNT);
    app.clock.advance(2 * HOUR_MS - 120_000);
    app.sandbox.data.formerRefreshTokens = Object.fromEntries(
      Object.entries(app.sandbox.data.formerRefreshTokens).map(([token, former]) => [
        token,
        { ...former, until: Infinity },
      ]),
    );
    await app.app.get(TokenRefreshService).refreshAhead();
    app.sandbox.data.formerRefreshTokens = {};
    app.clock.advance(2 * HOUR_MS);
    expect(isUsable(await tokens().getToken(SERVICE_ACCOUNT))).toBe(true);
  });

  it('reads back a refresh token that WeChat no longer takes', async () => {
    app.sandbox.rotateRefreshToken(SERVICE_ACCOUNT);
    app.sandbox.data.formerRefreshTokens = {};
    app.clock.advance(2 * HOUR_MS);
    expect(isUsable(await tokens().getToken(SERVICE_ACCOUNT))).toBe(true);
  });

  it('has none for an appid that we do not hold', async () => {
    await expect(tokens().getToken('wx0000000000000000')).rejects.toMatchObject({
      code: 'account_not_authorized',
    });
  });

  it('survives a restart', async () => {
    const token = await tokens().getToken(SERVICE_ACCOUNT);
    await app.restart();
    expect(await tokens().getToken(SERVICE_ACCOUNT)).toBe(token);
  });
});

describe('withToken', () => {
  const stale = new WechatApiError(40001, 'invalid credential', null, '/cgi-bin/x');

  it('renews a token that WeChat calls stale, and calls once more', async () => {
    const seen: string[] = [];
    const calls = app.sandbox.callsTo(REFRESH);
    const answer = await tokens().withToken(SERVICE_ACCOUNT, (token) => {
      seen.push(token);
      return seen.length === 1 ? Promise.reject(stale) : Promise.resolve('done');
    });
    expect(answer).toBe('done');
    expect(new Set(seen).size).toBe(2);
    expect(isUsable(seen[1] ?? '')).toBe(true);
    expect(app.sandbox.callsTo(REFRESH)).toBe(calls + 1);
  });

  it('renews once for many callers whom the same token failed', async () => {
    const calls = app.sandbox.callsTo(REFRESH);
    const failed = await tokens().getToken(SERVICE_ACCOUNT);
    await Promise.all(
      Array.from({ length: 500 }, () =>
        tokens().withToken(SERVICE_ACCOUNT, (token) =>
          token === failed ? Promise.reject(stale) : Promise.resolve(),
        ),
      ),
    );
    expect(app.sandbox.callsTo(REFRESH)).toBe(calls + 1);
  });

  it('is not given the stale token again that others have read meanwhile', async () => {
    const failed = await tokens().getToken(SERVICE_ACCOUNT);
    let isDone = false;
    const others = (async () => {
      while (!isDone) {
        void tokens().getToken(SERVICE_ACCOUNT);
        await new Promise(setImmediate);
      }
    })();
    const seen: string[] = [];
    const called = tokens().withToken(SERVICE_ACCOUNT, async (token) => {
      seen.push(token);
      if (token === failed) throw stale;
    });
    await called.finally(() => (isDone = true));
    await others;
    expect(seen).toHaveLength(2);
  });

  it('gives up after the second refusal, and at once for any other', async () => {
    let tries = 0;
    const count = (error: Error) => () => {
      tries += 1;
      return Promise.reject(error);
    };
    await expect(tokens().withToken(SERVICE_ACCOUNT, count(stale))).rejects.toBe(stale);
    expect(tries).toBe(2);
    const other = new WechatApiError(61007, 'api is unauthorized', null, '/cgi-bin/x');
    await expect(tokens().withToken(SERVICE_ACCOUNT, count(other))).rejects.toBe(other);
    expect(tries).toBe(3);
  });
});

describe('refresh ahead', () => {
  it('renews what ends within eight to twelve minutes, and nothing else', async () => {
    app.clock.advance(2 * HOUR_MS);
    const [service, component] = [
      await tokens().getToken(SERVICE_ACCOUNT),
      await tokens().getToken(COMPONENT.appid),
    ];
    app.clock.advance(HOUR_MS);
    const mini = await tokens().getToken(MINI_PROGRAM);
    app.clock.advance(52 * 60_000 + 1000);
    await app.sandbox.pushTicket();
    await app.app.get(TokenRefreshService).refreshAhead();
    expect(isUsable(service)).toBe(false);
    expect(isUsable(component)).toBe(false);
    expect(await tokens().getToken(MINI_PROGRAM)).toBe(mini);
    const calls = app.sandbox.callsTo(REFRESH);
    expect(isUsable(await tokens().getToken(SERVICE_ACCOUNT))).toBe(true);
    expect(app.sandbox.callsTo(REFRESH)).toBe(calls);
  });

  it('goes on with the others when one fails, and serves the old token meanwhile', async () => {
    app.clock.advance(HOUR_MS + 52 * 60_000);
    await app.sandbox.pushTicket();
    await app.settled();
    await tokens().refresh(COMPONENT.appid);
    const service = await tokens().getToken(SERVICE_ACCOUNT);
    app.sandbox.faults.add({ path: REFRESH, appid: SERVICE_ACCOUNT, kind: 'http_500' });
    await app.app.get(TokenRefreshService).refreshAhead();
    expect(await tokens().getToken(SERVICE_ACCOUNT)).toBe(service);
    expect(isUsable(service)).toBe(true);
    // The pause after a first failure is a second at the most.
    app.clock.advance(1_000);
    await app.app.get(TokenRefreshService).refreshAhead();
    expect(isUsable(service)).toBe(false);
  });
});

describe('at rest', () => {
  it('no token stands in clear text, and one moved to another row does not open', async () => {
    const db = app.app.get(Database);
    const token = await tokens().getToken(SERVICE_ACCOUNT);
    const rows = await db.read.find(TokenRow);
    expect(JSON.stringify(rows)).not.toContain(token);
    expect(rows.find(({ appid }) => appid === SERVICE_ACCOUNT)?.accessToken).toMatch(/^v1\.k1\./);
    const stolen = rows.find(({ appid }) => appid === SERVICE_ACCOUNT)?.accessToken ?? null;
    const kept = rows.find(({ appid }) => appid === MINI_PROGRAM)?.accessToken ?? null;
    await db.write((tx) =>
      tx.update(
        TokenRow,
        { appid: MINI_PROGRAM },
        { accessToken: stolen, expiresAt: new Date(app.clock.now().getTime() + HOUR_MS) },
      ),
    );
    app.app.get(TokenCache).forget(MINI_PROGRAM);
    await expect(tokens().getToken(MINI_PROGRAM)).rejects.toThrow('belongs to another row');
    await db.write((tx) => tx.update(TokenRow, { appid: MINI_PROGRAM }, { accessToken: kept }));
  });
});
