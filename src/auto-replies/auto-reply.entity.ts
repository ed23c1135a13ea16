import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';
import type { DailySpan } from './hours.js';
import type { MatchableRule, Trigger } from './matching.js';

export const REPLY_MODES = ['all', 'random_one'] as const;
export type ReplyMode = (typeof REPLY_MODES)[number];

/** One person is not answered more often, counted from the first answer of a stretch. */
export interface FrequencyCap {
  count: number;
  perSeconds: number;
}

const asJson = {
  to: (value: object | null): string | null => value && JSON.stringify(value),
  from: (text: string | null): unknown => (text === null ? null : JSON.parse(text)),
};

/** What an account answers by itself, and to what. */
@Entity('auto_reply')
@Index('idx_auto_reply_appid_created_at', ['appid', 'createdAt', 'id'])
@Index('idx_auto_reply_renew_media_at', ['renewMediaAt'])
export class AutoReply implements MatchableRule {
  /** UUID v7 of ours. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 64 })
  name: string;

  @Column({ name: 'answers_to', type: 'text', transformer: asJson })
  trigger: Trigger;

  /** One to five. */
  @Column({ type: 'text', transformer: asJson })
  replies: AnyMessageDto[];

  @Column({ type: 'varchar', length: 16 })
  mode: ReplyMode;

  @Column({ type: 'integer' })
  priority: number;

  @Column({ type: 'integer', transformer: { to: Number, from: Boolean } })
  enabled: boolean;

  @Column({ name: 'active_from', type: 'datetime', precision: 3, nullable: true })
  activeFrom: Date | null;

  @Column({ name: 'active_to', type: 'datetime', precision: 3, nullable: true })
  activeTo: Date | null;

  @Column({
    name: 'daily_window',
    type: 'varchar',
    length: 64,
    nullable: true,
    transformer: asJson,
  })
  dailyWindow: DailySpan | null;

  @Column({ name: 'quiet_hours', type: 'varchar', length: 64, nullable: true, transformer: asJson })
  quietHours: DailySpan | null;

  @Column({
    name: 'frequency_cap',
    type: 'varchar',
    length: 64,
    nullable: true,
    transformer: asJson,
  })
  frequencyCap: FrequencyCap | null;

  /** 1 at first, one more with each change. */
  @Column({ type: 'integer' })
  version: number;

  /** When WeChat's copies of what it answers with are to be looked after; null where it needs none. */
  @Column({ name: 'renew_media_at', type: 'datetime', precision: 3, nullable: true })
  renewMediaAt: Date | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}

/** Another word each time that a rule of the account, or what its passive replies are made of, has changed. */
@Entity('auto_reply_revision')
export class AutoReplyRevision {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** A UUID: one that was there before never comes back, even if the account does. */
  @Column({ type: 'varchar', length: 36 })
  revision: string;
}

/** How often a rule has answered. Apart from the rule, which its readers need not read again for that. */
@Entity('auto_reply_stat')
@Index('idx_auto_reply_stat_appid', ['appid'])
export class AutoReplyStat {
  @PrimaryColumn({ name: 'rule_id', type: 'varchar', length: 36 })
  ruleId: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'integer' })
  hits: number;

  /** Different ones. */
  @Column({ type: 'integer' })
  people: number;

  @Column({ name: 'last_hit_at', type: 'datetime', precision: 3 })
  lastHitAt: Date;
}

/** Somebody whom a rule has answered. */
@Entity('auto_reply_person')
@Index('idx_auto_reply_person_openid', ['appid', 'openid'])
export class AutoReplyPerson {
  @PrimaryColumn({ name: 'rule_id', type: 'varchar', length: 36 })
  ruleId: string;

  @PrimaryColumn({ type: 'varchar', length: 64 })
  openid: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** 0 in the transaction that answers them for the first time. */
  @Column({ type: 'integer' })
  hits: number;

  /** Since when answers are counted for the cap. */
  @Column({ name: 'counted_from', type: 'datetime', precision: 3 })
  countedFrom: Date;

  /** How many since then. */
  @Column({ type: 'integer' })
  counted: number;
}
