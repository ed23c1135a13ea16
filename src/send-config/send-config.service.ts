import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';

import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { SceneConditions } from '../accounts/scene-conditions.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import type { TokenHealth } from '../tokens/tokens.service.js';
import type { SaveSendConfigDto, SendConfigDto } from './send-config.dto.js';
import type { SendConfig } from './send-config.entity.js';
import { SendConfigRepository } from './send-config.repository.js';
import { type SendFailure, SendTokenError } from './send-failure.js';
import { failureField, SendTokens } from './send-tokens.js';
import { SendVault } from './send-vault.js';
import { SendStrategies } from './strategies/send-strategies.js';
import type { FetchedToken } from './strategies/strategy.js';

/** A configuration as clients may see it. */
export interface SendConfigView {
  config: SendConfig;
  /** The strategy's settings without their secrets. */
  shown: Partial<SendConfigDto>;
  health: TokenHealth | null;
}

export interface SendTest {
  /** Null when it went well. */
  failure: SendFailure | null;
  latencyMs: number;
  /** What the source says; null when it says nothing, or there is no token. */
  expiresInSeconds: number | null;
}

/** A save that stands on what was there when it began. */
interface Save {
  caller: Caller;
  /** Who held the account when it began. */
  tenantId: string | null;
  row: SendConfig;
  before: SendConfig | null;
  token: FetchedToken | null;
  changed: string[];
}

/** How mini-programs' own tokens are got: what clients see of it, save and try. */
@Injectable()
export class SendConfigService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly configs: SendConfigRepository,
    private readonly vault: SendVault,
    private readonly strategies: SendStrategies,
    private readonly sendTokens: SendTokens,
    private readonly accounts: AccountsService,
    private readonly scenes: SceneConditions,
    private readonly accountData: AccountData,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.scenes.register('send_config', (appids) => this.hasSendConfig(appids));
    this.accountData.register({
      table: 'send_config',
      erase: (tx, appid) => this.eraseAll(tx, appid),
    });
  }

  /** @returns null when nothing was saved yet */
  async find(appid: string): Promise<SendConfigView | null> {
    const config = await this.configs.find(appid);
    if (!config) return null;
    return {
      config,
      shown: this.strategies.of(config.strategy).show(this.vault.open(config)),
      health: await this.sendTokens.findHealth(appid),
    };
  }

  /** Which of the accounts have a configuration, whether it works or not. */
  async hasSendConfig(appids: readonly string[]): Promise<Set<string>> {
    return new Set(appids.length === 0 ? [] : await this.configs.findAppids(appids));
  }

  /**
   * Saves the configuration once it has given a token that WeChat takes.
   *
   * @param isTried false saves it untried
   * @throws AppError `validation_failed`, `access_token_url_in_use`, `send_config_rejected` with the step that failed
   */
  async save(
    caller: Caller,
    appid: string,
    asked: SaveSendConfigDto,
    isTried: boolean,
  ): Promise<void> {
    // What another one has saved meanwhile may be what this one was to keep.
    for (;;) {
      const save = await this.#prepare(caller, appid, asked, isTried);
      if (await this.db.write((tx) => this.#write(tx, save))) return;
    }
  }

  /** Tries the stored configuration; a token that comes is put to use. @throws AppError `send_config_missing` */
  async test(appid: string): Promise<SendTest> {
    const config = await this.configs.find(appid);
    if (!config) throw new AppError('send_config_missing');
    const startedAt = performance.now();
    const tried = await orFailure(this.sendTokens.fetchBy(config));
    const latencyMs = Math.round(performance.now() - startedAt);
    await this.#noteTest(config, tried);
    const { token, failure } = tried;
    return { failure, latencyMs, expiresInSeconds: token?.saidSeconds ?? null };
  }

  /** Forgets the account, its token too. @returns how many rows went */
  async eraseAll(tx: Tx, appid: string): Promise<number> {
    return (await this.configs.eraseAll(tx, appid)) + (await this.sendTokens.erase(tx, appid));
  }

  async #prepare(
    caller: Caller,
    appid: string,
    asked: SaveSendConfigDto,
    isTried: boolean,
  ): Promise<Save> {
    const { tenantId } = await this.accounts.get(caller, appid);
    const before = await this.configs.find(appid);
    const strategy = this.strategies.of(asked.strategy);
    const stored = before && this.vault.open(before);
    const settings = strategy.merge(asked, before?.strategy === asked.strategy ? stored : null);
    const urlDigest = await digestOf(strategy.uniqueOf(settings), tenantId);
    await this.#checkUrl(appid, tenantId, urlDigest);
    const { token, failure } = isTried
      ? await orFailure(strategy.fetch(appid, settings))
      : { token: null, failure: null };
    if (failure)
      throw new AppError('send_config_rejected', [failureField(strategy.field, failure)]);
    const now = this.clock.now();
    const row: SendConfig = {
      appid,
      tenantId,
      strategy: strategy.name,
      settings: this.vault.seal(appid, settings),
      urlDigest,
      revision: (before?.revision ?? 0) + 1,
      verifiedAt: token && now,
      verifiedFailure: null,
      succeededAt: token && now,
      failedAt: null,
      failure: null,
      updatedAt: now,
    };
    return { caller, tenantId, row, before, token, changed: changedFields(stored, settings) };
  }

  /** @returns false when the configuration is no longer the one that this save stands on */
  async #write(tx: Tx, { caller, tenantId, row, before, token, changed }: Save): Promise<boolean> {
    const { appid, strategy } = row;
    const account = await this.accounts.getForUpdate(tx, caller, appid);
    // It was moved to another tenant while the token was fetched.
    if (account.tenantId !== tenantId) throw new AppError('not_found');
    await this.#freeUrl(tx, row);
    const outcome = await this.configs.replace(tx, row, before);
    if (outcome === 'url_in_use') throw new AppError('access_token_url_in_use');
    if (outcome === 'changed') return false;
    await this.sendTokens.start(tx, appid, token);
    await this.audit.record(tx, {
      actor: caller,
      action: 'send_config.saved',
      target: appid,
      tenantId,
      detail: { strategy, tried: token !== null, changed },
    });
    return true;
  }

  /** Before the token is fetched: the URL may be the very one of another mini-program. */
  async #checkUrl(appid: string, tenantId: string | null, urlDigest: string | null): Promise<void> {
    const holder = await this.#findHolder(appid, tenantId, urlDigest);
    if (holder && (await this.accounts.find(holder))?.tenantId === tenantId)
      throw new AppError('access_token_url_in_use');
  }

  /** An account that was moved to another tenant does not keep the URL from this one. */
  async #freeUrl(tx: Tx, { appid, tenantId, urlDigest }: SendConfig): Promise<void> {
    const holder = await this.#findHolder(appid, tenantId, urlDigest, tx);
    if (holder && (await this.accounts.find(holder, tx))?.tenantId !== tenantId)
      await this.configs.giveUpUrl(tx, holder);
  }

  /** The other account that the URL is kept for in the tenant. */
  async #findHolder(
    appid: string,
    tenantId: string | null,
    urlDigest: string | null,
    on?: Tx,
  ): Promise<string | null> {
    if (tenantId === null || urlDigest === null) return null;
    const holder = await this.configs.findByUrl(tenantId, urlDigest, on);
    return holder && holder.appid !== appid ? holder.appid : null;
  }

  async #noteTest(config: SendConfig, { token, failure }: Tried): Promise<void> {
    const now = this.clock.now();
    await this.db.write(async (tx) => {
      const isNoted = await this.configs.note(tx, config, {
        verifiedAt: now,
        verifiedFailure: failure,
        ...(failure ? { failedAt: now, failure } : { succeededAt: now }),
      });
      if (isNoted && token) await this.sendTokens.start(tx, config.appid, token);
    });
  }
}

type Tried = { token: FetchedToken; failure: null } | { token: null; failure: SendFailure };

async function orFailure(fetching: Promise<FetchedToken>): Promise<Tried> {
  try {
    return { token: await fetching, failure: null };
  } catch (error) {
    if (error instanceof SendTokenError) return { token: null, failure: error.failure };
    throw error;
  }
}

const derive = promisify<string, string, number, Buffer>(scrypt);

/** A slow one: the secret in an address may be a short word, which a quick digest would give away. */
async function digestOf(url: string | null, tenantId: string | null): Promise<string | null> {
  if (url === null || tenantId === null) return null;
  return (await derive(url, `send_config:${tenantId}`, 32)).toString('hex');
}

/** The names of what is different now. */
function changedFields(before: object | null, after: object): string[] {
  const [old, present] = [new Map(Object.entries(before ?? {})), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...present.keys()])].filter(
    (name) => JSON.stringify(old.get(name)) !== JSON.stringify(present.get(name)),
  );
}
