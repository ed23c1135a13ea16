import { WechatSandbox } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { COMPONENT, newDatabase, OWNER_KEY } from './app.js';
import { callbackUrl, linkOf, statusOf } from './helpers.js';
import { type Program, serviceEnv, startService } from './processes.js';
import { until } from './until.js';

let sandbox: WechatSandbox;
let drop: () => Promise<void>;
const services: { service: Program; url: string }[] = [];

beforeAll(async () => {
  const database = await newDatabase();
  drop = database.drop;
  sandbox = await WechatSandbox.start({
    component: COMPONENT,
    launchDomain: 'channel.test',
    pushRetryDelaysMs: [],
  });
  const env = serviceEnv(database.url, {
    PUBLIC_URL: 'http://channel.test',
    SECRET_KEYS: `k1:${Buffer.alloc(32, 5).toString('base64')}`,
    LOG_LEVEL: 'debug',
    WECHAT_API_BASE_URL: sandbox.url,
    WECHAT_MP_BASE_URL: sandbox.url,
    WECHAT_OPEN_BASE_URL: sandbox.url,
  });
  // At once: one of them migrates, the other waits for it.
  services.push(...(await Promise.all([startService(env), startService(env)])));
  sandbox.eventsUrl = `${services[0]?.url}/wechat/component/events`;
  await sandbox.pushTicket();
}, 60_000);
afterAll(async () => {
  await Promise.all(services.map(({ service }) => service.stop()));
  await sandbox.stop();
  await drop();
});

async function api<T>(
  n: number,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${services[n]?.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${OWNER_KEY}`, 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as T };
}

describe('two services on one database', () => {
  it('share an authorization: asked for at one, pushed to it, redirected to the other, all at once', async () => {
    await until(
      async () => (await api(0, 'POST', '/authorizations', { accountType: 'any' })).status === 201,
    );
    for (let n = 0; n < 10; n++) {
      const appid = `wx${(0xd0000 + n).toString(16).padStart(16, '0')}`;
      sandbox.addAccount({ appid });
      const { body: made } = await api<{ id: string; launchUrl: string }>(
        0,
        'POST',
        '/authorizations',
        { accountType: 'any' },
      );
      const page = await (
        await fetch(`${services[1]?.url}${new URL(made.launchUrl).pathname}`)
      ).text();
      const link = new URL(linkOf(page, 'scan-link'));
      const { authCode, event } = sandbox.authorize({
        appid,
        preAuthCode: link.searchParams.get('pre_auth_code'),
        push: false,
      });
      const callback = new URL(callbackUrl(link.searchParams.get('redirect_uri') ?? '', authCode));
      await Promise.all([
        sandbox.pushEvent(event ?? {}),
        fetch(`${services[1]?.url}${callback.pathname}${callback.search}`),
      ]);
      await until(
        async () =>
          (await api<{ status: string }>(1, 'GET', `/authorizations/${made.id}`)).body.status ===
          'completed',
      );
      const again = await (
        await fetch(`${services[0]?.url}${callback.pathname}${callback.search}`)
      ).text();
      expect(statusOf(again)).toBe('completed');
      const { body: account } = await api<{ authorization: { state: string } }>(
        0,
        'GET',
        `/accounts/${appid}`,
      );
      expect(account.authorization.state).toBe('authorized');
    }
    // Every refresh token that is kept is the one that WeChat holds.
    const { body: report } = await api<{ updated: string[]; failed: string[]; unchanged: number }>(
      1,
      'POST',
      '/accounts/sync',
    );
    expect(report).toMatchObject({ updated: [], failed: [], unchanged: 10 });
    // Whichever of the two was first, the log tells of each authorization once.
    for (const action of ['account.authorized', 'authorization.completed']) {
      const path = `/audit-log?limit=200&action=${action}`;
      const { body: log } = await api<{ items: { target: string }[] }>(0, 'GET', path);
      expect(log.items).toHaveLength(10);
    }
  }, 60_000);

  it('reset a quota ten times of thirty that are asked of both at once', async () => {
    const appid = 'wx00000000000d0000';
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_unused, n) =>
        api<{ code?: string }>(n % 2, 'POST', `/accounts/${appid}/quota-resets`, {}),
      ),
    );
    const count = (status: number): number =>
      answers.filter((answer) => answer.status === status).length;
    expect([count(201), count(409)]).toEqual([10, 20]);
    expect(sandbox.callsTo('/cgi-bin/clear_quota')).toBe(10);
    const month = Object.values(sandbox.account(appid).resets);
    expect(month).toEqual([10]);
    const { body: list } = await api<{ used: number; resets: { outcome: string }[] }>(
      1,
      'GET',
      `/accounts/${appid}/quota-resets`,
    );
    expect(list.used).toBe(10);
    expect(list.resets.map(({ outcome }) => outcome)).toEqual(
      Array.from({ length: 10 }, () => 'succeeded'),
    );
  });

  it('keep a push that reaches both at once only once', async () => {
    const before = services.map(({ service }) => service.output.split('"isNew":true').length);
    const fields = { InfoType: 'notify_3rd_wxa_auth', CreateTime: 1767225600 };
    const [first, second] = services.map(({ url }) => `${url}/wechat/component/events`);
    sandbox.eventsUrl = first ?? null;
    const one = sandbox.pushEvent(fields);
    sandbox.eventsUrl = second ?? null;
    const results = await Promise.all([one, sandbox.pushEvent(fields)]);
    expect(results.every(({ delivered }) => delivered)).toBe(true);
    const news = (): number =>
      services.reduce(
        (sum, { service }, n) =>
          sum + service.output.split('"isNew":true').length - (before[n] ?? 0),
        0,
      );
    await until(() =>
      services.every(({ service }) => service.output.includes('"kind":"other_info"')),
    );
    expect(news()).toBe(1);
  });
});
