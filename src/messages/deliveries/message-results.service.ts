import {
  type EventPush,
  readTemplateResult,
  TEMPLATE_RESULT_EVENT,
  type TemplateResult,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../../accounts/accounts.service.js';
import { chunksOf } from '../../common/chunks.js';
import { Clock } from '../../common/clock.js';
import { errorFields, Logger } from '../../common/logger.js';
import type { Text } from '../../common/text.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { GroupCommit } from '../../database/group-commit.js';
import { type PushContext, PushHandlers } from '../../pushes/push-handlers.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import { PeopleService } from '../people/people.service.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { DeliveryLedger } from './delivery-ledger.js';
import type {
  Delivery,
  DeliveryFailure,
  MessageKindName,
  MessageResult,
} from './delivery.entity.js';
import { MessageResultsRepository, type MetResult } from './message-results.repository.js';

/** WeChat's word about a message. */
export interface Result {
  appid: string;
  openid: string;
  kind: MessageKindName;
  /** Null where WeChat names none. */
  msgid: string | null;
  /** Null: it was delivered. */
  failure: DeliveryFailure | null;
}

/** One whose message WeChat names. */
type NumberedResult = Result & { msgid: string };

/** A message of ours that WeChat has taken. */
export type SentMessage = Pick<Delivery, 'id' | 'appid' | 'kind' | 'openid'> & { msgid: string };

const GROUP = {
  maxItems: 200,
  maxBytes: 1024 * 1024,
  maxWaitingItems: 5_000,
  maxWaitingBytes: 8 * 1024 * 1024,
  // Nobody waits for these. What is given up is tried again by the ledger.
  withinMs: 30_000,
};
const RESULT_BYTES = 300;
const TAKEN_AT_ONCE = 200;
const PURGE_SECONDS = 3_600;
const PAGE = 1_000;
const DAY_MS = 86_400_000;
/** A result that no message is known for by then is of one that was not ours. */
const KEPT_DAYS = 8;
/** A message that a result without a number may be about is not older. */
const CANDIDATE_MS = DAY_MS;

/** What WeChat tells of messages after it has taken them, brought together with what was sent, in whatever order. */
@Injectable()
export class MessageResults implements OnModuleInit {
  readonly #results: GroupCommit<Result, undefined>;

  constructor(
    private readonly db: Database,
    private readonly results: MessageResultsRepository,
    private readonly deliveries: DeliveriesRepository,
    private readonly ledger: DeliveryLedger,
    private readonly people: PeopleService,
    private readonly accounts: AccountsService,
    private readonly handlers: PushHandlers,
    private readonly schedule: LeasedSchedule,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#results = new GroupCommit({
      ...GROUP,
      inFlight: 1,
      commit: async (group) => {
        await this.db.write((tx) => this.take(tx, group));
        return group.map(() => undefined);
      },
      weigh: () => RESULT_BYTES,
      onSplit: (error, results) =>
        this.logger.warn('message_result.group_failed', { results, ...errorFields(error) }),
    });
  }

  onModuleInit(): void {
    this.accountData.register({
      table: 'message_result',
      isHistory: true,
      erase: (tx, appid, limit) => this.results.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.results.erasePerson(tx, appid, openid, PAGE));
        while ((await page()) === PAGE);
      },
    });
    this.handlers.registerEvents([TEMPLATE_RESULT_EVENT], (push, context) =>
      this.#receive(push, context),
    );
    this.schedule.every('purge-message-results', PURGE_SECONDS, () => this.purge());
  }

  /** Takes results in, in the transaction of whoever was told. One that comes again changes nothing. */
  async take(tx: Tx, results: readonly Result[]): Promise<void> {
    const numbered = results.filter((result): result is NumberedResult => result.msgid !== null);
    for (const chunk of chunksOf(inOrder(onePerMessage(numbered)), TAKEN_AT_ONCE))
      await this.#takeNumbered(tx, chunk);
    for (const result of results) if (result.msgid === null) await this.#takeNumberless(tx, result);
  }

  /**
   * Notes by which numbers WeChat knows messages that it has just taken.
   *
   * @returns what WeChat has said of them already, by {@link keyOf}; nothing for those of which it has said nothing yet
   */
  async meet(tx: Tx, sent: readonly SentMessage[]): Promise<ReadonlyMap<string, MetResult>> {
    if (sent.length === 0) return new Map();
    const sorted = inOrder(sent);
    const met = await this.results.meetSent(
      tx,
      sorted.map((message) => this.#newRow(message, message.id)),
    );
    const byKey = new Map(met.map((row) => [keyOf(row), row]));
    for (const message of sorted) {
      const row = byKey.get(keyOf(message));
      if (row?.deliveryId === null) await this.results.update(tx, row, { deliveryId: message.id });
    }
    return byKey;
  }

  /**
   * What WeChat has said of a message whose answer was lost: of all that it has told of the person since, the only result
   * that belongs to no other message.
   */
  async adopt(tx: Tx, delivery: Delivery): Promise<MessageResult | null> {
    const { id, appid, kind, openid, createdAt } = delivery;
    if (openid === null) return null;
    const found = await this.results.findUnmatched(tx, { appid, openid, kind, since: createdAt });
    const [only] = found;
    if (!only || found.length > 1) return null;
    await this.results.update(tx, only, { deliveryId: id });
    return only;
  }

  async purge(): Promise<void> {
    const before = new Date(this.clock.now().getTime() - KEPT_DAYS * DAY_MS);
    while ((await this.results.deleteBefore(before, PAGE)) === PAGE);
  }

  async #receive({ fromUserName, fields }: EventPush, { account }: PushContext): Promise<void> {
    const result = readTemplateResult(fields);
    await this.#results.add({
      appid: account,
      openid: fromUserName,
      kind: 'template_message',
      msgid: result.msgid,
      failure: failureOf(result),
    });
  }

  async #takeNumbered(tx: Tx, results: readonly NumberedResult[]): Promise<void> {
    const met = await this.results.meet(
      tx,
      results.map((result) => this.#newRow(result)),
    );
    const rows = new Map(met.map((row) => [keyOf(row), row]));
    const news = results.flatMap((result) => {
      const row = rows.get(keyOf(result));
      const outcome = result.failure ? ('failed' as const) : ('delivered' as const);
      if (!row || row.outcome === 'delivered' || row.outcome === outcome) return [];
      const { failure, openid } = result;
      return [{ ...result, row: Object.assign(row, { outcome, failure, openid }) }];
    });
    if (news.length === 0) return;
    const deliveries = await this.#findDeliveries(tx, news);
    for (const { row } of news) row.deliveryId = deliveries.get(keyOf(row))?.id ?? row.deliveryId;
    await this.results.keep(
      tx,
      news.map(({ row }) => row),
    );
    for (const { row, failure } of news) {
      const delivery = deliveries.get(keyOf(row));
      if (delivery) await this.#finish(tx, Object.assign(delivery, { msgid: row.msgid }), failure);
    }
  }

  /** The messages that the results are about, by the key of the result. */
  async #findDeliveries(
    tx: Tx,
    news: readonly (NumberedResult & { row: MessageResult })[],
  ): Promise<Map<string, Delivery>> {
    const found = new Map<string, Delivery>();
    const ids = new Map(news.flatMap(({ row }) => (row.deliveryId ? [[row.deliveryId, row]] : [])));
    for (const delivery of await this.deliveries.lock(tx, [...ids.keys()])) {
      const row = ids.get(delivery.id);
      if (row) found.set(keyOf(row), delivery);
    }
    // The row where they met has been purged.
    const rest = (): typeof news => news.filter((result) => !found.has(keyOf(result)));
    for (const delivery of await this.deliveries.findByMsgids(tx, rest()))
      found.set(`${delivery.appid} ${delivery.msgid}`, delivery);
    const candidates = await this.#lockCandidates(tx, rest());
    for (const result of rest()) {
      const one = onlyUnknown(candidates, result);
      // It cannot be about another one as well.
      if (one) found.set(keyOf(result), candidates.splice(candidates.indexOf(one), 1)[0] ?? one);
    }
    return found;
  }

  /** WeChat now and then names no message: then it is about the only one to the person that is waiting for its result. */
  async #takeNumberless(tx: Tx, result: Result): Promise<void> {
    const found = await this.#lockCandidates(tx, [result]);
    const waiting = found.filter(
      ({ kind, status, finishedAt }) =>
        kind === result.kind && (status !== 'accepted' || finishedAt === null),
    );
    const [only] = waiting;
    if (only && waiting.length === 1 && only.status !== 'sending')
      await this.#finish(tx, only, result.failure);
  }

  #lockCandidates(tx: Tx, results: readonly Result[]): Promise<Delivery[]> {
    return this.deliveries.lockCandidates(tx, results, {
      statuses: ['sending', 'accepted', 'unknown'],
      since: new Date(this.clock.now().getTime() - CANDIDATE_MS),
    });
  }

  async #finish(tx: Tx, delivery: Delivery, failure: DeliveryFailure | null): Promise<void> {
    const now = this.clock.now();
    const values = {
      status: failure ? ('failed' as const) : ('delivered' as const),
      msgid: delivery.msgid,
      failure,
      acceptedAt: delivery.acceptedAt ?? now,
      resultDueAt: null,
      finishedAt: now,
    };
    const isFinished = await this.deliveries.finish(
      tx,
      delivery.id,
      ['accepted', 'unknown', ...(failure ? [] : (['failed'] as const))],
      values,
    );
    if (!isFinished) return;
    const { appid, openid, templateId } = delivery;
    if (openid !== null && failure?.reason === 'user_blocked')
      await this.people.noteRefusal(tx, appid, openid, 'user_blocked', templateId ?? undefined);
    if (openid !== null && !failure) await this.people.noteReached(tx, appid, openid);
    const account = await this.accounts.find(appid, tx);
    if (account) await this.ledger.tell(tx, account, Object.assign(delivery, values));
  }

  #newRow(
    { appid, msgid, kind, openid }: Pick<MessageResult, 'appid' | 'msgid' | 'kind' | 'openid'>,
    deliveryId: string | null = null,
  ): MessageResult {
    return {
      ...{ appid, msgid, kind, openid },
      deliveryId,
      outcome: null,
      failure: null,
      createdAt: this.clock.now(),
    };
  }
}

/** By what a message and its result find each other. */
export function keyOf({ appid, msgid }: Pick<NumberedResult, 'appid' | 'msgid'>): string {
  return `${appid} ${msgid}`;
}

/** In one order for everybody: two that write the same ones never wait for each other in a circle. */
function inOrder<T extends Pick<NumberedResult, 'appid' | 'msgid'>>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** Of several words about one message, `delivered` holds. */
function onePerMessage(results: readonly NumberedResult[]): NumberedResult[] {
  const byMessage = new Map<string, NumberedResult>();
  for (const result of results) {
    const known = byMessage.get(keyOf(result));
    if (!known || result.failure === null) byMessage.set(keyOf(result), result);
  }
  return [...byMessage.values()];
}

/** While others to the person are under way, a result may be about one of them: they will tell. */
function onlyUnknown(
  candidates: readonly Delivery[],
  { appid, openid, kind }: Result,
): Delivery | null {
  const found = candidates.filter(
    (one) =>
      one.appid === appid && one.openid === openid && one.kind === kind && one.msgid === null,
  );
  const [only] = found;
  return only?.status === 'unknown' && found.length === 1 ? only : null;
}

const FAILURES: Readonly<
  Record<Exclude<TemplateResult['outcome'], 'delivered'>, Omit<DeliveryFailure, 'errcode'>>
> = {
  user_blocked: failed(
    'user_blocked',
    false,
    '该用户拒收该账号的消息，消息没有送达。请改用其他渠道。',
    'The person refuses messages of the account and it did not arrive. Use another channel.',
  ),
  throttled: failed(
    'user_throttled',
    true,
    '微信认为向该用户发送过于频繁，消息没有送达。请数小时后再发。',
    'WeChat found that the person got too many messages and did not deliver it. Send again in some hours.',
  ),
  failed: failed(
    'not_delivered',
    true,
    '微信接收后没有送达。可以重新发送一次；如反复出现，请检查内容是否被拦截。',
    'WeChat took the message and did not deliver it. Send it once more; if that keeps happening, see whether its content is intercepted.',
  ),
};

function failed(
  reason: string,
  retryable: boolean,
  zh: string,
  en: string,
): Omit<DeliveryFailure, 'errcode'> {
  return { reason, retryable, detail: { zh, en } };
}

function failureOf({ outcome, status }: TemplateResult): DeliveryFailure | null {
  return outcome === 'delivered'
    ? null
    : withWords({ ...FAILURES[outcome], errcode: null }, status);
}

/** What became of a subscription message that did not arrive, in WeChat's words. */
export function notDelivered(words: string): DeliveryFailure {
  return withWords({ ...FAILURES.failed, errcode: null }, words);
}

function withWords(failure: DeliveryFailure, words: string): DeliveryFailure {
  const said = words.trim().slice(0, 128);
  if (said === '') return failure;
  const detail: Text = {
    zh: `${failure.detail.zh}（${said}）`,
    en: `${failure.detail.en} (${said})`,
  };
  return { ...failure, detail };
}
