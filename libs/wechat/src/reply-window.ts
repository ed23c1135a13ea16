import type { AccountType } from './permissions.js';
import type { EventPush, MessagePush } from './push.js';

/** What a person does that lets the account write back for a while. */
export const ACTIVITIES = ['message', 'menu_click', 'follow', 'scan', 'enter_session'] as const;
export type Activity = (typeof ACTIVITIES)[number];

/** What one activity allows. */
export interface ReplyWindow {
  /** Customer-service messages. */
  count: number;
  /** How long, from WeChat's time of the activity. */
  seconds: number;
}

export type ReplyWindows = Readonly<
  Record<AccountType, Readonly<Partial<Record<Activity, ReplyWindow>>>>
>;

const TWO_DAYS = 48 * 3_600;
const MINUTE = 60;

/**
 * WeChat's figures as of 2026. They have been changed before, from 20 messages to 5 among others, so nothing but this
 * table says them.
 *
 * @see https://developers.weixin.qq.com/doc/service/guide/product/message/Service_Center_messages.html
 */
export const REPLY_WINDOWS: ReplyWindows = {
  official_account: {
    message: { count: 5, seconds: TWO_DAYS },
    menu_click: { count: 3, seconds: MINUTE },
    follow: { count: 3, seconds: MINUTE },
    scan: { count: 3, seconds: MINUTE },
  },
  mini_program: {
    message: { count: 5, seconds: TWO_DAYS },
    enter_session: { count: 2, seconds: MINUTE },
  },
};

/** A menu item that opens a page (`view`, `view_miniprogram`) is not among them. */
const ACTIVITY_OF_EVENT: ReadonlyMap<string, Activity> = new Map([
  ['subscribe', 'follow'],
  ['scan', 'scan'],
  ['click', 'menu_click'],
  ['scancode_push', 'menu_click'],
  ['scancode_waitmsg', 'menu_click'],
  ['user_enter_tempsession', 'enter_session'],
]);

/**
 * The events by which people act. All others are reports of WeChat's about something else, or come by themselves as
 * `location` does, and say nothing of what a person wants.
 */
const EVENTS_OF_PEOPLE: ReadonlySet<string> = new Set([
  ...ACTIVITY_OF_EVENT.keys(),
  'unsubscribe',
  'view',
  'view_miniprogram',
  'pic_sysphoto',
  'pic_photo_or_album',
  'pic_weixin',
  'location_select',
]);

/** Whether a person has done something: written, or acted in the conversation. */
export function isOfPerson(push: MessagePush | EventPush): boolean {
  return push.kind === 'message' || EVENTS_OF_PEOPLE.has(push.event);
}

/**
 * What lets the account write back, if the push does.
 *
 * A tap on an entry of a message menu comes as a text, and counts as a tap.
 */
export function activityOf(push: MessagePush | EventPush): Activity | null {
  if (push.kind === 'event') return ACTIVITY_OF_EVENT.get(push.event) ?? null;
  return isMenuTap(push) ? 'menu_click' : 'message';
}

/** Whether a text is the tap on an entry of a message menu. */
export function isMenuTap({ fields }: MessagePush): boolean {
  const id = fields['bizmsgmenuid'];
  return typeof id === 'string' && id !== '';
}

const SCENE_PREFIX = 'qrscene_';

/**
 * The scene of the QR code that was scanned.
 *
 * @returns null for an event that no code of the account's led to
 */
export function sceneOf({ event, eventKey }: EventPush): string | null {
  if (event === 'scan') return eventKey;
  if (event !== 'subscribe' || !eventKey?.startsWith(SCENE_PREFIX)) return null;
  // Once only: the scene itself may begin like that.
  return eventKey.slice(SCENE_PREFIX.length) || null;
}
