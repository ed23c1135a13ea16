import { randomBytes } from 'node:crypto';

import {
  buildXml,
  encryptMessage,
  type EncryptionMode,
  type PushFormat,
  sign,
  type SubscriptionEvent,
  type XmlInput,
} from '@app/wechat';

import type { Corruption, MadePush, MessageAddress } from './pusher.js';

/** A mini-program's own push configuration (消息推送配置), as it stands in WeChat's console. */
export interface PushConfig {
  url: string;
  token: string;
  /** Not used in plaintext. */
  encodingAesKey: string;
  mode: EncryptionMode;
  format: PushFormat;
}

/** An event of subscription messages. */
export interface SandboxReceipt {
  event: SubscriptionEvent;
  /** The person's. */
  openid?: string;
  /** Its entries, as WeChat names their fields. */
  entries: Record<string, string>[];
  /** Where JSON has the list: at the top, the default, or inside the event's own element as in XML. */
  listAt?: 'top' | 'inside';
}

/** Somebody who gets WeChat's pushes and sends them on: bytes and query as they came, unless it makes a mistake. */
export interface Forwarder {
  /** How often it sends the same; default once. */
  times?: number;
  contentType?: string;
  /** Its mistake: the query is lost. */
  dropsQuery?: boolean;
}

const HOLDERS: Readonly<Record<SubscriptionEvent, string>> = {
  subscribe_msg_popup_event: 'SubscribeMsgPopupEvent',
  subscribe_msg_change_event: 'SubscribeMsgChangeEvent',
  subscribe_msg_sent_event: 'SubscribeMsgSentEvent',
};

/** The fields of a receipt beside its head, in the shape of the format. One entry stands alone, several as a list. */
export function receiptFields(
  { event, entries, listAt }: SandboxReceipt,
  format: PushFormat,
): XmlInput {
  const [first, ...others] = entries;
  const list = { List: others.length === 0 && first ? first : entries };
  const isInside = format === 'xml' || listAt === 'inside';
  return { MsgType: 'event', Event: event, ...(isInside ? { [HOLDERS[event]]: list } : list) };
}

/** A document in the format of the configuration. */
export function toDocument(fields: XmlInput, format: PushFormat): string {
  return format === 'xml' ? buildXml(fields) : JSON.stringify(fields);
}

/** The query of a check of the address. */
export function makeHandshake(token: string, seconds: number): Record<string, string> {
  const timestamp = String(seconds);
  const nonce = newNonce();
  const echostr = String(randomBytes(8).readBigUInt64BE());
  return { signature: sign(token, timestamp, nonce), echostr, timestamp, nonce };
}

/** A push by the account's own configuration, in WeChat's form: query, headers and body. */
export function makeOwnPush(
  document: string,
  config: PushConfig,
  account: MessageAddress & { appid: string },
  seconds: number,
  corruption: Corruption = {},
): MadePush {
  const timestamp = String(seconds);
  const nonce = newNonce();
  const token = corruption.token ?? config.token;
  const isClear = config.mode === 'plaintext';
  const encrypted = isClear
    ? ''
    : encryptMessage(
        corruption.encodingAesKey ?? config.encodingAesKey,
        document,
        corruption.trailingAppid ?? account.appid,
      );
  const signed = (...parts: string[]): string => {
    const right = sign(token, timestamp, nonce, ...parts);
    return corruption.badSignature ? (right.startsWith('0') ? '1' : '0') + right.slice(1) : right;
  };
  const query: Record<string, string> = {
    signature: signed(),
    timestamp,
    nonce,
    openid: account.openid,
    ...(!isClear && { encrypt_type: 'aes', msg_signature: signed(encrypted) }),
  };
  for (const name of corruption.withoutQuery ?? []) delete query[name];
  const body = corruption.rawBody ?? bodyOf(document, encrypted, config, account.toUserName);
  return {
    query,
    body: corruption.isTruncated ? body.slice(0, Math.floor(body.length / 2)) : body,
    contentType:
      corruption.contentType ?? (config.format === 'xml' ? 'text/xml' : 'application/json'),
  };
}

function bodyOf(
  document: string,
  encrypted: string,
  { mode, format }: PushConfig,
  toUserName: string,
): string {
  switch (mode) {
    case 'plaintext':
      return document;
    case 'compatible':
      return format === 'xml'
        ? document.replace(/<\/xml>$/, () => `<Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`)
        : document.replace(/\}$/, () => `,"Encrypt":"${encrypted}"}`);
    case 'secure':
      return toDocument({ ToUserName: toUserName, Encrypt: encrypted }, format);
  }
}

function newNonce(): string {
  return String(randomBytes(4).readUInt32BE());
}
