import { Injectable } from '@nestjs/common';
import { type FindOperator, In, LessThan, LessThanOrEqual, MoreThan, Raw } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import type { Position } from '../../common/paging.js';
import { Database, type Tx } from '../../database/database.js';
import { deletePage } from '../../database/delete-page.js';
import { newestFirst } from '../../database/newest-first.js';
import { EventRow } from '../event.entity.js';
import { type DeliveryState, Webhook, WebhookDelivery, WebhookSequence } from './webhook.entity.js';

const INSERT_PAGE = 100;

/** What of a webhook is sent by one at a time, at a moment. */
export interface Shard {
  webhookId: string;
  shard: number;
  now: Date;
  /** A subject waits for an event of its that has failed less often than this. */
  failures: number;
}

@Injectable()
export class WebhooksRepository {
  constructor(private readonly db: Database) {}

  find(id: string, on: Tx = this.db.read): Promise<Webhook | null> {
    return on.findOneBy(Webhook, { id });
  }

  /** Reads it as it is now, and keeps others from changing it until the transaction ends. */
  findForUpdate(tx: Tx, id: string): Promise<Webhook | null> {
    return tx.findOne(Webhook, { where: { id }, ...this.db.currentRead(tx) });
  }

  /**
   * The newest first; one more than `limit`, to tell whether another page follows.
   *
   * @param tenantId null for every tenant's
   */
  findPage(tenantId: string | null, limit: number, after: Position | null): Promise<Webhook[]> {
    const query = this.db.read.createQueryBuilder(Webhook, 'webhook');
    if (tenantId !== null) query.andWhere({ tenantId });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'id' });
  }

  findEnabled(): Promise<Webhook[]> {
    return this.db.read.findBy(Webhook, { enabled: true });
  }

  async insert(tx: Tx, row: Webhook): Promise<void> {
    await tx.insert(Webhook, row);
  }

  async update(tx: Tx, id: string, values: Partial<Omit<Webhook, 'id'>>): Promise<void> {
    await tx.update(Webhook, { id }, values);
  }

  async remove(tx: Tx, id: string): Promise<void> {
    await tx.delete(Webhook, { id });
  }

  /** Deletes what was lined up for a webhook that is gone. @returns how many */
  async removeDeliveries(tx: Tx, webhookId: string, limit: number): Promise<number> {
    const rows = await deletePage(tx, WebhookDelivery, { webhookId }, limit);
    if (rows < limit) await tx.delete(WebhookSequence, { webhookId });
    return rows;
  }

  /**
   * How many events of each subject have been lined up so far. Whoever holds the webhook's row is the only one to ask, and
   * to write more.
   */
  async findSequences(
    tx: Tx,
    webhookId: string,
    subjectKeys: readonly string[],
  ): Promise<Map<string, number>> {
    const rows: WebhookSequence[] = [];
    for (const page of chunksOf(subjectKeys, INSERT_PAGE))
      rows.push(
        ...(await tx.find(WebhookSequence, {
          where: { webhookId, subjectKey: In([...page]) },
          ...this.db.currentRead(tx),
        })),
      );
    return new Map(rows.map(({ subjectKey, last }) => [subjectKey, last]));
  }

  async writeSequences(tx: Tx, rows: readonly WebhookSequence[]): Promise<void> {
    for (const page of chunksOf(rows, INSERT_PAGE)) {
      const insert = tx.createQueryBuilder().insert().into(WebhookSequence).values(page);
      await insert.orUpdate(['last'], ['webhook_id', 'subject_key']).execute();
    }
  }

  /** Lines events up; those that are already stay as they are. */
  async lineUp(tx: Tx, rows: readonly WebhookDelivery[]): Promise<void> {
    for (const page of chunksOf(rows, INSERT_PAGE))
      await tx
        .createQueryBuilder()
        .insert()
        .into(WebhookDelivery)
        .values(page)
        .orIgnore()
        .execute();
  }

  /** Those of the events that were lined up for the webhook before, by the event. */
  async findLinedUp(webhookId: string, eventIds: readonly string[]): Promise<Map<string, string>> {
    if (eventIds.length === 0) return new Map();
    const rows = await this.db.read.find(WebhookDelivery, {
      select: { id: true, eventId: true },
      where: { webhookId, eventId: In([...eventIds]) },
    });
    return new Map(rows.map(({ eventId, id }) => [eventId, id]));
  }

  /** Has them sent once more. */
  async reset(tx: Tx, ids: readonly string[], now: Date): Promise<void> {
    for (const page of chunksOf(ids, INSERT_PAGE))
      await tx.update(
        WebhookDelivery,
        { id: In([...page]) },
        { status: 'pending', attempts: 0, nextTryAt: now, finishedAt: null },
      );
  }

  /** What of a shard is due and not held up, in its order. */
  findDue({ webhookId, shard, now, failures }: Shard, limit: number): Promise<WebhookDelivery[]> {
    return this.db.read.find(WebhookDelivery, {
      where: {
        ...{ webhookId, shard, status: 'pending' },
        nextTryAt: LessThanOrEqual(now),
        subjectKey: isFree({ webhookId, shard, now, failures }),
      },
      order: { id: 'ASC' },
      take: limit,
    });
  }

  /** When something of a shard can be sent next; null when nothing waits. As it is now, not as the transaction began. */
  async findNextDue(tx: Tx, { webhookId, shard, now, failures }: Shard): Promise<Date | null> {
    const waiting = { webhookId, shard, status: 'pending' as const };
    const row = await tx.findOne(WebhookDelivery, {
      where: [
        { ...waiting, nextTryAt: MoreThan(now) },
        { ...waiting, subjectKey: isFree({ webhookId, shard, now, failures }) },
      ],
      order: { nextTryAt: 'ASC' },
      ...this.db.currentRead(tx),
    });
    return row?.nextTryAt ?? null;
  }

  async end(
    tx: Tx,
    id: string,
    values: Partial<
      Pick<
        WebhookDelivery,
        'status' | 'attempts' | 'nextTryAt' | 'lastStatus' | 'lastStep' | 'finishedAt'
      >
    >,
  ): Promise<void> {
    await tx.update(WebhookDelivery, { id, status: 'pending' }, values);
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findDeliveries(
    webhookId: string,
    status: DeliveryState | undefined,
    limit: number,
    after: Position | null,
  ): Promise<WebhookDelivery[]> {
    return this.db.read.find(WebhookDelivery, {
      where: { webhookId, ...(status && { status }), ...(after && { id: LessThan(after.id) }) },
      order: { id: 'DESC' },
      take: limit + 1,
    });
  }

  findEvent(id: string): Promise<EventRow | null> {
    return this.db.read.findOneBy(EventRow, { id });
  }

  /** Events that a webhook is to be sent again, in the order of the feed, behind a place. */
  findEventsBetween(
    { tenantId }: Pick<Webhook, 'tenantId'>,
    { from, to }: { from: Date; to: Date },
    after: number,
    limit: number,
  ): Promise<EventRow[]> {
    return this.db.read
      .createQueryBuilder(EventRow, 'event')
      .where({ tenantId, position: MoreThan(after) })
      .andWhere('event.occurredAt >= :from AND event.occurredAt < :to', { from, to })
      .orderBy('event.position', 'ASC')
      .take(limit)
      .getMany();
  }

  /** Deletes what has ended and is older than the moment. @returns how many */
  async deleteBefore(moment: Date, limit: number): Promise<number> {
    return this.db.write((tx) =>
      deletePage(tx, WebhookDelivery, { createdAt: LessThanOrEqual(moment) }, limit),
    );
  }

  async eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, WebhookDelivery, { appid }, limit);
  }

  async eraseSequences(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(WebhookSequence, { appid })).affected ?? 0;
  }

  async erasePerson(tx: Tx, subjectKey: string, limit: number): Promise<number> {
    const rows = await deletePage(tx, WebhookDelivery, { subjectKey }, limit);
    if (rows < limit) await tx.delete(WebhookSequence, { subjectKey });
    return rows;
  }
}

/** Of a subject none of whose events is to be tried again before its later ones are sent. */
function isFree({ webhookId, shard, now, failures }: Shard): FindOperator<string> {
  return Raw(
    (subjectKey) =>
      `${subjectKey} NOT IN (SELECT held.subject_key FROM webhook_delivery held WHERE held.webhook_id = :heldWebhook` +
      ` AND held.shard = :heldShard AND held.status = 'pending' AND held.next_try_at > :heldNow` +
      ' AND held.attempts > 0 AND held.attempts < :heldFailures)',
    { heldWebhook: webhookId, heldShard: shard, heldNow: now, heldFailures: failures },
  );
}
