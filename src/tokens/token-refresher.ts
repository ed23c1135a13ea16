import { setTimeout as pause } from 'node:timers/promises';

import { WechatApiError } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';

import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { crashPoint } from '../common/crash-point.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { Heartbeat } from '../queue/heartbeat.js';
import { renewalTime } from './renewal.js';
import {
  ReauthorizationRequiredError,
  TokenMissingError,
  TokenUnavailableError,
} from './token-errors.js';
import { type IssuedToken, type TokenSource, TokenSources } from './token-sources.js';
import { type LiveToken, TokenVault } from './token-vault.js';
import type { TokenKind, TokenRow } from './token.entity.js';
import { type TokenLease, TokensRepository } from './tokens.repository.js';

/** `refresh_token is invalid`: ours is not the one WeChat holds. */
const REFRESH_TOKEN_INVALID = 61023;
/** `component is not authorized by this account`. */
const NOT_AUTHORIZED = 61003;

/** How long a caller waits for a refresh that another process makes. */
const WAIT_MS = 15_000;
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 150;
/** So many refresh tokens of former days are tried before WeChat is asked for the present one. */
const HISTORY_TRIED = 3;

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 300_000;
/** After so many failures in a row callers are no longer let through to WeChat before the pause is over. */
const FAILING_AFTER = 3;

/** So many refreshes at once in a process: when many tokens end together, they must not use up the database. */
const AT_ONCE = 16;

interface Subject {
  row: TokenRow;
  source: TokenSource;
}

/** WeChat takes none of the refresh tokens that we have or that it shows. */
class CredentialsRefusedError extends Error {
  override readonly name = 'CredentialsRefusedError';
}

/**
 * Refreshes a token once, however many processes want it: the right to do so is a lease on its row. Nothing of the
 * database is held while WeChat is asked; what a holder writes whose lease or authorization has passed changes
 * nothing, but the refresh token that it got is remembered all the same.
 */
@Injectable()
export class TokenRefresher {
  readonly #turns = pLimit(AT_ONCE);
  readonly #running = new Map<string, { unlike: string | null; token: Promise<LiveToken> }>();

  constructor(
    private readonly db: Database,
    private readonly tokens: TokensRepository,
    private readonly vault: TokenVault,
    private readonly sources: TokenSources,
    private readonly heartbeat: Heartbeat,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /**
   * A live token that is another than `unlike`: the one that is there by now, or a new one.
   *
   * Callers of the same process join the refresh that is under way.
   *
   * @param unlike the token that is no longer wanted; null takes any that lives
   * @throws TokenMissingError, ReauthorizationRequiredError, TokenUnavailableError, and what the source throws
   */
  refresh(appid: string, unlike: string | null): Promise<LiveToken> {
    const running = this.#running.get(appid);
    // One that was begun for want of any token also ends with another than this one, unless it found this very one.
    if (running?.unlike === unlike) return running.token;
    const token = this.#obtain(appid, unlike).finally(() => {
      if (this.#running.get(appid)?.token === token) this.#running.delete(appid);
    });
    this.#running.set(appid, { unlike, token });
    return token;
  }

  async #obtain(appid: string, unlike: string | null): Promise<LiveToken> {
    const deadline = performance.now() + WAIT_MS;
    const others = new Others();
    for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(ms * 1.5, LONGEST_PAUSE_MS)) {
      const token = await this.#inTurn(appid, () => this.#step(appid, unlike, others));
      if (token) return token;
      if (performance.now() > deadline)
        throw new TokenUnavailableError(
          appid,
          'another process has been refreshing it for too long',
        );
      await pause(ms * (0.5 + Math.random()));
    }
  }

  /** The token that others' refreshes wait for must not wait for them: it would for ever, once they have every place. */
  #inTurn<T>(appid: string, step: () => Promise<T>): Promise<T> {
    return this.sources.isNeededByOthers(appid) ? step() : this.#turns(step);
  }

  /** One look: a token that is there, or one that this process gets now; null while another process is at it. */
  async #step(appid: string, unlike: string | null, others: Others): Promise<LiveToken | null> {
    const { leaseMs } = this.heartbeat;
    const row = await this.tokens.find(appid);
    const live = this.vault.openLive(row);
    // A source may give the same token once more: then another process has made the refresh that was wanted.
    const isRefreshed = others.haveRefreshed(row);
    if (live && (live.token !== unlike || isRefreshed)) return live;
    const subject = this.#checkRefreshable(appid, row, live !== null);
    if (others.isHeld(subject.row.leaseUntil, leaseMs)) return null;
    const lease = await this.tokens.takeLease(subject.row, leaseMs);
    return lease && this.#ask(subject, lease);
  }

  /** @throws when refreshing it is of no use, or not its time */
  #checkRefreshable(appid: string, row: TokenRow | null, isAlive: boolean): Subject {
    const source = row && this.sources.find(row.kind);
    if (!row || !source) throw new TokenMissingError(appid);
    if (row.state === 'reauthorization_required') throw new ReauthorizationRequiredError(appid);
    if (row.kind === 'authorizer' && row.refreshToken === null) throw new TokenMissingError(appid);
    const isPaused = row.nextTryAt !== null && row.nextTryAt > this.clock.now();
    // Whoever has no token at all is let through a few times more.
    if (isPaused && (isAlive || row.failCount >= FAILING_AFTER))
      throw new TokenUnavailableError(appid, `${row.failCount} refreshes have failed in a row`);
    return { row, source };
  }

  /** @returns null when something newer than this refresh is there */
  async #ask({ row, source }: Subject, lease: TokenLease): Promise<LiveToken | null> {
    const { leaseMs } = this.heartbeat;
    crashPoint('token.leased');
    const stopRenewing = this.heartbeat.hold(() => this.tokens.renewLease(lease, leaseMs));
    try {
      const issued = await this.#fetch(row, source);
      crashPoint('token.answered');
      return await this.#keep(row, lease, issued);
    } catch (error) {
      const isNoted = await this.#fail(row, lease, error);
      if (!(error instanceof CredentialsRefusedError)) throw error;
      // What was refused may be an authorization that has ended, or has been given anew, meanwhile.
      if (!isNoted) return null;
      throw new ReauthorizationRequiredError(row.appid);
    } finally {
      stopRenewing();
    }
  }

  /** With the refresh token that we hold; where WeChat no longer takes it, with whichever it does. */
  async #fetch(row: TokenRow, source: TokenSource): Promise<IssuedToken> {
    const held = this.vault.openRefresh(row);
    try {
      return await source.fetch(row.appid, held);
    } catch (error) {
      if (!isRefused(error) || !source.readBack) throw error;
    }
    const tried = new Set([held]);
    for (const former of await this.tokens.findHistory(row.appid, HISTORY_TRIED)) {
      const issued = await this.#tryOther(row, source, this.vault.openHistory(former), tried);
      if (issued) return issued;
    }
    const present = await readBack(source, row.appid);
    const issued = present && (await this.#tryOther(row, source, present, tried));
    if (!issued) throw new CredentialsRefusedError('WeChat takes no refresh token of ours.');
    return issued;
  }

  async #tryOther(
    { appid }: TokenRow,
    source: TokenSource,
    refreshToken: string,
    tried: Set<string | null>,
  ): Promise<IssuedToken | null> {
    if (tried.has(refreshToken)) return null;
    tried.add(refreshToken);
    try {
      const issued = await source.fetch(appid, refreshToken);
      this.logger.warn('token.refresh_token_replaced', { appid });
      return issued;
    } catch (error) {
      if (isRefused(error)) return null;
      throw error;
    }
  }

  async #keep(row: TokenRow, lease: TokenLease, issued: IssuedToken): Promise<LiveToken | null> {
    const { appid, kind, authorizationEpoch } = row;
    const now = this.clock.now();
    const isKept = await this.db.write(async (tx) => {
      if (issued.refreshToken) {
        const { refreshToken } = issued;
        await this.tokens.remember(
          tx,
          this.vault.sealHistory({ appid, refreshToken, authorizationEpoch, source: 'refresh' }),
        );
      }
      return this.tokens.keep(tx, lease, this.vault.seal(appid, issued), now);
    });
    crashPoint('token.kept');
    this.logger.info('token.fetched', { appid, kind, isKept });
    if (!isKept) return null;
    const expiresAt = now.getTime() + issued.expiresInSeconds * 1000;
    const renewAt = renewalTime(appid, now.getTime(), expiresAt);
    return { token: issued.accessToken, expiresAt, renewAt };
  }

  /**
   * Never rejects: a failure that cannot be written down leaves a lease that runs out.
   *
   * @returns false when something newer than this refresh is there
   */
  async #fail(row: TokenRow, lease: TokenLease, error: unknown): Promise<boolean> {
    const { appid, kind } = row;
    this.logger.warn('token.refresh_failed', { appid, kind, ...errorFields(error) });
    const isRefusedForGood = error instanceof CredentialsRefusedError;
    const failCount = isAboutToken(error, kind) ? row.failCount + 1 : row.failCount;
    const isFailing = failCount >= FAILING_AFTER;
    const observer = this.sources.observerOf(kind);
    try {
      return await this.db.write(async (tx) => {
        const isNoted = await this.tokens.fail(tx, lease, {
          state: isRefusedForGood ? 'reauthorization_required' : isFailing ? 'failing' : 'ok',
          failCount,
          nextTryAt: this.#nextTry(failCount),
        });
        if (!isNoted) return false;
        if (isRefusedForGood) await observer?.reauthorizationRequired?.(tx, appid);
        else if (failCount === FAILING_AFTER && row.failCount < FAILING_AFTER)
          await observer?.failing(tx, appid, { reason: String(error).slice(0, 512), failCount });
        return true;
      });
    } catch (lost) {
      this.logger.error('token.failure_not_noted', { appid, ...errorFields(lost) });
      return true;
    }
  }

  /** Full jitter: processes and accounts that failed together do not come back together. */
  #nextTry(failCount: number): Date | null {
    if (failCount === 0) return null;
    const longest = Math.min(FIRST_BACKOFF_MS * 2 ** (failCount - 1), LONGEST_BACKOFF_MS);
    return new Date(this.clock.now().getTime() + Math.ceil(Math.random() * longest));
  }
}

/** A refusal of our own for want of a ticket, or one of the platform's set-up, says nothing about an account's token. */
function isAboutToken(error: unknown, kind: TokenKind): boolean {
  if (error instanceof AppError) return false;
  if (kind !== 'authorizer' || !(error instanceof WechatApiError)) return true;
  return error.errorClass !== 'config' && error.errorClass !== 'ticket';
}

/** What others do with a token, as seen at one look after the other. */
class Others {
  #until = 0;
  #since = 0;
  #firstVersion: number | undefined;

  /** Whether the row is another one than at the first look. */
  haveRefreshed(row: TokenRow | null): boolean {
    this.#firstVersion ??= row?.version;
    return row?.version !== this.#firstVersion;
  }

  /**
   * Whether another's lease may still stand, and need not be tried to be taken: by the process's own patience, since its
   * end is told by the database's clock.
   */
  isHeld(leaseUntil: Date | null, leaseMs: number): boolean {
    if (!leaseUntil) return false;
    const now = performance.now();
    if (leaseUntil.getTime() !== this.#until) {
      this.#until = leaseUntil.getTime();
      this.#since = now;
    }
    return now - this.#since < leaseMs;
  }
}

function isRefused(error: unknown): boolean {
  return (
    error instanceof WechatApiError &&
    (error.errcode === REFRESH_TOKEN_INVALID || error.errcode === NOT_AUTHORIZED)
  );
}

/** Null when WeChat shows none, or says of this account that it has not authorized us. */
async function readBack(source: TokenSource, appid: string): Promise<string | null> {
  try {
    return (await source.readBack?.(appid)) ?? null;
  } catch (error) {
    if (error instanceof WechatApiError && error.errcode === NOT_AUTHORIZED) return null;
    throw error;
  }
}
