import { REACTIONS, WechatApiError } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { AccountQuota } from '../../accounts/quota/account-quota.service.js';
import { AppError, PROBLEMS } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { crashPoint } from '../../common/crash-point.js';
import { errorFields, Logger } from '../../common/logger.js';
import { Database, type Tx } from '../../database/database.js';
import { Heartbeat } from '../../queue/heartbeat.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import type { WorkContext } from '../../queue/work-handlers.js';
import { WorkQueue } from '../../queue/work-queue.js';
import { DeliveriesRepository } from '../deliveries/deliveries.repository.js';
import { DeliveryLedger, type QueuedRequest } from '../deliveries/delivery-ledger.js';
import type { Delivery, DeliveryFailure } from '../deliveries/delivery.entity.js';
import { MessageResults } from '../deliveries/message-results.service.js';
import type { MessageKind } from '../kinds/message-kind.js';
import { MessageKinds } from '../kinds/message-kinds.js';
import { EligibilityService } from '../people/eligibility.service.js';
import { PeopleService } from '../people/people.service.js';
import { TemplatesService } from '../templates/templates.service.js';
import { Acceptances, resultValues } from './acceptances.js';
import { DeliveryLeases } from './delivery-leases.js';
import { ANSWER_LOST, lostWithItsProcess, type Outcome, outcomeOf } from './outcome.js';

const SEND = 'send-delivery';
const RECOVER_SECONDS = 5;
const RECOVER_PAGE = 500;
/** WeChat's de-duplication id is good for ten minutes: within nine it surely is. */
const REPEATABLE_MS = 9 * 60_000;

interface SendWork {
  deliveryId: string;
}

/** Ends the work in the transaction of its effect. */
type Finish = (tx: Tx) => Promise<void>;

/** Sends deliveries, and sees to it that each comes to an end, whatever becomes of the process that sends it. */
@Injectable()
export class DeliverySender implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly deliveries: DeliveriesRepository,
    private readonly ledger: DeliveryLedger,
    private readonly results: MessageResults,
    private readonly acceptances: Acceptances,
    private readonly leases: DeliveryLeases,
    private readonly kinds: MessageKinds,
    private readonly people: PeopleService,
    private readonly eligibility: EligibilityService,
    private readonly templates: TemplatesService,
    private readonly accounts: AccountsService,
    private readonly quota: AccountQuota,
    private readonly work: WorkQueue,
    private readonly heartbeat: Heartbeat,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<SendWork>(SEND, (work, context) => this.#resume(work, context), {
      concurrency: 32,
    });
    this.schedule.every('recover-deliveries', RECOVER_SECONDS, () => this.recover());
  }

  /**
   * Sends one that this process holds, and writes down what came of it.
   *
   * @returns the delivery as it is then
   */
  async send(
    account: Account,
    held: Delivery,
    content: object,
    finish: Finish | null = null,
  ): Promise<Delivery> {
    const release = this.leases.hold(held);
    try {
      const { delivery, outcome } = await this.#sendParts(account, held, content);
      return await this.#settle(account, delivery, outcome, finish);
    } finally {
      release();
    }
  }

  /**
   * Has a message sent once the transaction has committed. Whether the person can be reached is WeChat's to say.
   *
   * @param id of the caller's own making, a UUID: asked for again with the same id, it is sent once all the same
   */
  async queue(tx: Tx, account: Account, request: QueuedRequest, id: string): Promise<void> {
    if (!(await this.ledger.queue(tx, account, request, id))) return;
    await this.#addWork(tx, { id, appid: account.appid });
  }

  /** Takes up what processes that have died have left behind. */
  async recover(): Promise<void> {
    const found = await this.deliveries.findAbandoned(RECOVER_PAGE);
    if (found.length === 0) return;
    this.logger.warn('delivery.abandoned', { deliveries: found.length });
    await this.db.write(async (tx) => {
      for (const delivery of found) await this.#addWork(tx, delivery);
    });
  }

  async #addWork(
    tx: Tx,
    { id, appid }: Pick<Delivery, 'id' | 'appid'>,
    delayMs = 0,
  ): Promise<void> {
    const payload: SendWork = { deliveryId: id };
    await this.work.add(tx, { kind: SEND, key: id, appid, payload, delayMs });
  }

  async #resume({ deliveryId }: SendWork, context: WorkContext): Promise<void> {
    const finish: Finish = (tx) => context.finish(tx);
    const seen = await this.deliveries.find(deliveryId);
    const account = seen && (await this.accounts.find(seen.appid));
    if (!account || (seen.status !== 'pending' && seen.status !== 'sending')) return;
    const held = await this.deliveries.takeUp(seen, this.heartbeat.leaseMs);
    if (!held) return;
    const kind = this.kinds.of(held.kind);
    const isAmbiguous = seen.status === 'sending' || isInDoubt(seen);
    if (isAmbiguous && !(await this.#isRepeatable(kind, held))) {
      await this.#settle(account, held, lostWithItsProcess(), finish);
      return;
    }
    if (!account.enabled) {
      await this.#settle(account, held, switchedOff(isAmbiguous), finish);
      return;
    }
    const missed = await this.#missed(held);
    if (missed) {
      await this.#settle(account, held, missed, finish);
      return;
    }
    await this.send(account, held, this.ledger.contentOf(held), finish);
  }

  async #isRepeatable(kind: MessageKind, held: Delivery): Promise<boolean> {
    return kind.isRepeatable && (await this.deliveries.sentForMs(held)) < REPEATABLE_MS;
  }

  /** What was to be sent back to somebody, and could not be while they could be written to. */
  async #missed({ appid, openid, kind, attempts }: Delivery): Promise<Outcome | null> {
    // The first try is WeChat's to judge: it may know of a window that we do not.
    if (kind !== 'customer_service_message' || openid === null || attempts === 1) return null;
    const reason = await this.eligibility.missedReply(appid, openid);
    if (!reason) return null;
    const { code, detail } = reason;
    return { type: 'failed', failure: { reason: code, errcode: null, detail, retryable: false } };
  }

  /**
   * One after the other. The first that does not go through ends it, unless it is refused for its own sake and the delivery
   * passes over such parts: then it has failed once the others are sent.
   */
  async #sendParts(
    account: Account,
    held: Delivery,
    raw: object,
  ): Promise<{ delivery: Delivery; outcome: Outcome }> {
    const kind = this.kinds.of(held.kind);
    const content = kind.read(raw);
    const { id, openid } = held;
    if (Array.isArray(content) || openid === null)
      throw new TypeError('A delivery is begun with a content that was read, to a person.');
    let delivery = held;
    for (;;) {
      const part = delivery.partsSent + (delivery.passedOver?.length ?? 0);
      const outcome = await kind
        .send(account, { id, openid, content, part })
        .then(({ msgid }): Outcome => ({ type: 'accepted', msgid }))
        .catch((error: unknown) => this.#refused(account, delivery, kind, error));
      crashPoint('delivery.answered');
      const isLast = part + 1 >= delivery.parts;
      if (outcome.type === 'accepted') {
        if (isLast && !delivery.passedOver?.length) return { delivery, outcome };
        delivery = await this.#noteSent(delivery);
      } else {
        if (outcome.type !== 'failed' || !outcome.isOfContent || !delivery.passedOver)
          return { delivery, outcome };
        delivery = await this.#notePassedOver(delivery, outcome.failure);
      }
      const [failure] = delivery.passedOver ?? [];
      if (isLast && failure) return { delivery, outcome: { type: 'failed', failure } };
    }
  }

  /** One part of several is through. */
  async #noteSent(delivery: Delivery): Promise<Delivery> {
    const { appid, openid } = delivery;
    const partsSent = delivery.partsSent + 1;
    await this.db.write(async (tx) => {
      await this.deliveries.update(tx, delivery, { partsSent });
      if (openid !== null) await this.people.useWindows(tx, appid, openid, 1);
    });
    return Object.assign(delivery, { partsSent });
  }

  /** One part of several is refused for its own sake. */
  async #notePassedOver(delivery: Delivery, failure: DeliveryFailure): Promise<Delivery> {
    const passedOver = [...(delivery.passedOver ?? []), failure];
    await this.db.write((tx) => this.deliveries.update(tx, delivery, { passedOver }));
    return Object.assign(delivery, { passedOver });
  }

  async #refused(
    account: Account,
    delivery: Delivery,
    kind: MessageKind,
    error: unknown,
  ): Promise<Outcome> {
    const outcome = outcomeOf(error, kind, delivery.attempts);
    this.logger.warn('delivery.refused', {
      deliveryId: delivery.id,
      kind: delivery.kind,
      outcome: outcome.type,
      ...errorFields(error),
    });
    if (error instanceof WechatApiError) await this.#learn(account, delivery, error);
    return outcome;
  }

  /** What a refusal says of others: the person, the template, the API. */
  async #learn(account: Account, delivery: Delivery, error: WechatApiError): Promise<void> {
    const { appid, openid, kind, templateId } = delivery;
    const { errorClass, path } = error;
    if (errorClass === 'quota_day') await this.quota.noteUsedUp(account, path);
    if (
      errorClass === 'template_invalid' &&
      (kind === 'template_message' || kind === 'subscription_message')
    )
      await this.templates.forget(appid, kind);
    if (openid !== null && REACTIONS[errorClass].concerns === 'recipient')
      await this.db.write((tx) =>
        this.people.noteRefusal(tx, appid, openid, errorClass, templateId ?? undefined),
      );
  }

  async #settle(
    account: Account,
    delivery: Delivery,
    outcome: Outcome,
    finish: Finish | null,
  ): Promise<Delivery> {
    const settled =
      outcome.type === 'accepted' && !finish
        ? await this.acceptances.add({ account, delivery, msgid: outcome.msgid })
        : await this.leases.whileEnding([delivery.id], () =>
            this.db.write(async (tx) => {
              await finish?.(tx);
              const after = await this.#write(tx, delivery, outcome);
              if (after) await this.ledger.tell(tx, account, after);
              return after;
            }),
          );
    // Another process has taken it over: what that says holds.
    return settled ?? (await this.deliveries.find(delivery.id)) ?? delivery;
  }

  async #write(tx: Tx, delivery: Delivery, outcome: Outcome): Promise<Delivery | null> {
    if (outcome.type === 'accepted') return this.acceptances.write(tx, delivery, outcome.msgid);
    // What WeChat says to a second try says nothing of the first, whose answer was lost.
    const isDoubtful = isInDoubt(delivery);
    const failure = isDoubtful ? delivery.failure : outcome.failure;
    if (outcome.type === 'retry') return this.#writeRetry(tx, delivery, outcome.afterMs, failure);
    if (outcome.type === 'unknown' || isDoubtful) return this.#writeUnknown(tx, delivery, failure);
    const finishedAt = this.clock.now();
    return this.#update(tx, delivery, { status: 'failed', failure, finishedAt });
  }

  async #writeUnknown(
    tx: Tx,
    delivery: Delivery,
    failure: Delivery['failure'],
  ): Promise<Delivery | null> {
    const { resultWithinMs } = this.kinds.of(delivery.kind);
    const now = this.clock.now();
    // Locked before the look: a result that comes meanwhile finds it unknown, and none falls between the two.
    await this.deliveries.lock(tx, [delivery.id]);
    const result = resultWithinMs === null ? null : await this.results.adopt(tx, delivery);
    const unknown = await this.#update(tx, delivery, {
      status: 'unknown',
      failure,
      finishedAt: now,
      ...(result && { msgid: result.msgid, acceptedAt: now, ...resultValues(result, now) }),
    });
    if (unknown) await this.acceptances.noteUsed(tx, delivery);
    return unknown;
  }

  async #writeRetry(
    tx: Tx,
    delivery: Delivery,
    afterMs: number,
    failure: Delivery['failure'],
  ): Promise<Delivery | null> {
    const values = { status: 'pending', failure } as const;
    const isMine = await this.deliveries.update(tx, delivery, { ...values, leaseUntil: null });
    if (!isMine) return null;
    await this.#addWork(tx, delivery, afterMs);
    return Object.assign(delivery, values);
  }

  /** Its content has served its purpose. */
  async #update(
    tx: Tx,
    delivery: Delivery,
    values: Partial<Omit<Delivery, 'id' | 'epoch'>>,
  ): Promise<Delivery | null> {
    const all = { ...values, content: null, leaseUntil: null };
    const isMine = await this.deliveries.update(tx, delivery, all);
    return isMine ? Object.assign(delivery, all) : null;
  }
}

/** Whether an earlier try may have gone through. */
function isInDoubt({ failure }: Delivery): boolean {
  return failure?.reason === ANSWER_LOST;
}

/** @param isAmbiguous it may have been sent before the account was switched off */
function switchedOff(isAmbiguous: boolean): Outcome {
  if (isAmbiguous) return lostWithItsProcess();
  const { code } = new AppError('account_disabled');
  const { detail } = PROBLEMS[code];
  return { type: 'failed', failure: { reason: code, errcode: null, detail, retryable: true } };
}
