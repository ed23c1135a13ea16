import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

const asNumber = {
  to: (value: number | null) => value,
  // MySQL's driver hands 64-bit numbers over as text.
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};

/** The outbox's row of one event, written in the transaction of the change that it tells of. */
@Entity('event')
@Index('uq_event_position', ['position'], { unique: true })
@Index('idx_event_tenant_position', ['tenantId', 'position'])
@Index('idx_event_appid', ['appid'])
@Index('idx_event_emitted_at', ['emittedAt'])
export class EventRow {
  /** UUID v7 of ours; what a receiver tells repetitions by. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /**
   * Its place in the feed, given after the commit: whoever has read up to a place has missed nothing before it.
   * Null until then.
   */
  @Column({ type: 'bigint', nullable: true, transformer: asNumber })
  position: number | null;

  @Column({ type: 'varchar', length: 64 })
  type: string;

  /** Of the payload's shape. */
  @Column({ type: 'integer' })
  version: number;

  /** Events of one subject stay in order: the appid, with the person's openid where it is about a person. */
  @Column({ name: 'subject_key', type: 'varchar', length: 160 })
  subjectKey: string;

  @Column({ name: 'tenant_id', type: 'varchar', length: 64, nullable: true })
  tenantId: string | null;

  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  @Column({ type: 'simple-json' })
  payload: object;

  /** Those fields of the payload that people have written, as sealed JSON; null where the type has none. */
  @Column({ type: 'text', nullable: true })
  sealed: string | null;

  /** When it happened, by the process's clock. */
  @Column({ name: 'occurred_at', type: 'datetime', precision: 3 })
  occurredAt: Date;

  /** When it was written, by the database's clock: what its place is chosen by. */
  @Column({ name: 'emitted_at', type: 'datetime', precision: 3 })
  emittedAt: Date;
}

/** The last place that was given; its row is what those who give places take turns on. */
@Entity('event_position')
export class EventPosition {
  @PrimaryColumn({ type: 'varchar', length: 16 })
  name: string;

  @Column({ type: 'bigint', transformer: asNumber })
  last: number;

  /** Up to here the feed was cut off: who stands before it has missed something. */
  @Column({ name: 'trimmed_through', type: 'bigint', transformer: asNumber })
  trimmedThrough: number;
}
