import { randomBytes } from 'node:crypto';

import { MINIMUM_PERMISSIONS } from '@app/wechat';

import type { PersonAct } from './conversation.js';
import type { SandboxMedia } from './media-api.js';
import type { PushConfig } from './own-push.js';
import type { SandboxPerson } from './people.js';
import type { SandboxQrCode } from './qr-codes.js';
import type { PendingResult } from './results.js';
import type { SandboxTag } from './tag-api.js';
import { readyTemplates, type SandboxTemplate } from './templates.js';

export type AccountType = 'official_account' | 'mini_program';

/** The present authorization of an account to the platform. */
export interface SandboxAuthorization {
  permissionIds: number[];
  refreshToken: string;
  /** WeChat shows the refresh token in its list only after a code was exchanged once. */
  isExchanged: boolean;
  /** Unix seconds. */
  authorizedAt: number;
}

/** An account as WeChat knows it. */
export interface SandboxAccount {
  appid: string;
  accountType: AccountType;
  originalId: string;
  nickname: string;
  alias: string;
  principalName: string;
  /** An address; one that begins with `/` is a picture of the sandbox's own. */
  headImg: string;
  /** The picture of its QR code, likewise. */
  qrcodeUrl: string;
  /** service_type_info: 0 subscription, 2 service; for a mini-program 0 is an ordinary one. */
  serviceType: number;
  /** verify_type_info: 0 verified, -1 not. */
  verifyType: number;
  /** Its own, from its console. */
  appSecret: string;
  isSecretFrozen: boolean;
  /** Where its secret may be used from; null from everywhere. */
  ipWhitelist: string[] | null;
  /** 1 normal, 14 cancelled, 16 banned, 18 warned, 19 frozen. */
  accountStatus: number;
  authorization: SandboxAuthorization | null;
  /** Where its own pushes go; null while nothing is saved in the console. */
  pushConfig: PushConfig | null;
  /** By openid: everybody who ever had to do with it. */
  people: Record<string, SandboxPerson>;
  /** Of template messages; a mini-program's of subscription messages. */
  templates: SandboxTemplate[];
  /** By ticket. */
  qrCodes: Record<string, SandboxQrCode>;
  /** How many permanent QR codes it may make. */
  permanentQrCodes: number;
  tags: SandboxTag[];
  /** Of a mini-program; null for any. */
  pages: string[] | null;
  /** Words that WeChat refuses to send. */
  refusedWords: string[];
  /** Template messages by openid and client_msg_id. */
  clientMsgIds: Record<string, { msgid: string; at: number }>;
  broadcasts: SandboxBroadcast[];
  /** Calls of today by path. */
  usage: Record<string, number>;
  /** The Shanghai day of `usage`; null before the first call. */
  usageDay: string | null;
  /** Calls of the present minute by path. */
  minuteUsage: Record<string, { minute: number; calls: number }>;
  /** Resets by Shanghai month, e.g. `2026-11`. */
  resets: Record<string, number>;
}

interface IssuedToken {
  /** `own`: by the account's AppSecret. */
  kind: 'component' | 'authorizer' | 'own';
  appid: string;
  expiresAt: number;
  /** A newer one was handed out. */
  isRetired: boolean;
  /** The code that it was exchanged for; missing when it came by a refresh. */
  authorizationCode?: string;
}

interface IssuedCode {
  appid: string;
  expiresAt: number;
  isUsed: boolean;
}

/** A broadcast that WeChat has taken. */
export interface SandboxBroadcast {
  msgid: string;
  clientMsgId: string | null;
  /** Milliseconds. */
  at: number;
  status: 'SEND_SUCCESS' | 'DELETE';
}

/** A message that WeChat has taken. */
export interface SentMessage {
  kind: 'customer_service_message' | 'template_message' | 'subscription_message' | 'broadcast';
  appid: string;
  toUser: string;
  /** Its number; a customer-service message has none. */
  msgid: string | null;
  /** It arrived: false where its result says that it did not. */
  isSeen: boolean;
  message: unknown;
  at: number;
  /** The code whose exchange gave the token it was sent with; null for a token that came by a refresh. */
  authorizationCode: string | null;
}

/** Everything the sandbox knows. Plain data, so that it can be kept in a file. */
export interface SandboxData {
  /** How far `advance` has moved the sandbox's time. */
  clockOffsetMs: number;
  accounts: Record<string, SandboxAccount>;
  /** Tickets that were pushed, with the moment (ms) of their push. */
  tickets: Record<string, number>;
  accessTokens: Record<string, IssuedToken>;
  /** The value of {@link SandboxAccount.authorization}'s former refresh token, usable until (ms). */
  formerRefreshTokens: Record<string, { appid: string; until: number }>;
  preAuthCodes: Record<string, { expiresAt: number; isUsed: boolean }>;
  authorizationCodes: Record<string, IssuedCode>;
  rids: Record<string, { path: string; at: number; request: string; response: string }>;
  /** Every refresh of a token brings another refresh token and kills the one it was made with. */
  rotatesAtRefresh: boolean;
  /** Daily limits by path, for every account, in place of WeChat's. */
  dailyLimits: Record<string, number>;
  /** Calls a minute by path, for each account; without one, as many as come. */
  minuteLimits: Record<string, number>;
  /** The platform's own resets by Shanghai month. */
  componentResets?: Record<string, number>;
  /** What was sent to people. */
  messages: SentMessage[];
  /** What people did in conversations, the latest of it. */
  acts: PersonAct[];
  /** By media id. */
  media: Record<string, SandboxMedia>;
  /** Results that are held. */
  results: PendingResult[];
  serial: number;
}

export function emptyData(): SandboxData {
  return {
    clockOffsetMs: 0,
    accounts: {},
    tickets: {},
    accessTokens: {},
    formerRefreshTokens: {},
    preAuthCodes: {},
    authorizationCodes: {},
    rids: {},
    rotatesAtRefresh: false,
    dailyLimits: {},
    minuteLimits: {},
    messages: [],
    acts: [],
    media: {},
    results: [],
    serial: 0,
  };
}

/** A value in the style of WeChat's, never the same twice. */
export function randomValue(prefix: string): string {
  return prefix + randomBytes(24).toString('base64url');
}

/** A message's number: 19 digits, more than a double holds. */
export function randomMsgId(): string {
  return String(10n ** 18n + (randomBytes(8).readBigUInt64BE() % (9n * 10n ** 18n)));
}

/** Fills in what a caller leaves out. */
export function makeAccount(given: Partial<SandboxAccount> & { appid: string }): SandboxAccount {
  const accountType = given.accountType ?? 'official_account';
  return {
    accountType,
    originalId: `gh_${given.appid.slice(2, 14)}`,
    nickname: `沙箱账号 ${given.appid.slice(-4)}`,
    alias: '',
    principalName: '沙箱科技有限公司',
    headImg: '',
    qrcodeUrl: '',
    serviceType: accountType === 'official_account' ? 2 : 0,
    verifyType: 0,
    appSecret: given.appid.slice(2).repeat(2),
    isSecretFrozen: false,
    ipWhitelist: null,
    accountStatus: 1,
    authorization: null,
    pushConfig: null,
    people: {},
    templates: readyTemplates(given.appid, accountType),
    qrCodes: {},
    permanentQrCodes: 100_000,
    tags: [{ id: 2, name: '星标组' }],
    pages: null,
    refusedWords: [],
    clientMsgIds: {},
    broadcasts: [],
    usage: {},
    usageDay: null,
    minuteUsage: {},
    resets: {},
    ...given,
  };
}

/** One account of each sort that matters. */
export function readyAccounts(): SandboxAccount[] {
  return [
    withPictures({
      appid: 'wx1badb002feedface',
      originalId: 'gh_0123456789ab',
      nickname: '示例花店',
      alias: 'flower-shop',
      principalName: '示例花店有限公司',
    }),
    withPictures({
      appid: 'wx0fa11babe0fa11ba',
      originalId: 'gh_1123456789ab',
      nickname: '示例早报',
      principalName: '示例传媒有限公司',
      serviceType: 0,
    }),
    withPictures({
      appid: 'wx2b00b1e52b00b1e5',
      originalId: 'gh_2123456789ab',
      nickname: '小张的随笔',
      principalName: '个人',
      serviceType: 0,
      verifyType: -1,
    }),
    withPictures({
      appid: 'wx3c0ffee53c0ffee5',
      originalId: 'gh_3123456789ab',
      accountType: 'mini_program',
      nickname: '示例花店商城',
      principalName: '示例花店有限公司',
    }),
  ];
}

function withPictures(given: Partial<SandboxAccount> & { appid: string }): SandboxAccount {
  const { appid } = given;
  return makeAccount({
    ...given,
    headImg: `/mmopen/${appid}/0`,
    qrcodeUrl: `/mmbiz_png/${appid}/0`,
  });
}

/** The permission sets that the platform has chosen in its console, and so asks of an account. */
export function offeredPermissions(accountType: AccountType): number[] {
  return MINIMUM_PERMISSIONS[accountType].map(({ id }) => id);
}

/** `2026-11`: WeChat counts in Chinese time. */
export function shanghaiMonth(now: number): string {
  return new Date(now + 8 * 3_600_000).toISOString().slice(0, 7);
}

/** `2026-11-22`, likewise. */
export function shanghaiDay(now: number): string {
  return new Date(now + 8 * 3_600_000).toISOString().slice(0, 10);
}

/** Whether a content has a word that WeChat refuses to send. */
export function refusedWord({ refusedWords }: SandboxAccount, content: unknown): boolean {
  const words = JSON.stringify(content);
  return refusedWords.some((word) => words.includes(word));
}
