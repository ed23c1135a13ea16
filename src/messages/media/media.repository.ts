import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import type { Position } from '../../common/paging.js';
import { Database, type Tx } from '../../database/database.js';
import { newestFirst } from '../../database/newest-first.js';
import { Media, MediaPiece, MediaUpload } from './media.entity.js';

/** 512 KiB as base64, half of the smallest packet that a MySQL server takes by default. */
const PIECE_BYTES = 384 * 1024;
/** They may have 13 MiB each. */
const ERASED_AT_ONCE = 10;

/** The files with their content, and with what goes when they go. */
@Injectable()
export class MediaRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, id: string): Promise<Media | null> {
    return this.db.read.findOneBy(Media, { appid, id });
  }

  /** Whether it is there, and stays until the transaction ends. */
  async holds(tx: Tx, appid: string, id: string): Promise<boolean> {
    const media = await tx.findOne(Media, { where: { appid, id }, ...this.db.currentRead(tx) });
    return media !== null;
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(appid: string, limit: number, after: Position | null): Promise<Media[]> {
    const query = this.db.read.createQueryBuilder(Media, 'media').where({ appid });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'id' });
  }

  /** @returns nothing for one that is gone */
  async readContent({ id, bytes }: Pick<Media, 'id' | 'bytes'>): Promise<Buffer | null> {
    const pieces = await this.db.read.find(MediaPiece, {
      where: { mediaId: id },
      order: { place: 'ASC' },
    });
    const content = Buffer.concat(pieces.map((piece) => Buffer.from(piece.content, 'base64')));
    return content.length === bytes ? content : null;
  }

  async insertContent(tx: Tx, mediaId: string, content: Buffer): Promise<void> {
    for (let place = 0; place * PIECE_BYTES < content.length; place++) {
      const piece = content.subarray(place * PIECE_BYTES, (place + 1) * PIECE_BYTES);
      await tx.insert(MediaPiece, { mediaId, place, content: piece.toString('base64') });
    }
  }

  async insert(tx: Tx, media: Media): Promise<void> {
    await tx.insert(Media, media);
  }

  /** @returns false when there is none */
  async delete(tx: Tx, appid: string, id: string): Promise<boolean> {
    const { affected } = await tx.delete(Media, { appid, id });
    if (affected !== 1) return false;
    await this.#deleteParts(tx, [id]);
    return true;
  }

  /** Deletes files of an account. @returns how many; none is left once it is less than `limit` */
  async eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    const rows = await tx.find(Media, {
      select: { id: true },
      where: { appid },
      take: ERASED_AT_ONCE,
    });
    if (rows.length === 0) return 0;
    const ids = rows.map(({ id }) => id);
    await tx.delete(Media, { id: In(ids) });
    await this.#deleteParts(tx, ids);
    return rows.length === ERASED_AT_ONCE ? limit : rows.length;
  }

  async #deleteParts(tx: Tx, mediaIds: string[]): Promise<void> {
    await tx.delete(MediaPiece, { mediaId: In(mediaIds) });
    await tx.delete(MediaUpload, { mediaId: In(mediaIds) });
  }
}
