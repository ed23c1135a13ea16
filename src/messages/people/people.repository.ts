import type { Activity } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { In, IsNull, Not } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import { groupBy } from '../../common/group-by.js';
import type { Position } from '../../common/paging.js';
import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { GroupRead } from '../../database/group-read.js';
import { newestFirst } from '../../database/newest-first.js';
import { Person, ReplyWindowRow } from './person.entity.js';

const LOOKED_FOR_AT_ONCE = 500;

export interface PeopleFilter {
  following?: boolean;
}

/** What the ledger knows of one person, for one account. */
export interface Reach {
  /** Null: not known, or of an account that nobody follows. */
  isFollower: boolean | null;
  /** Since when the person refuses our messages; null while we know of none. */
  blockedAt: Date | null;
  /** Since when the account has the person on its blacklist. */
  blacklistedAt: Date | null;
  /** Since when WeChat calls the openid wrong. */
  unknownAt: Date | null;
}

const UNKNOWN_REACH: Reach = {
  isFollower: null,
  blockedAt: null,
  blacklistedAt: null,
  unknownAt: null,
};

type PersonKey = Pick<Person, 'appid' | 'openid'>;
type RawTime = string | Date | null;

interface RawReach {
  openid: string;
  is_follower: number | null;
  blocked_at: RawTime;
  blacklisted_at: RawTime;
  unknown_at: RawTime;
}

@Injectable()
export class PeopleRepository {
  readonly #reaches: GroupRead<PersonKey, Reach>;

  constructor(private readonly db: Database) {
    this.#reaches = new GroupRead(this.db.isSqlite, (keys) => this.#findReaches(keys));
  }

  /** What is known of somebody who is to be written to; of a stranger nothing is. */
  findReach(appid: string, openid: string): Promise<Reach> {
    return this.#reaches.find({ appid, openid });
  }

  async #findReaches(keys: readonly PersonKey[]): Promise<Reach[]> {
    const known = new Map<string, Reach>();
    for (const [appid, ofAccount] of groupBy(keys, (key) => key.appid)) {
      const openids = [...new Set(ofAccount.map(({ openid }) => openid))];
      const rows = await this.db.read.query<RawReach[]>(
        'SELECT openid, is_follower, blocked_at, blacklisted_at, unknown_at FROM person ' +
          `WHERE appid = ? AND openid IN (${openids.map(() => '?').join(', ')})`,
        [appid, ...openids],
      );
      for (const row of rows) known.set(`${appid} ${row.openid}`, this.#toReach(row));
    }
    return keys.map(({ appid, openid }) => known.get(`${appid} ${openid}`) ?? UNKNOWN_REACH);
  }

  #toReach({ is_follower: isFollower, ...row }: RawReach): Reach {
    const at = (raw: RawTime): Date | null => (raw === null ? null : this.db.toDate(raw));
    return {
      isFollower: isFollower === null ? null : isFollower === 1,
      blockedAt: at(row.blocked_at),
      blacklistedAt: at(row.blacklisted_at),
      unknownAt: at(row.unknown_at),
    };
  }

  find(appid: string, openid: string, on: Tx = this.db.read): Promise<Person | null> {
    return on.findOneBy(Person, { appid, openid });
  }

  /**
   * Reads the person as they are now, and keeps others from changing them or their windows until the transaction ends.
   * Somebody we hear of for the first time becomes known.
   */
  async lock(tx: Tx, appid: string, openid: string, now: Date): Promise<Person> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(Person)
      .values({ ...STRANGER, appid, openid, createdAt: now })
      .orUpdate(['appid'], ['appid', 'openid'])
      .updateEntity(false)
      .execute();
    return tx.findOneOrFail(Person, { where: { appid, openid }, ...this.db.currentRead(tx) });
  }

  /** Those of the people whose messages WeChat refuses for their own sake, in their order. */
  async findRefusing(tx: Tx, appid: string, openids: readonly string[]): Promise<string[]> {
    const found: string[] = [];
    for (const chunk of chunksOf(openids, LOOKED_FOR_AT_ONCE)) {
      const rows = await tx.find(Person, {
        select: { appid: true, openid: true },
        where: [{ blockedAt: Not(IsNull()) }, { unknownAt: Not(IsNull()) }].map((refusal) => ({
          ...{ appid, openid: In(chunk) },
          ...refusal,
        })),
        order: { openid: 'ASC' },
      });
      found.push(...rows.map(({ openid }) => openid));
    }
    return found;
  }

  async save(tx: Tx, { appid, openid, ...rest }: Person): Promise<void> {
    await tx.update(Person, { appid, openid }, rest);
  }

  /** The last that we have met first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { following }: PeopleFilter,
    limit: number,
    after: Position | null,
  ): Promise<Person[]> {
    const query = this.db.read.createQueryBuilder(Person, 'person').where({ appid });
    if (following !== undefined) query.andWhere({ isFollower: following });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'openid' });
  }

  /** Those that end first come first. */
  findLiveWindows(
    appid: string,
    openid: string,
    now: Date,
    on: Tx = this.db.read,
  ): Promise<ReplyWindowRow[]> {
    return on
      .createQueryBuilder(ReplyWindowRow, 'w')
      .where({ appid, openid })
      .andWhere('w.until > :now', { now })
      .orderBy('w.until', 'ASC')
      .addOrderBy('w.activity', 'ASC')
      .getMany();
  }

  /** A newer activity begins the window of its sort anew; an older one, or the same once more, changes nothing. */
  async openWindow(tx: Tx, row: Omit<ReplyWindowRow, 'used'>): Promise<void> {
    const given = (column: string): string =>
      this.db.isSqlite ? `excluded.${column}` : `VALUES(${column})`;
    const onConflict = this.db.isSqlite
      ? 'ON CONFLICT (appid, openid, activity) DO UPDATE SET'
      : 'ON DUPLICATE KEY UPDATE';
    // What the others are compared with comes last: MySQL sets one after the other.
    const columns = ['used', 'allowed', 'open_until', 'opened_at'].map(
      (column) =>
        `${column} = CASE WHEN ${given('opened_at')} > opened_at THEN ${given(column)} ELSE ${column} END`,
    );
    await tx.query(
      `INSERT INTO reply_window (appid, openid, activity, opened_at, open_until, allowed, used) VALUES (?, ?, ?, ?, ?, ?, 0) ${onConflict} ${columns.join(', ')}`,
      [
        row.appid,
        row.openid,
        row.activity,
        toSqlTime(row.openedAt),
        toSqlTime(row.until),
        row.allowed,
      ],
    );
  }

  /** Closes the windows that were opened up to the moment, at it. */
  async closeWindows(tx: Tx, appid: string, openid: string, at: Date): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(ReplyWindowRow)
      .set({ until: at })
      .where({ appid, openid })
      .andWhere('opened_at <= :at AND open_until > :at', { at })
      .execute();
  }

  async useUpWindow(
    tx: Tx,
    { appid, openid, activity }: Pick<ReplyWindowRow, 'appid' | 'openid' | 'activity'>,
  ): Promise<void> {
    await tx.update(ReplyWindowRow, { appid, openid, activity }, { used: () => 'allowed' });
  }

  /** Takes one message out of a window. @returns false when it had none left, or is closed */
  async useWindow(
    tx: Tx,
    { appid, openid, activity }: { appid: string; openid: string; activity: Activity },
    now: Date,
  ): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .update(ReplyWindowRow)
      .set({ used: () => 'used + 1' })
      .where({ appid, openid, activity })
      .andWhere('used < allowed AND open_until > :now', { now })
      .execute();
    return affected === 1;
  }

  /** Deletes people of the account. @returns how many; none is left once it is less than `limit` */
  async eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return erase(tx, Person, appid, limit);
  }

  /** The same for windows. */
  async eraseWindows(tx: Tx, appid: string, limit: number): Promise<number> {
    return erase(tx, ReplyWindowRow, appid, limit);
  }

  async erasePerson(tx: Tx, appid: string, openid: string): Promise<void> {
    await tx.delete(Person, { appid, openid });
  }

  async eraseWindowsOf(tx: Tx, appid: string, openid: string): Promise<void> {
    await tx.delete(ReplyWindowRow, { appid, openid });
  }
}

/** What is known of somebody nothing is known of. */
export const STRANGER = {
  isFollower: null,
  followKnownAt: null,
  firstFollowedAt: null,
  followedAt: null,
  followScene: null,
  unfollowedAt: null,
  timesFollowed: 0,
  lastInteractionAt: null,
  lastMessageAt: null,
  blockedAt: null,
  blacklistedAt: null,
  unknownAt: null,
} as const satisfies Partial<Person>;

/** With a person all rows go that belong together: they may be a few more than `limit`. */
async function erase(
  tx: Tx,
  entity: typeof Person | typeof ReplyWindowRow,
  appid: string,
  limit: number,
): Promise<number> {
  const rows = await tx.find<Person | ReplyWindowRow>(entity, {
    select: { openid: true },
    where: { appid },
    take: limit,
  });
  const openids = [...new Set(rows.map(({ openid }) => openid))];
  if (openids.length > 0) await tx.delete(entity, { appid, openid: In(openids) });
  return rows.length;
}
