import type { XmlInput } from '@app/wechat';

import type { MessagePushResult } from './pusher.js';
import type { SandboxAccount, SandboxData, SentMessage } from './state.js';

/** Something that a person did in the conversation with an account, and what came back at once. */
export interface PersonAct {
  appid: string;
  openid: string;
  at: number;
  /** Of the push. */
  fields: XmlInput;
  /** The passive reply, opened, once there is one. */
  reply: Record<string, string> | null;
  repliedAt: number;
  /** The platform did not take it, however often it was tried. */
  isRefused: boolean;
}

/** What a conversation shows. */
export type Content =
  | { type: 'text'; text: string }
  | { type: 'images'; mediaIds: string[] }
  | { type: 'menu'; head: string; items: { id: string; text: string }[]; tail: string }
  | { type: 'cards'; cards: Card[] }
  /** In the middle of the page: it says what happened. */
  | { type: 'note'; text: string };

export interface Card {
  title: string;
  lines: string[];
  /** Where a tap leads. */
  url: string;
  pictureUrl: string;
}

export interface ConversationLine {
  at: number;
  by: 'person' | 'account';
  /** How the account sent it. */
  way: SentMessage['kind'] | 'passive_reply' | null;
  content: Content;
  isRefused: boolean;
}

/** So many are kept, of everybody together. */
const KEPT_ACTS = 1_000;
const EVENTS: Readonly<Record<string, (key: string) => string>> = {
  subscribe: (key) =>
    key === ''
      ? '已关注 Followed'
      : `扫码关注 Followed by a code · ${key.replace(/^qrscene_/, '')}`,
  unsubscribe: () => '已取消关注 Unfollowed',
  scan: (key) => `扫码 Scanned a code · ${key}`,
  click: (key) => `点击菜单 Tapped the menu · ${key}`,
  view: (key) => `打开菜单链接 Opened a menu link · ${key}`,
  user_enter_tempsession: () => '进入客服会话 Entered the conversation',
};

/** Keeps what a person did. @returns null for a push that no person's doing in the conversation brought about */
export function noteAct(
  data: SandboxData,
  appid: string,
  openid: string,
  fields: XmlInput,
  now: number,
): PersonAct | null {
  if (wordOf(fields, 'MsgType') === 'event' && !eventOf(fields)) return null;
  const act = { appid, openid, at: now, fields, reply: null, repliedAt: now, isRefused: false };
  data.acts.push(act);
  if (data.acts.length > KEPT_ACTS) data.acts.shift();
  return act;
}

/** Adds what came of it. */
export function noteReply(
  act: PersonAct | null,
  result: Pick<MessagePushResult, 'attempts' | 'delivered'> & { reply?: PersonAct['reply'] },
  now: number,
): void {
  if (!act) return;
  act.reply = result.reply ?? null;
  act.repliedAt = now;
  act.isRefused = result.attempts.length > 0 && !result.delivered;
}

/** What a person and an account said to each other, the oldest first. */
export function conversationOf(
  data: SandboxData,
  account: SandboxAccount,
  openid: string,
): ConversationLine[] {
  const acts = data.acts.filter((act) => act.appid === account.appid && act.openid === openid);
  const messages = data.messages.filter(
    ({ appid, toUser, isSeen }) => appid === account.appid && toUser === openid && isSeen,
  );
  const lines: ConversationLine[] = [
    ...acts.flatMap(({ at, fields, isRefused, reply, repliedAt }) => [
      { at, by: 'person' as const, way: null, content: actContent(fields), isRefused },
      ...(reply ? [accountLine(repliedAt, 'passive_reply', replyContent(reply))] : []),
    ]),
    ...messages.map(({ at, kind, message }) =>
      accountLine(at, kind, messageContent(account, fieldsOf(message))),
    ),
  ];
  // What has the same moment stays in this order.
  return lines.sort((a, b) => a.at - b.at);
}

function accountLine(at: number, way: ConversationLine['way'], content: Content): ConversationLine {
  return { at, by: 'account', way, content, isRefused: false };
}

function actContent(fields: XmlInput): Content {
  const event = eventOf(fields);
  if (event) return note(event(textOf(fields, 'EventKey')));
  switch (wordOf(fields, 'MsgType')) {
    case 'text':
      return { type: 'text', text: textOf(fields, 'Content') };
    case 'image':
      return { type: 'images', mediaIds: [textOf(fields, 'MediaId')] };
    default:
      return { type: 'text', text: `[${textOf(fields, 'MsgType')}]` };
  }
}

function eventOf(fields: XmlInput): ((key: string) => string) | undefined {
  const event = wordOf(fields, 'Event');
  return Object.hasOwn(EVENTS, event) ? EVENTS[event] : undefined;
}

/** A passive reply has its nested texts by path. */
function replyContent(reply: Record<string, string>): Content {
  const at = (path: string): string => reply[path] ?? '';
  switch (at('MsgType')) {
    case 'text':
      return { type: 'text', text: at('Content') };
    case 'image':
      return { type: 'images', mediaIds: [at('Image.MediaId')] };
    case 'news': {
      const count = Number(at('ArticleCount'));
      const article = (path: string): Card => ({
        title: at(`${path}.Title`),
        lines: [at(`${path}.Description`)],
        url: at(`${path}.Url`),
        pictureUrl: at(`${path}.PicUrl`),
      });
      const cards =
        count > 1
          ? Array.from({ length: count }, (_, place) => article(`Articles.item.${place}`))
          : [article('Articles.item')];
      return { type: 'cards', cards };
    }
    case 'video':
      return card('视频 Video', [at('Video.Title'), at('Video.Description')]);
    case 'music':
      return card(at('Music.Title'), [at('Music.Description')], at('Music.MusicUrl'));
    case 'voice':
      return card('语音 Voice message', []);
    case 'transfer_customer_service':
      return note('转人工客服 Handed over to the human desk');
    default:
      return note(`[${at('MsgType')}]`);
  }
}

function messageContent(account: SandboxAccount, message: Record<string, unknown>): Content {
  if ('template_id' in message) return templateContent(account, message);
  const type = textOf(message, 'msgtype');
  const content = fieldsOf(message[type]);
  const title = textOf(content, 'title');
  switch (type) {
    case 'text':
      return { type: 'text', text: textOf(content, 'content') };
    case 'image':
      return { type: 'images', mediaIds: imagesOf(message) };
    case 'news': {
      const article = fieldsOf(listOf(content['articles'])[0]);
      return card(
        textOf(article, 'title'),
        [textOf(article, 'description')],
        textOf(article, 'url'),
        textOf(article, 'picurl'),
      );
    }
    case 'link':
      return card(
        title,
        [textOf(content, 'description')],
        textOf(content, 'url'),
        textOf(content, 'thumb_url'),
      );
    case 'msgmenu':
      return {
        type: 'menu',
        head: textOf(content, 'head_content'),
        items: listOf(content['list']).map((item) => ({
          id: textOf(fieldsOf(item), 'id'),
          text: textOf(fieldsOf(item), 'content'),
        })),
        tail: textOf(content, 'tail_content'),
      };
    case 'miniprogrampage':
      return card(title, ['小程序 Mini-program', textOf(content, 'pagepath')]);
    case 'music':
      return card(title, [textOf(content, 'description')], textOf(content, 'musicurl'));
    case 'video':
    case 'mpvideo':
      return card('视频 Video', [title, textOf(content, 'description')]);
    case 'voice':
      return card('语音 Voice message', []);
    case 'mpnews':
      return card('图文消息 Article', [textOf(content, 'media_id')]);
    case 'mpnewsarticle':
      return card('图文消息 Article', [textOf(content, 'article_id')]);
    case 'wxcard':
      return card('卡券 Coupon', [textOf(content, 'card_id')]);
    default:
      return note(`[${type}]`);
  }
}

/** A broadcast has several images, and in an object of another name. */
function imagesOf(message: Record<string, unknown>): string[] {
  const several = listOf(fieldsOf(message['images'])['media_ids']);
  return several.length > 0
    ? several.map(String)
    : [textOf(fieldsOf(message['image']), 'media_id')];
}

/** With the values in their places. */
function templateContent(account: SandboxAccount, message: Record<string, unknown>): Content {
  const template = account.templates.find(
    ({ templateId }) => templateId === message['template_id'],
  );
  const data = fieldsOf(message['data']);
  const valueOf = (key: string): string => textOf(fieldsOf(data[key]), 'value');
  const lines = template
    ? template.content.replaceAll(/\{\{(\w+)\.DATA\}\}/g, (_, key: string) => valueOf(key))
    : Object.keys(data)
        .map((key) => `${key}: ${valueOf(key)}`)
        .join('\n');
  const page =
    textOf(message, 'page') || textOf(fieldsOf(message['miniprogram']), 'pagepath') || null;
  return card(
    template?.title ?? textOf(message, 'template_id'),
    [...lines.trim().split('\n'), ...(page ? [`小程序 Mini-program · ${page}`] : [])],
    textOf(message, 'url'),
  );
}

function note(text: string): Content {
  return { type: 'note', text };
}

function card(title: string, lines: string[], url = '', pictureUrl = ''): Content {
  const cards = [{ title, lines: lines.filter((line) => line !== ''), url, pictureUrl }];
  return { type: 'cards', cards };
}

function textOf(fields: Readonly<Record<string, unknown>>, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
}

function wordOf(fields: XmlInput, name: string): string {
  return textOf(fields, name).toLowerCase();
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
