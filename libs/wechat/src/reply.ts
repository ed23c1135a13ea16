import { encryptMessage, sign } from './crypto.js';
import type { PushFormat } from './push.js';
import { buildXml, type XmlInput } from './xml.js';

/** Who a passive reply goes to and comes from: those of the message it answers, swapped. */
export interface ReplyHead {
  /** The person's openid. */
  to: string;
  /** The account's original id, `gh_…`. */
  from: string;
  /** Unix seconds. */
  createTime: number;
}

export interface Article {
  title: string;
  description: string;
  imageUrl: string;
  url: string;
}

const MAX_ARTICLES = 8;

/**
 * A text reply. @param content may hold line breaks and links
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function textReply(head: ReplyHead, content: string): string {
  return reply(head, 'text', { Content: content });
}

/**
 * An image that WeChat keeps already.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function imageReply(head: ReplyHead, mediaId: string): string {
  return reply(head, 'image', { Image: { MediaId: mediaId } });
}

/**
 * A voice message that WeChat keeps already.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function voiceReply(head: ReplyHead, mediaId: string): string {
  return reply(head, 'voice', { Voice: { MediaId: mediaId } });
}

/**
 * A video that WeChat keeps already.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function videoReply(
  head: ReplyHead,
  video: { mediaId: string; title: string; description: string },
): string {
  return reply(head, 'video', {
    Video: { MediaId: video.mediaId, Title: video.title, Description: video.description },
  });
}

/**
 * Music by address.
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function musicReply(
  head: ReplyHead,
  music: { title: string; description: string; url: string; hqUrl: string; thumbMediaId: string },
): string {
  return reply(head, 'music', {
    Music: {
      Title: music.title,
      Description: music.description,
      MusicUrl: music.url,
      HQMusicUrl: music.hqUrl,
      ThumbMediaId: music.thumbMediaId,
    },
  });
}

/**
 * Articles. @param articles 1..8 @throws RangeError for another number of them
 *
 * @see https://developers.weixin.qq.com/doc/offiaccount/Message_Management/Passive_user_reply_message.html
 */
export function newsReply(head: ReplyHead, articles: readonly Article[]): string {
  if (articles.length < 1 || articles.length > MAX_ARTICLES) {
    throw new RangeError(`A news reply has 1..${MAX_ARTICLES} articles.`);
  }
  return reply(head, 'news', {
    ArticleCount: articles.length,
    Articles: {
      item: articles.map(({ title, description, imageUrl, url }) => ({
        Title: title,
        Description: description,
        PicUrl: imageUrl,
        Url: url,
      })),
    },
  });
}

/** Hands the person over to the human desk. @see https://developers.weixin.qq.com/doc/offiaccount/Customer_Service/Forwarding_of_messages_to_service_center.html */
export function transferCustomerServiceReply(head: ReplyHead): string {
  return reply(head, 'transfer_customer_service', {});
}

function reply({ to, from, createTime }: ReplyHead, msgType: string, content: XmlInput): string {
  return buildXml({
    ToUserName: to,
    FromUserName: from,
    CreateTime: createTime,
    MsgType: msgType,
    ...content,
  });
}

/**
 * Encrypts and signs a passive reply.
 *
 * @param clear the reply's document, in the format of the push
 * @param options the key that opened the push, the appid that stood at its end, and the reply's own
 *   timestamp (unix seconds) and nonce, which its signature covers
 * @returns the envelope to answer with
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/message_push.html
 */
export function sealReply(
  clear: string,
  options: {
    token: string;
    encodingAesKey: string;
    appid: string;
    timestamp: number;
    nonce: string;
    format: PushFormat;
  },
): string {
  const { token, encodingAesKey, appid, timestamp, nonce, format } = options;
  const encrypted = encryptMessage(encodingAesKey, clear, appid);
  const envelope = {
    Encrypt: encrypted,
    MsgSignature: sign(token, String(timestamp), nonce, encrypted),
    TimeStamp: timestamp,
    Nonce: nonce,
  };
  return format === 'xml' ? buildXml(envelope) : JSON.stringify(envelope);
}
