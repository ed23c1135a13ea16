import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { DeliveryLedger } from '../src/messages/deliveries/delivery-ledger.js';
import { startApp, type TestApp } from './app.js';
import {
  type DeliveryBody,
  getDelivery,
  newFollower,
  newSender,
  newSubscriber,
  newTemplate,
  send,
  subscriptionMessage,
  templateMessage,
} from './message-helpers.js';
import { addressOf, KEY, saveConfig, TOKEN } from './receipt-helpers.js';

const DAY_MS = 86_400_000;

let app: TestApp;
let service: string;
let template: string;
beforeAll(async () => {
  app = await startApp();
  service = await newSender(app);
  template = newTemplate(app, service);
});
afterAll(() => app.stop());
beforeEach(() => {
  app.sandbox.results.timing = 'after_answer';
});

async function sendTemplate(openid?: string): Promise<DeliveryBody> {
  const to = openid ?? (await newFollower(app, service));
  return (await send(app, service, templateMessage(to, template))).body;
}

async function settledStatus(id: string): Promise<string> {
  await app.settled();
  return (await getDelivery(app, id)).status;
}

interface EventBody {
  type: string;
  data: { deliveryId?: string; status?: string; msgid?: string };
}

/** The statuses of a delivery that the marketing platform was told of, in order. */
async function toldOf(id: string): Promise<(string | undefined)[]> {
  return (await newsOf(id)).map(({ status }) => status);
}

/** What the marketing platform was told of a delivery, in order. */
async function newsOf(id: string): Promise<EventBody['data'][]> {
  const told: EventBody['data'][] = [];
  for (let after = ''; ;) {
    const { body } = await app.api<{ items: EventBody[]; nextCursor: string | null }>(
      'GET',
      `/events?type=delivery.updated&limit=200${after && `&after=${after}`}`,
    );
    told.push(...body.items.flatMap(({ data }) => (data.deliveryId === id ? [data] : [])));
    if (body.nextCursor === null) return told;
    after = body.nextCursor;
  }
}

describe('a result', () => {
  it.each(['after_answer', 'before_answer'] as const)(
    'of a template message that comes %s ends it once',
    async (timing) => {
      app.sandbox.results.timing = timing;
      const { id, msgid } = await sendTemplate();
      expect(await settledStatus(id)).toBe('delivered');
      const delivery = await getDelivery(app, id);
      expect(delivery).toMatchObject({ msgid, failure: null, finishedAt: expect.any(String) });
      // All of its 19 digits, on whatever way.
      expect(msgid).toMatch(/^\d{19}$/);
      expect((await newsOf(id)).at(-1)?.msgid).toBe(msgid);
      const told = await toldOf(id);
      expect(told.at(-1)).toBe('delivered');
      expect(told.filter((status) => status === 'delivered')).toHaveLength(1);
    },
  );

  it('that comes before the answer ends each of many that are sent at once', async () => {
    app.sandbox.results.timing = 'before_answer';
    const people: string[] = [];
    for (let n = 0; n < 20; n++) people.push(await newFollower(app, service));
    const [blocking] = people;
    app.sandbox.person(service, blocking ?? '').spoilNextResult({ status: 'failed:user block' });
    const sent = await Promise.all(people.map((openid) => sendTemplate(openid)));
    await app.settled();
    const ends = await Promise.all(sent.map(({ id }) => getDelivery(app, id)));
    expect(ends.map(({ openid, status }) => ({ openid, status }))).toEqual(
      people.map((openid) => ({ openid, status: openid === blocking ? 'failed' : 'delivered' })),
    );
    for (const { id, status } of ends)
      expect((await toldOf(id)).filter((told) => told !== 'accepted')).toEqual([status]);
  });

  it('that comes again changes nothing', async () => {
    app.sandbox.results.timing = 'held';
    const { id, msgid } = await sendTemplate();
    expect(await settledStatus(id)).toBe('accepted');
    await app.sandbox.results.release({ msgids: [msgid ?? ''], times: 3 });
    expect(await settledStatus(id)).toBe('delivered');
    expect(await toldOf(id)).toEqual(['accepted', 'delivered']);
  });

  it.each([
    ['failed:user block', 'user_blocked', false],
    ['failed: system failed', 'not_delivered', true],
    ['failed:freq limit', 'user_throttled', true],
    ['something new', 'not_delivered', true],
  ])('%j is a failure, in WeChat’s words', async (status, reason, retryable) => {
    const follower = await newFollower(app, service);
    app.sandbox.person(service, follower).spoilNextResult({ status });
    const { id } = await sendTemplate(follower);
    expect(await settledStatus(id)).toBe('failed');
    expect((await getDelivery(app, id)).failure).toMatchObject({
      reason,
      retryable,
      errcode: null,
      detail: expect.stringContaining(status),
    });
  });

  it('that does not come in a day leaves the message accepted, and still counts when it comes', async () => {
    app.sandbox.results.timing = 'held';
    const { id, msgid } = await sendTemplate();
    app.clock.advance(DAY_MS - 1_000);
    await app.app.get(DeliveryLedger).endOverdue();
    expect(await getDelivery(app, id)).toMatchObject({ status: 'accepted', finishedAt: null });
    app.clock.advance(2_000);
    await app.app.get(DeliveryLedger).endOverdue();
    expect(await getDelivery(app, id)).toMatchObject({
      status: 'accepted',
      finishedAt: expect.any(String),
    });
    await app.sandbox.results.release({ msgids: [msgid ?? ''] });
    expect(await settledStatus(id)).toBe('delivered');
    // Its ticket has come to an end meanwhile.
    await app.sandbox.pushTicket();
  });

  it('of somebody else’s message is kept apart', async () => {
    const { id } = await sendTemplate();
    await app.settled();
    await app.sandbox.pushMessage(service, {
      MsgType: 'event',
      Event: 'TEMPLATESENDJOBFINISH',
      MsgID: '3557254367693750277',
      Status: 'failed:user block',
    });
    expect(await settledStatus(id)).toBe('delivered');
  });

  it('without a number belongs to the only message to the person that waits for one', async () => {
    app.sandbox.results.timing = 'held';
    const [follower, other] = [await newFollower(app, service), await newFollower(app, service)];
    const numberless = (FromUserName: string) =>
      app.sandbox.pushMessage(service, {
        FromUserName,
        MsgType: 'event',
        Event: 'TEMPLATESENDJOBFINISH',
        MsgID: '0',
        Status: 'success',
      });
    const one = await sendTemplate(follower);
    await numberless(follower);
    expect(await settledStatus(one.id)).toBe('delivered');
    const two = [await sendTemplate(other), await sendTemplate(other)];
    await numberless(other);
    for (const { id } of two) expect(await settledStatus(id)).toBe('accepted');
  });

  it('in whatever order, and however often, leads to the same end', async () => {
    app.sandbox.results.timing = 'held';
    const follower = await newFollower(app, service);
    const person = app.sandbox.person(service, follower);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { minLength: 4, maxLength: 12 }),
        async (fates, order) => {
          const sent: DeliveryBody[] = [];
          for (const isDelivered of fates) {
            if (!isDelivered) person.spoilNextResult({ status: 'failed: system failed' });
            sent.push(await sendTemplate(follower));
          }
          const picked = order.map((n) => sent[n % sent.length]?.msgid ?? '');
          const all = [...picked, ...sent.map(({ msgid }) => msgid ?? '')];
          await app.sandbox.results.release({ msgids: all, isKept: true });
          await app.settled();
          const ends = await Promise.all(sent.map(({ id }) => getDelivery(app, id)));
          expect(ends.map(({ status }) => status)).toEqual(
            fates.map((isDelivered) => (isDelivered ? 'delivered' : 'failed')),
          );
          app.sandbox.results.drop();
        },
      ),
      { numRuns: 15 },
    );
  });

  it('that contradicts itself ends as delivered, whichever word came first', async () => {
    app.sandbox.results.timing = 'held';
    const say = (msgid: string | null, Status: string, FromUserName: string) =>
      app.sandbox.pushMessage(service, {
        FromUserName,
        MsgType: 'event',
        Event: 'TEMPLATESENDJOBFINISH',
        MsgID: msgid ?? '',
        Status,
      });
    for (const words of [
      ['success', 'failed: system failed'],
      ['failed: system failed', 'success'],
    ]) {
      const follower = await newFollower(app, service);
      const { id, msgid } = await sendTemplate(follower);
      for (const word of words) {
        await say(msgid, word, follower);
        await app.settled();
      }
      expect(await settledStatus(id)).toBe('delivered');
    }
  });
});

describe('the result of a subscription message', () => {
  it('comes by the mini-program’s own address too, before, after and twice', async () => {
    const mini = await newSender(app, 'mini_program');
    await saveConfig(app, mini, { encryptionMode: 'secure', token: TOKEN, encodingAesKey: KEY });
    const { isSaved } = await app.sandbox.savePushConfig(mini, {
      url: await addressOf(app, mini),
      token: TOKEN,
      encodingAesKey: KEY,
      mode: 'secure',
      format: 'json',
    });
    expect(isSaved).toBe(true);
    const notice = newTemplate(app, mini);
    const subscriber = await newSubscriber(app, mini, notice, 3);
    for (const timing of ['before_answer', 'after_answer', 'held'] as const) {
      app.sandbox.results.timing = timing;
      const { body } = await send(app, mini, subscriptionMessage(subscriber, notice));
      if (timing === 'held') await app.sandbox.results.release({ times: 2 });
      expect(await settledStatus(body.id)).toBe('delivered');
      const { body: list } = await app.api<{ items: { deliveryId: string }[] }>(
        'GET',
        `/accounts/${mini}/receipts?msgid=${body.msgid}`,
      );
      expect(list.items[0]?.deliveryId).toBe(body.id);
    }
  });

  it('comes by the platform’s address, and its receipt names the delivery', async () => {
    const mini = await newSender(app, 'mini_program');
    const notice = newTemplate(app, mini);
    const subscriber = await newSubscriber(app, mini, notice, 2);
    const { body } = await send(app, mini, subscriptionMessage(subscriber, notice));
    expect(await settledStatus(body.id)).toBe('delivered');
    const { body: list } = await app.api<{ items: { msgid: string; deliveryId: string }[] }>(
      'GET',
      `/accounts/${mini}/receipts?msgid=${body.msgid}`,
    );
    expect(list.items).toMatchObject([{ msgid: body.msgid, deliveryId: body.id }]);
    app.sandbox
      .person(mini, subscriber)
      .spoilNextResult({ status: 'system error', errorCode: '-1' });
    const failed = await send(app, mini, subscriptionMessage(subscriber, notice));
    expect(await settledStatus(failed.body.id)).toBe('failed');
    expect((await getDelivery(app, failed.body.id)).failure).toMatchObject({
      reason: 'not_delivered',
      detail: expect.stringContaining('system error'),
    });
  });
});
