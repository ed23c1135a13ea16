import { Injectable } from '@nestjs/common';
import { Brackets, In, IsNull, type SelectQueryBuilder } from 'typeorm';

import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { Account, type AuthorizationState } from './account.entity.js';

/** Whose accounts are looked at: a tenant's, everybody's with the unclaimed ones, or the unclaimed alone. */
export type AccountScope = { tenantId: string } | 'all' | 'unclaimed';

export interface AccountFilter {
  scope: AccountScope;
  accountType?: string;
  enabled?: boolean;
  state?: AuthorizationState;
  /** Part of the nickname, the principal's name, the appid or the original id. */
  q?: string;
}

@Injectable()
export class AccountsRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, on: Tx = this.db.read): Promise<Account | null> {
    return on.findOneBy(Account, { appid });
  }

  /** Reads the account as it is now, and keeps others from changing it until the transaction ends. */
  async findForUpdate(tx: Tx, appid: string): Promise<Account | null> {
    const seen = await this.find(appid, tx);
    // SQLite has one writer. Elsewhere, locking what is not there would hold up everybody who inserts beside it.
    if (!seen || this.db.isSqlite) return seen;
    return tx.findOne(Account, { where: { appid }, lock: { mode: 'pessimistic_write' } });
  }

  async findHolders(tx: Tx, appids: readonly string[]): Promise<Map<string, string | null>> {
    const rows = await tx.find(Account, {
      select: { appid: true, tenantId: true },
      where: { appid: In([...appids]) },
    });
    return new Map(rows.map(({ appid, tenantId }) => [appid, tenantId]));
  }

  findByProperty(
    tenantId: string,
    openidProperty: string,
    on: Tx = this.db.read,
  ): Promise<Account | null> {
    return on.findOneBy(Account, { tenantId, openidProperty });
  }

  findAllIn(scope: AccountScope): Promise<Account[]> {
    return scopedTo(this.db.read.createQueryBuilder(Account, 'account'), scope).getMany();
  }

  /** The newest authorization first; one more than `limit`, to tell whether another page follows. */
  findPage(filter: AccountFilter, limit: number, after: Position | null): Promise<Account[]> {
    const query = scopedTo(this.db.read.createQueryBuilder(Account, 'account'), filter.scope);
    if (filter.accountType) query.andWhere({ accountType: filter.accountType });
    if (filter.enabled !== undefined) query.andWhere({ enabled: filter.enabled });
    if (filter.state) query.andWhere({ authorizationState: filter.state });
    if (filter.q) query.andWhere(contains(filter.q));
    if (after) query.andWhere(comesAfter(after));
    return query
      .orderBy('account.authorizedAt', 'DESC')
      .addOrderBy('account.appid', 'ASC')
      .take(limit + 1)
      .getMany();
  }

  async insertOnce(tx: Tx, account: Account): Promise<void> {
    await tx.createQueryBuilder().insert().into(Account).values(account).orIgnore().execute();
  }

  /** Gives an account that nobody holds to a tenant. One that is held stays where it is. */
  async claim(tx: Tx, appid: string, tenantId: string): Promise<void> {
    await tx.update(Account, { appid, tenantId: IsNull() }, { tenantId });
  }

  /**
   * @param unchangedSince applies the change only while the authorization is as it was read then
   * @returns false when it has changed since, and nothing was written
   */
  async update(
    tx: Tx,
    appid: string,
    values: Partial<Omit<Account, 'appid'>>,
    unchangedSince?: Date,
  ): Promise<boolean> {
    const { affected } = await tx.update(
      Account,
      { appid, ...(unchangedSince && { authorizationChangedAt: unchangedSince }) },
      values,
    );
    return affected === 1;
  }
}

function scopedTo(
  query: SelectQueryBuilder<Account>,
  scope: AccountScope,
): SelectQueryBuilder<Account> {
  if (scope === 'all') return query;
  return query.where({ tenantId: scope === 'unclaimed' ? IsNull() : scope.tenantId });
}

function contains(text: string): Brackets {
  const q = `%${text.toLowerCase().replace(/[!%_]/g, '!$&')}%`;
  const columns = ['nickname', 'principalName', 'appid', 'originalId', 'alias'];
  return new Brackets((where) => {
    for (const column of columns)
      where.orWhere(`LOWER(account.${column}) LIKE :q ESCAPE '!'`, { q });
  });
}

function comesAfter({ at, id }: Position): Brackets {
  return new Brackets((where) =>
    where
      .where('account.authorizedAt < :at', { at })
      .orWhere('account.authorizedAt = :at AND account.appid > :id', { at, id }),
  );
}
