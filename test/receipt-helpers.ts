import { createHash, randomInt } from 'node:crypto';

import type { EncryptionMode, PushFormat } from '@app/wechat';
import { request } from 'undici';
import WXBizMsgCrypt from 'wechat-crypto';

import { ReceiptNotes } from '../src/receipts/receipt-notes.js';
import { PUBLIC_URL, type TestApp } from './app.js';
import { begin, enableAccount } from './helpers.js';

export const TOKEN = 'receiptToken0123456789';
export const KEY = 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg';
export const OTHER_TOKEN = 'anotherToken0123456789';
export const OTHER_KEY = 'zyxwvutsrqponmlkjihgfedcba9876543210ABCDEFG';

export interface ReceiptConfigBody {
  receiptUrl: string;
  source: string;
  encryptionMode: string;
  token: { set: boolean; hint: string | null };
  encodingAesKey: { set: boolean; hint: string | null };
  handshakeVerifiedAt: string | null;
  lastReceivedAt: string | null;
  lastRejection: { at: string; reason: string; detail: string } | null;
}

export interface ReceiptBody {
  id: string;
  event: string;
  openid: string;
  templateId: string | null;
  msgid: string | null;
  status: string | null;
  errorCode: string | null;
  detail: string | null;
  occurredAt: string;
  receivedAt: string;
  deliveryId: string | null;
  payload: Record<string, string>;
}

let serial = randomInt(1_000_000);

/** A mini-program of the test's own, switched on. @param tenant who asks for it */
export async function newMiniProgram(app: TestApp, tenant?: string): Promise<string> {
  serial += 1;
  const digits = (0x9e0000000000 + serial).toString(16);
  const appid = `wx${digits.padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, accountType: 'mini_program', originalId: `gh_${digits}` });
  const { preAuthCode } = await begin(app, { accountType: 'mini_program' }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  await enableAccount(app, appid);
  return appid;
}

export const saveConfig = (
  app: TestApp,
  appid: string,
  body: object,
  headers?: Record<string, string>,
) => app.api<ReceiptConfigBody>('PUT', `/accounts/${appid}/receipt-config`, body, headers);

/** What the configuration says, once what has come stands in it. */
export async function getConfig(
  app: TestApp,
  appid: string,
  headers?: Record<string, string>,
): Promise<ReceiptConfigBody> {
  await app.app.get(ReceiptNotes).settled();
  const path = `/accounts/${appid}/receipt-config`;
  return (await app.api<ReceiptConfigBody>('GET', path, undefined, headers)).body;
}

/** The address where this test's app listens. */
export async function addressOf(app: TestApp, appid: string): Promise<string> {
  const { receiptUrl } = await getConfig(app, appid);
  return receiptUrl.replace(PUBLIC_URL, app.url);
}

/** A mini-program whose sender and we have agreed. */
export async function newConfigured(
  app: TestApp,
  encryptionMode: EncryptionMode = 'secure',
  format: PushFormat = 'xml',
): Promise<string> {
  const appid = await newMiniProgram(app);
  await saveConfig(app, appid, { encryptionMode, token: TOKEN, encodingAesKey: KEY });
  const { isSaved } = await app.sandbox.savePushConfig(appid, {
    url: await addressOf(app, appid),
    token: TOKEN,
    encodingAesKey: KEY,
    mode: encryptionMode,
    format,
  });
  if (!isSaved) throw new Error('The address did not answer the handshake.');
  return appid;
}

export interface WirePush {
  query: Record<string, string>;
  body: string | Buffer;
}

/** A push made without anything of ours. */
export function makeWirePush(about: {
  document: string;
  format: PushFormat;
  mode: EncryptionMode;
  toUserName: string;
  appid: string;
  token: string;
  key: string;
  seconds: number;
}): WirePush {
  const { document, format, mode, toUserName, appid, token, key, seconds } = about;
  const [timestamp, nonce] = [String(seconds), String(randomInt(1_000_000_000))];
  const parts = [token, timestamp, nonce].sort().join('');
  const signature = createHash('sha1').update(parts).digest('hex');
  const clear = { signature, timestamp, nonce, openid: 'oReceiver' };
  if (mode === 'plaintext') return { query: clear, body: document };
  const crypt = new WXBizMsgCrypt(token, key, appid);
  const encrypted = crypt.encrypt(document);
  const msg_signature = crypt.getSignature(timestamp, nonce, encrypted);
  const isCompatible = mode === 'compatible';
  const body =
    format === 'xml'
      ? `${isCompatible ? document.slice(0, -'</xml>'.length) : `<xml><ToUserName>${toUserName}</ToUserName>`}<Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`
      : JSON.stringify({
          ...(isCompatible ? (JSON.parse(document) as object) : { ToUserName: toUserName }),
          Encrypt: encrypted,
        });
  return { query: { ...clear, encrypt_type: 'aes', msg_signature }, body };
}

export async function post(
  url: string,
  { query, body }: WirePush,
  contentType = 'text/xml',
): Promise<{ status: number; body: string }> {
  const response = await request(url, {
    method: 'POST',
    query,
    body,
    headers: { 'content-type': contentType },
  });
  return { status: response.statusCode, body: await response.body.text() };
}

export async function listReceipts(
  app: TestApp,
  appid: string,
  query = '',
): Promise<{ status: number; body: { items: ReceiptBody[]; nextCursor: string | null } }> {
  await app.settled();
  return app.api('GET', `/accounts/${appid}/receipts${query}`);
}
