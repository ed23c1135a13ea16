import { SecretBox, type SecretBinding } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../../config/env.js';
import type { Account } from '../../accounts/account.entity.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import type { Caller } from '../../access/roles.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { Metrics } from '../../common/metrics.js';
import { fromCursor, type Page, toPage } from '../../common/paging.js';
import { errorFields, Logger } from '../../common/logger.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { GroupCommit } from '../../database/group-commit.js';
import { SealedColumns } from '../../database/sealed-columns.js';
import { EventsService, type NewEvent } from '../../events/events.service.js';
import { Heartbeat } from '../../queue/heartbeat.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import {
  DeliveriesRepository,
  type DeliveryFilter,
  type NewDelivery,
} from './deliveries.repository.js';
import type { Delivery, DeliveryFailure, MessageKindName } from './delivery.entity.js';

/** An account, and whose it is. */
type Holder = Pick<Account, 'tenantId' | 'appid'>;

/** What a client wants to have sent. */
export interface DeliveryRequest {
  kind: MessageKindName;
  openid: string | null;
  userId: string | null;
  templateId: string | null;
  content: object;
  parts: number;
}

/** What is sent by and by. */
export interface QueuedRequest extends DeliveryRequest {
  /** Whether a part that is refused for its own sake is passed over, and the others are sent; default: it ends all of it. */
  passesOver?: boolean;
}

const BEGINS = {
  maxItems: 200,
  maxBytes: 1024 * 1024,
  maxWaitingItems: 5_000,
  maxWaitingBytes: 32 * 1024 * 1024,
  // Longer than two statements that a silent database has swallowed: nobody is refused whose row may still be written.
  withinMs: 30_000,
};
/** What a row weighs beside its content. */
const ROW_BYTES = 400;
const OVERDUE_SECONDS = 60;
const PURGE_SECONDS = 3_600;
const PAGE = 500;
const DAY_MS = 86_400_000;

/** Every message to a single person, from its request to its final status. */
@Injectable()
export class DeliveryLedger implements OnModuleInit {
  readonly #begins: GroupCommit<NewDelivery, undefined>;

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly deliveries: DeliveriesRepository,
    private readonly accounts: AccountsService,
    private readonly events: EventsService,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly heartbeat: Heartbeat,
    private readonly schedule: LeasedSchedule,
    private readonly metrics: Metrics,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#begins = new GroupCommit({
      ...BEGINS,
      inFlight: this.db.isSqlite ? 1 : 2,
      commit: async (rows) => {
        await this.deliveries.begin(rows, this.heartbeat.leaseMs);
        return rows.map(() => undefined);
      },
      weigh: ({ content }) => (content?.length ?? 0) + ROW_BYTES,
      onSplit: (error, deliveries) =>
        this.logger.warn('delivery.group_not_begun', { deliveries, ...errorFields(error) }),
    });
  }

  onModuleInit(): void {
    this.sealed.register({
      table: 'delivery',
      idColumn: 'id',
      column: 'content',
      binding: contentOf,
    });
    this.accountData.register({
      table: 'delivery',
      isHistory: true,
      erase: (tx, appid, limit) => this.deliveries.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.deliveries.erasePerson(tx, appid, openid, PAGE));
        while ((await page()) === PAGE);
      },
    });
    this.schedule.every('end-overdue-deliveries', OVERDUE_SECONDS, () => this.endOverdue());
    this.schedule.every('purge-deliveries', PURGE_SECONDS, () => this.purge());
  }

  /**
   * Begins one that is sent at once: it belongs to this process as long as that lives.
   *
   * @throws AppError `storage_unavailable` when it was not begun in time
   */
  async begin(account: Account, request: DeliveryRequest): Promise<Delivery> {
    const row = this.#newRow(account, request);
    await this.#begins.add(row);
    // By the process's clock: whoever sends it now has just begun.
    return { ...row, leaseUntil: null, firstSentAt: row.createdAt };
  }

  /** Writes down one that cannot reach the person. Nothing of its content is kept. */
  async skip(
    account: Account,
    request: DeliveryRequest,
    failure: DeliveryFailure,
  ): Promise<Delivery> {
    const row = this.#newRow(account, request);
    const skipped = {
      ...row,
      status: 'skipped' as const,
      content: null,
      attempts: 0,
      failure,
      finishedAt: row.createdAt,
    };
    await this.db.write(async (tx) => {
      await this.deliveries.insert(tx, skipped);
      await this.tell(tx, account, { ...skipped, leaseUntil: null, firstSentAt: null });
    });
    return { ...skipped, leaseUntil: null, firstSentAt: null };
  }

  /**
   * Adds one that is sent after the transaction.
   *
   * @param id of the caller's own making: a second one of the same id is not added
   * @returns whether it was added
   */
  async queue(tx: Tx, account: Account, request: QueuedRequest, id: string): Promise<boolean> {
    const row = {
      ...this.#newRow(account, request, id),
      status: 'pending' as const,
      attempts: 0,
      passedOver: request.passesOver ? [] : null,
    };
    return this.deliveries.insertOnce(tx, row);
  }

  /** What is to be said. @throws TypeError for one that nothing more is said of */
  contentOf({ id, content }: Delivery): object {
    if (content === null) throw new TypeError('The delivery has ended.');
    return JSON.parse(this.secrets.open(content, contentOf(id))) as object;
  }

  /** @throws AppError `not_found`, for another tenant's too */
  async get(caller: Caller, id: string): Promise<Delivery> {
    const delivery = await this.deliveries.find(id);
    if (!delivery) throw new AppError('not_found');
    await this.accounts.get(caller, delivery.appid);
    return delivery;
  }

  /**
   * The newest first.
   *
   * @throws AppError `not_found`, for another tenant's account too; `invalid_query` for a cursor that is not ours
   */
  async list(
    caller: Caller,
    appid: string,
    query: DeliveryFilter & { limit: number; cursor?: string },
  ): Promise<Page<Delivery>> {
    await this.accounts.get(caller, appid);
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.deliveries.findPage(appid, filter, limit, after);
    return toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
  }

  /** The deliveries that WeChat knows by these numbers, by number. */
  findIdsByMsgids(appid: string, msgids: readonly string[]): Promise<Map<string, string>> {
    return this.deliveries.findIdsByMsgids(appid, msgids);
  }

  /** Tells of a delivery's new status, in the transaction of the change. */
  async tell(tx: Tx, account: Holder, delivery: Delivery): Promise<void> {
    await this.tellAll(tx, [{ account, delivery }]);
  }

  /** The same of many at once, in their order. */
  async tellAll(tx: Tx, news: readonly { account: Holder; delivery: Delivery }[]): Promise<void> {
    this.db.afterCommit(tx, () => {
      for (const { kind, status, failure } of news.map(({ delivery }) => delivery))
        this.metrics.deliveries.inc({ kind, status, reason: failure?.reason ?? 'none' });
    });
    await this.events.emitAll(
      tx,
      news.map(({ account, delivery }) => newsOf(account, delivery)),
    );
  }

  /** WeChat has said nothing in its time: having taken the message is the end. A result that comes later still counts. */
  async endOverdue(): Promise<void> {
    let rows: Delivery[];
    do {
      rows = await this.deliveries.findOverdue(this.clock.now(), PAGE);
      await this.db.write((tx) => this.deliveries.endWaiting(tx, rows, this.clock.now()));
    } while (rows.length === PAGE);
  }

  /** Deletes what is older than the days that deliveries are kept. */
  async purge(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - this.env.deliveryRetentionDays * DAY_MS);
    while ((await this.deliveries.deleteBefore(before, PAGE)) === PAGE);
  }

  #newRow({ appid }: Account, request: DeliveryRequest, givenId?: string) {
    const { kind, openid, userId, templateId, content, parts } = request;
    const createdAt = this.clock.now();
    const id = givenId ?? uuidV7({ msecs: createdAt.getTime() });
    return {
      id,
      appid,
      kind,
      openid,
      userId,
      templateId,
      status: 'sending' as const,
      content: this.secrets.seal(JSON.stringify(content), contentOf(id)),
      parts,
      partsSent: 0,
      passedOver: null,
      attempts: 1,
      epoch: 1,
      msgid: null,
      failure: null,
      createdAt,
      acceptedAt: null,
      resultDueAt: null,
      finishedAt: null,
      campaignId: null,
    };
  }
}

function newsOf({ tenantId, appid }: Holder, delivery: Delivery): NewEvent<'delivery.updated'> {
  const { id, kind, openid, userId, status, msgid, failure, attempts, campaignId } = delivery;
  return {
    type: 'delivery.updated',
    key: { tenantId, appid, ...(openid !== null && { openid }) },
    payload: {
      appid,
      deliveryId: id,
      kind,
      openid,
      userId,
      status,
      msgid,
      failure: failure && {
        reason: failure.reason,
        errcode: failure.errcode,
        retryable: failure.retryable,
      },
      attempts,
      campaignId,
    },
  };
}

/** What a content is bound to. */
function contentOf(id: string): SecretBinding {
  return { owner: `delivery:${id}`, field: 'content' };
}
