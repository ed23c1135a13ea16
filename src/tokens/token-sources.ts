import { Injectable } from '@nestjs/common';

import type { Tx } from '../database/database.js';
import type { TokenKind } from './token.entity.js';

/** What WeChat hands out. */
export interface IssuedToken {
  accessToken: string;
  expiresInSeconds: number;
  /** Null where the kind has none. */
  refreshToken: string | null;
}

/** How tokens of a kind are got. No database connection is held while it asks. */
export interface TokenSource {
  /** The one appid that there is of its kind, if there is but one. Sources of other kinds may ask with its token. */
  appid?: string;

  /** @param refreshToken null where the kind has none */
  fetch(appid: string, refreshToken: string | null): Promise<IssuedToken>;

  /**
   * The refresh token that WeChat holds for the appid now; null when it shows none. Left out where the kind has none.
   *
   * @throws WechatApiError 61003 when the account has not authorized us any more
   */
  readBack?(appid: string): Promise<string | null>;
}

/** Hears of what becomes of an appid's token, in the transaction that notes it. */
export interface TokenObserver {
  /** WeChat takes none of our credentials any more: only a new authorization helps. Left out where there is none. */
  reauthorizationRequired?(tx: Tx, appid: string): Promise<void>;

  /** Refreshing has failed several times in a row. Told once for each such row of failures. */
  failing(tx: Tx, appid: string, failure: { reason: string; failCount: number }): Promise<void>;
}

/** Who knows what of tokens: the rooms above register themselves, the custody knows none of them. */
@Injectable()
export class TokenSources {
  readonly #sources = new Map<TokenKind, TokenSource>();
  readonly #observers = new Map<TokenKind, TokenObserver>();

  register(kind: TokenKind, source: TokenSource): void {
    this.#sources.set(kind, source);
  }

  observe(kind: TokenKind, observer: TokenObserver): void {
    this.#observers.set(kind, observer);
  }

  /** Whether others may need this token to get theirs. */
  isNeededByOthers(appid: string): boolean {
    return [...this.#sources.values()].some((source) => source.appid === appid);
  }

  find(kind: TokenKind): TokenSource | null {
    return this.#sources.get(kind) ?? null;
  }

  observerOf(kind: TokenKind): TokenObserver | null {
    return this.#observers.get(kind) ?? null;
  }
}
