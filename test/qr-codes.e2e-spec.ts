import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import sharp from 'sharp';

import { textReply } from '@app/wechat';

import { shanghaiDay } from '../src/accounts/quota/shanghai-time.js';
import { Database } from '../src/database/database.js';
import { AccountData } from '../src/database/account-data.js';
import { Delivery } from '../src/messages/deliveries/delivery.entity.js';
import { PeopleWatchers } from '../src/messages/people/people-watchers.js';
import { PushHandlers } from '../src/pushes/push-handlers.js';
import { QrCodeUpkeep } from '../src/qr-codes/qr-code-upkeep.js';
import { QrCode, QrCodeAccount, QrCodePicture } from '../src/qr-codes/qr-code.entity.js';
import { QrCodeVisit } from '../src/qr-codes/visits/qr-code-visit.entity.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { clusterRedisUrl } from './cluster.js';
import { authorizationOf, uploadPicture } from './helpers.js';
import { newOpenid, newSender } from './message-helpers.js';
import { until } from './until.js';

const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const CREATE = '/cgi-bin/qrcode/create';
const SEND = '/cgi-bin/message/custom/send';

interface Figures {
  scans: number;
  people: number;
  newFollowers: number;
  returningFollowers: number;
  existingFollowers: number;
  unfollows: number;
  stayed: number;
}

interface CodeBody {
  id: string;
  scene: string;
  name: string;
  channel: string;
  group: string | null;
  tags: string[];
  permanent: boolean;
  status: string;
  imageUrl: string;
  contentUrl: string | null;
  expiresAt: string | null;
  endsAt: string | null;
  endedAt: string | null;
  replies: { newFollower: object[]; existingFollower: object[] };
  stats: Figures;
  createdBy: string;
  code: string;
  errors: { field: string; code: string }[];
}

interface StatsBody {
  items: (Figures & { from: string; to: string; day?: string; channel?: string; name?: string })[];
  totals: Figures;
  distinctPeople: number;
}

interface PageBody {
  items: CodeBody[];
  nextCursor: string | null;
  permanentUsed: number | null;
  permanentLimit: number | null;
}

let app: TestApp;
let service: string;

beforeAll(async () => {
  app = await startApp();
  service = await newSender(app);
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

const call = <T = CodeBody>(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer<T>> => app.api<T>(method, `/accounts/${path}`, body, headers);

async function newCode(appid = service, over: object = {}): Promise<CodeBody> {
  const wanted = { name: '上海店收银台', channel: '线下门店', permanent: true, ...over };
  const { status, body } = await call('POST', `${appid}/qr-codes`, wanted);
  if (status !== 201) throw new Error(`It was not made: ${JSON.stringify(body)}`);
  return body;
}

const getCode = async (appid: string, id: string): Promise<CodeBody> =>
  (await call('GET', `${appid}/qr-codes/${id}`)).body;

const statsOf = async (appid: string, id: string, query = ''): Promise<StatsBody> =>
  (await call<StatsBody>('GET', `${appid}/qr-codes/${id}/stats${query}`)).body;

/** What people do, each in a second of its own, taken in. */
async function after<T>(act: () => Promise<T>): Promise<T> {
  app.clock.advance(SECOND_MS);
  const done = await act();
  await app.settled();
  return done;
}

const figures = (over: Partial<Figures> = {}): Figures => ({
  scans: 0,
  people: 0,
  newFollowers: 0,
  returningFollowers: 0,
  existingFollowers: 0,
  unfollows: 0,
  stayed: 0,
  ...over,
});

const text = (words: string) => ({ type: 'text', text: words });

describe('a permanent code', () => {
  it('is made at WeChat under an opaque scene, and counted', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid, { group: '华东' });
    expect(code).toMatchObject({
      name: '上海店收银台',
      channel: '线下门店',
      group: '华东',
      permanent: true,
      status: 'active',
      expiresAt: null,
      stats: figures(),
    });
    expect(code.scene).toMatch(/^c[a-z2-7]{10}$/);
    const made = Object.values(app.sandbox.account(appid).qrCodes);
    expect(made).toMatchObject([{ scene: code.scene, url: code.contentUrl, expiresAt: null }]);
    const list = await call<PageBody>('GET', `${appid}/qr-codes`);
    expect(list.body).toMatchObject({
      items: [{ id: code.id }],
      permanentUsed: 1,
      permanentLimit: 100_000,
    });
  });

  it('stays used up when it is deleted, and is not made beyond the last', async () => {
    const appid = await newSender(app);
    const { id } = await newCode(appid);
    await call('POST', `${appid}/qr-codes/${id}/end`);
    expect((await call('DELETE', `${appid}/qr-codes/${id}`)).status).toBe(204);
    const db = app.app.get(Database);
    expect((await call<PageBody>('GET', `${appid}/qr-codes`)).body.permanentUsed).toBe(1);
    await db.write((tx) => tx.update(QrCodeAccount, { appid }, { permanentUsed: 100_000 }));
    const wanted = { name: 'n', channel: 'c', permanent: true };
    const asked = app.sandbox.callsTo(CREATE);
    const refused = await call('POST', `${appid}/qr-codes`, wanted);
    expect(refused).toMatchObject({ status: 409, body: { code: 'qr_codes_used_up' } });
    expect(app.sandbox.callsTo(CREATE)).toBe(asked);
  });

  it('is given back to the count when WeChat refuses it, with what to do', async () => {
    const appid = await newSender(app);
    app.sandbox.account(appid).permanentQrCodes = 0;
    const wanted = { name: 'n', channel: 'c', permanent: true };
    const { status, body } = await call<{ code: string; wechat: { errcode: number } }>(
      'POST',
      `${appid}/qr-codes`,
      wanted,
    );
    expect({ status, body }).toMatchObject({
      status: 502,
      body: { code: 'wechat_error', wechat: { errcode: 45029 } },
    });
    expect((await call<PageBody>('GET', `${appid}/qr-codes`)).body.permanentUsed).toBe(0);
  });
});

describe('a temporary code', () => {
  it('is made anew under the same scene before it runs out, as long as it is active', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid, { permanent: false, expiresInDays: 2 });
    const madeAt = app.clock.now().getTime();
    expect(code.expiresAt).toBe(new Date(madeAt + 2 * DAY_MS).toISOString());
    expect((await call<PageBody>('GET', `${appid}/qr-codes`)).body.permanentUsed).toBe(0);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(appid, code.id)).contentUrl).toBe(code.contentUrl);

    app.clock.advance(1.6 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    await app.app.get(QrCodeUpkeep).keepUp();
    const renewed = await getCode(appid, code.id);
    expect(renewed).toMatchObject({
      scene: code.scene,
      expiresAt: new Date(madeAt + 3.6 * DAY_MS).toISOString(),
    });
    expect(renewed.contentUrl).not.toBe(code.contentUrl);
    await after(() => app.sandbox.person(appid, newOpenid()).scan(renewed.contentUrl ?? ''));
    expect((await getCode(appid, code.id)).stats.newFollowers).toBe(1);
    await call('POST', `${appid}/qr-codes/${code.id}/end`);
    app.clock.advance(1.9 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    const asked = app.sandbox.callsTo(CREATE);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect(app.sandbox.callsTo(CREATE)).toBe(asked);
  });

  it('ends by itself when its time is over', async () => {
    const endsAt = new Date(app.clock.now().getTime() + 3_600_000).toISOString();
    const { id, expiresAt } = await newCode(service, { permanent: false, endsAt });
    expect(expiresAt).toBe(endsAt);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, id)).status).toBe('active');
    app.clock.advance(3_600_000);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect(await getCode(service, id)).toMatchObject({ status: 'ended', endedAt: endsAt });
  });

  it.each<[string, (endsAt: number) => object]>([
    ['removed', () => ({})],
    ['moved', (endsAt) => ({ endsAt: new Date(endsAt + 30 * DAY_MS).toISOString() })],
  ])('is made anew before its picture runs out once its end is %s', async (_case, later) => {
    const end = app.clock.now().getTime() + 10 * DAY_MS;
    const endsAt = new Date(end).toISOString();
    const code = await newCode(service, { permanent: false, endsAt });
    expect(code.expiresAt).toBe(endsAt);
    const settings = { name: code.name, channel: code.channel, ...later(end) };
    await call('PUT', `${service}/qr-codes/${code.id}`, settings);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, code.id)).contentUrl).toBe(code.contentUrl);
    app.clock.advance(7.1 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    await app.app.get(QrCodeUpkeep).keepUp();
    const renewed = await getCode(service, code.id);
    expect(renewed.contentUrl).not.toBe(code.contentUrl);
    expect(new Date(renewed.expiresAt ?? 0).getTime()).toBeGreaterThan(end);
  });

  it('is made anew at once when its end is moved shortly before its picture runs out', async () => {
    const endsAt = new Date(app.clock.now().getTime() + 3_600_000).toISOString();
    const code = await newCode(service, { permanent: false, endsAt });
    await call('PUT', `${service}/qr-codes/${code.id}`, { name: 'n', channel: 'c' });
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, code.id)).contentUrl).not.toBe(code.contentUrl);
  });

  it('is not made anew once it ends before its picture does', async () => {
    const code = await newCode(service, { permanent: false, expiresInDays: 2 });
    const endsAt = new Date(app.clock.now().getTime() + 1.9 * DAY_MS).toISOString();
    const settings = { name: 'n', channel: 'c', endsAt };
    await call('PUT', `${service}/qr-codes/${code.id}`, settings);
    app.clock.advance(1.8 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, code.id)).contentUrl).toBe(code.contentUrl);
  });

  it('whose end is removed while it is made anew is made anew again later', async () => {
    const appid = await newSender(app);
    const endsAt = new Date(app.clock.now().getTime() + 3 * DAY_MS).toISOString();
    const code = await newCode(appid, { permanent: false, expiresInDays: 2, endsAt });
    app.clock.advance(1.6 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    const asked = app.sandbox.callsTo(CREATE);
    app.sandbox.faults.add({ path: CREATE, appid, kind: 'delay', delayMs: 1_000 });
    const renewing = app.app.get(QrCodeUpkeep).keepUp();
    await until(() => app.sandbox.callsTo(CREATE) > asked);
    await call('PUT', `${appid}/qr-codes/${code.id}`, { name: 'n', channel: 'c' });
    await renewing;
    const row = await app.app.get(Database).read.findOneByOrFail(QrCode, { id: code.id });
    expect(row.renewAt?.getTime()).toBeLessThan(row.expiresAt?.getTime() ?? 0);
  });

  it('is tried again an hour later where WeChat does not make it', async () => {
    const code = await newCode(service, { permanent: false, expiresInDays: 1 });
    app.clock.advance(0.8 * DAY_MS);
    await app.sandbox.pushTicket();
    await app.settled();
    app.sandbox.faults.add({ path: CREATE, kind: 'errcode', errcode: -1, times: 9 });
    await app.app.get(QrCodeUpkeep).keepUp();
    app.sandbox.faults.clear();
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, code.id)).contentUrl).toBe(code.contentUrl);
    app.clock.advance(3_600_000);
    await app.app.get(QrCodeUpkeep).keepUp();
    expect((await getCode(service, code.id)).contentUrl).not.toBe(code.contentUrl);
  });
});

describe('managing', () => {
  it('replaces the settings and keeps the scene', async () => {
    const code = await newCode(service, { group: '华东', replies: { newFollower: [text('a')] } });
    const { status, body } = await call('PUT', `${service}/qr-codes/${code.id}`, {
      name: '北京店',
      channel: '线上',
      permanent: true,
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      scene: code.scene,
      contentUrl: code.contentUrl,
      name: '北京店',
      channel: '线上',
      group: null,
      replies: { newFollower: [], existingFollower: [] },
    });
  });

  it('copies one under a scene of its own', async () => {
    const code = await newCode(service, { replies: { existingFollower: [text('b')] } });
    const { status, body } = await call('POST', `${service}/qr-codes/${code.id}/copy`, {});
    expect(status).toBe(201);
    expect(body).toMatchObject({
      name: '上海店收银台（副本）',
      channel: code.channel,
      replies: code.replies,
    });
    expect(body.scene).not.toBe(code.scene);
  });

  it('calls a copy so in the language of who asks, however long its name is', async () => {
    const english = { 'accept-language': 'en' };
    const { id } = await newCode(service, { name: 'Till' });
    const copied = await call('POST', `${service}/qr-codes/${id}/copy`, {}, english);
    expect(copied.body.name).toBe('Till (copy)');
    const long = await newCode(service, { name: `${'长'.repeat(95)}🎉🎉🎉🎉🎉` });
    const other = await call('POST', `${service}/qr-codes/${long.id}/copy`, {});
    expect(other.body.name).toBe(`${'长'.repeat(95)}🎉（副本）`);
  });

  it('deletes no active code and changes no ended one', async () => {
    const { id } = await newCode();
    const path = `${service}/qr-codes/${id}`;
    expect(await call('DELETE', path)).toMatchObject({
      status: 409,
      body: { code: 'qr_code_active' },
    });
    expect((await call('POST', `${path}/end`)).body.status).toBe('ended');
    expect((await call('POST', `${path}/end`)).status).toBe(200);
    const settings = { name: 'n', channel: 'c' };
    expect(await call('PUT', path, settings)).toMatchObject({
      status: 409,
      body: { code: 'qr_code_ended' },
    });
    expect((await call('DELETE', path)).status).toBe(204);
    expect((await call('GET', path)).status).toBe(404);
  });

  it('finds codes by status, channel, group and a part of the name', async () => {
    const appid = await newSender(app);
    const one = await newCode(appid, { name: '100% 棉', channel: 'a', group: 'g' });
    await newCode(appid, { name: '100 件', channel: 'b' });
    const found = async (query: string): Promise<string[]> =>
      (await call<PageBody>('GET', `${appid}/qr-codes?${query}`)).body.items.map(({ id }) => id);
    for (const query of ['channel=a', 'group=g', `q=${encodeURIComponent('100%')}`])
      expect(await found(query)).toEqual([one.id]);
    expect(await found('status=ended')).toEqual([]);
    expect(await found('limit=1')).toHaveLength(1);
  });

  it.each<[string, string, object?]>([
    ['PUT', 'nothing', {}],
    ['POST', 'nothing/copy', { name: 1 }],
    ['GET', 'nothing/image?size=1'],
    ['GET', 'nothing/stats?from=yesterday'],
  ])('says of %s %s that the code is not there, whatever else is wrong', async (...asked) => {
    const [method, path, body] = asked;
    const answer = await call(method, `${service}/qr-codes/${path}`, body);
    expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('takes off what is around a text', async () => {
    const appid = await newSender(app);
    const over = { name: ' 店\t', channel: '空格 ', group: '\u3000华东', tags: [' 秋季 ', '秋季'] };
    const code = await newCode(appid, over);
    const plain = { name: '店', channel: '空格', group: '华东', tags: ['秋季'] };
    expect(code).toMatchObject(plain);
    const query = `channel=${encodeURIComponent(' 空格')}&group=${encodeURIComponent('华东 ')}`;
    const { body } = await call<PageBody>('GET', `${appid}/qr-codes?${query}`);
    expect(body.items).toMatchObject([{ id: code.id }]);
  });

  it.each<[string, object, string]>([
    ['no name', { name: '' }, 'name'],
    ['a name of spaces', { name: ' \u3000' }, 'name'],
    ['a name that cannot be seen', { name: '\u200b' }, 'name'],
    ['a name with more characters than it seems', { name: '❤️'.repeat(51) }, 'name'],
    ['a channel of spaces', { channel: '  ' }, 'channel'],
    ['a group of spaces', { group: ' ' }, 'group'],
    ['a tag of spaces', { tags: ['a', ' '] }, 'tags'],
    ['a list of replies', { replies: [] }, 'replies'],
    ['replies in a list', { replies: [{ newFollower: [text('a')] }] }, 'replies'],
    ['replies that are a text', { replies: 'a' }, 'replies'],
    ['31 days', { permanent: false, expiresInDays: 31 }, 'expiresInDays'],
    ['days of a permanent one', { expiresInDays: 3 }, 'expiresInDays'],
    ['an end by the week, of which no time is made', { endsAt: '2026-W10-1T00:00:00Z' }, 'endsAt'],
    ['an end on a day that is not there', { endsAt: '2026-02-30T00:00:00Z' }, 'endsAt'],
    ['an end without a zone', { endsAt: '2026-12-01T00:00:00' }, 'endsAt'],
    ['an end in the past', { endsAt: '2020-01-01T00:00:00Z' }, 'endsAt'],
    ['a page of a service account', { page: 'pages/index' }, 'page'],
    ['an empty text', { replies: { newFollower: [text('')] } }, 'replies.newFollower.0.text'],
    [
      'an unknown type',
      { replies: { existingFollower: [{ type: 'nothing' }] } },
      'replies.existingFollower.0.type',
    ],
    [
      'media of nobody',
      { replies: { newFollower: [{ type: 'image', mediaId: 'unknown' }] } },
      'replies.newFollower.0.mediaId',
    ],
    [
      'four messages',
      { replies: { newFollower: Array.from({ length: 4 }, () => text('a')) } },
      'replies.newFollower',
    ],
  ])('refuses %s', async (_case, over, field) => {
    const asked = app.sandbox.callsTo(CREATE);
    const wanted = { name: 'n', channel: 'c', permanent: true, ...over };
    const { status, body } = await call('POST', `${service}/qr-codes`, wanted);
    expect({ status, code: body.code }).toEqual({ status: 422, code: 'validation_failed' });
    expect(body.errors.map((error) => error.field)).toContain(field);
    expect(app.sandbox.callsTo(CREATE)).toBe(asked);
  });

  it('is for accounts that have such codes, and are switched on', async () => {
    const wanted = { name: 'n', channel: 'c', permanent: true };
    const subscription = await newSender(app, 'official_account', { serviceType: 0 });
    expect(await call('POST', `${subscription}/qr-codes`, wanted)).toMatchObject({
      status: 422,
      body: { code: 'qr_codes_not_supported' },
    });
    const appid = await newSender(app);
    await app.api('POST', `/accounts/${appid}/disable`);
    expect(await call('POST', `${appid}/qr-codes`, wanted)).toMatchObject({
      status: 409,
      body: { code: 'account_disabled' },
    });
  });

  it('is told until when to wait where WeChat’s quota of the day is used up', async () => {
    const appid = await newSender(app);
    const wanted = { name: 'n', channel: 'c', permanent: true };
    app.sandbox.account(appid).usage[CREATE] = 100_000;
    expect((await call('POST', `${appid}/qr-codes`, wanted)).status).toBe(502);
    expect(await call('POST', `${appid}/qr-codes`, wanted)).toMatchObject({
      status: 409,
      body: { code: 'qr_codes_not_available', errors: [{ code: 'quota_exhausted' }] },
    });
    expect((await call<PageBody>('GET', `${appid}/qr-codes`)).body.permanentUsed).toBe(0);
  });

  it('is for senders of the tenant only, and leaves an audit row', async () => {
    const { id, scene } = await newCode();
    const foreign = await authorizationOf(app, 'sender', 'brand-of-others');
    expect((await call('GET', `${service}/qr-codes/${id}`, undefined, foreign)).status).toBe(404);
    const other = await newSender(app);
    expect((await call('GET', `${other}/qr-codes/${id}`)).status).toBe(404);
    const audit = await app.api<{ items: { action: string; detail: { scene?: string } }[] }>(
      'GET',
      `/audit-log?target=${service}&action=qr_code.created`,
    );
    expect(audit.body.items[0]).toMatchObject({ detail: { scene } });
  });
});

describe('a visit', () => {
  it('is of a new, a returning or an existing follower, and told once', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid);
    const person = app.sandbox.person(appid, newOpenid());
    await after(() => person.scan(code.contentUrl ?? ''));
    await after(() => person.scan(code.contentUrl ?? ''));
    await after(() => person.unfollow());
    await after(() => person.scan(code.contentUrl ?? ''));
    expect((await getCode(appid, code.id)).stats).toEqual(
      figures({
        scans: 3,
        people: 1,
        newFollowers: 1,
        returningFollowers: 1,
        existingFollowers: 1,
        unfollows: 1,
        stayed: 1,
      }),
    );
    const { body } = await app.api<{ items: { data: Record<string, string> }[] }>(
      'GET',
      '/events?type=qr_code.scanned&limit=200',
    );
    const told = body.items.filter(({ data }) => data['qrCodeId'] === code.id);
    expect(told.map(({ data }) => data['visit'])).toEqual([
      'new_follower',
      'existing_follower',
      'returning_follower',
    ]);
    expect(told[0]?.data).toMatchObject({ appid, openid: person.openid, scene: code.scene });
  });

  it('of who has followed without a code before is none of a new follower', async () => {
    const code = await newCode();
    const person = app.sandbox.person(service, newOpenid());
    await after(() => person.follow());
    await after(() => person.unfollow());
    await after(() => person.scan(code.contentUrl ?? ''));
    expect((await getCode(service, code.id)).stats).toMatchObject({
      newFollowers: 0,
      returningFollowers: 1,
      unfollows: 0,
    });
  });

  it('leaves the figure of who stayed with the unfollow, not history; only the code that brought them', async () => {
    const [one, other] = [await newCode(), await newCode()];
    const person = app.sandbox.person(service, newOpenid());
    await after(() => person.scan(one.contentUrl ?? ''));
    await after(() => person.scan(other.contentUrl ?? ''));
    expect((await getCode(service, one.id)).stats.stayed).toBe(1);
    await after(() => person.unfollow());
    expect((await getCode(service, one.id)).stats).toEqual(
      figures({ scans: 1, people: 1, newFollowers: 1, unfollows: 1, stayed: 0 }),
    );
    expect((await getCode(service, other.id)).stats).toEqual(
      figures({ scans: 1, people: 1, existingFollowers: 1 }),
    );
  });

  it('whose scene begins like WeChat’s mark is stripped of it once', async () => {
    const code = await newCode();
    await app.app
      .get(Database)
      .write((tx) => tx.update(QrCode, { id: code.id }, { scene: 'qrscene_twice' }));
    const fields = { MsgType: 'event', Event: 'subscribe', EventKey: 'qrscene_qrscene_twice' };
    const openid = newOpenid();
    await after(() => app.sandbox.pushMessage(service, { FromUserName: openid, ...fields }));
    expect((await getCode(service, code.id)).stats.newFollowers).toBe(1);
  });

  it('comes out the same in whatever order pushes arrive, and however often', async () => {
    const appid = await newSender(app);
    const codes = [await newCode(appid), await newCode(appid)];
    const [a = '', b = ''] = codes.map(({ scene }) => scene);
    const begin = Math.floor(app.clock.now().getTime() / 1000);
    const life = [
      { Event: 'subscribe', EventKey: `qrscene_${a}` },
      { Event: 'SCAN', EventKey: b },
      { Event: 'unsubscribe', EventKey: '' },
      { Event: 'subscribe', EventKey: `qrscene_${b}` },
      { Event: 'unsubscribe', EventKey: '' },
      { Event: 'subscribe', EventKey: `qrscene_${b}` },
    ];
    const pushes = [newOpenid(), newOpenid()].flatMap((openid) =>
      life.map((fields, n) => ({
        FromUserName: openid,
        CreateTime: begin + n,
        MsgType: 'event',
        ...fields,
      })),
    );
    const shuffled = [...pushes, ...pushes].toSorted(
      (one, other) => ((one.CreateTime * 7) % 5) - ((other.CreateTime * 7) % 5),
    );
    for (const push of shuffled) {
      await app.sandbox.pushMessage(appid, push);
      await app.settled();
    }
    const counted = await Promise.all(codes.map(({ id }) => getCode(appid, id)));
    expect(counted.map(({ stats }) => stats)).toEqual([
      figures({ scans: 2, people: 2, newFollowers: 2, unfollows: 2 }),
      figures({
        scans: 6,
        people: 2,
        returningFollowers: 4,
        existingFollowers: 2,
        unfollows: 2,
        stayed: 2,
      }),
    ]);
  });

  it('is counted once for each of many people who come at the same moment', async () => {
    const code = await newCode();
    const people = Array.from({ length: 40 }, () => app.sandbox.person(service, newOpenid()));
    app.clock.advance(SECOND_MS);
    await Promise.all(people.map((person) => person.scan(code.contentUrl ?? '')));
    app.clock.advance(SECOND_MS);
    await Promise.all(people.map((person) => person.scan(code.contentUrl ?? '')));
    await app.settled();
    expect((await getCode(service, code.id)).stats).toEqual(
      figures({ scans: 80, people: 40, newFollowers: 40, existingFollowers: 40, stayed: 40 }),
    );
  });

  it('gets the tags of its code at WeChat, which makes those that are not there', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid, { tags: ['上海店', '秋季'] });
    expect(code.tags).toEqual(['上海店', '秋季']);
    const person = app.sandbox.person(appid, newOpenid());
    await after(() => person.scan(code.contentUrl ?? ''));
    await until(() => person.state.tagIds.length === 2);
    const again = await newCode(appid, { tags: ['秋季'] });
    expect(again.tags).toEqual(['秋季']);
    expect(app.sandbox.callsTo('/cgi-bin/tags/create')).toBeGreaterThanOrEqual(2);
  });
});

/** Somebody else follows by the code. */
const scanOf = (code: CodeBody, appid: string) =>
  after(() => app.sandbox.person(appid, newOpenid()).scan(code.contentUrl ?? ''));

/** Every process knows within a second what a code says. */
async function known(code: CodeBody, appid = service): Promise<void> {
  await until(async () => (await scanOf(code, appid)).reply !== null, 5_000);
}

/** Nothing waits to be sent. */
async function settledSends(): Promise<void> {
  const pending = () => app.app.get(Database).read.countBy(Delivery, { status: 'pending' });
  const sending = () => app.app.get(Database).read.countBy(Delivery, { status: 'sending' });
  await until(async () => (await pending()) + (await sending()) === 0);
}

describe('replies', () => {
  it('go out inside the answer, and the rest as customer-service messages', async () => {
    const code = await newCode(service, {
      replies: {
        newFollower: [text('欢迎'), text('这是优惠券')],
        existingFollower: text('欢迎回来'),
      },
    });
    await known(code);
    const person = app.sandbox.person(service, newOpenid());
    await settledSends();
    const sent = app.sandbox.callsTo(SEND);
    const first = await after(() => person.scan(code.contentUrl ?? ''));
    expect(first.reply).toMatchObject({ Content: '欢迎' });
    await until(() => app.sandbox.callsTo(SEND) === sent + 1);
    await until(() => JSON.stringify(person.messages).includes('这是优惠券'));
    const second = await after(() => person.scan(code.contentUrl ?? ''));
    expect(second.reply).toMatchObject({ Content: '欢迎回来' });
    expect(app.sandbox.callsTo(SEND)).toBe(sent + 1);
  });

  it('go before the rules for any follow, which learn that somebody answers', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid, { replies: { newFollower: [text('渠道')] } });
    const silent = await newCode(appid);
    await known(code, appid);
    const heard: string[] = [];
    app.app.get(PushHandlers).registerReply((push, account) => {
      if (account.appid !== appid) return null;
      const head = { to: push.fromUserName, from: push.toUserName, createTime: push.createTime };
      return textReply(head, '规则');
    });
    app.app.get(PeopleWatchers).register((_tx, { interaction, answeredBy, isAnswered }) => {
      heard.push(`${interaction.openid} ${answeredBy} ${isAnswered}`);
      return Promise.resolve();
    });
    const [one, other, third] = [1, 2, 3].map(() => app.sandbox.person(appid, newOpenid()));
    const scan = (person = one, by = code) =>
      after(() => person?.scan(by.contentUrl ?? '') ?? Promise.reject(new RangeError()));
    expect((await scan()).reply).toMatchObject({ Content: '渠道' });
    const fresh = await newCode(appid, { replies: { newFollower: [text('新渠道')] } });
    const { reply } = await scan(third, fresh);
    expect(reply === null || reply['Content'] === '新渠道').toBe(true);
    await until(() => JSON.stringify(third?.messages).includes('新渠道'));
    // In a cluster, pushes come to another process than this one, which has no such rule.
    if (clusterRedisUrl) return;
    expect((await scan(other, silent)).reply).toMatchObject({ Content: '规则' });
    expect(heard.at(0)).toMatch(new RegExp(`^${one?.openid} qr_code:\\d+ true$`));
    expect(heard.at(-1)).toBe(`${other?.openid} null true`);
  });

  it('are the same for a push that comes three times, and nothing is doubled', async () => {
    const replies = { newFollower: [text('一'), text('二')] };
    const code = await newCode(service, { replies });
    await known(code);
    await settledSends();
    const sent = app.sandbox.callsTo(SEND);
    const fields = {
      FromUserName: newOpenid(),
      CreateTime: Math.floor(app.clock.now().getTime() / 1000),
      MsgType: 'event',
      Event: 'subscribe',
      EventKey: `qrscene_${code.scene}`,
    };
    const pushes = await Promise.all([1, 2, 3].map(() => app.sandbox.pushMessage(service, fields)));
    for (const { reply } of pushes) expect(reply).toMatchObject({ Content: '一' });
    await app.settled();
    await until(() => app.sandbox.callsTo(SEND) === sent + 1);
    await settledSends();
    expect(app.sandbox.callsTo(SEND)).toBe(sent + 1);
    expect((await getCode(service, code.id)).stats.newFollowers).toBeGreaterThan(1);
  });

  it('come in time while customer service is down; the rest is told as not sent', async () => {
    const replies = { newFollower: [text('马上'), text('稍后')] };
    const code = await newCode(service, { replies });
    await known(code);
    await settledSends();
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 45015, times: 9 });
    const person = app.sandbox.person(service, newOpenid());
    const { reply } = await after(() => person.scan(code.contentUrl ?? ''));
    expect(reply).toMatchObject({ Content: '马上' });
    await settledSends();
    const { body } = await app.api<{ items: { status: string; failure: { reason: string } }[] }>(
      'GET',
      `/accounts/${service}/deliveries?openid=${person.openid}`,
    );
    expect(body.items).toMatchObject([{ status: 'failed', failure: { reason: 'window_closed' } }]);
  });

  it('go out without what WeChat refuses of them for its own sake, which is told', async () => {
    const replies = { newFollower: [text('马上'), text('被拒'), text('随后')] };
    const code = await newCode(service, { replies });
    await known(code);
    await settledSends();
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 40007 });
    const person = app.sandbox.person(service, newOpenid());
    await after(() => person.scan(code.contentUrl ?? ''));
    await settledSends();
    expect(person.messages).toMatchObject([{ message: { text: { content: '随后' } } }]);
    const { body } = await app.api<{ items: object[] }>(
      'GET',
      `/accounts/${service}/deliveries?openid=${person.openid}`,
    );
    expect(body.items).toMatchObject([
      { status: 'failed', failure: { errcode: 40007 }, parts: { sent: 1, total: 2 } },
    ]);
  });

  it('whose first cannot be passive all go as customer-service messages, once', async () => {
    const menu = { type: 'menu', head: '满意吗？', items: [{ id: '1', text: '好' }], tail: '谢谢' };
    const code = await newCode(service, { replies: { newFollower: [menu] } });
    const person = app.sandbox.person(service, newOpenid());
    const sent = app.sandbox.callsTo(SEND);
    const { reply } = await after(() => person.scan(code.contentUrl ?? ''));
    expect(reply).toBeNull();
    await until(() => app.sandbox.callsTo(SEND) === sent + 1);
  });

  it('with a picture are inside the answer once WeChat has it, which is when the code is made', async () => {
    const appid = await newSender(app);
    const image = { type: 'image', mediaId: await uploadPicture(app, appid) };
    const uploaded = app.sandbox.callsTo('/cgi-bin/media/upload');
    const code = await newCode(appid, { replies: { newFollower: [image] } });
    await until(() => app.sandbox.callsTo('/cgi-bin/media/upload') > uploaded);
    await known(code, appid);
    expect(JSON.stringify((await scanOf(code, appid)).reply)).toContain('MediaId');
  });

  it('with a picture that WeChat has forgotten go by customer service, which uploads it again', async () => {
    const appid = await newSender(app);
    const image = { type: 'image', mediaId: await uploadPicture(app, appid) };
    const code = await newCode(appid, { replies: { newFollower: [image] } });
    await until(async () => (await scanOf(code, appid)).reply !== null);
    app.clock.advance(3 * DAY_MS);
    await after(() => app.sandbox.pushTicket());
    const uploaded = app.sandbox.callsTo('/cgi-bin/media/upload');
    const sent = app.sandbox.callsTo(SEND);
    await until(async () => (await scanOf(code, appid)).reply === null);
    await until(() => app.sandbox.callsTo(SEND) > sent);
    expect(app.sandbox.callsTo('/cgi-bin/media/upload')).toBeGreaterThan(uploaded);
    await app.app.get(QrCodeUpkeep).keepUp();
    await until(async () => (await scanOf(code, appid)).reply !== null);
  });

  it('with a picture have a fresh copy at WeChat before the old one ends', async () => {
    const appid = await newSender(app);
    const image = { type: 'image', mediaId: await uploadPicture(app, appid) };
    const code = await newCode(appid, { replies: { newFollower: [image] } });
    const wechatId = async (): Promise<string | undefined> =>
      (await scanOf(code, appid)).reply?.['Image.MediaId'];
    let first: string | undefined;
    await until(async () => (first = await wechatId()) !== undefined);
    app.clock.advance(2 * DAY_MS + SECOND_MS);
    await after(() => app.sandbox.pushTicket());
    expect(await wechatId()).toBe(first);
    await app.app.get(QrCodeUpkeep).keepUp();
    await until(async () => (await wechatId()) !== first);
    const uploaded = app.sandbox.callsTo('/cgi-bin/media/upload');
    await app.app.get(QrCodeUpkeep).keepUp();
    await app.settled();
    expect(app.sandbox.callsTo('/cgi-bin/media/upload')).toBe(uploaded);
  });

  it('name the account and the time, and keep their media', async () => {
    const appid = await newSender(app);
    const mediaId = await uploadPicture(app, appid);
    const said = [text('{account} {date}'), { type: 'image', mediaId }, text('{time}')];
    const code = await newCode(appid, { replies: { newFollower: said } });
    await known(code, appid);
    const person = app.sandbox.person(appid, newOpenid());
    const { reply } = await after(() => person.scan(code.contentUrl ?? ''));
    const { nickname } = app.sandbox.account(appid);
    expect(reply?.['Content']).toMatch(new RegExp(`^${nickname} \\d{4}-\\d\\d-\\d\\d$`));
    await until(() => person.messages.length === 2);
    expect(JSON.stringify(person.messages[1])).toMatch(/\d\d:\d\d/);
    const refused = await call('DELETE', `${appid}/media/${mediaId}`);
    expect(refused).toMatchObject({ status: 409, body: { code: 'media_in_use' } });
    const bad = { newFollower: [text('{keyword}')] };
    expect(
      await call('POST', `${appid}/qr-codes`, {
        name: 'n',
        channel: 'c',
        permanent: true,
        replies: bad,
      }),
    ).toMatchObject({ status: 422, body: { errors: [{ field: 'replies.newFollower.0' }] } });
  });

  it('are refused with a medium that is deleted while WeChat makes the code', async () => {
    const appid = await newSender(app);
    const mediaId = await uploadPicture(app, appid);
    const asked = app.sandbox.callsTo(CREATE);
    app.sandbox.faults.add({ path: CREATE, kind: 'delay', delayMs: 500 });
    const making = call('POST', `${appid}/qr-codes`, {
      ...{ name: 'n', channel: 'c', permanent: false },
      replies: { existingFollower: [text('好'), { type: 'image', mediaId }] },
    });
    await until(() => app.sandbox.callsTo(CREATE) > asked);
    expect((await call('DELETE', `${appid}/media/${mediaId}`)).status).toBe(204);
    const { status, body } = await making;
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([
      { field: 'replies.existingFollower.1.mediaId', code: 'media_not_found' },
    ]);
  });

  it('say nothing more where the code was changed since it answered', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid, { replies: { newFollower: [text('一'), text('二')] } });
    await known(code, appid);
    const changing = new Set<string>();
    app.app.get(PeopleWatchers).register(async (tx, { interaction }) => {
      if (changing.has(interaction.openid))
        await tx.update(QrCode, { id: code.id }, { updatedAt: app.clock.now() });
    }, -2);
    const person = app.sandbox.person(appid, newOpenid());
    changing.add(person.openid);
    const { reply } = await after(() => person.scan(code.contentUrl ?? ''));
    expect(reply).toMatchObject({ Content: '一' });
    const { body } = await call<{ items: object[] }>(
      'GET',
      `${appid}/deliveries?openid=${person.openid}`,
    );
    expect(body.items).toEqual([]);
  });

  it('are known at once when they change, and said no more when the code has ended', async () => {
    const code = await newCode(service, { replies: { newFollower: [text('旧')] } });
    const scan = async (): Promise<unknown> => {
      const person = app.sandbox.person(service, newOpenid());
      return (await after(() => person.scan(code.contentUrl ?? ''))).reply;
    };
    await known(code);
    expect(await scan()).toMatchObject({ Content: '旧' });
    const settings = { name: 'n', channel: 'c', replies: { newFollower: [text('新')] } };
    await call('PUT', `${service}/qr-codes/${code.id}`, settings);
    await until(async () => JSON.stringify(await scan()).includes('新'), 3_000);
    await call('POST', `${service}/qr-codes/${code.id}/end`);
    await until(async () => (await scan()) === null, 3_000);
    const { stats } = await getCode(service, code.id);
    expect(stats.scans).toBeGreaterThan(2);
  });
});

describe('the figures', () => {
  it('by day have every day, and add up', async () => {
    const appid = await newSender(app);
    const code = await newCode(appid);
    const from = new Date(app.clock.now().getTime() - DAY_MS).toISOString();
    const one = app.sandbox.person(appid, newOpenid());
    await after(() => one.scan(code.contentUrl ?? ''));
    app.clock.advance(2 * DAY_MS);
    await after(() => app.sandbox.pushTicket());
    await after(() => one.scan(code.contentUrl ?? ''));
    await after(() => app.sandbox.person(appid, newOpenid()).scan(code.contentUrl ?? ''));
    const to = new Date(app.clock.now().getTime() + SECOND_MS).toISOString();
    const stats = await statsOf(appid, code.id, `?from=${from}&to=${to}&by=day`);
    expect(stats.items.at(0)?.from).toBe(from);
    expect(stats.items.at(-1)?.to).toBe(to);
    expect(stats.items.filter(({ scans }) => scans > 0).map(({ people }) => people)).toEqual([
      1, 2,
    ]);
    expect(stats.items.at(-1)?.day).toBe(shanghaiDay(app.clock.now()));
    expectTotals(stats);
    expect(stats).toMatchObject({ totals: { scans: 3, people: 3 }, distinctPeople: 2 });
  });

  it('by channel and by code are those of the whole account', async () => {
    const appid = await newSender(app);
    const codes = [
      await newCode(appid, { channel: '门店', name: '=SUM(A1)' }),
      await newCode(appid, { channel: '门店' }),
      await newCode(appid, { channel: '线上' }),
    ];
    for (const { contentUrl } of codes)
      await after(() => app.sandbox.person(appid, newOpenid()).scan(contentUrl ?? ''));
    const by = async (grouping: string): Promise<StatsBody> =>
      (await call<StatsBody>('GET', `${appid}/qr-codes/stats?by=${grouping}`)).body;
    const channels = await by('channel');
    expect(channels.items).toMatchObject([
      { channel: '门店', newFollowers: 2 },
      { channel: '线上', newFollowers: 1 },
    ]);
    const all = [channels, await by('code'), await by('day')];
    for (const stats of all) {
      expectTotals(stats);
      expect(stats.totals).toEqual(channels.totals);
    }
    const table = await read(`${appid}/qr-codes/stats.csv?by=code`);
    expect(table.startsWith('\uFEFF二维码编号,名称,渠道,扫码次数')).toBe(true);
    expect(table).toContain(`,'=SUM(A1),门店,1,1,1,0,0,0,1`);
    expect(table).toContain('合计,,,3,3,3,0,0,0,3');
  });

  it('are a table with its columns where there are none', async () => {
    const appid = await newSender(app);
    const columns = '扫码次数,扫码人数,新关注,再次关注,已关注,取消关注,仍在关注';
    for (const [grouping, labels, sum] of [
      ['code', '二维码编号,名称,渠道', '合计,,'],
      ['channel', '渠道', '合计'],
    ])
      expect(await read(`${appid}/qr-codes/stats.csv?by=${grouping}`)).toBe(
        `\uFEFF${labels},${columns}\r\n${sum},0,0,0,0,0,0,0\r\n`,
      );
  });

  it('are drawn for a phone, in its reader’s language', async () => {
    const code = await newCode(service, { name: '<店>' });
    await after(() => app.sandbox.person(service, newOpenid()).scan(code.contentUrl ?? ''));
    const chart = await read(`${service}/qr-codes/${code.id}/stats.svg`);
    expect(chart).toMatch(/^<svg [^>]*viewBox/);
    expect(chart).toContain('新关注 1');
    expect(chart).toContain('&#60;店&#62;');
    expect(await read(`${service}/qr-codes/${code.id}/stats.svg`, 'en')).toContain(
      'New followers 1',
    );
  });

  it.each(['zh-CN', 'en'])(
    'are drawn inside the edges, however long the name is (%s)',
    async (lang) => {
      const name = '店名很长'.repeat(25);
      const code = await newCode(service, { name });
      const chart = await read(`${service}/qr-codes/${code.id}/stats.svg`, lang);
      expect(chart).toContain(name);
      const { data, info } = await sharp(Buffer.from(chart))
        .raw()
        .toBuffer({ resolveWithObject: true });
      const { width, height, channels } = info;
      const isDark = (x: number, y: number): boolean =>
        (data[(y * width + x) * channels] ?? 255) < 128;
      const columns = (left: number, right: number, top: number, bottom: number): number[] =>
        Array.from({ length: right - left }, (_unused, n) => left + n).filter((x) =>
          Array.from({ length: bottom - top }, (_row, n) => top + n).some((y) => isDark(x, y)),
        );
      expect(columns(626, width, 0, height)).toEqual([]);
      expect(columns(48, 626, 16, 44).length).toBeGreaterThan(400);
    },
  );

  it('are not asked for over more than a year at once', async () => {
    const { id } = await newCode();
    const query = '?from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z';
    expect(await call('GET', `${service}/qr-codes/${id}/stats${query}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_query' },
    });
  });
});

function expectTotals({ items, totals }: StatsBody): void {
  for (const [name, total] of Object.entries(totals)) {
    const key = name as keyof Figures;
    expect([name, items.reduce((sum, item) => sum + item[key], 0)]).toEqual([name, total]);
  }
}

async function read(path: string, lang = 'zh-CN'): Promise<string> {
  const { key } = await apiKey();
  const response = await fetch(`${app.url}/api/v1/accounts/${path}`, {
    headers: { authorization: `Bearer ${key}`, 'accept-language': lang },
  });
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer()).toString();
}

async function apiKey(): Promise<{ key: string }> {
  const { authorization } = await authorizationOf(app, 'viewer', 'default');
  return { key: authorization.replace('Bearer ', '') };
}

describe('a mini-program', () => {
  it('has codes of its own sort, which last and say nothing', async () => {
    const appid = await newSender(app, 'mini_program');
    const code = await newCode(appid, { page: 'pages/index/index' });
    expect(code).toMatchObject({ permanent: true, contentUrl: null, expiresAt: null });
    const { body } = await call<PageBody>('GET', `${appid}/qr-codes`);
    expect(body).toMatchObject({ permanentUsed: null, permanentLimit: null });
    const { id: qrCodeId } = code;
    const { content } = await app.app
      .get(Database)
      .read.findOneByOrFail(QrCodePicture, { qrCodeId });
    const picture = await sharp(Buffer.from(content, 'base64')).metadata();
    expect(picture).toMatchObject({ width: 1280, height: 1280 });
    for (const over of [{ permanent: false }, { tags: ['a'] }, { replies: {} }]) {
      const wanted = { name: 'n', channel: 'c', permanent: true, ...over };
      expect((await call('POST', `${appid}/qr-codes`, wanted)).status).toBe(422);
    }
  });
});

describe('erasing', () => {
  it('a mini-program takes the pictures that WeChat drew', async () => {
    const appid = await newSender(app, 'mini_program');
    await newCode(appid);
    const pictures = () => app.app.get(Database).read.countBy(QrCodePicture, { appid });
    expect(await pictures()).toBe(1);
    app.clock.advance(60 * SECOND_MS);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    const { status } = await app.api('DELETE', `/accounts/${appid}?confirm=${appid}`);
    expect(status).toBe(204);
    expect(await pictures()).toBe(0);
  });

  it('a person takes the visits, and leaves those of others', async () => {
    const code = await newCode();
    const [one, other] = [newOpenid(), newOpenid()];
    for (const openid of [one, other])
      await after(() => app.sandbox.person(service, openid).scan(code.contentUrl ?? ''));
    const table = app.app
      .get(AccountData)
      .all()
      .find((known) => known.table === 'qr_code_visit');
    await table?.erasePerson?.(service, one);
    const rows = await app.app.get(Database).read.findBy(QrCodeVisit, { qrCodeId: code.id });
    expect(rows.map(({ openid }) => openid)).toEqual([other]);
  });
});
