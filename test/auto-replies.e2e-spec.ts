import { textReply } from '@app/wechat';
import type { Person } from '@app/wechat-sandbox';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidV7 } from 'uuid';

import { AutoReply, AutoReplyPerson } from '../src/auto-replies/auto-reply.entity.js';
import { AutoRepliesRepository } from '../src/auto-replies/auto-replies.repository.js';
import { ReplyMedia } from '../src/auto-replies/reply-media.js';
import { RuleBook } from '../src/auto-replies/rule-book.js';
import { chunksOf } from '../src/common/chunks.js';
import { Logger } from '../src/common/logger.js';
import { Database } from '../src/database/database.js';
import { PassiveMedia } from '../src/messages/kinds/passive-media.js';
import { ReplyMessages } from '../src/messages/kinds/reply-messages.js';
import { PeopleWatchers } from '../src/messages/people/people-watchers.js';
import { PushAccounts } from '../src/pushes/push-accounts.js';
import { type AccountPush, PushHandlers } from '../src/pushes/push-handlers.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { uploadPicture } from './helpers.js';
import { type DeliveryBody, newOpenid, newSender } from './message-helpers.js';
import { until } from './until.js';

const SEND = '/cgi-bin/message/custom/send';
const UPLOAD = '/cgi-bin/media/upload';
const HOUR_MS = 3_600_000;

interface RuleBody {
  id: string;
  name: string;
  replies: object[];
  stats: { hits: number; people: number; lastHitAt: string | null };
  conflicts: { code: string; detail: string; ruleId: string | null }[];
  code: string;
  errors?: { field: string; code: string; detail: string }[];
}

interface TriedBody {
  matched: RuleBody | null;
  replies: object[];
  passive: boolean;
  capped: boolean;
}

let app: TestApp;
let appid: string;
let probes = 0;

beforeAll(async () => {
  // Noon in Shanghai.
  app = await startApp({ now: '2026-01-01T04:00:00Z' });
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

const text = (words: string) => ({ type: 'text', text: words });
const keyword = (words: string, match = 'exact') => ({
  type: 'keyword',
  keywords: [{ text: words, match }],
});

const ask = (method: string, path = '', body?: object): Promise<Answer<RuleBody>> =>
  app.api<RuleBody>(method, `/accounts/${appid}/auto-replies${path}`, body);

async function rule(over: object): Promise<RuleBody> {
  const wanted = { name: '规则', trigger: keyword('你好'), replies: [text('您好')], ...over };
  // Of two rules of one moment, neither is the older.
  app.clock.advance(1);
  const { status, body } = await ask('POST', '', wanted);
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

/** Resolves once the process that WeChat's pushes come to answers by the rules as they are now. */
async function inForce(): Promise<void> {
  const word = `probe ${++probes}`;
  const { id } = await rule({ name: 'probe', trigger: keyword(word), replies: [text(word)] });
  const probe = app.sandbox.person(appid, 'oProbe');
  await until(async () => {
    app.clock.advance(1);
    return (await probe.write(word)).reply !== null;
  });
  await ask('DELETE', `/${id}`);
  await app.settled();
}

const person = (): Person => app.sandbox.person(appid, newOpenid());

/** What somebody has got by the customer-service API, texts as they are. */
const gotBy = (who: Person): (string | undefined)[] =>
  who.messages.map(({ message }) => {
    const { msgtype, text: said } = message as { msgtype: string; text?: { content: string } };
    return said?.content ?? msgtype;
  });

async function deliveriesOf(who: Person): Promise<DeliveryBody[]> {
  const { body } = await app.api<{ items: DeliveryBody[] }>(
    'GET',
    `/accounts/${appid}/deliveries?openid=${who.openid}`,
  );
  return body.items;
}

async function ended(who: Person): Promise<DeliveryBody> {
  let found: DeliveryBody | undefined;
  await until(async () => {
    [found] = await deliveriesOf(who);
    return found !== undefined && found.finishedAt !== null;
  });
  if (!found) throw new Error('There is no delivery.');
  return found;
}

/** WeChat's tickets, and what is bought with them, live for hours. */
async function hoursLater(hours: number): Promise<void> {
  app.clock.advance(hours * HOUR_MS);
  await app.sandbox.pushTicket();
  await app.settled();
}

/** The same message of WeChat's, however often it is pushed. */
function message(words: string, over: Record<string, string | number> = {}) {
  const CreateTime = Math.floor(app.clock.now().getTime() / 1000);
  return { MsgType: 'text', Content: words, MsgId: String(++ids), CreateTime, ...over };
}
let ids = 7_000_000_000_000_000;

describe('an answer', () => {
  beforeAll(async () => {
    appid = await newSender(app);
    await rule({
      name: '三条',
      trigger: keyword('优惠'),
      replies: [
        text('{keyword}：{date} {time}'),
        text('{account}欢迎您 {other}'),
        { type: 'menu', head: '{keyword}如何？', items: [{ id: 'ok', text: '好' }], tail: '' },
      ],
    });
    await rule({
      name: '五条',
      trigger: keyword('五条'),
      replies: ['1', '2', '3', '4', '5'].map((words) => text(words)),
    });
    await rule({ name: '包含', trigger: keyword('券', 'contains'), replies: [text('券')] });
    await rule({
      name: '图文',
      trigger: keyword('新品'),
      replies: [
        {
          type: 'news',
          title: '秋季',
          description: '{keyword}',
          url: 'https://m.example.com/a',
          imageUrl: 'https://m.example.com/a.jpg',
        },
      ],
    });
    const menu = { type: 'menu', head: '问', items: [{ id: 'a', text: '答' }], tail: '' };
    await rule({ name: '菜单', trigger: keyword('菜单'), replies: [menu, text('之后')] });
    await rule({ name: '夜', trigger: keyword('夜'), quietHours: { from: '14:00', to: '08:00' } });
    await rule({ name: '停', trigger: keyword('停用'), enabled: false });
    await rule({
      name: '关注',
      trigger: { type: 'follow' },
      replies: [text('欢迎'), text('请看')],
    });
    await rule({
      name: '图片',
      trigger: { type: 'message', messageTypes: ['image'] },
      replies: [text('好图')],
    });
    await rule({
      name: '随机',
      trigger: keyword('随机'),
      mode: 'random_one',
      replies: [1, 2, 3, 4].map((n) => text(`第${n}`)),
    });
    await rule({
      name: '限次',
      trigger: keyword('限次'),
      replies: [text('只此一次')],
      frequencyCap: { count: 1, perSeconds: 3_600 },
    });
    await inForce();
  });

  it('is there for the first message after a start', async () => {
    await app.settled();
    await app.restart();
    expect((await person().write('券')).reply).toMatchObject({ Content: '券' });
  });

  it('begins inside the response; the rest follows in its order, with the variables filled in', async () => {
    const who = person();
    const { reply } = await who.write('　优惠 ');
    expect(reply).toMatchObject({
      ToUserName: who.openid,
      FromUserName: app.sandbox.account(appid).originalId,
      MsgType: 'text',
      Content: '优惠：2026-01-01 12:00',
    });
    expect(await ended(who)).toMatchObject({ status: 'accepted', parts: { sent: 2, total: 2 } });
    const { nickname } = app.sandbox.account(appid);
    expect(gotBy(who)).toEqual([`${nickname}欢迎您 {other}`, 'msgmenu']);
    expect(JSON.stringify(who.messages)).toContain('优惠如何？');
  });

  it.each([
    ['what contains a keyword', '我有一张ｑｕａｎ券吗', { Content: '券' }],
    ['news', '新品', { MsgType: 'news', 'Articles.item.Description': '新品' }],
  ])('stands alone in the response: %s', async (_case, words, expected) => {
    const who = person();
    expect((await who.write(words)).reply).toMatchObject(expected);
    await app.settled();
    expect(await deliveriesOf(who)).toEqual([]);
  });

  it.each([
    ['no rule is about', '天气'],
    ['only a rule that is switched off is about', '停用'],
  ])('is none to what %s', async (_case, words) => {
    const who = person();
    expect((await who.write(words)).reply).toBeNull();
    await app.settled();
    expect(await deliveriesOf(who)).toEqual([]);
  });

  it('goes by the type of a message, where no keyword does', async () => {
    const picture = { MsgType: 'image', PicUrl: 'https://mmbiz.example.com/0', MediaId: 'm' };
    expect((await person().write(picture)).reply).toMatchObject({ Content: '好图' });
    const voice = { MsgType: 'voice', MediaId: 'm', Format: 'amr' };
    expect((await person().write(voice)).reply).toBeNull();
  });

  it('greets who follows, by a code too that nobody answers for', async () => {
    const who = person();
    expect((await who.follow()).reply).toMatchObject({ Content: '欢迎' });
    await ended(who);
    expect(gotBy(who)).toEqual(['请看']);
    expect((await person().follow('some-scene')).reply).toMatchObject({ Content: '欢迎' });
    expect((await who.scan('some-scene')).reply).toBeNull();
    expect((await who.unfollow()).reply).toBeNull();
  });

  it('comes by customer service where its first part cannot stand in the response', async () => {
    const who = person();
    expect((await who.write('菜单')).reply).toBeNull();
    expect(await ended(who)).toMatchObject({ status: 'accepted', parts: { sent: 2 } });
    expect(gotBy(who)).toEqual(['msgmenu', '之后']);
  });

  it('is the same to a message that comes again, and nothing is said twice', async () => {
    const { body: before } = await named('三条');
    const who = person();
    const push = message('优惠', { FromUserName: who.openid });
    const first = await app.sandbox.pushMessage(appid, push);
    app.clock.advance(61_000);
    const more = await Promise.all([1, 2, 3].map(() => app.sandbox.pushMessage(appid, push)));
    for (const { reply } of more) expect(reply).toEqual(first.reply);
    expect(first.reply).toMatchObject({ Content: expect.stringMatching(/^优惠：/) });
    await ended(who);
    await app.settled();
    expect(gotBy(who)).toHaveLength(2);
    expect(await deliveriesOf(who)).toHaveLength(1);
    expect((await named('三条')).body.stats).toMatchObject({
      hits: before.stats.hits + 1,
      people: before.stats.people + 1,
    });
  });

  it('at random is one of them: for one message always the same, for many not', async () => {
    const seen = new Set<string | undefined>();
    for (let n = 0; n < 24; n++) {
      const push = message('随机', { FromUserName: newOpenid() });
      const { reply } = await app.sandbox.pushMessage(appid, push);
      expect((await app.sandbox.pushMessage(appid, push)).reply).toEqual(reply);
      seen.add(reply?.['Content']);
    }
    expect([...seen].every((words) => /^第[1-4]$/.test(words ?? ''))).toBe(true);
    expect(seen.size).toBeGreaterThan(1);
  });

  it('is given to one person as often as the cap allows, and to no one else less', async () => {
    const [who, other] = [person(), person()];
    for (const one of [who, who, other]) {
      app.clock.advance(1_000);
      expect((await one.write('限次')).reply).toBeNull();
      await app.settled();
    }
    await until(() => gotBy(who).length + gotBy(other).length === 2);
    expect([await deliveriesOf(who), await deliveriesOf(other)].map((all) => all.length)).toEqual([
      1, 1,
    ]);
    const tried = await tryText('限次', who.openid);
    expect(tried).toMatchObject({ replies: [], capped: true, matched: { name: '限次' } });
    app.clock.advance(HOUR_MS);
    await who.write('限次');
    await app.settled();
    await until(() => gotBy(who).length === 2);
  });

  it('goes out in time while customer service is down, and what became of the rest is told', async () => {
    const who = person();
    app.sandbox.faults.add({ path: SEND, kind: 'reset', times: 2 });
    const begun = performance.now();
    expect((await who.write('优惠')).reply).toMatchObject({ MsgType: 'text' });
    expect(performance.now() - begun).toBeLessThan(4_500);
    await until(async () => (await deliveriesOf(who))[0]?.status === 'unknown');
    expect(await ended(who)).toMatchObject({ failure: { reason: 'answer_lost' } });
  });

  it('goes out while customer service is slow, and the rest when that has answered', async () => {
    const who = person();
    app.sandbox.faults.add({ path: SEND, kind: 'delay', delayMs: 3_000 });
    expect((await who.write('优惠')).reply).toMatchObject({ MsgType: 'text' });
    // The response has come before customer service has taken anything.
    expect(gotBy(who)).toEqual([]);
    expect(await ended(who)).toMatchObject({ status: 'accepted', attempts: 1 });
    expect(gotBy(who)).toHaveLength(2);
  });

  it('tells why the rest has failed', async () => {
    const who = person();
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 45015, times: 9 });
    expect((await who.write('优惠')).reply).toMatchObject({ MsgType: 'text' });
    expect(await ended(who)).toMatchObject({
      status: 'failed',
      failure: { reason: 'window_closed', errcode: 45015 },
    });
  });

  it('leaves out what WeChat refuses for its own sake, and tells of it', async () => {
    const refuse = (errcode: number): void =>
      app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode });
    const accept = (): void => app.sandbox.faults.add({ path: SEND, kind: 'delay', delayMs: 0 });
    const outcomeFor = async (
      ...plan: (number | null)[]
    ): Promise<[DeliveryBody, (string | undefined)[]]> => {
      const who = person();
      for (const errcode of plan)
        if (errcode === null) accept();
        else refuse(errcode);
      expect((await who.write('五条')).reply).toMatchObject({ Content: '1' });
      return [await ended(who), gotBy(who)];
    };
    const failed = (errcode: number, sent: number) => ({
      status: 'failed',
      failure: { errcode },
      parts: { sent, total: 4 },
      attempts: 1,
      acceptedAt: null,
    });
    const [first, gotOthers] = await outcomeFor(40007);
    expect(first).toMatchObject(failed(40007, 3));
    expect(gotOthers).toEqual(['3', '4', '5']);
    const [two, gotBetween] = await outcomeFor(45086, null, 45002);
    expect(two).toMatchObject(failed(45086, 2));
    expect(gotBetween).toEqual(['3', '5']);
    const [last, gotBefore] = await outcomeFor(null, null, null, 40007);
    expect(last).toMatchObject(failed(40007, 3));
    expect(gotBefore).toEqual(['2', '3', '4']);
    // What is about the person or the account ends it.
    for (const errcode of [45047, 48001, 45015]) {
      const [over, got] = await outcomeFor(null, 40007, errcode);
      expect(over).toMatchObject(failed(errcode, 1));
      expect(got).toEqual(['2']);
    }
  });

  it('goes on where it was, without what was left out, when WeChat was too busy for a minute', async () => {
    const who = person();
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 40007 });
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 45011 });
    await who.write('五条');
    await until(async () => (await deliveriesOf(who))[0]?.failure?.errcode === 45011);
    await app.later(61_000);
    expect(await ended(who)).toMatchObject({
      status: 'failed',
      failure: { reason: 'media_expired', errcode: 40007 },
      parts: { sent: 3, total: 4 },
      attempts: 2,
    });
    expect(gotBy(who)).toEqual(['3', '4', '5']);
  });

  it('waits for WeChat when it is too busy for a minute, and is sent then', async () => {
    const who = person();
    app.sandbox.faults.add({ path: SEND, kind: 'errcode', errcode: 45011 });
    await who.write('优惠');
    await until(async () => {
      const [tried] = await deliveriesOf(who);
      return tried?.status === 'pending' && tried.failure !== null;
    });
    await app.later(61_000);
    expect(await ended(who)).toMatchObject({ status: 'accepted', parts: { sent: 2 } });
    expect(gotBy(who)).toHaveLength(2);
  });

  it('is sent a second time where WeChat is busy, and told as failed when it stays so', async () => {
    const busy = { path: SEND, kind: 'errcode', errcode: -1 } as const;
    const waits = async (who: Person): Promise<void> => {
      await who.write('优惠');
      await until(async () => (await deliveriesOf(who))[0]?.failure?.reason === 'transient');
      await app.later(1_100);
    };
    const [one, other] = [person(), person()];
    app.sandbox.faults.add(busy);
    await waits(one);
    expect(await ended(one)).toMatchObject({ status: 'accepted', parts: { sent: 2 } });
    expect(gotBy(one)).toHaveLength(2);
    app.sandbox.faults.add({ ...busy, times: 2 });
    await waits(other);
    expect(await ended(other)).toMatchObject({
      status: 'failed',
      parts: { sent: 0 },
      failure: { errcode: -1, retryable: true },
    });
  });

  it('is silent in quiet hours', async () => {
    expect((await person().write('夜')).reply).not.toBeNull();
    app.clock.advance(HOUR_MS);
    expect((await person().write('夜')).reply).toBeNull();
    expect((await person().write('优惠')).reply).toMatchObject({
      Content: expect.stringMatching(/ 14:\d\d$/),
    });
  });

  it('has the name that the account has now', async () => {
    await rule({ name: '名', trigger: keyword('你是谁'), replies: [text('我是{account}')] });
    await inForce();
    const account = app.sandbox.account(appid);
    const before = account.nickname;
    account.nickname = '改名花店';
    await app.api('POST', '/accounts/sync');
    let said: string | undefined;
    const saidNow = async (): Promise<string | undefined> =>
      (said = (await person().write('你是谁')).reply?.['Content']);
    await until(async () => (await saidNow()) !== `我是${before}`);
    expect(said).toBe('我是改名花店');
    account.nickname = before;
    await app.api('POST', '/accounts/sync');
  });

  it('is left to whoever has answered before', async () => {
    app.sandbox.messagesUrl = `${app.url}/wechat/accounts/$APPID$/messages`;
    let isAnswering = true;
    const greet = (push: AccountPush): string | null =>
      isAnswering && push.kind === 'event' ? textReply(headOf(push), '码') : null;
    app.app.get(PushHandlers).registerReply(greet, -1);
    const who = person();
    expect((await who.follow('scene')).reply).toMatchObject({ Content: '码' });
    await app.settled();
    expect(await deliveriesOf(who)).toEqual([]);
    isAnswering = false;
    let isTaken = true;
    app.app.get(PeopleWatchers).register(() => Promise.resolve(isTaken), -1);
    const late = person();
    await late.write('菜单');
    await app.settled();
    expect(await deliveriesOf(late)).toEqual([]);
    isTaken = false;
  });
});

const headOf = ({ fromUserName: to, toUserName: from, createTime }: AccountPush) => ({
  ...{ to, from, createTime },
});

const tryText = async (words: string, openid?: string): Promise<TriedBody> =>
  (
    await app.api<TriedBody>('POST', `/accounts/${appid}/auto-replies/test`, {
      text: words,
      ...(openid && { openid }),
    })
  ).body;

/** The rule of this name, read by its id. */
async function named(name: string): Promise<Answer<RuleBody>> {
  const { body } = await app.api<{ items: RuleBody[] }>(
    'GET',
    `/accounts/${appid}/auto-replies?limit=200`,
  );
  return ask('GET', `/${body.items.find((item) => item.name === name)?.id}`);
}

describe('the API', () => {
  beforeAll(async () => {
    appid = await newSender(app);
  });

  it('keeps a rule as it was given, and shows it by itself and in the list', async () => {
    const wanted = {
      name: '全部',
      trigger: { type: 'message', messageTypes: ['text', 'image'] },
      replies: [text('一'), text('二')],
      mode: 'random_one',
      priority: -3,
      activeFrom: '2026-01-01T00:00:00.000Z',
      activeTo: '2027-01-01T00:00:00.000Z',
      dailyWindow: { from: '09:00', to: '18:00' },
      quietHours: { from: '12:00', to: '13:30' },
      frequencyCap: { count: 2, perSeconds: 60 },
      enabled: false,
    };
    const made = await rule(wanted);
    const stats = { hits: 0, people: 0, lastHitAt: null };
    expect(made).toMatchObject({ ...wanted, stats, conflicts: [] });
    expect((await ask('GET', `/${made.id}`)).body).toEqual(made);
    const { body } = await app.api('GET', `/accounts/${appid}/auto-replies?limit=1`);
    expect(body).toEqual({ items: [made], nextCursor: null });
    const replaced = { name: '短', trigger: { type: 'follow' }, replies: [text('三')] };
    expect((await ask('PUT', `/${made.id}`, replaced)).body).toMatchObject({
      ...replaced,
      ...{ id: made.id, mode: 'all', priority: 0, activeFrom: null, activeTo: null },
      ...{ dailyWindow: null, quietHours: null, frequencyCap: null, enabled: true },
    });
    expect((await ask('DELETE', `/${made.id}`)).status).toBe(204);
    expect((await ask('GET', `/${made.id}`)).status).toBe(404);
    expect((await ask('PUT', `/${made.id}`, replaced)).status).toBe(404);
    expect((await ask('DELETE', `/${made.id}`)).status).toBe(404);
    const log = await app.api<{ items: { action: string; detail: object }[] }>(
      'GET',
      `/audit-log?target=${appid}&limit=3`,
    );
    expect(log.body.items.map(({ action }) => action)).toEqual([
      'auto_reply.deleted',
      'auto_reply.changed',
      'auto_reply.created',
    ]);
    expect(log.body.items[1]?.detail).toEqual({ ruleId: made.id, name: '短', enabled: true });
  });

  it('pages through the rules, the newest first', async () => {
    const names = ['甲', '乙', '丙'];
    for (const name of names) {
      app.clock.advance(1);
      await rule({ name, trigger: keyword(name) });
    }
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const path = `/accounts/${appid}/auto-replies?limit=2${cursor && `&cursor=${cursor}`}`;
      const page: Answer<{ items: RuleBody[]; nextCursor: string | null }> = await app.api(
        'GET',
        path,
      );
      seen.push(...page.body.items.map(({ name }) => name));
      cursor = page.body.nextCursor;
    }
    expect(seen).toEqual(['丙', '乙', '甲']);
  });

  it('has changes in force, and figures that stay', async () => {
    const made = await rule({ name: '改', trigger: keyword('改'), replies: [text('前')] });
    await inForce();
    const who = person();
    expect((await who.write('改')).reply).toMatchObject({ Content: '前' });
    await app.settled();
    await ask('PUT', `/${made.id}`, { name: '改', trigger: keyword('改'), replies: [text('后')] });
    await inForce();
    app.clock.advance(1_000);
    const at = app.clock.now().toISOString().slice(0, 19);
    expect((await who.write('改')).reply).toMatchObject({ Content: '后' });
    await app.settled();
    const { body } = await ask('GET', `/${made.id}`);
    expect(body.stats).toEqual({ hits: 2, people: 1, lastHitAt: `${at}.000Z` });
    await ask('DELETE', `/${made.id}`);
    await inForce();
    expect((await who.write('改')).reply).toBeNull();
  });

  it.each([
    ['no reply', { replies: [] }, 'replies', 'array_min_size'],
    ['six replies', { replies: Array(6).fill(text('x')) }, 'replies', 'array_max_size'],
    ['a reply that is none', { replies: [{ type: 'x' }] }, 'replies.0.type', 'is_in'],
    [
      'a text of 2,049 bytes',
      { replies: [text('x'.repeat(2_049))] },
      'replies.0.text',
      'is_length',
    ],
    [
      'a text of too many bytes with its variables',
      { replies: [text(`${'{keyword}'.repeat(200)}`)], trigger: keyword('很长的关键词') },
      'replies.0.text',
      'text_too_long',
    ],
    [
      'a medium that is not there',
      { replies: [{ type: 'image', mediaId: 'nothing' }] },
      'replies.0.mediaId',
      'media_not_found',
    ],
    [
      'a type of mini-programs',
      {
        replies: [
          {
            ...{ type: 'link', title: 't', description: 'd' },
            ...{ url: 'https://a.example.com', thumbUrl: 'https://a.example.com' },
          },
        ],
      },
      'replies.0.type',
      'type_not_supported',
    ],
    ['no keyword', { trigger: { type: 'keyword' } }, 'trigger.keywords', 'required'],
    [
      'eleven keywords',
      { trigger: { type: 'keyword', keywords: Array(11).fill({ text: 'x', match: 'exact' }) } },
      'trigger.keywords',
      'array_max_size',
    ],
    [
      'a keyword of spaces',
      { trigger: keyword(' 　') },
      'trigger.keywords.0.text',
      'keyword_empty',
    ],
    ['another trigger', { trigger: { type: 'scan' } }, 'trigger.type', 'is_in'],
    ['a time without a zone', { activeFrom: '2026-01-01T00:00:00' }, 'activeFrom', 'is_date'],
    [
      'a period that ends before it begins',
      { activeFrom: '2026-02-01T00:00:00Z', activeTo: '2026-01-01T00:00:00Z' },
      'activeTo',
      'period_empty',
    ],
    [
      'no time of day',
      { dailyWindow: { from: '24:00', to: '08:00' } },
      'dailyWindow.from',
      'matches',
    ],
    [
      'a window of nothing',
      { quietHours: { from: '08:00', to: '08:00' } },
      'quietHours.to',
      'span_empty',
    ],
    [
      'a cap of nothing',
      { frequencyCap: { count: 0, perSeconds: 1 } },
      'frequencyCap.count',
      'min',
    ],
    ['a fraction of a priority', { priority: 1.5 }, 'priority', 'is_int'],
    ['no priority at all', { priority: null }, 'priority', 'is_int'],
    ['no mode at all', { mode: null }, 'mode', 'is_in'],
    ['neither on nor off', { enabled: null }, 'enabled', 'is_boolean'],
    [
      'a list as a keyword',
      { trigger: { type: 'keyword', keywords: [[]] } },
      'trigger.keywords',
      'is_object',
    ],
    ['a field that nobody knows', { other: 1 }, 'other', 'whitelist_validation'],
  ])('refuses %s', async (_case, over, field, code) => {
    const wanted = { name: 'x', trigger: keyword('x'), replies: [text('x')], ...over };
    const { status, body } = await ask('POST', '', wanted);
    expect({ status, errors: body.errors }).toEqual({
      status: 422,
      errors: expect.arrayContaining([expect.objectContaining({ field, code })]),
    });
  });

  it('is for official accounts only', async () => {
    const mini = await newSender(app, 'mini_program');
    const wanted = { name: 'x', trigger: keyword('x'), replies: [text('x')] };
    expect(await app.api('POST', `/accounts/${mini}/auto-replies`, wanted)).toMatchObject({
      status: 422,
      body: { code: 'official_account_only' },
    });
  });

  it('tells what a text would be answered with, and sends nothing', async () => {
    const made = await rule({
      name: '试',
      trigger: keyword('试一试', 'contains'),
      replies: [text('{keyword} {account}'), text('还有')],
    });
    const { nickname } = app.sandbox.account(appid);
    expect(await tryText('我想试一试')).toMatchObject({
      matched: { id: made.id, name: '试' },
      replies: [text(`试一试 ${nickname}`), text('还有')],
      passive: true,
      capped: false,
    });
    expect(await tryText('别的')).toEqual({
      ...{ matched: null, replies: [], passive: false, capped: false },
    });
    expect((await ask('GET', `/${made.id}`)).body.stats.hits).toBe(0);
  });

  it('takes ten thousand rules, by which it answers as fast, and no more', async () => {
    appid = await newSender(app);
    const { id } = await rule({ name: '最后', trigger: keyword('针', 'contains'), priority: -1 });
    const repository = app.app.get(AutoRepliesRepository);
    const sample = await repository.find(appid, id);
    if (!sample) throw new Error('The rule is not there.');
    const rows = Array.from({ length: 9_999 }, (_unused, n) => ({
      ...{ appid, name: '规则', replies: sample.replies, mode: sample.mode, priority: 0 },
      ...{ enabled: true, activeFrom: null, activeTo: null, dailyWindow: null, quietHours: null },
      ...{ frequencyCap: null, version: 1, renewMediaAt: null },
      ...{ createdAt: sample.createdAt, updatedAt: sample.updatedAt },
      id: uuidV7(),
      trigger: {
        type: 'keyword' as const,
        keywords: [{ text: `第${n}号`, match: 'contains' as const }],
      },
    }));
    await app.app.get(Database).write(async (tx) => {
      for (const page of chunksOf(rows, 500)) await tx.insert(AutoReply, page);
      await repository.writeRevision(tx, appid, uuidV7());
    });
    const full = await ask('POST', '', { name: 'x', trigger: keyword('x'), replies: [text('x')] });
    expect(full).toMatchObject({ status: 409, body: { code: 'too_many_auto_replies' } });
    const hay = `${'第一二三四五六七八九十号'.repeat(160)}针`;
    await until(async () => (await person().write('第7号')).reply !== null);
    const begun = performance.now();
    expect((await person().write(hay)).reply).toMatchObject({ Content: '您好' });
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect((await person().write('第 9 号')).reply).toBeNull();
    expect((await person().write('请给第９９９8号')).reply).toMatchObject({ Content: '您好' });
  });

  it('reads only what is different after a change, however many rules there are', async () => {
    appid = await newSender(app);
    const repository = app.app.get(AutoRepliesRepository);
    const read = repository.findMany.bind(repository);
    let rows = 0;
    repository.findMany = async (...about) => {
      const found = await read(...about);
      if (about[0] === appid) rows += found.length;
      return found;
    };
    try {
      const made: RuleBody[] = [];
      for (let n = 0; n < 20; n++) made.push(await rule({ trigger: keyword(`第${n}个`) }));
      expect(rows).toBe(20);
      const { id } = made[3] ?? { id: '' };
      const over = { name: '改', trigger: keyword('改了'), replies: [text('好')] };
      expect((await ask('PUT', `/${id}`, over)).status).toBe(200);
      expect(rows).toBe(21);
      expect((await ask('DELETE', `/${made[4]?.id}`)).status).toBe(204);
      expect(rows).toBe(21);
    } finally {
      repository.findMany = read;
    }
    expect(await tryText('改了')).toMatchObject({ matched: { name: '改' } });
    for (const words of ['第3个', '第4个'])
      expect(await tryText(words)).toMatchObject({ matched: null });
    expect(await tryText('第5个')).toMatchObject({ replies: [text('您好')] });
  });

  it('are looked at once for all who ask meanwhile, and weigh what their letters do', async () => {
    appid = await newSender(app);
    await rule({ trigger: keyword('一') });
    const [book, repository] = [app.app.get(RuleBook), app.app.get(AutoRepliesRepository)];
    const find = repository.findRevision.bind(repository);
    let looks = 0;
    repository.findRevision = (...about) => {
      if (about[0] === appid) looks++;
      return find(...about);
    };
    try {
      await Promise.all(Array.from({ length: 30 }, () => book.refresh(appid)));
    } finally {
      repository.findRevision = find;
    }
    // The one that ran already may have begun before the change that the others know of.
    expect(looks).toBe(2);
    const [db, logger] = [app.app.get(Database), app.app.get(Logger)];
    const [media, accounts] = [app.app.get(PassiveMedia), app.app.get(PushAccounts)];
    const cold = new RuleBook(repository, db, media, accounts, logger);
    const [one, other] = await db.write((tx) =>
      Promise.all([cold.findIn(tx, appid), cold.findIn(tx, appid)]),
    );
    expect(one).toBe(other);
    const before = (await book.refresh(appid)).weight;
    const { id } = await rule({ trigger: keyword('长'.repeat(64), 'contains') });
    expect((await book.refresh(appid)).weight - before).toBeGreaterThan(64 * 18);
    await ask('DELETE', `/${id}`);
    expect((await book.refresh(appid)).weight).toBe(before);
  });

  it('tells of what a new rule keeps from answering, and of hours that do not meet', async () => {
    appid = await newSender(app);
    const fallback = await rule({ name: '兜底', trigger: { type: 'message' } });
    const sooner = await rule({ name: '新', trigger: { type: 'message' }, priority: 5 });
    expect(sooner.conflicts).toMatchObject([{ code: 'hides_rule', ruleId: fallback.id }]);
    expect(sooner.conflicts[0]?.detail).toContain('兜底');
    const narrow = await rule({ name: '窄', trigger: keyword('优惠券', 'contains') });
    const wide = await rule({ name: '宽', trigger: keyword('优惠', 'contains'), priority: 9 });
    expect(wide.conflicts).toMatchObject([{ code: 'hides_rule', ruleId: narrow.id }]);
    const [morning, day] = [
      { from: '09:00', to: '10:00' },
      { from: '08:00', to: '20:00' },
    ];
    const all = await rule({ trigger: keyword('班'), dailyWindow: day, priority: 1 });
    const within = await rule({ trigger: keyword('班'), dailyWindow: morning });
    expect(within.conflicts).toMatchObject([
      { code: 'never_matches', ruleId: all.id },
      { code: 'same_keyword', ruleId: all.id },
    ]);
    const night = { from: '20:00', to: '08:00' };
    expect((await rule({ trigger: keyword('班'), dailyWindow: night })).conflicts).toEqual([]);
    const twice = [
      { text: 'ABC', match: 'exact' },
      { text: 'ａｂｃ', match: 'exact' },
    ];
    const twin = await rule({ trigger: { type: 'keyword', keywords: twice } });
    expect(twin.conflicts).toMatchObject([{ code: 'same_keyword', ruleId: null }]);
  });

  it('tells of a few of many rules that share their keywords', async () => {
    appid = await newSender(app);
    const words = Array.from({ length: 10 }, (_unused, n) => ({
      text: `词${n}`,
      match: 'contains',
    }));
    const trigger = { type: 'keyword', keywords: words };
    for (let n = 0; n < 20; n++) await rule({ name: `第${n}`, trigger });
    const { body } = await app.api<{ items: RuleBody[] }>('GET', `/accounts/${appid}/auto-replies`);
    expect(body.items).toHaveLength(20);
    for (const { conflicts } of body.items) expect(conflicts.length).toBeLessThanOrEqual(6);
  });

  it('finds rules by a part of the name or a keyword, by what they answer, and by whether they are on', async () => {
    appid = await newSender(app);
    await rule({ name: '双十一', trigger: keyword('满"减"', 'contains') });
    await rule({ name: '关注', trigger: { type: 'follow' } });
    await rule({ name: '停用100%', trigger: { type: 'message' }, enabled: false });
    const found = async (query: string): Promise<string[]> => {
      const { body } = await app.api<{ items: RuleBody[] }>(
        'GET',
        `/accounts/${appid}/auto-replies?${query}`,
      );
      return body.items.map(({ name }) => name);
    };
    expect(await found(`q=${encodeURIComponent('十一')}`)).toEqual(['双十一']);
    expect(await found(`q=${encodeURIComponent('满"减')}`)).toEqual(['双十一']);
    expect(await found('q=100%25')).toEqual(['停用100%']);
    // Words of ours around the keywords are none of them.
    for (const word of ['text', 'match', 'a', 'contains', 'message', '"'])
      expect(await found(`q=${encodeURIComponent(word)}`)).toEqual(word === '"' ? ['双十一'] : []);
    expect(await found('trigger=follow')).toEqual(['关注']);
    expect(await found('enabled=false')).toEqual(['停用100%']);
    expect(await found('enabled=true&trigger=keyword')).toEqual(['双十一']);
    const words = [
      { text: 'Hello, \\World/', match: 'exact' },
      { text: '\ud83d', match: 'contains' },
    ];
    await rule({ name: '半个', trigger: { type: 'keyword', keywords: words } });
    expect(await found(`q=${encodeURIComponent('hello, \\W')}`)).toEqual(['半个']);
    expect(await found(`q=${encodeURIComponent('d/')}`)).toEqual(['半个']);
  });

  it('tries a follow, another type of message, and another time', async () => {
    appid = await newSender(app);
    await rule({ name: '关注', trigger: { type: 'follow' } });
    await rule({
      name: '夜里的图',
      trigger: { type: 'message', messageTypes: ['image'] },
      dailyWindow: { from: '22:00', to: '06:00' },
    });
    const tried = async (body: object): Promise<string | undefined> =>
      (await app.api<TriedBody>('POST', `/accounts/${appid}/auto-replies/test`, body)).body.matched
        ?.name;
    expect(await tried({ occasion: 'follow' })).toBe('关注');
    expect(await tried({ messageType: 'image', at: '2026-01-01T12:00:00+08:00' })).toBeUndefined();
    expect(await tried({ messageType: 'image', at: '2026-01-01T23:00:00+08:00' })).toBe('夜里的图');
    const missing = await app.api('POST', `/accounts/${appid}/auto-replies/test`, {});
    expect(missing).toMatchObject({ status: 422, body: { errors: [{ field: 'text' }] } });
    const nobody = { text: 'x', openid: null };
    expect(await app.api('POST', `/accounts/${appid}/auto-replies/test`, nobody)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'openid' }] },
    });
  });

  it('says that a rule is not there before it says what is wrong with another in its place', async () => {
    appid = await newSender(app);
    for (const body of [{}, { name: 1 }])
      expect((await ask('PUT', '/nothing', body)).body.code).toBe('not_found');
  });

  it('refuses null where a message may only leave something out', async () => {
    appid = await newSender(app);
    const mediaId = await uploadPicture(app, appid);
    const page = { type: 'mini_program_page', title: '页', pagePath: 'p', thumbMediaId: mediaId };
    const replies = [{ ...page, appid: null }];
    const refused = await ask('POST', '', { name: '规则', trigger: keyword('页'), replies });
    expect(refused.status).toBe(422);
    expect(refused.body.errors).toMatchObject([{ field: 'replies.0.appid' }]);
  });

  it('says once of what is missing that it is', async () => {
    appid = await newSender(app);
    const { body } = await ask('POST', '', {});
    expect(body.errors?.map(({ field, code }) => `${field} ${code}`)).toEqual([
      'name required',
      'trigger required',
      'replies required',
    ]);
  });

  it('names the keyword only where there is one', async () => {
    appid = await newSender(app);
    const wanted = { name: 'x', trigger: { type: 'follow' }, replies: [text('您说“{keyword}”')] };
    expect(await ask('POST', '', wanted)).toMatchObject({
      status: 422,
      body: { errors: [{ field: 'replies.0', code: 'no_keyword' }] },
    });
  });

  it('leaves nobody behind whom a deleted rule has answered', async () => {
    appid = await newSender(app);
    const { id } = await rule({ trigger: keyword('走') });
    await inForce();
    await person().write('走');
    await app.settled();
    const people = (): Promise<number> =>
      app.app.get(Database).read.countBy(AutoReplyPerson, { ruleId: id });
    expect(await people()).toBe(1);
    await ask('DELETE', `/${id}`);
    await until(async () => (await people()) === 0);
  });

  it('tells of what is probably not meant', async () => {
    appid = await newSender(app);
    const wide = await rule({ name: '宽', trigger: keyword('优惠', 'contains'), priority: 1 });
    const narrow = await rule({ name: '窄', trigger: keyword('优惠券') });
    expect(narrow.conflicts).toMatchObject([{ code: 'never_matches', ruleId: wide.id }]);
    expect(narrow.conflicts[0]?.detail).toContain('宽');
    const same = await rule({ name: '同', trigger: keyword('ＶＩＰ') });
    const other = await rule({ name: '另', trigger: keyword('vip', 'contains') });
    expect(other.conflicts).toMatchObject([{ code: 'same_keyword', ruleId: same.id }]);
    expect((await ask('GET', `/${same.id}`)).body.conflicts).toMatchObject([
      { code: 'same_keyword', ruleId: other.id },
    ]);
    const twin = await rule({ name: '双', trigger: keyword('Vip') });
    expect(twin.conflicts.map(({ code }) => code)).toEqual([
      'never_matches',
      'same_keyword',
      'same_keyword',
    ]);
    const over = await rule({ trigger: keyword('过期'), activeTo: '2020-01-01T00:00:00Z' });
    expect(over.conflicts).toMatchObject([{ code: 'never_matches', ruleId: null }]);
    const quiet = await rule({
      trigger: keyword('夜里'),
      dailyWindow: { from: '23:00', to: '06:00' },
      quietHours: { from: '22:00', to: '08:00' },
    });
    expect(quiet.conflicts).toMatchObject([{ code: 'never_matches', ruleId: null }]);
    const follow = await rule({
      trigger: { type: 'follow' },
      replies: Array.from({ length: 5 }, (_unused, n) => text(`${n}`)),
    });
    expect(follow.conflicts).toMatchObject([{ code: 'too_many_for_window', ruleId: null }]);
    const pictures = { type: 'message', messageTypes: ['image'] };
    const fallback = await rule({ trigger: { type: 'message' } });
    expect((await rule({ trigger: pictures })).conflicts).toMatchObject([
      { code: 'never_matches', ruleId: fallback.id },
    ]);
    await ask('PUT', `/${wide.id}`, {
      ...{ name: '宽', trigger: keyword('优惠', 'contains'), priority: 1 },
      ...{ replies: [text('x')], enabled: false },
    });
    expect((await ask('GET', `/${narrow.id}`)).body.conflicts).toEqual([]);
  });
});

describe('a picture', () => {
  let mediaId: string;
  beforeAll(async () => {
    appid = await newSender(app);
    mediaId = await uploadPicture(app, appid);
    const replies = [{ type: 'image', mediaId }, text('图')];
    await rule({ name: '图', trigger: keyword('图'), replies });
    await inForce();
  });

  const replyId = async (): Promise<string | undefined> => {
    app.clock.advance(1_000);
    return (await person().write('图')).reply?.['Image.MediaId'];
  };
  const uploads = (): number => app.sandbox.callsTo(UPLOAD);

  it('is at WeChat before anybody asks for it, and stands in the response', async () => {
    let id: string | undefined;
    await until(async () => (id = await replyId()) !== undefined);
    expect(app.sandbox.data.media[id ?? '']).toMatchObject({ appid, type: 'image' });
  });

  it('is uploaded again before its copy ends', async () => {
    const [before, first] = [uploads(), await replyId()];
    await hoursLater(49);
    await app.app.get(ReplyMedia).renew();
    await until(async () => ![undefined, first].includes(await replyId()));
    expect(uploads()).toBe(before + 1);
    await app.app.get(ReplyMedia).renew();
    await app.settled();
    expect(uploads()).toBe(before + 1);
  });

  it('stays as long as a rule answers with it', async () => {
    const own = await uploadPicture(app, appid);
    const { id } = await rule({
      name: '用图',
      trigger: keyword('用'),
      replies: [{ type: 'image', mediaId: own }],
    });
    const remove = (): Promise<Answer<RuleBody>> =>
      app.api('DELETE', `/accounts/${appid}/media/${own}`);
    const refused = await remove();
    expect(refused).toMatchObject({ status: 409, body: { code: 'media_in_use' } });
    expect(refused.body.errors?.[0]?.detail).toContain('用图');
    await ask('DELETE', `/${id}`);
    expect((await remove()).status).toBe(204);
  });

  it('that is deleted while a rule is saved is answered with by none', async () => {
    const messages = app.app.get(ReplyMessages);
    const read = messages.read.bind(messages);
    const remove = async (mediaId: string): Promise<number> =>
      (await app.api('DELETE', `/accounts/${appid}/media/${mediaId}`)).status;
    const saved = await rule({ name: '用图', trigger: keyword('换') });
    for (const [method, path] of [['POST', ''] as const, ['PUT', `/${saved.id}`] as const]) {
      const mediaId = await uploadPicture(app, appid);
      let removed = 0;
      messages.read = async (...asked) => {
        const found = await read(...asked);
        removed = await remove(mediaId);
        return found;
      };
      const replies = [{ type: 'image', mediaId }];
      const wanted = { name: '用图', trigger: keyword('删'), replies };
      const { status, body } = await ask(method, path, wanted);
      messages.read = read;
      expect({ removed, status }).toEqual({ removed: 204, status: 422 });
      expect(body.errors).toMatchObject([{ field: 'replies.0.mediaId', code: 'media_not_found' }]);
    }
    expect((await ask('GET', `/${saved.id}`)).body.replies).toEqual([text('您好')]);
  });

  it('that WeChat does not take is tried again while the window is open, then told as missed', async () => {
    const image = { type: 'image', mediaId: await uploadPicture(app, appid) };
    await rule({ name: '关注', trigger: { type: 'follow' }, replies: [text('欢迎'), image] });
    await inForce();
    app.sandbox.faults.add({ path: UPLOAD, kind: 'http_500', times: 99 });
    const [who, before] = [person(), uploads()];
    expect((await who.follow()).reply).toMatchObject({ Content: '欢迎' });
    for (const [tries, seconds] of [1, 3, 10, 30].entries()) {
      await until(() => uploads() === before + tries + 1);
      await until(async () => (await deliveriesOf(who))[0]?.status === 'pending');
      await app.later(seconds * 1_000 + 100);
    }
    await until(() => uploads() === before + 5);
    await until(async () => (await deliveriesOf(who))[0]?.status === 'pending');
    await app.later(61_000);
    expect(await ended(who)).toMatchObject({
      status: 'failed',
      failure: { reason: 'window_closed', errcode: null, retryable: false },
    });
    expect(uploads()).toBe(before + 5);
  });

  it('whose copy has ended goes out as a fresh one, by customer service', async () => {
    const before = uploads();
    await hoursLater(80);
    const who = person();
    expect((await who.write('图')).reply).toBeNull();
    expect(await ended(who)).toMatchObject({ status: 'accepted', parts: { sent: 2 } });
    expect(gotBy(who)).toEqual(['image', '图']);
    expect(uploads()).toBe(before + 1);
  });
});
