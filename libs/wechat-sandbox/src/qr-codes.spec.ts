import {
  createMiniProgramCode,
  createQrCode,
  createTag,
  getStableToken,
  listTags,
  tagPeople,
  untagPeople,
  WechatApiError,
  WechatHttp,
  type XmlObject,
} from '@app/wechat';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import jsQR from 'jsqr';
import { PNG } from 'pngjs';
import { request } from 'undici';

import { WechatSandbox } from './index.js';
import { type Receiver, startReceiver } from './vectors/receiver.js';

const SERVICE_ACCOUNT = 'wx1badb002feedface';
const SUBSCRIPTION_ACCOUNT = 'wx0fa11babe0fa11ba';
const UNVERIFIED_ACCOUNT = 'wx2b00b1e52b00b1e5';
const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const OPENID = 'oPerson00000000000000000001';

let sandbox: WechatSandbox;
let http: WechatHttp;
let now: number;
let receiver: Receiver;
let received: XmlObject[];

beforeEach(async () => {
  now = Date.UTC(2026, 7, 1, 2);
  receiver = await startReceiver();
  received = receiver.received;
  sandbox = await WechatSandbox.start({
    component: receiver.component,
    launchDomain: 'channel.test',
    messagesUrl: receiver.messagesUrl,
    now: () => now,
    pushRetryDelaysMs: [0, 0],
  });
  http = new WechatHttp({ baseUrl: sandbox.url });
});

afterEach(async () => {
  await http.close();
  await sandbox.stop();
  await receiver.close();
});

async function tokenOf(appid: string): Promise<string> {
  const { appSecret } = sandbox.account(appid);
  return (await getStableToken(http, { appid, appSecret })).accessToken;
}

async function refusalOf(call: Promise<unknown>): Promise<number | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof WechatApiError) return error.errcode;
    throw error;
  }
}

/** What a phone reads in a picture, by readers that are not ours. */
function read(picture: Buffer): string | null {
  const { data, width, height } = PNG.sync.read(picture);
  return jsQR.default(new Uint8ClampedArray(data), width, height)?.data ?? null;
}

const make = async (scene: string, expiresInSeconds: number | null, appid = SERVICE_ACCOUNT) =>
  createQrCode(http, await tokenOf(appid), { scene, expiresInSeconds });

const show = (ticket: string) =>
  request(`${sandbox.url}/cgi-bin/showqrcode`, { query: { ticket } });

describe('a parametric QR code', () => {
  it('is shown as a picture that says its address', async () => {
    const { ticket, url, expiresInSeconds } = await make('ch:7Q2M', 3600);
    expect(url).toMatch(/^http:\/\/weixin\.qq\.com\/q\/\S+$/);
    expect(expiresInSeconds).toBe(3600);
    const { statusCode, headers, body } = await show(ticket);
    expect([statusCode, headers['content-type']]).toEqual([200, 'image/png']);
    expect(read(Buffer.from(await body.arrayBuffer()))).toBe(url);
  });

  it('is not shown by a wrong ticket, nor after its end', async () => {
    const { ticket } = await make('a', 3600);
    const lasting = await make('a', null);
    const statusOf = async (one: string): Promise<number> => {
      const { statusCode, body } = await show(one);
      await body.dump();
      return statusCode;
    };
    expect([await statusOf(`${ticket}x`), await statusOf('')]).toEqual([404, 404]);
    now += 3600_000 - 1;
    expect(await statusOf(ticket)).toBe(200);
    now += 1;
    expect([await statusOf(ticket), await statusOf(lasting.ticket)]).toEqual([404, 200]);
  });

  it('makes a follower of who scans it, and tells the account by the ticket', async () => {
    const { ticket, url } = await make('qrscene_odd', null);
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    await someone.scan(url);
    await someone.scan(ticket);
    await someone.scan('qrscene_odd');
    await someone.scan('nobody made it');
    expect(received).toMatchObject([
      { Event: 'subscribe', EventKey: 'qrscene_qrscene_odd', Ticket: ticket },
      { Event: 'SCAN', EventKey: 'qrscene_odd', Ticket: ticket },
      { Event: 'SCAN', EventKey: 'qrscene_odd', Ticket: ticket },
      { Event: 'SCAN', EventKey: 'nobody made it', Ticket: expect.stringMatching(/^gQ_/) },
    ]);
  });

  it('does nothing after its end, or where another account has made it', async () => {
    const { ticket, url } = await make('a', 60);
    const fresh = await make('a', 120);
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    now += 60_000;
    for (const code of [ticket, url, 'http://weixin.qq.com/q/nobodys'])
      expect(await someone.scan(code)).toEqual({ attempts: [], delivered: false, reply: null });
    expect(await sandbox.person(SUBSCRIPTION_ACCOUNT, OPENID).scan(fresh.url)).toMatchObject({
      attempts: [],
    });
    expect([received, someone.state.isFollower]).toEqual([[], false]);
    expect(await someone.scan(fresh.url)).toMatchObject({ delivered: true });
    expect(await someone.scan(fresh.url.replace('http:', 'https:'))).toMatchObject({
      delivered: true,
    });
  });

  it('is the same again for the same permanent scene, and takes a place only once', async () => {
    sandbox.account(SERVICE_ACCOUNT).permanentQrCodes = 2;
    const first = await make('a', null);
    await make('b', null);
    expect(await make('a', null)).toEqual(first);
    expect(await refusalOf(make('c', null))).toBe(45029);
    const temporary = await make('a', 60);
    expect(temporary.ticket).not.toBe(first.ticket);
    expect((await make('a', 60)).ticket).not.toBe(temporary.ticket);
  });

  it('has as many permanent places as the control API says', async () => {
    const response = await request(`${sandbox.url}/_sandbox/qr-code-limit`, {
      method: 'POST',
      body: JSON.stringify({ appid: SERVICE_ACCOUNT, limit: 0 }),
    });
    expect(await response.body.json()).toEqual({ permanentQrCodes: 0 });
    expect(await refusalOf(make('a', null))).toBe(45029);
  });

  it.each<[object, number | null]>([
    [{ action_name: 'QR_SCENE', action_info: { scene: { scene_id: 4294967295 } } }, null],
    [{ action_name: 'QR_SCENE', action_info: { scene: { scene_id: 0 } } }, 40053],
    [{ action_name: 'QR_LIMIT_SCENE', action_info: { scene: { scene_id: 100_000 } } }, null],
    [{ action_name: 'QR_LIMIT_SCENE', action_info: { scene: { scene_id: 100_001 } } }, 40053],
    [{ action_name: 'QR_STR_SCENE', action_info: { scene: { scene_id: 1 } } }, 40053],
    [{ action_name: 'QR_STR_SCENE', action_info: { scene: { scene_str: 'x'.repeat(65) } } }, 40053],
    [{ action_name: 'QR_CARD', action_info: { scene: { scene_str: 'a' } } }, 40052],
    [{ action_info: { scene: { scene_str: 'a' } } }, 40052],
    [{ action_name: 'QR_STR_SCENE' }, 47001],
    [
      {
        action_name: 'QR_STR_SCENE',
        expire_seconds: 2_592_001,
        action_info: { scene: { scene_str: 'a' } },
      },
      40053,
    ],
  ])('of %j is answered with %p', async (body, errcode) => {
    const accessToken = await tokenOf(SERVICE_ACCOUNT);
    expect(await refusalOf(http.post('/cgi-bin/qrcode/create', body, { accessToken }))).toBe(
      errcode,
    );
  });

  it('lives for a minute where its life is not said', async () => {
    const accessToken = await tokenOf(SERVICE_ACCOUNT);
    const body = { action_name: 'QR_STR_SCENE', action_info: { scene: { scene_str: 'a' } } };
    expect(await http.post('/cgi-bin/qrcode/create', body, { accessToken })).toMatchObject({
      expire_seconds: 60,
    });
  });

  it('is for verified service accounts, and needs a permission', async () => {
    for (const appid of [SUBSCRIPTION_ACCOUNT, UNVERIFIED_ACCOUNT, MINI_PROGRAM])
      expect(await refusalOf(make('a', 60, appid))).toBe(48001);
    expect(
      await refusalOf(
        createQrCode(http, authorizedToken(SERVICE_ACCOUNT, [1]), {
          scene: 'a',
          expiresInSeconds: 60,
        }),
      ),
    ).toBe(61007);
  });
});

/** A token of the platform's, with these permission sets only. */
function authorizedToken(appid: string, permissionIds: number[]): string {
  sandbox.authorize({ appid, preAuthCode: null, permissionIds, push: false });
  const token = 'authorizerTokenForTests';
  sandbox.data.accessTokens[token] = {
    kind: 'authorizer',
    appid,
    expiresAt: now + 3600_000,
    isRetired: false,
  };
  return token;
}

describe('a mini-program code', () => {
  const draw = async (code: Parameters<typeof createMiniProgramCode>[2], appid = MINI_PROGRAM) =>
    createMiniProgramCode(http, await tokenOf(appid), code);

  it('is a picture that says page and scene', async () => {
    const picture = await draw({ scene: "ch:7&'=", page: 'pages/index', width: 280 });
    const { pathname, searchParams } = new URL(read(picture) ?? '');
    expect(pathname).toBe(`/a/${MINI_PROGRAM}`);
    expect(Object.fromEntries(searchParams)).toEqual({ page: 'pages/index', scene: "ch:7&'=" });
    expect(PNG.sync.read(picture)).toMatchObject({ width: 280, height: 280 });
  });

  it('has a page that is published, unless nobody looks', async () => {
    sandbox.account(MINI_PROGRAM).pages = ['pages/index'];
    expect(await refusalOf(draw({ scene: 'a', page: 'pages/index' }))).toBeNull();
    expect(await refusalOf(draw({ scene: 'a' }))).toBeNull();
    expect(await refusalOf(draw({ scene: 'a', page: 'pages/gone' }))).toBe(41030);
    expect(await refusalOf(draw({ scene: 'a', page: 'pages/gone', checkPath: false }))).toBeNull();
  });

  it.each<[object, number]>([
    [{ scene: '渠道' }, 40129],
    [{ scene: 'a%20b' }, 40129],
    [{ scene: 'x'.repeat(33) }, 40169],
    [{ scene: '' }, 40169],
    [{}, 40169],
    [{ scene: 'scancode_time=1' }, 85096],
    [{ scene: 'a', page: '/pages/index' }, 41030],
    [{ scene: 'a', page: 'pages/index?a=1' }, 41030],
    [{ scene: 'a', width: 279 }, 40097],
    [{ scene: 'a', env_version: 'beta' }, 40097],
  ])('of %j is refused with %i', async (body, errcode) => {
    const accessToken = await tokenOf(MINI_PROGRAM);
    expect(
      await refusalOf(http.postForBytes('/wxa/getwxacodeunlimit', body, { accessToken })),
    ).toBe(errcode);
  });

  it('is for mini-programs, and needs a permission', async () => {
    expect(await refusalOf(draw({ scene: 'a' }, SERVICE_ACCOUNT))).toBe(48001);
    expect(
      await refusalOf(
        createMiniProgramCode(http, authorizedToken(MINI_PROGRAM, [18]), { scene: 'a' }),
      ),
    ).toBe(61007);
  });
});

describe('tags', () => {
  const person = (openid: string) => sandbox.person(SERVICE_ACCOUNT, openid);

  it('are made, put on people and taken off', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const { id } = await createTag(http, token, '渠道');
    expect(await createTag(http, token, '裂变')).toEqual({ id: id + 1, name: '裂变' });
    await person('o1').follow();
    await person('o2').follow();
    await tagPeople(http, token, id, ['o1', 'o2']);
    await tagPeople(http, token, id, ['o1']);
    expect(person('o1').state.tagIds).toEqual([id]);
    expect(await listTags(http, token)).toEqual([
      { id: 2, name: '星标组', people: 0 },
      { id, name: '渠道', people: 2 },
      { id: id + 1, name: '裂变', people: 0 },
    ]);
    await untagPeople(http, token, id, ['o1']);
    expect([person('o1').state.tagIds, person('o2').state.tagIds]).toEqual([[], [id]]);
  });

  it('are refused as WeChat refuses them, for all of a list or none', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const { id } = await createTag(http, token, '渠道');
    const put = (tagId: number, openids: string[]) =>
      refusalOf(tagPeople(http, token, tagId, openids));
    await person('o1').follow();
    await person('o2').follow();
    await person('o2').unfollow();
    expect(await put(id, ['o1', 'o2'])).toBe(40003);
    expect(await put(id, ['o1', 'oNobody'])).toBe(40003);
    expect(await put(99, ['o1'])).toBe(45159);
    person('o1').tag(...Array.from({ length: 20 }, (_, place) => place + 200));
    expect(await put(id, ['o1'])).toBe(45059);
    person('o1').tag(id, ...Array.from({ length: 19 }, (_, place) => place + 200));
    expect(await put(id, ['o1'])).toBeNull();
    const members = { tagid: id, openid_list: Array.from({ length: 51 }, () => 'o1') };
    expect(
      await refusalOf(
        http.post('/cgi-bin/tags/members/batchtagging', members, { accessToken: token }),
      ),
    ).toBe(40032);
  });

  it('have names of their own, a hundred of them', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const name = (place: number) => refusalOf(createTag(http, token, `t${place}`));
    expect(await name(0)).toBeNull();
    expect(await name(0)).toBe(45157);
    const long = { tag: { name: 'x'.repeat(31) } };
    expect(await refusalOf(http.post('/cgi-bin/tags/create', long, { accessToken: token }))).toBe(
      45158,
    );
    for (let place = 1; place < 100; place++) await name(place);
    expect(await name(100)).toBe(45056);
    expect(await listTags(http, token)).toHaveLength(101);
  });

  it('are for verified accounts, and need a permission', async () => {
    for (const appid of [UNVERIFIED_ACCOUNT, MINI_PROGRAM])
      expect(await refusalOf(listTags(http, await tokenOf(appid)))).toBe(48001);
    expect(await refusalOf(listTags(http, await tokenOf(SUBSCRIPTION_ACCOUNT)))).toBeNull();
    expect(await refusalOf(listTags(http, authorizedToken(SERVICE_ACCOUNT, [3])))).toBe(61007);
  });
});
