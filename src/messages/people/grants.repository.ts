import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { chunksOf } from '../../common/chunks.js';
import { Database, type Tx } from '../../database/database.js';
import { SubscriptionGrant } from './person.entity.js';

export type GrantKey = Pick<SubscriptionGrant, 'appid' | 'openid' | 'templateId'>;

const KEY = ['appid', 'openid', 'template_id'];
const VALUES = ['balance', 'is_long_term', 'changed_at', 'rejected_at', 'emptied_at'];
/** Conditions that one statement may ask for: SQLite's nest as deep as there are of them. */
const LOCKED_AT_ONCE = 200;

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

  /** One less of what is there; a long-term one stays as it is. */
  async useOne(tx: Tx, { appid, openid, templateId }: GrantKey): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(SubscriptionGrant)
      .set({ balance: () => 'balance - 1' })
      .where({ appid, openid, templateId, isLongTerm: false })
      .andWhere('balance > 0')
      .execute();
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
