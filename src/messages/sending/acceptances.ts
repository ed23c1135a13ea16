import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { Clock } from '../../common/clock.js';
import { groupBy } from '../../common/group-by.js';
import { errorFields, Logger } from '../../common/logger.js';
import { Database, type Tx } from '../../database/database.js';
import { GroupCommit } from '../../database/group-commit.js';
import { LeaseLostError } from '../../queue/lease-lost.error.js';
import { DeliveriesRepository } from '../deliveries/deliveries.repository.js';
import { DeliveryLedger } from '../deliveries/delivery-ledger.js';
import type { Delivery, MessageResult } from '../deliveries/delivery.entity.js';
import { keyOf, MessageResults, type SentMessage } from '../deliveries/message-results.service.js';
import type { MessageKindName } from '../kinds/message-kind.js';
import { MessageKinds } from '../kinds/message-kinds.js';
import { type GrantKey, PeopleService } from '../people/people.service.js';
import { DeliveryLeases } from './delivery-leases.js';

/** A message that WeChat has taken. */
export interface Acceptance {
  account: Account;
  delivery: Delivery;
  /** WeChat's number of it, where it gave one. */
  msgid: string | null;
}

const GROUP = {
  maxItems: 200,
  maxBytes: Infinity,
  maxWaitingItems: 10_000,
  maxWaitingBytes: Infinity,
  // Longer than two transactions that a silent database has swallowed.
  withinMs: 60_000,
};
/** Which of a person's windows it uses up is found out row by row: in a group that would last too long. */
const ALONE: readonly MessageKindName[] = ['customer_service_message'];

/** Writes down that WeChat has taken messages: those of one moment together, since a commit costs more than a message. */
@Injectable()
export class Acceptances {
  readonly #group: GroupCommit<Acceptance, Delivery | null>;

  constructor(
    private readonly db: Database,
    private readonly deliveries: DeliveriesRepository,
    private readonly ledger: DeliveryLedger,
    private readonly results: MessageResults,
    private readonly kinds: MessageKinds,
    private readonly people: PeopleService,
    private readonly leases: DeliveryLeases,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#group = new GroupCommit({
      ...GROUP,
      inFlight: this.db.isSqlite ? 1 : 2,
      commit: (group) => this.#writeGroup(group),
      weigh: () => 0,
      onSplit: (error, deliveries) =>
        this.logger.warn('delivery.group_failed', { deliveries, ...errorFields(error) }),
    });
  }

  /**
   * Resolves when it is committed and told.
   *
   * @returns the delivery as it is then; null when it was another's, or had ended
   * @throws AppError `storage_unavailable` when it is not, or not in time: it may then be committed all the same
   */
  add(acceptance: Acceptance): Promise<Delivery | null> {
    return ALONE.includes(acceptance.delivery.kind)
      ? this.#writeAlone(acceptance)
      : this.#group.add(acceptance);
  }

  /**
   * Writes one down, in the transaction of whoever tells of it.
   *
   * @returns the delivery as it is then; null when it was another's, or had ended
   */
  async write(tx: Tx, delivery: Delivery, msgid: string | null): Promise<Delivery | null> {
    const now = this.clock.now();
    // Before the delivery: results go the same way, and neither waits for the other in a circle.
    const results = await this.results.meet(tx, this.#awaited([{ delivery, msgid }]));
    const { appid, id } = delivery;
    const result = msgid === null ? undefined : results.get(keyOf({ appid, msgid }));
    const values = this.#valuesOf(delivery, msgid, result, now);
    if (await this.deliveries.update(tx, delivery, values)) {
      await this.noteUsed(tx, delivery);
      return Object.assign({}, delivery, values);
    }
    // Given up for lost while its answer was on its way: now it is known.
    const isKnownNow = await this.deliveries.finish(tx, id, ['unknown'], values);
    return isKnownNow ? Object.assign({}, delivery, values) : null;
  }

  /** What may have arrived has used up what the person allows. */
  async noteUsed(tx: Tx, delivery: Delivery): Promise<void> {
    const { appid, openid, kind } = delivery;
    if (openid === null) return;
    if (kind === 'customer_service_message') await this.people.useWindows(tx, appid, openid, 1);
    await this.people.useGrants(tx, grantOf(delivery));
  }

  async #writeGroup(group: readonly Acceptance[]): Promise<(Delivery | null)[]> {
    try {
      return await this.#writeAll(group);
    } catch (error) {
      const [one, ...others] = group;
      if (!(error instanceof LeaseLostError) || !one || others.length > 0) throw error;
      return [await this.#writeAlone(one)];
    }
  }

  #writeAlone({ account, delivery, msgid }: Acceptance): Promise<Delivery | null> {
    return this.#ending([delivery], async (tx) => {
      const after = await this.write(tx, delivery, msgid);
      if (after) await this.ledger.tell(tx, account, after);
      return after;
    });
  }

  #ending<T>(deliveries: readonly Delivery[], work: (tx: Tx) => Promise<T>): Promise<T> {
    const ids = deliveries.map(({ id }) => id);
    return this.leases.whileEnding(ids, () => this.db.write(work));
  }

  /** @throws LeaseLostError when not all of them were still ours: alone, each can be told apart */
  #writeAll(group: readonly Acceptance[]): Promise<Delivery[]> {
    const deliveries = group.map(({ delivery }) => delivery);
    return this.#ending(deliveries, async (tx) => {
      const now = this.clock.now();
      // Consents, results, deliveries: as whoever takes in receipts.
      await this.people.useGrants(
        tx,
        group.flatMap(({ delivery }) => grantOf(delivery)),
      );
      const results = await this.results.meet(tx, this.#awaited(group));
      const written = group.map(({ account, delivery, msgid }) => {
        const { appid } = delivery;
        const result = msgid === null ? undefined : results.get(keyOf({ appid, msgid }));
        const values = this.#valuesOf(delivery, msgid, result, now);
        return { account, before: delivery, values, delivery: Object.assign({}, delivery, values) };
      });
      const plain = written.filter(({ values }) => values.status === 'accepted');
      const alike = groupBy(
        plain,
        ({ before, values }) => `${before.epoch} ${values.resultDueAt?.getTime() ?? ''}`,
      );
      for (const [one, ...others] of alike.values()) {
        if (!one) continue;
        const rows = [one, ...others].map(({ delivery }) => delivery);
        if ((await this.deliveries.accept(tx, rows, one.delivery)) < rows.length)
          throw new LeaseLostError('one of several deliveries');
      }
      for (const { before, values } of written)
        if (values.status !== 'accepted' && !(await this.deliveries.update(tx, before, values)))
          throw new LeaseLostError(`delivery ${before.id}`);
      await this.ledger.tellAll(tx, written);
      return written.map(({ delivery }) => delivery);
    });
  }

  /** Those whose results WeChat will tell. */
  #awaited(group: readonly Omit<Acceptance, 'account'>[]): SentMessage[] {
    return group.flatMap(({ delivery, msgid }) => {
      const { id, appid, kind, openid } = delivery;
      const isAwaited = msgid !== null && this.kinds.of(kind).resultWithinMs !== null;
      return isAwaited ? [{ id, appid, kind, openid, msgid }] : [];
    });
  }

  #valuesOf(
    { kind, parts }: Delivery,
    msgid: string | null,
    result: ResultWords | undefined,
    now: Date,
  ) {
    const { resultWithinMs } = this.kinds.of(kind);
    return {
      status: 'accepted' as Delivery['status'],
      msgid,
      failure: null,
      partsSent: parts,
      acceptedAt: now,
      ...(resultWithinMs === null
        ? { finishedAt: now, resultDueAt: null }
        : { finishedAt: null, resultDueAt: new Date(now.getTime() + resultWithinMs) }),
      // Its content has served its purpose.
      content: null,
      leaseUntil: null,
      ...resultValues(result ?? null, now),
    };
  }
}

/** The consent that a delivery has used up. */
function grantOf({ appid, openid, kind, templateId }: Delivery): GrantKey[] {
  const isOne = kind === 'subscription_message' && openid !== null && templateId !== null;
  return isOne ? [{ appid, openid, templateId }] : [];
}

type ResultWords = Pick<MessageResult, 'outcome' | 'failure'>;

/** What a delivery becomes when WeChat has told its result already; nothing where it has not. */
export function resultValues(result: ResultWords | null, finishedAt: Date): Partial<Delivery> {
  if (!result?.outcome) return {};
  const { outcome: status, failure } = result;
  return { status, failure, finishedAt, resultDueAt: null };
}
