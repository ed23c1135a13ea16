import type { Activity } from '@app/wechat';

import type { Person, SubscriptionGrant } from './person.entity.js';

/** Something a person did. */
export interface Interaction {
  openid: string;
  /** WeChat's time, in whole seconds. */
  at: Date;
  does: 'follow' | 'unfollow' | 'write' | 'act';
  /** Of the QR code that led to it. */
  scene: string | null;
  /** What of it lets the account write back; null for nothing. */
  activity: Activity | null;
}

/**
 * Takes an interaction into what is known of its person. In whatever order interactions come, the outcome is the same:
 * the newest decides, and of one second the end of following does.
 *
 * @param isFollowed whether the account is one that people follow: then who acts in its conversation is a follower
 */
export function takeInteraction(
  person: Person,
  { at, does, scene }: Interaction,
  isFollowed: boolean,
): void {
  person.lastInteractionAt = later(person.lastInteractionAt, at);
  if (does === 'write') person.lastMessageAt = later(person.lastMessageAt, at);
  if (does === 'unfollow') person.unfollowedAt = later(person.unfollowedAt, at);
  if (does === 'follow') {
    if (!person.followedAt || at >= person.followedAt) person.followScene = scene;
    person.followedAt = later(person.followedAt, at);
    person.firstFollowedAt = earlier(person.firstFollowedAt, at);
    person.timesFollowed += 1;
  }
  if (isFollowed) learnFollowing(person, does !== 'unfollow', at);
  if (does !== 'unfollow') liftRefusals(person, at);
}

/** Who has done something since takes messages again, and is certainly somebody. */
export function liftRefusals(person: Person, at: Date): void {
  if (person.blockedAt && at > secondBefore(person.blockedAt)) person.blockedAt = null;
  if (person.unknownAt && at > secondBefore(person.unknownAt)) person.unknownAt = null;
}

function learnFollowing(person: Person, isFollower: boolean, at: Date): void {
  const known = person.followKnownAt;
  if (known && at < known) return;
  if (known && at.getTime() === known.getTime() && isFollower) return;
  person.isFollower = isFollower;
  person.followKnownAt = at;
}

/** Whether somebody who follows now has been a follower before, as far as we can tell. */
export function isReturning(person: Person, at: Date): boolean {
  const { firstFollowedAt, unfollowedAt, lastInteractionAt } = person;
  return [firstFollowedAt, unfollowedAt, lastInteractionAt].some((time) => time && time < at);
}

/** WeChat has refused a message for this reason, a moment ago. */
export function takeRefusal(
  person: Person,
  errorClass: 'user_not_follower' | 'user_blocked' | 'user_blacklisted' | 'user_unknown',
  now: Date,
): void {
  switch (errorClass) {
    case 'user_not_follower':
      person.isFollower = false;
      person.followKnownAt = secondBefore(now);
      return;
    case 'user_blocked':
      person.blockedAt ??= now;
      return;
    case 'user_blacklisted':
      person.blacklistedAt ??= now;
      return;
    case 'user_unknown':
      person.unknownAt ??= now;
  }
}

/** What a person has chosen about a template. */
export interface Consent {
  appid: string;
  openid: string;
  templateId: string;
  /** `accept` or `reject`; anything else of WeChat's is no choice of the person's. */
  status: string;
  /** In the dialog, or in WeChat's settings: only there a refusal takes back what was given. */
  changedIn: 'dialog' | 'settings';
  /** WeChat's time, in whole seconds. */
  occurredAt: Date;
  /** Whether the template is a long-term one, whose consent is good for any number of messages; default: it is not. */
  isLongTerm?: boolean;
}

/** Takes a choice into the count. Only what was chosen later than a withdrawal stands. */
export function takeConsent(
  grant: SubscriptionGrant,
  { status, changedIn, occurredAt: at, isLongTerm = false }: Consent,
): void {
  if (status === 'accept') {
    if (grant.emptiedAt && at <= grant.emptiedAt) return;
    if (isLongTerm) grant.isLongTerm = true;
    else grant.balance += 1;
    grant.changedAt = later(grant.changedAt, at);
    return;
  }
  if (status !== 'reject') return;
  grant.rejectedAt = later(grant.rejectedAt, at);
  if (changedIn === 'dialog') return;
  // The consent of `changedAt` came after it. Of the others nobody can tell: better one too few than one too many.
  const isLate = grant.changedAt !== null && grant.changedAt > at;
  grant.balance = isLate ? Math.min(grant.balance, 1) : 0;
  grant.isLongTerm &&= isLate;
  grant.changedAt = later(grant.changedAt, at);
  grant.emptiedAt = later(grant.emptiedAt, at);
}

/** WeChat says that there is no consent, whatever we have counted until now. */
export function emptyGrant(grant: SubscriptionGrant, now: Date): void {
  grant.balance = 0;
  grant.isLongTerm = false;
  grant.emptiedAt = secondBefore(now);
}

/**
 * WeChat's times have no milliseconds: what a person does within this second counts as later than what we were told
 * in it.
 */
function secondBefore(now: Date): Date {
  return new Date(Math.floor(now.getTime() / 1000) * 1000 - 1);
}

function later(one: Date | null, other: Date): Date {
  return one && one > other ? one : other;
}

function earlier(one: Date | null, other: Date): Date {
  return one && one < other ? one : other;
}
