import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import {
  type BroadcastContent,
  deleteBroadcast,
  getBroadcastStatus,
  previewBroadcast,
  readBroadcastResult,
  sendBroadcast,
} from './broadcast.js';
import { type Stub, startStub } from './vectors/stub.js';
import { parseXml } from './xml.js';

const MSGID = '3147483704123456789';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const CONTENTS: [BroadcastContent, object, object][] = [
  [{ type: 'text', text: '你好' }, { msgtype: 'text', text: { content: '你好' } }, {}],
  [{ type: 'article', mediaId: 'M' }, { msgtype: 'mpnews', mpnews: { media_id: 'M' } }, {}],
  [{ type: 'voice', mediaId: 'M' }, { msgtype: 'voice', voice: { media_id: 'M' } }, {}],
  [
    { type: 'image', mediaIds: ['M', 'N'], recommendation: 'A', commentsOpen: true },
    {
      msgtype: 'image',
      images: { media_ids: ['M', 'N'], recommend: 'A', need_open_comment: 1 },
    },
    // A preview has one image, under another name.
    { msgtype: 'image', image: { media_id: 'M' } },
  ],
  [
    { type: 'video', mediaId: 'M', title: 'A', description: 'B' },
    { msgtype: 'mpvideo', mpvideo: { media_id: 'M', title: 'A', description: 'B' } },
    {},
  ],
];

describe('previewBroadcast', () => {
  it.each(CONTENTS)('shows %j to one person', async (content, wire, preview) => {
    stub.answer = `{"errcode":0,"errmsg":"preview success","msg_id":${MSGID}}`;
    const sent = await previewBroadcast(stub.http, '71_a', { openid: 'oUser01' }, content);
    expect(sent).toEqual({ msgid: MSGID });
    expect(stub.sent.url).toBe('/cgi-bin/message/mass/preview?access_token=71_a');
    expect(stub.body()).toEqual({
      touser: 'oUser01',
      ...('image' in preview ? preview : wire),
    });
  });

  it('shows it to a WeChat name, and needs no number', async () => {
    const content = { type: 'text', text: 'x' } as const;
    const to = { wechatName: 'someone' };
    expect(await previewBroadcast(stub.http, '71_a', to, content)).toEqual({ msgid: null });
    expect(stub.body()).toMatchObject({ towxname: 'someone' });
  });
});

describe('sendBroadcast', () => {
  const content = { type: 'text', text: 'x' } as const;

  it.each(CONTENTS)('sends %j', async (given, wire) => {
    stub.answer = `{"errcode":0,"msg_id":${MSGID},"msg_data_id":2247484106}`;
    const audience = { type: 'all' } as const;
    expect(
      await sendBroadcast(stub.http, '71_a', { audience, content: given, clientMsgId: 'c1' }),
    ).toEqual({ msgid: MSGID, msgDataId: '2247484106', isRepetition: false });
    expect(stub.body()).toEqual({
      filter: { is_to_all: true },
      ...wire,
      send_ignore_reprint: 0,
      clientmsgid: 'c1',
    });
  });

  it('goes to a tag, or to a list at its own address', async () => {
    const tag = { type: 'tag', tagId: 7 } as const;
    await sendBroadcast(stub.http, '71_a', {
      audience: tag,
      content,
      clientMsgId: 'c1',
      allowsReprint: true,
    });
    expect(stub.sent.url).toBe('/cgi-bin/message/mass/sendall?access_token=71_a');
    expect(stub.body()).toMatchObject({
      filter: { is_to_all: false, tag_id: 7 },
      send_ignore_reprint: 1,
    });
    const list = { type: 'recipients', openids: ['o1', 'o2'] } as const;
    await sendBroadcast(stub.http, '71_a', { audience: list, content, clientMsgId: 'c1' });
    expect(stub.sent.url).toBe('/cgi-bin/message/mass/send?access_token=71_a');
    expect(stub.body()).toMatchObject({ touser: ['o1', 'o2'] });
  });

  it('takes a repetition for the success of the earlier call', async () => {
    stub.answer = `{"errcode":45065,"errmsg":"clientmsgid exist","msg_id":${MSGID}}`;
    const audience = { type: 'all' } as const;
    expect(
      await sendBroadcast(stub.http, '71_a', { audience, content, clientMsgId: 'c1' }),
    ).toEqual({ msgid: MSGID, msgDataId: null, isRepetition: true });
  });

  it.each([
    [45066, 'rate_minute'],
    [45028, 'quota_period'],
    [89504, 'awaiting_confirmation'],
    // Elsewhere it is about our address.
    [89501, 'awaiting_confirmation'],
    [48003, 'console_action'],
  ])('passes on %i as %s', async (errcode, errorClass) => {
    stub.answer = JSON.stringify({ errcode, errmsg: 'no' });
    const audience = { type: 'all' } as const;
    await expect(
      sendBroadcast(stub.http, '71_a', { audience, content, clientMsgId: 'c1' }),
    ).rejects.toMatchObject({ errcode, errorClass });
  });

  it.each([
    ['one recipient', ['o1'], 'c1'],
    ['10,001', Array.from({ length: 10_001 }, (_, n) => `o${n}`), 'c1'],
    ['an id of 33 bytes', ['o1', 'o2'], `${'x'.repeat(31)}é`],
  ])('refuses %s', async (_what, openids, clientMsgId) => {
    const audience = { type: 'recipients', openids } as const;
    await expect(
      sendBroadcast(stub.http, '71_a', { audience, content, clientMsgId }),
    ).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });
});

describe('after a broadcast', () => {
  it('its articles can be deleted, one or all', async () => {
    await deleteBroadcast(stub.http, '71_a', MSGID);
    expect(stub.body()).toEqual({ msg_id: MSGID });
    await deleteBroadcast(stub.http, '71_a', MSGID, 2);
    expect(stub.body()).toEqual({ msg_id: MSGID, article_idx: 2 });
  });

  it.each([
    ['SEND_SUCCESS', 'sent'],
    ['SENDING', 'sending'],
    ['SEND_FAIL', 'failed'],
    ['DELETE', 'deleted'],
    ['NEW', null],
  ])('%s is %s', async (status, expected) => {
    stub.answer = `{"msg_id":${MSGID},"msg_status":"${status}"}`;
    expect(await getBroadcastStatus(stub.http, '71_a', MSGID)).toBe(expected);
    expect(stub.body()).toEqual({ msg_id: MSGID });
  });
});

describe('readBroadcastResult', () => {
  const read = (status: string, more = '') =>
    readBroadcastResult(
      parseXml(
        `<xml><Event>MASSSENDJOBFINISH</Event><MsgID>${MSGID}</MsgID><Status><![CDATA[${status}]]></Status><TotalCount>100</TotalCount><FilterCount>80</FilterCount><SentCount>75</SentCount><ErrorCount>5</ErrorCount>${more}</xml>`,
      ),
    );

  it.each([
    ['send success', 'sent', null],
    ['sendsuccess', 'sent', null],
    ['send fail', 'failed', null],
    ['err(10001)', 'failed', 'content'],
    ['err(20013)', 'failed', 'content'],
    ['err(30001)', 'failed', 'originality_check_failed'],
    ['err(30003)', 'failed', 'reprint'],
    ['err(40001)', 'failed', 'refused_by_administrator'],
    ['err(40002)', 'failed', 'not_confirmed'],
    ['something new', 'failed', null],
  ])('takes %j for %s, %s', (status, outcome, refusal) => {
    expect(read(status)).toMatchObject({ msgid: MSGID, outcome, refusal, status });
  });

  it('reads the counts', () => {
    expect(read('send success').counts).toEqual({
      total: 100,
      reachable: 80,
      sent: 75,
      failed: 5,
    });
    expect(readBroadcastResult({ TotalCount: 'x' })).toEqual({
      msgid: null,
      outcome: 'failed',
      refusal: null,
      status: '',
      counts: { total: 0, reachable: 0, sent: 0, failed: 0 },
      articles: [],
    });
  });

  it.each([1, 2])('reads the addresses of %i articles', (count) => {
    const items = Array.from(
      { length: count },
      (_, n) =>
        `<item><ArticleIdx>${n + 1}</ArticleIdx><ArticleUrl><![CDATA[https://mp/${n + 1}]]></ArticleUrl></item>`,
    ).join('');
    const more = `<ArticleUrlResult><Count>${count}</Count><ResultList>${items}</ResultList></ArticleUrlResult>`;
    expect(read('send success', more).articles).toEqual(
      Array.from({ length: count }, (_, n) => ({ index: n + 1, url: `https://mp/${n + 1}` })),
    );
  });
});
