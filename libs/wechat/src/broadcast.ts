import { messageId, objects, optionalText } from './answer.js';
import type { WechatHttp } from './http.js';
import type { XmlObject, XmlValue } from './xml.js';

/** What is broadcast (群发). */
export type BroadcastContent =
  | { type: 'text'; text: string }
  /** A draft, by its media id. After a successful broadcast the draft is gone. */
  | { type: 'article'; mediaId: string }
  | {
      type: 'image';
      mediaIds: readonly string[];
      /** The words above them. */
      recommendation?: string;
      commentsOpen?: boolean;
      followersOnly?: boolean;
    }
  | { type: 'voice'; mediaId: string }
  /** By the id that `media/uploadvideo` makes of an uploaded one. Title and description are for a list of people. */
  | { type: 'video'; mediaId: string; title?: string; description?: string };

const MASS = '/cgi-bin/message/mass';

/**
 * Shows a broadcast to one person, who has to follow the account. By WeChat name, 100 a day.
 *
 * @param accessToken the account's own
 * @param content of several images, the first is shown: WeChat previews no more
 * @returns the message's number; null where WeChat gives none
 * @throws WechatApiError 40003 or 43004 for a person who does not follow, 40007 for a medium that WeChat does not have
 * @see https://developers.weixin.qq.com/doc/service/api/notify/message/api_preview
 */
export async function previewBroadcast(
  http: WechatHttp,
  accessToken: string,
  to: { openid: string } | { wechatName: string },
  content: BroadcastContent,
): Promise<{ msgid: string | null }> {
  const answer = await http.post(
    `${MASS}/preview`,
    {
      ...('openid' in to ? { touser: to.openid } : { towxname: to.wechatName }),
      ...(content.type === 'image'
        ? { msgtype: 'image', image: { media_id: content.mediaIds[0] ?? '' } }
        : contentOf(content)),
    },
    { accessToken },
  );
  return { msgid: messageId(answer, 'msg_id') };
}

/** Whom a broadcast goes to. A list has 2..10,000 openids and is for verified service accounts only. */
export type BroadcastAudience =
  | { type: 'all' }
  | { type: 'tag'; tagId: number }
  | { type: 'recipients'; openids: readonly string[] };

export interface Broadcast {
  audience: BroadcastAudience;
  content: BroadcastContent;
  /** For 24 hours, WeChat broadcasts once for one id. At most 32 bytes. */
  clientMsgId: string;
  /** Goes on where WeChat takes the article for a reprint that its author allows; default false. */
  allowsReprint?: boolean;
}

/** That WeChat has taken a broadcast. */
export interface BroadcastReceipt {
  /** What {@link BROADCAST_RESULT_EVENT} and the other calls know it by; null when WeChat does not say. */
  msgid: string | null;
  /** For the statistics of an article; of articles only, and not of a repetition. */
  msgDataId: string | null;
  /** It was taken before, by an earlier call with this id. */
  isRepetition: boolean;
}

/** With it comes the number of the earlier broadcast. */
const ALREADY_TAKEN = 45065;
const MIN_RECIPIENTS = 2;
const MAX_RECIPIENTS = 10_000;
const MAX_CLIENT_MSG_ID_BYTES = 32;

/**
 * Broadcasts. A success means that WeChat has taken the task. After a lost answer the same call may be made again, at
 * the earliest after a minute: the id makes a second broadcast impossible.
 *
 * @param accessToken the account's own
 * @throws WechatApiError 45028 when the period's broadcasts are used up, 45066 when the same id came again too soon,
 *   89501..89505 while the account's administrator has to confirm it, 48003 until its operator has agreed to WeChat's terms
 * @throws RangeError for another number of recipients, or an id that is too long
 * @see https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall
 */
export async function sendBroadcast(
  http: WechatHttp,
  accessToken: string,
  broadcast: Broadcast,
): Promise<BroadcastReceipt> {
  const { audience, content, clientMsgId, allowsReprint } = broadcast;
  if (Buffer.byteLength(clientMsgId) > MAX_CLIENT_MSG_ID_BYTES)
    throw new RangeError('A clientmsgid has at most 32 bytes.');
  const path = audience.type === 'recipients' ? `${MASS}/send` : `${MASS}/sendall`;
  const answer = await http.post(
    path,
    {
      ...audienceOf(audience),
      ...contentOf(content),
      send_ignore_reprint: allowsReprint ? 1 : 0,
      clientmsgid: clientMsgId,
    },
    { accessToken, accepts: [ALREADY_TAKEN] },
  );
  return {
    msgid: messageId(answer, 'msg_id'),
    msgDataId: messageId(answer, 'msg_data_id'),
    isRepetition: answer['errcode'] === ALREADY_TAKEN,
  };
}

/**
 * Deletes the articles or videos of a broadcast that has ended. The card stays in people's chats; opened, it says that
 * it was deleted. An article that was broadcast several times is gone from all of them.
 *
 * @param articleIndex from 1; without one, all of its articles
 * @see https://developers.weixin.qq.com/doc/service/api/notify/message/api_deletemassmsg
 */
export async function deleteBroadcast(
  http: WechatHttp,
  accessToken: string,
  msgid: string,
  articleIndex?: number,
): Promise<void> {
  await http.post(
    `${MASS}/delete`,
    { msg_id: msgid, ...(articleIndex !== undefined && { article_idx: articleIndex }) },
    { accessToken },
  );
}

export type BroadcastStatus = 'sending' | 'sent' | 'failed' | 'deleted';

const STATUSES: Readonly<Record<string, BroadcastStatus>> = {
  SENDING: 'sending',
  SEND_SUCCESS: 'sent',
  SEND_FAIL: 'failed',
  DELETE: 'deleted',
};

/**
 * Asks how far a broadcast is, without counts: for when its event does not come.
 *
 * @returns null for a status that is not known
 * @see https://developers.weixin.qq.com/doc/service/api/notify/message/api_getmassmsg
 */
export async function getBroadcastStatus(
  http: WechatHttp,
  accessToken: string,
  msgid: string,
): Promise<BroadcastStatus | null> {
  const answer = await http.post(`${MASS}/get`, { msg_id: msgid }, { accessToken });
  return STATUSES[optionalText(answer, 'msg_status') ?? ''] ?? null;
}

/** The event at the end of a broadcast, as {@link EventPush.event} has it. */
export const BROADCAST_RESULT_EVENT = 'masssendjobfinish';

/** Why WeChat did not send: by the number in `err(…)`. */
export type BroadcastRefusal =
  /** Advertising, politics, society, pornography, crime, fraud, copyright, mutual promotion and the like. */
  | 'content'
  /** Taken for a reprint that may not be sent. */
  | 'reprint'
  /** WeChat's own check of originality failed. */
  | 'originality_check_failed'
  | 'refused_by_administrator'
  /** Not confirmed within 30 minutes. */
  | 'not_confirmed';

export interface BroadcastResult {
  msgid: string | null;
  outcome: 'sent' | 'failed';
  refusal: BroadcastRefusal | null;
  /** WeChat's own words. */
  status: string;
  /** In people. Slightly off: the event comes shortly before the end. `sent` + `failed` make about `reachable`. */
  counts: {
    total: number;
    /** Left after those who refuse, and those who had their four of the month. */
    reachable: number;
    sent: number;
    failed: number;
  };
  /** By the article's place, from 1. */
  articles: { index: number; url: string }[];
}

/**
 * Reads {@link BROADCAST_RESULT_EVENT}. `sent` may hide failures of single people: see the counts.
 *
 * @param fields of the push
 * @see https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html
 */
export function readBroadcastResult(fields: XmlObject): BroadcastResult {
  const status = optionalText(fields, 'Status') ?? '';
  const code = /^err\s*\(\s*(\d+)\s*\)$/i.exec(status.trim())?.[1];
  return {
    msgid: messageId(fields, 'MsgID') ?? messageId(fields, 'MsgId'),
    outcome: /^send\s*success$/i.test(status.trim()) ? 'sent' : 'failed',
    refusal: code === undefined ? null : refusalOf(Number(code)),
    status,
    counts: {
      total: countOf(fields['TotalCount']),
      reachable: countOf(fields['FilterCount']),
      sent: countOf(fields['SentCount']),
      failed: countOf(fields['ErrorCount']),
    },
    articles: articlesOf(fields['ArticleUrlResult']),
  };
}

function refusalOf(code: number): BroadcastRefusal {
  switch (code) {
    case 30001:
      return 'originality_check_failed';
    case 30002:
    case 30003:
      return 'reprint';
    case 40001:
      return 'refused_by_administrator';
    case 40002:
      return 'not_confirmed';
    default:
      return 'content';
  }
}

function countOf(value: XmlValue | undefined): number {
  return typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : 0;
}

function articlesOf(result: XmlValue | undefined): BroadcastResult['articles'] {
  const list = isFields(result) ? result['ResultList'] : undefined;
  const items = isFields(list) ? list['item'] : undefined;
  return objects({ items: Array.isArray(items) ? items : [items] }, 'items').flatMap((item) => {
    const url = optionalText(item, 'ArticleUrl');
    const index = Number(optionalText(item, 'ArticleIdx') ?? Number.NaN);
    return url !== null && Number.isInteger(index) ? [{ index, url }] : [];
  });
}

function isFields(value: XmlValue | undefined): value is XmlObject {
  return typeof value === 'object' && !Array.isArray(value);
}

function audienceOf(audience: BroadcastAudience): object {
  switch (audience.type) {
    case 'all':
      return { filter: { is_to_all: true } };
    case 'tag':
      return { filter: { is_to_all: false, tag_id: audience.tagId } };
    case 'recipients': {
      const { openids } = audience;
      if (openids.length < MIN_RECIPIENTS || openids.length > MAX_RECIPIENTS)
        throw new RangeError('A broadcast by list has 2..10,000 recipients.');
      return { touser: openids };
    }
  }
}

function contentOf(content: BroadcastContent): object {
  switch (content.type) {
    case 'text':
      return { msgtype: 'text', text: { content: content.text } };
    case 'article':
      return { msgtype: 'mpnews', mpnews: { media_id: content.mediaId } };
    case 'voice':
      return { msgtype: 'voice', voice: { media_id: content.mediaId } };
    case 'image': {
      const { mediaIds, recommendation, commentsOpen, followersOnly } = content;
      // The object is called otherwise than the type.
      return {
        msgtype: 'image',
        images: {
          media_ids: mediaIds,
          ...(recommendation !== undefined && { recommend: recommendation }),
          ...(commentsOpen !== undefined && { need_open_comment: commentsOpen ? 1 : 0 }),
          ...(followersOnly !== undefined && { only_fans_can_comment: followersOnly ? 1 : 0 }),
        },
      };
    }
    case 'video': {
      const { mediaId, title, description } = content;
      return {
        msgtype: 'mpvideo',
        mpvideo: {
          media_id: mediaId,
          ...(title !== undefined && { title }),
          ...(description !== undefined && { description }),
        },
      };
    }
  }
}
