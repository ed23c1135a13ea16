import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../accounts/accounts.service.js';
import { AppError, type FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { Database, type Tx } from '../database/database.js';
import { EventsService } from '../events/events.service.js';
import { TokenMissingError, TokenUnavailableError } from '../tokens/token-errors.js';
import type { IssuedToken, TokenObserver, TokenSource } from '../tokens/token-sources.js';
import { type TokenHealth, TokensService } from '../tokens/tokens.service.js';
import type { SendConfig } from './send-config.entity.js';
import { SendConfigRepository } from './send-config.repository.js';
import { failureText, type SendFailure, SendTokenError } from './send-failure.js';
import { SendVault } from './send-vault.js';
import { SendStrategies } from './strategies/send-strategies.js';
import type { FetchedToken } from './strategies/strategy.js';

/** A mini-program's own token stands in the custody beside the one of its authorization. */
const KEY_PREFIX = 'send:';

/** The tokens that mini-programs' messages are sent with, in the custody like every other. */
@Injectable()
export class SendTokens implements OnModuleInit, TokenSource, TokenObserver {
  constructor(
    private readonly db: Database,
    private readonly configs: SendConfigRepository,
    private readonly vault: SendVault,
    private readonly strategies: SendStrategies,
    private readonly tokens: TokensService,
    private readonly accounts: AccountsService,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.tokens.registerSource('own', this);
    this.tokens.observe('own', this);
  }

  /**
   * Calls WeChat with the mini-program's own token. When WeChat says that it is stale, its source is read once more, and
   * the call made once more.
   *
   * @throws AppError `send_config_missing`, or `send_token_unavailable` with what the source last failed of; and whatever
   *   the call throws
   */
  async withToken<T>(appid: string, call: (token: string) => Promise<T>): Promise<T> {
    try {
      return await this.tokens.withToken(keyOf(appid), call);
    } catch (error) {
      if (error instanceof TokenMissingError) throw new AppError('send_config_missing');
      if (error instanceof SendTokenError) throw unavailable(error.failure);
      if (!(error instanceof TokenUnavailableError)) throw error;
      throw unavailable((await this.configs.find(appid))?.failure ?? null);
    }
  }

  /** Fetches a token by this configuration; nothing is kept of it. @throws SendTokenError */
  fetchBy(config: Pick<SendConfig, 'appid' | 'strategy' | 'settings'>): Promise<FetchedToken> {
    return this.strategies.of(config.strategy).fetch(config.appid, this.vault.open(config));
  }

  /** @returns null where nothing was saved yet */
  findHealth(appid: string): Promise<TokenHealth | null> {
    return this.tokens.findHealth(keyOf(appid));
  }

  /**
   * Begins anew with what a configuration has just given; what an earlier one is being asked for is thrown away.
   *
   * @param token null: it is fetched when somebody needs it
   */
  async start(tx: Tx, appid: string, token: FetchedToken | null): Promise<void> {
    await this.tokens.store(tx, keyOf(appid), 'own', token ? toIssued(token) : {});
  }

  erase(tx: Tx, appid: string): Promise<number> {
    return this.tokens.erase(tx, keyOf(appid));
  }

  /** The custody asks. */
  async fetch(key: string): Promise<IssuedToken> {
    const config = await this.configs.find(appidOf(key));
    if (!config) throw new AppError('send_config_missing');
    try {
      const token = await this.fetchBy(config);
      await this.db.write((tx) => this.configs.note(tx, config, { succeededAt: this.clock.now() }));
      return toIssued(token);
    } catch (error) {
      if (error instanceof SendTokenError) await this.#noteFailure(config, error.failure);
      throw error;
    }
  }

  /** The custody tells. */
  async failing(
    tx: Tx,
    key: string,
    failure: { reason: string; failCount: number },
  ): Promise<void> {
    const account = await this.accounts.find(appidOf(key), tx);
    if (!account) return;
    const { appid, tenantId, accountType, nickname } = account;
    await this.events.emit(
      tx,
      'token.failing',
      { tenantId, appid },
      {
        appid,
        accountType,
        nickname,
        credential: 'send_config',
        ...failure,
      },
    );
  }

  async #noteFailure(config: SendConfig, failure: SendFailure): Promise<void> {
    const failedAt = this.clock.now();
    await this.db.write((tx) => this.configs.note(tx, config, { failedAt, failure }));
  }
}

/** What a refusal says of a way to a token that does not lead to one. */
export function failureField(field: string, failure: SendFailure): FieldError {
  return { field, code: failure.step, detail: failureText(failure) };
}

function unavailable(failure: SendFailure | null): AppError {
  return new AppError(
    'send_token_unavailable',
    failure ? [failureField('sendConfig', failure)] : [],
  );
}

function toIssued({ accessToken, expiresInSeconds }: FetchedToken): IssuedToken {
  return { accessToken, expiresInSeconds, refreshToken: null };
}

function keyOf(appid: string): string {
  return KEY_PREFIX + appid;
}

function appidOf(key: string): string {
  return key.slice(KEY_PREFIX.length);
}
