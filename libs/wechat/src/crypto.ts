import { createCipheriv, createDecipheriv, hash, randomBytes, timingSafeEqual } from 'node:crypto';

import { PushError } from './push-error.js';

/** WeChat pads to 32 bytes, not to the cipher's own block of 16. */
const PADDING_BLOCK = 32;
const RANDOM_BYTES = 16;
const LENGTH_BYTES = 4;
const CIPHER_BLOCK = 16;
/** Anything that base64 does not have, or its end mark elsewhere than at the end: found, or not, without going back. */
const NOT_BASE64 = /[^A-Za-z0-9+/=]|=(?!=?$)/;
const BASE64_GROUP = 4;
/** Made once: a decoder that is fed whole texts keeps nothing between them. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * WeChat's signature: the SHA-1 of the parts, sorted by code unit and joined.
 *
 * Handshakes and plaintext pushes sign (token, timestamp, nonce), encrypted ones the ciphertext too.
 *
 * @param parts in any order, each exactly as sent: neither trimmed nor decoded again
 * @returns 40 lower-case hex digits
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/message_push.html
 */
export function sign(...parts: string[]): string {
  return hash('sha1', parts.toSorted(byCodeUnit).join(''), 'hex');
}

/** Compares two texts in a time that does not depend on where they differ. */
export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/**
 * Whether the text is an EncodingAESKey: 43 letters or digits that stand for 32 bytes.
 *
 * The last character of a real key usually has bits that base64 discards, so a round trip proves nothing.
 */
export function isEncodingAesKey(text: string): boolean {
  return /^[A-Za-z0-9]{43}$/.test(text);
}

/**
 * Encrypts a message as WeChat does: AES-256-CBC over random ‖ length ‖ message ‖ appid.
 *
 * @param encodingAesKey 43 letters or digits
 * @param appid the one that the other side expects at the end: the component's for both of its addresses
 * @param random 16 bytes; left out except to reproduce a known ciphertext
 * @returns standard base64, ready for the `Encrypt` field
 * @throws RangeError when the key is not an EncodingAESKey
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/message_push.html
 */
export function encryptMessage(
  encodingAesKey: string,
  message: string,
  appid: string,
  random: Buffer = randomBytes(RANDOM_BYTES),
): string {
  const key = decodeKey(encodingAesKey);
  const text = Buffer.from(message, 'utf8');
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(text.length);
  const body = Buffer.concat([random, length, text, Buffer.from(appid, 'utf8')]);
  const pad = PADDING_BLOCK - (body.length % PADDING_BLOCK);
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, CIPHER_BLOCK)).setAutoPadding(
    false,
  );
  return Buffer.concat([
    cipher.update(Buffer.concat([body, Buffer.alloc(pad, pad)])),
    cipher.final(),
  ]).toString('base64');
}

/**
 * Opens what {@link encryptMessage}, or WeChat, encrypted. The signature must have been checked before.
 *
 * @param encrypted the `Encrypt` field exactly as sent
 * @returns the message, and the appid that stood behind it, for the caller to compare
 * @throws PushError `decrypt`: wrong key, broken base64, padding, length or UTF-8, which are not told apart
 * @throws RangeError when the key is not an EncodingAESKey
 */
export function decryptMessage(
  encodingAesKey: string,
  encrypted: string,
): { message: string; appid: string } {
  const key = decodeKey(encodingAesKey);
  if (encrypted === '' || encrypted.length % BASE64_GROUP !== 0 || NOT_BASE64.test(encrypted))
    throw new PushError('decrypt');
  const sealed = Buffer.from(encrypted, 'base64');
  if (sealed.length % CIPHER_BLOCK !== 0) throw new PushError('decrypt');
  const decipher = createDecipheriv(
    'aes-256-cbc',
    key,
    key.subarray(0, CIPHER_BLOCK),
  ).setAutoPadding(false);
  // Without padding of its own, the cipher gives everything back at once.
  const body = unpad(decipher.update(sealed));
  const start = RANDOM_BYTES + LENGTH_BYTES;
  if (body.length < start) throw new PushError('decrypt');
  const end = start + body.readUInt32BE(RANDOM_BYTES);
  if (end > body.length) throw new PushError('decrypt');
  return { message: utf8(body.subarray(start, end)), appid: utf8(body.subarray(end)) };
}

/** The few keys that are in use, decoded. */
const decodedKeys = new Map<string, Buffer>();
const MAX_DECODED_KEYS = 1_000;

function decodeKey(encodingAesKey: string): Buffer {
  const known = decodedKeys.get(encodingAesKey);
  if (known) return known;
  if (!isEncodingAesKey(encodingAesKey))
    throw new RangeError('An EncodingAESKey has 43 letters or digits.');
  const key = Buffer.from(`${encodingAesKey}=`, 'base64');
  if (decodedKeys.size >= MAX_DECODED_KEYS) decodedKeys.clear();
  decodedKeys.set(encodingAesKey, key);
  return key;
}

/** By hand: OpenSSL refuses the pads 17..32 that this protocol uses. */
function unpad(padded: Buffer): Buffer {
  const pad = padded.at(-1) ?? 0;
  const isPadded =
    pad >= 1 &&
    pad <= PADDING_BLOCK &&
    pad <= padded.length &&
    padded.subarray(-pad).every((byte) => byte === pad);
  if (!isPadded) throw new PushError('decrypt');
  return padded.subarray(0, padded.length - pad);
}

function utf8(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new PushError('decrypt');
  }
}

/** Not `localeCompare`: WeChat sorts bytes, and every part is ASCII. */
function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
