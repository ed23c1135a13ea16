import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThan, LessThanOrEqual, MoreThanOrEqual, Not } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import { groupBy } from '../../common/group-by.js';
import type { Position } from '../../common/paging.js';
import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { deletePage } from '../../database/delete-page.js';
import { newestFirst } from '../../database/newest-first.js';
import { Delivery, type DeliveryStatus, type MessageKindName } from './delivery.entity.js';

export interface DeliveryFilter {
  status?: DeliveryStatus;
  kind?: MessageKindName;
  openid?: string;
  userId?: string;
  /** Created from this moment on. */
  from?: Date;
  /** Created before this moment. */
  to?: Date;
}

/** What is new about a delivery once it is inserted: the times of its lease are the database's. */
export type NewDelivery = Omit<Delivery, 'leaseUntil' | 'firstSentAt'>;

/** Whom a delivery belongs to while it is sent. */
export type Held = Pick<Delivery, 'id' | 'epoch'>;

/** When a message was taken, when its result is overdue, and when all was said of it. */
export type Accepted = Pick<Delivery, 'acceptedAt' | 'resultDueAt' | 'finishedAt'>;

/** Somebody, for one account. */
export interface Recipient {
  appid: string;
  openid: string;
}

/** What is written of one that begins, beside the times of its lease. */
const BEGUN = [
  ...['id', 'appid', 'kind', 'openid', 'user_id', 'template_id', 'status', 'content'],
  ...['parts', 'parts_sent', 'attempts', 'epoch', 'created_at', 'campaign_id'],
];
const RENEWED_AT_ONCE = 500;

@Injectable()
export class DeliveriesRepository {
  constructor(private readonly db: Database) {}

  find(id: string, on: Tx = this.db.read): Promise<Delivery | null> {
    return on.findOneBy(Delivery, { id });
  }

  /** As they are, and nobody else changes them until the transaction ends. */
  lock(tx: Tx, ids: readonly string[]): Promise<Delivery[]> {
    if (ids.length === 0) return Promise.resolve([]);
    return tx.find(Delivery, { where: { id: In([...ids]) }, ...this.db.currentRead(tx) });
  }

  /** Adds some that are to be sent at once, in one statement that commits by itself: nothing else belongs to them. */
  async begin(rows: readonly NewDelivery[], leaseMs: number): Promise<void> {
    const values = `(${BEGUN.map(() => '?').join(', ')}, ${this.db.nowSql(leaseMs)}, ${this.db.nowSql()})`;
    await this.db.statement(
      `INSERT INTO delivery (${BEGUN.join(', ')}, lease_until, first_sent_at) VALUES ${rows.map(() => values).join(', ')}`,
      rows.flatMap((row) => [
        row.id,
        row.appid,
        row.kind,
        row.openid,
        row.userId,
        row.templateId,
        row.status,
        row.content,
        row.parts,
        row.partsSent,
        row.attempts,
        row.epoch,
        toSqlTime(row.createdAt),
        row.campaignId,
      ]),
    );
  }

  async insert(tx: Tx, row: NewDelivery): Promise<void> {
    await tx.insert(Delivery, { ...row, leaseUntil: null, firstSentAt: null });
  }

  /** Adds one that waits for its first try. @returns false when one of its id is there already */
  async insertOnce(tx: Tx, row: NewDelivery): Promise<boolean> {
    if (await tx.findOne(Delivery, { select: { id: true }, where: { id: row.id } })) return false;
    await this.insert(tx, row);
    return true;
  }

  /**
   * Takes up one that waits, or whose holder has died, by compare-and-set.
   *
   * @returns null when it is another's, or done
   */
  async takeUp(seen: Delivery, leaseMs: number): Promise<Delivery | null> {
    const { affected } = await this.db.write((tx) =>
      tx
        .createQueryBuilder()
        .update(Delivery)
        .set({
          status: 'sending',
          epoch: seen.epoch + 1,
          attempts: seen.attempts + 1,
          leaseUntil: () => this.db.nowSql(leaseMs),
          firstSentAt: () => `COALESCE(first_sent_at, ${this.db.nowSql()})`,
        })
        .where({ id: seen.id, epoch: seen.epoch, status: In(['pending', 'sending']) })
        .andWhere(`(lease_until IS NULL OR lease_until < ${this.db.nowSql()})`)
        .execute(),
    );
    return affected === 1 ? this.find(seen.id) : null;
  }

  /** @returns whether it is still this holder's */
  async update(
    tx: Tx,
    { id, epoch }: Held,
    values: Partial<Omit<Delivery, 'id' | 'epoch'>>,
  ): Promise<boolean> {
    const { affected } = await tx.update(Delivery, { id, epoch, status: 'sending' }, values);
    return affected === 1;
  }

  /**
   * Writes down that WeChat has taken them, and waits for their results for `resultWithinMs`, or for none where it is null.
   * Their contents have served their purpose.
   *
   * @param rows that have an epoch in common
   * @returns how many were still their holder's
   */
  async accept(
    tx: Tx,
    rows: readonly (Held & Pick<Delivery, 'msgid'>)[],
    { acceptedAt, resultDueAt, finishedAt }: Accepted,
  ): Promise<number> {
    const cases = rows.map(() => 'WHEN ? THEN ?').join(' ');
    const at = (time: Date | null): string | null => time && toSqlTime(time);
    const sql =
      `UPDATE delivery ${this.db.byIdSql} SET status = 'accepted', msgid = CASE id ${cases} END, failure = NULL, content = NULL, ` +
      'parts_sent = parts, lease_until = NULL, accepted_at = ?, result_due_at = ?, finished_at = ? ' +
      `WHERE id IN (${places(rows)}) AND epoch = ? AND status = 'sending'`;
    const result = await tx.queryRunner?.query(
      sql,
      [
        ...rows.flatMap(({ id, msgid }) => [id, msgid]),
        ...[at(acceptedAt), at(resultDueAt), at(finishedAt)],
        ...rows.map(({ id }) => id),
        rows[0]?.epoch,
      ],
      true,
    );
    return result?.affected ?? 0;
  }

  /** Lengthens the time for which they belong to their holder. */
  async renew(held: readonly Held[], leaseMs: number): Promise<void> {
    for (const [epoch, alike] of groupBy(held, (one) => one.epoch))
      for (const chunk of chunksOf(alike, RENEWED_AT_ONCE))
        await this.db.statement(
          `UPDATE delivery ${this.db.byIdSql} SET lease_until = ${this.db.nowSql(leaseMs)} ` +
            `WHERE id IN (${places(chunk)}) AND epoch = ? AND status = 'sending'`,
          [...chunk.map(({ id }) => id), epoch],
        );
  }

  /** Writes down what became of one that nobody holds. @returns whether its status was one of these */
  async finish(
    tx: Tx,
    id: string,
    from: readonly DeliveryStatus[],
    values: Partial<Delivery>,
  ): Promise<boolean> {
    const { affected } = await tx.update(Delivery, { id, status: In([...from]) }, values);
    return affected === 1;
  }

  /** Those whose holder has not come to an end with them in its time. */
  findAbandoned(limit: number): Promise<Pick<Delivery, 'id' | 'appid'>[]> {
    return this.db.read
      .createQueryBuilder(Delivery, 'delivery')
      .select(['delivery.id', 'delivery.appid'])
      .where("delivery.status = 'sending'")
      .andWhere(`delivery.lease_until < ${this.db.nowSql()}`)
      .take(limit)
      .getMany();
  }

  /** By the database's clock, how long ago sending first began. */
  async sentForMs({ firstSentAt }: Pick<Delivery, 'firstSentAt'>): Promise<number> {
    if (!firstSentAt) return 0;
    return (await this.db.now()).getTime() - firstSentAt.getTime();
  }

  /** Those to these people that a result without a number of ours may be about, locked. */
  async lockCandidates(
    tx: Tx,
    people: readonly Recipient[],
    { statuses, since }: { statuses: readonly DeliveryStatus[]; since: Date },
  ): Promise<Delivery[]> {
    if (people.length === 0) return [];
    return tx.find(Delivery, {
      where: [...groupBy(people, ({ appid }) => appid)].map(([appid, ofAccount]) => ({
        appid,
        openid: In(ofAccount.map(({ openid }) => openid)),
        status: In([...statuses]),
        createdAt: MoreThanOrEqual(since),
      })),
      // Whoever is just ending one of them comes before this look or after it.
      ...this.db.currentRead(tx),
    });
  }

  async findByMsgids(
    tx: Tx,
    messages: readonly { appid: string; msgid: string }[],
  ): Promise<Delivery[]> {
    if (messages.length === 0) return [];
    return tx.find(Delivery, {
      where: [...groupBy(messages, ({ appid }) => appid)].map(([appid, ofAccount]) => ({
        appid,
        msgid: In(ofAccount.map(({ msgid }) => msgid)),
      })),
    });
  }

  /** The deliveries of these numbers, by number. */
  async findIdsByMsgids(appid: string, msgids: readonly string[]): Promise<Map<string, string>> {
    if (msgids.length === 0) return new Map();
    const rows = await this.db.read.find(Delivery, {
      select: { id: true, msgid: true },
      where: { appid, msgid: In([...msgids]) },
    });
    return new Map(rows.map(({ msgid, id }) => [msgid ?? '', id]));
  }

  /** Those whose result is overdue. */
  findOverdue(now: Date, limit: number): Promise<Delivery[]> {
    return this.db.read.find(Delivery, {
      where: { resultDueAt: LessThanOrEqual(now) },
      take: limit,
    });
  }

  /** Results are no longer waited for. Those that a result has reached meanwhile are left alone. */
  async endWaiting(tx: Tx, rows: readonly Delivery[], finishedAt: Date): Promise<void> {
    const where = { id: In(rows.map(({ id }) => id)), resultDueAt: Not(IsNull()) };
    await tx.update(Delivery, where, { resultDueAt: null, finishedAt });
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { from, to, ...filter }: DeliveryFilter,
    limit: number,
    after: Position | null,
  ): Promise<Delivery[]> {
    const query = this.db.read.createQueryBuilder(Delivery, 'delivery').where({ appid });
    for (const [column, value] of Object.entries(filter))
      if (value !== undefined) query.andWhere({ [column]: value });
    if (from) query.andWhere('delivery.createdAt >= :from', { from });
    if (to) query.andWhere('delivery.createdAt < :to', { to });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'id' });
  }

  /** Deletes the oldest of those that are done and were created before the moment. @returns how many */
  deleteBefore(moment: Date, limit: number): Promise<number> {
    const createdAt = LessThan(moment);
    const where = { createdAt, finishedAt: Not(IsNull()) };
    return this.db.write((tx) => deletePage(tx, Delivery, where, limit));
  }

  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, Delivery, { appid }, limit);
  }

  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return deletePage(tx, Delivery, { appid, openid }, limit);
  }
}

function places(rows: readonly unknown[]): string {
  return rows.map(() => '?').join(', ');
}
