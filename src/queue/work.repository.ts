import { Injectable } from '@nestjs/common';
import { Brackets } from 'typeorm';

import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { LeaseLostError } from './lease-lost.error.js';
import { Work, type WorkState } from './work.entity.js';

/** A claimed piece of work, for as long as its epoch stands. */
export type ClaimedWork = Work;

/** How much work of a kind is in a state, and since when the longest due of it waits. */
export interface WorkDepth {
  kind: string;
  state: WorkState;
  count: number;
  oldestRunAt: Date;
}

@Injectable()
export class WorkRepository {
  constructor(private readonly db: Database) {}

  find(id: string, on: Tx = this.db.read): Promise<Work | null> {
    return on.findOneBy(Work, { id });
  }

  /**
   * Adds it. Where one of its kind with its key stands already, that one is done by the earlier of both times, unless it
   * has failed and waits to be tried again.
   *
   * @returns the one that stands
   */
  async insertOrHasten(tx: Tx, work: Work): Promise<Work> {
    const { kind, dedupKey } = work;
    const insert = tx.createQueryBuilder().insert().into(Work).values(work);
    const [sql, parameters] = insert.getQueryAndParameters();
    await tx.query(`${sql} ${this.#hastenSql}`, parameters);
    if (dedupKey === null) return work;
    const standing = await tx.findOne(Work, {
      where: { kind, dedupKey },
      ...this.db.currentRead(tx),
    });
    return standing ?? work;
  }

  /** With another epoch: to what carries pointers it is another one then, and not the one that comes later. */
  get #hastenSql(): string {
    const isHeld = "state = 'ready' AND attempts = 0";
    return this.db.isSqlite
      ? `ON CONFLICT (kind, dedup_key) DO UPDATE SET run_at = excluded.run_at, epoch = epoch + 1
         WHERE ${isHeld} AND excluded.run_at < run_at`
      : `ON DUPLICATE KEY UPDATE
         epoch = IF(${isHeld} AND VALUES(run_at) < run_at, epoch + 1, epoch),
         run_at = IF(${isHeld}, LEAST(run_at, VALUES(run_at)), run_at)`;
  }

  /** What may be claimed now, the most urgent and then the longest due first. */
  findDue(kinds: readonly string[], now: Date, limit: number): Promise<Work[]> {
    if (kinds.length === 0) return Promise.resolve([]);
    return this.db.read
      .createQueryBuilder(Work, 'work')
      .where('work.kind IN (:...kinds)', { kinds })
      .andWhere(this.#isFree(now))
      .orderBy('work.priority', 'ASC')
      .addOrderBy('work.runAt', 'ASC')
      .addOrderBy('work.id', 'ASC')
      .take(limit)
      .getMany();
  }

  /**
   * Takes it for this process, by compare-and-set.
   *
   * @param dueBy what is due after this moment is left alone
   * @returns null when it is not due, done, or another's
   */
  async claim(
    id: string,
    { now, dueBy }: { now: Date; dueBy: Date },
    leaseMs: number,
  ): Promise<ClaimedWork | null> {
    const seen = await this.find(id);
    if (!seen) return null;
    const { affected } = await this.db.write((tx) =>
      tx
        .createQueryBuilder()
        .update(Work)
        .set({
          state: 'running',
          epoch: seen.epoch + 1,
          attempts: seen.attempts + 1,
          leaseUntil: () => this.db.nowSql(leaseMs),
          updatedAt: now,
        })
        .where({ id, epoch: seen.epoch })
        .andWhere(this.#isFree(dueBy, ''))
        .execute(),
    );
    if (affected !== 1) return null;
    seen.epoch += 1;
    seen.attempts += 1;
    return seen;
  }

  /** @returns whether it is still this holder's */
  async renew({ id, epoch }: ClaimedWork, leaseMs: number): Promise<boolean> {
    const { affected } = await this.db.write((tx) =>
      tx
        .createQueryBuilder()
        .update(Work)
        .set({ leaseUntil: () => this.db.nowSql(leaseMs) })
        .where({ id, epoch, state: 'running' })
        .execute(),
    );
    return affected === 1;
  }

  /** @throws LeaseLostError when it is no longer this holder's */
  async finish(tx: Tx, { id, epoch, kind }: ClaimedWork): Promise<void> {
    const { affected } = await tx.delete(Work, { id, epoch, state: 'running' });
    if (affected !== 1) throw new LeaseLostError(`work ${kind} ${id}`);
  }

  /** Puts it back for later, or aside for good. Nothing happens when it is no longer this holder's. */
  async giveBack(
    { id, epoch }: ClaimedWork,
    outcome: Pick<Work, 'state' | 'runAt' | 'failure' | 'attempts' | 'updatedAt'>,
  ): Promise<void> {
    await this.db.write((tx) =>
      tx.update(Work, { id, epoch, state: 'running' }, { ...outcome, leaseUntil: null }),
    );
  }

  /** Makes dead work ready again, with all its tries. @returns whether it was dead */
  async revive(tx: Tx, id: string, now: Date): Promise<boolean> {
    const { affected } = await tx.update(
      Work,
      { id, state: 'dead' },
      { state: 'ready', attempts: 0, runAt: now, updatedAt: now },
    );
    return affected === 1;
  }

  /** Deletes work of the account, whatever its state: a holder's later writes change nothing. @returns how many */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, Work, { appid }, limit);
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(
    filter: { state?: WorkState; kind?: string },
    limit: number,
    after: Position | null,
  ): Promise<Work[]> {
    const query = this.db.read.createQueryBuilder(Work, 'work');
    if (filter.state) query.andWhere({ state: filter.state });
    if (filter.kind) query.andWhere({ kind: filter.kind });
    if (after) query.andWhere('work.id < :id', { id: after.id });
    return query
      .orderBy('work.id', 'DESC')
      .take(limit + 1)
      .getMany();
  }

  async depths(): Promise<WorkDepth[]> {
    const rows = await this.db.read
      .createQueryBuilder(Work, 'work')
      .select('work.kind', 'kind')
      .addSelect('work.state', 'state')
      .addSelect('COUNT(*)', 'count')
      .addSelect('MIN(work.runAt)', 'oldest')
      .groupBy('work.kind')
      .addGroupBy('work.state')
      .getRawMany<{ kind: string; state: WorkState; count: string; oldest: string | Date }>();
    return rows.map(({ kind, state, count, oldest }) => ({
      kind,
      state,
      count: Number(count),
      oldestRunAt: this.db.toDate(oldest),
    }));
  }

  /** Ready and due, or left running by a process that has died. */
  #isFree(now: Date, alias = 'work.'): Brackets {
    const column = (name: string, property: string): string =>
      alias ? `${alias}${property}` : name;
    const state = column('state', 'state');
    const runAt = column('run_at', 'runAt');
    const leaseUntil = column('lease_until', 'leaseUntil');
    return new Brackets((where) =>
      where
        .where(`(${state} = 'ready' AND ${runAt} <= :now)`, { now })
        .orWhere(`(${state} = 'running' AND ${leaseUntil} <= ${this.db.nowSql()})`),
    );
  }
}
