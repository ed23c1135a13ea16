import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { Text } from '../../common/text.js';
import { MESSAGE_KINDS, type MessageKindName } from '../kinds/message-kind.js';

export { MESSAGE_KINDS, type MessageKindName };

/**
 * `pending` waits for its next try; `sending` is being tried; `accepted` was taken by WeChat; `unknown`: WeChat's answer
 * was lost, and a second try could double it.
 */
export const DELIVERY_STATUSES = [
  'pending',
  'sending',
  'accepted',
  'delivered',
  'failed',
  'skipped',
  'unknown',
  'cancelled',
] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** Why a message was not sent, or did not arrive. */
export interface DeliveryFailure {
  /** A stable word. */
  reason: string;
  /** WeChat's code; null where WeChat refused nothing. */
  errcode: number | null;
  /** What to do about it. */
  detail: Text;
  /** Whether the same message may go through later. */
  retryable: boolean;
}

const asJson = {
  to: (value: DeliveryFailure | null): string | null => value && JSON.stringify(value),
  from: (text: string | null): DeliveryFailure | null =>
    text === null ? null : (JSON.parse(text) as DeliveryFailure),
};
const asList = {
  to: (value: DeliveryFailure[] | null): string | null => value && JSON.stringify(value),
  from: (text: string | null): DeliveryFailure[] | null =>
    text === null ? null : (JSON.parse(text) as DeliveryFailure[]),
};

/** One message to one person, and what became of it. */
@Entity('delivery')
@Index('idx_delivery_appid_created_at', ['appid', 'createdAt', 'id'])
@Index('idx_delivery_appid_openid', ['appid', 'openid', 'createdAt'])
@Index('idx_delivery_appid_msgid', ['appid', 'msgid'])
@Index('idx_delivery_status_lease_until', ['status', 'leaseUntil'])
@Index('idx_delivery_result_due_at', ['resultDueAt'])
@Index('idx_delivery_created_at', ['createdAt'])
export class Delivery {
  /** UUID v7. Without its hyphens it is WeChat's de-duplication id of the message. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 32 })
  kind: MessageKindName;

  /** Null where the person has none. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  openid: string | null;

  /** What the marketing platform calls the person; null where it gave the openid itself. */
  @Column({ name: 'user_id', type: 'varchar', length: 128, nullable: true })
  userId: string | null;

  @Column({ name: 'template_id', type: 'varchar', length: 64, nullable: true })
  templateId: string | null;

  @Column({ type: 'varchar', length: 16 })
  status: DeliveryStatus;

  /** What is to be said, sealed; null once nothing more is going to be said. */
  @Column({ type: 'text', nullable: true })
  content: string | null;

  /** How many messages it has: more than one only for customer-service messages. */
  @Column({ type: 'integer' })
  parts: number;

  /** How many of them WeChat has taken. */
  @Column({ name: 'parts_sent', type: 'integer' })
  partsSent: number;

  /**
   * What WeChat has said of parts that it refuses for their own sake, each of which was passed over; null where the first
   * refusal ends all of it.
   */
  @Column({ name: 'passed_over', type: 'text', nullable: true, transformer: asList })
  passedOver: DeliveryFailure[] | null;

  /** How often sending has begun. */
  @Column({ type: 'integer' })
  attempts: number;

  /** Grows with each process that takes it up: what an earlier one writes changes nothing. */
  @Column({ type: 'integer' })
  epoch: number;

  /** Until then it belongs to the process that sends it, by the database's clock. */
  @Column({ name: 'lease_until', type: 'datetime', precision: 3, nullable: true })
  leaseUntil: Date | null;

  /** When sending first began, by the database's clock: WeChat's de-duplication id is good for ten minutes from then. */
  @Column({ name: 'first_sent_at', type: 'datetime', precision: 3, nullable: true })
  firstSentAt: Date | null;

  /** WeChat's number of the message, 19 digits; null where it gave none. */
  @Column({ type: 'varchar', length: 32, nullable: true })
  msgid: string | null;

  @Column({ type: 'text', nullable: true, transformer: asJson })
  failure: DeliveryFailure | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'accepted_at', type: 'datetime', precision: 3, nullable: true })
  acceptedAt: Date | null;

  /** While WeChat's result is awaited: when we give up waiting. */
  @Column({ name: 'result_due_at', type: 'datetime', precision: 3, nullable: true })
  resultDueAt: Date | null;

  /** When the status became final. */
  @Column({ name: 'finished_at', type: 'datetime', precision: 3, nullable: true })
  finishedAt: Date | null;

  /** The campaign that it is part of. */
  @Column({ name: 'campaign_id', type: 'varchar', length: 36, nullable: true })
  campaignId: string | null;
}

/** `delivered` wins over `failed`, in whatever order they come. */
export type ResultOutcome = 'delivered' | 'failed';

/**
 * Where a message of ours and WeChat's word about it meet, whichever comes first: both write this row, so that one of
 * them sees the other.
 */
@Entity('message_result')
@Index('idx_message_result_appid_openid', ['appid', 'openid'])
@Index('idx_message_result_created_at', ['createdAt'])
export class MessageResult {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @PrimaryColumn({ type: 'varchar', length: 32 })
  msgid: string;

  /** Null while no message of ours is known by the number. */
  @Column({ name: 'delivery_id', type: 'varchar', length: 36, nullable: true })
  deliveryId: string | null;

  @Column({ type: 'varchar', length: 32 })
  kind: MessageKindName;

  /** Null while WeChat has said nothing. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  outcome: ResultOutcome | null;

  @Column({ type: 'text', nullable: true, transformer: asJson })
  failure: DeliveryFailure | null;

  /** Whom WeChat names. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  openid: string | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;
}
