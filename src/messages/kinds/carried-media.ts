import { type MediaKind, WechatApiError } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import type { Tx } from '../../database/database.js';
import { TokensService } from '../../tokens/tokens.service.js';
import { MediaService } from '../media/media.service.js';
import { MediaUploads } from '../media/media-uploads.js';
import { checkUsage } from '../media/media-usage.js';

/** A medium of ours that a message carries. */
export interface MediaRef {
  /** Where it stands in the request, e.g. `content.mediaIds.0`. */
  field: string;
  id: string;
  /** As what it is sent. */
  kind: MediaKind;
}

/** WeChat's id of a medium, by ours. */
export type WechatIds = (mediaId: string) => string;

const UNKNOWN: Omit<FieldError, 'field'> = {
  code: 'media_not_found',
  detail: {
    zh: '账号没有该素材，请先用 POST …/media 上传，并使用返回的 id。',
    en: 'The account has no such medium. Upload it with POST …/media first, and use the id that this answers.',
  },
};

/** The media of messages: ours in what clients send, WeChat's in what goes out. */
@Injectable()
export class CarriedMedia {
  constructor(
    private readonly media: MediaService,
    private readonly uploads: MediaUploads,
    private readonly tokens: TokensService,
  ) {}

  /** Names those that are not the account's, or that WeChat would not take as what they are sent as. */
  async check(account: Account, refs: readonly MediaRef[]): Promise<FieldError[]> {
    const errors: FieldError[] = [];
    for (const { field, id, kind } of refs) {
      const found = await this.media.find(account.appid, id);
      const problem = found ? checkUsage(account, found, kind) : UNKNOWN;
      if (problem) errors.push({ field, ...problem });
    }
    return errors;
  }

  /** Names those that are gone since they were checked. The others stay until the transaction ends. */
  async findGone(tx: Tx, { appid }: Account, refs: readonly MediaRef[]): Promise<FieldError[]> {
    const errors: FieldError[] = [];
    for (const { field, id } of refs)
      if (!(await this.media.holds(tx, appid, id))) errors.push({ field, ...UNKNOWN });
    return errors;
  }

  /**
   * Sends with the account's token and WeChat's ids of the media: those it has, or fresh ones. Where WeChat no longer
   * knows one of them, all are uploaded once more, and sent once more.
   */
  async send<T>(
    account: Account,
    refs: readonly MediaRef[],
    call: (token: string, ids: WechatIds) => Promise<T>,
  ): Promise<T> {
    const ids = await this.#idsOf(account, refs);
    try {
      return await this.#call(account, ids, call);
    } catch (error) {
      const isExpired = error instanceof WechatApiError && error.errorClass === 'media_expired';
      if (!isExpired || refs.length === 0) throw error;
      for (const [id, wechatId] of ids) await this.uploads.forget(account.appid, id, wechatId);
      return this.#call(account, await this.#idsOf(account, refs), call);
    }
  }

  async #idsOf(account: Account, refs: readonly MediaRef[]): Promise<Map<string, string>> {
    const ids = new Map<string, string>();
    for (const { id, kind } of refs)
      ids.set(
        id,
        await this.uploads.idFor(account, id, kind, (call) =>
          this.tokens.withToken(account.appid, call),
        ),
      );
    return ids;
  }

  #call<T>(
    { appid }: Account,
    ids: ReadonlyMap<string, string>,
    call: (token: string, ids: WechatIds) => Promise<T>,
  ): Promise<T> {
    return this.tokens.withToken(appid, (token) => call(token, (id) => ids.get(id) ?? ''));
  }
}
