import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan } from 'typeorm';

import { chunksOf } from '../common/chunks.js';
import { Database, toSqlTime, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { EventPosition, EventRow } from './event.entity.js';

const FEED = 'feed';
const COLUMNS =
  'id, position, type, version, subject_key, tenant_id, appid, payload, sealed, occurred_at, emitted_at';
/** A row has nine parameters, and a statement of SQLite may have 32,766. */
const INSERTED_AT_ONCE = 500;

export interface FeedFilter {
  /** A tenant's events; null for everybody's and those of the platform. */
  tenantId: string | null;
  types: readonly string[];
}

/** Events of one subject stay in order. */
export function subjectKeyOf(appid: string | null, openid?: string): string {
  return [appid ?? 'component', openid].filter(Boolean).join('/');
}

@Injectable()
export class EventsRepository {
  constructor(private readonly db: Database) {}

  async insert(tx: Tx, rows: readonly Omit<EventRow, 'emittedAt' | 'position'>[]): Promise<void> {
    const values = `(?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ${this.db.nowSql()})`;
    for (const chunk of chunksOf(rows, INSERTED_AT_ONCE))
      await tx.query(
        `INSERT INTO event (${COLUMNS}) VALUES ${chunk.map(() => values).join(', ')}`,
        chunk.flatMap((row) => [
          row.id,
          row.type,
          row.version,
          row.subjectKey,
          row.tenantId,
          row.appid,
          JSON.stringify(row.payload),
          row.sealed,
          toSqlTime(row.occurredAt),
        ]),
      );
  }

  async insertFeed(tx: Tx): Promise<void> {
    const feed: EventPosition = { name: FEED, last: 0, trimmedThrough: 0 };
    await tx.createQueryBuilder().insert().into(EventPosition).values(feed).orIgnore().execute();
  }

  hasUnplaced(): Promise<boolean> {
    return this.db.read.existsBy(EventRow, { position: IsNull() });
  }

  /**
   * Gives committed events that have no place yet the next ones.
   *
   * Places become visible in their order: whoever gives some holds the feed's row until they are committed.
   *
   * @returns how many were placed
   */
  place(limit: number): Promise<number> {
    return this.db.write(async (tx) => {
      // The first statement takes the row's lock, so that what is read next is what the last holder committed.
      await tx.update(EventPosition, { name: FEED }, { last: () => 'last + 0' });
      const rows = await tx.find(EventRow, {
        select: { id: true },
        where: { position: IsNull() },
        order: { emittedAt: 'ASC', id: 'ASC' },
        take: limit,
      });
      if (rows.length === 0) return 0;
      const { last } = await tx.findOneByOrFail(EventPosition, { name: FEED });
      const cases = rows.map((_row, n) => `WHEN ? THEN ${last + n + 1}`).join(' ');
      const ids = rows.map(({ id }) => id);
      const places = rows.map(() => '?').join(', ');
      await tx.query(
        `UPDATE event ${this.db.byIdSql} SET position = CASE id ${cases} END WHERE id IN (${places})`,
        [...ids, ...ids],
      );
      await tx.update(EventPosition, { name: FEED }, { last: last + rows.length });
      return rows.length;
    });
  }

  findFeed(on: Tx = this.db.read): Promise<EventPosition> {
    return on.findOneByOrFail(EventPosition, { name: FEED });
  }

  /** In the order of the feed, behind `after`. */
  findAfter(
    after: number,
    { tenantId, types }: FeedFilter,
    limit: number,
    on: Tx = this.db.read,
  ): Promise<EventRow[]> {
    const query = on
      .createQueryBuilder(EventRow, 'event')
      .where('event.position > :after', { after });
    if (tenantId !== null) query.andWhere({ tenantId });
    if (types.length > 0) query.andWhere({ type: In([...types]) });
    return query.orderBy('event.position', 'ASC').take(limit).getMany();
  }

  /** Deletes the oldest events that were written before `moment`. @returns how many */
  trim(moment: Date, limit: number): Promise<number> {
    return this.db.write(async (tx) => {
      const rows = await tx.find(EventRow, {
        select: { id: true, position: true },
        where: { emittedAt: LessThan(moment) },
        order: { emittedAt: 'ASC' },
        take: limit,
      });
      if (rows.length === 0) return 0;
      const through = Math.max(...rows.map(({ position }) => position ?? 0));
      await tx.delete(EventRow, { id: In(rows.map(({ id }) => id)) });
      await tx.update(
        EventPosition,
        { name: FEED, trimmedThrough: LessThan(through) },
        { trimmedThrough: through },
      );
      return rows.length;
    });
  }

  /** Deletes events of the account, or those about one person of it. @returns how many */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, EventRow, { appid }, limit);
  }

  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return deletePage(tx, EventRow, { appid, subjectKey: subjectKeyOf(appid, openid) }, limit);
  }

  /** When the oldest event that has no place yet was written; null when all have one. */
  async findOldestUnplaced(): Promise<Date | null> {
    const row = await this.db.read.findOne(EventRow, {
      select: { id: true, emittedAt: true },
      where: { position: IsNull() },
      order: { emittedAt: 'ASC' },
    });
    return row?.emittedAt ?? null;
  }
}
