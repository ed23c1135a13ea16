import type { Activity, ErrorClass } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../../config/env.js';
import type { Account } from '../../accounts/account.entity.js';
import { Clock } from '../../common/clock.js';
import { groupBy } from '../../common/group-by.js';
import { fromCursor, type Page, toPage } from '../../common/paging.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { type GrantKey, GrantsRepository } from './grants.repository.js';
import {
  type Consent,
  emptyGrant,
  type Interaction,
  isReturning,
  liftRefusals,
  takeConsent,
  takeInteraction,
  takeRefusal,
} from './ledger.js';
import { type PeopleFilter, PeopleRepository, type Reach, STRANGER } from './people.repository.js';
import type { Person, SubscriptionGrant } from './person.entity.js';

export type { GrantKey, Reach };

/** What lets an account write back to somebody for a while. */
export interface OpenWindow {
  activity: Activity;
  until: Date;
  /** Messages that it still allows. */
  left: number;
}

/** All that is known of one person. */
export interface PersonProfile {
  person: Omit<Person, 'createdAt' | 'followKnownAt'>;
  windows: OpenWindow[];
  grants: SubscriptionGrant[];
}

/** Who can be reached: who follows, what they allow, and what has come back of our messages to them. */
@Injectable()
export class PeopleService implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly people: PeopleRepository,
    private readonly grants: GrantsRepository,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    const { people, grants } = this;
    this.accountData.register({
      table: 'person',
      isHistory: true,
      erase: (tx, appid, limit) => people.eraseAccount(tx, appid, limit),
      erasePerson: (appid, openid) => this.db.write((tx) => people.erasePerson(tx, appid, openid)),
    });
    this.accountData.register({
      table: 'reply_window',
      isHistory: true,
      erase: (tx, appid, limit) => people.eraseWindows(tx, appid, limit),
      erasePerson: (appid, openid) =>
        this.db.write((tx) => people.eraseWindowsOf(tx, appid, openid)),
    });
    this.accountData.register({
      table: 'subscription_grant',
      isHistory: true,
      erase: (tx, appid, limit) => grants.eraseAccount(tx, appid, limit),
      erasePerson: (appid, openid) => this.db.write((tx) => grants.erasePerson(tx, appid, openid)),
    });
  }

  /** What is known of somebody who is to be written to. Of a stranger nothing is, which is no reason against it. */
  findReach(appid: string, openid: string): Promise<Reach> {
    return this.people.findReach(appid, openid);
  }

  /** The live windows, those that end first before the others; of one that is used up `left` is 0. */
  async findWindows(appid: string, openid: string, on?: Tx): Promise<OpenWindow[]> {
    const rows = await this.people.findLiveWindows(appid, openid, this.clock.now(), on);
    return rows.map(({ activity, until, allowed, used }) => ({
      activity,
      until,
      left: Math.max(0, allowed - used),
    }));
  }

  /**
   * Messages left by template.
   *
   * @returns `left` null for a long-term consent, 0 where there is none; `isKnown` false where nothing was ever heard of
   */
  async findGrant(
    appid: string,
    openid: string,
    templateId: string,
    on?: Tx,
  ): Promise<{ left: number | null; isKnown: boolean }> {
    const grant = await this.grants.find({ appid, openid, templateId }, on);
    return { left: grant ? leftOf(grant) : 0, isKnown: grant !== null };
  }

  /** All there is about one person; of a stranger, that nothing is. */
  async findProfile(appid: string, openid: string): Promise<PersonProfile> {
    const [person, windows, grants] = await Promise.all([
      this.people.find(appid, openid),
      this.findWindows(appid, openid),
      this.grants.findOf(appid, openid),
    ]);
    return { person: person ?? { ...STRANGER, appid, openid }, windows, grants };
  }

  /** The last that we have met first. @throws AppError `invalid_query` for a cursor that is not ours */
  async list(
    appid: string,
    query: PeopleFilter & { limit: number; cursor?: string },
  ): Promise<Page<Person>> {
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.people.findPage(appid, filter, limit, after);
    return toPage(
      rows,
      limit,
      ({ createdAt, openid }) => ({ at: createdAt, id: openid }),
      (row) => row,
    );
  }

  /** Takes `count` messages out of the live windows, those that end first before the others. Never below zero. */
  async useWindows(tx: Tx, appid: string, openid: string, count: number): Promise<void> {
    const now = this.clock.now();
    let left = count;
    for (const { activity } of await this.people.findLiveWindows(appid, openid, now, tx))
      while (left > 0 && (await this.people.useWindow(tx, { appid, openid, activity }, now)))
        left -= 1;
  }

  /** For each message one consent less, never below zero; a long-term one is not used up. */
  async useGrants(tx: Tx, keys: readonly GrantKey[]): Promise<void> {
    // Everybody locks in the same order.
    const uses = [...groupBy(keys, keyOf)].toSorted(([one], [other]) => (one < other ? -1 : 1));
    await this.grants.useAll(
      tx,
      uses.flatMap(([, alike]) => {
        const [key] = alike;
        return key ? [{ ...key, times: alike.length }] : [];
      }),
    );
  }

  /**
   * What WeChat's refusal of a message says about its receiver. A class that says nothing about one changes nothing.
   *
   * @param templateId of the message: without it, `no_grant` changes nothing either
   */
  async noteRefusal(
    tx: Tx,
    appid: string,
    openid: string,
    errorClass: ErrorClass,
    templateId?: string,
  ): Promise<void> {
    const now = this.clock.now();
    switch (errorClass) {
      case 'user_not_follower':
      case 'user_blocked':
      case 'user_blacklisted':
      case 'user_unknown': {
        const person = await this.people.lock(tx, appid, openid, now);
        takeRefusal(person, errorClass, now);
        await this.people.save(tx, person);
        if (errorClass === 'user_not_follower')
          await this.people.closeWindows(tx, appid, openid, now);
        return;
      }
      case 'window_closed':
        return this.people.closeWindows(tx, appid, openid, now);
      case 'window_used_up':
        for (const window of await this.people.findLiveWindows(appid, openid, now, tx))
          await this.people.useUpWindow(tx, window);
        return;
      case 'no_grant':
        if (templateId === undefined) return;
        return this.#changeGrants(tx, [{ appid, openid, templateId }], (grant) =>
          emptyGrant(grant, now),
        );
      default:
    }
  }

  /** A message has got through: whatever was in its way is so no more. */
  async noteReached(tx: Tx, appid: string, openid: string): Promise<void> {
    const known = await this.people.find(appid, openid, tx);
    if (!known?.blockedAt && !known?.blacklistedAt && !known?.unknownAt) return;
    const person = await this.people.lock(tx, appid, openid, this.clock.now());
    Object.assign(person, { blockedAt: null, blacklistedAt: null, unknownAt: null });
    await this.people.save(tx, person);
  }

  /**
   * What people chose, from subscription events. Each choice must come here once: two consents are good for two messages.
   *
   * An acceptance in the dialog is one message more, of a long-term template any number; a refusal in the dialog takes
   * nothing back, one in the settings everything that was given before it. Whoever chooses is there, too: what WeChat has
   * said of them before is over.
   */
  async noteConsents(tx: Tx, consents: readonly Consent[]): Promise<void> {
    await this.#liftRefusals(tx, consents);
    const byGrant = new Map<string, Consent[]>();
    for (const consent of consents.toSorted((a, b) => +a.occurredAt - +b.occurredAt)) {
      const key = keyOf(consent);
      byGrant.set(key, [...(byGrant.get(key) ?? []), consent]);
    }
    // Everybody locks in the same order.
    const keys = [...byGrant]
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .flatMap(([, [first]]) => (first ? [first] : []));
    await this.#changeGrants(tx, keys, (grant) => {
      for (const consent of byGrant.get(keyOf(grant)) ?? []) takeConsent(grant, consent);
    });
  }

  /** WeChat has told that these are long-term templates: a consent that was counted as one is good for any number. */
  async noteLongTerm(tx: Tx, appid: string, templateIds: readonly string[]): Promise<void> {
    if (templateIds.length > 0) await this.grants.makeLongTerm(tx, appid, templateIds);
  }

  /**
   * Takes in what a person has done, and opens the window that it gives.
   *
   * @returns whether somebody who follows now has been a follower before
   */
  async noteInteraction(
    tx: Tx,
    { appid, accountType }: Account,
    interaction: Interaction,
  ): Promise<{ isReturning: boolean }> {
    const { openid, at, does, activity } = interaction;
    const person = await this.people.lock(tx, appid, openid, this.clock.now());
    const wasHereBefore = isReturning(person, at);
    takeInteraction(person, interaction, accountType === 'official_account');
    await this.people.save(tx, person);
    if (does === 'unfollow') await this.people.closeWindows(tx, appid, openid, at);
    const window = activity && this.env.replyWindows[accountType][activity];
    // Who has unfollowed since cannot be written to.
    const isOver = person.unfollowedAt !== null && at <= person.unfollowedAt;
    if (activity && window && !isOver)
      await this.people.openWindow(tx, {
        appid,
        openid,
        activity,
        openedAt: at,
        until: new Date(at.getTime() + window.seconds * 1000),
        allowed: window.count,
      });
    return { isReturning: wasHereBefore };
  }

  async #liftRefusals(tx: Tx, consents: readonly Consent[]): Promise<void> {
    const appids = new Set(consents.map(({ appid }) => appid));
    for (const appid of appids) {
      const chosen = consents.filter((consent) => consent.appid === appid);
      const openids = [...new Set(chosen.map(({ openid }) => openid))].toSorted();
      for (const openid of await this.people.findRefusing(tx, appid, openids)) {
        const person = await this.people.lock(tx, appid, openid, this.clock.now());
        for (const { occurredAt } of chosen.filter((consent) => consent.openid === openid))
          liftRefusals(person, occurredAt);
        await this.people.save(tx, person);
      }
    }
  }

  async #changeGrants(
    tx: Tx,
    keys: readonly GrantKey[],
    change: (grant: SubscriptionGrant) => void,
  ): Promise<void> {
    if (keys.length === 0) return;
    const grants = await this.grants.lock(tx, keys);
    for (const grant of grants) change(grant);
    await this.grants.save(tx, grants);
  }
}

/** Messages that a grant still allows; null for any number. */
export function leftOf({ isLongTerm, balance }: SubscriptionGrant): number | null {
  return isLongTerm ? null : balance;
}

function keyOf({ appid, openid, templateId }: GrantKey): string {
  return `${appid} ${openid} ${templateId}`;
}
