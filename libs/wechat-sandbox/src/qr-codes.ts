import { randomBytes } from 'node:crypto';

import type { SandboxAccount } from './state.js';

/** A parametric QR code that an account has made. */
export interface SandboxQrCode {
  ticket: string;
  /** What its picture says. */
  url: string;
  scene: string;
  /** Milliseconds; null for a permanent one. */
  expiresAt: number | null;
  /** Likewise; an earlier version did not keep it. */
  madeAt?: number;
}

/** Makes a code. The same permanent scene again is the same code. @returns null when the permanent ones are used up */
export function makeQrCode(
  account: SandboxAccount,
  scene: string,
  expiresAt: number | null,
  madeAt: number,
): SandboxQrCode | null {
  const codes = Object.values(account.qrCodes);
  if (expiresAt === null) {
    const permanent = codes.filter((code) => code.expiresAt === null);
    const before = permanent.find((code) => code.scene === scene);
    if (before) return before;
    if (permanent.length >= account.permanentQrCodes) return null;
  }
  // As WeChat's, it has characters that an address must escape.
  const ticket = `gQ${randomBytes(64).toString('base64')}`;
  const url = `http://weixin.qq.com/q/02${randomBytes(15).toString('base64url')}`;
  const code = { ticket, url, scene, expiresAt, madeAt };
  account.qrCodes[ticket] = code;
  return code;
}

const URL_FORM = /^https?:\/\/weixin\.qq\.com\/q\//;

/**
 * What somebody sees who scans.
 *
 * @param read the address that the picture says, a ticket, or a scene as it is
 * @returns the scene with a ticket of the account's, where it has made one; null for a code that has ended or is not its own
 */
export function readQrCode(
  account: SandboxAccount,
  read: string,
  now: number,
): { scene: string; ticket: string | null } | null {
  const codes = Object.values(account.qrCodes);
  const url = read.replace(/^https:/, 'http:');
  const named = codes.find((code) => code.ticket === read || code.url === url);
  if (named) return isOver(named, now) ? null : named;
  if (URL_FORM.test(read)) return null;
  const made = codes.findLast((code) => code.scene === read && !isOver(code, now));
  return { scene: read, ticket: made?.ticket ?? null };
}

export function isOver({ expiresAt }: SandboxQrCode, now: number): boolean {
  return expiresAt !== null && now >= expiresAt;
}
