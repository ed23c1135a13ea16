import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, MoreThanOrEqual, Not } from 'typeorm';

import { Database, type Tx } from '../../database/database.js';
import { type MessageKindName, MessageResult } from './delivery.entity.js';

@Injectable()
export class MessageResultsRepository {
  constructor(private readonly db: Database) {}

  /**
   * The row where both sides meet, locked; made of `fresh` where there is none.
   *
   * Written over with what stands there, and so locked at once: two that only share it would wait for each other.
   */
  async meet(tx: Tx, fresh: MessageResult): Promise<MessageResult> {
    const insert = tx.createQueryBuilder().insert().into(MessageResult).values(fresh);
    await insert.orUpdate(['msgid'], ['appid', 'msgid']).updateEntity(false).execute();
    const { appid, msgid } = fresh;
    const where = { appid, msgid };
    const row = await tx.findOne(MessageResult, { where, ...this.db.currentRead(tx) });
    if (!row) throw new TypeError('The row was written in this transaction.');
    return row;
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
