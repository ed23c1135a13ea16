import { type ApiCall, type ApiFamily, OK, Refusal, textOf } from './api.js';
import { checkMediaId } from './media-api.js';
import { useWindow } from './people.js';
import { callerOf, checkAbility, keepMessage, objectOf, recipientOf } from './sending.js';
import type { AccountType } from './state.js';

const MAX_TEXT_BYTES = 2048;

type Content = Record<string, unknown>;
type Check = (content: Content, call: ApiCall) => void;

const needs =
  (...names: string[]): Check =>
  (content) => {
    for (const name of names) textOf(content, name, new Refusal(44004, `empty ${name}`));
  };
const medium =
  (name: string): Check =>
  (content, call) =>
    checkMediaId(call, content[name]);
const all =
  (...checks: Check[]): Check =>
  (content, call) => {
    for (const check of checks) check(content, call);
  };

const text: Check = (content) => {
  const words = textOf(content, 'content', new Refusal(44004, 'empty content'));
  if (Buffer.byteLength(words) > MAX_TEXT_BYTES)
    throw new Refusal(45002, 'content size out of limit');
};

const news: Check = ({ articles }) => {
  if (!Array.isArray(articles) || articles.length === 0)
    throw new Refusal(44003, 'empty news data');
  if (articles.length > 1) throw new Refusal(45008, 'article size out of limit');
};

const menu: Check = ({ list }) => {
  if (!Array.isArray(list) || list.length === 0)
    throw new Refusal(45098, 'the size of list is invalid');
};

/** What each kind of account may send, and what is looked at. */
const TYPES: Readonly<Record<AccountType, Readonly<Record<string, Check>>>> = {
  official_account: {
    text,
    image: medium('media_id'),
    voice: medium('media_id'),
    video: all(medium('media_id'), medium('thumb_media_id')),
    music: all(needs('musicurl', 'hqmusicurl'), medium('thumb_media_id')),
    news,
    mpnews: medium('media_id'),
    mpnewsarticle: needs('article_id'),
    msgmenu: menu,
    miniprogrampage: all(needs('title', 'appid', 'pagepath'), medium('thumb_media_id')),
    wxcard: needs('card_id'),
  },
  mini_program: {
    text,
    image: medium('media_id'),
    link: needs('title', 'description', 'url', 'thumb_url'),
    miniprogrampage: all(needs('title', 'pagepath'), medium('thumb_media_id')),
  },
};

/** Messages to people who have been active. They have no number, and no result is told. */
export const customerServiceApi: ApiFamily = {
  '/cgi-bin/message/custom/send': {
    token: 'authorizer',
    permissions: [1, 6, 19, 100, 101],
    handle: (call) => {
      const account = callerOf(call);
      checkAbility(account, {});
      const { openid, person } = recipientOf(call, account);
      const type = textOf(call.body, 'msgtype', new Refusal(40008, 'invalid message type'));
      const types = TYPES[account.accountType];
      const check = Object.hasOwn(types, type) ? types[type] : undefined;
      if (!check) throw new Refusal(40008, 'invalid message type');
      check(objectOf(call.body, type), call);
      if (person.isBlacklisted) throw new Refusal(43019, 'require remove blacklist');
      if (person.isBlocking) throw new Refusal(48002, 'user block receive message');
      switch (person.isFollower ? useWindow(person, call.world.now()) : 'closed') {
        case 'closed':
          throw new Refusal(45015, 'response out of time limit or subscription is canceled');
        case 'used_up':
          throw new Refusal(45047, 'out of response count limit');
        case null:
          keepMessage(call, {
            kind: 'customer_service_message',
            toUser: openid,
            msgid: null,
            isSeen: true,
          });
          return OK;
      }
    },
  },
};
