import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook as Verifier } from 'standardwebhooks';

import { Database } from '../src/database/database.js';
import { EventsService } from '../src/events/events.service.js';
import { WebhookRelay } from '../src/events/webhooks/webhook-relay.js';
import { WebhookDelivery } from '../src/events/webhooks/webhook.entity.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { authorizationOf } from './helpers.js';
import { Receiver } from './receiver.js';
import { until } from './until.js';

interface WebhookBody {
  id: string;
  tenantId: string;
  url: string;
  eventTypes: string[];
  enabled: boolean;
  disabledReason: string | null;
  failingSince: string | null;
  succeededAt: string | null;
  createdAt: string;
  secret: string;
  code: string;
  errors?: { field: string }[];
}

interface WebhookPage {
  items: WebhookBody[];
  nextCursor: string | null;
}

interface DeliveryBody {
  eventId: string;
  eventType: string;
  sequence: number;
  status: string;
  attempts: number;
  lastStatus: number | null;
  lastStep: string | null;
  nextTryAt: string | null;
}

const HOUR_MS = 3_600_000;

let app: TestApp;
let serial = 0;
const receivers: Receiver[] = [];

beforeAll(async () => {
  app = await startApp({ env: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.1' } });
});
afterEach(async () => {
  await Promise.all(receivers.splice(0).map((receiver) => receiver.stop()));
});
afterAll(() => app.stop());

const newTenant = (): string => `brand-hooks-${++serial}`;
const newAppid = (): string => `wx${(0x400c0000000 + ++serial).toString(16).padStart(16, '0')}`;

async function newReceiver(): Promise<Receiver> {
  const receiver = await Receiver.start();
  receivers.push(receiver);
  return receiver;
}

const as = (tenant: string): Record<string, string> => ({ 'x-tenant-id': tenant });
const save = (
  tenant: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<Answer<WebhookBody>> =>
  app.api<WebhookBody>('POST', '/webhooks', body, { ...as(tenant), ...headers });

async function newWebhook(tenant: string, receiver: Receiver, over = {}): Promise<WebhookBody> {
  const made = await save(tenant, { url: receiver.url, ...over });
  if (made.status !== 201) throw new Error(JSON.stringify(made));
  return made.body;
}

const get = async (tenant: string, id: string): Promise<WebhookBody | undefined> =>
  (
    await app.api<{ items: WebhookBody[] }>('GET', '/webhooks', undefined, as(tenant))
  ).body.items.find((webhook) => webhook.id === id);

async function deliveriesOf(tenant: string, id: string, query = ''): Promise<DeliveryBody[]> {
  const path = `/webhooks/${id}/deliveries?limit=200${query}`;
  return (await app.api<{ items: DeliveryBody[] }>('GET', path, undefined, as(tenant))).body.items;
}

/** Resolves when so many tries have been written down: only then may the clock move on, since the waits go from there. */
async function tried(tenant: string, id: string, tries: number): Promise<void> {
  await until(async () => {
    const deliveries = await deliveriesOf(tenant, id);
    return deliveries.reduce((sum, { attempts }) => sum + attempts, 0) === tries;
  });
}

/** Tells of so many changes of an account, and lines them up. */
async function tell(tenant: string, appid: string, count = 1): Promise<void> {
  const events = app.app.get(EventsService);
  for (let n = 0; n < count; n++)
    await app.app
      .get(Database)
      .write((tx) =>
        events.emit(tx, 'quota.reset', { tenantId: tenant, appid }, { appid, resetId: String(n) }),
      );
  await app.app.get(WebhookRelay).relay();
}

const counted = (n: number, from = 1): number[] =>
  Array.from({ length: n }, (_unused, index) => from + index);

describe('an event', () => {
  it('arrives signed, as the feed shows it, verified by the public verifier', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const { secret } = await newWebhook(tenant, receiver);
    await tell(tenant, appid);
    await until(() => receiver.received.length === 1);
    const [one] = receiver.received;
    const feed = await app.api<{ items: object[] }>('GET', '/events', undefined, as(tenant));
    expect(one?.event).toEqual({ ...feed.body.items[0], sequence: 1 });
    expect(one?.headers['webhook-id']).toBe(one?.event.id);
    // The verifier looks at the real time; ours stands still.
    expect(() => verify(secret, one)).toThrow('too old');
    expect(new Verifier(secret).sign(String(one?.event.id), app.clock.now(), one?.body ?? '')).toBe(
      one?.headers['webhook-signature'],
    );
  });

  it('carries what a person has written, which the database holds sealed', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    await newWebhook(tenant, receiver);
    const [events, db] = [app.app.get(EventsService), app.app.get(Database)];
    const text = 'canary-of-written-words 你好';
    await db.write((tx) =>
      events.emit(
        tx,
        'message.received',
        { tenantId: tenant, appid, openid: 'oWrites' },
        {
          ...{ appid, openid: 'oWrites', incomingMessageId: '1', messageId: '2', text },
          ...{ messageType: 'text', event: null, eventKey: null, isMenuTap: false },
          ...{ mediaId: null, picUrl: null, occurredAt: app.clock.now().toISOString() },
        },
      ),
    );
    await app.app.get(WebhookRelay).relay();
    await until(() => receiver.received.length === 1);
    expect(receiver.received[0]?.event).toMatchObject({ data: { messageId: '2', text } });
    for (const table of ['event', 'webhook_delivery', 'work'])
      expect(JSON.stringify(await db.read.query(`SELECT * FROM ${table}`))).not.toContain(
        'canary-of-written-words',
      );
  });

  it('is verified as it stands when the clocks agree', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const fresh = await startApp({
      now: new Date().toISOString(),
      env: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.1' },
    });
    try {
      const made = await fresh.api<WebhookBody>(
        'POST',
        '/webhooks',
        { url: receiver.url },
        as(tenant),
      );
      const events = fresh.app.get(EventsService);
      await fresh.app
        .get(Database)
        .write((tx) =>
          events.emit(tx, 'quota.reset', { tenantId: tenant, appid }, { appid, resetId: 'x' }),
        );
      await fresh.app.get(WebhookRelay).relay();
      await until(() => receiver.received.length === 1);
      expect(verify(made.body.secret, receiver.received[0])).toMatchObject({ type: 'quota.reset' });
      expect(() => verify(`whsec_${'A'.repeat(44)}`, receiver.received[0])).toThrow(
        'No matching signature found',
      );
    } finally {
      await fresh.stop();
    }
  });

  it('of one account arrives in order, numbered, whatever others do', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    await newWebhook(tenant, receiver);
    const appids = counted(5).map(newAppid);
    for (let n = 0; n < 4; n++) for (const appid of appids) await tell(tenant, appid, 3);
    await until(() => receiver.received.length === 60);
    for (const appid of appids) expect(receiver.sequencesOf(appid)).toEqual(counted(12));
  });

  it('goes to those who want its type, in its tenant, from the time that they were made', async () => {
    const [tenant, appid] = [newTenant(), newAppid()];
    const [all, some, none, foreign] = [
      await newReceiver(),
      await newReceiver(),
      await newReceiver(),
      await newReceiver(),
    ];
    await tell(tenant, appid);
    await newWebhook(tenant, all);
    await newWebhook(tenant, some, { eventTypes: ['quota.reset', 'account.enabled'] });
    await newWebhook(tenant, none, { eventTypes: ['account.enabled'] });
    await newWebhook(newTenant(), foreign);
    await tell(tenant, appid, 2);
    await until(() => all.received.length === 2 && some.received.length === 2);
    expect([none.received, foreign.received]).toEqual([[], []]);
  });

  it('is told by 32 writers at once, and none is missing', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    await newWebhook(tenant, receiver);
    const events = app.app.get(EventsService);
    const db = app.app.get(Database);
    const appids = counted(8).map(newAppid);
    await Promise.all(
      counted(32).map(async (writer) => {
        for (let n = 0; n < 5; n++) {
          const appid = appids[writer % appids.length] ?? '';
          await db.write(async (tx) => {
            await events.emit(
              tx,
              'quota.reset',
              { tenantId: tenant, appid },
              { appid, resetId: `${writer}-${n}` },
            );
            if (!db.isSqlite) await tx.query(`SELECT SLEEP(${Math.random() / 50})`);
          });
          if (n % 2 === 0) await app.app.get(WebhookRelay).relay();
        }
      }),
    );
    await app.app.get(WebhookRelay).relay();
    await until(() => new Set(receiver.received.map(({ event }) => event.id)).size === 160);
    for (const appid of appids) expect(receiver.sequencesOf(appid)).toEqual(counted(20));
  });
});

describe('a receiver that is down', () => {
  it('for an hour gets everything when it is back, same ids, in order', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    const appids = [newAppid(), newAppid()];
    receiver.says = () => ({ status: 503 });
    for (const appid of appids) await tell(tenant, appid, 3);
    await tried(tenant, id, 2);
    expect((await get(tenant, id))?.failingSince).not.toBeNull();
    const ids = new Set(receiver.received.map(({ headers }) => headers['webhook-id']));
    app.clock.advance(6_000);
    await tried(tenant, id, 4);
    receiver.says = () => ({ status: 200 });
    receiver.received.length = 0;
    app.clock.advance(HOUR_MS);
    await app.sandbox.pushTicket();
    await until(() => receiver.received.length === 6);
    for (const appid of appids) expect(receiver.sequencesOf(appid)).toEqual([1, 2, 3]);
    const firsts = receiver.received.filter(({ event }) => event.sequence === 1);
    expect(new Set(firsts.map(({ headers }) => headers['webhook-id']))).toEqual(ids);
    await until(async () => (await get(tenant, id))?.failingSince === null);
    const deliveries = await deliveriesOf(tenant, id);
    expect(deliveries.map(({ status }) => status)).toEqual(counted(6).map(() => 'succeeded'));
    expect(deliveries.filter(({ attempts }) => attempts === 3)).toHaveLength(2);
  });

  it('is tried after 5 s, 5 and 30 min, 2, 5, 10 and 10 h, more or less, and then given up', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    receiver.says = () => ({ status: 500 });
    await tell(tenant, appid);
    const waits: number[] = [];
    for (let tries = 1; tries <= 8; tries++) {
      await until(() => receiver.received.length === tries);
      await until(async () => (await deliveriesOf(tenant, id))[0]?.attempts === tries);
      const { nextTryAt } = (await deliveriesOf(tenant, id))[0] ?? {};
      if (!nextTryAt) break;
      const wait = new Date(nextTryAt).getTime() - app.clock.now().getTime();
      waits.push(wait);
      app.clock.advance(wait + 1);
      await app.sandbox.pushTicket();
    }
    const expected = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
    for (const [n, seconds] of expected.entries()) {
      expect(waits[n]).toBeGreaterThanOrEqual(seconds * 900);
      expect(waits[n]).toBeLessThanOrEqual(seconds * 1_100);
    }
    expect(await deliveriesOf(tenant, id)).toMatchObject([
      { status: 'failed', attempts: 8, lastStatus: 500, lastStep: 'status', nextTryAt: null },
    ]);
    expect((await get(tenant, id))?.enabled).toBe(true);
  });

  it('is not asked before it wants to be', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    receiver.says = () => ({ status: 429, headers: { 'retry-after': '120' } });
    await tell(tenant, appid);
    await until(async () => (await deliveriesOf(tenant, id))[0]?.attempts === 1);
    const { nextTryAt } = (await deliveriesOf(tenant, id))[0] ?? {};
    expect(new Date(nextTryAt ?? 0).getTime() - app.clock.now().getTime()).toBe(120_000);
  });

  it('does not hold up another one, nor does a slow one', async () => {
    const [tenant, slow, quick] = [newTenant(), await newReceiver(), await newReceiver()];
    await newWebhook(tenant, slow);
    await newWebhook(tenant, quick);
    let letGo = (): void => undefined;
    const gate = new Promise<{ status: number }>((resolve) => {
      letGo = () => resolve({ status: 200 });
    });
    slow.says = () => gate;
    const appids = counted(10).map(newAppid);
    for (const appid of appids) await tell(tenant, appid, 2);
    await until(() => quick.received.length === 20);
    expect(slow.received.length).toBeLessThanOrEqual(10);
    letGo();
    await until(() => slow.received.length === 20);
  });

  it('holds up the later events of a subject only while that has not failed three times', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    const [bad, good] = [newAppid(), newAppid()];
    receiver.says = ({ event }) => ({
      status: event.appid === bad && event.sequence === 1 ? 500 : 200,
    });
    await tell(tenant, bad, 3);
    await tell(tenant, good, 3);
    await tried(tenant, id, 4);
    expect(receiver.sequencesOf(good)).toEqual([1, 2, 3]);
    expect(receiver.sequencesOf(bad)).toEqual([1]);
    app.clock.advance(6_000);
    await tried(tenant, id, 5);
    app.clock.advance(400_000);
    await until(() => receiver.sequencesOf(bad).length === 5);
    expect(receiver.sequencesOf(bad)).toEqual([1, 1, 1, 2, 3]);
  });

  it('for one account holds up no other account, however many there are', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    const bad = newAppid();
    receiver.says = ({ event }) => ({ status: event.appid === bad ? 500 : 200 });
    await tell(tenant, bad);
    await tried(tenant, id, 1);
    // So many that some are sent together with it.
    const others = counted(40).map(newAppid);
    for (const appid of others) await tell(tenant, appid);
    await until(() => others.every((appid) => receiver.sequencesOf(appid).length === 1));
    expect(receiver.sequencesOf(bad)).toEqual([1]);
  });

  it('and takes its time to say so keeps none of the places, of which there are 64', async () => {
    const [one, other] = [newTenant(), newTenant()];
    const [slow, quick] = [await newReceiver(), await newReceiver()];
    slow.says = async () => {
      await new Promise((go) => setTimeout(go, 1_100));
      return { status: 500 };
    };
    for (let count = 0; count < 8; count++) await newWebhook(one, slow);
    await newWebhook(other, quick);
    const subjects = counted(240).map(newAppid);
    const events = app.app.get(EventsService);
    await app.app.get(Database).write((tx) =>
      events.emitAll(
        tx,
        subjects.map((appid) => ({
          type: 'quota.reset',
          key: { tenantId: one, appid },
          payload: { appid, resetId: '1' },
        })),
      ),
    );
    await app.app.get(WebhookRelay).relay();
    await until(() => slow.received.length >= 64);
    await tell(other, newAppid());
    await until(() => quick.received.length === 1, 10_000);
    expect(slow.received.length).toBeLessThan(8 * subjects.length);
    // Switched off, it is not tried any more.
    slow.says = () => ({ status: 410 });
  });

  it('that says it is gone is switched off at once', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    receiver.says = () => ({ status: 410 });
    await tell(tenant, appid, 3);
    await until(async () => (await get(tenant, id))?.enabled === false);
    expect(await get(tenant, id)).toMatchObject({ disabledReason: 'gone' });
    const { body } = await app.api<{ items: object[] }>(
      'GET',
      `/audit-log?action=webhook.disabled&target=${id}`,
      undefined,
      as(tenant),
    );
    expect(body.items).toMatchObject([{ detail: { reason: 'gone' } }]);
    // Switched on again, it goes on where it was, with what came meanwhile.
    await tell(tenant, appid, 1);
    receiver.says = () => ({ status: 200 });
    receiver.received.length = 0;
    const on = { url: receiver.url, enabled: true };
    expect((await app.api('PUT', `/webhooks/${id}`, on, as(tenant))).status).toBe(200);
    app.clock.advance(6_000);
    await app.app.get(WebhookRelay).relay();
    await until(() => receiver.received.length === 4);
    expect(receiver.sequencesOf(appid)).toEqual([1, 2, 3, 4]);
    expect(await get(tenant, id)).toMatchObject({ enabled: true, disabledReason: null });
  });

  it('for five days is switched off, and says so', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    receiver.says = () => ({ status: 500 });
    for (let day = 0; day < 5; day++) {
      expect((await get(tenant, id))?.enabled).toBe(true);
      await tell(tenant, newAppid());
      await until(async () => (await deliveriesOf(tenant, id))[0]?.attempts === 1);
      app.clock.advance(24 * HOUR_MS);
      await app.sandbox.pushTicket();
    }
    await tell(tenant, newAppid());
    await until(async () => (await get(tenant, id))?.enabled === false);
    expect(await get(tenant, id)).toMatchObject({ disabledReason: 'failing' });
  });
});

describe('/webhooks', () => {
  it('shows a secret once, and signs with the former one too for a day', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const key = { 'idempotency-key': `hook-${tenant}` };
    const made = await save(tenant, { url: receiver.url }, key);
    expect(made.body.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const again = await save(tenant, { url: receiver.url }, key);
    expect(again.body).toMatchObject({ id: made.body.id, replayed: true });
    expect(again.body.secret).toBeUndefined();
    expect(JSON.stringify(await get(tenant, made.body.id))).not.toContain('whsec_');
    const { id } = made.body;
    const rotated = await app.api<{ secret: string; previousUntil: string }>(
      'POST',
      `/webhooks/${id}/rotate-secret`,
      undefined,
      as(tenant),
    );
    expect(rotated.status).toBe(200);
    const signatures = async (): Promise<string[]> => {
      receiver.received.length = 0;
      await tell(tenant, appid);
      await until(() => receiver.received.length === 1);
      return String(receiver.received[0]?.headers['webhook-signature']).split(' ');
    };
    const signedBy = (secret: string): string => {
      const [one] = receiver.received;
      return new Verifier(secret).sign(String(one?.event.id), app.clock.now(), one?.body ?? '');
    };
    expect(await signatures()).toEqual([signedBy(rotated.body.secret), signedBy(made.body.secret)]);
    app.clock.advance(24 * HOUR_MS);
    await app.sandbox.pushTicket();
    expect(await signatures()).toEqual([signedBy(rotated.body.secret)]);
  });

  it('lists them page by page, the newest first, each tenant its own', async () => {
    const [tenant, other] = [newTenant(), newTenant()];
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      // Two of one moment are told apart by their ids.
      if (n !== 2) app.clock.advance(1);
      made.unshift((await save(tenant, { url: `https://hooks.example.com/${n}` })).body.id);
      await save(other, { url: 'https://hooks.example.com/' });
    }
    const seen: string[][] = [];
    let cursor: string | null = null;
    do {
      const path: string = `/webhooks?limit=2${cursor ? `&cursor=${cursor}` : ''}`;
      const { body } = await app.api<WebhookPage>('GET', path, undefined, as(tenant));
      seen.push(body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    } while (cursor);
    expect(seen.map(({ length }) => length)).toEqual([2, 2, 1]);
    expect(seen.flat().toSorted()).toEqual(made.toSorted());
    const whole = await app.api<WebhookPage>('GET', '/webhooks', undefined, as(tenant));
    expect(whole.body.nextCursor).toBeNull();
    expect(whole.body.items.map(({ id }) => id)).toEqual(seen.flat());
    const times = whole.body.items.map(({ createdAt }) => createdAt);
    expect(times).toEqual(times.toSorted().toReversed());
    const { body } = await app.api<WebhookPage>('GET', '/webhooks?limit=200');
    for (const id of [made[0], made[4]])
      expect(body.items).toContainEqual(expect.objectContaining({ id }));
  });

  it.each(['limit=0', 'limit=201', 'limit=x', 'cursor=x', 'page=1'])(
    'refuses a list with ?%s',
    async (query) => {
      const refused = { status: 400, body: { code: 'invalid_query' } };
      expect(await app.api('GET', `/webhooks?${query}`)).toMatchObject(refused);
    },
  );

  it('takes no null for what may be left out', async () => {
    const tenant = newTenant();
    const url = 'https://hooks.example.com/';
    for (const field of ['eventTypes', 'enabled']) {
      const errors = expect.arrayContaining([expect.objectContaining({ field })]);
      const refused = { status: 422, body: { errors } };
      expect(await save(tenant, { url, [field]: null })).toMatchObject(refused);
      const { id } = (await save(tenant, { url, eventTypes: ['quota.reset'] })).body;
      const change = { url, [field]: null };
      expect(await app.api('PUT', `/webhooks/${id}`, change, as(tenant))).toMatchObject(refused);
      expect(await get(tenant, id)).toMatchObject({ enabled: true, eventTypes: ['quota.reset'] });
    }
  });

  it('tries an address, and says where it ended', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    const test = (): Promise<Answer> =>
      app.api('POST', `/webhooks/${id}/test`, undefined, as(tenant));
    expect((await test()).body).toMatchObject({ ok: true, status: 204, step: null });
    expect(receiver.received[0]?.event).toMatchObject({ type: 'webhook.test' });
    receiver.says = () => ({ status: 500 });
    expect((await test()).body).toMatchObject({ ok: false, status: 500, step: 'status' });
    await receiver.stop();
    expect((await test()).body).toMatchObject({ ok: false, status: null, step: 'connect' });
    for (const [url, step] of [
      ['https://10.0.0.1/', 'blocked'],
      ['http://8.8.8.8/', 'url'],
      ['https://nowhere.invalid/', 'dns'],
    ]) {
      await app.api('PUT', `/webhooks/${id}`, { url }, as(tenant));
      expect((await test()).body).toMatchObject({ ok: false, step });
    }
  });

  it('sends a stretch of time again, under the same ids', async () => {
    const [tenant, appid, receiver] = [newTenant(), newAppid(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    await tell(tenant, appid);
    app.clock.advance(60_000);
    const from = app.clock.now().toISOString();
    await tell(tenant, appid, 2);
    app.clock.advance(60_000);
    const to = app.clock.now().toISOString();
    await tell(tenant, appid);
    await until(() => receiver.received.length === 4);
    const ids = receiver.received.map(({ event }) => event.id);
    await until(async () => (await deliveriesOf(tenant, id, '&status=succeeded')).length === 4);
    receiver.received.length = 0;
    const replay = (body: object): Promise<Answer<{ count: number }>> =>
      app.api('POST', `/webhooks/${id}/replay`, body, as(tenant));
    expect(await replay({ from, to })).toMatchObject({ status: 200, body: { count: 2 } });
    await until(() => receiver.received.length === 2);
    expect(receiver.received.map(({ event }) => event.id)).toEqual(ids.slice(1, 3));
    expect(receiver.sequencesOf(appid)).toEqual([2, 3]);
    // One that is made later can be given what was before it.
    const late = await newReceiver();
    const other = await newWebhook(tenant, late);
    const path = `/webhooks/${other.id}/replay`;
    await app.api(
      'POST',
      path,
      { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' },
      as(tenant),
    );
    await until(() => late.received.length === 4);
    expect(late.sequencesOf(appid)).toEqual([1, 2, 3, 4]);
    expect((await replay({ from: 'x', to })).status).toBe(422);
  });

  it.each([
    [{ url: 'ftp://example.com/' }, 'url'],
    [{ url: 'https://user:secret@example.com/' }, 'url'],
    [{ url: 'nonsense' }, 'url'],
    [{}, 'url'],
    [{ url: 'https://example.com/', eventTypes: ['no.such'] }, 'eventTypes'],
    [{ url: 'https://example.com/', enabled: 'yes' }, 'enabled'],
  ])('refuses %j by name', async (body, field) => {
    const answer = await save(newTenant(), body);
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(new Set(answer.body.errors?.map((error) => error.field))).toEqual(new Set([field]));
  });

  it('is forgotten with what was lined up when it is deleted', async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    receiver.says = () => ({ status: 500 });
    await tell(tenant, newAppid(), 3);
    await until(() => receiver.received.length === 1);
    expect((await app.api('DELETE', `/webhooks/${id}`, undefined, as(tenant))).status).toBe(204);
    const rows = app.app.get(Database).read.countBy(WebhookDelivery, { webhookId: id });
    expect(await rows).toBe(0);
    expect((await app.api('DELETE', `/webhooks/${id}`, undefined, as(tenant))).status).toBe(404);
  });

  it("is a tenant's admin's", async () => {
    const [tenant, receiver] = [newTenant(), await newReceiver()];
    const { id } = await newWebhook(tenant, receiver);
    const viewer = await authorizationOf(app, 'viewer', tenant);
    const other = await authorizationOf(app, 'admin', newTenant());
    const test = (headers: Record<string, string>): Promise<Answer> =>
      app.api('POST', `/webhooks/${id}/test`, undefined, headers);
    expect((await test(viewer)).status).toBe(403);
    expect((await test(other)).status).toBe(404);
    expect((await app.api('GET', `/webhooks/${id}/deliveries`, undefined, viewer)).status).toBe(
      200,
    );
  });

  it('keeps nothing of a deleted account in what was lined up', async () => {
    const [tenant, receiver, appid] = [newTenant(), await newReceiver(), newAppid()];
    await newWebhook(tenant, receiver);
    app.sandbox.addAccount({ appid });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    await app.api('POST', `/accounts/${appid}/claim`, { tenantId: tenant });
    await app.app.get(WebhookRelay).relay();
    await until(() => receiver.sequencesOf(appid).length > 0);
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await app.api('DELETE', `/accounts/${appid}?confirm=${appid}`)).status).toBe(204);
    await app.app.get(WebhookRelay).relay();
    await until(() => receiver.received.at(-1)?.event.type === 'account.deleted');
    const rows = await app.app.get(Database).read.findBy(WebhookDelivery, { appid });
    expect(rows.map(({ eventType }) => eventType)).toEqual(['account.deleted']);
  });
});

function verify(secret: string, one: { headers: object; body: string } | undefined): unknown {
  return new Verifier(secret).verify(one?.body ?? '', { ...one?.headers } as Record<
    string,
    string
  >);
}
