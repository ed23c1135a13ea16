import { Injectable } from '@nestjs/common';
import { In, LessThanOrEqual } from 'typeorm';

import { groupBy } from '../../common/group-by.js';
import { Database, type Tx } from '../../database/database.js';
import { deletePage } from '../../database/delete-page.js';
import { GroupRead } from '../../database/group-read.js';
import { QuotaBudget, QuotaPause, QuotaReset } from './quota.entity.js';

/** Until when an account's API is not to be called. */
type LivePause = Pick<QuotaPause, 'appid' | 'path' | 'until'>;

@Injectable()
export class QuotaRepository {
  /** Of lists of appids. */
  readonly #looks: GroupRead<readonly string[], LivePause[]>;

  constructor(private readonly db: Database) {
    this.#looks = new GroupRead(this.db.isSqlite, (lists) => this.#findPauses(lists));
  }

  findBudget(appid: string, month: string, on: Tx = this.db.read): Promise<QuotaBudget | null> {
    return on.findOneBy(QuotaBudget, { appid, month });
  }

  /**
   * Takes one of the month's resets, if there is one left.
   *
   * @param saidBefore WeChat's word that there is none left counts when it is from this moment or later
   * @returns false when there is none
   */
  async takeOne(
    tx: Tx,
    { appid, month, limit }: { appid: string; month: string; limit: number },
    saidBefore: Date,
  ): Promise<boolean> {
    const row: QuotaBudget = { appid, month, used: 0, exhaustedAt: null };
    const insert = tx.createQueryBuilder().insert().into(QuotaBudget).values(row);
    // Written over with what stands there, and so locked at once: many that only share it would wait for each other.
    await insert.orUpdate(['month'], ['appid', 'month']).execute();
    const { affected } = await tx
      .createQueryBuilder()
      .update(QuotaBudget)
      .set({ used: () => 'used + 1' })
      .where('appid = :appid AND month = :month AND used < :limit', { appid, month, limit })
      .andWhere('(exhausted_at IS NULL OR exhausted_at < :saidBefore)', { saidBefore })
      .execute();
    return affected === 1;
  }

  async giveBack(tx: Tx, appid: string, months: readonly string[]): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(QuotaBudget)
      .set({ used: () => 'used - 1' })
      .where({ appid, month: In([...months]) })
      .execute();
  }

  async noteExhausted(tx: Tx, appid: string, month: string, at: Date | null): Promise<void> {
    await tx.update(QuotaBudget, { appid, month }, { exhaustedAt: at });
  }

  async insertReset(tx: Tx, row: QuotaReset): Promise<void> {
    await tx.insert(QuotaReset, row);
  }

  async updateReset(tx: Tx, id: string, values: Partial<QuotaReset>): Promise<void> {
    await tx.update(QuotaReset, { id }, values);
  }

  /** The newest first. */
  findResets(appid: string, month: string): Promise<QuotaReset[]> {
    return this.db.read.find(QuotaReset, {
      where: { appid, month },
      order: { id: 'DESC' },
    });
  }

  eraseResets(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, QuotaReset, { appid }, limit);
  }

  /** @returns whether it was not paused before */
  async pause(tx: Tx, row: QuotaPause): Promise<boolean> {
    const { appid, path, pausedAt, until } = row;
    // One that has run out says nothing of today.
    await tx.delete(QuotaPause, { appid, path, until: LessThanOrEqual(pausedAt) });
    const known = await tx.findOne(QuotaPause, {
      where: { appid, path },
      ...this.db.currentRead(tx),
    });
    if (known) {
      if (known.until < until) await tx.update(QuotaPause, { appid, path }, { until });
      return false;
    }
    await tx.createQueryBuilder().insert().into(QuotaPause).values(row).orIgnore().execute();
    return true;
  }

  /** @param path only this API's; without it, all of the account's. @returns how many */
  async lift(tx: Tx, appid: string, path?: string): Promise<number> {
    const { affected } = await tx.delete(QuotaPause, { appid, ...(path && { path }) });
    return affected ?? 0;
  }

  async findPauses(appids: readonly string[], now: Date): Promise<LivePause[]> {
    if (appids.length === 0) return [];
    return (await this.#looks.find(appids)).filter(({ until }) => until > now);
  }

  async #findPauses(lists: readonly (readonly string[])[]): Promise<LivePause[][]> {
    const appids = [...new Set(lists.flat())];
    const rows = await this.db.read.query<{ appid: string; path: string; until: string | Date }[]>(
      `SELECT appid, path, \`until\` FROM quota_pause WHERE appid IN (${appids.map(() => '?').join(', ')})`,
      appids,
    );
    const found = rows.map((row) => ({ ...row, until: this.db.toDate(row.until) }));
    const byAccount = groupBy(found, ({ appid }) => appid);
    return lists.map((list) => list.flatMap((appid) => byAccount.get(appid) ?? []));
  }
}
