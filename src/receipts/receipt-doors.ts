import { SecretBox } from '@app/secret-box';
import type { PushCredentials } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import pLimit from 'p-limit';

import { AccountsService } from '../accounts/accounts.service.js';
import { AppError } from '../common/app-error.js';
import { BriefMemory } from '../common/brief-memory.js';
import { Clock } from '../common/clock.js';
import { inTime } from '../common/in-time.js';
import { bindingOf, type SealedField } from './receipt-config.sealing.js';
import type { ReceiptConfig } from './receipt-config.entity.js';
import { ReceiptConfigsRepository } from './receipt-configs.repository.js';

/** A secret that is accepted until its time; null without end. */
interface Accepted {
  value: string;
  until: Date | null;
}

/** What stands behind an address. */
export interface ReceiptDoor {
  appid: string;
  /** `gh_…`, to which the mini-program's pushes are addressed; empty while it is not known. */
  originalId: string;
  mode: ReceiptConfig['encryptionMode'];
  /** Empty until the configuration is saved. */
  tokens: Accepted[];
  encodingAesKeys: Accepted[];
}

const RECEIPT_KEY = /^[\w-]{43}$/;
/** Anybody may try addresses: that must not take the connections from what is kept. */
const LOOK_UPS_AT_ONCE = 4;
/** Of the time that WeChat waits, the ledger takes all but so much. */
const LOOK_UP_WITHIN_MS = 450;

/** Which mini-program an address belongs to, and what is agreed for it; remembered for a moment. */
@Injectable()
export class ReceiptDoors {
  readonly #turns = pLimit(LOOK_UPS_AT_ONCE);
  readonly #memory = new BriefMemory((key) => this.#turns(() => this.#read(key)));

  constructor(
    private readonly configs: ReceiptConfigsRepository,
    private readonly accounts: AccountsService,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
  ) {}

  /** @throws AppError `not_found` for an address that was never ours; `storage_unavailable` when nobody can tell in time */
  async get(receiptKey: string): Promise<ReceiptDoor> {
    if (!RECEIPT_KEY.test(receiptKey)) throw new AppError('not_found');
    const known = this.#memory.peek(receiptKey);
    const door = known === undefined ? await this.#find(receiptKey) : known;
    if (!door) throw new AppError('not_found');
    return door;
  }

  /** What is agreed is different now: here at once, in other processes within a second. */
  forget(receiptKey: string): void {
    this.#memory.forget(receiptKey);
  }

  /** What a push must bring at this moment. */
  credentialsOf({ appid, mode, tokens, encodingAesKeys }: ReceiptDoor): PushCredentials {
    const now = this.clock.now();
    const accepted = (secrets: Accepted[]): string[] =>
      secrets.filter(({ until }) => !until || until > now).map(({ value }) => value);
    return {
      appid,
      mode,
      tokens: accepted(tokens),
      encodingAesKeys: accepted(encodingAesKeys),
      formats: ['xml', 'json'],
    };
  }

  #find(receiptKey: string): Promise<ReceiptDoor | null> {
    const tooLate = (): Error => new AppError('storage_unavailable');
    return inTime(this.#memory.find(receiptKey), LOOK_UP_WITHIN_MS, tooLate);
  }

  async #read(receiptKey: string): Promise<ReceiptDoor | null> {
    const config = await this.configs.findByKey(receiptKey);
    const account = config && (await this.accounts.find(config.appid));
    if (!account) return null;
    return {
      appid: config.appid,
      originalId: account.originalId,
      mode: config.encryptionMode,
      tokens: [
        ...this.#open(config, 'token', null),
        ...this.#open(config, 'previousToken', config.previousTokenUntil),
      ],
      encodingAesKeys: [
        ...this.#open(config, 'encodingAesKey', null),
        ...this.#open(config, 'previousEncodingAesKey', config.previousEncodingAesKeyUntil),
      ],
    };
  }

  #open(config: ReceiptConfig, field: SealedField, until: Date | null): Accepted[] {
    const sealed = config[field];
    if (sealed === null) return [];
    return [{ value: this.secrets.open(sealed, bindingOf(config.appid, field)), until }];
  }
}
