import {
  type MediaKind,
  TEMPORARY_MEDIA_LIFE_MS,
  uploadTemporaryMedia,
  WechatHttp,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { AccountData } from '../../database/account-data.js';
import { Database } from '../../database/database.js';
import { checkUsage, MEDIA_KINDS } from './media-usage.js';
import { MediaUploadsRepository } from './media-uploads.repository.js';
import type { Media, MediaUpload } from './media.entity.js';
import { MediaRepository } from './media.repository.js';

/** A copy that ends sooner is not sent any more: the message may wait before it goes out. */
const MARGIN_MS = 3_600_000;

/** How a call to WeChat gets its token. */
type WithToken = <T>(call: (token: string) => Promise<T>) => Promise<T>;

/** WeChat's copies of our files, each made when a message needs it and again when WeChat has forgotten it. */
@Injectable()
export class MediaUploads implements OnModuleInit {
  readonly #running = new Map<string, Promise<string>>();

  constructor(
    private readonly db: Database,
    private readonly media: MediaRepository,
    private readonly uploads: MediaUploadsRepository,
    private readonly wechat: WechatHttp,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'media_upload',
      isHistory: true,
      erase: (tx, appid) => this.uploads.eraseAccount(tx, appid),
    });
  }

  /**
   * WeChat's id of a file of ours: the one it has, or a new one when it has none or is about to forget it, within an
   * hour. Callers that come together share one upload.
   *
   * Two processes may both upload it. WeChat then has two copies, and either id is good.
   *
   * @param withToken gives the token that the bytes go up with
   * @param leastLifeMs a copy that ends sooner is replaced; default an hour
   * @throws AppError `media_not_found` for an id that is not the account's; `media_not_usable` when WeChat would not
   *   take the file as this kind
   * @throws WechatApiError, WechatUnavailableError of the upload
   */
  idFor(
    account: Account,
    mediaId: string,
    kind: MediaKind,
    withToken: WithToken,
    leastLifeMs = MARGIN_MS,
  ): Promise<string> {
    const key = keyOf(account.appid, mediaId, kind);
    const running = this.#running.get(key);
    if (running) return running;
    const finding = this.#findOrUpload(account, { mediaId, kind, leastLifeMs }, withToken).finally(
      () => {
        if (this.#running.get(key) === finding) this.#running.delete(key);
      },
    );
    this.#running.set(key, finding);
    return finding;
  }

  /** WeChat's copies of these files as they are now, those that have ended among them. None is made. */
  findCopies(appid: string, mediaIds: readonly string[]): Promise<MediaUpload[]> {
    return this.uploads.findAll(appid, mediaIds);
  }

  /** WeChat called the id unknown (40007): the next `idFor` uploads again, unless another id has taken its place already. */
  async forget(appid: string, mediaId: string, wechatMediaId: string): Promise<void> {
    await this.db.write((tx) => this.uploads.forget(tx, appid, mediaId, wechatMediaId));
    // A look that has begun before may still find it.
    for (const kind of MEDIA_KINDS) this.#running.delete(keyOf(appid, mediaId, kind));
  }

  async #findOrUpload(
    account: Account,
    { mediaId, kind, leastLifeMs }: { mediaId: string; kind: MediaKind; leastLifeMs: number },
    withToken: WithToken,
  ): Promise<string> {
    const { appid } = account;
    const known = await this.uploads.find(appid, mediaId, kind);
    const now = this.clock.now().getTime();
    if (known && known.expiresAt.getTime() - now > leastLifeMs) return known.wechatMediaId;
    const media = await this.media.find(appid, mediaId);
    if (!media) throw new AppError('media_not_found');
    const problem = checkUsage(account, media, kind);
    if (problem) throw new AppError('media_not_usable', [{ field: 'mediaId', ...problem }]);
    return this.#upload(media, kind, withToken);
  }

  async #upload(media: Media, kind: MediaKind, withToken: WithToken): Promise<string> {
    const { id: mediaId, appid } = media;
    const bytes = await this.media.readContent(media);
    if (!bytes) throw new AppError('media_not_found');
    const uploadedAt = this.clock.now();
    const { mediaId: wechatMediaId } = await withToken((token) =>
      uploadTemporaryMedia(this.wechat, token, { kind, bytes }),
    );
    const expiresAt = new Date(uploadedAt.getTime() + TEMPORARY_MEDIA_LIFE_MS);
    await this.db.write(async (tx) => {
      // One that was deleted meanwhile leaves nothing behind.
      if (await this.media.holds(tx, appid, mediaId))
        await this.uploads.replace(tx, {
          mediaId,
          kind,
          appid,
          wechatMediaId,
          uploadedAt,
          expiresAt,
        });
    });
    return wechatMediaId;
  }
}

function keyOf(appid: string, mediaId: string, kind: MediaKind): string {
  return `${appid}/${mediaId}/${kind}`;
}
