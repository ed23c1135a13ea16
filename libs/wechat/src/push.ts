import { hash } from 'node:crypto';

import { decryptMessage, sameText, sign } from './crypto.js';
import { parsePushJson } from './json.js';
import { PushError, type PushRefusal } from './push-error.js';
import { isSubscriptionEvent, readSubscriptionEvent } from './subscription-event.js';
import { parseXml, type XmlObject, type XmlValue } from './xml.js';

/** 明文 / 兼容 / 安全: what the account's record says, whatever a request claims. */
export type EncryptionMode = 'plaintext' | 'compatible' | 'secure';
export type PushFormat = 'xml' | 'json';

/** The query of a push, as WeChat names it. A parameter that is missing or stands twice is undefined. */
export interface PushQuery {
  signature?: string;
  timestamp?: string;
  nonce?: string;
  msgSignature?: string;
  echostr?: string;
  /** The sender of a user's message. */
  openid?: string;
}

/** What a door expects of the pushes that come through it. */
export interface PushCredentials {
  /** The current Token first; previous ones that are still accepted behind it. */
  tokens: readonly string[];
  /** The current EncodingAESKey first; empty only for plaintext. */
  encodingAesKeys: readonly string[];
  /** What the ciphertext must end with: the component's appid for both of its addresses. */
  appid: string;
  mode: EncryptionMode;
  formats: readonly PushFormat[];
}

/** A push that is WeChat's beyond doubt. */
export interface OpenedPush {
  format: PushFormat;
  /** The clear document, to the letter. */
  content: string;
  /** The same, read. Every value is text. */
  fields: XmlObject;
  /** The key that opened it, with which a reply must be encrypted; null for plaintext. */
  encodingAesKey: string | null;
}

/**
 * Picks WeChat's parameters out of a parsed query string.
 *
 * @param query values that are not one text each, e.g. of a repeated parameter, are left out
 */
export function readPushQuery(query: Readonly<Record<string, unknown>>): PushQuery {
  const read = (name: string): string | undefined => {
    const value = query[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    signature: read('signature'),
    timestamp: read('timestamp'),
    nonce: read('nonce'),
    msgSignature: read('msg_signature'),
    echostr: read('echostr'),
    openid: read('openid'),
  };
}

/**
 * Checks a handshake, by which WeChat tries an address.
 *
 * @returns the text to answer with, nothing around it
 * @throws PushError `query_missing` or `signature`
 * @see https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html
 */
export function answerHandshake(query: PushQuery, tokens: readonly string[]): string {
  const { signature, timestamp, nonce, echostr } = query;
  if (!signature || !timestamp || !nonce || !echostr) throw new PushError('query_missing');
  checkSignature(signature, tokens, timestamp, nonce);
  return echostr;
}

/**
 * Takes a push in: signature first, decryption second, parsing third.
 *
 * @param body the request's bytes, whatever Content-Type they came under; their first character tells the format
 * @throws PushError with the status to answer: 400 for an outer or inner document that cannot be read,
 *   403 for everything about query, signature, key, appid and mode
 * @throws RangeError when a key of the credentials is not an EncodingAESKey
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/message_push.html
 */
export function openPush(
  body: Uint8Array,
  query: PushQuery,
  credentials: PushCredentials,
): OpenedPush {
  const text = decodeBody(body);
  const format = formatOf(text);
  if (!credentials.formats.includes(format)) throw new PushError('format_refused');
  const outer = parse(text, format);
  const encrypted = outer['Encrypt'];
  if (credentials.mode === 'plaintext' || encrypted === undefined) {
    if (credentials.mode === 'secure') throw new PushError('plaintext_refused');
    // Taken as it is, it would be kept and say nothing. In compatible mode the clear fields stand beside it.
    if (encrypted !== undefined && outer['MsgType'] === undefined)
      throw new PushError('ciphertext_refused');
    return openClear(text, format, outer, query, credentials);
  }
  if (typeof encrypted !== 'string') throw new PushError('unparsable');
  return openEncrypted(encrypted, format, query, credentials);
}

function openClear(
  content: string,
  format: PushFormat,
  fields: XmlObject,
  query: PushQuery,
  { tokens }: PushCredentials,
): OpenedPush {
  const { signature, timestamp, nonce } = query;
  if (!signature || !timestamp || !nonce) throw new PushError('query_missing');
  checkSignature(signature, tokens, timestamp, nonce);
  return { format, content, fields, encodingAesKey: null };
}

function openEncrypted(
  encrypted: string,
  format: PushFormat,
  query: PushQuery,
  { tokens, encodingAesKeys, appid }: PushCredentials,
): OpenedPush {
  const { msgSignature, timestamp, nonce } = query;
  if (!msgSignature || !timestamp || !nonce) throw new PushError('query_missing');
  checkSignature(msgSignature, tokens, timestamp, nonce, encrypted);
  const { message, encodingAesKey } = decryptWithAny(encrypted, encodingAesKeys, appid);
  return { format, content: message, fields: parse(message, format), encodingAesKey };
}

/** A key that opens it for another appid is told apart from no key at all: the operator mixed up two accounts. */
function decryptWithAny(
  encrypted: string,
  keys: readonly string[],
  appid: string,
): { message: string; encodingAesKey: string } {
  let refusal: PushRefusal = 'decrypt';
  for (const encodingAesKey of keys) {
    try {
      const opened = decryptMessage(encodingAesKey, encrypted);
      if (sameText(opened.appid, appid)) return { message: opened.message, encodingAesKey };
      refusal = 'appid';
    } catch (error) {
      if (!(error instanceof PushError)) throw error;
    }
  }
  throw new PushError(refusal);
}

function checkSignature(given: string, tokens: readonly string[], ...parts: string[]): void {
  const isOurs = tokens.map((token) => sameText(given, sign(token, ...parts))).includes(true);
  if (!isOurs) throw new PushError('signature');
}

/** Leaves a byte order mark out. Made once: a decoder that is fed whole texts keeps nothing between them. */
const UTF8 = new TextDecoder('utf-8', { fatal: true });

function decodeBody(body: Uint8Array): string {
  try {
    return UTF8.decode(body);
  } catch {
    throw new PushError('unparsable');
  }
}

function formatOf(text: string): PushFormat {
  switch (text.trimStart()[0]) {
    case '<':
      return 'xml';
    case '{':
      return 'json';
    default:
      throw new PushError('unparsable');
  }
}

function parse(text: string, format: PushFormat): XmlObject {
  return format === 'xml' ? parseXml(text.trim()) : parsePushJson(text);
}

/**
 * Reads a clear document again that {@link openPush} has opened.
 *
 * @throws PushError `unparsable`
 */
export function parsePushDocument(content: string): XmlObject {
  return parse(content, formatOf(content));
}

/**
 * What tells a push from every other one of its account, however often it is sent.
 *
 * @returns WeChat's `MsgId`; for an event of subscription messages, which may come by two addresses in two formats, the
 *   SHA-256 of what it says; else that of the clear document; both in hex
 */
export function dedupKey({ content, fields }: OpenedPush): string {
  const msgId = fields['MsgId'];
  if (typeof msgId === 'string' && /^\d{1,20}$/.test(msgId)) return msgId;
  return hash('sha256', meaningOf(fields) ?? content, 'hex');
}

/** The same in every format; null for what has but one. */
function meaningOf(fields: XmlObject): string | null {
  const event = text(fields['Event'])?.toLowerCase();
  if (event === undefined || !isSubscriptionEvent(event)) return null;
  const entries = readSubscriptionEvent(event, fields).map(({ payload }) =>
    Object.entries(payload).toSorted(([one], [other]) => (one < other ? -1 : 1)),
  );
  if (entries.length === 0) return null;
  return JSON.stringify([event, fields['FromUserName'], fields['CreateTime'], entries]);
}

interface ComponentEvent {
  /** The component the event is for. */
  componentAppid: string;
  /** WeChat's time, unix seconds. */
  createTime: number;
}

export interface TicketPush extends ComponentEvent {
  kind: 'component_verify_ticket';
  ticket: string;
}

export interface AuthorizedPush extends ComponentEvent {
  /** `updateauthorized`: an account that had authorized us changed its permissions. */
  kind: 'authorized' | 'updateauthorized';
  appid: string;
  authorizationCode: string;
  /** Unix seconds; null when WeChat does not say. */
  authorizationCodeExpiresAt: number | null;
  /** The code of ours that it began with; null for an authorization that began elsewhere. */
  preAuthCode: string | null;
}

export interface UnauthorizedPush extends ComponentEvent {
  kind: 'unauthorized';
  appid: string;
}

/** An InfoType that is not ours to act on. */
export interface OtherInfoPush extends ComponentEvent {
  kind: 'other_info';
  infoType: string;
  fields: XmlObject;
}

interface AccountPush {
  /** The account's original id, `gh_…`. */
  toUserName: string;
  /** The person's openid. */
  fromUserName: string;
  createTime: number;
  fields: XmlObject;
}

export interface MessagePush extends AccountPush {
  kind: 'message';
  msgType: string;
  /** An unsigned 64-bit number as text; null when there is none. */
  msgId: string | null;
}

export interface EventPush extends AccountPush {
  kind: 'event';
  /** In lower case: WeChat's own spelling varies. */
  event: string;
  eventKey: string | null;
}

export type Push =
  TicketPush | AuthorizedPush | UnauthorizedPush | OtherInfoPush | MessagePush | EventPush;

/** Above this, `AuthorizationCodeExpiredTime` is a moment; below, a duration. The page and practice differ. */
const FIRST_PLAUSIBLE_MOMENT = 1_000_000_000;

/**
 * Gives a push its type.
 *
 * @param fields of {@link openPush}
 * @throws PushError `unparsable` when something is missing that its kind cannot do without
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/authorize_event.html
 */
export function toPush(fields: XmlObject): Push {
  const infoType = text(fields['InfoType']);
  return infoType ? toComponentPush(infoType, fields) : toAccountPush(fields);
}

function toComponentPush(infoType: string, fields: XmlObject): Push {
  const event = { componentAppid: required(fields, 'AppId'), createTime: time(fields) };
  switch (infoType) {
    case 'component_verify_ticket':
      return { ...event, kind: infoType, ticket: required(fields, 'ComponentVerifyTicket') };
    case 'authorized':
    case 'updateauthorized':
      return {
        ...event,
        kind: infoType,
        appid: required(fields, 'AuthorizerAppid'),
        authorizationCode: required(fields, 'AuthorizationCode'),
        authorizationCodeExpiresAt: moment(
          text(fields['AuthorizationCodeExpiredTime']),
          event.createTime,
        ),
        preAuthCode: text(fields['PreAuthCode']),
      };
    case 'unauthorized':
      return { ...event, kind: infoType, appid: required(fields, 'AuthorizerAppid') };
    default:
      return { ...event, kind: 'other_info', infoType, fields };
  }
}

function toAccountPush(fields: XmlObject): Push {
  const msgType = required(fields, 'MsgType').toLowerCase();
  const push = {
    toUserName: required(fields, 'ToUserName'),
    fromUserName: required(fields, 'FromUserName'),
    createTime: time(fields),
    fields,
  };
  if (msgType !== 'event')
    return { ...push, kind: 'message', msgType, msgId: text(fields['MsgId']) };
  return {
    ...push,
    kind: 'event',
    event: required(fields, 'Event').toLowerCase(),
    eventKey: text(fields['EventKey']),
  };
}

/** An empty element counts as missing. */
function text(value: XmlValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function required(fields: XmlObject, name: string): string {
  const value = text(fields[name]);
  if (value === null) throw new PushError('unparsable');
  return value;
}

function time(fields: XmlObject): number {
  const value = required(fields, 'CreateTime');
  if (!/^\d{1,10}$/.test(value)) throw new PushError('unparsable');
  return Number(value);
}

function moment(value: string | null, from: number): number | null {
  if (value === null || !/^\d{1,10}$/.test(value)) return null;
  const seconds = Number(value);
  return seconds > FIRST_PLAUSIBLE_MOMENT ? seconds : from + seconds;
}
