import { parseSafeUrl } from '@app/safe-fetch';
import { SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { AuditService } from '../../access/audit.service.js';
import type { Caller } from '../../access/roles.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { fromCursor, type Page, type PageQueryDto, toPage } from '../../common/paging.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { SealedColumns } from '../../database/sealed-columns.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import type { EventType } from '../event-types.js';
import { EventsRepository, subjectKeyOf } from '../events.repository.js';
import { SHARDS, WebhookRelay } from './webhook-relay.js';
import { type Attempt, WebhookSender } from './webhook-sender.js';
import { newSecret, secretBinding } from './webhook-secrets.js';
import type { DeliveryState, Webhook, WebhookDelivery } from './webhook.entity.js';
import { WebhooksRepository } from './webhooks.repository.js';

const HOUR_MS = 3_600_000;
const BOTH_SIGN_MS = 24 * HOUR_MS;
/** As long as the events that they are of. */
const KEPT_MS = 7 * 24 * HOUR_MS;
const PURGE_SECONDS = 3_600;
const PAGE = 500;

export interface WantedWebhook {
  url: string;
  eventTypes?: EventType[];
  enabled?: boolean;
}

/** Where the marketing platform wants its events sent. */
@Injectable()
export class WebhooksService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly webhooks: WebhooksRepository,
    private readonly feed: EventsRepository,
    private readonly relay: WebhookRelay,
    private readonly sender: WebhookSender,
    private readonly audit: AuditService,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    for (const column of ['secret', 'previous_secret'] as const)
      this.sealed.register({
        table: 'webhook',
        idColumn: 'id',
        column,
        binding: (id) => secretBinding(id, column),
      });
    this.accountData.register({
      table: 'webhook_delivery',
      isHistory: true,
      erase: (tx, appid, limit) => this.webhooks.eraseAccount(tx, appid, limit),
      erasePerson: (appid, openid) => this.#erasePerson(subjectKeyOf(appid, openid)),
    });
    this.accountData.register({
      table: 'webhook_sequence',
      erase: (tx, appid) => this.webhooks.eraseSequences(tx, appid),
    });
    this.schedule.every('purge-webhook-deliveries', PURGE_SECONDS, () => this.purge());
  }

  /** The newest first. */
  async list(caller: Caller, { limit, cursor }: PageQueryDto): Promise<Page<Webhook>> {
    const tenantId = caller.allTenants ? null : caller.tenantId;
    const rows = await this.webhooks.findPage(tenantId, limit, cursor ? fromCursor(cursor) : null);
    return toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
  }

  /** @throws AppError `not_found`, for another tenant's too */
  async get(caller: Caller, id: string): Promise<Webhook> {
    return visible(await this.webhooks.find(id), caller);
  }

  /**
   * Has events sent to an address from now on.
   *
   * @returns with the secret that its deliveries are signed with, which is not shown again
   * @throws AppError `validation_failed` for an address that is never requested
   */
  async create(
    caller: Caller,
    { url, eventTypes = [], enabled = true }: WantedWebhook,
  ): Promise<{ webhook: Webhook; secret: string }> {
    checkUrl(url);
    const { tenantId } = caller;
    const now = this.clock.now();
    const [id, secret] = [uuidV7({ msecs: now.getTime() }), newSecret()];
    const { last } = await this.feed.findFeed();
    const webhook: Webhook = {
      id,
      ...{ tenantId, url, eventTypes, enabled },
      disabledReason: null,
      secret: this.secrets.seal(secret, secretBinding(id, 'secret')),
      previousSecret: null,
      previousSecretUntil: null,
      position: last,
      failingSince: null,
      succeededAt: null,
      createdAt: now,
      updatedAt: now,
    };
    await this.db.write(async (tx) => {
      await this.webhooks.insert(tx, webhook);
      const detail = { host: new URL(url).host, eventTypes, enabled };
      await this.#record(tx, caller, webhook, 'webhook.created', detail);
    });
    return { webhook, secret };
  }

  /** Changes it. Switched on again, it goes on where it was. @throws AppError `not_found`, `validation_failed` */
  update(caller: Caller, id: string, wanted: WantedWebhook): Promise<Webhook> {
    checkUrl(wanted.url);
    return this.db.write(async (tx) => {
      const before = await this.#getForUpdate(tx, caller, id);
      const { url, eventTypes = before.eventTypes, enabled = before.enabled } = wanted;
      const isSwitchedOn = enabled && !before.enabled;
      const change = {
        ...{ url, eventTypes, enabled },
        ...(isSwitchedOn && { disabledReason: null, failingSince: null }),
        updatedAt: this.clock.now(),
      };
      await this.webhooks.update(tx, id, change);
      const detail = { host: new URL(url).host, eventTypes, enabled };
      await this.#record(tx, caller, before, 'webhook.changed', detail);
      if (isSwitchedOn) await this.relay.wake(tx, id, everyShard());
      return Object.assign(before, change);
    });
  }

  /** @throws AppError `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.db.write(async (tx) => {
      const before = await this.#getForUpdate(tx, caller, id);
      await this.webhooks.remove(tx, id);
      await this.#record(tx, caller, before, 'webhook.deleted', { host: new URL(before.url).host });
    });
    const page = (): Promise<number> =>
      this.db.write((tx) => this.webhooks.removeDeliveries(tx, id, PAGE));
    while ((await page()) === PAGE);
  }

  /** Makes another secret. For a day, both sign. @throws AppError `not_found` */
  rotate(caller: Caller, id: string): Promise<{ secret: string; previousUntil: Date }> {
    return this.db.write(async (tx) => {
      const before = await this.#getForUpdate(tx, caller, id);
      const now = this.clock.now();
      const [secret, previousUntil] = [newSecret(), new Date(now.getTime() + BOTH_SIGN_MS)];
      const former = this.secrets.open(before.secret, secretBinding(id, 'secret'));
      await this.webhooks.update(tx, id, {
        secret: this.secrets.seal(secret, secretBinding(id, 'secret')),
        previousSecret: this.secrets.seal(former, secretBinding(id, 'previous_secret')),
        previousSecretUntil: previousUntil,
        updatedAt: now,
      });
      await this.#record(tx, caller, before, 'webhook.secret_rotated', {});
      return { secret, previousUntil };
    });
  }

  /** Sends an event that is none, to see whether it arrives. @throws AppError `not_found` */
  async test(caller: Caller, id: string): Promise<Attempt> {
    const webhook = await this.get(caller, id);
    const now = this.clock.now();
    const eventId = uuidV7({ msecs: now.getTime() });
    const body = JSON.stringify({
      id: eventId,
      type: 'webhook.test',
      version: 1,
      occurredAt: now,
      tenantId: webhook.tenantId,
      appid: null,
      data: { webhookId: id },
      sequence: 0,
    });
    return this.sender.attempt(webhook, { id: eventId, body });
  }

  /** What was sent to it, the newest first. @throws AppError `not_found` */
  async listDeliveries(
    caller: Caller,
    id: string,
    query: { status?: DeliveryState; limit: number; cursor?: string },
  ): Promise<Page<WebhookDelivery>> {
    await this.get(caller, id);
    const after = query.cursor ? fromCursor(query.cursor) : null;
    const rows = await this.webhooks.findDeliveries(id, query.status, query.limit, after);
    return toPage(
      rows,
      query.limit,
      ({ createdAt, id: at }) => ({ at: createdAt, id: at }),
      (row) => row,
    );
  }

  /**
   * Sends the events of a stretch of time again, under the ids that they had.
   *
   * @returns how many
   * @throws AppError `not_found`
   */
  async replay(caller: Caller, id: string, span: { from: Date; to: Date }): Promise<number> {
    const { eventTypes } = await this.get(caller, id);
    let [count, after] = [0, 0];
    for (;;) {
      const rows = await this.webhooks.findEventsBetween(
        await this.get(caller, id),
        span,
        after,
        PAGE,
      );
      const wanted = rows.filter(
        ({ type }) => eventTypes.length === 0 || (eventTypes as string[]).includes(type),
      );
      await this.#sendAgain(caller, id, wanted);
      count += wanted.length;
      after = rows.at(-1)?.position ?? 0;
      if (rows.length < PAGE) break;
    }
    await this.db.write(async (tx) => {
      const detail = { from: span.from.toISOString(), to: span.to.toISOString(), count };
      await this.#record(
        tx,
        caller,
        await this.#getForUpdate(tx, caller, id),
        'webhook.replayed',
        detail,
      );
    });
    return count;
  }

  /** Deletes what is older than the events that it is of. */
  async purge(): Promise<void> {
    const moment = new Date(this.clock.now().getTime() - KEPT_MS);
    while ((await this.webhooks.deleteBefore(moment, PAGE)) === PAGE);
  }

  async #sendAgain(
    caller: Caller,
    id: string,
    rows: Awaited<ReturnType<WebhooksRepository['findEventsBetween']>>,
  ): Promise<void> {
    if (rows.length === 0) return;
    const known = await this.webhooks.findLinedUp(
      id,
      rows.map((row) => row.id),
    );
    await this.db.write(async (tx) => {
      const webhook = await this.#getForUpdate(tx, caller, id);
      await this.webhooks.reset(tx, [...known.values()], this.clock.now());
      await this.relay.lineUp(
        tx,
        webhook,
        rows.filter((row) => !known.has(row.id)),
      );
      await this.relay.wake(tx, id, everyShard());
    });
  }

  async #getForUpdate(tx: Tx, caller: Caller, id: string): Promise<Webhook> {
    return visible(await this.webhooks.findForUpdate(tx, id), caller);
  }

  async #record(
    tx: Tx,
    caller: Caller,
    { id, tenantId }: Pick<Webhook, 'id' | 'tenantId'>,
    action: string,
    detail: object,
  ): Promise<void> {
    await this.audit.record(tx, { actor: caller, action, target: id, tenantId, detail });
  }

  async #erasePerson(subjectKey: string): Promise<void> {
    const page = (): Promise<number> =>
      this.db.write((tx) => this.webhooks.erasePerson(tx, subjectKey, PAGE));
    while ((await page()) === PAGE);
  }
}

function visible(webhook: Webhook | null, caller: Caller): Webhook {
  if (!webhook || !(caller.allTenants || webhook.tenantId === caller.tenantId))
    throw new AppError('not_found');
  return webhook;
}

/** Whether it leads to where it may is seen each time that it is dialled: names change. */
function checkUrl(url: string): void {
  if (parseSafeUrl(url)) return;
  throw new AppError('validation_failed', [
    {
      field: 'url',
      code: 'unsafe_url',
      detail: {
        zh: '须为 http(s) 地址，不含用户名与密码，最长 2048 个字符；公网地址须为 https',
        en: 'must be an http(s) address without user and password, 2,048 characters at the most; https for public ones',
      },
    },
  ]);
}

function everyShard(): number[] {
  return Array.from({ length: SHARDS }, (_unused, shard) => shard);
}
