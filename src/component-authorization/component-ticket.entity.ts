import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The newest component_verify_ticket, and how often we asked WeChat to push again since it came. */
@Entity('component_ticket')
export class ComponentTicket {
  /** The component's appid. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Sealed; null until the first push. */
  @Column({ type: 'text', nullable: true })
  ticket: string | null;

  /** WeChat's `CreateTime`, by which tickets are ordered. */
  @Column({ name: 'issued_at', type: 'datetime', precision: 3, nullable: true })
  issuedAt: Date | null;

  @Column({ name: 'received_at', type: 'datetime', precision: 3, nullable: true })
  receivedAt: Date | null;

  @Column({ name: 'restart_attempts', type: 'integer' })
  restartAttempts: number;

  @Column({ name: 'restart_requested_at', type: 'datetime', precision: 3, nullable: true })
  restartRequestedAt: Date | null;

  /** When the event that tells of its lateness was written; null once a new one has come. */
  @Column({ name: 'late_reported_at', type: 'datetime', precision: 3, nullable: true })
  lateReportedAt: Date | null;
}
