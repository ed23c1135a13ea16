import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** `waiting` for its handler, `handled`, or `parked` after too many failures. */
export const PUSH_STATES = ['waiting', 'handled', 'parked'] as const;
export type PushState = (typeof PUSH_STATES)[number];

/** The ledger's row of one push that was answered `success`. Kept once, however often WeChat sends it. */
@Entity('push')
@Index('uq_push_account_dedup_key', ['account', 'dedupKey'], { unique: true })
@Index('idx_push_state_next_try_at', ['state', 'nextTryAt'])
export class PushRow {
  /** UUID v7 of ours: ids grow with time. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** The appid of the door it came through: the component's for its events. */
  @Column({ type: 'varchar', length: 32 })
  account: string;

  /** WeChat's `MsgId`, else the SHA-256 of the decrypted content. */
  @Column({ name: 'dedup_key', type: 'varchar', length: 64 })
  dedupKey: string;

  /** What the handler is chosen by, e.g. `component_verify_ticket`. */
  @Column({ type: 'varchar', length: 64 })
  kind: string;

  /** WeChat's `CreateTime`. */
  @Column({ name: 'occurred_at', type: 'datetime', precision: 3 })
  occurredAt: Date;

  /** The decrypted document, sealed: it holds tickets, codes and people's messages. */
  @Column({ type: 'text' })
  content: string;

  /** What it was answered with, a passive reply encrypted for WeChat; null for `success`. */
  @Column({ type: 'text', nullable: true })
  answer: string | null;

  /** What whoever gave the answer has noted of it. */
  @Column({ name: 'answered_by', type: 'varchar', length: 64, nullable: true })
  answeredBy: string | null;

  @Column({ type: 'varchar', length: 16 })
  state: PushState;

  /** How often a handler has begun. What an earlier try writes changes nothing. */
  @Column({ type: 'integer' })
  attempts: number;

  /** Not before this moment, by the process's clock. */
  @Column({ name: 'next_try_at', type: 'datetime', precision: 3 })
  nextTryAt: Date;

  /** Until then a waiting push belongs to the process that handles it, by the database's clock. */
  @Column({ name: 'lease_until', type: 'datetime', precision: 3, nullable: true })
  leaseUntil: Date | null;

  /** Why the last attempt failed; no secret. */
  @Column({ type: 'varchar', length: 512, nullable: true })
  failure: string | null;

  @Column({ name: 'received_at', type: 'datetime', precision: 3 })
  receivedAt: Date;

  @Column({ name: 'handled_at', type: 'datetime', precision: 3, nullable: true })
  handledAt: Date | null;
}
