import { randomBytes } from 'node:crypto';

/** Keys in the order given: the first encrypts, all of them decrypt. */
export type KeyRing = ReadonlyMap<string, Buffer>;

/** A key ring that cannot be used. The message names the entry by position or id, never its key. */
export class KeyRingError extends Error {
  override readonly name = 'KeyRingError';
}

const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;
/** 32 bytes in base64: 43 characters and one `=`, which may be left out; URL-safe letters are taken too. */
const BASE64_KEY = /^[A-Za-z0-9+/_-]{43}=?$/;

/**
 * Reads a key ring written as `id:base64key[,id:base64key…]`.
 *
 * @param text ids of 1..32 letters, digits, `_` or `-`; keys of exactly 32 bytes
 * @returns the keys by id, the encrypting key first
 * @throws KeyRingError when it is empty, an entry is malformed, or an id stands twice
 */
export function parseKeyRing(text: string): KeyRing {
  const ring = new Map<string, Buffer>();
  for (const [index, entry] of text.split(',').entries()) {
    const [, id, encoded] = /^\s*([^:\s]+):(\S+)\s*$/.exec(entry) ?? [];
    if (!id || !encoded)
      throw new KeyRingError(`entry ${index + 1} is not of the form id:base64key`);
    if (!KEY_ID.test(id))
      throw new KeyRingError(
        `entry ${index + 1} has an id with other characters than A-Z a-z 0-9 _ -`,
      );
    const key = Buffer.from(encoded, 'base64');
    if (!BASE64_KEY.test(encoded) || key.length !== KEY_BYTES) {
      throw new KeyRingError(`the key "${id}" is not ${KEY_BYTES} bytes in base64`);
    }
    if (ring.has(id)) throw new KeyRingError(`the key id "${id}" stands twice`);
    ring.set(id, key);
  }
  return ring;
}

/**
 * Makes a ring of one new random key, in the form {@link parseKeyRing} reads.
 *
 * @param id the key's id, 1..32 letters, digits, `_` or `-`
 */
export function generateKeyRing(id: string): string {
  return `${id}:${randomBytes(KEY_BYTES).toString('base64')}`;
}
