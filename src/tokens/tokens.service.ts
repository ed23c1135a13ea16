import { WechatApiError } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { LONGEST_SOFT_MARGIN_MS, renewalTime, SOFT_JITTER_MS, SOFT_MARGIN_MS } from './renewal.js';
import { TokenAnnouncements } from './token-announcements.js';
import { TokenCache } from './token-cache.js';
import { TokenRefresher } from './token-refresher.js';
import {
  type IssuedToken,
  type TokenObserver,
  type TokenSource,
  TokenSources,
} from './token-sources.js';
import { HARD_MARGIN_MS, type LiveToken, TokenVault } from './token-vault.js';
import type { TokenKind, TokenState } from './token.entity.js';
import { type TokenCount, TokensRepository } from './tokens.repository.js';

const BACKGROUND_EVERY_MS = 1_000;
const MAX_TRIED = 10_000;

/** Where a walk over the tokens that end soon has come to. */
export interface EndingToken {
  appid: string;
  expiresAt: Date;
}

/** How refreshing a token goes. */
export interface TokenHealth {
  state: TokenState;
  /** Refreshes that have failed one after the other. */
  failCount: number;
  /** Null when it may be tried at once. */
  nextTryAt: Date | null;
  /** When the access token ends; null when there is none. */
  expiresAt: Date | null;
}

/**
 * Custody of every token: encrypted at rest, one fresh token for each appid at any time, refreshed once by whoever.
 *
 * An appid is the key that a token is kept by. A room whose accounts have a second token keeps it by a key of its own, no
 * longer than 32 characters.
 */
@Injectable()
export class TokensService implements OnModuleInit {
  readonly #reading = new Map<string, Promise<LiveToken | null>>();
  /** When this process last tried to refresh a token in the background. */
  readonly #triedAt = new Map<string, number>();

  constructor(
    private readonly db: Database,
    private readonly tokens: TokensRepository,
    private readonly refresher: TokenRefresher,
    private readonly vault: TokenVault,
    private readonly cache: TokenCache,
    private readonly announcements: TokenAnnouncements,
    private readonly sources: TokenSources,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'token',
      erase: (tx, appid) => this.erase(tx, appid),
    });
    this.accountData.register({
      table: 'token_history',
      erase: (tx, appid, limit) => this.tokens.eraseHistory(tx, appid, limit),
    });
  }

  /** The room that knows how a kind is got says so once, at start. */
  registerSource(kind: TokenKind, source: TokenSource): void {
    this.sources.register(kind, source);
  }

  /** The room that cares what becomes of a kind's tokens says so once, at start. */
  observe(kind: TokenKind, observer: TokenObserver): void {
    this.sources.observe(kind, observer);
  }

  /**
   * A token that lives for another minute at least. One that ends soon is renewed in the background and handed out as
   * long as it lives.
   *
   * @throws TokenMissingError when we hold nothing to get one with
   * @throws ReauthorizationRequiredError when only a new authorization helps
   * @throws TokenUnavailableError, WechatApiError, WechatUnavailableError when there is none for now
   */
  async getToken(appid: string): Promise<string> {
    const known = this.cache.find(appid) ?? (await this.#read(appid));
    const now = this.clock.now().getTime();
    if (known && known.expiresAt - now > HARD_MARGIN_MS) {
      if (now > known.renewAt) this.#refreshInBackground(appid, known.token);
      return known.token;
    }
    return this.#refresh(appid, known?.token ?? null);
  }

  /**
   * Calls WeChat with the appid's token: the one way for every room. When WeChat says that the token is stale, another
   * one is got, once for each stale token however many calls it failed, and the call made once more.
   */
  async withToken<T>(appid: string, call: (token: string) => Promise<T>): Promise<T> {
    const token = await this.getToken(appid);
    try {
      return await call(token);
    } catch (error) {
      if (!(error instanceof WechatApiError) || error.errorClass !== 'token_stale') throw error;
      await this.invalidate(appid, token);
      return call(await this.getToken(appid));
    }
  }

  /** Drops a token that WeChat has called stale, unless another one has taken its place already. */
  async invalidate(appid: string, failed: string): Promise<void> {
    const row = await this.tokens.find(appid);
    if (row && this.vault.openAccess(row) === failed) {
      const isDropped = await this.tokens.dropAccessToken(row, this.clock.now());
      if (isDropped) this.logger.warn('token.called_stale', { appid, kind: row.kind });
    }
    // Only now: whoever has asked for it meanwhile has read it once more.
    this.#forget(appid);
  }

  /** Renews a token ahead of its end, unless another process does or has. */
  async refresh(appid: string): Promise<void> {
    const row = await this.tokens.find(appid);
    await this.#refresh(appid, row && this.vault.openAccess(row));
  }

  /**
   * The tokens whose time to be renewed has come, the soonest ending first.
   *
   * @param after where an earlier call ended; null begins
   * @returns `next` to go on with; null at the end
   */
  async findDue(
    after: EndingToken | null,
    limit: number,
  ): Promise<{ appids: string[]; next: EndingToken | null }> {
    const now = this.clock.now();
    const before = new Date(now.getTime() + LONGEST_SOFT_MARGIN_MS);
    const rows = await this.tokens.findEnding(before, now, after, limit);
    const appids = rows
      .filter(
        ({ appid, updatedAt, expiresAt }) =>
          expiresAt !== null &&
          renewalTime(appid, updatedAt.getTime(), expiresAt.getTime()) < now.getTime(),
      )
      .map(({ appid }) => appid);
    const last = rows.length === limit ? rows.at(-1) : undefined;
    return {
      appids,
      next: last?.expiresAt ? { appid: last.appid, expiresAt: last.expiresAt } : null,
    };
  }

  /** How many access tokens of each kind are fresh, about to end, or ended. */
  countByState(): Promise<TokenCount[]> {
    const now = this.clock.now();
    return this.tokens.countByState(now, new Date(now.getTime() + SOFT_MARGIN_MS - SOFT_JITTER_MS));
  }

  /** @returns when the token ends, or null when there is none */
  async findExpiry(appid: string): Promise<Date | null> {
    const row = await this.tokens.find(appid);
    return row?.accessToken ? row.expiresAt : null;
  }

  async findState(appid: string): Promise<TokenState | null> {
    return (await this.tokens.find(appid))?.state ?? null;
  }

  /** @returns null where we keep no token */
  async findHealth(appid: string): Promise<TokenHealth | null> {
    const row = await this.tokens.find(appid);
    if (!row) return null;
    const { state, failCount, nextTryAt } = row;
    return { state, failCount, nextTryAt, expiresAt: row.accessToken ? row.expiresAt : null };
  }

  /** Makes sure there is a row to keep a token of this kind in. */
  async ensure(tx: Tx, appid: string, kind: TokenKind): Promise<void> {
    await this.tokens.insertEmpty(tx, appid, kind, this.clock.now());
  }

  /** Keeps what a new authorization brought, over whatever was there: WeChat has killed the older ones. */
  async store(tx: Tx, appid: string, kind: TokenKind, issued: Partial<IssuedToken>): Promise<void> {
    await this.ensure(tx, appid, kind);
    await this.tokens.replace(tx, appid, this.vault.seal(appid, issued), this.clock.now());
    await this.#remember(tx, appid, issued.refreshToken ?? null, 'authorization');
    this.db.afterCommit(tx, () => this.#tellChanged(appid));
  }

  /** Forgets the tokens of an account whose authorization has ended. */
  async drop(tx: Tx, appid: string): Promise<void> {
    await this.tokens.replace(tx, appid, this.vault.seal(appid, {}), this.clock.now());
    this.db.afterCommit(tx, () => this.#tellChanged(appid));
  }

  /** Forgets the appid, if it was known. @returns how many rows went */
  async erase(tx: Tx, appid: string): Promise<number> {
    this.db.afterCommit(tx, () => this.#tellChanged(appid));
    return this.tokens.erase(tx, appid);
  }

  /**
   * Refresh tokens with the version they were read at, to compare with WeChat's.
   *
   * @param appid only this account's; without it, everybody's
   */
  async readRefreshTokens(
    appid?: string,
  ): Promise<Map<string, { refreshToken: string; version: number }>> {
    const rows = await this.tokens.findWithRefreshToken(appid);
    return new Map(
      rows.map((row) => [
        row.appid,
        { refreshToken: this.vault.openRefresh(row) ?? '', version: row.version },
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
    const row = await this.tokens.find(appid, tx);
    const { refreshToken: sealed } = this.vault.seal(appid, { refreshToken });
    if (!row || (version !== null && row.version !== version)) return;
    await this.tokens.replaceRefreshToken(tx, appid, row.version, sealed, this.clock.now());
    await this.#remember(tx, appid, refreshToken, 'list');
    this.db.afterCommit(tx, () => this.#tellChanged(appid));
  }

  /** Callers that come together share one look. */
  #read(appid: string): Promise<LiveToken | null> {
    const running = this.#reading.get(appid);
    if (running) return running;
    const reading: Promise<LiveToken | null> = this.#readNow(appid)
      .then((live) => {
        // Unless it was forgotten meanwhile: then what has been read may be what was before.
        if (live && this.#reading.get(appid) === reading) this.cache.remember(appid, live);
        return live;
      })
      .finally(() => {
        if (this.#reading.get(appid) === reading) this.#reading.delete(appid);
      });
    this.#reading.set(appid, reading);
    return reading;
  }

  async #readNow(appid: string): Promise<LiveToken | null> {
    return this.vault.openLive(await this.tokens.findAccess(appid));
  }

  async #refresh(appid: string, unlike: string | null): Promise<string> {
    const live = await this.refresher.refresh(appid, unlike);
    this.cache.remember(appid, live);
    this.announcements.announce(appid);
    return live.token;
  }

  /** Now and then, not for every caller: while it fails, they would come by the thousand. */
  #refreshInBackground(appid: string, current: string): void {
    const now = performance.now();
    if (now - (this.#triedAt.get(appid) ?? -Infinity) < BACKGROUND_EVERY_MS) return;
    if (this.#triedAt.size >= MAX_TRIED) this.#triedAt.clear();
    this.#triedAt.set(appid, now);
    this.#renew(appid, current).catch((error: unknown) =>
      this.logger.warn('token.refresh_failed', { appid, ...errorFields(error) }),
    );
  }

  /** Unless another process has: what it got may be the same token, with another end. */
  async #renew(appid: string, current: string): Promise<void> {
    const live = await this.#read(appid);
    if (live && this.clock.now().getTime() <= live.renewAt) return;
    await this.#refresh(appid, current);
  }

  async #remember(
    tx: Tx,
    appid: string,
    refreshToken: string | null,
    source: 'authorization' | 'list',
  ): Promise<void> {
    const row = refreshToken && (await this.tokens.find(appid, tx));
    if (!row) return;
    const { authorizationEpoch } = row;
    await this.tokens.remember(
      tx,
      this.vault.sealHistory({ appid, refreshToken, authorizationEpoch, source }),
    );
  }

  /** Has the next one look anew, and not at what is being read for others. */
  #forget(appid: string): void {
    this.cache.forget(appid);
    this.#reading.delete(appid);
  }

  #tellChanged(appid: string): void {
    this.#forget(appid);
    this.announcements.announce(appid);
  }
}
