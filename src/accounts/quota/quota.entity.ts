import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** How often an appid's quota may have been reset in a month. It outlives the account: WeChat counts on too. */
@Entity('quota_budget')
export class QuotaBudget {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Of Shanghai, e.g. `2026-11`. */
  @PrimaryColumn({ type: 'varchar', length: 7 })
  month: string;

  /** Resets that WeChat has counted, or may have. */
  @Column({ type: 'integer' })
  used: number;

  /** When WeChat said that there is none left; null until it does. */
  @Column({ name: 'exhausted_at', type: 'datetime', precision: 3, nullable: true })
  exhaustedAt: Date | null;
}

/** `unknown` from the moment it is asked for until WeChat's answer is kept: a lost one stays so. */
export type ResetOutcome = 'succeeded' | 'failed' | 'unknown';

/** One reset that was asked for. */
@Entity('quota_reset')
@Index('idx_quota_reset_appid_month', ['appid', 'month'])
export class QuotaReset {
  /** UUID v7 of ours. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 7 })
  month: string;

  /** Who asked for it. */
  @Column({ name: 'actor_name', type: 'varchar', length: 128 })
  actorName: string;

  @Column({ type: 'varchar', length: 16 })
  outcome: ResetOutcome;

  /** WeChat's refusal, where there was one. */
  @Column({ type: 'integer', nullable: true })
  errcode: number | null;

  @Column({ type: 'varchar', length: 256, nullable: true })
  errmsg: string | null;

  @Column({ type: 'varchar', length: 64, nullable: true })
  rid: string | null;

  @Column({ type: 'varchar', length: 128, nullable: true })
  path: string | null;

  @Column({ name: 'requested_at', type: 'datetime', precision: 3 })
  requestedAt: Date;
}

/** An API of WeChat's whose quota of the day is used up for an account. */
@Entity('quota_pause')
export class QuotaPause {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Of the API, e.g. `/cgi-bin/message/template/send`. */
  @PrimaryColumn({ type: 'varchar', length: 128 })
  path: string;

  @Column({ name: 'paused_at', type: 'datetime', precision: 3 })
  pausedAt: Date;

  /** Not to be called before. */
  @Column({ type: 'datetime', precision: 3 })
  until: Date;
}
