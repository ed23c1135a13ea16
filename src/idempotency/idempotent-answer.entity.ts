import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A request that carried an `Idempotency-Key`: under way while it has a lease, then its answer. */
@Entity('idempotent_answer')
@Index('idx_idempotent_answer_expires_at', ['expiresAt'])
@Index('idx_idempotent_answer_appid', ['appid'])
export class IdempotentAnswer {
  /** SHA-256 of tenant and key, hex: keys may hold anything, and are compared byte by byte. */
  @PrimaryColumn({ type: 'varchar', length: 64 })
  id: string;

  @Column({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  /**
   * The account that the request's address names; null for none. A request of no account that was under way while one
   * was deleted has that one's: its answer may tell of it, and is not kept.
   */
  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  /** SHA-256 of what was asked, hex. */
  @Column({ type: 'varchar', length: 64 })
  fingerprint: string;

  /** Raised by every change: what an earlier holder writes changes nothing. */
  @Column({ type: 'integer' })
  epoch: number;

  /** Until then the request belongs to the process that runs it, by the database's clock; null once it has ended. */
  @Column({ name: 'lease_until', type: 'datetime', precision: 3, nullable: true })
  leaseUntil: Date | null;

  /** Status, headers and body, sealed; null until the request has ended. */
  @Column({ type: 'text', nullable: true })
  answer: string | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  /** From then on the key is as new, by the process's clock. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3 })
  expiresAt: Date;
}
