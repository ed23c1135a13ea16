import { createHash, randomBytes } from 'node:crypto';

/** SHA-256, which is all that we keep of a key. */
export function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** A new key with 256 random bits, and what is kept of it. */
export function makeKey(): { key: string; keyHash: string; prefix: string } {
  const key = `wck_${randomBytes(32).toString('base64url')}`;
  return { key, keyHash: digestOf(key).toString('hex'), prefix: key.slice(0, 12) };
}
