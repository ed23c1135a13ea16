import {
  type EventPush,
  isSubscriptionEvent,
  readSubscriptionEvent,
  SUBSCRIPTION_EVENTS,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../config/env.js';
import type { Caller } from '../access/roles.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { GroupCommit } from '../database/group-commit.js';
import type { EventSubject } from '../events/event-types.js';
import { EventsService, type NewEvent } from '../events/events.service.js';
import type { Consent } from '../messages/people/ledger.js';
import { PeopleService } from '../messages/people/people.service.js';
import { DeliveryLedger } from '../messages/deliveries/delivery-ledger.js';
import {
  MessageResults,
  notDelivered,
  type Result,
} from '../messages/deliveries/message-results.service.js';
import { TemplatesService } from '../messages/templates/templates.service.js';
import { type PushContext, PushHandlers } from '../pushes/push-handlers.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import type { Receipt } from './receipt.entity.js';
import { receiptId } from './receipt-id.js';
import { type ReceiptFilter, ReceiptsRepository } from './receipts.repository.js';

/** WeChat sends a handful; more than so many in one push are somebody's mischief. */
const MAX_ENTRIES = 1_000;
const GROUP = {
  maxItems: 500,
  maxBytes: 4 * 1024 * 1024,
  maxWaitingItems: 5_000,
  maxWaitingBytes: 32 * 1024 * 1024,
  // Nobody waits for these. What is given up is tried again by the ledger.
  withinMs: 30_000,
};
/** What a receipt weighs beside its payload, with the events that tell of it. */
const ROW_BYTES = 1_500;
const PURGE_SECONDS = 3_600;
const PURGE_PAGE = 1_000;
const DAY_MS = 86_400_000;

/** The receipts of one push. */
interface NewReceipts {
  receipts: Receipt[];
  /** Whether they may be there already: an earlier try may have come as far. */
  isRepeated: boolean;
}

/** What mini-programs are told of their subscription messages, one row for each entry of an event. */
@Injectable()
export class ReceiptsService implements OnModuleInit {
  readonly #inserts: GroupCommit<NewReceipts, undefined>;

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly receipts: ReceiptsRepository,
    private readonly accounts: AccountsService,
    private readonly people: PeopleService,
    private readonly results: MessageResults,
    private readonly deliveries: DeliveryLedger,
    private readonly templates: TemplatesService,
    private readonly events: EventsService,
    private readonly handlers: PushHandlers,
    private readonly schedule: LeasedSchedule,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#inserts = new GroupCommit({
      ...GROUP,
      inFlight: this.db.isSqlite ? 1 : 2,
      commit: async (group) => {
        await this.db.write((tx) => this.#write(tx, group));
        return group.map(() => undefined);
      },
      weigh: ({ receipts }) =>
        receipts.reduce((sum, { payload }) => sum + JSON.stringify(payload).length + ROW_BYTES, 0),
      onSplit: (error, pushes) =>
        this.logger.warn('receipt.group_failed', { pushes, ...errorFields(error) }),
    });
  }

  onModuleInit(): void {
    this.accountData.register({
      table: 'receipt',
      isHistory: true,
      erase: (tx, appid, limit) => this.receipts.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.receipts.erasePerson(tx, appid, openid, PURGE_PAGE));
        while ((await page()) === PURGE_PAGE);
      },
    });
    this.handlers.registerEvents(SUBSCRIPTION_EVENTS, (push, context) => this.#keep(push, context));
    this.schedule.every('purge-receipts', PURGE_SECONDS, () => this.purge());
  }

  /**
   * The last received first.
   *
   * @throws AppError `not_found`, for another tenant's account too; `invalid_query` for a cursor that is not ours
   */
  async list(
    caller: Caller,
    appid: string,
    query: ReceiptFilter & { limit: number; cursor?: string },
  ): Promise<Page<Receipt>> {
    await this.accounts.get(caller, appid);
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.receipts.findPage(appid, filter, limit, after);
    return toPage(
      rows,
      limit,
      ({ receivedAt, id }) => ({ at: receivedAt, id }),
      (row) => row,
    );
  }

  /** The messages that receipts are about, by WeChat's numbers: one may have been known only after its receipt came. */
  findDeliveryIds(appid: string, receipts: readonly Receipt[]): Promise<Map<string, string>> {
    const msgids = receipts.flatMap(({ msgid }) => msgid ?? []);
    return this.deliveries.findIdsByMsgids(appid, [...new Set(msgids)]);
  }

  /** Deletes what is older than the days that receipts are kept. */
  async purge(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - this.env.receiptRetentionDays * DAY_MS);
    while ((await this.receipts.deleteBefore(before, PURGE_PAGE)) === PURGE_PAGE);
  }

  async #keep(push: EventPush, context: PushContext): Promise<void> {
    const receipts = this.#read(push, context);
    if (receipts.length === 0) return;
    await this.#inserts.add({ receipts, isRepeated: context.attempts > 1 });
  }

  #read(push: EventPush, { id, account, receivedAt }: PushContext): Receipt[] {
    const { event, fromUserName: openid, createTime, fields } = push;
    const entries = isSubscriptionEvent(event) ? readSubscriptionEvent(event, fields) : [];
    if (entries.length > MAX_ENTRIES)
      this.logger.warn('receipt.too_many_entries', { appid: account, entries: entries.length });
    const occurredAt = new Date(createTime * 1000);
    return entries.slice(0, MAX_ENTRIES).map((entry, index) => ({
      ...entry,
      id: receiptId(id, index),
      receivedAt,
      appid: account,
      event,
      openid,
      occurredAt,
    }));
  }

  /** What is there already is left alone, and nothing told of it. Nor is anything kept for an account that is gone. */
  async #write(tx: Tx, group: readonly NewReceipts[]): Promise<void> {
    const all = group.flatMap(({ receipts }) => receipts);
    const holders = await this.accounts.findHolders(tx, [
      ...new Set(all.map(({ appid }) => appid)),
    ]);
    const repeated = group.flatMap(({ receipts, isRepeated }) => (isRepeated ? receipts : []));
    const known = await this.receipts.findIds(tx, repeated);
    const fresh = all.filter(({ id, appid }) => holders.has(appid) && !known.has(id));
    await this.receipts.insert(tx, fresh);
    await this.#noteConsents(tx, fresh.flatMap(toConsents));
    await this.results.take(tx, fresh.flatMap(resultOf));
    await this.events.emitAll(
      tx,
      fresh.flatMap((receipt) => newsOf(receipt, holders.get(receipt.appid) ?? null)),
    );
  }

  async #noteConsents(tx: Tx, consents: readonly Consent[]): Promise<void> {
    if (consents.length === 0) return;
    const appids = [...new Set(consents.map(({ appid }) => appid))];
    const longTerm = await this.templates.findLongTerm(appids, tx);
    await this.people.noteConsents(
      tx,
      consents.map((consent) => ({
        ...consent,
        isLongTerm: longTerm.has(`${consent.appid} ${consent.templateId}`),
      })),
    );
  }
}

/** Where a person chose what the event tells of. */
const CHANGED_IN: ReadonlyMap<string, 'dialog' | 'settings'> = new Map([
  ['subscribe_msg_popup_event', 'dialog'],
  ['subscribe_msg_change_event', 'settings'],
]);

/** What a person has chosen; nothing where the receipt is about a message. */
function toConsents(receipt: Receipt): Consent[] {
  const { appid, event, openid, templateId, status, occurredAt } = receipt;
  const changedIn = CHANGED_IN.get(event);
  if (!changedIn || templateId === null || status === null) return [];
  return [{ appid, openid, templateId, status, changedIn, occurredAt }];
}

/** What a receipt says of a message of ours. */
function resultOf({ appid, openid, event, msgid, status, errorCode, detail }: Receipt): Result[] {
  if (event !== 'subscribe_msg_sent_event') return [];
  const failure = status === 'success' ? null : notDelivered(detail ?? errorCode ?? '');
  return [{ appid, openid, kind: 'subscription_message', msgid, failure }];
}

/** What the marketing platform is told of a receipt. */
function newsOf(receipt: Receipt, tenantId: string | null): NewEvent[] {
  const { appid, event, openid, templateId, msgid, status, errorCode, detail } = receipt;
  const key: EventSubject = { tenantId, appid, openid };
  const occurredAt = receipt.occurredAt.toISOString();
  const received: NewEvent = {
    type: 'receipt.received',
    key,
    payload: {
      appid,
      receiptId: receipt.id,
      event,
      openid,
      templateId,
      msgid,
      status,
      errorCode,
      detail,
      occurredAt,
    },
  };
  const changedIn = CHANGED_IN.get(event);
  if (!changedIn) return [received];
  const changed: NewEvent = {
    type: 'subscription.changed',
    key,
    payload: { appid, openid, templateId, status, changedIn, occurredAt },
  };
  return [received, changed];
}
