import { randomBytes, randomInt } from 'node:crypto';

import { SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { SceneConditions } from '../accounts/scene-conditions.js';
import { AppError, type FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { AccountData } from '../database/account-data.js';
import { Database } from '../database/database.js';
import { SealedColumns } from '../database/sealed-columns.js';
import type { SaveReceiptConfigDto } from './receipt-config.dto.js';
import type { ReceiptConfig } from './receipt-config.entity.js';
import { bindingOf, SEALED_COLUMNS, type SealedField } from './receipt-config.sealing.js';
import { ReceiptConfigsRepository } from './receipt-configs.repository.js';
import { ReceiptDoors } from './receipt-doors.js';

/** After a change the other side goes on with the former secrets until somebody has pasted the new ones there. */
const PREVIOUS_ACCEPTED_MS = 10 * 60_000;
const KEY_BYTES = 32;
const TOKEN_LENGTH = 32;
const ENCODING_AES_KEY_LENGTH = 43;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** What the audit log names when it is different. */
const AUDITED = ['source', 'encryptionMode', 'token', 'encodingAesKey'] as const;

type Changes = Partial<Omit<ReceiptConfig, 'appid' | 'receiptKey'>>;

/** A configuration with its secrets opened: for whoever shows their ends. */
export interface OpenedReceiptConfig {
  config: ReceiptConfig;
  receiptUrl: string;
  token: string | null;
  encodingAesKey: string | null;
}

/** What a mini-program and its sender have agreed upon: address, Token, EncodingAESKey and mode. */
@Injectable()
export class ReceiptConfigsService implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly configs: ReceiptConfigsRepository,
    private readonly doors: ReceiptDoors,
    private readonly accounts: AccountsService,
    private readonly audit: AuditService,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly scenes: SceneConditions,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    for (const column of SEALED_COLUMNS) this.sealed.register(column);
    this.accountData.register({
      table: 'receipt_config',
      erase: (tx, appid) => this.configs.erase(tx, appid),
    });
    this.scenes.register('receipt_config', (appids) => this.hasReceiptConfig(appids));
  }

  /**
   * The configuration, of which there is always one: the address is shown before anything is saved.
   *
   * @throws AppError `not_found`, for another tenant's account too
   */
  async get(caller: Caller, appid: string): Promise<OpenedReceiptConfig> {
    await this.accounts.get(caller, appid);
    return this.#open(await this.#getOrMake(appid));
  }

  /**
   * Saves what is given and keeps the rest. Former secrets are accepted for ten minutes more.
   *
   * @throws AppError `not_found`; `validation_failed` when a secret is missing that was never saved
   */
  async save(
    caller: Caller,
    appid: string,
    given: SaveReceiptConfigDto,
  ): Promise<OpenedReceiptConfig> {
    const { tenantId } = await this.accounts.get(caller, appid);
    await this.#getOrMake(appid);
    const saved = await this.db.write(async (tx) => {
      const before = await this.configs.findForUpdate(tx, appid);
      if (!before) throw new AppError('not_found');
      const changes = this.#changesOf(before, given);
      const changed = AUDITED.filter((field) => field in changes);
      if (changed.length === 0) return before;
      await this.configs.update(tx, appid, { ...changes, updatedAt: this.clock.now() });
      const { source = before.source, encryptionMode = before.encryptionMode } = changes;
      await this.audit.record(tx, {
        actor: caller,
        action: 'receipt_config.saved',
        target: appid,
        tenantId,
        // The names of what is different now: of a secret, nothing else.
        detail: { changed, source, encryptionMode },
      });
      this.db.afterCommit(tx, () => this.doors.forget(before.receiptKey));
      return this.configs.find(appid, tx);
    });
    if (!saved) throw new AppError('not_found');
    return this.#open(saved);
  }

  /** Fresh secrets, to be pasted on both sides. They are not kept. */
  makeSecrets(): { token: string; encodingAesKey: string } {
    return { token: randomText(TOKEN_LENGTH), encodingAesKey: randomText(ENCODING_AES_KEY_LENGTH) };
  }

  /** Which of the accounts have a configuration that was saved. */
  async hasReceiptConfig(appids: readonly string[]): Promise<Set<string>> {
    return new Set(await this.configs.findSaved(appids));
  }

  async #getOrMake(appid: string): Promise<ReceiptConfig> {
    const found = await this.configs.find(appid);
    if (found) return found;
    const config = newConfig(appid, this.clock.now());
    await this.db.write(async (tx) => {
      // The account may be gone by now.
      if (!(await this.accounts.findForUpdate(tx, appid))) throw new AppError('not_found');
      await this.configs.insertOnce(tx, config);
    });
    // Another process may have been faster: its address counts.
    const made = await this.configs.find(appid);
    if (!made) throw new AppError('not_found');
    return made;
  }

  /** Only what is different. */
  #changesOf(before: ReceiptConfig, given: SaveReceiptConfigDto): Changes {
    const source = given.source ?? before.source;
    const encryptionMode = given.encryptionMode ?? before.encryptionMode;
    const changes: Changes = {
      ...(source !== before.source && { source }),
      ...(encryptionMode !== before.encryptionMode && { encryptionMode }),
      ...this.#secretChange(before, given, 'token', 'previousToken'),
      ...this.#secretChange(before, given, 'encodingAesKey', 'previousEncodingAesKey'),
    };
    const isThere = (field: 'token' | 'encodingAesKey'): boolean =>
      field in changes || before[field] !== null;
    const missing = [
      ...(isThere('token') ? [] : ['token']),
      ...(isThere('encodingAesKey') || encryptionMode === 'plaintext' ? [] : ['encodingAesKey']),
    ];
    if (missing.length > 0) throw new AppError('validation_failed', missing.map(isMissing));
    return changes;
  }

  /** Nothing where the secret stays as it is. */
  #secretChange(
    before: ReceiptConfig,
    given: SaveReceiptConfigDto,
    field: 'token' | 'encodingAesKey',
    previous: 'previousToken' | 'previousEncodingAesKey',
  ): Changes {
    const value = given[field] ?? null;
    const former = this.#openField(before, field);
    if (value === null || value === former) return {};
    const { appid } = before;
    const until = new Date(this.clock.now().getTime() + PREVIOUS_ACCEPTED_MS);
    return {
      [field]: this.secrets.seal(value, bindingOf(appid, field)),
      [previous]: former && this.secrets.seal(former, bindingOf(appid, previous)),
      [`${previous}Until`]: former && until,
    };
  }

  #open(config: ReceiptConfig): OpenedReceiptConfig {
    return {
      config,
      receiptUrl: `${this.env.publicUrl}/wechat/receipts/${config.receiptKey}`,
      token: this.#openField(config, 'token'),
      encodingAesKey: this.#openField(config, 'encodingAesKey'),
    };
  }

  #openField(config: ReceiptConfig, field: SealedField): string | null {
    const sealed = config[field];
    return sealed && this.secrets.open(sealed, bindingOf(config.appid, field));
  }
}

function isMissing(field: string): FieldError {
  return {
    field,
    code: 'required',
    detail: {
      zh: '尚未保存过，必须填写；可用 POST …/receipt-config/secrets 生成。',
      en: 'It was never saved and must be given; POST …/receipt-config/secrets makes one.',
    },
  };
}

function newConfig(appid: string, now: Date): ReceiptConfig {
  return {
    appid,
    receiptKey: randomBytes(KEY_BYTES).toString('base64url'),
    source: 'wechat',
    encryptionMode: 'secure',
    token: null,
    encodingAesKey: null,
    previousToken: null,
    previousTokenUntil: null,
    previousEncodingAesKey: null,
    previousEncodingAesKeyUntil: null,
    handshakeVerifiedAt: null,
    lastReceivedAt: null,
    rejectedAt: null,
    rejectionReason: null,
    createdAt: now,
    updatedAt: now,
  };
}

function randomText(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
}
