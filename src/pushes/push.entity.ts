import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** `waiting` for its handler, `handled`, or `parked` after too many failures. */
export type PushState = 'waiting' | 'handled' | 'parked';

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

  @Column({ type: 'varchar', length: 16 })
  state: PushState;

  @Column({ type: 'integer' })
  attempts: number;

  /** Until then a waiting push belongs to whoever claimed it last. */
  @Column({ name: 'next_try_at', type: 'datetime', precision: 3 })
  nextTryAt: Date;

  /** Why the last attempt failed; no secret. */
  @Column({ type: 'varchar', length: 512, nullable: true })
  failure: string | null;

  @Column({ name: 'received_at', type: 'datetime', precision: 3 })
  receivedAt: Date;

  @Column({ name: 'handled_at', type: 'datetime', precision: 3, nullable: true })
  handledAt: Date | null;
}
