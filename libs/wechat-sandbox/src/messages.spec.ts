import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import {
  type BroadcastContent,
  type CustomerServiceMessage,
  getBroadcastStatus,
  deleteBroadcast,
  getQuota,
  getStableToken,
  listSubscriptionTemplates,
  listTemplates,
  openPush,
  previewBroadcast,
  readBroadcastResult,
  readPushQuery,
  readSubscriptionEvent,
  readTemplateResult,
  sendBroadcast,
  sendCustomerServiceMessage,
  sendSubscriptionMessage,
  sendTemplateMessage,
  uploadArticleImage,
  uploadMaterial,
  uploadTemporaryMedia,
  WechatApiError,
  WechatHttp,
  type XmlObject,
} from '@app/wechat';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { type Person, WechatSandbox } from './index.js';

const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: 'sandbox0secret0sandbox0secret000',
  token: 'sandboxToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
const SERVICE_ACCOUNT = 'wx1badb002feedface';
const SUBSCRIPTION_ACCOUNT = 'wx0fa11babe0fa11ba';
const UNVERIFIED_ACCOUNT = 'wx2b00b1e52b00b1e5';
const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const MSGID = /^[1-9]\d{18}$/;
const OPENID = 'oPerson00000000000000000001';

let sandbox: WechatSandbox;
let http: WechatHttp;
let now: number;
let receiver: Server;
let received: XmlObject[];

beforeEach(async () => {
  now = Date.UTC(2026, 7, 1, 2);
  received = [];
  receiver = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { searchParams } = new URL(incoming.url ?? '', 'http://x');
      const { fields } = openPush(
        Buffer.concat(chunks),
        readPushQuery(Object.fromEntries(searchParams)),
        {
          tokens: [component.token],
          encodingAesKeys: [component.encodingAesKey],
          appid: component.appid,
          mode: 'secure',
          formats: ['xml'],
        },
      );
      received.push(fields);
      response.end('success');
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const { port } = receiver.address() as AddressInfo;
  sandbox = await WechatSandbox.start({
    component,
    launchDomain: 'channel.test',
    messagesUrl: `http://127.0.0.1:${port}/accounts/$APPID$/messages`,
    now: () => now,
    pushRetryDelaysMs: [0, 0],
  });
  http = new WechatHttp({ baseUrl: sandbox.url });
});

afterEach(async () => {
  await http.close();
  await sandbox.stop();
  receiver.closeAllConnections();
  await new Promise((resolve) => receiver.close(resolve));
});

async function tokenOf(appid: string): Promise<string> {
  const { appSecret } = sandbox.account(appid);
  return (await getStableToken(http, { appid, appSecret })).accessToken;
}

/** What a call is refused with; null when it is not. */
async function refusalOf(call: Promise<unknown>): Promise<number | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof WechatApiError) return error.errcode;
    throw error;
  }
}

describe('a person', () => {
  const someone = () => sandbox.person(SERVICE_ACCOUNT, OPENID);

  it('follows, by a QR code or without, and unfollows', async () => {
    await someone().follow('ch:7Q2M');
    expect(someone().state.isFollower).toBe(true);
    await someone().unfollow();
    expect(someone().state).toMatchObject({ isFollower: false, windows: [] });
    await someone().follow();
    expect(received).toMatchObject([
      {
        Event: 'subscribe',
        EventKey: 'qrscene_ch:7Q2M',
        Ticket: expect.stringMatching(/^gQ_/),
        FromUserName: OPENID,
      },
      { Event: 'unsubscribe', EventKey: '' },
      { Event: 'subscribe', EventKey: '' },
    ]);
    expect(received[2]).not.toHaveProperty('Ticket');
  });

  it('writes, taps menus and scans', async () => {
    await someone().scan('first');
    await someone().scan('second');
    await someone().clickMenu('KEY');
    await someone().clickMessageMenu('fb_good', '好');
    await someone().write('你好');
    await someone().write({ MsgType: 'image', PicUrl: 'https://x', MediaId: 'M' });
    expect(received).toMatchObject([
      { Event: 'subscribe', EventKey: 'qrscene_first' },
      { Event: 'SCAN', EventKey: 'second' },
      { Event: 'CLICK', EventKey: 'KEY' },
      { MsgType: 'text', Content: '好', bizmsgmenuid: 'fb_good' },
      { MsgType: 'text', Content: '你好', MsgId: expect.stringMatching(MSGID) },
      { MsgType: 'image', MediaId: 'M' },
    ]);
  });
});

describe('a customer-service message', () => {
  const text: CustomerServiceMessage = { type: 'text', text: '你好' };
  const send = async (
    person: Person,
    message: CustomerServiceMessage = text,
  ): Promise<number | null> =>
    refusalOf(
      sendCustomerServiceMessage(http, await tokenOf(person.appid), person.openid, message),
    );
  /** How many go through before one is refused, and with what. */
  const sendAll = async (person: Person): Promise<[sent: number, errcode: number | null]> => {
    for (let sent = 0; sent < 10; sent++) {
      const errcode = await send(person);
      if (errcode !== null) return [sent, errcode];
    }
    return [10, null];
  };

  it.each<[string, string, (person: Person) => Promise<unknown>, number, number]>([
    ['a message', SERVICE_ACCOUNT, (one) => one.write('x'), 5, 48 * HOUR_MS],
    ['a message', SUBSCRIPTION_ACCOUNT, (one) => one.write('x'), 5, 48 * HOUR_MS],
    ['a tap on the menu', SERVICE_ACCOUNT, (one) => one.clickMenu('K'), 3, MINUTE_MS],
    [
      'a tap on a message menu',
      SERVICE_ACCOUNT,
      (one) => one.clickMessageMenu('a', 'b'),
      3,
      MINUTE_MS,
    ],
    ['following', SERVICE_ACCOUNT, (one) => one.follow(), 3, MINUTE_MS],
    ['a message', MINI_PROGRAM, (one) => one.write('x'), 5, 48 * HOUR_MS],
    ['entering the session', MINI_PROGRAM, (one) => one.enterSession('from'), 2, MINUTE_MS],
  ])('%s to %s allows so many', async (_what, appid, act, count, lifeMs) => {
    const someone = sandbox.person(appid, OPENID);
    await act(someone);
    expect(await sendAll(someone)).toEqual([count, 45047]);
    await act(someone);
    now += lifeMs - 1;
    expect(await send(someone)).toBeNull();
    now += 1;
    expect(await send(someone)).toBe(45015);
    expect(someone.messages).toHaveLength(count + 1);
  });

  it('is allowed by a scan beside a message, the one that ends first before the other', async () => {
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    await someone.follow();
    now += MINUTE_MS;
    await someone.scan('x');
    await someone.write('x');
    expect(await send(someone)).toBeNull();
    now += MINUTE_MS;
    expect(await sendAll(someone)).toEqual([5, 45047]);
  });

  it('is not allowed by a menu item that opens a page, nor after unfollowing', async () => {
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    await someone.follow();
    now += MINUTE_MS;
    await someone.clickMenu('https://x', 'VIEW');
    expect(await send(someone)).toBe(45015);
    await someone.write('x');
    await someone.unfollow();
    expect(await send(someone)).toBe(45015);
  });

  it('is refused for a stranger, for who refuses it, and for who is on the blacklist', async () => {
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    expect(await send(sandbox.person(SERVICE_ACCOUNT, 'oNobody'))).toBe(40003);
    await someone.write('x');
    someone.block();
    expect(await send(someone)).toBe(48002);
    someone.block(false);
    someone.blacklist();
    expect(await send(someone)).toBe(43019);
    someone.blacklist(false);
    expect(await send(someone)).toBeNull();
    // Openids differ by case.
    expect(await send(sandbox.person(SERVICE_ACCOUNT, OPENID.toLowerCase()))).toBe(40003);
  });

  it('may be of every type that the account can send, and no other', async () => {
    const mediaId = sandbox.addMedia(SERVICE_ACCOUNT, 'image');
    const ownId = sandbox.addMedia(MINI_PROGRAM, 'image');
    const official: CustomerServiceMessage[] = [
      text,
      { type: 'image', mediaId },
      { type: 'voice', mediaId },
      { type: 'video', mediaId, thumbMediaId: mediaId },
      { type: 'music', url: 'https://a', hqUrl: 'https://b', thumbMediaId: mediaId },
      { type: 'news', title: 'a', description: 'b', url: 'https://a', imageUrl: 'https://b' },
      { type: 'article', mediaId },
      { type: 'published_article', articleId: 'A' },
      { type: 'menu', head: 'a', items: [{ id: '1', text: 'b' }], tail: 'c' },
      { type: 'mini_program_page', title: 'a', appid: 'wx1', pagePath: 'p', thumbMediaId: mediaId },
      { type: 'card', cardId: 'C' },
    ];
    const mini: CustomerServiceMessage[] = [
      text,
      { type: 'image', mediaId: ownId },
      { type: 'link', title: 'a', description: 'b', url: 'https://a', thumbUrl: 'https://b' },
      { type: 'mini_program_page', title: 'a', pagePath: 'p', thumbMediaId: ownId },
    ];
    for (const [appid, own, others] of [
      [SERVICE_ACCOUNT, official, ['link']],
      [MINI_PROGRAM, mini, ['voice', 'video', 'music', 'news', 'menu', 'card']],
    ] as const) {
      const someone = sandbox.person(appid, OPENID);
      for (const message of own) {
        await someone.write('x');
        expect([message.type, await send(someone, message)]).toEqual([message.type, null]);
      }
      for (const message of [...official, ...mini].filter(({ type }) =>
        others.some((one) => one === type),
      ))
        expect(await send(someone, message)).toBe(40008);
    }
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    expect(someone.messages.map(({ kind, msgid }) => [kind, msgid])).toContainEqual([
      'customer_service_message',
      null,
    ]);
  });

  it.each<[string, CustomerServiceMessage, number]>([
    ['a text that is too long', { type: 'text', text: '好'.repeat(683) }, 45002],
    ['no text', { type: 'text', text: '' }, 44004],
    ['an unknown medium', { type: 'image', mediaId: 'M' }, 40007],
    ['a menu without items', { type: 'menu', head: 'a', items: [], tail: 'b' }, 45098],
  ])('with %s is refused', async (_what, message, errcode) => {
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    await someone.write('x');
    expect(await send(someone, message)).toBe(errcode);
    expect(await sendAll(someone)).toEqual([5, 45047]);
  });

  it('has one article at the most', async () => {
    await sandbox.person(SERVICE_ACCOUNT, OPENID).write('x');
    const articles = [{ title: 'a' }, { title: 'b' }];
    const accessToken = await tokenOf(SERVICE_ACCOUNT);
    const message = { touser: OPENID, msgtype: 'news', news: { articles } };
    expect(
      await refusalOf(http.post('/cgi-bin/message/custom/send', message, { accessToken })),
    ).toBe(45008);
  });
});

describe('a template message', () => {
  const data = {
    character_string1: 'SO20260801',
    time2: '2026-08-01 10:00',
    thing3: '请留意查收',
  };
  const templateId = () => sandbox.account(SERVICE_ACCOUNT).templates[0]?.templateId ?? '';
  const send = async (over: Partial<Parameters<typeof sendTemplateMessage>[2]> = {}) =>
    sendTemplateMessage(http, await tokenOf(SERVICE_ACCOUNT), {
      openid: OPENID,
      templateId: templateId(),
      data,
      ...over,
    });
  const someone = () => sandbox.person(SERVICE_ACCOUNT, OPENID);

  beforeEach(async () => {
    await someone().follow();
    received = [];
  });

  it('is taken, arrives, and its result has the same 19 digits', async () => {
    const { msgid } = await send();
    expect(msgid).toMatch(MSGID);
    await sandbox.settled();
    expect(received).toMatchObject([{ FromUserName: OPENID, Event: 'TEMPLATESENDJOBFINISH' }]);
    expect(readTemplateResult(received[0] ?? {})).toMatchObject({ msgid, outcome: 'delivered' });
    expect(someone().messages).toMatchObject([{ kind: 'template_message', msgid }]);
  });

  it('goes out once for one client_msg_id, for ten minutes', async () => {
    const first = await send({ clientMsgId: 'job1' });
    expect(await send({ clientMsgId: 'job1' })).toEqual(first);
    expect(await send({ clientMsgId: 'job2' })).not.toEqual(first);
    now += 10 * MINUTE_MS;
    expect(await send({ clientMsgId: 'job1' })).not.toEqual(first);
    expect(someone().messages).toHaveLength(3);
    await sandbox.settled();
    expect(received).toHaveLength(3);
  });

  it('goes out once when its answer is lost', async () => {
    sandbox.faults.add({ path: '/cgi-bin/message/template/send', kind: 'lost_answer' });
    await expect(send({ clientMsgId: 'job1' })).rejects.toMatchObject({ maybeApplied: true });
    const { msgid } = await send({ clientMsgId: 'job1' });
    expect(someone().messages).toMatchObject([{ msgid }]);
  });

  it.each<[string, () => void, object, number]>([
    ['a stranger', () => {}, { openid: 'oNobody' }, 40003],
    ['somebody who unfollowed', () => (someone().state.isFollower = false), {}, 43004],
    ['somebody on the blacklist', () => someone().blacklist(), {}, 43019],
    ['no template', () => {}, { templateId: '' }, 40036],
    ["another account's template", () => {}, { templateId: 'x'.repeat(43) }, 40037],
    [
      'a banned template',
      () => sandbox.account(SERVICE_ACCOUNT).templates.forEach((one) => (one.isBanned = true)),
      {},
      43116,
    ],
    ['an address that is none', () => {}, { url: 'm.example.com' }, 40039],
    ['a field that is missing', () => {}, { data: { thing3: 'x' } }, 47003],
    ['a field that is too long', () => {}, { data: { ...data, thing3: 'x'.repeat(21) } }, 47003],
    [
      'a word that WeChat refuses',
      () => sandbox.account(SERVICE_ACCOUNT).refusedWords.push('查收'),
      {},
      40249,
    ],
  ])('is refused for %s', async (_what, arrange, over, errcode) => {
    arrange();
    expect(await refusalOf(send(over))).toBe(errcode);
    expect(sandbox.data.messages).toEqual([]);
  });

  it('is for verified service accounts only', async () => {
    for (const appid of [SUBSCRIPTION_ACCOUNT, UNVERIFIED_ACCOUNT, MINI_PROGRAM]) {
      const accessToken = await tokenOf(appid);
      const message = { openid: OPENID, templateId: 't', data };
      expect(await refusalOf(sendTemplateMessage(http, accessToken, message))).toBe(48001);
      expect(await refusalOf(listTemplates(http, accessToken))).toBe(48001);
    }
  });

  it('needs a permission of the platform', async () => {
    const authorized = sandbox.authorize({
      appid: SERVICE_ACCOUNT,
      preAuthCode: null,
      permissionIds: [1],
      push: false,
    });
    expect(authorized.authCode).not.toBe('');
    const token = 'authorizerTokenForTests';
    sandbox.data.accessTokens[token] = {
      kind: 'authorizer',
      appid: SERVICE_ACCOUNT,
      expiresAt: now + HOUR_MS,
      isRetired: false,
    };
    expect(await refusalOf(listTemplates(http, token))).toBe(61007);
  });

  it('does not reach who refuses, or whose result is spoilt', async () => {
    someone().block();
    await send();
    someone().block(false);
    someone().spoilNextResult({ status: 'failed:freq limit' });
    await send();
    await send();
    await sandbox.settled();
    expect(received.map((fields) => readTemplateResult(fields).outcome).sort()).toEqual([
      'delivered',
      'throttled',
      'user_blocked',
    ]);
    expect(someone().messages).toHaveLength(1);
  });

  it('has templates that can be added', async () => {
    const added = sandbox.addTemplate(SERVICE_ACCOUNT, {
      title: '取件通知',
      content: '取件码：{{number1.DATA}}\n',
    });
    const templates = await listTemplates(http, await tokenOf(SERVICE_ACCOUNT));
    expect(templates.map(({ title }) => title)).toEqual([
      '订单发货通知',
      '付款成功通知',
      '取件通知',
    ]);
    expect(templates.at(-1)).toMatchObject({
      templateId: added.templateId,
      fields: [{ key: 'number1', type: 'number', label: '取件码' }],
    });
    expect(templates.every(({ templateId: id }) => /^[\w-]{43}$/.test(id))).toBe(true);
    expect(await send({ templateId: added.templateId, data: { number1: '88' } })).toMatchObject({
      msgid: expect.stringMatching(MSGID),
    });
  });

  it('is limited by the minute and by the day', async () => {
    const path = '/cgi-bin/message/template/send';
    sandbox.data.minuteLimits[path] = 2;
    sandbox.data.dailyLimits[path] = 3;
    const codes = async (count: number): Promise<(number | null)[]> => {
      const all: (number | null)[] = [];
      for (let n = 0; n < count; n++) all.push(await refusalOf(send()));
      return all;
    };
    expect(await codes(3)).toEqual([null, null, 45011]);
    now += MINUTE_MS;
    expect(await codes(2)).toEqual([null, 45009]);
    const quota = () => tokenOf(SERVICE_ACCOUNT).then((token) => getQuota(http, token, path));
    expect(await quota()).toMatchObject({ used: 3, remaining: 0, rate: { calls: 2, seconds: 60 } });
    // Midnight in Shanghai.
    now = Date.UTC(2026, 7, 1, 16);
    expect(await quota()).toMatchObject({ used: 0, remaining: 3 });
    expect(await codes(1)).toEqual([null]);
  });

  describe('has a result that', () => {
    it('comes before the answer', async () => {
      sandbox.results.timing = 'before_answer';
      const { msgid } = await send();
      expect(received).toMatchObject([{ MsgID: msgid }]);
    });

    it('is late, twice, out of order, or lost', async () => {
      sandbox.results.timing = 'held';
      const sent: string[] = [];
      for (let n = 0; n < 4; n++) sent.push((await send()).msgid ?? '');
      await sandbox.settled();
      expect(received).toEqual([]);
      expect(sandbox.results.held.map(({ msgid }) => msgid)).toEqual(sent);
      const told = (): unknown[] => received.map((fields) => fields['MsgID']);

      expect(sandbox.results.drop(sent.slice(0, 1))).toBe(1);
      await sandbox.results.release({ msgids: sent.slice(1, 2), isKept: true });
      expect(told()).toEqual([sent[1]]);
      const results = await sandbox.results.release({ isReversed: true, times: 2 });
      expect(results.every(({ delivered }) => delivered)).toBe(true);
      const reversed = [sent[3], sent[2], sent[1]];
      expect(told()).toEqual([sent[1], ...reversed, ...reversed]);
      expect(sandbox.results.held).toEqual([]);
      expect(() => sandbox.results.drop(sent)).toThrow(RangeError);
    });
  });
});

describe('a subscription message', () => {
  const templateOf = (place: number) =>
    sandbox.account(MINI_PROGRAM).templates[place]?.templateId ?? '';
  const data = { date2: '2026年8月8日', thing1: '一号会议室' };
  const someone = () => sandbox.person(MINI_PROGRAM, OPENID);
  const send = async (over: Partial<Parameters<typeof sendSubscriptionMessage>[2]> = {}) =>
    sendSubscriptionMessage(http, await tokenOf(MINI_PROGRAM), {
      openid: OPENID,
      templateId: templateOf(0),
      data,
      ...over,
    });

  it('takes a consent, and its result has the same 19 digits', async () => {
    await someone().accept(templateOf(0));
    await someone().accept(templateOf(0));
    const { msgid } = await send();
    expect(msgid).toMatch(MSGID);
    await sandbox.settled();
    expect(readSubscriptionEvent('subscribe_msg_sent_event', received.at(-1) ?? {})).toMatchObject([
      { templateId: templateOf(0), msgid, status: 'success', errorCode: '0' },
    ]);
    expect(await refusalOf(send())).toBeNull();
    expect(await refusalOf(send())).toBe(43101);
    expect(someone().messages).toHaveLength(2);
  });

  it('takes none for a long-term template, until it is withdrawn', async () => {
    const longTerm = { templateId: templateOf(1), data: { time1: '15:01', enum2: '处理中' } };
    await someone().accept(templateOf(0), templateOf(1));
    expect(await refusalOf(send(longTerm))).toBeNull();
    expect(await refusalOf(send(longTerm))).toBeNull();
    await someone().withdraw(templateOf(1));
    expect(await refusalOf(send(longTerm))).toBe(43101);
    expect(received.filter(({ Event }) => Event !== 'subscribe_msg_sent_event')).toMatchObject([
      {
        Event: 'subscribe_msg_popup_event',
        SubscribeMsgPopupEvent: {
          List: [{ SubscribeStatusString: 'accept' }, { SubscribeStatusString: 'accept' }],
        },
      },
      { Event: 'subscribe_msg_change_event' },
    ]);
  });

  it('keeps a consent when the person says no the next time', async () => {
    await someone().accept(templateOf(0));
    await someone().reject(templateOf(0));
    expect(await refusalOf(send())).toBeNull();
  });

  it('fails afterwards when its result is spoilt', async () => {
    await someone().accept(templateOf(0));
    someone().spoilNextResult({ status: 'system error', errorCode: '-1' });
    await send();
    await sandbox.settled();
    expect(readSubscriptionEvent('subscribe_msg_sent_event', received.at(-1) ?? {})).toMatchObject([
      { status: 'failed', errorCode: '-1', detail: 'system error' },
    ]);
    expect(someone().messages).toEqual([]);
  });

  it.each<[string, () => unknown, object, number]>([
    ['a stranger', () => {}, { openid: 'oNobody' }, 40003],
    ['an unknown template', () => {}, { templateId: 'T' }, 40037],
    [
      'a page that there is not',
      () => (sandbox.account(MINI_PROGRAM).pages = ['pages/a']),
      { page: 'pages/b?x=1' },
      41030,
    ],
    ['a wrong field', () => {}, { data: { ...data, date2: 'tomorrow' } }, 47003],
    ['a word', () => sandbox.account(MINI_PROGRAM).refusedWords.push('会议'), {}, 45168],
    [
      'a ban',
      () => sandbox.account(MINI_PROGRAM).templates.forEach((one) => (one.isBanned = true)),
      {},
      43107,
    ],
  ])('is refused for %s, and takes no consent', async (_what, arrange, over, errcode) => {
    await someone().accept(templateOf(0));
    arrange();
    expect(await refusalOf(send(over))).toBe(errcode);
    expect(someone().state.grants[templateOf(0)]).toBe(1);
  });

  it('has templates that can be listed, with the values that a field takes', async () => {
    const templates = await listSubscriptionTemplates(http, await tokenOf(MINI_PROGRAM));
    expect(templates).toMatchObject([
      { consent: 'one_time', fields: [{ key: 'date2' }, { key: 'thing1' }] },
      {
        consent: 'long_term',
        fields: [{}, { key: 'enum2', values: ['待处理', '处理中', '已处理'] }],
      },
    ]);
    expect(await refusalOf(listSubscriptionTemplates(http, await tokenOf(SERVICE_ACCOUNT)))).toBe(
      48001,
    );
  });

  it('is told of by the mini-program’s own configuration, where there is one', async () => {
    const own: string[] = [];
    const server = createServer((incoming, response) => {
      const { searchParams } = new URL(incoming.url ?? '', 'http://x');
      incoming.resume();
      incoming.on('end', () => {
        own.push(incoming.method ?? '');
        response.end(searchParams.get('echostr') ?? 'success');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await sandbox.savePushConfig(MINI_PROGRAM, {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      token: 'ownToken2026',
      encodingAesKey: '',
      mode: 'plaintext',
      format: 'json',
    });
    await someone().accept(templateOf(0));
    sandbox.results.timing = 'held';
    await send();
    await sandbox.results.release({ isKept: true });
    expect(own).toEqual(['GET', 'POST', 'POST']);
    expect(received).toEqual([]);
    await sandbox.results.release({ via: 'platform' });
    expect(received).toMatchObject([{ Event: 'subscribe_msg_sent_event' }]);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a broadcast', () => {
  const content: BroadcastContent = { type: 'text', text: '你好' };
  const people = ['o1', 'o2', 'o3'];

  beforeEach(async () => {
    for (const openid of people) await sandbox.person(SERVICE_ACCOUNT, openid).follow();
    received = [];
  });

  it('is shown to a follower, or to a name', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const { msgid } = await previewBroadcast(http, token, { openid: 'o1' }, content);
    expect(msgid).toMatch(MSGID);
    expect(sandbox.person(SERVICE_ACCOUNT, 'o1').messages).toMatchObject([{ kind: 'broadcast' }]);
    await previewBroadcast(http, token, { wechatName: 'someone' }, content);
    const preview = (openid: string, what: BroadcastContent = content) =>
      refusalOf(previewBroadcast(http, token, { openid }, what));
    expect(await preview('oNobody')).toBe(40003);
    await sandbox.person(SERVICE_ACCOUNT, 'o1').unfollow();
    expect(await preview('o1')).toBe(43004);
    expect(await preview('o2', { type: 'article', mediaId: 'gone' })).toBe(40007);
    const mediaId = sandbox.addMedia(SERVICE_ACCOUNT, 'news');
    expect(await preview('o2', { type: 'article', mediaId })).toBeNull();
    expect(await preview('o2', { type: 'image', mediaIds: [mediaId] })).toBeNull();
  });

  it('goes to all, to a tag or to a list, and tells its counts', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    sandbox.person(SERVICE_ACCOUNT, 'o2').block();
    sandbox.person(SERVICE_ACCOUNT, 'o3').tag(7);
    const audiences = [
      { type: 'all' },
      { type: 'tag', tagId: 7 },
      { type: 'recipients', openids: ['o1', 'o2'] },
    ] as const;
    const counts = [
      { total: 3, reachable: 2 },
      { total: 1, reachable: 1 },
      { total: 2, reachable: 1 },
    ];
    for (const [place, audience] of audiences.entries()) {
      const { msgid } = await sendBroadcast(http, token, {
        audience,
        content,
        clientMsgId: `c${place}`,
      });
      await sandbox.settled();
      const result = readBroadcastResult(received.at(-1) ?? {});
      expect(result).toMatchObject({ msgid, outcome: 'sent', counts: counts[place] });
      expect(await getBroadcastStatus(http, token, msgid ?? '')).toBe('sent');
      await deleteBroadcast(http, token, msgid ?? '');
      expect(await getBroadcastStatus(http, token, msgid ?? '')).toBe('deleted');
    }
  });

  it('goes out once for one clientmsgid, for a day', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const send = () =>
      sendBroadcast(http, token, { audience: { type: 'all' }, content, clientMsgId: 'c1' });
    const first = await send();
    expect(await refusalOf(send())).toBe(45066);
    now += MINUTE_MS;
    expect(await send()).toEqual({ msgid: first.msgid, msgDataId: null, isRepetition: true });
    expect(sandbox.data.messages).toHaveLength(3);
  });

  it('reaches a person four times a month, and goes out once a day from a subscription account', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    for (let n = 0; n < 5; n++)
      await sendBroadcast(http, token, {
        audience: { type: 'all' },
        content,
        clientMsgId: `c${n}`,
      });
    expect(sandbox.person(SERVICE_ACCOUNT, 'o1').messages).toHaveLength(4);
    const other = await tokenOf(SUBSCRIPTION_ACCOUNT);
    await sandbox.person(SUBSCRIPTION_ACCOUNT, 'o1').follow();
    const send = (id: string) =>
      refusalOf(
        sendBroadcast(http, other, { audience: { type: 'all' }, content, clientMsgId: id }),
      );
    expect([await send('d1'), await send('d2')]).toEqual([null, 45028]);
    const list = { type: 'recipients', openids: ['o1', 'o2'] } as const;
    expect(
      await refusalOf(sendBroadcast(http, other, { audience: list, content, clientMsgId: 'd3' })),
    ).toBe(48001);
  });
});

describe('media', () => {
  const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(64)]);
  const JPEG = Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), Buffer.alloc(64)]);
  const MP4 = Buffer.concat([Buffer.from('\0\0\0\x20ftypisom', 'latin1'), Buffer.alloc(64)]);

  it('can be sent, and fetched again, for three days', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const someone = sandbox.person(SERVICE_ACCOUNT, OPENID);
    await someone.write('x');
    const { mediaId } = await uploadTemporaryMedia(http, token, { kind: 'image', bytes: PNG });
    const fetched = await request(`${sandbox.url}/cgi-bin/media/get`, {
      query: { access_token: token, media_id: mediaId },
    });
    expect(fetched.headers['content-type']).toBe('image/png');
    expect(Buffer.from(await fetched.body.arrayBuffer())).toEqual(PNG);
    const send = (appid: string, accessToken: string) =>
      refusalOf(
        sendCustomerServiceMessage(http, accessToken, OPENID, { type: 'image', mediaId }),
      ).then((errcode) => [appid, errcode]);
    expect(await send(SERVICE_ACCOUNT, token)).toEqual([SERVICE_ACCOUNT, null]);
    await sandbox.person(MINI_PROGRAM, OPENID).write('x');
    expect(await send(MINI_PROGRAM, await tokenOf(MINI_PROGRAM))).toEqual([MINI_PROGRAM, 40007]);
    now += 72 * HOUR_MS;
    await someone.write('x');
    expect(await send(SERVICE_ACCOUNT, await tokenOf(SERVICE_ACCOUNT))).toEqual([
      SERVICE_ACCOUNT,
      40007,
    ]);
  });

  it('has kinds, formats and sizes', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const upload = (kind: 'image' | 'voice' | 'video' | 'thumb', bytes: Buffer) =>
      refusalOf(uploadTemporaryMedia(http, token, { kind, bytes }));
    expect(await upload('thumb', JPEG)).toBeNull();
    expect(await upload('video', MP4)).toBeNull();
    expect(await upload('voice', PNG)).toBe(40005);
    expect(await upload('thumb', Buffer.concat([JPEG, Buffer.alloc(65_536)]))).toBe(40012);
    expect(await upload('image', Buffer.concat([PNG, Buffer.alloc(10 * 1024 * 1024)]))).toBe(40009);
    const mini = await tokenOf(MINI_PROGRAM);
    expect(await refusalOf(uploadTemporaryMedia(http, mini, { kind: 'video', bytes: MP4 }))).toBe(
      40004,
    );
    expect(
      await refusalOf(http.post('/cgi-bin/media/upload', { no: 'file' }, { accessToken: token })),
    ).toBe(40004);
  });

  it('can be kept for good', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    const { mediaId, url } = await uploadMaterial(http, token, { kind: 'image', bytes: JPEG });
    expect(url).toContain(mediaId);
    await uploadMaterial(http, token, { kind: 'video', bytes: MP4, title: 'a' });
    now += 365 * 24 * HOUR_MS;
    await sandbox.person(SERVICE_ACCOUNT, OPENID).write('x');
    const message = { type: 'image', mediaId } as const;
    const later = await tokenOf(SERVICE_ACCOUNT);
    expect(await refusalOf(sendCustomerServiceMessage(http, later, OPENID, message))).toBeNull();
    expect(await uploadArticleImage(http, later, PNG)).toContain('/mmbiz_png/');
  });
});

describe('the control API', () => {
  const control = async (command: string, body: object): Promise<unknown> => {
    const response = await request(`${sandbox.url}/_sandbox/${command}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    return response.body.json();
  };
  const who = { appid: SERVICE_ACCOUNT, openid: OPENID };
  const mini = { appid: MINI_PROGRAM, openid: OPENID };

  it('lets people act', async () => {
    const delivered = { delivered: true };
    const { templateId } = (await control('template', {
      appid: MINI_PROGRAM,
      title: '新模板',
      content: '备注:{{thing1.DATA}}',
    })) as { templateId: string };
    const templateIds = [templateId];
    expect(await control('follow', { ...who, scene: 's' })).toMatchObject(delivered);
    expect(await control('write', { ...who, content: '你好' })).toMatchObject(delivered);
    expect(await control('scan', { ...who, scene: 's' })).toMatchObject(delivered);
    expect(await control('click-menu', { ...who, key: 'K' })).toMatchObject(delivered);
    const tap = { ...who, id: 'a', content: 'b' };
    expect(await control('click-message-menu', tap)).toMatchObject(delivered);
    expect(await control('enter-session', mini)).toMatchObject(delivered);
    expect(await control('accept', { ...mini, templateIds })).toMatchObject(delivered);
    expect(await control('reject', { ...mini, templateIds })).toMatchObject(delivered);
    expect(await control('person', mini)).toMatchObject({ grants: { [templateId]: 1 } });
    expect(await control('withdraw', { ...mini, templateIds })).toMatchObject(delivered);
    expect(await control('block', who)).toMatchObject({ isBlocking: true });
    expect(await control('blacklist', { ...who, isBlacklisted: false })).toMatchObject({
      isBlacklisted: false,
    });
    expect(await control('tag', { ...who, tagIds: [7] })).toMatchObject({ tagIds: [7] });
    const spoilt = { status: 'failed: system failed' };
    expect(await control('spoil-result', { ...who, ...spoilt })).toMatchObject({
      spoiltResults: [spoilt],
    });
    expect(await control('unfollow', who)).toMatchObject(delivered);
    expect(await control('person', who)).toMatchObject({ isFollower: false, messages: [] });
    expect(await control('follow', { appid: 'wx0', openid: OPENID })).toMatchObject({
      error: 'There is no account wx0.',
    });
  });

  it('tells results when it is told to', async () => {
    await control('follow', who);
    received = [];
    expect(await control('results', { timing: 'held' })).toEqual({ timing: 'held', held: [] });
    const template = sandbox.account(SERVICE_ACCOUNT).templates[1];
    const send = async () =>
      sendTemplateMessage(http, await tokenOf(SERVICE_ACCOUNT), {
        openid: OPENID,
        templateId: template?.templateId ?? '',
        data: { amount1: '¥18.50', name2: '张三' },
      });
    const { msgid } = await send();
    await send();
    expect(await control('results', {})).toMatchObject({ held: [{ msgid }, {}] });
    expect(await control('release-results', { msgids: [msgid], times: 2 })).toHaveLength(2);
    expect(await control('drop-results', {})).toEqual({ dropped: 1 });
    expect(received.map((fields) => fields['MsgID'])).toEqual([msgid, msgid]);
    const path = '/cgi-bin/message/template/send';
    expect(await control('minute-limit', { path, limit: 1 })).toEqual({ [path]: 1 });
  });
});
