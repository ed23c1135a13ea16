import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { AuditEntry } from '../src/access/audit-entry.entity.js';
import { Database } from '../src/database/database.js';
import { ReceiptConfig } from '../src/receipts/receipt-config.entity.js';
import { ReceiptConfigsRepository } from '../src/receipts/receipt-configs.repository.js';
import { ReceiptConfigsService } from '../src/receipts/receipt-configs.service.js';
import { PUBLIC_URL, startApp, type TestApp } from './app.js';
import { authorizationOf, begin, SERVICE_ACCOUNT } from './helpers.js';
import {
  addressOf,
  getConfig,
  KEY,
  newConfigured,
  newMiniProgram,
  OTHER_KEY,
  OTHER_TOKEN,
  type ReceiptConfigBody,
  saveConfig,
  TOKEN,
} from './receipt-helpers.js';
import { until } from './until.js';

const MINUTE_MS = 60_000;
const EVENT = 'subscribe_msg_popup_event';
const ENTRIES = [{ TemplateId: 'TPL_A', SubscribeStatusString: 'accept', PopupScene: '0' }];

let app: TestApp;
let db: Database;

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
});
afterAll(() => app.stop());
afterEach(() => {
  jest.restoreAllMocks();
});

const read = (appid: string, headers?: Record<string, string>) =>
  app.api<ReceiptConfigBody>('GET', `/accounts/${appid}/receipt-config`, undefined, headers);
const auditOf = (target: string): Promise<AuditEntry[]> =>
  db.read.find(AuditEntry, {
    where: { target, action: 'receipt_config.saved' },
    order: { id: 'ASC' },
  });
describe('GET /accounts/{appid}/receipt-config', () => {
  it('shows an unguessable address before anything is saved, the same ever after', async () => {
    const appid = await newMiniProgram(app);
    const first = await read(appid);
    expect(first).toMatchObject({
      status: 200,
      body: {
        source: 'wechat',
        encryptionMode: 'secure',
        token: { set: false, hint: null },
        encodingAesKey: { set: false, hint: null },
        handshakeVerifiedAt: null,
        lastReceivedAt: null,
        lastRejection: null,
      },
    });
    const address = new RegExp(`^${PUBLIC_URL}/wechat/receipts/[A-Za-z0-9_-]{43}$`);
    expect(first.body.receiptUrl).toMatch(address);
    await saveConfig(app, appid, { token: TOKEN, encodingAesKey: KEY });
    expect((await read(appid)).body.receiptUrl).toBe(first.body.receiptUrl);
    expect((await read(await newMiniProgram(app))).body.receiptUrl).not.toBe(first.body.receiptUrl);
  });

  it('makes one address, however many look at once', async () => {
    const appid = await newMiniProgram(app);
    const answers = await Promise.all(Array.from({ length: 10 }, () => read(appid)));
    expect(new Set(answers.map(({ body }) => body.receiptUrl)).size).toBe(1);
    expect(await db.read.countBy(ReceiptConfig, { appid })).toBe(1);
  });

  it.each([
    ['GET', '', undefined],
    ['PUT', '', { token: TOKEN }],
    ['PUT', '', {}],
    ['POST', '/secrets', undefined],
  ])('%s is for mini-programs only', async (method, path, body) => {
    const { preAuthCode } = await begin(app);
    await app.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode }).pushed;
    await app.settled();
    const url = `/accounts/${SERVICE_ACCOUNT}/receipt-config${path}`;
    expect(await app.api(method, url, body)).toMatchObject({
      status: 422,
      body: { code: 'mini_program_only' },
    });
  });

  it("is another tenant's for nobody else", async () => {
    const appid = await newMiniProgram(app, 'brand-a');
    const asB = await authorizationOf(app, 'admin', 'brand-b');
    const asA = await authorizationOf(app, 'admin', 'brand-a');
    expect((await read(appid, asB)).status).toBe(404);
    expect(await saveConfig(app, appid, { token: '!' }, asB)).toMatchObject({ status: 404 });
    expect((await read(appid, asA)).status).toBe(200);
    expect(await app.api('GET', `/accounts/${appid}/receipts`, undefined, asB)).toMatchObject({
      status: 404,
    });
    const asViewer = await authorizationOf(app, 'viewer', 'brand-a');
    expect((await read(appid, asViewer)).status).toBe(200);
    expect(await saveConfig(app, appid, { token: TOKEN }, asViewer)).toMatchObject({ status: 403 });
  });
});

describe('PUT /accounts/{appid}/receipt-config', () => {
  it('keeps the secrets to itself: their ends are shown, the rest is sealed', async () => {
    const appid = await newMiniProgram(app);
    const body = {
      source: 'third_party',
      encryptionMode: 'secure',
      token: TOKEN,
      encodingAesKey: KEY,
    };
    const saved = await saveConfig(app, appid, body);
    expect(saved).toMatchObject({
      status: 200,
      body: {
        source: 'third_party',
        encryptionMode: 'secure',
        token: { set: true, hint: `…${TOKEN.slice(-4)}` },
        encodingAesKey: { set: true, hint: `…${KEY.slice(-4)}` },
      },
    });
    expect((await read(appid)).body).toEqual(saved.body);
    const row = await db.read.findOneByOrFail(ReceiptConfig, { appid });
    const audit = await auditOf(appid);
    const account = await app.api('GET', `/accounts/${appid}`);
    const seen = JSON.stringify([saved.body, row, audit, account.body]);
    for (const secret of [TOKEN, KEY]) expect(seen).not.toContain(secret);
    expect(row.token).toMatch(/^v1\./);
  });

  it('shows nothing of a short Token', async () => {
    const appid = await newMiniProgram(app);
    const { body } = await saveConfig(app, appid, { encryptionMode: 'plaintext', token: 'abc' });
    expect(body.token).toEqual({ set: true, hint: null });
    expect(body.encodingAesKey).toEqual({ set: false, hint: null });
  });

  it.each<[string, object, string[]]>([
    ['nothing', {}, ['token', 'encodingAesKey']],
    ['no key for secure', { encryptionMode: 'secure', token: TOKEN }, ['encodingAesKey']],
    ['no key for compatible', { encryptionMode: 'compatible', token: TOKEN }, ['encodingAesKey']],
    ['no Token for plaintext', { encryptionMode: 'plaintext' }, ['token']],
    ['a Token of two letters', { token: 'ab', encodingAesKey: KEY }, ['token']],
    ['a Token of 33 letters', { token: 'a'.repeat(33), encodingAesKey: KEY }, ['token']],
    ['a Token with a hyphen', { token: 'a-bc', encodingAesKey: KEY }, ['token']],
    ['a key of 42 letters', { token: TOKEN, encodingAesKey: KEY.slice(1) }, ['encodingAesKey']],
    ['a key with an equals sign', { token: TOKEN, encodingAesKey: `${KEY}=` }, ['encodingAesKey']],
    ['another mode', { encryptionMode: 'none', token: TOKEN }, ['encryptionMode']],
    ['another source', { source: 'nobody', token: TOKEN }, ['source']],
    ['an unknown field', { receiptKey: 'x', token: TOKEN, encodingAesKey: KEY }, ['receiptKey']],
  ])('refuses %s', async (_case, body, fields) => {
    const appid = await newMiniProgram(app);
    const answer = await app.api<{ code: string; errors: { field: string }[] }>(
      'PUT',
      `/accounts/${appid}/receipt-config`,
      body,
    );
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answer.body.errors.map(({ field }) => field)).toEqual(fields);
    expect((await read(appid)).body.token.set).toBe(false);
  });

  it('changes the mode alone, and keeps what it was not given', async () => {
    const appid = await newConfigured(app, 'secure', 'json');
    const before = (await read(appid)).body;
    expect((await saveConfig(app, appid, { encryptionMode: 'plaintext' })).body).toEqual({
      ...before,
      encryptionMode: 'plaintext',
    });
    const { pushConfig } = app.sandbox.account(appid);
    if (!pushConfig) throw new Error('It was saved.');
    const plaintext = { ...pushConfig, mode: 'plaintext' as const };
    const receipt = { event: EVENT, entries: ENTRIES } as const;
    expect(await app.sandbox.pushReceipt(appid, receipt, { config: plaintext })).toMatchObject({
      delivered: true,
    });
    // The key is still there.
    expect((await saveConfig(app, appid, { encryptionMode: 'secure', source: null })).status).toBe(
      200,
    );
    expect(await app.sandbox.pushReceipt(appid, receipt)).toMatchObject({ delivered: true });
  });

  it('accepts the former Token and key for ten minutes more, each by itself', async () => {
    const appid = await newConfigured(app);
    const { pushConfig: former } = app.sandbox.account(appid);
    if (!former) throw new Error('It was saved.');
    const statusOf = async (token: string, encodingAesKey: string): Promise<number | null> => {
      const config = { ...former, token, encodingAesKey };
      const over = { config, corruption: {} };
      app.clock.advance(1_000);
      const { attempts } = await app.sandbox.pushReceipt(
        appid,
        { event: EVENT, entries: ENTRIES },
        over,
      );
      return attempts[0]?.status ?? null;
    };
    await saveConfig(app, appid, { token: OTHER_TOKEN });
    app.clock.advance(5 * MINUTE_MS);
    await saveConfig(app, appid, { encodingAesKey: OTHER_KEY });
    expect(await statusOf(TOKEN, KEY)).toBe(200);
    expect(await statusOf(OTHER_TOKEN, OTHER_KEY)).toBe(200);
    app.clock.advance(5 * MINUTE_MS);
    expect(await statusOf(TOKEN, KEY)).toBe(403);
    expect(await statusOf(OTHER_TOKEN, KEY)).toBe(200);
    app.clock.advance(5 * MINUTE_MS);
    expect(await statusOf(OTHER_TOKEN, KEY)).toBe(403);
    expect(await statusOf(OTHER_TOKEN, OTHER_KEY)).toBe(200);
  });

  it('writes into the audit log what is different, never what it is', async () => {
    const appid = await newMiniProgram(app);
    const asAdmin = await authorizationOf(app, 'admin', 'default');
    await saveConfig(app, appid, { token: TOKEN, encodingAesKey: KEY }, asAdmin);
    await saveConfig(app, appid, { token: TOKEN, encodingAesKey: KEY });
    app.clock.advance(1);
    await saveConfig(app, appid, { encryptionMode: 'compatible' });
    app.clock.advance(1);
    await saveConfig(app, appid, { source: 'third_party', token: OTHER_TOKEN });
    const rows = await auditOf(appid);
    expect(rows.map(({ detail }) => detail)).toEqual([
      { changed: ['token', 'encodingAesKey'], source: 'wechat', encryptionMode: 'secure' },
      { changed: ['encryptionMode'], source: 'wechat', encryptionMode: 'compatible' },
      { changed: ['source', 'token'], source: 'third_party', encryptionMode: 'compatible' },
    ]);
    expect(rows[0]).toMatchObject({ tenantId: 'default', actorType: 'api_key' });
  });

  it('loses no change of two at once', async () => {
    const appid = await newMiniProgram(app);
    await saveConfig(app, appid, { token: TOKEN, encodingAesKey: KEY });
    await Promise.all([
      saveConfig(app, appid, { token: OTHER_TOKEN }),
      saveConfig(app, appid, { encodingAesKey: OTHER_KEY }),
      saveConfig(app, appid, { source: 'third_party' }),
    ]);
    expect((await read(appid)).body).toMatchObject({
      source: 'third_party',
      token: { hint: `…${OTHER_TOKEN.slice(-4)}` },
      encodingAesKey: { hint: `…${OTHER_KEY.slice(-4)}` },
    });
  });
});

describe('POST /accounts/{appid}/receipt-config/secrets', () => {
  it('makes new ones each time that can be saved, and keeps none', async () => {
    const appid = await newMiniProgram(app);
    const make = () =>
      app.api<{ token: string; encodingAesKey: string }>(
        'POST',
        `/accounts/${appid}/receipt-config/secrets`,
      );
    const [one, other] = [await make(), await make()];
    expect(one.status).toBe(200);
    expect(one.body.token).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(one.body.encodingAesKey).toMatch(/^[A-Za-z0-9]{43}$/);
    expect(other.body.token).not.toBe(one.body.token);
    expect(other.body.encodingAesKey).not.toBe(one.body.encodingAesKey);
    expect((await read(appid)).body.token.set).toBe(false);
    expect((await saveConfig(app, appid, one.body)).status).toBe(200);
  });

  it('does not show them again when the request is repeated', async () => {
    const appid = await newMiniProgram(app);
    const make = () =>
      app.api('POST', `/accounts/${appid}/receipt-config/secrets`, undefined, {
        'idempotency-key': `secrets of ${appid}`,
      });
    expect(Object.keys((await make()).body)).toContain('token');
    const again = (await make()).body;
    expect(again).not.toHaveProperty('token');
    expect(again).not.toHaveProperty('encodingAesKey');
  });
});

describe("the steps of WeChat's console", () => {
  it('lead to a verified handshake at the first try', async () => {
    const appid = await newMiniProgram(app);
    const { body: secrets } = await app.api<{ token: string; encodingAesKey: string }>(
      'POST',
      `/accounts/${appid}/receipt-config/secrets`,
    );
    await saveConfig(app, appid, { source: 'wechat', encryptionMode: 'secure', ...secrets });
    const url = await addressOf(app, appid);
    expect(
      await app.sandbox.savePushConfig(appid, { url, ...secrets, mode: 'secure', format: 'json' }),
    ).toMatchObject({ isSaved: true });
    expect(await getConfig(app, appid)).toMatchObject({
      handshakeVerifiedAt: app.clock.now().toISOString(),
      lastReceivedAt: null,
      lastRejection: null,
    });
    app.clock.advance(MINUTE_MS);
    await app.sandbox.pushReceipt(appid, { event: EVENT, entries: ENTRIES });
    expect(await getConfig(app, appid)).toMatchObject({
      lastReceivedAt: app.clock.now().toISOString(),
      lastRejection: null,
    });
    await app.settled();
  });

  it('say what is wrong when the address is tried before anything is saved, or with another Token', async () => {
    const appid = await newMiniProgram(app);
    const url = await addressOf(app, appid);
    const config = {
      url,
      token: TOKEN,
      encodingAesKey: KEY,
      mode: 'secure',
      format: 'xml',
    } as const;
    const refused = { isSaved: false, status: 403, body: '' };
    expect(await app.sandbox.savePushConfig(appid, config)).toEqual(refused);
    expect((await getConfig(app, appid)).lastRejection).toMatchObject({ reason: 'not_configured' });
    await saveConfig(app, appid, { token: OTHER_TOKEN, encodingAesKey: KEY });
    expect(await app.sandbox.savePushConfig(appid, config)).toEqual(refused);
    expect(await getConfig(app, appid)).toMatchObject({
      handshakeVerifiedAt: null,
      lastRejection: { reason: 'signature', detail: expect.stringContaining('另一个 Token') },
    });
    expect(
      (await getConfig(app, appid, { 'accept-language': 'en' })).lastRejection?.detail,
    ).toContain('another Token');
  });

  it('show the reason of one push by themselves', async () => {
    const appid = await newConfigured(app);
    const corruption = { encodingAesKey: OTHER_KEY };
    const receipt = { event: EVENT, entries: ENTRIES } as const;
    expect(await app.sandbox.pushReceipt(appid, receipt, { corruption })).toMatchObject({
      attempts: [{ status: 403, body: '' }],
    });
    await until(async () => (await read(appid)).body.lastRejection?.reason === 'decrypt', 3_000);
  });
});

describe('a flood of bad pushes', () => {
  it('costs about one write a second', async () => {
    const appid = await newConfigured(app);
    await getConfig(app, appid);
    const writeNotes = jest.spyOn(app.app.get(ReceiptConfigsRepository), 'writeNotes');
    const corruption = { badSignature: true };
    for (let round = 0; round < 10; round++)
      await Promise.all(
        Array.from({ length: 20 }, () =>
          app.sandbox.pushReceipt(appid, { event: EVENT, entries: ENTRIES }, { corruption }),
        ),
      );
    expect(writeNotes.mock.calls.length).toBeLessThanOrEqual(4);
    expect((await getConfig(app, appid)).lastRejection?.reason).toBe('signature');
  });
});

describe('hasReceiptConfig', () => {
  it('tells which accounts have saved theirs', async () => {
    const [saved, looked] = [await newConfigured(app), await newMiniProgram(app)];
    await read(looked);
    const configs = app.app.get(ReceiptConfigsService);
    expect(await configs.hasReceiptConfig([saved, looked, 'wx0'])).toEqual(new Set([saved]));
    expect(await configs.hasReceiptConfig([])).toEqual(new Set());
  });

  it('and so do the scenes of an account: without one, what becomes of a message stays unknown', async () => {
    const warnings = async (appid: string): Promise<string[]> => {
      const { body } = await app.api<{
        scenes: { scene: string; warnings: { code: string }[] }[];
      }>('GET', `/accounts/${appid}`);
      const found = body.scenes.find(({ scene }) => scene === 'subscription_message');
      return found?.warnings.map(({ code }) => code) ?? [];
    };
    expect(await warnings(await newMiniProgram(app))).toEqual(['receipt_config_missing']);
    expect(await warnings(await newConfigured(app))).toEqual([]);
  });
});
