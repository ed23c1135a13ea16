import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import { groupBy } from '../../common/group-by.js';
import { Database, type Tx } from '../../database/database.js';
import { SubscriptionGrant } from './person.entity.js';

export type GrantKey = Pick<SubscriptionGrant, 'appid' | 'openid' | 'templateId'>;

const KEY = ['appid', 'openid', 'template_id'];
const VALUES = ['balance', 'is_long_term', 'changed_at', 'rejected_at', 'emptied_at'];
/** Conditions that one statement may ask for: SQLite's nest as deep as there are of them. */
const LOCKED_AT_ONCE = 200;

interface RawKey {
  appid: string;
  openid: string;
  template_id: string;
}

@Injectable()
export class GrantsRepository {
  constructor(private readonly db: Database) {}

  find(key: GrantKey, on: Tx = this.db.read): Promise<SubscriptionGrant | null> {
    const { appid, openid, templateId } = key;
    return on.findOneBy(SubscriptionGrant, { appid, openid, templateId });
  }

  /** By the template's id. */
  findOf(appid: string, openid: string): Promise<SubscriptionGrant[]> {
    return this.db.read.find(SubscriptionGrant, {
      where: { appid, openid },
      order: { templateId: 'ASC' },
    });
  }

  /**
   * Reads grants as they are now, and keeps others from changing them until the transaction ends. One that is not there
   * becomes an empty one.
   *
   * @param keys in an order that is the same for everybody, each once
   */
  async lock(tx: Tx, keys: readonly GrantKey[]): Promise<SubscriptionGrant[]> {
    const rows: SubscriptionGrant[] = [];
    for (const chunk of chunksOf(keys, LOCKED_AT_ONCE)) {
      await this.#write(tx, chunk.map(emptyGrant), ['appid']);
      rows.push(
        ...(await tx.find(SubscriptionGrant, {
          where: chunk.map(({ appid, openid, templateId }) => ({ appid, openid, templateId })),
          ...this.db.currentRead(tx),
        })),
      );
    }
    return rows;
  }

  /** @param grants that are locked */
  async save(tx: Tx, grants: readonly SubscriptionGrant[]): Promise<void> {
    for (const chunk of chunksOf(grants, LOCKED_AT_ONCE)) await this.#write(tx, chunk, VALUES);
  }

  /**
   * So often less of what is there, never below zero; a long-term one stays as it is.
   *
   * @param uses of grants that differ, in an order that is the same for everybody
   */
  async useAll(tx: Tx, uses: readonly (GrantKey & { times: number })[]): Promise<void> {
    for (const chunk of chunksOf(uses, LOCKED_AT_ONCE)) {
      // On MySQL, changing a row that is not there locks the gap where others want to insert theirs.
      const [is, key] = whereOf(chunk);
      const known = await tx.query<RawKey[]>(
        `SELECT appid, openid, template_id FROM subscription_grant ${this.db.byIdSql} WHERE ${is}`,
        key,
      );
      const keys = new Set(known.map((row) => `${row.appid} ${row.openid} ${row.template_id}`));
      const there = chunk.filter((one) => keys.has(`${one.appid} ${one.openid} ${one.templateId}`));
      for (const [times, alike] of groupBy(there, (one) => one.times)) {
        const [isOne, parameters] = whereOf(alike);
        await tx.query(
          `UPDATE subscription_grant ${this.db.byIdSql} SET balance = CASE WHEN balance > ? THEN balance - ? ELSE 0 END ` +
            `WHERE (${isOne}) AND is_long_term = 0 AND balance > 0`,
          [times, times, ...parameters],
        );
      }
    }
  }

  /** What people have consented to before, and not used up, is good for any number of messages. */
  async makeLongTerm(tx: Tx, appid: string, templateIds: readonly string[]): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(SubscriptionGrant)
      .set({ isLongTerm: true })
      .where({ appid, templateId: In([...templateIds]), isLongTerm: false })
      .andWhere('balance > 0')
      .execute();
  }

  /** Deletes grants of the account. @returns how many; none is left once it is less than `limit` */
  async eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    const rows = await tx.find(SubscriptionGrant, {
      select: { appid: true, openid: true, templateId: true },
      where: { appid },
      take: limit,
    });
    const openids = [...new Set(rows.map(({ openid }) => openid))];
    if (openids.length > 0) await tx.delete(SubscriptionGrant, { appid, openid: In(openids) });
    return rows.length;
  }

  async erasePerson(tx: Tx, appid: string, openid: string): Promise<void> {
    await tx.delete(SubscriptionGrant, { appid, openid });
  }

  async #write(
    tx: Tx,
    grants: readonly SubscriptionGrant[],
    overwrite: readonly string[],
  ): Promise<void> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(SubscriptionGrant)
      .values([...grants])
      .orUpdate([...overwrite], KEY)
      .updateEntity(false)
      .execute();
  }
}

function emptyGrant({ appid, openid, templateId }: GrantKey): SubscriptionGrant {
  return {
    appid,
    openid,
    templateId,
    balance: 0,
    isLongTerm: false,
    changedAt: null,
    rejectedAt: null,
    emptiedAt: null,
  };
}

/** A condition that holds for these, and its parameters. */
function whereOf(keys: readonly GrantKey[]): [string, string[]] {
  const one = '(appid = ? AND openid = ? AND template_id = ?)';
  return [
    keys.map(() => one).join(' OR '),
    keys.flatMap(({ appid, openid, templateId }) => [appid, openid, templateId]),
  ];
}
