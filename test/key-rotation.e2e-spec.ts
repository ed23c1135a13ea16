import { parseKeyRing, SecretBox } from '@app/secret-box';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { getDataSourceToken } from '@nestjs/typeorm';
import { type DataSource, Not } from 'typeorm';
import { v7 as uuidV7 } from 'uuid';

import { AuditEntry } from '../src/access/audit-entry.entity.js';
import { Database } from '../src/database/database.js';
import { type SealedColumn, SealedColumns } from '../src/database/sealed-columns.js';
import { SystemValue } from '../src/database/system-value.entity.js';
import { KeyRotationsRepository } from '../src/key-rotation/key-rotations.repository.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { WorkQueue } from '../src/queue/work-queue.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { COMPONENT, startApp, type TestApp } from './app.js';
import {
  begin,
  type Begun,
  enableAccount,
  MINI_PROGRAM,
  SERVICE_ACCOUNT,
  statusOf,
} from './helpers.js';
import { send, templateMessage } from './message-helpers.js';
import { until } from './until.js';

const PUSHES = 650;
const RETRY_MS = 10_000;
const PAUSE_MS = 60_000;

interface RotationBody {
  id: string;
  keyId: string;
  state: string;
  pass: number;
  keysInUse: string[];
  finishedAt: string | null;
  progress: { table: string; column: string; total: number; done: number; unreadable: number }[];
}

const SECRETS = {
  token: 'fixtureToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
const OTHER_KEY = 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg';

let app: TestApp;
let pending: Begun;

/** The key of a number; `ring(2, 1)` encrypts under the second and opens both. */
const ring = (...numbers: number[]): string =>
  numbers.map((n) => `k_${n}:${Buffer.alloc(32, n).toString('base64')}`).join(',');
const boxOf = (...numbers: number[]): SecretBox => new SecretBox(parseKeyRing(ring(...numbers)));
const db = (): Database => app.app.get(Database);
const rotations = (): KeyRotationsRepository => app.app.get(KeyRotationsRepository);
const columns = (): SealedColumn[] => app.app.get(SealedColumns).all();

beforeAll(async () => {
  app = await startApp({ env: { SECRET_KEYS: ring(1) } });
  for (const appid of [SERVICE_ACCOUNT, MINI_PROGRAM]) {
    const begun = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode: begun.preAuthCode }).pushed;
    await app.settled();
    await app.app.get(TokensService).getToken(appid);
  }
  const { appSecret } = app.sandbox.account(MINI_PROGRAM);
  await app.api('PUT', `/accounts/${MINI_PROGRAM}/send-config`, {
    strategy: 'app_secret',
    appSecret,
  });
  const switchedOff = { url: 'https://hooks.example.com/', enabled: false };
  const hook = await app.api<{ id: string }>('POST', '/webhooks', switchedOff);
  await app.api('POST', `/webhooks/${hook.body.id}/rotate-secret`);
  await enableAccount(app, SERVICE_ACCOUNT);
  const { templateId } = app.sandbox.addTemplate(SERVICE_ACCOUNT, {
    title: '通知',
    content: '内容：{{thing1.DATA}}',
  });
  // One that waits for its next try: its content is kept as long as it may be sent again.
  const path = '/cgi-bin/message/template/send';
  app.sandbox.faults.add({ path, kind: 'errcode', errcode: -1 });
  await send(app, SERVICE_ACCOUNT, templateMessage('oFixtureOpenId0000000000001', templateId));
  pending = await begin(app);
  await app.api('POST', '/authorizations', { accountType: 'any' }, { 'idempotency-key': 'kept' });
  // Twice: the first secrets are the former ones then.
  for (const secrets of [SECRETS, { token: 'otherToken2026', encodingAesKey: OTHER_KEY }])
    await app.api('PUT', `/accounts/${MINI_PROGRAM}/receipt-config`, secrets);
  await enableAccount(app, SERVICE_ACCOUNT);
  await app.sandbox.person(SERVICE_ACCOUNT, 'oWrites').write('hi');
  await app.settled();
  await insertPushes(PUSHES, 1);
}, 60_000);
afterAll(() => app.stop());
afterEach(() => {
  jest.restoreAllMocks();
  // Ids of one moment have no order.
  app.clock.advance(1);
});

/** Pushes as a process whose newest key is another one writes them. */
async function insertPushes(count: number, key: number): Promise<void> {
  const box = boxOf(key);
  const at = app.clock.now();
  const rows = Array.from({ length: count }, (): PushRow => {
    const id = uuidV7();
    return {
      id,
      account: SERVICE_ACCOUNT,
      dedupKey: id,
      kind: 'text',
      occurredAt: at,
      content: box.seal(`<xml>${id}</xml>`, { owner: `push:${id}`, field: 'content' }),
      answer: null,
      answeredBy: null,
      state: 'handled',
      attempts: 1,
      nextTryAt: at,
      leaseUntil: null,
      failure: null,
      receivedAt: at,
      handledAt: at,
    };
  });
  await db().write((tx) => tx.insert(PushRow, rows));
}

async function valuesOf({
  table,
  idColumn,
  column,
}: SealedColumn): Promise<{ id: string; sealed: string }[]> {
  return db().read.query(
    `SELECT \`${idColumn}\` AS id, \`${column}\` AS sealed FROM \`${table}\` WHERE \`${column}\` LIKE 'v1.%'`,
  );
}

/** Opens every value of every column. @returns how many there were */
async function openAll(box: SecretBox): Promise<number> {
  let count = 0;
  for (const column of columns())
    for (const { id, sealed } of await valuesOf(column)) {
      box.open(sealed, column.binding(id));
      count += 1;
    }
  return count;
}

/** Where in the database anything stands that a key of ours has sealed. */
async function findCiphertext(keyId: string): Promise<string[]> {
  const { entityMetadatas } = app.app.get<DataSource>(getDataSourceToken());
  const found: string[] = [];
  for (const { tableName, columns: all } of entityMetadatas)
    for (const { databaseName } of all) {
      const rows: unknown[] = await db().read.query(
        `SELECT 1 FROM \`${tableName}\` WHERE INSTR(\`${databaseName}\`, ?) > 0 LIMIT 1`,
        [`v1.${keyId}.`],
      );
      if (rows.length > 0) found.push(`${tableName}.${databaseName}`);
    }
  return found.toSorted();
}

const start = () => app.api<RotationBody>('POST', '/key-rotations');
const read = async (id: string): Promise<RotationBody> =>
  (await app.api<RotationBody>('GET', `/key-rotations/${id}`)).body;

async function finished(id: string): Promise<RotationBody> {
  await until(async () => (await read(id)).state === 'finished');
  return read(id);
}

async function keyOfCheck(): Promise<string | undefined> {
  const name = 'secret_keys_check';
  return (await db().read.findOneByOrFail(SystemValue, { name })).value.split('.')[1];
}

async function refreshes(count: number): Promise<void> {
  const tokens = app.app.get(TokensService);
  for (let n = 0; n < count; n++)
    await tokens.refresh(n % 2 === 0 ? SERVICE_ACCOUNT : MINI_PROGRAM);
}

async function tickets(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await app.sandbox.pushTicket();
}

describe('sealed columns', () => {
  it('are all registered, and each of them is in use here', async () => {
    const registered = columns().map(({ table, column }) => `${table}.${column}`);
    expect(await findCiphertext('k_1')).toEqual(registered.toSorted());
  });
});

describe('POST /key-rotations', () => {
  it('brings everything under the newest key while tokens and pushes go on', async () => {
    await app.restart({ SECRET_KEYS: ring(2, 1) });
    const before = await openAll(boxOf(1));
    const [{ status, body: begun }] = await Promise.all([
      start(),
      refreshes(100),
      refreshes(100),
      tickets(60),
    ]);
    expect(status).toBe(202);
    expect(begun).toMatchObject({ keyId: 'k_2', state: 'running', pass: 1, finishedAt: null });
    const done = await finished(begun.id);
    await app.settled();
    expect(done).toMatchObject({ state: 'finished', pass: 2, keysInUse: ['k_2'] });
    for (const { total, done: looked, unreadable } of done.progress)
      expect([looked, unreadable]).toEqual([total, 0]);
    expect(await findCiphertext('k_1')).toEqual([]);
    expect(await openAll(boxOf(2))).toBeGreaterThan(before);
  });

  it('leaves a service that needs no older key', async () => {
    await app.restart({ SECRET_KEYS: ring(2) });
    const token = await app.app.get(TokensService).getToken(SERVICE_ACCOUNT);
    expect(app.sandbox.data.accessTokens[token]?.isRetired).toBe(false);
    await app.app.get(TokensService).refresh(MINI_PROGRAM);
    expect(statusOf((await app.page(pending.launchUrl)).text)).toBe('pending');
    const again = await app.api(
      'POST',
      '/authorizations',
      { accountType: 'any' },
      { 'idempotency-key': 'kept' },
    );
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
  });

  it('is written down, and listed with the newest first', async () => {
    const { body: second } = await start();
    await finished(second.id);
    const { body: list } = await app.api<{ items: RotationBody[] }>('GET', '/key-rotations');
    expect(list.items.map(({ id }) => id)[0]).toBe(second.id);
    expect(list.items).toHaveLength(2);
    // Nothing was left to do: one pass is enough.
    expect(list.items[0]).toMatchObject({ pass: 1, keysInUse: ['k_2'] });
    const entries = await db().read.findBy(AuditEntry, { target: second.id });
    expect(new Map(entries.map(({ action, actorType }) => [action, actorType]))).toEqual(
      new Map([
        ['key_rotation.started', 'api_key'],
        ['key_rotation.finished', 'system'],
      ]),
    );
    expect(entries).toHaveLength(2);
    expect((await app.api('GET', '/key-rotations/unknown')).status).toBe(404);
  });

  it('goes on where it was when it failed and the service was restarted', async () => {
    await app.restart({ SECRET_KEYS: ring(3, 2) });
    const replace = rotations().replace.bind(rotations());
    jest.spyOn(rotations(), 'replace').mockImplementation((...args) => {
      const isMidway = args[1].table === 'push' && args[2].some(({ id }) => id > firstId);
      return isMidway ? Promise.reject(new Error('midway')) : replace(...args);
    });
    const firstId = (await firstPushes(300)).at(-1) ?? '';
    const { body: begun } = await start();
    await until(async () => (await deadOrReady())?.failure?.includes('midway') ?? false);
    // Twice: a second one is not begun, however many ask.
    const same = await Promise.all([start(), start()]);
    expect(same.map(({ body }) => body.id)).toEqual([begun.id, begun.id]);
    const half = await read(begun.id);
    expect(half.progress.find(({ table }) => table === 'push')).toMatchObject({ done: 200 });
    expect(await keyOfCheck()).toBe('k_2');

    await app.restart();
    const readPage = jest.spyOn(rotations(), 'readPage');
    app.clock.advance(RETRY_MS);
    await finished(begun.id);
    // The first page was done, and its rows were not looked at again before the second pass.
    const cursors = readPage.mock.calls
      .filter(([column]) => column.table === 'push')
      .map(([, , after]) => after);
    expect(cursors.filter((cursor) => cursor === '')).toHaveLength(1);
    expect(cursors[0]).toBe((await firstPushes(200)).at(-1));
    expect(await findCiphertext('k_2')).toEqual([]);
    await openAll(boxOf(3));
  });

  it('ends only when nobody has written under an older key any more, and proves the keys last', async () => {
    await app.restart({ SECRET_KEYS: ring(4, 3) });
    const readPage = rotations().readPage.bind(rotations());
    let isInserted = false;
    jest.spyOn(rotations(), 'readPage').mockImplementation(async (...args) => {
      const { pass } = (await rotations().findCurrent())?.progress ?? {};
      if (pass === 2 && !isInserted) {
        isInserted = true;
        await insertPushes(3, 3);
      }
      return readPage(...args);
    });
    const { body: begun } = await start();
    await until(async () => (await read(begun.id)).pass === 3);
    expect(await keyOfCheck()).toBe('k_3');
    expect((await read(begun.id)).state).toBe('running');
    app.clock.advance(PAUSE_MS);
    expect(await finished(begun.id)).toMatchObject({ pass: 3 });
    expect(await keyOfCheck()).toBe('k_4');
    expect(await findCiphertext('k_3')).toEqual([]);
  });

  it('is superseded by one under a newer key', async () => {
    await app.restart({ SECRET_KEYS: ring(5, 4) });
    jest.spyOn(rotations(), 'replace').mockRejectedValue(new Error('never'));
    const { body: older } = await start();
    await app.restart({ SECRET_KEYS: ring(6, 5, 4) });
    const { body: newer } = await start();
    expect(newer.id).not.toBe(older.id);
    expect((await read(older.id)).state).toBe('superseded');
    await finished(newer.id);
    app.clock.advance(RETRY_MS);
    await until(async () => (await app.app.get(WorkQueue).depths()).length === 0);
    expect((await read(older.id)).state).toBe('superseded');
    await openAll(boxOf(6));
  });

  it('leaves alone what no key opens, and says so', async () => {
    await insertPushes(1, 99);
    await app.restart({ SECRET_KEYS: ring(7, 6) });
    const { body: begun } = await start();
    const done = await finished(begun.id);
    expect(done.keysInUse).toEqual(['k_7', 'k_99']);
    expect(done.progress.filter(({ unreadable }) => unreadable > 0)).toEqual([
      expect.objectContaining({ table: 'push', unreadable: 1 }),
    ]);
    expect(await findCiphertext('k_6')).toEqual([]);
    await app.restart({ SECRET_KEYS: ring(7) });
    expect((await app.api('GET', '/component')).body['appid']).toBe(COMPONENT.appid);
  });

  it('never puts an older value over one that came meanwhile', async () => {
    await app.restart({ SECRET_KEYS: ring(8, 7) });
    const replace = rotations().replace.bind(rotations());
    const box = boxOf(8);
    const changed = new Map<string, string>();
    jest.spyOn(rotations(), 'replace').mockImplementation(async (tx, column, values) => {
      // Somebody is faster with every third row.
      if (column.table === 'push')
        for (const { id } of values.filter((_value, n) => n % 3 === 0)) {
          const content = box.seal(`newer ${id}`, column.binding(id));
          changed.set(id, content);
          await tx.update(PushRow, { id }, { content });
        }
      return replace(tx, column, values);
    });
    await finished((await start()).body.id);
    expect(changed.size).toBeGreaterThan(PUSHES / 4);
    const rows = await db().read.findBy(PushRow, { kind: Not('none') });
    for (const { id, content } of rows) expect(changed.get(id) ?? content).toBe(content);
  });
});

async function firstPushes(count: number): Promise<string[]> {
  const rows = await db().read.find(PushRow, {
    select: { id: true },
    order: { id: 'ASC' },
    take: count,
  });
  return rows.map(({ id }) => id);
}

async function deadOrReady(): Promise<{ failure: string | null } | undefined> {
  return (await app.app.get(WorkQueue).list({ kind: 'rotate-keys', limit: 10 })).items[0];
}
