import { Injectable } from '@nestjs/common';
import { In, IsNull, Not } from 'typeorm';

import { Database, type Tx } from '../../database/database.js';
import { Account } from '../account.entity.js';
import { UserProperty, UserPropertyCatalogue } from './user-property.entity.js';

const INSERT_PAGE = 500;

@Injectable()
export class UserPropertiesRepository {
  constructor(private readonly db: Database) {}

  /**
   * Keeps everybody else from replacing the tenant's catalogue, or choosing from it, until the transaction ends: a
   * property can neither vanish while an account takes it, nor be taken by two.
   */
  async lock(tx: Tx, tenantId: string): Promise<void> {
    const row: UserPropertyCatalogue = { tenantId, replacedAt: null };
    const insert = tx.createQueryBuilder().insert().into(UserPropertyCatalogue).values(row);
    // Writes over the row what stands there: that takes its lock, whether it was there or not.
    await insert.orUpdate(['tenant_id'], ['tenant_id']).execute();
  }

  /** @param tx reads what is there now, not what was when the transaction began to read */
  find(tenantId: string, name: string, tx?: Tx): Promise<UserProperty | null> {
    return (tx ?? this.db.read).findOne(UserProperty, {
      where: { tenantId, name },
      ...this.db.currentRead(tx),
    });
  }

  /** @param tx as for {@link find} */
  async hasAny(tenantId: string, tx?: Tx): Promise<boolean> {
    const row = await (tx ?? this.db.read).findOne(UserProperty, {
      where: { tenantId },
      ...this.db.currentRead(tx),
    });
    return row !== null;
  }

  /** In the order in which they were sent. */
  findAll(tenantIds: readonly string[], on: Tx = this.db.read): Promise<UserProperty[]> {
    return on.find(UserProperty, {
      where: { tenantId: In([...tenantIds]) },
      order: { tenantId: 'ASC', place: 'ASC' },
    });
  }

  async replace(tx: Tx, tenantId: string, rows: readonly UserProperty[], at: Date): Promise<void> {
    await tx.delete(UserProperty, { tenantId });
    for (let from = 0; from < rows.length; from += INSERT_PAGE)
      await tx.insert(UserProperty, rows.slice(from, from + INSERT_PAGE));
    await tx.update(UserPropertyCatalogue, { tenantId }, { replacedAt: at });
  }

  /** Which accounts hold which property. */
  async findUses(
    tenantIds: readonly string[],
    on: Tx = this.db.read,
  ): Promise<{ tenantId: string; appid: string; nickname: string; openidProperty: string }[]> {
    const rows = await on.find(Account, {
      select: { appid: true, nickname: true, tenantId: true, openidProperty: true },
      where: { tenantId: In([...tenantIds]), openidProperty: Not(IsNull()) },
      order: { appid: 'ASC' },
    });
    return rows.flatMap(({ tenantId, appid, nickname, openidProperty }) =>
      tenantId !== null && openidProperty !== null
        ? [{ tenantId, appid, nickname, openidProperty }]
        : [],
    );
  }
}
