import { SafeFetch, SafeFetchError } from '@app/safe-fetch';
import { SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Webhook as Signer } from 'standardwebhooks';

import { type AuditActor, AuditService } from '../../access/audit.service.js';
import { Clock } from '../../common/clock.js';
import { crashPoint } from '../../common/crash-point.js';
import { Logger } from '../../common/logger.js';
import { Database, type Tx } from '../../database/database.js';
import type { WorkContext } from '../../queue/work-handlers.js';
import { WorkQueue } from '../../queue/work-queue.js';
import { toEventDto } from '../event.dto.js';
import type { EventRow } from '../event.entity.js';
import { EventWords } from '../event-words.js';
import type { DisabledReason, Webhook, WebhookDelivery } from './webhook.entity.js';
import { secretBinding } from './webhook-secrets.js';
import { type Shard, WebhooksRepository } from './webhooks.repository.js';

export const DELIVER = 'deliver-webhook';

/** What waits in a shard of a webhook is to be sent. */
export interface DeliverWork {
  webhookId: string;
  shard: number;
}

/** How a try ended. */
export interface Attempt {
  ok: boolean;
  /** HTTP status; null where no answer came. */
  status: number | null;
  /** Where it ended, e.g. `connect`; null when it went well. */
  step: string | null;
  latencyMs: number;
  retryAfterSeconds: number | null;
}

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
/** After each failure; when they are used up, it is given up. @see https://www.standardwebhooks.com */
const RETRIES_MS = [
  5 * SECOND_MS,
  300 * SECOND_MS,
  1_800 * SECOND_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  10 * HOUR_MS,
];
const JITTER = 0.1;
const LONGEST_RETRY_AFTER_S = 86_400;
const WITHIN_MS = 15_000;
const DISABLED_AFTER_MS = 5 * 24 * HOUR_MS;
/** A subject whose event has failed so often no longer holds up its later ones: they carry a sequence number. */
const HOLDS_UP = 3;
const PAGE = 50;
/** So long a turn lasts, and the try that is under way then: the process's places are few, and others wait for them. */
const TURN_MS = 1_000;
const GONE = 410;
const SENDER: AuditActor = { type: 'system', name: 'webhooks' };

/** Sends events to webhooks, in order for each subject while all goes well, again and again while it does not. */
@Injectable()
export class WebhookSender implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly webhooks: WebhooksRepository,
    private readonly words: EventWords,
    private readonly work: WorkQueue,
    private readonly http: SafeFetch,
    private readonly secrets: SecretBox,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<DeliverWork>(DELIVER, (work, context) => this.#deliver(work, context), {
      concurrency: 64,
    });
  }

  /** Sends one event now, whatever else waits. */
  async attempt(webhook: Webhook, { id, body }: { id: string; body: string }): Promise<Attempt> {
    const startedAt = performance.now();
    const end = (rest: Omit<Attempt, 'latencyMs'>): Attempt => ({
      ...rest,
      latencyMs: Math.round(performance.now() - startedAt),
    });
    try {
      const { status } = await this.http.fetch(webhook.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.#sign(webhook, id, body) },
        body,
        timeoutMs: WITHIN_MS,
      });
      return end({ ok: true, status, step: null, retryAfterSeconds: null });
    } catch (error) {
      if (!(error instanceof SafeFetchError)) throw error;
      const { step, status, retryAfterSeconds } = error;
      // What was taken was taken, however much the receiver has to say about it.
      const ok = status !== null && status >= 200 && status < 300;
      return end({ ok, status, step: ok ? null : step, retryAfterSeconds });
    }
  }

  /** With every secret that is good at this moment. */
  #sign(webhook: Webhook, id: string, body: string): Record<string, string> {
    const now = this.clock.now();
    const { secret, previousSecret, previousSecretUntil } = webhook;
    const isPreviousGood = previousSecretUntil !== null && previousSecretUntil > now;
    const signatures = [
      this.secrets.open(secret, secretBinding(webhook.id, 'secret')),
      ...(previousSecret && isPreviousGood
        ? [this.secrets.open(previousSecret, secretBinding(webhook.id, 'previous_secret'))]
        : []),
    ].map((key) => new Signer(key).sign(id, now, body));
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
    };
  }

  async #deliver({ webhookId, shard }: DeliverWork, context: WorkContext): Promise<void> {
    const webhook = await this.webhooks.find(webhookId);
    if (!webhook?.enabled) return;
    const isOn = await this.#sendWaiting(webhook, shard);
    await this.db.write(async (tx) => {
      await context.finish(tx);
      if (isOn) await this.#goOn(tx, webhookId, shard);
    });
  }

  /** @returns false when the webhook was switched off meanwhile */
  async #sendWaiting(webhook: Webhook, shard: number): Promise<boolean> {
    const heldUp = new Set<string>();
    const end = performance.now() + TURN_MS;
    for (const row of await this.webhooks.findDue(this.#now(webhook.id, shard), PAGE)) {
      if (heldUp.has(row.subjectKey)) continue;
      const outcome = await this.#send(webhook, row);
      if (outcome === 'disabled') return false;
      if (outcome === 'failed' && row.attempts + 1 < HOLDS_UP) heldUp.add(row.subjectKey);
      if (performance.now() > end) break;
    }
    return true;
  }

  /** Whoever lines up more meanwhile finds this work standing and adds none: so it looks once more as it ends. */
  async #goOn(tx: Tx, webhookId: string, shard: number): Promise<void> {
    const due = await this.webhooks.findNextDue(tx, this.#now(webhookId, shard));
    if (!due) return;
    const delayMs = Math.max(0, due.getTime() - this.clock.now().getTime());
    const payload: DeliverWork = { webhookId, shard };
    await this.work.add(tx, { kind: DELIVER, key: `${webhookId}/${shard}`, payload, delayMs });
  }

  #now(webhookId: string, shard: number): Shard {
    return { webhookId, shard, now: this.clock.now(), failures: HOLDS_UP };
  }

  async #send(webhook: Webhook, row: WebhookDelivery): Promise<'sent' | 'failed' | 'disabled'> {
    const event = await this.webhooks.findEvent(row.eventId);
    if (!event) {
      await this.#end(row, {
        status: 'failed',
        lastStep: 'event_gone',
        finishedAt: this.clock.now(),
      });
      return 'sent';
    }
    const attempt = await this.attempt(webhook, {
      id: row.eventId,
      body: bodyOf(this.words.open(event), row.sequence),
    });
    crashPoint('webhook.answered');
    if (attempt.ok) {
      await this.#keepSuccess(webhook, row, attempt);
      return 'sent';
    }
    this.logger.warn('webhook.failed', {
      webhookId: webhook.id,
      eventId: row.eventId,
      ...{ step: attempt.step, status: attempt.status, attempts: row.attempts + 1 },
    });
    return (await this.#keepFailure(webhook, row, attempt)) ? 'disabled' : 'failed';
  }

  async #keepSuccess(webhook: Webhook, row: WebhookDelivery, { status }: Attempt): Promise<void> {
    const now = this.clock.now();
    await this.db.write(async (tx) => {
      await this.webhooks.end(tx, row.id, {
        status: 'succeeded',
        attempts: row.attempts + 1,
        lastStatus: status,
        lastStep: null,
        finishedAt: now,
      });
      if (webhook.failingSince) await this.webhooks.update(tx, webhook.id, { failingSince: null });
      await this.webhooks.update(tx, webhook.id, { succeededAt: now });
    });
    webhook.failingSince = null;
  }

  /** @returns whether the webhook was switched off */
  async #keepFailure(webhook: Webhook, row: WebhookDelivery, attempt: Attempt): Promise<boolean> {
    const now = this.clock.now();
    const attempts = row.attempts + 1;
    const wait = RETRIES_MS[row.attempts];
    const since = webhook.failingSince ?? now;
    webhook.failingSince = since;
    const isTooLong = now.getTime() - since.getTime() >= DISABLED_AFTER_MS;
    const reason = attempt.status === GONE ? 'gone' : isTooLong ? 'failing' : null;
    await this.db.write(async (tx) => {
      await this.webhooks.end(tx, row.id, {
        attempts,
        lastStatus: attempt.status,
        lastStep: attempt.step,
        ...(wait === undefined
          ? { status: 'failed', finishedAt: now }
          : { nextTryAt: nextTry(now, wait, attempt.retryAfterSeconds) }),
      });
      await this.webhooks.update(tx, webhook.id, { failingSince: since });
      if (reason) await this.#disable(tx, webhook, reason);
    });
    return reason !== null;
  }

  async #disable(tx: Tx, { id, tenantId }: Webhook, disabledReason: DisabledReason): Promise<void> {
    const updatedAt = this.clock.now();
    await this.webhooks.update(tx, id, { enabled: false, disabledReason, updatedAt });
    await this.audit.record(tx, {
      actor: SENDER,
      action: 'webhook.disabled',
      target: id,
      tenantId,
      detail: { reason: disabledReason },
    });
    this.logger.error('webhook.disabled', { webhookId: id, reason: disabledReason });
  }

  async #end(
    row: WebhookDelivery,
    values: Parameters<WebhooksRepository['end']>[2],
  ): Promise<void> {
    await this.db.write((tx) => this.webhooks.end(tx, row.id, values));
  }
}

/** What a receiver gets: the feed's item, with its place among the events of its subject. */
export function bodyOf(event: EventRow, sequence: number): string {
  return JSON.stringify({ ...Object.fromEntries(Object.entries(toEventDto(event))), sequence });
}

function nextTry(now: Date, wait: number, retryAfterSeconds: number | null): Date {
  const jittered = wait * (1 + (Math.random() * 2 - 1) * JITTER);
  const asked = Math.min(retryAfterSeconds ?? 0, LONGEST_RETRY_AFTER_S) * SECOND_MS;
  return new Date(now.getTime() + Math.max(jittered, asked));
}
