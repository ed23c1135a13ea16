import type { WechatHttp } from './http.js';
import type { AccountType } from './permissions.js';

/** A customer-service message (客服消息). Texts and numbers of media are WeChat's own. */
export type CustomerServiceMessage =
  /** May hold links, into a mini-program too. Up to 2,048 bytes. */
  | { type: 'text'; text: string }
  | { type: 'image'; mediaId: string }
  | { type: 'voice'; mediaId: string }
  | { type: 'video'; mediaId: string; thumbMediaId: string; title?: string; description?: string }
  | {
      type: 'music';
      url: string;
      hqUrl: string;
      thumbMediaId: string;
      title?: string;
      description?: string;
    }
  /** One card that links to an address. */
  | { type: 'news'; title: string; description: string; url: string; imageUrl: string }
  /** An article of the library, by its media id: of old accounts only. */
  | { type: 'article'; mediaId: string }
  /** An article that was published (发布), by the id of its publication. */
  | { type: 'published_article'; articleId: string }
  /** A question with answers to tap. A tap comes back as a text message with `bizmsgmenuid`, and opens a window of one minute. */
  | { type: 'menu'; head: string; items: { id: string; text: string }[]; tail: string }
  /** `appid` is for official accounts: one that is linked to them. A mini-program sends pages of its own. */
  | {
      type: 'mini_program_page';
      title: string;
      appid?: string;
      pagePath: string;
      thumbMediaId: string;
    }
  | { type: 'link'; title: string; description: string; url: string; thumbUrl: string }
  | { type: 'card'; cardId: string };

export type CustomerServiceType = CustomerServiceMessage['type'];

/** What each type of account can send. */
export const CUSTOMER_SERVICE_TYPES: Readonly<Record<AccountType, readonly CustomerServiceType[]>> =
  {
    official_account: [
      'text',
      'image',
      'voice',
      'video',
      'music',
      'news',
      'article',
      'published_article',
      'menu',
      'mini_program_page',
      'card',
    ],
    mini_program: ['text', 'image', 'link', 'mini_program_page'],
  };

/** WeChat answers 45002 above it. In bytes of UTF-8. */
export const MAX_CUSTOMER_SERVICE_TEXT_BYTES = 2048;

/**
 * Sends a customer-service message to a person who has been active lately. WeChat gives it no number, tells of no
 * result, and has no id that makes a repetition harmless: a lost answer must not be followed by a second try.
 *
 * @param accessToken the account's own
 * @param message one of the account's types: see {@link CUSTOMER_SERVICE_TYPES}
 * @param options `agent`: in whose name, the account of a human agent; `isAiMade`: marked as written by a machine
 * @throws WechatApiError 45015 when the person's window is closed, 45047 when it is used up, 40007 when a medium is
 *   unknown or its three days are over
 * @see https://developers.weixin.qq.com/doc/service/api/customer/message/api_sendcustommessage
 */
export async function sendCustomerServiceMessage(
  http: WechatHttp,
  accessToken: string,
  openid: string,
  message: CustomerServiceMessage,
  options: { agent?: string; isAiMade?: boolean } = {},
): Promise<void> {
  const { agent, isAiMade } = options;
  await http.post(
    '/cgi-bin/message/custom/send',
    {
      touser: openid,
      ...contentOf(message),
      ...(agent !== undefined && { customservice: { kf_account: agent } }),
      ...(isAiMade === true && { aimsgcontext: { is_ai_msg: 1 } }),
    },
    { accessToken },
  );
}

/** Sends a text: see {@link sendCustomerServiceMessage}. */
export async function sendCustomerServiceText(
  http: WechatHttp,
  accessToken: string,
  message: { openid: string; content: string },
): Promise<void> {
  const { openid, content } = message;
  await sendCustomerServiceMessage(http, accessToken, openid, { type: 'text', text: content });
}

function contentOf(message: CustomerServiceMessage): object {
  switch (message.type) {
    case 'text':
      return { msgtype: 'text', text: { content: message.text } };
    case 'image':
      return { msgtype: 'image', image: { media_id: message.mediaId } };
    case 'voice':
      return { msgtype: 'voice', voice: { media_id: message.mediaId } };
    case 'video':
      return {
        msgtype: 'video',
        video: {
          media_id: message.mediaId,
          thumb_media_id: message.thumbMediaId,
          ...titleOf(message),
        },
      };
    case 'music':
      return {
        msgtype: 'music',
        music: {
          ...titleOf(message),
          musicurl: message.url,
          hqmusicurl: message.hqUrl,
          thumb_media_id: message.thumbMediaId,
        },
      };
    case 'news': {
      const { title, description, url, imageUrl } = message;
      return {
        msgtype: 'news',
        news: { articles: [{ title, description, url, picurl: imageUrl }] },
      };
    }
    case 'article':
      return { msgtype: 'mpnews', mpnews: { media_id: message.mediaId } };
    case 'published_article':
      return { msgtype: 'mpnewsarticle', mpnewsarticle: { article_id: message.articleId } };
    case 'menu':
      return {
        msgtype: 'msgmenu',
        msgmenu: {
          head_content: message.head,
          list: message.items.map(({ id, text }) => ({ id, content: text })),
          tail_content: message.tail,
        },
      };
    case 'mini_program_page':
      return {
        msgtype: 'miniprogrampage',
        miniprogrampage: {
          title: message.title,
          ...(message.appid !== undefined && { appid: message.appid }),
          pagepath: message.pagePath,
          thumb_media_id: message.thumbMediaId,
        },
      };
    case 'link': {
      const { title, description, url, thumbUrl } = message;
      return { msgtype: 'link', link: { title, description, url, thumb_url: thumbUrl } };
    }
    case 'card':
      return { msgtype: 'wxcard', wxcard: { card_id: message.cardId } };
  }
}

function titleOf({ title, description }: { title?: string; description?: string }): object {
  return {
    ...(title !== undefined && { title }),
    ...(description !== undefined && { description }),
  };
}
