import { Injectable } from '@nestjs/common';
import { In, LessThanOrEqual, MoreThan, Raw } from 'typeorm';

import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { newestFirst } from '../database/newest-first.js';
import { QrCode, QrCodeAccount, QrCodePicture, type QrCodeStatus } from './qr-code.entity.js';

export interface QrCodeFilter {
  status?: QrCodeStatus;
  channel?: string;
  group?: string;
  /** A part of the name. */
  q?: string;
}

const ERASED_PICTURES_AT_ONCE = 10;

@Injectable()
export class QrCodesRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, id: string): Promise<QrCode | null> {
    return this.db.read.findOneBy(QrCode, { appid, id });
  }

  /** In no order. */
  findAll(appid: string, ids: readonly string[]): Promise<QrCode[]> {
    return this.db.read.findBy(QrCode, { appid, id: In([...ids]) });
  }

  findByScene(tx: Tx, appid: string, scene: string): Promise<QrCode | null> {
    return tx.findOneBy(QrCode, { appid, scene });
  }

  /** Reads it as it is now, and keeps others from changing it until the transaction ends. */
  findForUpdate(tx: Tx, appid: string, id: string): Promise<QrCode | null> {
    return tx.findOne(QrCode, { where: { appid, id }, ...this.db.currentRead(tx) });
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { status, channel, group, q }: QrCodeFilter,
    limit: number,
    after: Position | null,
  ): Promise<QrCode[]> {
    const query = this.db.read.createQueryBuilder(QrCode, 'code').where({
      appid,
      ...(status && { status }),
      ...(channel !== undefined && { channel }),
      ...(group !== undefined && { group }),
    });
    if (q !== undefined)
      query.andWhere(`LOWER(code.name) LIKE LOWER(:q) ESCAPE '!'`, {
        q: `%${q.replaceAll(/[!%_]/g, '!$&')}%`,
      });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'id' });
  }

  /** Those whose picture is due to be made anew, the most urgent first. */
  findDueForRenewal(now: Date, limit: number): Promise<QrCode[]> {
    return this.db.read.find(QrCode, {
      where: { status: 'active', renewAt: LessThanOrEqual(now) },
      order: { renewAt: 'ASC' },
      take: limit,
    });
  }

  /** Those whose time is over. */
  findDueToEnd(now: Date, limit: number): Promise<QrCode[]> {
    return this.db.read.find(QrCode, {
      where: { status: 'active', endsAt: LessThanOrEqual(now) },
      order: { endsAt: 'ASC' },
      take: limit,
    });
  }

  /** What the account's codes say, of those that have changed since a revision. */
  findRepliesSince(
    appid: string,
    revision: number,
  ): Promise<Pick<QrCode, 'scene' | 'status' | 'replies' | 'updatedAt' | 'revision'>[]> {
    return this.db.read.find(QrCode, {
      select: {
        ...{ id: true, scene: true, status: true, replies: true, updatedAt: true },
        revision: true,
      },
      where: { appid, revision: MoreThan(revision) },
      order: { revision: 'ASC' },
    });
  }

  /** Those whose media at WeChat are due to be looked after, the most urgent first. */
  findMediaDue(now: Date, limit: number): Promise<Pick<QrCode, 'id' | 'appid'>[]> {
    return this.db.read.find(QrCode, {
      select: { id: true, appid: true },
      where: { renewMediaAt: LessThanOrEqual(now) },
      order: { renewMediaAt: 'ASC' },
      take: limit,
    });
  }

  /** Some of the active ones whose replies carry a medium. */
  findWithMedium(tx: Tx, appid: string, mediaId: string, limit: number): Promise<QrCode[]> {
    return tx.find(QrCode, {
      where: {
        appid,
        status: 'active',
        replies: Raw((column) => `${column} LIKE :part`, { part: `%${JSON.stringify(mediaId)}%` }),
      },
      take: limit,
    });
  }

  async insert(tx: Tx, code: QrCode): Promise<void> {
    await tx.insert(QrCode, code);
  }

  async update(tx: Tx, id: string, values: Partial<Omit<QrCode, 'id' | 'appid'>>): Promise<void> {
    await tx.update(QrCode, { id }, values);
  }

  async delete(tx: Tx, id: string): Promise<void> {
    await tx.delete(QrCode, { id });
    await tx.delete(QrCodePicture, { qrCodeId: id });
  }

  async insertPicture(tx: Tx, appid: string, qrCodeId: string, picture: Buffer): Promise<void> {
    await tx.insert(QrCodePicture, { qrCodeId, appid, content: picture.toString('base64') });
  }

  async readPicture(qrCodeId: string): Promise<Buffer | null> {
    const row = await this.db.read.findOneBy(QrCodePicture, { qrCodeId });
    return row && Buffer.from(row.content, 'base64');
  }

  async findRevision(appid: string): Promise<number> {
    const row = await this.db.read.findOneBy(QrCodeAccount, { appid });
    return row?.revision ?? 0;
  }

  async findPermanentUsed(appid: string): Promise<number> {
    const row = await this.db.read.findOneBy(QrCodeAccount, { appid });
    return row?.permanentUsed ?? 0;
  }

  /** What the account's codes share, as it is now: others wait until the transaction ends. */
  async lockAccount(tx: Tx, appid: string): Promise<QrCodeAccount> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(QrCodeAccount)
      .values({ appid, permanentUsed: 0, revision: 0 })
      .orUpdate(['appid'], ['appid'])
      .updateEntity(false)
      .execute();
    return tx.findOneOrFail(QrCodeAccount, { where: { appid }, ...this.db.currentRead(tx) });
  }

  /** @param change of permanent codes */
  async addPermanent(tx: Tx, appid: string, change: number): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(QrCodeAccount)
      .set({ permanentUsed: () => `permanent_used + ${change}` })
      .where({ appid })
      .execute();
  }

  /** The next revision of the account's codes. Nobody else has one until the transaction ends: they appear in order. */
  async nextRevision(tx: Tx, appid: string): Promise<number> {
    const { revision } = await this.lockAccount(tx, appid);
    await tx.update(QrCodeAccount, { appid }, { revision: revision + 1 });
    return revision + 1;
  }

  /** Deletes codes of an account. @returns how many; none is left once it is less than `limit` */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, QrCode, { appid }, limit);
  }

  async erasePictures(tx: Tx, appid: string, limit: number): Promise<number> {
    const rows = await tx.find(QrCodePicture, {
      select: { qrCodeId: true },
      where: { appid },
      take: ERASED_PICTURES_AT_ONCE,
    });
    if (rows.length === 0) return 0;
    await tx.delete(QrCodePicture, { qrCodeId: In(rows.map(({ qrCodeId }) => qrCodeId)) });
    return rows.length === ERASED_PICTURES_AT_ONCE ? limit : rows.length;
  }

  async eraseShared(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(QrCodeAccount, { appid })).affected ?? 0;
  }
}
