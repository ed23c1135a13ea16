import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import {
  CUSTOMER_SERVICE_TYPES,
  type CustomerServiceMessage,
  sendCustomerServiceMessage,
  sendCustomerServiceText,
} from './customer-service-message.js';
import { type Stub, startStub } from './vectors/stub.js';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const CASES: [CustomerServiceMessage, object][] = [
  [
    { type: 'text', text: '你好 <a href="https://m.example.com">看看</a>' },
    { msgtype: 'text', text: { content: '你好 <a href="https://m.example.com">看看</a>' } },
  ],
  [
    { type: 'image', mediaId: 'M' },
    { msgtype: 'image', image: { media_id: 'M' } },
  ],
  [
    { type: 'voice', mediaId: 'M' },
    { msgtype: 'voice', voice: { media_id: 'M' } },
  ],
  [
    { type: 'video', mediaId: 'M', thumbMediaId: 'T' },
    { msgtype: 'video', video: { media_id: 'M', thumb_media_id: 'T' } },
  ],
  [
    { type: 'video', mediaId: 'M', thumbMediaId: 'T', title: 'A', description: 'B' },
    {
      msgtype: 'video',
      video: { media_id: 'M', thumb_media_id: 'T', title: 'A', description: 'B' },
    },
  ],
  [
    { type: 'music', url: 'https://a', hqUrl: 'https://b', thumbMediaId: 'T', title: 'A' },
    {
      msgtype: 'music',
      music: { title: 'A', musicurl: 'https://a', hqmusicurl: 'https://b', thumb_media_id: 'T' },
    },
  ],
  [
    { type: 'news', title: 'A', description: 'B', url: 'https://a', imageUrl: 'https://b' },
    {
      msgtype: 'news',
      news: { articles: [{ title: 'A', description: 'B', url: 'https://a', picurl: 'https://b' }] },
    },
  ],
  [
    { type: 'article', mediaId: 'M' },
    { msgtype: 'mpnews', mpnews: { media_id: 'M' } },
  ],
  [
    { type: 'published_article', articleId: 'A' },
    { msgtype: 'mpnewsarticle', mpnewsarticle: { article_id: 'A' } },
  ],
  [
    { type: 'menu', head: '如何？', items: [{ id: 'fb_good', text: '好' }], tail: '谢谢' },
    {
      msgtype: 'msgmenu',
      msgmenu: {
        head_content: '如何？',
        list: [{ id: 'fb_good', content: '好' }],
        tail_content: '谢谢',
      },
    },
  ],
  [
    { type: 'mini_program_page', title: 'A', appid: 'wx1', pagePath: 'p?q=1', thumbMediaId: 'T' },
    {
      msgtype: 'miniprogrampage',
      miniprogrampage: { title: 'A', appid: 'wx1', pagepath: 'p?q=1', thumb_media_id: 'T' },
    },
  ],
  [
    { type: 'mini_program_page', title: 'A', pagePath: 'p', thumbMediaId: 'T' },
    {
      msgtype: 'miniprogrampage',
      miniprogrampage: { title: 'A', pagepath: 'p', thumb_media_id: 'T' },
    },
  ],
  [
    { type: 'link', title: 'A', description: 'B', url: 'https://a', thumbUrl: 'https://b' },
    {
      msgtype: 'link',
      link: { title: 'A', description: 'B', url: 'https://a', thumb_url: 'https://b' },
    },
  ],
  [
    { type: 'card', cardId: 'C' },
    { msgtype: 'wxcard', wxcard: { card_id: 'C' } },
  ],
];

describe('sendCustomerServiceMessage', () => {
  it.each(CASES)('sends %j', async (message, content) => {
    await sendCustomerServiceMessage(stub.http, '71_a', 'oUser01', message);
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: '/cgi-bin/message/custom/send?access_token=71_a',
    });
    expect(stub.body()).toEqual({ touser: 'oUser01', ...content });
  });

  it('covers every type of both kinds of accounts', () => {
    const sent = new Set(CASES.map(([{ type }]) => type));
    expect(sent).toEqual(new Set(Object.values(CUSTOMER_SERVICE_TYPES).flat()));
  });

  it('speaks in the name of an agent, and says that a machine wrote it', async () => {
    const message = { type: 'text', text: 'x' } as const;
    const options = { agent: 'kf1@gh_1', isAiMade: true };
    await sendCustomerServiceMessage(stub.http, '71_a', 'oUser01', message, options);
    expect(stub.body()).toEqual({
      touser: 'oUser01',
      msgtype: 'text',
      text: { content: 'x' },
      customservice: { kf_account: 'kf1@gh_1' },
      aimsgcontext: { is_ai_msg: 1 },
    });
  });

  it.each([
    [45015, 'window_closed'],
    [45047, 'window_used_up'],
    [40007, 'media_expired'],
  ])('passes on %i as %s', async (errcode, errorClass) => {
    stub.answer = JSON.stringify({ errcode, errmsg: 'no' });
    await expect(
      sendCustomerServiceText(stub.http, '71_a', { openid: 'oUser01', content: 'x' }),
    ).rejects.toMatchObject({ errcode, errorClass });
  });
});
