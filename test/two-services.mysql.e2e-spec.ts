import type { XmlInput } from '@app/wechat';
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

  it('answer one message that reaches both with one reply, and by a rule within a second of its change', async () => {
    const appid = 'wx000000000a070001';
    await newOfficialAccount(appid);
    const path = `/accounts/${appid}/auto-replies`;
    const ruleOf = (first: string) => ({
      name: '随机',
      trigger: { type: 'keyword', keywords: [{ text: '抽奖', match: 'contains' }] },
      mode: 'random_one',
      replies: [1, 2, 3, 4, 5].map((n) => ({ type: 'text', text: `${first}${n}` })),
    });
    const { body: rule } = await api<{ id: string }>(0, 'POST', path, ruleOf('旧'));
    const push = (n: number, fields: XmlInput) => {
      sandbox.messagesUrl = `${services[n]?.url}/wechat/accounts/$APPID$/messages`;
      return sandbox.pushMessage(appid, { MsgType: 'text', Content: '我要抽奖', ...fields });
    };
    const contentOf = async (n: number): Promise<string> =>
      (await push(n, { FromUserName: 'oWaits' })).reply?.['Content'] ?? '';
    for (const n of [0, 1]) await until(async () => (await contentOf(n)).startsWith('旧'));
    for (let n = 0; n < 10; n++) {
      const CreateTime = Math.floor(Date.now() / 1000);
      const same = { FromUserName: `oDraws${n}`, MsgId: String(9_000_000 + n), CreateTime };
      const answers = await Promise.all([0, 1, 0].map((to) => push(to, same)));
      const said = answers.map(({ reply }) => reply?.['Content']);
      expect(said[0]).toMatch(/^旧[1-5]$/);
      expect(new Set(said).size).toBe(1);
    }
    const changedAt = performance.now();
    await api(0, 'PUT', `${path}/${rule.id}`, ruleOf('新'));
    await until(async () => (await contentOf(1)).startsWith('新'));
    expect(performance.now() - changedAt).toBeLessThan(2_000);
    // In the response only: nothing of it by customer service as well.
    const deliveries = `/accounts/${appid}/deliveries?openid=`;
    for (let n = 0; n < 10; n++)
      expect((await api(1, 'GET', `${deliveries}oDraws${n}`)).body).toMatchObject({ items: [] });
  });

  it('send what does not stand in the response once, though the message reaches both', async () => {
    const appid = 'wx000000000a070002';
    await newOfficialAccount(appid);
    const menu = { type: 'menu', head: '问', items: [{ id: 'a', text: '答' }], tail: '' };
    await api(0, 'POST', `/accounts/${appid}/auto-replies`, {
      name: '三条',
      trigger: { type: 'message' },
      replies: [menu, { type: 'text', text: '二' }, { type: 'text', text: '三' }],
    });
    const push = (n: number, openid: string, fields: XmlInput = {}): Promise<unknown> => {
      sandbox.messagesUrl = `${services[n]?.url}/wechat/accounts/$APPID$/messages`;
      const message = { MsgType: 'text', Content: '在吗', FromUserName: openid };
      return sandbox.pushMessage(appid, { ...message, ...fields });
    };
    const gotBy = (openid: string): unknown[] =>
      sandbox.person(appid, openid).messages.map(({ message }) => message);
    // The rule is in force in both once it has answered somebody through each.
    for (const n of [0, 1])
      await until(async () => {
        await push(n, `oWaits${n}`);
        return gotBy(`oWaits${n}`).length > 0;
      });
    const same = { MsgId: '7700001', CreateTime: Math.floor(Date.now() / 1000) };
    await Promise.all([0, 1, 0, 1].map((n) => push(n, 'oGetsThree', same)));
    const got = (): unknown[] => gotBy('oGetsThree');
    await until(() => got().length === 3);
    expect(got()).toMatchObject([
      { msgtype: 'msgmenu' },
      { text: { content: '二' } },
      { text: { content: '三' } },
    ]);
    const path = `/accounts/${appid}/deliveries?openid=oGetsThree`;
    const { body } = await api<{ items: object[] }>(0, 'GET', path);
    expect(body.items).toMatchObject([{ parts: { total: 3 } }]);
  });
});

/** One that is switched on, and can answer and send. */
async function newOfficialAccount(appid: string): Promise<void> {
  sandbox.addAccount({ appid });
  const asked = { accountType: 'any', openidProperty: `openid_${appid}` };
  const { body: made } = await api<{ launchUrl: string }>(0, 'POST', '/authorizations', asked);
  const page = await (await fetch(`${services[0]?.url}${new URL(made.launchUrl).pathname}`)).text();
  const preAuthCode = new URL(linkOf(page, 'scan-link')).searchParams.get('pre_auth_code');
  await sandbox.authorize({ appid, preAuthCode }).pushed;
  await until(async () => (await api(1, 'POST', `/accounts/${appid}/enable`, {})).status === 200);
}
