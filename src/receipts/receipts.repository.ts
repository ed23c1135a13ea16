import { Injectable } from '@nestjs/common';
import { Between, In, LessThan } from 'typeorm';

import { chunksOf } from '../common/chunks.js';
import type { Position } from '../common/paging.js';
import { Database, toSqlTime, type Tx } from '../database/database.js';
import { newestFirst } from '../database/newest-first.js';
import { Receipt } from './receipt.entity.js';

export interface ReceiptFilter {
  event?: string;
  openid?: string;
  templateId?: string;
  msgid?: string;
  /** Received from this moment on. */
  from?: Date;
  /** Received before this moment. */
  to?: Date;
}

const COLUMNS =
  'received_at, id, appid, event, openid, template_id, msgid, status, error_code, detail, occurred_at, payload';
const VALUES = '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)';
/** A row has twelve parameters, and a statement of SQLite may have 32,766. */
const INSERTED_AT_ONCE = 500;

@Injectable()
export class ReceiptsRepository {
  constructor(private readonly db: Database) {}

  async insert(tx: Tx, receipts: readonly Receipt[]): Promise<void> {
    for (const chunk of chunksOf(receipts, INSERTED_AT_ONCE))
      await tx.query(
        `INSERT INTO receipt (${COLUMNS}) VALUES ${chunk.map(() => VALUES).join(', ')}`,
        chunk.flatMap(toValues),
      );
  }

  /** Which of the ids are there already, of receipts that came at these moments. */
  async findIds(tx: Tx, receipts: readonly Pick<Receipt, 'id' | 'receivedAt'>[]) {
    const found = new Set<string>();
    for (const chunk of chunksOf(receipts, INSERTED_AT_ONCE)) {
      const rows = await tx.find(Receipt, {
        select: { receivedAt: true, id: true },
        where: {
          receivedAt: In(chunk.map(({ receivedAt }) => receivedAt)),
          id: In(chunk.map(({ id }) => id)),
        },
      });
      for (const { id } of rows) found.add(id);
    }
    return found;
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { from, to, ...filter }: ReceiptFilter,
    limit: number,
    after: Position | null,
  ): Promise<Receipt[]> {
    const query = this.db.read.createQueryBuilder(Receipt, 'receipt').where({ appid });
    for (const [column, value] of Object.entries(filter))
      if (value !== undefined) query.andWhere({ [column]: value });
    if (from) query.andWhere('receipt.receivedAt >= :from', { from });
    if (to) query.andWhere('receipt.receivedAt < :to', { to });
    return newestFirst(query, limit, after, { time: 'receivedAt', id: 'id' });
  }

  /** Deletes the oldest receipts that came before the moment. @returns how many */
  deleteBefore(moment: Date, limit: number): Promise<number> {
    return this.db.write((tx) => this.#delete(tx, { receivedAt: LessThan(moment) }, limit));
  }

  /** Deletes receipts of an account. @returns how many; none is left once it is less than `limit` */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return this.#delete(tx, { appid }, limit);
  }

  /** Deletes the receipts of one person of an account. @returns how many; none is left once it is less than `limit` */
  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return this.#delete(tx, { appid, openid }, limit);
  }

  async #delete(tx: Tx, where: object, limit: number): Promise<number> {
    const rows = await tx.find(Receipt, {
      select: { receivedAt: true, id: true },
      where,
      order: { receivedAt: 'ASC', id: 'ASC' },
      take: limit,
    });
    const [first, last] = [rows[0], rows.at(-1)];
    if (!first || !last) return 0;
    // By their time as well: the primary key begins with it.
    await tx.delete(Receipt, {
      ...where,
      receivedAt: Between(first.receivedAt, last.receivedAt),
      id: In(rows.map(({ id }) => id)),
    });
    return rows.length;
  }
}

/** Cut to what the columns hold: they are the sender's words. */
function toValues(receipt: Receipt): unknown[] {
  return [
    toSqlTime(receipt.receivedAt),
    receipt.id,
    receipt.appid,
    receipt.event.slice(0, 64),
    receipt.openid.slice(0, 64),
    receipt.templateId?.slice(0, 64) ?? null,
    receipt.msgid?.slice(0, 32) ?? null,
    receipt.status?.slice(0, 32) ?? null,
    receipt.errorCode?.slice(0, 32) ?? null,
    receipt.detail?.slice(0, 512) ?? null,
    toSqlTime(receipt.occurredAt),
    JSON.stringify(receipt.payload),
  ];
}
