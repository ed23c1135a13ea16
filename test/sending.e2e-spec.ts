import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { Database, toSqlTime } from '../src/database/database.js';
import { PeopleService } from '../src/messages/people/people.service.js';
import { startApp, type TestApp } from './app.js';
import { until } from './until.js';
import { authorizationOf, figureOf, MINI_PROGRAM, readMetrics, uploadPicture } from './helpers.js';
import {
  type DeliveryBody,
  getDelivery,
  newFollower,
  newOpenid,
  newSender,
  newSubscriber,
  newTemplate,
  newWriter,
  preview,
  propertyOf,
  send,
  subscriptionMessage,
  templateMessage,
  textMessage,
} from './message-helpers.js';

const PATHS = {
  template_message: '/cgi-bin/message/template/send',
  subscription_message: '/cgi-bin/message/subscribe/send',
  customer_service_message: '/cgi-bin/message/custom/send',
  broadcast: '/cgi-bin/message/mass/preview',
} as const;

let app: TestApp;
let service: string;
let mini: string;
beforeAll(async () => {
  app = await startApp();
  service = await newSender(app);
  mini = await newSender(app, 'mini_program');
});
// A result may come before the answer does, and end the delivery: here it comes when a test says so.
beforeEach(() => {
  app.sandbox.results.timing = 'held';
  app.sandbox.results.drop();
});
afterAll(() => app.stop());

describe('a message', () => {
  it('of each kind goes out, and is what WeChat gets', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    const sent = await send(app, service, {
      ...templateMessage(follower, template),
      content: {
        templateId: template,
        data: { thing1: '已发货' },
        url: 'https://m.example.com/o/88',
        miniProgram: { appid: MINI_PROGRAM, pagePath: 'pages/order?id=88' },
      },
    });
    expect(sent).toMatchObject({
      status: 200,
      body: { status: 'accepted', kind: 'template_message', openid: follower, attempts: 1 },
    });
    expect(sent.body.msgid).toMatch(/^\d{19}$/);
    const [got] = app.sandbox.person(service, follower).messages;
    expect(got?.message).toEqual({
      touser: follower,
      template_id: template,
      url: 'https://m.example.com/o/88',
      miniprogram: { appid: MINI_PROGRAM, pagepath: 'pages/order?id=88' },
      client_msg_id: sent.body.id.replaceAll('-', ''),
      data: { thing1: { value: '已发货' } },
    });
  });

  it('of customer service may be several, in their order', async () => {
    const writer = await newWriter(app, service);
    const { body } = await send(app, service, textMessage(writer, '一', '二', '三'));
    expect(body).toMatchObject({
      status: 'accepted',
      msgid: null,
      parts: { sent: 3, total: 3 },
      finishedAt: expect.any(String),
    });
    const { messages } = app.sandbox.person(service, writer);
    expect(messages.map(({ message }) => message)).toMatchObject(
      ['一', '二', '三'].map((content) => ({ text: { content } })),
    );
  });

  it('of a mini-program goes out with its own token', async () => {
    const template = newTemplate(app, mini);
    const subscriber = await newSubscriber(app, mini, template);
    const { body } = await send(app, mini, subscriptionMessage(subscriber, template));
    expect(body).toMatchObject({ status: 'accepted', msgid: expect.stringMatching(/^\d{19}$/) });
    expect(app.sandbox.person(mini, subscriber).messages).toHaveLength(1);
  });

  it('that is broadcast to one person is a preview', async () => {
    const follower = await newFollower(app, service);
    const { body } = await send(app, service, preview(follower));
    expect(body).toMatchObject({ status: 'accepted', finishedAt: expect.any(String) });
    expect(app.sandbox.callsTo(PATHS.broadcast)).toBeGreaterThan(0);
  });

  it('finds the person by the account’s property', async () => {
    const writer = await newWriter(app, service);
    const { content, kind } = textMessage('', '您好');
    const to = { userId: 'user-1', properties: { other: 'x', [propertyOf(service)]: writer } };
    const { body } = await send(app, service, { kind, content, to });
    expect(body).toMatchObject({ status: 'accepted', openid: writer, userId: 'user-1' });
  });

  it('to somebody without an openid is skipped', async () => {
    const { content, kind } = textMessage('', '您好');
    for (const properties of [{ other: 'x' }, { [propertyOf(service)]: ' ' }]) {
      const to = { userId: 'user-2', properties };
      expect((await send(app, service, { kind, content, to })).body).toMatchObject({
        status: 'skipped',
        openid: null,
        attempts: 0,
        failure: { reason: 'openid_missing', errcode: null, retryable: false },
      });
    }
  });
});

describe('a request that could never be sent', () => {
  it.each([
    ['no openid and no properties', {}, 'to'],
    ['properties without a user', { properties: { a: 'b' } }, 'to'],
    ['an openid and properties', { openid: 'o', userId: 'u', properties: {} }, 'to'],
    ['an openid that is null', { openid: null }, 'to.openid'],
    ['a user who is null', { openid: 'o', userId: null }, 'to.userId'],
  ])('is refused for %s', async (_case, to, field) => {
    const { kind, content } = textMessage('', '您好');
    expect(await send(app, service, { kind, content, to })).toMatchObject({
      status: 422,
      body: { code: 'validation_failed', errors: [{ field }] },
    });
  });

  it.each([
    ['no messages', { messages: [] }, 'content.messages'],
    ['a message that is null', { messages: [null] }, 'content.messages.0.type'],
    ['a type that nobody knows', { messages: [{ type: 'fax' }] }, 'content.messages.0.type'],
    [
      'a type that official accounts have not',
      {
        messages: [
          {
            type: 'link',
            title: 'a',
            description: '',
            url: 'https://a.cn/',
            thumbUrl: 'https://a.cn/a.png',
          },
        ],
      },
      'content.messages.0.type',
    ],
    ['a field that is missing', { messages: [{ type: 'text' }] }, 'content.messages.0.text'],
    [
      'a field that is too much',
      { messages: [{ type: 'text', text: 'a', b: 1 }] },
      'content.messages.0.b',
    ],
    [
      'more bytes than WeChat takes',
      { messages: [{ type: 'text', text: '好'.repeat(700) }] },
      'content.messages.0.text',
    ],
    [
      'a medium that is not there',
      { messages: [{ type: 'image', mediaId: 'none' }] },
      'content.messages.0.mediaId',
    ],
    [
      'a page without an appid',
      {
        messages: [{ type: 'mini_program_page', title: 'a', pagePath: 'p', thumbMediaId: 'none' }],
      },
      'content.messages.0.appid',
    ],
  ])('is refused for %s', async (_case, content, field) => {
    const answer = await send(app, service, {
      kind: 'customer_service_message',
      content,
      to: { openid: newOpenid() },
    });
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answer.body).toHaveProperty(
      'errors',
      expect.arrayContaining([expect.objectContaining({ field })]),
    );
  });

  it.each([
    ['template_message', 'url'],
    ['template_message', 'miniProgram'],
    ['subscription_message', 'page'],
    ['subscription_message', 'lang'],
  ])('is refused for a %s with null for its %s, which WeChat would get', async (kind, field) => {
    const account = kind === 'template_message' ? service : await newSender(app, 'mini_program');
    const content = { templateId: 'x', data: { thing1: '好' }, [field]: null };
    const answer = await send(app, account, { kind, content, to: { openid: newOpenid() } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answer.body).toHaveProperty(
      'errors',
      expect.arrayContaining([expect.objectContaining({ field: `content.${field}` })]),
    );
  });

  it('is refused for a template that the account has not, and for values that break its rules', async () => {
    const unknown = await send(app, service, templateMessage(newOpenid(), 'none'));
    expect(unknown).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'content.templateId', code: 'template_unknown' }] },
    });
    const template = newTemplate(app, service);
    const wrong = await send(app, service, templateMessage(newOpenid(), template, '长'.repeat(21)));
    expect(wrong).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'content.data.thing1', code: 'field_too_long' }] },
    });
  });

  it.each([
    ['a template message of a mini-program', 'template_message', () => mini],
    ['a subscription message of an official account', 'subscription_message', () => service],
    ['a broadcast of a mini-program', 'broadcast', () => mini],
  ])('is refused for %s', async (_case, kind, appidOf) => {
    expect(await send(app, appidOf(), { kind, content: {}, to: { openid: 'o' } })).toMatchObject({
      status: 422,
      body: { code: 'kind_not_supported' },
    });
  });

  it('is refused while the account is switched off, and goes out in the same second it is on', async () => {
    const appid = await newSender(app);
    const writer = await newWriter(app, appid);
    await app.api('POST', `/accounts/${appid}/disable`);
    expect(await send(app, appid, textMessage(writer, '您好'))).toMatchObject({
      status: 409,
      body: { code: 'account_disabled' },
    });
    await app.api('POST', `/accounts/${appid}/enable`);
    expect((await send(app, appid, textMessage(writer, '您好'))).body.status).toBe('accepted');
  });

  it('is refused for a mini-program without a send config', async () => {
    const appid = await newSender(app, 'mini_program');
    await app.app
      .get(Database)
      .write((tx) => tx.query(`DELETE FROM send_config WHERE appid = ?`, [appid]));
    expect(await send(app, appid, subscriptionMessage('o', 't'))).toMatchObject({
      status: 409,
      body: { code: 'send_config_missing' },
    });
  });
});

describe('a refusal of WeChat', () => {
  const refuse = (path: string, errcode: number, times = 1): void =>
    app.sandbox.faults.add({ path, kind: 'errcode', errcode, times });

  it('in the middle of several messages tells how far they came', async () => {
    const writer = await newWriter(app, service);
    app.sandbox.account(service).people[writer]?.windows.forEach((window) => (window.left = 2));
    const { body } = await send(app, service, textMessage(writer, '一', '二', '三'));
    expect(body).toMatchObject({
      status: 'failed',
      parts: { sent: 2, total: 3 },
      failure: { reason: 'window_used_up', errcode: 45047 },
    });
  });

  it('of the first of several messages, for its own sake, ends all that a client has sent', async () => {
    const writer = await newWriter(app, service);
    refuse(PATHS.customer_service_message, 45002);
    const { body } = await send(app, service, textMessage(writer, '一', '二', '三'));
    expect(body).toMatchObject({
      status: 'failed',
      parts: { sent: 0, total: 3 },
      failure: { reason: 'content_invalid', errcode: 45002 },
    });
    expect(app.sandbox.person(service, writer).messages).toEqual([]);
  });

  it('for too many calls a minute is tried once more after a minute', async () => {
    const follower = await newFollower(app, service);
    refuse(PATHS.broadcast, 45011);
    const { body } = await send(app, service, preview(follower));
    expect(body).toMatchObject({
      status: 'pending',
      attempts: 1,
      failure: { reason: 'rate_minute' },
    });
    app.clock.advance(59_000);
    expect((await getDelivery(app, body.id)).status).toBe('pending');
    await app.later(2_000);
    await ends(body.id, 'accepted');
    expect(await getDelivery(app, body.id)).toMatchObject({ attempts: 2, failure: null });
  });

  it('for too many calls a minute, twice, is a failure that may go through later', async () => {
    const follower = await newFollower(app, service);
    refuse(PATHS.broadcast, 45011, 2);
    const { body } = await send(app, service, preview(follower));
    await app.later(61_000);
    await ends(body.id, 'failed');
    expect((await getDelivery(app, body.id)).failure).toMatchObject({
      reason: 'rate_minute',
      retryable: true,
    });
  });

  it.each([
    [-1, 'transient'],
    [123_456, 'unknown'],
  ])(
    '%i is tried again within seconds where WeChat sends one message for one id',
    async (errcode, reason) => {
      const template = newTemplate(app, service);
      const follower = await newFollower(app, service);
      refuse(PATHS.template_message, errcode, 4);
      const { body } = await send(app, service, templateMessage(follower, template));
      expect(body).toMatchObject({ status: 'pending', failure: { reason } });
      for (const [wait, attempts] of [
        [1_000, 2],
        [3_000, 3],
      ] as const) {
        await app.later(wait);
        await until(async () => {
          const delivery = await getDelivery(app, body.id);
          return delivery.attempts === attempts && delivery.status === 'pending';
        });
      }
      await app.later(10_000);
      await ends(body.id, 'failed');
      expect((await getDelivery(app, body.id)).failure).toMatchObject({ reason, errcode });
    },
  );

  it('that nobody knows leaves a message without a de-duplication id unknown', async () => {
    const writer = await newWriter(app, service);
    refuse(PATHS.customer_service_message, 123_456);
    const { body } = await send(app, service, textMessage(writer, '您好'));
    expect(body).toMatchObject({
      status: 'unknown',
      failure: { reason: 'unknown', errcode: 123_456, retryable: false },
    });
  });
});

async function ends(id: string, status: string): Promise<void> {
  await until(async () => (await getDelivery(app, id)).status === status);
}

describe('an answer that is lost', () => {
  it.each(['lost_answer', 'http_500', 'not_json'] as const)(
    'by %s has a template message sent again under the same id: the person sees one',
    async (kind) => {
      const template = newTemplate(app, service);
      const follower = await newFollower(app, service);
      app.sandbox.faults.add({ path: PATHS.template_message, kind });
      const before = app.sandbox.callsTo(PATHS.template_message);
      const { body } = await send(app, service, templateMessage(follower, template));
      expect(body).toMatchObject({ status: 'pending', failure: { reason: 'answer_lost' } });
      await app.later(1_000);
      await until(async () =>
        ['accepted', 'delivered'].includes((await getDelivery(app, body.id)).status),
      );
      expect(app.sandbox.callsTo(PATHS.template_message) - before).toBe(2);
      expect(app.sandbox.person(service, follower).messages).toHaveLength(1);
      await app.sandbox.results.release();
      await app.settled();
      expect(await getDelivery(app, body.id)).toMatchObject({ status: 'delivered', attempts: 2 });
    },
  );

  /** As if sending had begun so long ago, by the database's clock. */
  async function age(id: string, over = ''): Promise<void> {
    const db = app.app.get(Database);
    const minutes = 10;
    const past = new Date((await db.now()).getTime() - minutes * 60_000);
    await db.write((tx) =>
      tx.query(`UPDATE delivery SET first_sent_at = ?${over} WHERE id = ?`, [toSqlTime(past), id]),
    );
  }

  it('is not sent again once WeChat may have forgotten its id', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'lost_answer' });
    const { body } = await send(app, service, templateMessage(follower, template));
    await age(body.id);
    const before = app.sandbox.callsTo(PATHS.template_message);
    await app.later(1_000);
    await until(async () =>
      ['unknown', 'delivered'].includes((await getDelivery(app, body.id)).status),
    );
    await app.settled();
    expect(app.sandbox.callsTo(PATHS.template_message)).toBe(before);
    expect(['unknown', 'delivered']).toContain((await getDelivery(app, body.id)).status);
  });

  it('by a process that died is not sent again once WeChat may have forgotten its id', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'errcode', errcode: -1 });
    const { body } = await send(app, service, templateMessage(follower, template));
    await age(body.id, ", status = 'sending', lease_until = first_sent_at");
    const before = app.sandbox.callsTo(PATHS.template_message);
    await app.later(1_000);
    await ends(body.id, 'unknown');
    expect(app.sandbox.callsTo(PATHS.template_message)).toBe(before);
    expect((await getDelivery(app, body.id)).failure).toMatchObject({ reason: 'answer_lost' });
  });

  it('stays in doubt, whatever WeChat says to the second try', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'lost_answer' });
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'errcode', errcode: -1 });
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'errcode', errcode: 43004 });
    const { body } = await send(app, service, templateMessage(follower, template));
    for (const [wait, attempts] of [
      [1_000, 2],
      [3_000, 3],
    ] as const) {
      await app.later(wait);
      await until(async () => {
        const { status, attempts: made } = await getDelivery(app, body.id);
        return made === attempts && status !== 'sending';
      });
    }
    expect(await getDelivery(app, body.id)).toMatchObject({
      status: 'unknown',
      failure: { reason: 'answer_lost' },
    });
    await app.sandbox.results.release();
    await app.settled();
    expect((await getDelivery(app, body.id)).status).toBe('delivered');
  });

  it.each(['lost_answer', 'http_500', 'not_json', 'reset'] as const)(
    'by %s leaves customer-service messages unknown, and nothing is sent again',
    async (kind) => {
      const writer = await newWriter(app, service);
      app.sandbox.faults.add({ path: PATHS.customer_service_message, kind });
      const before = app.sandbox.callsTo(PATHS.customer_service_message);
      const { body } = await send(app, service, textMessage(writer, '一', '二'));
      expect(body).toMatchObject({
        status: 'unknown',
        parts: { sent: 0, total: 2 },
        failure: { reason: 'answer_lost', retryable: false },
        finishedAt: expect.any(String),
      });
      app.clock.advance(3_600_000);
      await app.sandbox.pushTicket();
      expect(app.sandbox.callsTo(PATHS.customer_service_message) - before).toBe(1);
      expect(app.sandbox.person(service, writer).messages.length).toBeLessThanOrEqual(1);
    },
  );

  it('of a subscription message is found out by its result', async () => {
    const template = newTemplate(app, mini);
    const subscriber = await newSubscriber(app, mini, template);
    app.sandbox.faults.add({ path: PATHS.subscription_message, kind: 'lost_answer' });
    const { body } = await send(app, mini, subscriptionMessage(subscriber, template));
    expect(body).toMatchObject({ status: 'unknown', msgid: null });
    await app.sandbox.results.release();
    await app.settled();
    expect(await getDelivery(app, body.id)).toMatchObject({
      status: 'delivered',
      msgid: expect.stringMatching(/^\d{19}$/),
      failure: null,
    });
  });

  it('whose result comes first, or at the same moment, is no loss', async () => {
    const template = newTemplate(app, mini);
    const subscribers: string[] = [];
    for (let n = 0; n < 12; n++) subscribers.push(await newSubscriber(app, mini, template));
    app.sandbox.results.timing = 'before_answer';
    app.sandbox.faults.add({
      path: PATHS.subscription_message,
      kind: 'lost_answer',
      times: subscribers.length,
    });
    const sent = await Promise.all(
      subscribers.map((openid) => send(app, mini, subscriptionMessage(openid, template))),
    );
    await app.settled();
    const ends = await Promise.all(sent.map(({ body }) => getDelivery(app, body.id)));
    expect(new Set(ends.map(({ status }) => status))).toEqual(new Set(['delivered']));
  });
});

describe('WeChat that fails now and then', () => {
  it('gets each template message through, and none twice', async () => {
    const template = newTemplate(app, service);
    const path = PATHS.template_message;
    const people: string[] = [];
    for (let n = 0; n < 30; n++) people.push(await newFollower(app, service));
    for (const times of [1, 2, 3]) {
      app.sandbox.faults.add({ path, kind: 'errcode', errcode: -1, times });
      app.sandbox.faults.add({ path, kind: 'lost_answer', times });
      app.sandbox.faults.add({ path, kind: 'http_500', times });
    }
    const before = app.sandbox.callsTo(path);
    const sent = await Promise.all(
      people.map((openid) => send(app, service, templateMessage(openid, template))),
    );
    const ids = sent.map(({ body }) => body.id);
    const statuses = (): Promise<string[]> =>
      Promise.all(ids.map(async (id) => (await getDelivery(app, id)).status));
    await until(async () => {
      await app.later(1_000);
      return (await statuses()).every((status) => ['accepted', 'delivered'].includes(status));
    });
    const seen = people.map((openid) => app.sandbox.person(service, openid).messages.length);
    expect(new Set(seen)).toEqual(new Set([1]));
    // Eighteen of the first calls failed in some way, and were made once more.
    expect(app.sandbox.callsTo(path) - before).toBeLessThanOrEqual(30 * 1.7);
    const metrics = await readMetrics(app);
    const labels = { kind: 'template_message', status: 'pending', reason: 'answer_lost' };
    expect(figureOf(metrics, 'deliveries_total', labels)).toBeGreaterThanOrEqual(12);
  });
});

describe('WeChat that cannot be reached', () => {
  it('is tried again within seconds, for every kind', async () => {
    const writer = await newWriter(app, service);
    await send(app, service, textMessage(writer, '前'));
    await app.restart({ WECHAT_API_BASE_URL: 'http://127.0.0.1:9' });
    const { body } = await send(app, service, textMessage(writer, '您好'));
    expect(body).toMatchObject({
      status: 'pending',
      failure: { reason: 'wechat_unavailable', errcode: null, retryable: true },
    });
    await app.restart({ WECHAT_API_BASE_URL: app.sandbox.url });
    await app.later(1_000);
    await ends(body.id, 'accepted');
    expect(app.sandbox.person(service, writer).messages).toHaveLength(2);
  });
});

describe('a message with a medium of ours', () => {
  it('goes out with WeChat’s id of it, uploaded once, and again when WeChat has forgotten it', async () => {
    const uploads = (): number => app.sandbox.callsTo('/cgi-bin/media/upload');
    const writer = await newWriter(app, service);
    const mediaId = await uploadPicture(app, service);
    const picture = {
      kind: 'customer_service_message',
      content: { messages: [{ type: 'image', mediaId }] },
      to: { openid: writer },
    };
    const before = uploads();
    for (let n = 0; n < 2; n++)
      expect((await send(app, service, picture)).body.status).toBe('accepted');
    expect(uploads() - before).toBe(1);
    app.sandbox.data.media = {};
    expect((await send(app, service, picture)).body).toMatchObject({
      status: 'accepted',
      attempts: 1,
    });
    expect(uploads() - before).toBe(2);
    const ids = app.sandbox
      .person(service, writer)
      .messages.map(({ message }) => (message as { image: { media_id: string } }).image.media_id);
    expect(new Set(ids).size).toBe(2);
    expect(ids).not.toContain(mediaId);
  });

  it('that WeChat does not take as what it is sent as is refused', async () => {
    const mediaId = await uploadPicture(app, service);
    const voice = {
      kind: 'customer_service_message',
      content: { messages: [{ type: 'voice', mediaId }] },
      to: { openid: newOpenid() },
    };
    expect(await send(app, service, voice)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'content.messages.0.mediaId', code: 'media_format' }] },
    });
  });

  it('of another account is not there', async () => {
    const mediaId = await uploadPicture(app, service);
    const other = await newSender(app);
    const answer = await send(app, other, {
      kind: 'broadcast',
      content: { type: 'image', mediaIds: [mediaId] },
      to: { openid: newOpenid() },
    });
    expect(answer).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'content.mediaIds.0', code: 'media_not_found' }] },
    });
  });
});

describe('a token that is stale', () => {
  it.each([40001, 42001, 40014])(
    'by %i is renewed once, and the message sent once',
    async (errcode) => {
      const appid = await newSender(app);
      const writer = await newWriter(app, appid);
      const refreshes = () => app.sandbox.callsTo('/cgi-bin/component/api_authorizer_token');
      await send(app, appid, textMessage(writer, '前'));
      const before = refreshes();
      app.sandbox.faults.add({ path: PATHS.customer_service_message, kind: 'errcode', errcode });
      const { body } = await send(app, appid, textMessage(writer, '您好'));
      expect(body).toMatchObject({ status: 'accepted', attempts: 1 });
      expect(refreshes() - before).toBe(1);
      expect(app.sandbox.person(appid, writer).messages).toHaveLength(2);
    },
  );
});

describe('two hundred equal requests at once', () => {
  it('with one Idempotency-Key send one message', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    const message = templateMessage(follower, template);
    // A caller of its own: it goes faster than one may, and nobody else is to wait for it.
    const headers = {
      ...(await authorizationOf(app, 'sender', 'default')),
      'idempotency-key': `send-${follower}`,
    };
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => send(app, service, message, headers)),
    );
    const sent = answers.filter(({ status }) => status === 200);
    expect(sent.length).toBeGreaterThan(0);
    // While the first still runs, the others are told to come again.
    expect(answers.filter(({ status }) => ![200, 409, 429].includes(status))).toEqual([]);
    await until(async () => (await send(app, service, message, headers)).status === 200);
    expect(new Set(sent.map(({ body }) => body.id)).size).toBe(1);
    expect(app.sandbox.person(service, follower).messages).toHaveLength(1);
  });
});

describe('many messages at once', () => {
  /** Sends one to each of so many people; WeChat answers all of them late, and at the same moment. */
  async function sendToMany(
    count: number,
    meanwhile = (_people: string[]): Promise<void> => Promise.resolve(),
  ) {
    const appid = await newSender(app);
    const template = newTemplate(app, appid);
    const people: string[] = [];
    for (let n = 0; n < count; n++) people.push(await newFollower(app, appid));
    const path = PATHS.template_message;
    app.sandbox.faults.add({ path, appid, kind: 'delay', delayMs: 500, times: count });
    const before = app.sandbox.callsTo(path);
    const sending = people.map((openid) => send(app, appid, templateMessage(openid, template)));
    await until(() => Promise.resolve(app.sandbox.callsTo(path) - before === count));
    await meanwhile(people);
    const sent = (await Promise.all(sending)).map(({ body }) => body);
    return { appid, people, sent };
  }

  /** Changes the delivery of one of the people while it is sent. */
  async function change(openid: string, values: string): Promise<void> {
    await app.app
      .get(Database)
      .write((tx) => tx.query(`UPDATE delivery SET ${values} WHERE openid = ?`, [openid]));
  }

  it('end each with its own number, and are told once', async () => {
    const { appid, people, sent } = await sendToMany(40);
    expect(sent.map(({ openid, status }) => ({ openid, status }))).toEqual(
      people.map((openid) => ({ openid, status: 'accepted' })),
    );
    expect(new Set(sent.map(({ msgid }) => msgid)).size).toBe(sent.length);
    expect(await Promise.all(sent.map(({ id }) => getDelivery(app, id)))).toEqual(sent);
    const { body } = await app.api<{ items: { data: DeliveryBody & { deliveryId: string } }[] }>(
      'GET',
      `/events?type=delivery.updated&limit=200`,
    );
    const told = body.items.flatMap(({ data }) => (data.appid === appid ? [data] : []));
    expect(new Map(told.map(({ deliveryId, msgid }) => [deliveryId, msgid]))).toEqual(
      new Map(sent.map(({ id, msgid }) => [id, msgid])),
    );
    expect(told).toHaveLength(sent.length);
    // WeChat's word about each finds the message that it is about.
    await app.sandbox.results.release();
    await app.settled();
    const ends = await Promise.all(sent.map(({ id }) => getDelivery(app, id)));
    expect(ends.filter(({ status }) => status !== 'delivered')).toEqual([]);
  });

  it('use up as many consents as they are', async () => {
    const template = newTemplate(app, mini);
    const once = await newSubscriber(app, mini, template);
    const often = await newSubscriber(app, mini, template, 3);
    const sent = await Promise.all(
      [once, often, often].map((openid) => send(app, mini, subscriptionMessage(openid, template))),
    );
    expect(sent.map(({ body }) => body.status)).toEqual(['accepted', 'accepted', 'accepted']);
    const left = async (openid: string): Promise<number | null> =>
      (await app.app.get(PeopleService).findGrant(mini, openid, template)).left;
    expect([await left(once), await left(often)]).toEqual([0, 1]);
  });

  it('end without those that are no longer ours', async () => {
    const db = app.app.get(Database);
    const { sent } = await sendToMany(6, async ([taken, lost]) => {
      const hour = 3_600_000;
      await change(taken ?? '', `epoch = epoch + 1, lease_until = ${db.nowSql(hour)}`);
      await change(lost ?? '', `status = 'unknown', lease_until = NULL`);
    });
    // Another process sends the first one: its end is that process's to write. The second one is known now.
    const [taken, ...others] = sent;
    expect(taken).toMatchObject({ status: 'sending', msgid: null });
    expect(others.map(({ status }) => status)).toEqual(others.map(() => 'accepted'));
    expect(await Promise.all(sent.map(({ id }) => getDelivery(app, id)))).toEqual(sent);
  });
});

describe('the list of deliveries', () => {
  it('shows the newest first, by status, kind, person and time', async () => {
    const appid = await newSender(app);
    const [writer, follower] = [await newWriter(app, appid), await newFollower(app, appid)];
    const one = (await send(app, appid, textMessage(writer, '一'))).body;
    await app.later(1_000);
    const two = (await send(app, appid, preview(follower))).body;
    const ids = async (query = ''): Promise<string[]> => {
      const path = `/accounts/${appid}/deliveries${query}`;
      const { body } = await app.api<{ items: { id: string }[] }>('GET', path);
      return body.items.map(({ id }) => id);
    };
    expect(await ids()).toEqual([two.id, one.id]);
    expect(await ids('?kind=broadcast')).toEqual([two.id]);
    expect(await ids(`?openid=${writer}`)).toEqual([one.id]);
    expect(await ids('?status=failed')).toEqual([]);
    expect(await ids(`?from=${two.createdAt}`)).toEqual([two.id]);
    expect(await ids(`?to=${two.createdAt}`)).toEqual([one.id]);
    expect(await ids('?limit=1')).toEqual([two.id]);
    expect((await app.api('GET', '/deliveries/none')).status).toBe(404);
  });
});

describe('who cannot be reached', () => {
  it('is skipped with the reason, and WeChat is not asked', async () => {
    const [template, notice] = [newTemplate(app, service), newTemplate(app, mini)];
    const gone = await newFollower(app, service);
    app.clock.advance(1_000);
    await app.sandbox.person(service, gone).unfollow();
    await app.settled();
    const calls = (): number =>
      Object.values(PATHS).reduce((n, path) => n + app.sandbox.callsTo(path), 0);
    const before = calls();
    const cases = [
      [service, textMessage(newOpenid(), '您好'), 'window_closed'],
      [service, templateMessage(gone, template), 'user_not_follower'],
      [service, preview(gone), 'user_not_follower'],
      [mini, subscriptionMessage(newOpenid(), notice), 'no_grant'],
    ] as const;
    for (const [appid, message, reason] of cases) {
      const { status, body } = await send(app, appid, message);
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { status: 'skipped', attempts: 0, failure: { reason, errcode: null } },
      });
    }
    expect(calls()).toBe(before);
  });

  it('is known after WeChat has refused once', async () => {
    const template = newTemplate(app, service);
    const follower = await newFollower(app, service);
    app.sandbox.faults.add({ path: PATHS.template_message, kind: 'errcode', errcode: 43004 });
    expect((await send(app, service, templateMessage(follower, template))).body.status).toBe(
      'failed',
    );
    expect((await send(app, service, templateMessage(follower, template))).body).toMatchObject({
      status: 'skipped',
      failure: { reason: 'user_not_follower' },
    });
  });

  it('is told from one whose five messages are used up', async () => {
    const writer = await newWriter(app, service);
    expect((await send(app, service, textMessage(writer, '1', '2', '3'))).body.status).toBe(
      'accepted',
    );
    expect((await send(app, service, textMessage(writer, '4', '5', '6'))).body).toMatchObject({
      status: 'skipped',
      failure: { reason: 'window_used_up' },
    });
    expect((await send(app, service, textMessage(writer, '4', '5'))).body.status).toBe('accepted');
    expect((await send(app, service, textMessage(writer, '6'))).body.status).toBe('skipped');
  });

  it('is one without a consent left, unless the template is a long-term one', async () => {
    const once = newTemplate(app, mini);
    const { templateId: always } = app.sandbox.addTemplate(mini, {
      title: '长期通知',
      content: '内容：{{thing1.DATA}}',
      type: 3,
    });
    app.clock.advance(61_000);
    const [one, other] = [
      await newSubscriber(app, mini, once),
      await newSubscriber(app, mini, always),
    ];
    const statuses = async (openid: string, template: string): Promise<string[]> => {
      const said: string[] = [];
      for (let n = 0; n < 3; n++)
        said.push((await send(app, mini, subscriptionMessage(openid, template))).body.status);
      return said;
    };
    expect(await statuses(one, once)).toEqual(['accepted', 'skipped', 'skipped']);
    expect(await statuses(other, always)).toEqual(['accepted', 'accepted', 'accepted']);
  });
});

describe('a quota that is used up', () => {
  const usedUp = (appid: string): void => {
    app.sandbox.account(appid).usage[PATHS.customer_service_message] = 500_000;
  };

  it('stops that API of that account, until it is reset; others go on', async () => {
    const appid = await newSender(app);
    const [writer, other] = [await newWriter(app, appid), await newWriter(app, service)];
    usedUp(appid);
    expect((await send(app, appid, textMessage(writer, '1'))).body).toMatchObject({
      status: 'failed',
      failure: { reason: 'quota_day', errcode: 45009, retryable: true },
    });
    const before = app.sandbox.callsTo(PATHS.customer_service_message);
    for (let n = 0; n < 3; n++)
      expect((await send(app, appid, textMessage(writer, '2'))).body).toMatchObject({
        status: 'skipped',
        failure: { reason: 'quota_exhausted', retryable: true },
      });
    expect(app.sandbox.callsTo(PATHS.customer_service_message)).toBe(before);
    const template = newTemplate(app, appid);
    expect((await send(app, appid, templateMessage(writer, template))).body.status).toBe(
      'accepted',
    );
    expect((await send(app, service, textMessage(other, '1'))).body.status).toBe('accepted');
    await app.api('POST', `/accounts/${appid}/quota-resets`);
    expect((await send(app, appid, textMessage(writer, '3'))).body.status).toBe('accepted');
  });

  it('comes back at midnight in Shanghai', async () => {
    const appid = await newSender(app);
    const writer = await newWriter(app, appid);
    usedUp(appid);
    await send(app, appid, textMessage(writer, '1'));
    const now = app.clock.now().getTime();
    const midnight = Math.ceil((now + 8 * 3_600_000) / 86_400_000) * 86_400_000 - 8 * 3_600_000;
    app.clock.advance(midnight - now - 1_000);
    await app.sandbox.pushTicket();
    expect((await send(app, appid, textMessage(writer, '2'))).body.status).toBe('skipped');
    app.clock.advance(1_000);
    expect((await send(app, appid, textMessage(writer, '3'))).body.status).toBe('accepted');
  });

  it('with some of it left was a limit of the moment, and stops nothing', async () => {
    const appid = await newSender(app);
    const writer = await newWriter(app, appid);
    app.sandbox.faults.add({
      path: PATHS.customer_service_message,
      kind: 'errcode',
      errcode: 45009,
    });
    expect((await send(app, appid, textMessage(writer, '1'))).body).toMatchObject({
      status: 'failed',
      failure: { reason: 'quota_day', retryable: true },
    });
    expect((await send(app, appid, textMessage(writer, '2'))).body.status).toBe('accepted');
  });
});
