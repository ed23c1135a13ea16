import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

export const ACTS = ['follow', 'scan', 'unfollow'] as const;
export type Act = (typeof ACTS)[number];

export const VISITS = ['new_follower', 'returning_follower', 'existing_follower'] as const;
export type Visit = (typeof VISITS)[number];

const asFlag = { to: Number, from: Boolean };

/**
 * That somebody followed, unfollowed, or scanned a channel code, one row for each push. What follows from all of a
 * person's rows together is kept with them: `visit`, `qrCodeId` of an unfollow, and `stays`.
 */
@Entity('qr_code_visit')
@Index('idx_qr_code_visit_person', ['appid', 'openid', 'act', 'at'])
@Index('idx_qr_code_visit_qr_code_id_at', ['qrCodeId', 'at'])
// All that the figures of a whole history are counted from, with each person's rows together.
@Index('idx_qr_code_visit_figures', ['qrCodeId', 'openid', 'visit', 'act', 'stays'])
export class QrCodeVisit {
  /** Of the push. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 64 })
  openid: string;

  @Column({ type: 'varchar', length: 16 })
  act: Act;

  /** The code that was scanned, or that had brought who unfollows; null where it was none of ours. */
  @Column({ name: 'qr_code_id', type: 'varchar', length: 36, nullable: true })
  qrCodeId: string | null;

  /** Null for an unfollow. */
  @Column({ type: 'varchar', length: 24, nullable: true })
  visit: Visit | null;

  /** Of a follow: the person has neither left nor followed anew since. */
  @Column({ type: 'integer', transformer: asFlag })
  stays: boolean;

  /** WeChat's time, in whole seconds. */
  @Column({ type: 'datetime', precision: 3 })
  at: Date;

  /** The same as a day in Shanghai, e.g. `2026-11-25`. */
  @Column({ type: 'varchar', length: 10 })
  day: string;
}
