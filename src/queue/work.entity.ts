import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** `ready` for its time, `running` under a lease, or `dead` after too many failures. What is done has no row. */
export type WorkState = 'ready' | 'running' | 'dead';

/** One piece of work. The row is the truth; whatever a queue carries only points to it. */
@Entity('work')
@Index('uq_work_kind_dedup_key', ['kind', 'dedupKey'], { unique: true })
@Index('idx_work_state_run_at', ['state', 'runAt'])
@Index('idx_work_appid', ['appid'])
export class Work {
  /** UUID v7 of ours. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** What the handler is chosen by, e.g. `read-account-details`. */
  @Column({ type: 'varchar', length: 64 })
  kind: string;

  /** Adding the same again while this row stands adds none; null never meets another. */
  @Column({ name: 'dedup_key', type: 'varchar', length: 160, nullable: true })
  dedupKey: string | null;

  /** Whose account it is about; goes with the account. */
  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  /** Ids only: no secret, no person's words. */
  @Column({ type: 'simple-json' })
  payload: object;

  /** 0 is the most urgent, 9 the least. */
  @Column({ type: 'integer' })
  priority: number;

  @Column({ type: 'varchar', length: 16 })
  state: WorkState;

  /** Not before this moment, by the process's clock. */
  @Column({ name: 'run_at', type: 'datetime', precision: 3 })
  runAt: Date;

  /** How often it was claimed. */
  @Column({ type: 'integer' })
  attempts: number;

  /** Raised by every claim: what an earlier holder writes changes nothing. */
  @Column({ type: 'integer' })
  epoch: number;

  /** Until then it belongs to its holder, by the database's clock. */
  @Column({ name: 'lease_until', type: 'datetime', precision: 3, nullable: true })
  leaseUntil: Date | null;

  /** Why the last attempt failed; no secret. */
  @Column({ type: 'varchar', length: 512, nullable: true })
  failure: string | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
