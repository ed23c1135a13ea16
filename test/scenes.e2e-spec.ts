import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startApp, type TestApp } from './app.js';
import { begin } from './helpers.js';

interface Scene {
  scene: string;
  available: boolean;
  reasons: { code: string; detail: string; until?: string }[];
  warnings: { code: string; detail: string }[];
}

const EVERY_SCENE = [
  'broadcast',
  'template_message',
  'customer_service_message',
  'subscription_message',
  'auto_reply',
  'qr_code',
];
const TEMPLATE = '/cgi-bin/message/template/send';

let app: TestApp;
let serial = 0;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

interface Wanted {
  accountType?: 'official_account' | 'mini_program';
  serviceType?: number;
  verifyType?: number;
  permissionIds?: number[];
}

async function authorized({ permissionIds, ...wanted }: Wanted): Promise<string> {
  const appid = `wx${(0x5ce0e000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, ...wanted });
  const asked = { accountType: 'any', openidProperty: `wx_${appid}` };
  const { preAuthCode } = await begin(app, asked);
  await app.sandbox.authorize({ appid, preAuthCode, ...(permissionIds && { permissionIds }) })
    .pushed;
  await app.settled();
  return appid;
}

const enable = async (appid: string): Promise<number> =>
  (await app.api('POST', `/accounts/${appid}/enable`)).status;

async function scenesOf(appid: string, lang?: string): Promise<Map<string, Scene>> {
  const headers: Record<string, string> = lang ? { 'accept-language': lang } : {};
  const path = `/accounts/${appid}`;
  const { body } = await app.api<{ scenes: Scene[] }>('GET', path, undefined, headers);
  return new Map(body.scenes.map((scene) => [scene.scene, scene]));
}

async function reasonsOf(appid: string): Promise<Record<string, string[]>> {
  const scenes = await scenesOf(appid);
  return Object.fromEntries(
    [...scenes].map(([name, { reasons }]) => [name, reasons.map(({ code }) => code)]),
  );
}

describe('the scenes', () => {
  it('of an enabled service account are all those that it can have', async () => {
    const appid = await authorized({});
    expect(await enable(appid)).toBe(200);
    const scenes = await scenesOf(appid);
    expect([...scenes.keys()]).toEqual(EVERY_SCENE);
    const available = [...scenes.values()].filter((scene) => scene.available);
    expect(available.map(({ scene }) => scene)).toEqual(
      EVERY_SCENE.filter((scene) => scene !== 'subscription_message'),
    );
    expect(scenes.get('subscription_message')).toEqual({
      scene: 'subscription_message',
      available: false,
      reasons: [{ code: 'kind_not_supported', detail: '服务号不支持订阅消息。' }],
      warnings: [],
    });
  });

  it('of a subscription account lack template messages and QR codes', async () => {
    const appid = await authorized({ serviceType: 0 });
    expect(await enable(appid)).toBe(200);
    expect(await reasonsOf(appid)).toEqual({
      broadcast: [],
      template_message: ['kind_not_supported'],
      customer_service_message: [],
      subscription_message: ['kind_not_supported'],
      auto_reply: [],
      qr_code: ['kind_not_supported'],
    });
    const english = await scenesOf(appid, 'en');
    expect(english.get('template_message')?.reasons[0]?.detail).toBe(
      'A subscription account has no template messages.',
    );
  });

  it('of an account that is not verified are what WeChat leaves it', async () => {
    const appid = await authorized({ verifyType: -1 });
    expect(await enable(appid)).toBe(409);
    expect(await reasonsOf(appid)).toEqual({
      broadcast: ['account_disabled', 'account_not_verified'],
      template_message: ['account_disabled', 'account_not_verified'],
      customer_service_message: ['account_disabled', 'account_not_verified'],
      subscription_message: ['kind_not_supported'],
      auto_reply: ['account_disabled'],
      qr_code: ['account_disabled', 'account_not_verified'],
    });
  });

  it.each([
    [1, ['customer_service_message', 'auto_reply'], '消息管理'],
    [3, ['qr_code'], '账号服务'],
    [7, ['broadcast', 'template_message'], '群发与通知'],
    [11, [], ''],
  ])('without permission %i lack %j', async (id, lacking, name) => {
    const permissionIds = [1, 2, 3, 7, 8, 11, 15].filter((granted) => granted !== id);
    const appid = await authorized({ permissionIds });
    const scenes = await scenesOf(appid);
    const missing = [...scenes.values()].filter(({ reasons }) =>
      reasons.some(({ code }) => code === 'permission_missing'),
    );
    expect(missing.map(({ scene }) => scene)).toEqual(lacking);
    for (const { reasons } of missing)
      expect(reasons.find(({ code }) => code === 'permission_missing')?.detail).toBe(
        `缺少“${name}”权限（${id}）。请重新授权并保留该权限。`,
      );
  });

  it('of a mini-program stand on its configuration', async () => {
    const appid = await authorized({ accountType: 'mini_program' });
    expect(await enable(appid)).toBe(200);
    expect(await reasonsOf(appid)).toEqual({
      broadcast: ['kind_not_supported'],
      template_message: ['kind_not_supported'],
      customer_service_message: [],
      subscription_message: ['send_config_missing'],
      auto_reply: ['kind_not_supported'],
      qr_code: [],
    });
    const { warnings } = (await scenesOf(appid)).get('subscription_message') ?? {};
    expect(warnings?.map(({ code }) => code)).toEqual(['receipt_config_missing']);
  });

  it('of an account whose authorization has ended are none', async () => {
    const appid = await authorized({});
    await enable(appid);
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    const reasons = await reasonsOf(appid);
    expect(reasons['broadcast']).toEqual(['account_not_authorized', 'account_disabled']);
  });

  it('that have used up their quota are paused until midnight in Shanghai, or a reset', async () => {
    const appid = await authorized({});
    await enable(appid);
    const look = () => app.api('GET', `/accounts/${appid}/quota?path=${TEMPLATE}`);
    expect((await look()).body).toMatchObject({ path: TEMPLATE, used: 0 });
    expect((await reasonsOf(appid))['template_message']).toEqual([]);

    const { data } = app.sandbox;
    data.dailyLimits[TEMPLATE] = 5;
    app.sandbox.account(appid).usage[TEMPLATE] = 5;
    expect((await look()).body).toMatchObject({ dailyLimit: 5, used: 5, remaining: 0 });
    await look();
    // 08:00 of the first of January there.
    const until = '2026-01-01T16:00:00.000Z';
    const scene = (await scenesOf(appid)).get('template_message');
    expect(scene).toMatchObject({
      available: false,
      reasons: [{ code: 'quota_exhausted', until }],
    });
    expect((await reasonsOf(appid))['broadcast']).toEqual([]);
    const events = await app.api<{ items: { appid: string; data: object }[] }>(
      'GET',
      '/events?type=quota.exhausted',
    );
    const told = events.body.items.filter((event) => event.appid === appid);
    expect(told.map((event) => event.data)).toMatchObject([
      { path: TEMPLATE, until, scenes: ['template_message'] },
    ]);

    expect((await app.api('POST', `/accounts/${appid}/quota-resets`)).status).toBe(201);
    expect((await reasonsOf(appid))['template_message']).toEqual([]);

    // Midnight lifts it too.
    app.sandbox.account(appid).usage[TEMPLATE] = 5;
    await look();
    expect((await reasonsOf(appid))['template_message']).toEqual(['quota_exhausted']);
    app.clock.advance(16 * 3_600_000);
    expect((await reasonsOf(appid))['template_message']).toEqual([]);
    delete data.dailyLimits[TEMPLATE];
  });
});
