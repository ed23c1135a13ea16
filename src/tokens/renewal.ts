import { createHash } from 'node:crypto';

/** A token that ends sooner is renewed while it is still handed out; each account's own, so that they do not all end together. */
export const SOFT_MARGIN_MS = 600_000;
export const SOFT_JITTER_MS = 120_000;
export const LONGEST_SOFT_MARGIN_MS = SOFT_MARGIN_MS + SOFT_JITTER_MS;
/** Of a short life no more: it would be renewed all the time, by an answer that may be the same token. */
const LARGEST_SHARE = 1 / 4;

/** From when on a token is renewed ahead of its end. Milliseconds, like what it is told. */
export function renewalTime(appid: string, issuedAt: number, expiresAt: number): number {
  return expiresAt - Math.min(softMarginOf(appid), (expiresAt - issuedAt) * LARGEST_SHARE);
}

/** Ten minutes, two more or less: always the same for an account. */
function softMarginOf(appid: string): number {
  const spread = createHash('sha1').update(appid).digest().readUInt16BE() / 0xffff;
  return SOFT_MARGIN_MS + (spread * 2 - 1) * SOFT_JITTER_MS;
}
