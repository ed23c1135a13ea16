import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { EventType } from '../event-types.js';

/** `gone`: the receiver said so. `failing`: nothing has arrived for days. */
export type DisabledReason = 'gone' | 'failing';

/** An address of the marketing platform's that events are sent to. */
@Entity('webhook')
@Index('idx_webhook_tenant_id', ['tenantId'])
export class Webhook {
  /** UUID v7 of ours. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** Whose events it gets. */
  @Column({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  @Column({ type: 'varchar', length: 2048 })
  url: string;

  /** Empty: all of the tenant's. */
  @Column({ name: 'event_types', type: 'simple-json' })
  eventTypes: EventType[];

  @Column({ type: 'integer', transformer: { to: Number, from: Boolean } })
  enabled: boolean;

  /** Why we have switched it off; null when we have not. */
  @Column({ name: 'disabled_reason', type: 'varchar', length: 32, nullable: true })
  disabledReason: DisabledReason | null;

  /** Sealed; what its deliveries are signed with. */
  @Column({ type: 'text' })
  secret: string;

  /** Sealed; signs as well until its time. */
  @Column({ name: 'previous_secret', type: 'text', nullable: true })
  previousSecret: string | null;

  @Column({ name: 'previous_secret_until', type: 'datetime', precision: 3, nullable: true })
  previousSecretUntil: Date | null;

  /** Up to here in the feed, events have been lined up for it. */
  @Column({ type: 'bigint', transformer: { to: (value: number) => value, from: Number } })
  position: number;

  /** Since when nothing has arrived; null after a success. */
  @Column({ name: 'failing_since', type: 'datetime', precision: 3, nullable: true })
  failingSince: Date | null;

  @Column({ name: 'succeeded_at', type: 'datetime', precision: 3, nullable: true })
  succeededAt: Date | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}

export const DELIVERY_STATES = ['pending', 'succeeded', 'failed'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** One event on its way to one webhook. */
@Entity('webhook_delivery')
@Index('uq_webhook_delivery_event', ['webhookId', 'eventId'], { unique: true })
@Index('idx_webhook_delivery_waiting', ['webhookId', 'shard', 'status', 'id'])
@Index('idx_webhook_delivery_appid', ['appid'])
@Index('idx_webhook_delivery_created_at', ['createdAt'])
export class WebhookDelivery {
  /** UUID v7 of ours: ids grow in the order of the feed. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ name: 'webhook_id', type: 'varchar', length: 36 })
  webhookId: string;

  @Column({ name: 'event_id', type: 'varchar', length: 36 })
  eventId: string;

  @Column({ name: 'event_type', type: 'varchar', length: 64 })
  eventType: string;

  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  /** Events of one subject go out in their order. */
  @Column({ name: 'subject_key', type: 'varchar', length: 160 })
  subjectKey: string;

  /** By the subject: what one process sends out at a time. */
  @Column({ type: 'integer' })
  shard: number;

  /** Among the events of the subject to this webhook, from 1. */
  @Column({ type: 'integer' })
  sequence: number;

  @Column({ type: 'varchar', length: 16 })
  status: DeliveryState;

  @Column({ type: 'integer' })
  attempts: number;

  @Column({ name: 'next_try_at', type: 'datetime', precision: 3 })
  nextTryAt: Date;

  /** HTTP status of the last answer, where there was one. */
  @Column({ name: 'last_status', type: 'integer', nullable: true })
  lastStatus: number | null;

  /** Where the last try ended, e.g. `connect`; null when it went well. */
  @Column({ name: 'last_step', type: 'varchar', length: 32, nullable: true })
  lastStep: string | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'finished_at', type: 'datetime', precision: 3, nullable: true })
  finishedAt: Date | null;
}

/** How many events of a subject have been lined up for a webhook. */
@Entity('webhook_sequence')
@Index('idx_webhook_sequence_appid', ['appid'])
export class WebhookSequence {
  @PrimaryColumn({ name: 'webhook_id', type: 'varchar', length: 36 })
  webhookId: string;

  @PrimaryColumn({ name: 'subject_key', type: 'varchar', length: 160 })
  subjectKey: string;

  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  @Column({ type: 'integer' })
  last: number;
}
