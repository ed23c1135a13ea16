import { randomBytes } from 'node:crypto';

import { fetchPicture, isWechatPicture, PictureError } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../../config/env.js';
import { Clock } from '../../common/clock.js';
import { errorFields, Logger } from '../../common/logger.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import type { WorkContext } from '../../queue/work-handlers.js';
import { WorkQueue } from '../../queue/work-queue.js';
import type { Account } from '../account.entity.js';
import { AccountsRepository } from '../accounts.repository.js';
import { type AccountPicture, PICTURE_KINDS, type PictureKind } from './account-picture.entity.js';
import { AccountPicturesRepository } from './account-pictures.repository.js';

const COPY = 'copy-account-picture';
const MAX_ATTEMPTS = 6;

/** Where an account's pictures can be shown from; empty where there is none. */
export interface PictureUrls {
  avatar: string;
  qrcode: string;
}

/** Keeps copies of accounts' avatars and QR codes, and says where they are. */
@Injectable()
export class AccountPictures implements OnModuleInit {
  readonly #origin: string;

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly pictures: AccountPicturesRepository,
    private readonly accounts: AccountsRepository,
    private readonly work: WorkQueue,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#origin = new URL(env.wechatMpBaseUrl).origin;
  }

  onModuleInit(): void {
    this.accountData.register({
      table: 'account_picture',
      erase: (tx, appid) => this.pictures.remove(tx, appid),
    });
    this.work.register<{ appid: string; kind: PictureKind }>(
      COPY,
      ({ appid, kind }, context) => this.#copy(appid, kind, context),
      { maxAttempts: MAX_ATTEMPTS },
    );
  }

  /** Has pictures copied that WeChat shows under other addresses than when they were copied last. */
  async follow(tx: Tx, account: Account): Promise<void> {
    const { appid } = account;
    const refs = await this.pictures.findRefs([appid], tx);
    for (const kind of PICTURE_KINDS) {
      const source = sourceOf(account, kind);
      const copied = refs.find((ref) => ref.kind === kind);
      if (source === copied?.sourceUrl) continue;
      if (source === '') await this.pictures.remove(tx, appid, kind);
      else if (isWechatPicture(source, this.#origin))
        await this.work.add(tx, {
          kind: COPY,
          key: `${appid}/${kind}`,
          appid,
          payload: { appid, kind },
        });
    }
  }

  /** Where the accounts' pictures are: our copies, and until there is one WeChat's own address. */
  async findUrls(accounts: readonly Account[]): Promise<Map<string, PictureUrls>> {
    const refs = await this.pictures.findRefs(accounts.map(({ appid }) => appid));
    const urlOf = (account: Account, kind: PictureKind): string => {
      const ref = refs.find(({ appid, kind: of }) => appid === account.appid && of === kind);
      return ref ? `${this.env.publicUrl}/pictures/${ref.id}` : sourceOf(account, kind);
    };
    return new Map(
      accounts.map((account) => [
        account.appid,
        { avatar: urlOf(account, 'avatar'), qrcode: urlOf(account, 'qrcode') },
      ]),
    );
  }

  /** @returns null for an address that leads to none */
  find(id: string): Promise<AccountPicture | null> {
    return this.pictures.find(id);
  }

  /** One that WeChat no longer shows is let be: what was copied before is better than nothing. */
  async #copy(appid: string, kind: PictureKind, context: WorkContext): Promise<void> {
    const account = await this.accounts.find(appid);
    const sourceUrl = account ? sourceOf(account, kind) : '';
    if (!isWechatPicture(sourceUrl, this.#origin)) return;
    try {
      const { contentType, body } = await fetchPicture(sourceUrl, this.#origin);
      await this.db.write(async (tx) => {
        await context.finish(tx);
        const now = await this.accounts.findForUpdate(tx, appid);
        if (!now) return;
        const [id, content] = [randomBytes(32).toString('base64url'), body.toString('base64')];
        const copiedAt = this.clock.now();
        await this.pictures.replace(tx, {
          id,
          appid,
          kind,
          sourceUrl,
          contentType,
          content,
          copiedAt,
        });
        // Another address may have come while this one was fetched.
        await this.follow(tx, now);
      });
    } catch (error) {
      if (!(error instanceof PictureError && error.failure === 'gone')) throw error;
      this.logger.warn('account.picture_gone', { appid, kind, ...errorFields(error) });
    }
  }
}

function sourceOf({ avatarUrl, qrcodeUrl }: Account, kind: PictureKind): string {
  return kind === 'avatar' ? avatarUrl : (qrcodeUrl ?? '');
}
