import type { MediaKind } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import { Database, type Tx } from '../../database/database.js';
import { MediaUpload } from './media.entity.js';

const LOOKED_FOR_AT_ONCE = 500;

@Injectable()
export class MediaUploadsRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, mediaId: string, kind: MediaKind): Promise<MediaUpload | null> {
    return this.db.read.findOneBy(MediaUpload, { appid, mediaId, kind });
  }

  async findAll(appid: string, mediaIds: readonly string[]): Promise<MediaUpload[]> {
    const found: MediaUpload[] = [];
    for (const chunk of chunksOf([...mediaIds], LOOKED_FOR_AT_ONCE))
      found.push(...(await this.db.read.findBy(MediaUpload, { appid, mediaId: In([...chunk]) })));
    return found;
  }

  /** Puts the row in place of the former one of its use. */
  async replace(tx: Tx, upload: MediaUpload): Promise<void> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(MediaUpload)
      .values(upload)
      .orUpdate(['wechat_media_id', 'uploaded_at', 'expires_at'], ['media_id', 'kind'])
      .execute();
  }

  async forget(tx: Tx, appid: string, mediaId: string, wechatMediaId: string): Promise<void> {
    await tx.delete(MediaUpload, { appid, mediaId, wechatMediaId });
  }

  /** Forgets what the account has uploaded. @returns how many */
  async eraseAccount(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(MediaUpload, { appid })).affected ?? 0;
  }
}
