import type { Activity } from '@app/wechat';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

const asFlag = {
  to: (value: boolean | null) => (value === null ? null : Number(value)),
  from: (value: number | null) => (value === null ? null : value === 1),
};

/**
 * Somebody as one account knows them. Times of what people do are WeChat's, in whole seconds: they say which of two
 * pushes is the newer one, in whatever order the pushes come.
 */
@Entity('person')
@Index('idx_person_appid_created_at', ['appid', 'createdAt', 'openid'])
export class Person {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @PrimaryColumn({ type: 'varchar', length: 64 })
  openid: string;

  /** Null while nothing has told, and for mini-programs, which nobody follows. */
  @Column({ name: 'is_follower', type: 'integer', nullable: true, transformer: asFlag })
  isFollower: boolean | null;

  /** When that was so: what is older says nothing about it. */
  @Column({ name: 'follow_known_at', type: 'datetime', precision: 3, nullable: true })
  followKnownAt: Date | null;

  /** By the events that have come to us; who has followed before is not in them. */
  @Column({ name: 'first_followed_at', type: 'datetime', precision: 3, nullable: true })
  firstFollowedAt: Date | null;

  /** The last time. */
  @Column({ name: 'followed_at', type: 'datetime', precision: 3, nullable: true })
  followedAt: Date | null;

  /** Of the QR code that led to it; null where none did. */
  @Column({ name: 'follow_scene', type: 'varchar', length: 64, nullable: true })
  followScene: string | null;

  @Column({ name: 'unfollowed_at', type: 'datetime', precision: 3, nullable: true })
  unfollowedAt: Date | null;

  @Column({ name: 'times_followed', type: 'integer' })
  timesFollowed: number;

  @Column({ name: 'last_interaction_at', type: 'datetime', precision: 3, nullable: true })
  lastInteractionAt: Date | null;

  @Column({ name: 'last_message_at', type: 'datetime', precision: 3, nullable: true })
  lastMessageAt: Date | null;

  /** Since when our messages are refused; null while they are not. By our clock, as the next two. */
  @Column({ name: 'blocked_at', type: 'datetime', precision: 3, nullable: true })
  blockedAt: Date | null;

  /** Since when the account has this person on its blacklist. */
  @Column({ name: 'blacklisted_at', type: 'datetime', precision: 3, nullable: true })
  blacklistedAt: Date | null;

  /** Since when WeChat calls the openid wrong. */
  @Column({ name: 'unknown_at', type: 'datetime', precision: 3, nullable: true })
  unknownAt: Date | null;

  /** When we first heard of this person. */
  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;
}

/** The right to write back that one sort of activity has given. */
@Entity('reply_window')
export class ReplyWindowRow {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @PrimaryColumn({ type: 'varchar', length: 64 })
  openid: string;

  @PrimaryColumn({ type: 'varchar', length: 16 })
  activity: Activity;

  /** WeChat's time of the newest activity of the sort, which began the count anew. */
  @Column({ name: 'opened_at', type: 'datetime', precision: 3 })
  openedAt: Date;

  /** From this moment on it is closed. */
  @Column({ name: 'open_until', type: 'datetime', precision: 3 })
  until: Date;

  /** Messages. */
  @Column({ type: 'integer' })
  allowed: number;

  @Column({ type: 'integer' })
  used: number;
}

/** What a person has consented to, of one template. WeChat does not tell what is left: this is our count of it. */
@Entity('subscription_grant')
export class SubscriptionGrant {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @PrimaryColumn({ type: 'varchar', length: 64 })
  openid: string;

  @PrimaryColumn({ name: 'template_id', type: 'varchar', length: 64 })
  templateId: string;

  /** Messages that may still be sent; says nothing of a long-term consent. */
  @Column({ type: 'integer' })
  balance: number;

  /** Good for any number of messages. */
  @Column({ name: 'is_long_term', type: 'integer', transformer: { to: Number, from: Boolean } })
  isLongTerm: boolean;

  /** WeChat's time of the last change that the person made. */
  @Column({ name: 'changed_at', type: 'datetime', precision: 3, nullable: true })
  changedAt: Date | null;

  /** When the person last said no, in the dialog or in the settings. */
  @Column({ name: 'rejected_at', type: 'datetime', precision: 3, nullable: true })
  rejectedAt: Date | null;

  /** A consent from before, or from the same moment, is void: it was withdrawn, or WeChat knows of none. */
  @Column({ name: 'emptied_at', type: 'datetime', precision: 3, nullable: true })
  emptiedAt: Date | null;
}
