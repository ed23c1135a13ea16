import { createHash } from 'node:crypto';

import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Clock } from '../../common/clock.js';
import { crashPoint } from '../../common/crash-point.js';
import { Database, type Tx } from '../../database/database.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import { WorkQueue } from '../../queue/work-queue.js';
import type { EventRow } from '../event.entity.js';
import { EventsRepository } from '../events.repository.js';
import { EventsService } from '../events.service.js';
import { DELIVER, type DeliverWork } from './webhook-sender.js';
import type { Webhook, WebhookDelivery } from './webhook.entity.js';
import { WebhooksRepository } from './webhooks.repository.js';

/** How many of a webhook's subjects are sent to side by side. */
export const SHARDS = 8;
const EVERY_SECONDS = 1;
const PAGE = 500;

/** Lines events up for the webhooks that want them, in the order of the feed, each once. */
@Injectable()
export class WebhookRelay implements OnModuleInit {
  /** Counted on in the ids: what is lined up in one moment stays in its order. */
  #serial = 0;

  constructor(
    private readonly db: Database,
    private readonly webhooks: WebhooksRepository,
    private readonly feed: EventsRepository,
    private readonly events: EventsService,
    private readonly work: WorkQueue,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.schedule.every('relay-events', EVERY_SECONDS, () => this.relay());
  }

  /** Lines up whatever has been told since. One that is lined up twice is sent once. */
  async relay(): Promise<void> {
    const enabled = await this.webhooks.findEnabled();
    if (enabled.length === 0) return;
    await this.events.place();
    for (const { id } of enabled) while (await this.#relayPage(id));
  }

  /** @returns whether there may be more */
  async #relayPage(id: string): Promise<boolean> {
    let isLinedUp = false;
    const hasMore = await this.db.write(async (tx) => {
      const webhook = await this.webhooks.findForUpdate(tx, id);
      if (!webhook?.enabled) return false;
      const { tenantId, eventTypes, position } = webhook;
      const { last } = await this.feed.findFeed(tx);
      const rows = await this.feed.findAfter(position, { tenantId, types: eventTypes }, PAGE, tx);
      const through = rows.length === PAGE ? (rows.at(-1)?.position ?? last) : last;
      if (through === position) return false;
      await this.lineUp(tx, webhook, rows);
      await this.webhooks.update(tx, id, { position: through });
      isLinedUp = rows.length > 0;
      return rows.length === PAGE;
    });
    if (isLinedUp) crashPoint('webhook.lined_up');
    return hasMore;
  }

  /** @param rows in the order of the feed; whoever calls holds the webhook's row */
  async lineUp(tx: Tx, { id: webhookId }: Webhook, rows: readonly EventRow[]): Promise<void> {
    if (rows.length === 0) return;
    const now = this.clock.now();
    const keys = [...new Set(rows.map(({ subjectKey }) => subjectKey))];
    const counts = await this.webhooks.findSequences(tx, webhookId, keys);
    const appids = new Map(rows.map(({ subjectKey, appid }) => [subjectKey, appid]));
    const lined = rows.map(
      ({ id: eventId, type: eventType, appid, subjectKey }): WebhookDelivery => {
        const sequence = (counts.get(subjectKey) ?? 0) + 1;
        counts.set(subjectKey, sequence);
        this.#serial = (this.#serial + 1) % 2 ** 31;
        return {
          id: uuidV7({ msecs: now.getTime(), seq: this.#serial }),
          ...{ webhookId, eventId, eventType, appid, subjectKey, sequence },
          shard: shardOf(subjectKey),
          status: 'pending',
          attempts: 0,
          nextTryAt: now,
          lastStatus: null,
          lastStep: null,
          createdAt: now,
          finishedAt: null,
        };
      },
    );
    await this.webhooks.lineUp(tx, lined);
    await this.webhooks.writeSequences(
      tx,
      keys.map((subjectKey) => ({
        webhookId,
        subjectKey,
        appid: appids.get(subjectKey) ?? null,
        last: counts.get(subjectKey) ?? 0,
      })),
    );
    await this.wake(tx, webhookId, new Set(lined.map(({ shard }) => shard)));
  }

  /** Has the shards looked at. */
  async wake(tx: Tx, webhookId: string, shards: Iterable<number>): Promise<void> {
    for (const shard of shards) {
      const payload: DeliverWork = { webhookId, shard };
      await this.work.add(tx, { kind: DELIVER, key: `${webhookId}/${shard}`, payload });
    }
  }
}

function shardOf(subjectKey: string): number {
  return createHash('sha1').update(subjectKey).digest().readUInt32BE() % SHARDS;
}
