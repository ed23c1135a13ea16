import { SecretBox } from '@app/secret-box';
import { WechatApiError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { Database, type Tx } from '../database/database.js';
import { type TokenKind, TokenRow } from './token.entity.js';
import { type TokenCount, TokensRepository } from './tokens.repository.js';

/** What WeChat hands out. */
export interface IssuedToken {
  accessToken: string;
  expiresInSeconds: number;
  /** Null where the kind has none. */
  refreshToken: string | null;
}

/** Asks WeChat for a new token. Holds no database connection meanwhile. */
export type TokenFetcher = (appid: string, refreshToken: string | null) => Promise<IssuedToken>;

/** A token that ends sooner than this is not handed out: the call it is for must still find it alive. */
const HARD_MARGIN_MS = 60_000;
/** What ends sooner is due to be refreshed: a healthy service has few of them. */
const EXPIRING_MS = 10 * 60_000;

/** No token can be had for the appid: we hold none, or the account's authorization has ended. */
export class TokenMissingError extends Error {
  override readonly name = 'TokenMissingError';

  constructor(readonly appid: string) {
    super(`There is no token for ${appid}.`);
  }
}

/** Custody of every token: encrypted at rest, fetched when needed, one fetch at a time for an appid. */
@Injectable()
export class TokensService {
  readonly #fetchers = new Map<TokenKind, TokenFetcher>();
  readonly #fetching = new Map<string, Promise<string>>();

  constructor(
    private readonly db: Database,
    private readonly tokens: TokensRepository,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** The room that knows how a kind is renewed says so once, at start. */
  registerFetcher(kind: TokenKind, fetcher: TokenFetcher): void {
    this.#fetchers.set(kind, fetcher);
  }

  /**
   * A token that lives for another minute at least.
   *
   * @throws TokenMissingError when we hold nothing to get one with
   * @throws WechatApiError, WechatUnavailableError when WeChat gives none
   */
  async getToken(appid: string): Promise<string> {
    const row = await this.tokens.find(appid);
    return this.#live(row) ?? this.#fetch(appid, row?.version ?? null);
  }

  /**
   * Calls WeChat with the appid's token. When WeChat says that the token is stale, it is renewed once
   * and the call made once more.
   */
  async withToken<T>(appid: string, call: (token: string) => Promise<T>): Promise<T> {
    const token = await this.getToken(appid);
    try {
      return await call(token);
    } catch (error) {
      if (!(error instanceof WechatApiError) || error.errorClass !== 'token_stale') throw error;
      return call(await this.#replace(appid, token));
    }
  }

  /** Renews a token ahead of its end. */
  async refresh(appid: string): Promise<void> {
    const row = await this.tokens.find(appid);
    await this.#fetch(appid, row?.version ?? null);
  }

  /** The appids whose tokens end within `ms`, the soonest first. */
  findEndingWithin(ms: number, limit: number): Promise<string[]> {
    return this.tokens.findEndingBefore(new Date(this.clock.now().getTime() + ms), limit);
  }

  /** How many access tokens of each kind are fresh, about to end, or ended. */
  countByState(): Promise<TokenCount[]> {
    const now = this.clock.now();
    return this.tokens.countByState(now, new Date(now.getTime() + EXPIRING_MS));
  }

  /** @returns when the token ends, or null when there is none */
  async findExpiry(appid: string): Promise<Date | null> {
    const row = await this.tokens.find(appid);
    return row?.accessToken ? row.expiresAt : null;
  }

  /** Makes sure there is a row to keep a token of this kind in. */
  async ensure(tx: Tx, appid: string, kind: TokenKind): Promise<void> {
    await this.tokens.insertEmpty(tx, appid, kind, this.clock.now());
  }

  /** Keeps what a new authorization brought, over whatever was there: WeChat has killed the older ones. */
  async store(tx: Tx, appid: string, kind: TokenKind, issued: Partial<IssuedToken>): Promise<void> {
    await this.ensure(tx, appid, kind);
    await this.tokens.update(tx, appid, null, this.#sealed(appid, issued));
  }

  /** Forgets the tokens of an account whose authorization has ended. */
  async drop(tx: Tx, appid: string): Promise<void> {
    await this.tokens.update(tx, appid, null, this.#sealed(appid, {}));
  }

  /** Every account's refresh token with the version it was read at, to compare with WeChat's list. */
  async readRefreshTokens(): Promise<Map<string, { refreshToken: string; version: number }>> {
    const rows = await this.tokens.findWithRefreshToken();
    return new Map(
      rows.map((row) => [
        row.appid,
        { refreshToken: this.#open(row, 'refreshToken') ?? '', version: row.version },
      ]),
    );
  }

  /**
   * Takes a refresh token from WeChat's list, unless ours has changed since it was compared.
   *
   * @param version of {@link readRefreshTokens}; null where we held none
   */
  async adopt(tx: Tx, appid: string, refreshToken: string, version: number | null): Promise<void> {
    if (version === null) await this.ensure(tx, appid, 'authorizer');
    await this.tokens.update(tx, appid, version, this.#sealed(appid, { refreshToken }));
  }

  #live(row: TokenRow | null): string | null {
    if (!row?.expiresAt || row.expiresAt.getTime() - this.clock.now().getTime() <= HARD_MARGIN_MS)
      return null;
    return this.#open(row, 'accessToken');
  }

  /** Joins the fetch that is under way for the appid, or starts one. */
  #fetch(appid: string, seenVersion: number | null): Promise<string> {
    const running = this.#fetching.get(appid);
    if (running) return running;
    const fetching = this.#fetchNow(appid, seenVersion).finally(() => this.#fetching.delete(appid));
    this.#fetching.set(appid, fetching);
    return fetching;
  }

  async #fetchNow(appid: string, seenVersion: number | null): Promise<string> {
    const row = await this.tokens.find(appid);
    // Between the caller's look and this one another fetch may have ended.
    const fresh = row?.version === seenVersion ? null : this.#live(row);
    if (fresh) return fresh;
    const fetcher = row && this.#fetchers.get(row.kind);
    if (!row || !fetcher) throw new TokenMissingError(appid);
    const refreshToken = this.#open(row, 'refreshToken');
    if (row.kind === 'authorizer' && !refreshToken) throw new TokenMissingError(appid);
    const issued = await fetcher(appid, refreshToken);
    const isKept = await this.db.write((tx) =>
      this.tokens.update(tx, appid, row.version, this.#sealed(appid, { ...issued })),
    );
    this.logger.info('token.fetched', { appid, kind: row.kind, isKept });
    if (isKept) return issued.accessToken;
    // An authorization event came in between: its tokens are newer than this answer.
    const newer = this.#live(await this.tokens.find(appid));
    if (!newer) throw new TokenMissingError(appid);
    return newer;
  }

  async #replace(appid: string, stale: string): Promise<string> {
    const row = await this.tokens.find(appid);
    const current = this.#live(row);
    return current !== null && current !== stale
      ? current
      : this.#fetch(appid, row?.version ?? null);
  }

  #sealed(
    appid: string,
    { accessToken, expiresInSeconds, refreshToken }: Partial<IssuedToken>,
  ): Pick<TokenRow, 'accessToken' | 'refreshToken' | 'expiresAt' | 'updatedAt'> {
    const now = this.clock.now();
    const seal = (field: string, text: string | null | undefined): string | null =>
      text ? this.secrets.seal(text, { owner: `token:${appid}`, field }) : null;
    return {
      accessToken: seal('accessToken', accessToken),
      refreshToken: seal('refreshToken', refreshToken),
      expiresAt: accessToken ? new Date(now.getTime() + (expiresInSeconds ?? 0) * 1000) : null,
      updatedAt: now,
    };
  }

  #open(row: TokenRow, field: 'accessToken' | 'refreshToken'): string | null {
    const sealed = row[field];
    return sealed ? this.secrets.open(sealed, { owner: `token:${row.appid}`, field }) : null;
  }
}
