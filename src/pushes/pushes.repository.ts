import { Injectable } from '@nestjs/common';
import { LessThanOrEqual } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { PushRow } from './push.entity.js';

@Injectable()
export class PushesRepository {
  constructor(private readonly db: Database) {}

  /**
   * Keeps a push, in one statement.
   *
   * @returns whether it is new; false for one that the ledger already has
   */
  async insertOnce(row: PushRow): Promise<boolean> {
    await this.db.write((tx) =>
      tx.createQueryBuilder().insert().into(PushRow).values(row).orIgnore().execute(),
    );
    // What an ignored insert reports differs by driver: the row itself says whose it is.
    return this.db.read.existsBy(PushRow, { id: row.id });
  }

  /** The waiting pushes whose time has come, the longest waiting first. */
  findDue(now: Date, limit: number): Promise<PushRow[]> {
    return this.db.read.find(PushRow, {
      where: { state: 'waiting', nextTryAt: LessThanOrEqual(now) },
      order: { nextTryAt: 'ASC', id: 'ASC' },
      take: limit,
    });
  }

  /** Takes a due push until `until`. @returns false when another process was faster */
  claim(row: PushRow, until: Date): Promise<boolean> {
    return this.db.write(async (tx) => {
      const { affected } = await tx.update(
        PushRow,
        { id: row.id, state: 'waiting', attempts: row.attempts },
        { attempts: row.attempts + 1, nextTryAt: until },
      );
      return affected === 1;
    });
  }

  async markHandled(tx: Tx, id: string, at: Date): Promise<void> {
    await tx.update(PushRow, { id }, { state: 'handled', handledAt: at, failure: null });
  }

  async markFailed(
    tx: Tx,
    id: string,
    outcome: { failure: string; nextTryAt: Date; isParked: boolean },
  ): Promise<void> {
    const { failure, nextTryAt, isParked } = outcome;
    await tx.update(
      PushRow,
      { id },
      { failure, nextTryAt, state: isParked ? 'parked' : 'waiting' },
    );
  }
}
