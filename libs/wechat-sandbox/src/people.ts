import type { XmlInput } from '@app/wechat';

import type { AccountType, SandboxAccount } from './state.js';

/** What a person does that lets the account write back. */
export type Activity = 'message' | 'menu_click' | 'follow' | 'scan' | 'enter_session';

/** A right to write back, as one activity gave it. */
export interface SandboxWindow {
  activity: Activity;
  /** Milliseconds. */
  until: number;
  /** Messages that it still allows. */
  left: number;
}

/** What a result is made to say instead of success. */
export interface SpoiltResult {
  /** WeChat's words: `Status` of a template message, `ErrorStatus` of a subscription message. */
  status: string;
  /** `ErrorCode` of a subscription message; default -1. */
  errorCode?: string;
}

/** A person, as one account knows her. */
export interface SandboxPerson {
  isFollower: boolean;
  /** Refuses messages of the account. */
  isBlocking: boolean;
  /** Is on the account's blacklist. */
  isBlacklisted: boolean;
  /** Of the account's tags. */
  tagIds: number[];
  windows: SandboxWindow[];
  /** Consents left, by template; null for a long-term one, which is not used up. */
  grants: Record<string, number | null>;
  /** Broadcasts that arrived, by Shanghai month. */
  broadcasts: Record<string, number>;
  /** For the next messages to her, in their order. */
  spoiltResults: SpoiltResult[];
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

const ALLOWED: Readonly<
  Record<AccountType, Partial<Record<Activity, { count: number; lifeMs: number }>>>
> = {
  official_account: {
    message: { count: 5, lifeMs: 48 * HOUR_MS },
    menu_click: { count: 3, lifeMs: MINUTE_MS },
    follow: { count: 3, lifeMs: MINUTE_MS },
    scan: { count: 3, lifeMs: MINUTE_MS },
  },
  mini_program: {
    message: { count: 5, lifeMs: 48 * HOUR_MS },
    enter_session: { count: 2, lifeMs: MINUTE_MS },
  },
};

/** The events that open a window. A menu item that opens a page does not. */
const EVENTS: Readonly<Record<string, Activity>> = {
  subscribe: 'follow',
  scan: 'scan',
  click: 'menu_click',
  scancode_push: 'menu_click',
  scancode_waitmsg: 'menu_click',
  user_enter_tempsession: 'enter_session',
};

/** The person; a stranger becomes known. */
export function meet(account: SandboxAccount, openid: string): SandboxPerson {
  return (account.people[openid] ??= {
    isFollower: false,
    isBlocking: false,
    isBlacklisted: false,
    tagIds: [],
    windows: [],
    grants: {},
    broadcasts: {},
    spoiltResults: [],
  });
}

/**
 * What WeChat concludes from a message or an event of a person: who follows, and which window opens. Other events, such
 * as results, say nothing about the person.
 *
 * @param now milliseconds
 */
export function noteActivity(
  account: SandboxAccount,
  openid: string,
  fields: XmlInput,
  now: number,
): void {
  if (wordOf(fields, 'MsgType') !== 'event') {
    const person = meet(account, openid);
    person.isFollower = true;
    // A tap on an entry of a message menu comes as a text, and counts as a tap.
    const isTap = fields['bizmsgmenuid'] !== undefined;
    return openWindow(account, person, isTap ? 'menu_click' : 'message', now);
  }
  const event = wordOf(fields, 'Event');
  if (event === 'unsubscribe') {
    Object.assign(meet(account, openid), { isFollower: false, windows: [] });
    return;
  }
  const activity = EVENTS[event];
  if (!activity) return;
  const person = meet(account, openid);
  person.isFollower = true;
  openWindow(account, person, activity, now);
}

/** A later activity of the same sort begins anew; those of other sorts stay beside it. */
function openWindow(
  { accountType }: SandboxAccount,
  person: SandboxPerson,
  activity: Activity,
  now: number,
): void {
  const allowed = ALLOWED[accountType][activity];
  if (!allowed) return;
  person.windows = [
    ...person.windows.filter((window) => window.activity !== activity && window.until > now),
    { activity, until: now + allowed.lifeMs, left: allowed.count },
  ];
}

/** Takes one message out of the window that ends first. @returns what is wrong where none is left */
export function useWindow(person: SandboxPerson, now: number): 'closed' | 'used_up' | null {
  const open = person.windows.filter(({ until }) => until > now);
  if (open.length === 0) return 'closed';
  const [first] = open.filter(({ left }) => left > 0).sort((a, b) => a.until - b.until);
  if (!first) return 'used_up';
  first.left -= 1;
  return null;
}

function wordOf(fields: XmlInput, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value.toLowerCase() : '';
}
