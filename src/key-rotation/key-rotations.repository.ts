import { Injectable } from '@nestjs/common';

import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import type { SealedColumn } from '../database/sealed-columns.js';
import { KeyRotation } from './key-rotation.entity.js';

/** A row of a sealed column. */
export interface SealedRow {
  id: string;
  /** Its ciphertext where that is under another key than asked for; else null. */
  sealed: string | null;
}

/** One value in another envelope. */
export interface Resealed {
  id: string;
  from: string;
  to: string;
}

@Injectable()
export class KeyRotationsRepository {
  constructor(private readonly db: Database) {}

  find(id: string): Promise<KeyRotation | null> {
    return this.db.read.findOneBy(KeyRotation, { id });
  }

  /** The one that runs; where none does, the newest. */
  async findCurrent(): Promise<KeyRotation | null> {
    const running = await this.db.read.findOneBy(KeyRotation, { running: 'yes' });
    return running ?? this.db.read.findOne(KeyRotation, { where: {}, order: { id: 'DESC' } });
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(limit: number, after: Position | null): Promise<KeyRotation[]> {
    const query = this.db.read.createQueryBuilder(KeyRotation, 'rotation');
    if (after) query.where('rotation.id < :id', { id: after.id });
    return query
      .orderBy('rotation.id', 'DESC')
      .take(limit + 1)
      .getMany();
  }

  /** @returns false when one runs already: nothing was inserted */
  async insertUnlessRunning(tx: Tx, row: KeyRotation): Promise<boolean> {
    await tx.createQueryBuilder().insert().into(KeyRotation).values(row).orIgnore().execute();
    return tx.existsBy(KeyRotation, { id: row.id });
  }

  /** Gives up what runs towards another key than this one. */
  async supersede(tx: Tx, keyId: string, at: Date): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(KeyRotation)
      .set({ state: 'superseded', running: null, finishedAt: at })
      .where({ running: 'yes' })
      .andWhere('key_id <> :keyId', { keyId })
      .execute();
  }

  async saveProgress(
    tx: Tx,
    { id, progress, keysInUse }: Pick<KeyRotation, 'id' | 'progress' | 'keysInUse'>,
  ): Promise<void> {
    await tx.update(KeyRotation, { id, state: 'running' }, { progress, keysInUse });
  }

  /** @returns false when it was superseded */
  async finish(tx: Tx, id: string, at: Date): Promise<boolean> {
    const { affected } = await tx.update(
      KeyRotation,
      { id, state: 'running' },
      { state: 'finished', running: null, finishedAt: at },
    );
    return affected === 1;
  }

  async count({ table }: SealedColumn): Promise<number> {
    const [row] = await this.db.read.query<{ count: string | number }[]>(
      `SELECT COUNT(*) AS count FROM ${quote(table)}`,
    );
    return Number(row?.count);
  }

  /**
   * The next rows by id, whatever is in them: no statement looks at more than a page, since on SQLite nothing else
   * happens in the meantime.
   *
   * @param after the id that the page before ended with; empty begins
   */
  readPage(
    { table, idColumn, column }: SealedColumn,
    newestKeyId: string,
    after: string,
    limit: number,
  ): Promise<SealedRow[]> {
    const [id, value, prefix] = [quote(idColumn), quote(column), `v1.${newestKeyId}.`];
    return this.db.read.query<SealedRow[]>(
      `SELECT ${id} AS id,
              CASE WHEN SUBSTR(${value}, 1, 3) = 'v1.' AND SUBSTR(${value}, 1, ${prefix.length}) <> ?
                   THEN ${value} END AS sealed
         FROM ${quote(table)} WHERE ${id} > ? ORDER BY ${id} LIMIT ${limit}`,
      [prefix, after],
    );
  }

  /** Puts values into their new envelopes. One that was changed since it was read is left as it is now. */
  async replace(
    tx: Tx,
    { table, idColumn, column }: SealedColumn,
    values: readonly Resealed[],
  ): Promise<void> {
    const [id, value] = [quote(idColumn), quote(column)];
    for (const { id: rowId, from, to } of values)
      await tx.query(`UPDATE ${quote(table)} SET ${value} = ? WHERE ${id} = ? AND ${value} = ?`, [
        to,
        rowId,
        from,
      ]);
  }
}

/** Both databases take it. */
function quote(name: string): string {
  return `\`${name}\``;
}
