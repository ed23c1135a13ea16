import { MEDIA_ENDINGS, type MediaFormat, mediaFormatOf, type MediaKind } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import type { Caller } from '../../access/roles.js';
import type { Account } from '../../accounts/account.entity.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { sha256Of, type UploadedFile } from '../../common/form-data.js';
import { fromCursor, type Page, toPage } from '../../common/paging.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { MediaUsers } from './media-users.js';
import { checkUsage, usualKind } from './media-usage.js';
import type { Media } from './media.entity.js';
import { MediaRepository } from './media.repository.js';

const MAX_NAME = 255;

/** The files that messages carry: kept with us, since WeChat forgets its copies after three days. */
@Injectable()
export class MediaService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly media: MediaRepository,
    private readonly users: MediaUsers,
    private readonly accounts: AccountsService,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'media',
      isHistory: true,
      erase: (tx, appid, limit) => this.media.eraseAccount(tx, appid, limit),
    });
  }

  /** @returns null for an id that is not the account's */
  find(appid: string, id: string): Promise<Media | null> {
    return this.media.find(appid, id);
  }

  /** Whether it is there, and stays until the transaction ends. */
  holds(tx: Tx, appid: string, id: string): Promise<boolean> {
    return this.media.holds(tx, appid, id);
  }

  /** The whole file, 10 MiB at the most. @returns null for one that is gone */
  readContent(media: Media): Promise<Buffer | null> {
    return this.media.readContent(media);
  }

  /**
   * Keeps a file. The same file again is another one, with an id of its own.
   *
   * @param asked what it is to be used as; null decides by its content
   * @throws AppError `not_found`; `media_too_large`, `validation_failed` for what WeChat would not take
   */
  async create(
    caller: Caller,
    appid: string,
    file: UploadedFile,
    asked: MediaKind | null,
  ): Promise<Media> {
    const account = await this.accounts.get(caller, appid);
    const { kind, format } = readFile(account, file, asked);
    const { bytes } = file;
    const createdAt = this.clock.now();
    const media: Media = {
      id: uuidV7({ msecs: createdAt.getTime() }),
      appid,
      name: cleanName(file.name, format),
      kind,
      format,
      bytes: bytes.length,
      sha256: sha256Of(bytes),
      createdAt,
    };
    await this.db.write(async (tx) => {
      await this.media.insertContent(tx, media.id, bytes);
      // The account may be gone by now. After the bytes: while they go in, it is there for others.
      await this.accounts.getForUpdate(tx, caller, appid);
      await this.media.insert(tx, media);
    });
    return media;
  }

  /** @throws AppError `not_found`, for another account's too */
  async get(caller: Caller, appid: string, id: string): Promise<Media> {
    await this.accounts.get(caller, appid);
    const media = await this.media.find(appid, id);
    if (!media) throw new AppError('not_found');
    return media;
  }

  /** The newest first. @throws AppError `not_found`; `invalid_query` for a cursor that is not ours */
  async list(
    caller: Caller,
    appid: string,
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<Page<Media>> {
    await this.accounts.get(caller, appid);
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.media.findPage(appid, limit, after);
    return toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
  }

  /** @throws AppError `not_found`, for another account's too; `media_in_use` with what answers with it */
  async delete(caller: Caller, appid: string, id: string): Promise<void> {
    await this.accounts.get(caller, appid);
    const isDeleted = await this.db.write(async (tx) => {
      // As whoever begins to answer with it: one of the two sees what the other has done.
      await this.accounts.getForUpdate(tx, caller, appid);
      const users = await this.users.find(tx, appid, id);
      if (users.length > 0) throw new AppError('media_in_use', users);
      return this.media.delete(tx, appid, id);
    });
    if (!isDeleted) throw new AppError('not_found');
  }
}

/** @throws AppError `media_too_large`, `validation_failed` */
function readFile(
  account: Account,
  { bytes }: UploadedFile,
  asked: MediaKind | null,
): { kind: MediaKind; format: MediaFormat } {
  const format = mediaFormatOf(bytes);
  const kind = asked ?? usualKind(format);
  const problem = checkUsage(account, { bytes: bytes.length, format }, kind);
  if (kind && format && !problem) return { kind, format };
  throw new AppError(
    problem?.code === 'media_too_large' ? 'media_too_large' : 'validation_failed',
    problem ? [{ field: 'file', ...problem }] : [],
  );
}

/** Without a path and what nobody sees, and with the ending of what it is: a name must not make a picture a program. */
function cleanName(given: string, format: MediaFormat): string {
  const name = (given.split(/[\\/]/).at(-1) ?? '')
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '')
    .trim()
    .replace(/^\.+/, '');
  const ending = `.${MEDIA_ENDINGS[format]}`;
  const isRight = ENDINGS[format].some((one) => name.toLowerCase().endsWith(`.${one}`));
  if (isRight) return cut(name, MAX_NAME);
  return cut(name === '' ? 'media' : name, MAX_NAME - ending.length) + ending;
}

/** How names of such files end. */
const ENDINGS: Readonly<Record<MediaFormat, readonly string[]>> = {
  png: ['png'],
  jpeg: ['jpg', 'jpeg'],
  gif: ['gif'],
  mp3: ['mp3'],
  amr: ['amr'],
  mp4: ['mp4', 'm4v'],
};

/** Between characters, not in one. */
function cut(name: string, length: number): string {
  return Array.from(name).slice(0, length).join('');
}
