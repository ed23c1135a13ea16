import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';

import { AccountDeletion } from '../src/accounts/account-deletion.service.js';
import { AccountEnabling } from '../src/accounts/account-enabling.service.js';
import { AccountNews } from '../src/accounts/account-news.js';
import { AccountsSyncService } from '../src/accounts/accounts-sync.service.js';
import { AccountsService } from '../src/accounts/accounts.service.js';
import { AccountData } from '../src/database/account-data.js';
import { Database, type Tx } from '../src/database/database.js';
import { EventsService } from '../src/events/events.service.js';
import { MediaUploads } from '../src/messages/media/media-uploads.js';
import { ReceiptConfigsRepository } from '../src/receipts/receipt-configs.repository.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { type Answer, COMPONENT, startApp, type TestApp } from './app.js';
import { authorizationOf, begin, getAccount, uploadPicture } from './helpers.js';
import { send, templateMessage } from './message-helpers.js';
import { until } from './until.js';

const OPENID = 'oDeletedPerson0000000000001';
const INFO = '/cgi-bin/component/api_get_authorizer_info';

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

const newAppid = (): string => `wx${(0xde1e7e00000 + ++serial).toString(16).padStart(16, '0')}`;

const keyed = (key: string): Record<string, string> => ({ 'idempotency-key': key });

async function authorize(appid: string, tenant = 'default'): Promise<void> {
  const asked = { accountType: 'any', openidProperty: `wx_${appid}` };
  const { preAuthCode } = await begin(app, asked, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
}

/** An account that has been used for everything there is, so that every table holds something of it. */
async function used(tenant = 'default'): Promise<string> {
  const appid = newAppid();
  app.sandbox.addAccount({
    appid,
    nickname: `删除${serial}`,
    headImg: `/mmopen/${appid}/0`,
    qrcodeUrl: `/mmbiz_png/${appid}/0`,
  });
  await authorize(appid, tenant);
  await until(async () => (await rowsOf('account_picture', appid)) === 2);
  await app.api('POST', `/accounts/${appid}/enable`, undefined, keyed(`enable ${appid}`));
  const trigger = { type: 'keyword', keywords: [{ text: '你好', match: 'exact' }] };
  const replies = [{ type: 'text', text: '您好' }];
  await app.api('POST', `/accounts/${appid}/auto-replies`, { name: '问候', trigger, replies });
  // Another process answers by the rule within a second.
  await until(async () => {
    await app.sandbox.pushMessage(appid, { MsgType: 'text', Content: '你好' });
    await app.settled();
    return (await rowsOf('auto_reply_person', appid)) > 0;
  });
  await app.sandbox.person(appid, 'oConsents').accept('TPL_A');
  const { templateId } = app.sandbox.addTemplate(appid, {
    title: `删除${serial}`,
    content: '内容：{{thing1.DATA}}',
  });
  await app.sandbox.person(appid, OPENID).follow();
  await send(app, appid, templateMessage(OPENID, templateId));
  await app.api('POST', `/accounts/${appid}/quota-resets`);
  const path = '/cgi-bin/message/template/send';
  app.sandbox.account(appid).usage[path] = 100_000;
  await app.api('GET', `/accounts/${appid}/quota?path=${path}`);
  await app.api('POST', `/accounts/${appid}/reauthorizations`, {});
  await app.api('GET', `/accounts/${appid}/templates`);
  await useMedia(appid);
  await useQrCode(appid);
  await app.settled();
  return appid;
}

/** A file that WeChat has a copy of. */
async function useMedia(appid: string): Promise<void> {
  const mediaId = await uploadPicture(app, appid);
  const account = await app.app.get(AccountsService).find(appid);
  if (!account) throw new RangeError(`There is no account ${appid}.`);
  const tokens = app.app.get(TokensService);
  await app.app
    .get(MediaUploads)
    .idFor(account, mediaId, 'image', (call) => tokens.withToken(appid, call));
}

/** One that somebody has come by. */
async function useQrCode(appid: string): Promise<void> {
  const wanted = { name: '门店', channel: '线下', permanent: true };
  const { body } = await app.api('POST', `/accounts/${appid}/qr-codes`, wanted);
  await app.sandbox.person(appid, 'oScans').scan(String(body['contentUrl']));
}

async function cancel(appid: string): Promise<void> {
  app.clock.advance(60_000);
  await app.sandbox.cancel(appid).pushed;
  await app.settled();
}

const remove = (appid: string, query = `?confirm=${appid}`): Promise<Answer<{ code: string }>> =>
  app.api<{ code: string }>('DELETE', `/accounts/${appid}${query}`);

const db = (): Database => app.app.get(Database);
const source = (): DataSource => app.app.get<DataSource>(getDataSourceToken());

/** The tables with the columns that name an account. */
function accountColumns(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { tableName, columns } of source().entityMetadatas) {
    const names = columns
      .map(({ databaseName }) => databaseName)
      .filter((name) => /(?:^|_)appid$/.test(name) || (tableName === 'push' && name === 'account'));
    if (names.length > 0) found.set(tableName, names);
  }
  return found;
}

async function rowsOf(table: string, appid: string): Promise<number> {
  const columns = accountColumns().get(table) ?? [];
  const where = columns.map((column) => `${column} = ?`).join(' OR ');
  const [row] = await db().read.query<{ n: number | string }[]>(
    `SELECT COUNT(*) AS n FROM ${table} WHERE ${where}`,
    columns.map(() => appid),
  );
  return Number(row?.n);
}

/** Whether a request has waited for a while to take its key: InnoDB tells of locks ten times a second at the most. */
async function waitsForKey(tx: Tx): Promise<boolean> {
  const rows = await tx.query<unknown[]>(
    `SELECT 1 FROM information_schema.processlist
      WHERE db = DATABASE() AND info LIKE 'INSERT IGNORE INTO idempotent_answer%' AND time_ms > 200`,
  );
  return rows.length > 0;
}

/** Everything in the database that says the word, by table. */
async function mentions(word: string): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { tableName, target } of source().entityMetadatas) {
    const rows = await db().read.find(target);
    const count = rows.filter((row) => JSON.stringify(row).includes(word)).length;
    if (count > 0) found[tableName] = count;
  }
  return found;
}

/** These keep something of a deleted account, on purpose. */
const KEPT = ['quota_budget'];
/** These name the platform itself. */
const OF_THE_PLATFORM = ['component_ticket'];
/** These an official account has no rows in; a mini-program that has is deleted below. */
const OF_MINI_PROGRAMS = ['send_config', 'receipt_config', 'qr_code_picture'];
/** These are empty where no webhook is; with one they are looked at where webhooks are tested. */
const OF_WEBHOOKS = ['webhook_delivery', 'webhook_sequence'];

describe('the registry', () => {
  it('has every table with a column for an appid, each with a way to erase it', () => {
    const registered = app.app
      .get(AccountData)
      .all()
      .map(({ table }) => table);
    const tables = [...accountColumns().keys()].filter(
      (table) => !KEPT.includes(table) && !OF_THE_PLATFORM.includes(table),
    );
    expect(registered.toSorted()).toEqual(tables.toSorted());
  });

  it('would find a table that nobody has registered', () => {
    expect(accountColumns().get('account')).toEqual(['appid']);
    expect(accountColumns().get('authorization')).toEqual(['only_appid', 'appid']);
    expect(accountColumns().size).toBeGreaterThan(8);
  });

  it('refuses a table that is registered already', () => {
    const [known] = app.app.get(AccountData).all();
    expect(() => known && app.app.get(AccountData).register(known)).toThrow('registered already');
  });
});

describe('DELETE /accounts/{appid}', () => {
  it('leaves nothing but the audit rows, the month’s resets and the event of its end', async () => {
    const appid = await used();
    const empty: string[] = [];
    for (const table of accountColumns().keys())
      if ((await rowsOf(table, appid)) === 0) empty.push(table);
    // What was work for it has been done by now.
    const expected = new Set([...OF_THE_PLATFORM, ...OF_MINI_PROGRAMS, ...OF_WEBHOOKS]);
    expect(new Set(empty.filter((table) => table !== 'work'))).toEqual(expected);
    await cancel(appid);
    expect((await remove(appid)).status).toBe(204);

    expect(await getAccount(app, appid)).toBeNull();
    const left = await mentions(appid);
    expect(Object.keys(left).toSorted()).toEqual(['audit_entry', 'event', 'quota_budget']);
    expect(left['event']).toBe(1);
    const events = await app.api<{ items: { type: string; appid: string; data: object }[] }>(
      'GET',
      '/events?type=account.deleted',
    );
    expect(events.body.items.filter((event) => event.appid === appid)).toMatchObject([
      { data: { appid, accountType: 'official_account' } },
    ]);
    const { body: log } = await app.api<{ items: { action: string }[] }>(
      'GET',
      `/audit-log?target=${appid}`,
    );
    expect(log.items[0]?.action).toBe('account.deleted');
    expect(log.items.length).toBeGreaterThan(5);
    expect((await remove(appid)).status).toBe(404);
  });

  it('forgets the pushes of the platform that name it, which only their sealed content says', async () => {
    const appid = await used();
    await cancel(appid);
    const events = async (): Promise<number> => {
      const all = await app.api<{ items: { kind: string }[] }>(
        'GET',
        `/pushes?account=${COMPONENT.appid}&limit=200`,
      );
      return all.body.items.filter(({ kind }) => kind.endsWith('authorized')).length;
    };
    const before = await events();
    await remove(appid);
    expect(await events()).toBe(before - 2);
  });

  it('takes a new authorization as the first one, but for the month’s resets', async () => {
    const appid = await used();
    for (let n = 1; n < 10; n++) await app.api('POST', `/accounts/${appid}/quota-resets`);
    await cancel(appid);
    await remove(appid);
    app.clock.advance(60_000);
    await authorize(appid);
    expect(await getAccount(app, appid)).toMatchObject({
      enabled: false,
      authorization: { state: 'authorized' },
    });
    const resets = await app.api<{ used: number; resets: object[] }>(
      'GET',
      `/accounts/${appid}/quota-resets`,
    );
    expect(resets.body).toMatchObject({ used: 10, remaining: 0, resets: [] });
    expect(await app.api('POST', `/accounts/${appid}/quota-resets`)).toMatchObject({
      status: 409,
      body: { code: 'quota_reset_budget_exhausted' },
    });
    expect(await app.app.get(TokensService).getToken(appid)).toMatch(/^71_/);
  });

  it('leaves no address for receipts, whoever looks for one at that moment', async () => {
    const appid = newAppid();
    app.sandbox.addAccount({ appid, accountType: 'mini_program' });
    await authorize(appid);
    await cancel(appid);
    const configs = app.app.get(ReceiptConfigsRepository);
    const find = configs.find.bind(configs);
    let removed: Answer<{ code: string }> | null = null;
    configs.find = async (...asked) => {
      const found = await find(...asked);
      removed ??= await remove(appid);
      return found;
    };
    const { status } = await app.api('GET', `/accounts/${appid}/receipt-config`);
    configs.find = find;
    expect(removed).toMatchObject({ status: 204 });
    expect(status).toBe(404);
    expect(await rowsOf('receipt_config', appid)).toBe(0);
  });

  it('wants the appid once more', async () => {
    const appid = await used();
    await cancel(appid);
    for (const query of ['', '?confirm=', '?confirm=wx0', `?confirm=${appid}x`])
      expect(await remove(appid, query)).toMatchObject({
        status: 422,
        body: { code: 'confirmation_mismatch' },
      });
    expect(await getAccount(app, appid)).not.toBeNull();
  });

  it('is refused until WeChat says that the authorization has ended', async () => {
    const appid = await used();
    expect(await remove(appid)).toMatchObject({
      status: 409,
      body: { code: 'account_still_authorized' },
    });
    expect((await getAccount(app, appid))?.enabled).toBe(true);
  });

  it('believes WeChat rather than what we hold: an end without an event', async () => {
    const appid = await used();
    app.clock.advance(60_000);
    app.sandbox.cancel(appid, { push: false });
    expect((await remove(appid)).status).toBe(204);
    expect(await getAccount(app, appid)).toBeNull();
  });

  it('believes WeChat rather than what we hold: a new authorization without an event', async () => {
    const appid = await used();
    await cancel(appid);
    app.sandbox.authorize({ appid, preAuthCode: null, push: false });
    expect(await remove(appid)).toMatchObject({
      status: 409,
      body: { code: 'account_still_authorized' },
    });
  });

  it('needs no WeChat where the end is known, and does without nothing where it is not', async () => {
    const [ended, live] = [await used(), await used()];
    await cancel(ended);
    app.sandbox.faults.add({ path: INFO, kind: 'reset', times: 10 });
    expect((await remove(ended)).status).toBe(204);
    expect(await remove(live)).toMatchObject({ status: 504 });
    expect((await getAccount(app, live))?.enabled).toBe(true);
  });

  it('forgets what was answered about it, in its own address and elsewhere', async () => {
    const [appid, other] = [await used(), await used()];
    const ask = (path: string, key: string): Promise<Answer> =>
      app.api('POST', path, undefined, keyed(`${key} ${appid}`));
    await ask(`/accounts/${other}/disable`, 'other');
    app.clock.advance(60_000);
    app.sandbox.account(appid).nickname = '改名';
    app.sandbox.cancel(appid, { push: false });
    const synced = await ask('/accounts/sync', 'sync');
    expect(JSON.stringify(synced.body)).toContain(appid);
    await ask('/component/ticket-push', 'component');
    expect((await remove(appid)).status).toBe(204);

    expect((await ask(`/accounts/${appid}/enable`, 'enable')).status).toBe(404);
    expect(await rowsOf('idempotent_answer', appid)).toBe(0);
    const isReplayed = ({ headers }: Answer): boolean => headers.has('idempotency-replayed');
    const anew = await ask('/accounts/sync', 'sync');
    expect([isReplayed(anew), JSON.stringify(anew.body).includes(appid)]).toEqual([false, false]);
    expect(isReplayed(await ask(`/accounts/${other}/disable`, 'other'))).toBe(true);
    expect(isReplayed(await ask('/component/ticket-push', 'component'))).toBe(true);
  });

  it.each(['/accounts/{appid}/disable', '/accounts/sync'])(
    'keeps no answer of a POST %s that is under way',
    async (address) => {
      const appid = await used();
      await cancel(appid);
      let removed: Answer<{ code: string }> | null = null;
      const removeOnce = async (): Promise<void> => void (removed ??= await remove(appid));
      const enabling = app.app.get(AccountEnabling);
      const accountsSync = app.app.get(AccountsSyncService);
      const disable = enabling.disable.bind(enabling);
      const sync = accountsSync.sync.bind(accountsSync);
      enabling.disable = async (...asked) => {
        const account = await disable(...asked);
        await removeOnce();
        return account;
      };
      accountsSync.sync = async (...asked) => {
        const result = await sync(...asked);
        await removeOnce();
        return { ...result, updated: [appid] };
      };
      const ask = (): Promise<Answer> =>
        app.api('POST', address.replace('{appid}', appid), undefined, keyed(`late ${appid}`));
      const answer = await ask();
      Object.assign(enabling, { disable });
      Object.assign(accountsSync, { sync });
      expect(removed).toMatchObject({ status: 204 });
      expect(JSON.stringify(answer.body)).toContain(appid);
      expect(await rowsOf('idempotent_answer', appid)).toBe(0);
      const again = await ask();
      expect(again.headers.has('idempotency-replayed')).toBe(false);
      expect(again.body).not.toEqual(answer.body);
    },
  );

  it('lets a request that comes at the last moment find it gone', async () => {
    const appid = await used();
    await cancel(appid);
    const news = app.app.get(AccountNews);
    const deleted = news.deleted.bind(news);
    const lateOnes: Promise<Answer>[] = [];
    news.deleted = async (tx, ...about) => {
      // It only reads: nothing else of the account's would keep it waiting.
      const path = `/accounts/${appid}/auto-replies/test`;
      const late = app.api('POST', path, { text: '你好' }, keyed(`last ${appid}`));
      lateOnes.push(late);
      let isAnswered = false;
      void late.finally(() => (isAnswered = true));
      // On SQLite it waits its turn.
      if (!db().isSqlite) await until(async () => isAnswered || (await waitsForKey(tx)));
      await deleted(tx, ...about);
    };
    expect((await remove(appid)).status).toBe(204);
    news.deleted = deleted;
    const answers = await Promise.all(lateOnes);
    expect(answers.map(({ status }) => status)).toContain(404);
    expect(await rowsOf('idempotent_answer', appid)).toBe(0);
  });

  it('removes page after page where there is much', async () => {
    const appid = await used();
    await cancel(appid);
    const events = app.app.get(EventsService);
    await db().write(async (tx) => {
      for (let n = 0; n < 1_200; n++)
        await events.emit(
          tx,
          'quota.reset',
          { tenantId: 'default', appid },
          { appid, resetId: String(n) },
        );
    });
    expect((await remove(appid)).status).toBe(204);
    expect(await rowsOf('event', appid)).toBe(1);
  });

  it('of two at once, one deletes it', async () => {
    const appid = await used();
    await cancel(appid);
    const answers = await Promise.all([remove(appid), remove(appid)]);
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([204, 404]);
  });

  it("is an owner's, in the tenant that the owner names", async () => {
    const appid = await used('brand-delete');
    await cancel(appid);
    const path = `/accounts/${appid}?confirm=${appid}`;
    const admin = await authorizationOf(app, 'admin', 'brand-delete');
    expect((await app.api('DELETE', path, undefined, admin)).status).toBe(403);
    const elsewhere = { 'x-tenant-id': 'brand-other' };
    expect((await app.api('DELETE', path, undefined, elsewhere)).status).toBe(404);
    const here = { 'x-tenant-id': 'brand-delete' };
    expect((await app.api('DELETE', path, undefined, here)).status).toBe(204);
  });
});

describe('erasing a person', () => {
  it('removes what is about that one and leaves the others', async () => {
    const appid = await used();
    const events = app.app.get(EventsService);
    const emit = (openid: string): Promise<void> =>
      app.app
        .get(Database)
        .write((tx) =>
          events.emit(
            tx,
            'quota.reset',
            { tenantId: 'default', appid, openid },
            { appid, resetId: openid },
          ),
        );
    await emit('oGone');
    await emit('oStays');
    await app.app.get(AccountDeletion).erasePerson(appid, 'oGone');
    expect(await mentions('oGone')).toEqual({});
    expect(await mentions('oStays')).toEqual({ event: 1 });
  });

  it('removes what they did, wrote, allow and have consented to', async () => {
    const appid = await used();
    for (const openid of ['oLeaves', 'oRemains']) {
      const person = app.sandbox.person(appid, openid);
      await person.follow();
      await person.write('你好');
      await person.accept('TPL_A');
    }
    await app.settled();
    const tables = [
      'auto_reply_person',
      'event',
      'incoming_message',
      'person',
      'qr_code_visit',
      'receipt',
      'reply_window',
    ];
    const about = async (openid: string): Promise<string[]> =>
      Object.keys(await mentions(openid)).toSorted();
    expect(await about('oLeaves')).toEqual([...tables, 'subscription_grant']);
    await app.app.get(AccountDeletion).erasePerson(appid, 'oLeaves');
    expect(await about('oLeaves')).toEqual([]);
    expect(await about('oRemains')).toEqual([...tables, 'subscription_grant']);
  });

  it('forgets the messages of that one, which only their sealed content tells apart', async () => {
    const appid = await used();
    const say = (openid: string): Promise<unknown> =>
      app.sandbox.pushMessage(appid, { FromUserName: openid, MsgType: 'text', Content: 'hi' });
    for (let n = 0; n < 3; n++) await say('oGone');
    await say('oStays');
    await app.settled();
    const before = await rowsOf('push', appid);
    await app.app.get(AccountDeletion).erasePerson(appid, 'oGone');
    expect(await rowsOf('push', appid)).toBe(before - 3);
  });
});
