import type { MediaKind } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { errorFields, Logger } from '../../common/logger.js';
import { TokensService } from '../../tokens/tokens.service.js';
import type { MediaUpload } from '../media/media.entity.js';
import { MediaUploads } from '../media/media-uploads.js';
import type { CarriedFile, ReadyMedia } from './passive-reply.js';

/** WeChat fetches a reply's medium at once. */
const LEAST_LIFE_MS = 60_000;
/** Copies live three days: a renewal that fails all night is done in the morning still. */
const RENEW_BEFORE_MS = 24 * 3_600_000;
const LASTING: ReadonlySet<string> = new Set(['media_not_found', 'media_not_usable']);

/** WeChat's copies of what passive replies carry: an answer to a push cannot wait for an upload. */
@Injectable()
export class PassiveMedia {
  constructor(
    private readonly uploads: MediaUploads,
    private readonly tokens: TokensService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** The copies that there are now, to answer with while they are good. */
  async findReady(appid: string, files: readonly CarriedFile[]): Promise<ReadyMedia> {
    const copies = await this.#findCopies(appid, files);
    const byUse = new Map(copies.map((copy) => [useOf(copy.mediaId, copy.kind), copy]));
    return (mediaId, kind) => {
      const copy = byUse.get(useOf(mediaId, kind));
      const isGood = copy && +copy.expiresAt - +this.clock.now() > LEAST_LIFE_MS;
      return isGood ? copy.wechatMediaId : null;
    };
  }

  /**
   * Has WeChat hold each of the files for another day at least.
   *
   * @returns when to do so again; null where there is nothing that it could hold
   * @throws WechatApiError, WechatUnavailableError of an upload
   */
  async keep(account: Account, files: readonly CarriedFile[]): Promise<Date | null> {
    const { appid } = account;
    for (const { id, kind } of files)
      await this.uploads
        .idFor(account, id, kind, (call) => this.tokens.withToken(appid, call), RENEW_BEFORE_MS)
        .catch((error: unknown) => {
          // One that was deleted stays away; sending it says so.
          if (!(error instanceof AppError) || !LASTING.has(error.code)) throw error;
          this.logger.warn('passive_reply.medium_gone', { appid, ...errorFields(error) });
        });
    const copies = await this.#findCopies(appid, files);
    const now = +this.clock.now();
    // Of a file that was deleted, an old copy may be left.
    const ends = copies.map(({ expiresAt }) => +expiresAt).filter((end) => end > now);
    return ends.length > 0 ? new Date(Math.min(...ends) - RENEW_BEFORE_MS) : null;
  }

  /** Of each file as what it is sent as: it may have been sent as something else too. */
  async #findCopies(appid: string, files: readonly CarriedFile[]): Promise<MediaUpload[]> {
    const ids = [...new Set(files.map(({ id }) => id))];
    const uses = new Set(files.map(({ id, kind }) => useOf(id, kind)));
    const copies = ids.length > 0 ? await this.uploads.findCopies(appid, ids) : [];
    return copies.filter(({ mediaId, kind }) => uses.has(useOf(mediaId, kind)));
  }
}

function useOf(mediaId: string, kind: MediaKind): string {
  return `${kind} ${mediaId}`;
}
