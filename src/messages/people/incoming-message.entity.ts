import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A message of a person, or something they did in the conversation. */
@Entity('incoming_message')
@Index('uq_incoming_message_dedup_key', ['appid', 'dedupKey'], { unique: true })
@Index('idx_incoming_message_appid', ['appid', 'id'])
@Index('idx_incoming_message_openid', ['appid', 'openid', 'id'])
export class IncomingMessage {
  /** That of its push, a UUID v7. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 64 })
  openid: string;

  /** The same by whichever door it comes, and for as long as it is kept. */
  @Column({ name: 'dedup_key', type: 'varchar', length: 64 })
  dedupKey: string;

  /** WeChat's `MsgType`, in lower case; `event` for what was done. */
  @Column({ name: 'message_type', type: 'varchar', length: 32 })
  messageType: string;

  /** Its name, in lower case; null for a message. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  event: string | null;

  /** WeChat's `MsgId`; null for an event. */
  @Column({ name: 'message_id', type: 'varchar', length: 32, nullable: true })
  messageId: string | null;

  /** Sealed: what WeChat sent, as JSON, without what stands in the other columns. */
  @Column({ type: 'text' })
  content: string;

  /** WeChat's `CreateTime`. */
  @Column({ name: 'occurred_at', type: 'datetime', precision: 3 })
  occurredAt: Date;

  @Column({ name: 'received_at', type: 'datetime', precision: 3 })
  receivedAt: Date;
}
