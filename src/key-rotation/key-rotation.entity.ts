import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** `superseded`: before it had ended, another one began under a newer key. */
export const ROTATION_STATES = ['running', 'finished', 'superseded'] as const;
export type RotationState = (typeof ROTATION_STATES)[number];

/** How far one column has been walked. */
export interface ColumnProgress {
  table: string;
  column: string;
  /** The rows that there were when the pass began. */
  total: number;
  /** The rows that were looked at. */
  done: number;
  /** Those that were under an older key. */
  resealed: number;
  /** Those that no key of the ring opens: they stay as they are. */
  unreadable: number;
  /** The id of the last row that was looked at. */
  cursor: string;
  isWalked: boolean;
}

export interface RotationProgress {
  /** The first re-encrypts; the others look for what was written under an older key meanwhile. */
  pass: number;
  columns: ColumnProgress[];
}

/** One change of everything that is sealed to the newest key. */
@Entity('key_rotation')
@Index('uq_key_rotation_running', ['running'], { unique: true })
export class KeyRotation {
  /** UUID v7 of ours: ids grow with time. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** The key that everything is to be under. */
  @Column({ name: 'key_id', type: 'varchar', length: 32 })
  keyId: string;

  @Column({ type: 'varchar', length: 16 })
  state: RotationState;

  /** `yes` while it runs, null afterwards: one runs at a time. */
  @Column({ type: 'varchar', length: 8, nullable: true })
  running: 'yes' | null;

  @Column({ type: 'simple-json' })
  progress: RotationProgress;

  /** The keys that were met in this pass, the newest always. */
  @Column({ name: 'keys_in_use', type: 'simple-json' })
  keysInUse: string[];

  @Column({ name: 'started_at', type: 'datetime', precision: 3 })
  startedAt: Date;

  @Column({ name: 'finished_at', type: 'datetime', precision: 3, nullable: true })
  finishedAt: Date | null;
}
