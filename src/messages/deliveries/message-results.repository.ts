import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, MoreThanOrEqual, Not } from 'typeorm';

import { groupBy } from '../../common/group-by.js';
import { Database, type Tx } from '../../database/database.js';
import { type MessageKindName, MessageResult } from './delivery.entity.js';

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
    const insert = tx
      .createQueryBuilder()
      .insert()
      .into(MessageResult)
      .values([...rows]);
    await insert
      .orUpdate([...overwrite], ['appid', 'msgid'])
      .updateEntity(false)
      .execute();
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
