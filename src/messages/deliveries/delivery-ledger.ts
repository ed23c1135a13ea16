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
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { SealedColumns } from '../../database/sealed-columns.js';
import { EventsService } from '../../events/events.service.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import { DeliveriesRepository, type DeliveryFilter } from './deliveries.repository.js';
import type { Delivery, DeliveryFailure, MessageKindName } from './delivery.entity.js';

/** What a client wants to have sent. */
export interface DeliveryRequest {
  kind: MessageKindName;
  openid: string | null;
  userId: string | null;
  templateId: string | null;
  content: object;
  parts: number;
}

const OVERDUE_SECONDS = 60;
const PURGE_SECONDS = 3_600;
const PAGE = 500;
const DAY_MS = 86_400_000;

/** Every message to a single person, from its request to its final status. */
@Injectable()
export class DeliveryLedger implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly deliveries: DeliveriesRepository,
    private readonly accounts: AccountsService,
    private readonly events: EventsService,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly schedule: LeasedSchedule,
    private readonly metrics: Metrics,
    private readonly clock: Clock,
  ) {}

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

  /** Begins one that is sent at once: it belongs to this process for `leaseMs`. */
  async begin(account: Account, request: DeliveryRequest, leaseMs: number): Promise<Delivery> {
    const row = this.#newRow(account, request);
    await this.deliveries.begin(row, leaseMs);
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
  async queue(tx: Tx, account: Account, request: DeliveryRequest, id: string): Promise<boolean> {
    const row = { ...this.#newRow(account, request, id), status: 'pending' as const, attempts: 0 };
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
  async tell(
    tx: Tx,
    { tenantId, appid }: Pick<Account, 'tenantId' | 'appid'>,
    delivery: Delivery,
  ): Promise<void> {
    const { id, kind, openid, userId, status, msgid, failure, attempts, campaignId } = delivery;
    const reason = failure?.reason ?? 'none';
    this.db.afterCommit(tx, () => this.metrics.deliveries.inc({ kind, status, reason }));
    await this.events.emit(
      tx,
      'delivery.updated',
      { tenantId, appid, ...(openid !== null && { openid }) },
      {
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

/** What a content is bound to. */
function contentOf(id: string): SecretBinding {
  return { owner: `delivery:${id}`, field: 'content' };
}
