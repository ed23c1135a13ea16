import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { Account } from '../src/accounts/account.entity.js';
import { AccountsService } from '../src/accounts/accounts.service.js';
import { Clock } from '../src/common/clock.js';
import { Logger } from '../src/common/logger.js';
import { AccountData } from '../src/database/account-data.js';
import { Database } from '../src/database/database.js';
import { TemplateList } from '../src/messages/templates/template-list.entity.js';
import { PeopleService } from '../src/messages/people/people.service.js';
import { TemplateListsRepository } from '../src/messages/templates/template-lists.repository.js';
import { TemplateReader } from '../src/messages/templates/template-reader.js';
import { TemplatesService } from '../src/messages/templates/templates.service.js';
import { SharedMutex } from '../src/queue/shared-mutex.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { authorizationOf, begin } from './helpers.js';

interface FieldBody {
  key: string;
  type: string | null;
  label: string;
  required: boolean;
  values: string[] | null;
  rule: string;
  example: string | null;
}

interface ListBody {
  items: { templateId: string; title: string; consent?: string; fields: FieldBody[] }[];
  readAt: string;
  code: string;
  wechat?: { errcode: number };
}

const LIST = '/cgi-bin/template/get_all_private_template';
const SUBSCRIPTIONS = '/wxaapi/newtmpl/gettemplate';
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterEach(async () => {
  app.sandbox.faults.clear();
  // Tests move the clock by hours, and a ticket lives twelve.
  await app.sandbox.pushTicket();
  await app.settled();
});
afterAll(() => app.stop());

async function newAccount(
  accountType: 'official_account' | 'mini_program',
  { permissionIds, tenant }: { permissionIds?: number[]; tenant?: string } = {},
): Promise<string> {
  const appid = `wx${(0x7e391a7e000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, accountType });
  const { preAuthCode } = await begin(app, { accountType }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode, ...(permissionIds && { permissionIds }) })
    .pushed;
  await app.settled();
  return appid;
}

const list = (
  appid: string,
  query = '',
  headers: Record<string, string> = {},
): Promise<Answer<ListBody>> =>
  app.api<ListBody>('GET', `/accounts/${appid}/templates${query}`, undefined, headers);
const titlesOf = ({ body }: Answer<ListBody>): string[] => body.items.map(({ title }) => title);
/** Has the list read. @returns the id of its first template */
const readFirst = async (appid: string): Promise<string> =>
  (await list(appid)).body.items[0]?.templateId ?? '';
const callsBy = (appid: string, path = LIST): number =>
  app.sandbox.journal.filter((call) => call.path === path && call.tokenAppid === appid).length;
const addTemplate = (appid: string, title: string): string =>
  app.sandbox.addTemplate(appid, { title, content: '备注：{{thing1.DATA}}\n' }).templateId;

async function accountOf(appid: string): Promise<Account> {
  const account = await app.app.get(AccountsService).find(appid);
  if (!account) throw new Error('no account');
  return account;
}

const templates = (): TemplatesService => app.app.get(TemplatesService);
const find = async (appid: string, templateId: string, service = templates()) =>
  service.find(await accountOf(appid), 'template_message', templateId);

describe('GET /accounts/{appid}/templates', () => {
  it("lists an official account's templates with what each field takes", async () => {
    const appid = await newAccount('official_account');
    const { status, body } = await list(appid, '?kind=template_message');
    expect(status).toBe(200);
    expect(body).toEqual({
      items: [
        {
          templateId: expect.stringMatching(/^[\w-]{43}$/),
          title: '订单发货通知',
          content:
            '订单编号：{{character_string1.DATA}}\n发货时间：{{time2.DATA}}\n备注：{{thing3.DATA}}\n',
          example: '订单编号：SO20260801\n发货时间：2026-08-01 10:00\n备注：请留意查收\n',
          fields: [
            {
              key: 'character_string1',
              type: 'character_string',
              label: '订单编号',
              required: true,
              values: null,
              rule: '32 位以内数字、字母或符号，不含汉字',
              example: 'SO20260801',
            },
            expect.objectContaining({ key: 'time2', example: '2026-08-01 10:00' }),
            expect.objectContaining({
              key: 'thing3',
              rule: '20 个以内字符',
              example: '请留意查收',
            }),
          ],
        },
        expect.objectContaining({ title: '付款成功通知' }),
      ],
      readAt: app.clock.now().toISOString(),
    });
    const en = await list(appid, '', { 'accept-language': 'en' });
    expect(en.body.items[0]?.fields[2]?.rule).toBe('up to 20 characters');
  });

  it("lists a mini-program's, with their consent and the values of their fields", async () => {
    const appid = await newAccount('mini_program', { permissionIds: [17, 18, 25] });
    const { body } = await list(appid, '?kind=subscription_message');
    expect(body.items).toMatchObject([
      { title: '报名结果通知', consent: 'one_time', fields: [{ values: null }, {}] },
      {
        title: '设备故障提醒',
        consent: 'long_term',
        fields: [
          { key: 'time1', example: '15:01' },
          {
            key: 'enum2',
            values: ['待处理', '处理中', '已处理'],
            rule: '只能填写：待处理、处理中、已处理',
            example: '待处理',
          },
        ],
      },
    ]);
    expect((await list(appid)).body).toEqual(body);
  });

  it.each([
    ['official_account', 'subscription_message'],
    ['mini_program', 'template_message'],
  ] as const)('knows that an %s has no %s', async (accountType, kind) => {
    const appid = await newAccount(accountType);
    const answer = await list(appid, `?kind=${kind}`);
    expect(answer).toMatchObject({ status: 422, body: { code: 'kind_not_supported' } });
    const account = await accountOf(appid);
    await expect(templates().find(account, kind, 'x')).rejects.toMatchObject({
      code: 'kind_not_supported',
    });
  });

  it('is open to viewers of the tenant, and to nobody else', async () => {
    const appid = await newAccount('official_account', { tenant: 'brand-a' });
    const [viewer, foreign] = [
      await authorizationOf(app, 'viewer', 'brand-a'),
      await authorizationOf(app, 'admin', 'brand-b'),
    ];
    expect((await list(appid, '', viewer)).status).toBe(200);
    expect((await list(appid, '', foreign)).status).toBe(404);
    expect((await list(appid, '?kind=broadcast', viewer)).status).toBe(400);
    expect((await list(appid, '?refresh=yes', viewer)).status).toBe(400);
  });

  it('keeps the list for an hour', async () => {
    const appid = await newAccount('official_account');
    const first = await list(appid);
    addTemplate(appid, '会员到期提醒');
    app.clock.advance(HOUR_MS - 1);
    expect((await list(appid)).body).toEqual(first.body);
    expect(callsBy(appid)).toBe(1);
    app.clock.advance(1);
    expect(titlesOf(await list(appid))).toContain('会员到期提醒');
    expect(callsBy(appid)).toBe(2);
  });

  it('reads it again when it is told to, once a minute', async () => {
    const appid = await newAccount('official_account');
    await list(appid);
    addTemplate(appid, '会员到期提醒');
    app.clock.advance(MINUTE_MS - 1);
    expect(titlesOf(await list(appid, '?refresh=true'))).not.toContain('会员到期提醒');
    expect(callsBy(appid)).toBe(1);
    app.clock.advance(1);
    const asked = await Promise.all(Array.from({ length: 20 }, () => list(appid, '?refresh=true')));
    for (const answer of asked) expect(titlesOf(answer)).toContain('会员到期提醒');
    expect(callsBy(appid)).toBe(2);
    expect(titlesOf(await list(appid, '?refresh=false'))).toContain('会员到期提醒');
  });

  it('asks once for all who come together for the first time', async () => {
    const appid = await newAccount('official_account');
    const asked = await Promise.all(Array.from({ length: 20 }, () => list(appid)));
    for (const answer of asked) expect(titlesOf(answer)).toHaveLength(2);
    expect(callsBy(appid)).toBe(1);
  });

  it.each([
    ['WeChat is away', { kind: 'reset' }],
    ['WeChat is broken', { kind: 'http_500' }],
    ["the day's calls are used up", { kind: 'errcode', errcode: 45009 }],
    ['there were too many in a minute', { kind: 'errcode', errcode: 45011 }],
    ['WeChat is busy', { kind: 'errcode', errcode: -1 }],
  ] as const)('answers what was read last while %s', async (_case, fault) => {
    const appid = await newAccount('official_account');
    const first = await list(appid);
    app.clock.advance(2 * HOUR_MS);
    app.sandbox.faults.add({ path: LIST, ...fault });
    expect(await list(appid)).toMatchObject({ status: 200, body: first.body });
    // That call counts as well.
    expect((await list(appid, '?refresh=true')).body.readAt).toBe(first.body.readAt);
    expect(callsBy(appid)).toBe(2);
    app.clock.advance(MINUTE_MS);
    expect((await list(appid)).body.readAt).toBe(app.clock.now().toISOString());
  });

  it('says that it cannot where nothing was ever read, and asks no more for a minute', async () => {
    const appid = await newAccount('official_account');
    app.sandbox.faults.add({ path: LIST, kind: 'errcode', errcode: 45009 });
    expect(await list(appid)).toMatchObject({
      status: 502,
      body: { code: 'wechat_error', wechat: { errcode: 45009 } },
    });
    app.clock.advance(20_000);
    const again = await list(appid);
    expect(again).toMatchObject({ status: 503, body: { code: 'templates_unavailable' } });
    expect(again.headers.get('retry-after')).toBe('40');
    expect(callsBy(appid)).toBe(1);
    app.clock.advance(40_000);
    expect((await list(appid)).status).toBe(200);
    const other = await newAccount('official_account');
    app.sandbox.faults.add({ path: LIST, kind: 'reset' });
    expect(await list(other)).toMatchObject({ status: 504, body: { code: 'wechat_unavailable' } });
  });

  it('shows a refusal that does not pass, whatever was read before', async () => {
    const appid = await newAccount('official_account');
    await list(appid);
    app.clock.advance(2 * HOUR_MS);
    app.sandbox.faults.add({ path: LIST, kind: 'errcode', errcode: 48001 });
    expect(await list(appid)).toMatchObject({ status: 502, body: { wechat: { errcode: 48001 } } });
  });

  it("reads a mini-program's with its own token where the permission was not granted", async () => {
    const appid = await newAccount('mini_program', { permissionIds: [17, 25] });
    expect(await list(appid)).toMatchObject({ status: 502, body: { wechat: { errcode: 61007 } } });
    const { appSecret } = app.sandbox.account(appid);
    const saved = await app.api('PUT', `/accounts/${appid}/send-config`, {
      strategy: 'app_secret',
      appSecret,
    });
    expect(saved.status).toBe(200);
    app.clock.advance(MINUTE_MS);
    expect(titlesOf(await list(appid))).toEqual(['报名结果通知', '设备故障提醒']);
    expect(callsBy(appid, SUBSCRIPTIONS)).toBe(3);
  });
});

describe('TemplatesService.find', () => {
  it('finds what is kept without asking, however old it is', async () => {
    const appid = await newAccount('official_account');
    const templateId = await readFirst(appid);
    app.clock.advance(30 * HOUR_MS);
    expect(await find(appid, templateId)).toMatchObject({ templateId, title: '订单发货通知' });
    expect(callsBy(appid)).toBe(1);
  });

  it('finds one that was added at WeChat later', async () => {
    const appid = await newAccount('official_account');
    await list(appid);
    const added = addTemplate(appid, '会员到期提醒');
    expect(await find(appid, added)).toBeNull();
    expect(callsBy(appid)).toBe(1);
    app.clock.advance(MINUTE_MS);
    const found = await Promise.all(Array.from({ length: 20 }, () => find(appid, added)));
    for (const template of found)
      expect(template).toMatchObject({ templateId: added, fields: [{ key: 'thing1' }] });
    expect(callsBy(appid)).toBe(2);
  });

  it('asks once a minute for one that nobody has', async () => {
    const appid = await newAccount('official_account');
    for (let n = 0; n < 3; n++) expect(await find(appid, 'nobody')).toBeNull();
    expect(callsBy(appid)).toBe(1);
    app.clock.advance(MINUTE_MS);
    expect(await find(appid, 'nobody')).toBeNull();
    expect(callsBy(appid)).toBe(2);
  });

  it('does not say that there is none while WeChat does not', async () => {
    const appid = await newAccount('official_account');
    const templateId = await readFirst(appid);
    app.clock.advance(MINUTE_MS);
    app.sandbox.faults.add({ path: LIST, kind: 'reset' });
    await expect(find(appid, 'new')).rejects.toMatchObject({ name: 'WechatUnavailableError' });
    await expect(find(appid, 'new')).rejects.toMatchObject({ code: 'templates_unavailable' });
    expect(await find(appid, templateId)).not.toBeNull();
    app.clock.advance(MINUTE_MS);
    expect(await find(appid, 'new')).toBeNull();
  });

  it('looks again after a template was called wrong', async () => {
    const appid = await newAccount('official_account');
    const templateId = await readFirst(appid);
    app.sandbox.account(appid).templates = [];
    app.clock.advance(MINUTE_MS);
    expect(await find(appid, templateId)).not.toBeNull();
    await templates().forget(appid, 'template_message');
    expect(await find(appid, templateId)).toBeNull();
    expect(callsBy(appid)).toBe(2);
    await templates().forget(appid, 'template_message');
    app.clock.advance(MINUTE_MS);
    expect((await list(appid)).body.items).toEqual([]);
    expect(callsBy(appid)).toBe(3);
  });

  it('does with what it has while WeChat is away, although a template was called wrong', async () => {
    const appid = await newAccount('official_account');
    const templateId = await readFirst(appid);
    app.clock.advance(MINUTE_MS);
    await templates().forget(appid, 'template_message');
    app.sandbox.faults.add({ path: LIST, kind: 'reset' });
    expect(await find(appid, templateId)).not.toBeNull();
    app.clock.advance(MINUTE_MS);
    await find(appid, templateId);
    expect(callsBy(appid)).toBe(3);
  });

  it('shares with other processes what one of them has read', async () => {
    const { app: nest } = app;
    const other = new TemplatesService(
      nest.get(Database),
      nest.get(TemplateListsRepository, { strict: false }),
      nest.get(TemplateReader, { strict: false }),
      nest.get(PeopleService, { strict: false }),
      nest.get(AccountsService),
      nest.get(SharedMutex),
      nest.get(AccountData),
      nest.get(Clock),
      nest.get(Logger),
    );
    const appid = await newAccount('official_account');
    const templateId = await readFirst(appid);
    expect(await find(appid, templateId, other)).toMatchObject({ templateId });
    expect(callsBy(appid)).toBe(1);
  });

  it('keeps nothing for an account that was deleted while WeChat was asked', async () => {
    const appid = await newAccount('official_account');
    const account = await accountOf(appid);
    app.clock.advance(MINUTE_MS);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await app.api('DELETE', `/accounts/${appid}?confirm=${appid}`)).status).toBe(204);
    await expect(templates().find(account, 'template_message', 'x')).rejects.toMatchObject({
      code: 'not_found',
    });
    expect(await app.app.get(Database).read.countBy(TemplateList, { appid })).toBe(0);
  });
});
