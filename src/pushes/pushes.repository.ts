import { Injectable } from '@nestjs/common';
import { Brackets, In, LessThan, MoreThan, Not } from 'typeorm';

import { inTime } from '../common/in-time.js';
import type { Position } from '../common/paging.js';
import { Database, toSqlTime, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { LeaseLostError } from '../queue/lease-lost.error.js';
import { PushRow, type PushState } from './push.entity.js';

/** A push to be kept. One that waits belongs to this process from the start, if it is to handle it. */
export interface NewPush extends Omit<PushRow, 'leaseUntil' | 'failure'> {
  isOurs: boolean;
}

/** What the ledger holds of a push. */
export interface KeptPush {
  /** False for one that was there already. */
  isNew: boolean;
  /** Of the first one that came; null for `success`. */
  answer: string | null;
}

export interface PushFilter {
  state?: PushState;
  kind?: string;
  account?: string;
}

const COLUMNS =
  'id, account, dedup_key, kind, occurred_at, content, answer, answered_by, state, attempts, next_try_at, received_at, handled_at, lease_until';

/**
 * How long a group waits to learn which of its pushes are repeated ones. Waiting for longer would cost all of them
 * their answer; WeChat would repeat them, and make a slow database slower still.
 */
const TELL_APART_MS = 1_000;

class SlowError extends Error {}
class ClaimedElsewhereError extends Error {}

@Injectable()
export class PushesRepository {
  constructor(private readonly db: Database) {}

  /**
   * Keeps pushes in one statement that commits by itself; those that the ledger has already are left alone.
   *
   * @returns for each, in their order; null when it is kept, but the database was too slow to tell the new ones from
   * the repeated ones in time
   */
  async insertGroup(rows: readonly NewPush[], leaseMs: number): Promise<(KeptPush | null)[]> {
    const lease = this.db.nowSql(leaseMs);
    const values = rows.map(
      ({ isOurs }) => `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ${isOurs ? lease : 'NULL'})`,
    );
    const verb = this.db.isSqlite ? 'INSERT OR IGNORE' : 'INSERT IGNORE';
    const written = await this.db.statement(
      `${verb} INTO push (${COLUMNS}) VALUES ${values.join(', ')}`,
      rows.flatMap(toValues),
    );
    if (written === rows.length) return rows.map(({ answer }) => ({ isNew: true, answer }));
    return inTime(this.#findKept(rows), TELL_APART_MS, () => new SlowError()).catch(
      (error: unknown) => {
        if (error instanceof SlowError) return rows.map(() => null);
        throw error;
      },
    );
  }

  async #findKept(rows: readonly NewPush[]): Promise<KeptPush[]> {
    const kept = await this.db.read.find(PushRow, {
      select: { id: true, account: true, dedupKey: true, answer: true },
      where: {
        account: In([...new Set(rows.map(({ account }) => account))]),
        dedupKey: In(rows.map(({ dedupKey }) => dedupKey)),
      },
    });
    const byKey = new Map(kept.map((row) => [`${row.account} ${row.dedupKey}`, row]));
    return rows.map(({ id, account, dedupKey }) => {
      const row = byKey.get(`${account} ${dedupKey}`);
      if (!row) throw new Error('The database has left out a push that it did not have.');
      return { isNew: row.id === id, answer: row.answer };
    });
  }

  find(id: string, on: Tx = this.db.read): Promise<PushRow | null> {
    return on.findOneBy(PushRow, { id });
  }

  /** The waiting pushes whose time has come and that nobody handles, the longest waiting first. */
  findDue(now: Date, limit: number): Promise<PushRow[]> {
    return this.db.read
      .createQueryBuilder(PushRow, 'push')
      .where({ state: 'waiting' })
      .andWhere('push.nextTryAt <= :now', { now })
      .andWhere(this.#isFree('push.leaseUntil'))
      .orderBy('push.nextTryAt', 'ASC')
      .addOrderBy('push.id', 'ASC')
      .take(limit)
      .getMany();
  }

  /**
   * Takes due pushes for this process, those of each number of tries in one statement.
   *
   * @param rows as they were read
   * @returns without those for which another process was faster
   */
  async claim(rows: readonly PushRow[], leaseMs: number): Promise<PushRow[]> {
    const claimed: PushRow[] = [];
    for (const attempts of new Set(rows.map((row) => row.attempts))) {
      const alike = rows.filter((row) => row.attempts === attempts);
      if (await this.#claimAll(alike, attempts, leaseMs)) claimed.push(...alike);
      // Nobody can tell which of them were taken: one by one, everybody can.
      else if (alike.length > 1)
        for (const row of alike)
          if (await this.#claimAll([row], attempts, leaseMs)) claimed.push(row);
    }
    return claimed;
  }

  /** All or none. */
  async #claimAll(rows: readonly PushRow[], attempts: number, leaseMs: number): Promise<boolean> {
    const places = rows.map(() => '?').join(', ');
    const sql =
      `UPDATE push ${this.db.byIdSql} SET attempts = attempts + 1, lease_until = ${this.db.nowSql(leaseMs)} ` +
      `WHERE id IN (${places}) AND state = 'waiting' AND attempts = ? ` +
      `AND (lease_until IS NULL OR lease_until <= ${this.db.nowSql()})`;
    try {
      await this.db.write(async (tx) => {
        const ids = rows.map(({ id }) => id);
        const result = await tx.queryRunner?.query(sql, [...ids, attempts], true);
        if (result?.affected !== rows.length) throw new ClaimedElsewhereError();
      });
      return true;
    } catch (error) {
      if (error instanceof ClaimedElsewhereError) return false;
      throw error;
    }
  }

  async renew(ids: readonly string[], leaseMs: number): Promise<void> {
    const places = ids.map(() => '?').join(', ');
    await this.db.statement(
      `UPDATE push ${this.db.byIdSql} SET lease_until = ${this.db.nowSql(leaseMs)} WHERE id IN (${places}) AND state = 'waiting'`,
      [...ids],
    );
  }

  /** @throws LeaseLostError when another process has taken it over */
  async finish(tx: Tx, { id, attempts, kind }: PushRow, at: Date): Promise<void> {
    const { affected } = await tx.update(
      PushRow,
      { id, attempts, state: 'waiting' },
      { state: 'handled', handledAt: at, leaseUntil: null, failure: null },
    );
    if (affected !== 1) throw new LeaseLostError(`push ${kind} ${id}`);
  }

  /** Ends many at once, whose effects have been written already. */
  async markHandled(ids: readonly string[], at: Date): Promise<void> {
    const places = ids.map(() => '?').join(', ');
    await this.db.statement(
      `UPDATE push ${this.db.byIdSql} SET state = 'handled', handled_at = ?, lease_until = NULL, failure = NULL WHERE id IN (${places}) AND state = 'waiting'`,
      [toSqlTime(at), ...ids],
    );
  }

  /** Nothing happens when another process has taken it over. */
  async markFailed(
    { id, attempts }: PushRow,
    outcome: Pick<PushRow, 'failure' | 'nextTryAt' | 'state'>,
  ): Promise<void> {
    await this.db.write((tx) =>
      tx.update(PushRow, { id, attempts, state: 'waiting' }, { ...outcome, leaseUntil: null }),
    );
  }

  /** Gives pushes back that this process will not handle after all: the try does not count. */
  async handBack(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const places = ids.map(() => '?').join(', ');
    await this.db.statement(
      `UPDATE push ${this.db.byIdSql} SET lease_until = NULL, attempts = attempts - 1 WHERE id IN (${places}) AND state = 'waiting'`,
      [...ids],
    );
  }

  /** Makes parked pushes wait again, with all their tries. @returns how many */
  async unpark(
    tx: Tx,
    which: { id: string } | Omit<PushFilter, 'state'>,
    now: Date,
  ): Promise<number> {
    const { affected } = await tx.update(
      PushRow,
      { ...given(which), state: 'parked' },
      { state: 'waiting', attempts: 0, nextTryAt: now, leaseUntil: null },
    );
    return affected ?? 0;
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(filter: PushFilter, limit: number, after: Position | null): Promise<PushRow[]> {
    const query = this.db.read.createQueryBuilder(PushRow, 'push').where(given(filter));
    if (after) query.andWhere('push.id < :id', { id: after.id });
    return query
      .orderBy('push.id', 'DESC')
      .take(limit + 1)
      .getMany();
  }

  /** Deletes pushes with an id below, except those that still wait. @returns how many */
  async deleteBefore(id: string, limit: number): Promise<number> {
    const rows = await this.db.read.find(PushRow, {
      select: { id: true },
      where: { id: LessThan(id), state: Not('waiting') },
      order: { id: 'ASC' },
      take: limit,
    });
    if (rows.length > 0)
      await this.db.write((tx) => tx.delete(PushRow, { id: In(rows.map((row) => row.id)) }));
    return rows.length;
  }

  /** Deletes pushes of the account, whatever their state. @returns how many */
  eraseAccount(tx: Tx, account: string, limit: number): Promise<number> {
    return deletePage(tx, PushRow, { account }, limit);
  }

  /** The pushes of these kinds to the account, with their content. */
  findOfKinds(account: string, kinds: readonly string[], on: Tx): Promise<PushRow[]> {
    return on.findBy(PushRow, { account, kind: In([...kinds]) });
  }

  /** The account's pushes behind the id, in the order of their ids. */
  findOf(account: string, after: string, limit: number): Promise<PushRow[]> {
    return this.db.read.find(PushRow, {
      where: { account, id: MoreThan(after) },
      order: { id: 'ASC' },
      take: limit,
    });
  }

  async erase(tx: Tx, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await tx.delete(PushRow, { id: In([...ids]) });
  }

  /** What has not been handled: how many of each state, and since when the oldest of them waits. */
  async backlog(): Promise<{ waiting: number; parked: number; oldestWaitingAt: Date | null }> {
    const waiting = await this.db.read.countBy(PushRow, { state: 'waiting' });
    const parked = await this.db.read.countBy(PushRow, { state: 'parked' });
    const oldest = await this.db.read.findOne(PushRow, {
      select: { id: true, receivedAt: true },
      where: { state: 'waiting' },
      order: { id: 'ASC' },
    });
    return { waiting, parked, oldestWaitingAt: oldest?.receivedAt ?? null };
  }

  #isFree(leaseUntil: string): Brackets {
    return new Brackets((where) =>
      where.where(`${leaseUntil} IS NULL`).orWhere(`${leaseUntil} <= ${this.db.nowSql()}`),
    );
  }
}

/** Without what is not set: a filter that was checked has every field, and an undefined one would match no row. */
function given<T extends object>(filter: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(filter).filter(([, value]) => value !== undefined),
  ) as Partial<T>;
}

/** Cut to what the columns hold: an ignored conflict also ignores what does not fit. */
function toValues(row: NewPush): unknown[] {
  const received = toSqlTime(row.receivedAt);
  // One moment for all, as a rule: writing it out costs more than anything else here.
  const at = (time: Date): string => (time === row.receivedAt ? received : toSqlTime(time));
  return [
    row.id,
    row.account.slice(0, 32),
    row.dedupKey.slice(0, 64),
    row.kind.slice(0, 64),
    toSqlTime(row.occurredAt),
    row.content,
    row.answer,
    row.answeredBy && row.answeredBy.slice(0, 64),
    row.state,
    row.attempts,
    at(row.nextTryAt),
    received,
    row.handledAt && at(row.handledAt),
  ];
}
