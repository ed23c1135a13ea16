import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Who may do a job that only one process may do at a time. All times are the database's. */
@Entity('lease')
export class Lease {
  /** The job, e.g. `refresh-tokens`. */
  @PrimaryColumn({ type: 'varchar', length: 64 })
  name: string;

  /** The process that took it last. */
  @Column({ type: 'varchar', length: 36 })
  owner: string;

  /** Raised whenever it is taken: what an earlier holder says counts no more. */
  @Column({ type: 'integer' })
  epoch: number;

  /** Until then nobody else takes it; a holder that lives on renews it. */
  @Column({ name: 'held_until', type: 'datetime', precision: 3 })
  heldUntil: Date;

  /** The beginning of the period for which the job was last taken: once for each. */
  @Column({ type: 'datetime', precision: 3 })
  slot: Date;
}
