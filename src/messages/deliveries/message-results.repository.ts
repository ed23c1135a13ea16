import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, MoreThanOrEqual, Not } from 'typeorm';

import { groupBy } from '../../common/group-by.js';
import { Database, toSqlTime, type Tx } from '../../database/database.js';
import {
  type DeliveryFailure,
  type MessageKindName,
  MessageResult,
  type ResultOutcome,
} from './delivery.entity.js';

/** What a message of ours finds where it meets its result. */
export type MetResult = Pick<
  MessageResult,
  'appid' | 'msgid' | 'deliveryId' | 'outcome' | 'failure'
>;

interface RawResult {
  msgid: string;
  delivery_id: string | null;
  outcome: ResultOutcome | null;
  failure: string | null;
}

@Injectable()
export class MessageResultsRepository {
  constructor(private readonly db: Database) {}

  /**
   * The rows where both sides meet, locked; each made of what is given where there is none.
   *
   * Written over with what stands there, and so locked at once: two that only share them would wait for each other.
   *
   * @param fresh of numbers that differ
   */
  async meet(tx: Tx, fresh: readonly MessageResult[]): Promise<MessageResult[]> {
    await this.#write(tx, fresh, ['msgid']);
    const byAccount = groupBy(fresh, ({ appid }) => appid);
    return tx.find(MessageResult, {
      where: [...byAccount].map(([appid, rows]) => ({
        appid,
        msgid: In(rows.map(({ msgid }) => msgid)),
      })),
      ...this.db.currentRead(tx),
    });
  }

  /**
   * As {@link meet}.
   *
   * @returns only those that tell something: of which WeChat has spoken, or by which no message of ours was known
   */
  async meetSent(tx: Tx, fresh: readonly MessageResult[]): Promise<MetResult[]> {
    await this.#write(tx, fresh, ['msgid']);
    const found: MetResult[] = [];
    for (const [appid, rows] of groupBy(fresh, (row) => row.appid)) {
      const sql =
        `SELECT msgid, delivery_id, outcome, failure FROM message_result ${this.db.byIdSql} ` +
        `WHERE appid = ? AND msgid IN (${rows.map(() => '?').join(', ')}) AND (outcome IS NOT NULL OR delivery_id IS NULL)`;
      const raw = await tx.query<RawResult[]>(
        // They are locked already; on MySQL, what others have committed since the first look is only seen so.
        this.db.isSqlite ? sql : `${sql} FOR UPDATE`,
        [appid, ...rows.map(({ msgid }) => msgid)],
      );
      found.push(
        ...raw.map(({ msgid, delivery_id: deliveryId, outcome, failure }) => ({
          ...{ appid, msgid, deliveryId, outcome },
          failure: failure === null ? null : (JSON.parse(failure) as DeliveryFailure),
        })),
      );
    }
    return found;
  }

  /** Writes down what WeChat has said, over rows that are locked. */
  async keep(tx: Tx, rows: readonly MessageResult[]): Promise<void> {
    await this.#write(tx, rows, ['delivery_id', 'outcome', 'failure', 'openid']);
  }

  async update(
    tx: Tx,
    { appid, msgid }: Pick<MessageResult, 'appid' | 'msgid'>,
    values: Partial<MessageResult>,
  ): Promise<void> {
    await tx.update(MessageResult, { appid, msgid }, values);
  }

  /** Results of the person that no message is known for. @returns two at the most */
  findUnmatched(
    tx: Tx,
    about: { appid: string; openid: string; kind: MessageKindName; since: Date },
  ): Promise<MessageResult[]> {
    const { appid, openid, kind, since } = about;
    return tx.find(MessageResult, {
      where: {
        appid,
        openid,
        kind,
        deliveryId: IsNull(),
        outcome: Not(IsNull()),
        createdAt: MoreThanOrEqual(since),
      },
      take: 2,
    });
  }

  /** @returns how many */
  async deleteBefore(moment: Date, limit: number): Promise<number> {
    return this.db.write((tx) => this.#delete(tx, { createdAt: LessThan(moment) }, limit));
  }

  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return this.#delete(tx, { appid }, limit);
  }

  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return this.#delete(tx, { appid, openid }, limit);
  }

  async #write(
    tx: Tx,
    rows: readonly MessageResult[],
    overwrite: readonly string[],
  ): Promise<void> {
    const { isSqlite } = this.db;
    const given = overwrite.map((column) =>
      isSqlite ? `${column} = excluded.${column}` : `${column} = VALUES(${column})`,
    );
    const onConflict = isSqlite
      ? 'ON CONFLICT (appid, msgid) DO UPDATE SET'
      : 'ON DUPLICATE KEY UPDATE';
    await tx.query(
      `INSERT INTO message_result (appid, msgid, delivery_id, kind, outcome, failure, openid, created_at) ` +
        `VALUES ${rows.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')} ${onConflict} ${given.join(', ')}`,
      rows.flatMap((row) => [
        row.appid,
        row.msgid,
        row.deliveryId,
        row.kind,
        row.outcome,
        row.failure && JSON.stringify(row.failure),
        row.openid,
        toSqlTime(row.createdAt),
      ]),
    );
  }

  async #delete(tx: Tx, where: object, limit: number): Promise<number> {
    const select = { appid: true, msgid: true } as const;
    const rows = await tx.find(MessageResult, { select, where, take: limit });
    if (rows.length === 0) return 0;
    await tx.delete(MessageResult, {
      ...where,
      appid: In([...new Set(rows.map(({ appid }) => appid))]),
      msgid: In(rows.map(({ msgid }) => msgid)),
    });
    return rows.length;
  }
}
