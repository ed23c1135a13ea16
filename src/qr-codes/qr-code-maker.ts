import { randomBytes } from 'node:crypto';

import { createMiniProgramCode, createQrCode, WechatApiError, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Account } from '../accounts/account.entity.js';
import { AccountScenes } from '../accounts/account-scenes.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AccountQuota } from '../accounts/quota/account-quota.service.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { Database } from '../database/database.js';
import { TokensService } from '../tokens/tokens.service.js';
import type { QrCode } from './qr-code.entity.js';
import { QrCodesRepository } from './qr-codes.repository.js';

/** WeChat's, for an account and for ever. */
export const MAX_PERMANENT = 100_000;
const DAY_MS = 86_400_000;
/** A new picture is asked for so long before the old one stops working, or in the last quarter of a shorter life. */
const RENEW_BEFORE_MS = 3 * DAY_MS;
/** As large as WeChat draws it: we can only make it smaller without a blur. */
const PROGRAM_CODE_WIDTH = 1280;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const SCENE_LENGTH = 10;

/** What WeChat is to make. */
export type Wanted = Pick<QrCode, 'scene' | 'isPermanent' | 'expiresInDays' | 'endsAt' | 'page'>;

/** What WeChat has made. */
export interface Made extends Pick<QrCode, 'contentUrl' | 'ticket' | 'expiresAt' | 'renewAt'> {
  /** Of a mini-program's code only: nobody else can draw it. */
  picture: Buffer | null;
}

/** Has WeChat make codes, and keeps count of those that it never forgets. */
@Injectable()
export class QrCodeMaker {
  constructor(
    private readonly db: Database,
    private readonly codes: QrCodesRepository,
    private readonly accounts: AccountsService,
    private readonly scenes: AccountScenes,
    private readonly quota: AccountQuota,
    private readonly tokens: TokensService,
    private readonly wechat: WechatHttp,
    private readonly clock: Clock,
  ) {}

  /** @throws AppError `qr_codes_not_supported`, `account_disabled`, `qr_codes_not_available` with the reasons */
  async checkAvailable(account: Account): Promise<void> {
    const { reasons } = await this.scenes.stateOf(account, 'qr_code');
    const codes = reasons.map(({ code }) => code);
    if (codes.includes('kind_not_supported')) throw new AppError('qr_codes_not_supported');
    if (codes.includes('account_disabled')) throw new AppError('account_disabled');
    if (codes.length > 0)
      throw new AppError(
        'qr_codes_not_available',
        reasons.map(({ code, detail }) => ({ field: 'appid', code, detail })),
      );
  }

  /**
   * @throws AppError `qr_codes_used_up`
   * @throws WechatApiError, WechatUnavailableError
   */
  async make(account: Account, wanted: Wanted): Promise<Made> {
    try {
      return await this.#make(account, wanted);
    } catch (error) {
      if (error instanceof WechatApiError && error.errorClass === 'quota_day')
        await this.quota.noteUsedUp(account, error.path);
      throw error;
    }
  }

  async #make(account: Account, wanted: Wanted): Promise<Made> {
    if (account.accountType === 'mini_program') return this.#draw(account, wanted);
    if (!wanted.isPermanent) return this.#ask(account, wanted);
    const { appid } = account;
    await this.#takePermanent(appid);
    try {
      return await this.#ask(account, wanted);
    } catch (error) {
      // Where the answer was lost, WeChat may have made it.
      if (error instanceof WechatApiError)
        await this.db.write((tx) => this.codes.addPermanent(tx, appid, -1));
      throw error;
    }
  }

  async #ask({ appid }: Account, wanted: Wanted): Promise<Made> {
    const { scene } = wanted;
    const askedAt = this.clock.now().getTime();
    const asked = this.#lifeOf(wanted, askedAt);
    const { ticket, url, expiresInSeconds } = await this.tokens.withToken(appid, (token) =>
      createQrCode(this.wechat, token, { scene, expiresInSeconds: asked }),
    );
    const made = { contentUrl: url, ticket, picture: null };
    if (expiresInSeconds === null) return { ...made, expiresAt: null, renewAt: null };
    const lifeMs = expiresInSeconds * 1000;
    const expiresAt = new Date(askedAt + lifeMs);
    const renewAt = renewalOf(expiresAt, wanted.endsAt, lifeMs, new Date(askedAt));
    return { ...made, expiresAt, renewAt };
  }

  /** No longer than the code itself is to live, in whole seconds. */
  #lifeOf({ isPermanent, expiresInDays, endsAt }: Wanted, now: number): number | null {
    if (isPermanent || expiresInDays === null) return null;
    const left = endsAt === null ? Infinity : Math.ceil((endsAt.getTime() - now) / 1000);
    return Math.max(1, Math.min((expiresInDays * DAY_MS) / 1000, left));
  }

  async #draw({ appid }: Account, { scene, page }: Wanted): Promise<Made> {
    const wanted = { scene, width: PROGRAM_CODE_WIDTH, ...(page !== null && { page }) };
    const picture = await this.tokens.withToken(appid, (token) =>
      createMiniProgramCode(this.wechat, token, wanted),
    );
    return { contentUrl: null, ticket: null, expiresAt: null, renewAt: null, picture };
  }

  async #takePermanent(appid: string): Promise<void> {
    await this.db.write(async (tx) => {
      // Of an account that is gone, nothing may be left.
      if (!(await this.accounts.findForUpdate(tx, appid))) throw new AppError('not_found');
      const { permanentUsed } = await this.codes.lockAccount(tx, appid);
      if (permanentUsed >= MAX_PERMANENT) throw new AppError('qr_codes_used_up');
      await this.codes.addPermanent(tx, appid, 1);
    });
  }
}

/**
 * When the next picture is to be asked for: well before this one stops working, and at once where that is past.
 *
 * @param lifeMs of this picture, as far as it is known; less of it is left than that
 * @returns null where the code has ended by the time that the picture does
 */
export function renewalOf(
  expiresAt: Date,
  endsAt: Date | null,
  lifeMs: number,
  now: Date,
): Date | null {
  if (endsAt !== null && endsAt <= expiresAt) return null;
  const wanted = expiresAt.getTime() - Math.min(RENEW_BEFORE_MS, lifeMs / 4);
  return new Date(Math.max(wanted, now.getTime()));
}

/** Opaque, unguessable, and made of what WeChat takes anywhere. */
export function newScene(): string {
  const letters = [...randomBytes(SCENE_LENGTH)].map((byte) => BASE32[byte % BASE32.length]);
  return `c${letters.join('')}`;
}

/** Whether a scene looks like one of ours: of some that it does, nobody has made a code. */
export function isOurScene(scene: string): boolean {
  return /^c[a-z2-7]{10}$/.test(scene);
}
