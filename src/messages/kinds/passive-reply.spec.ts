import { parseXml } from '@app/wechat';
import { describe, expect, it } from '@jest/globals';

import type { AnyMessageDto } from './customer-service-message.dto.js';
import { PASSIVE_TYPES, passiveMediaOf, passiveReply } from './passive-reply.js';

const HEAD = { to: 'oPerson', from: 'gh_account', createTime: 1_785_000_001 };
const URL = 'https://m.example.com/a';
const MESSAGES: [AnyMessageDto, object | null][] = [
  [
    { type: 'text', text: 'a<b>]]>c' },
    { MsgType: 'text', Content: 'a<b>]]>c' },
  ],
  [
    { type: 'image', mediaId: 'm' },
    { MsgType: 'image', Image: { MediaId: 'image of m' } },
  ],
  [
    { type: 'voice', mediaId: 'm' },
    { MsgType: 'voice', Voice: { MediaId: 'voice of m' } },
  ],
  [
    { type: 'video', mediaId: 'm', thumbMediaId: 't', title: 'T', description: 'D' },
    { MsgType: 'video', Video: { MediaId: 'video of m', Title: 'T', Description: 'D' } },
  ],
  [
    { type: 'music', url: URL, hqUrl: `${URL}?hq`, thumbMediaId: 't', title: 'T' },
    {
      MsgType: 'music',
      Music: {
        ...{ Title: 'T', Description: '', MusicUrl: URL, HQMusicUrl: `${URL}?hq` },
        ThumbMediaId: 'thumb of t',
      },
    },
  ],
  [
    { type: 'news', title: 'T', description: 'D', url: URL, imageUrl: `${URL}.jpg` },
    {
      MsgType: 'news',
      ArticleCount: '1',
      Articles: { item: { Title: 'T', Description: 'D', PicUrl: `${URL}.jpg`, Url: URL } },
    },
  ],
  [{ type: 'article', mediaId: 'm' }, null],
  [{ type: 'published_article', articleId: 'a' }, null],
  [{ type: 'menu', head: 'h', items: [{ id: 'i', text: 't' }], tail: '' }, null],
  [{ type: 'mini_program_page', title: 't', appid: 'wx', pagePath: 'p', thumbMediaId: 'm' }, null],
  [{ type: 'link', title: 't', description: 'd', url: URL, thumbUrl: URL }, null],
  [{ type: 'card', cardId: 'c' }, null],
];

describe('a customer-service message as a passive reply', () => {
  it.each(MESSAGES)('%j', (message, expected) => {
    const document = passiveReply(message, HEAD, (id, kind) => `${kind} of ${id}`);
    expect(document && { ...parseXml(document) }).toEqual(
      expected && {
        ...{ ToUserName: 'oPerson', FromUserName: 'gh_account', CreateTime: '1785000001' },
        ...expected,
      },
    );
    expect(PASSIVE_TYPES.includes(message.type)).toBe(expected !== null);
  });

  it.each(MESSAGES.filter(([message]) => passiveMediaOf(message).length > 0))(
    'is none while its medium is not ready: %j',
    (message) => {
      expect(passiveReply(message, HEAD, () => null)).toBeNull();
    },
  );
});
