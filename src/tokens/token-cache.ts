import { Injectable } from '@nestjs/common';

import type { LiveToken } from './token-vault.js';

/** Another process may have refreshed the token since: so long the dead one may still be tried once. */
const FRESH_MS = 10_000;
const MAX_REMEMBERED = 200_000;

interface Remembered extends LiveToken {
  readAt: number;
}

/** Tokens that this process has just used, in memory. What it forgets is read again. */
@Injectable()
export class TokenCache {
  readonly #tokens = new Map<string, Remembered>();

  find(appid: string): LiveToken | null {
    const found = this.#tokens.get(appid);
    if (!found) return null;
    if (performance.now() - found.readAt < FRESH_MS) return found;
    this.#tokens.delete(appid);
    return null;
  }

  remember(appid: string, { token, expiresAt, renewAt }: LiveToken): void {
    if (this.#tokens.size >= MAX_REMEMBERED) this.#tokens.clear();
    this.#tokens.set(appid, { token, expiresAt, renewAt, readAt: performance.now() });
  }

  forget(appid: string): void {
    this.#tokens.delete(appid);
  }
}
