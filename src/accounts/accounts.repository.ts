import { Injectable } from '@nestjs/common';
import { Brackets, In, IsNull, Not, type SelectQueryBuilder } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { GroupRead } from '../database/group-read.js';
import { Account, type AuthorizationState } from './account.entity.js';

/** Whose accounts are looked at: a tenant's, everybody's with the unclaimed ones, or the unclaimed alone. */
export type AccountScope = { tenantId: string } | 'all' | 'unclaimed';

export interface AccountFilter {
  scope: AccountScope;
  accountType?: string;
  enabled?: boolean;
  state?: AuthorizationState;
  accountStatus?: string;
  flagged?: boolean;
  /** Part of the nickname, the principal's name, the appid or the original id. */
  q?: string;
}

/** What a list can be ordered by; `-` for descending. */
export const ACCOUNT_SORTS = [
  '-authorizedAt',
  'authorizedAt',
  'nickname',
  '-nickname',
  '-updatedAt',
] as const;
export type AccountSort = (typeof ACCOUNT_SORTS)[number];
type SortColumn = 'authorizedAt' | 'nickname' | 'updatedAt';

/** Where a page ended: the value that the list is ordered by, and the account. */
export interface AccountPosition {
  value: string;
  appid: string;
}

/** How many accounts of a state there are. */
export interface AccountCount {
  state: AuthorizationState;
  enabled: boolean;
  flagged: boolean;
  count: number;
}

@Injectable()
export class AccountsRepository {
  readonly #looks: GroupRead<string, Account | null>;

  constructor(private readonly db: Database) {
    this.#looks = new GroupRead(this.db.isSqlite, (appids) => this.#findAll(appids));
  }

  find(appid: string, on?: Tx): Promise<Account | null> {
    return on ? on.findOneBy(Account, { appid }) : this.#looks.find(appid);
  }

  /** Those of the appids, in their order. Each has an object of its own. */
  async #findAll(appids: readonly string[]): Promise<(Account | null)[]> {
    const found = await this.db.read.findBy(Account, { appid: In([...new Set(appids)]) });
    const byAppid = new Map(found.map((account) => [account.appid, account]));
    return appids.map((appid) => {
      const account = byAppid.get(appid);
      return account ? Object.assign({}, account) : null;
    });
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

  /** @param tx reads what is there now, not what was when the transaction began to read */
  findByProperty(tenantId: string, openidProperty: string, tx?: Tx): Promise<Account | null> {
    return (tx ?? this.db.read).findOne(Account, {
      where: { tenantId, openidProperty },
      ...this.db.currentRead(tx),
    });
  }

  findAllIn(scope: AccountScope): Promise<Account[]> {
    return scopedTo(this.db.read.createQueryBuilder(Account, 'account'), scope).getMany();
  }

  /** In the order that is asked for; one more than `limit`, to tell whether another page follows. */
  findPage(
    filter: AccountFilter,
    sort: AccountSort,
    limit: number,
    after: AccountPosition | null,
  ): Promise<Account[]> {
    const query = this.#matching(filter);
    if (filter.enabled !== undefined) query.andWhere({ enabled: filter.enabled });
    if (filter.state) query.andWhere({ authorizationState: filter.state });
    if (filter.accountStatus) query.andWhere({ accountStatus: filter.accountStatus });
    if (filter.flagged !== undefined)
      query.andWhere({ flaggedAt: filter.flagged ? Not(IsNull()) : IsNull() });
    if (after) query.andWhere(comesAfter(sort, after));
    const { column, isDescending } = partsOf(sort);
    return query
      .orderBy(`account.${column}`, isDescending ? 'DESC' : 'ASC')
      .addOrderBy('account.appid', 'ASC')
      .take(limit + 1)
      .getMany();
  }

  /** How many there are of each state, whatever states the filter asks for. */
  async countByState(filter: AccountFilter): Promise<AccountCount[]> {
    const flagged = 'CASE WHEN account.flaggedAt IS NULL THEN 0 ELSE 1 END';
    const rows = await this.#matching(filter)
      .select('account.authorizationState', 'state')
      .addSelect('account.enabled', 'enabled')
      .addSelect(flagged, 'flagged')
      .addSelect('COUNT(*)', 'count')
      .groupBy('account.authorizationState')
      .addGroupBy('account.enabled')
      .addGroupBy(flagged)
      .getRawMany<Record<keyof AccountCount, string | number>>();
    return rows.map((row) => ({
      state: row.state as AuthorizationState,
      enabled: Number(row.enabled) === 1,
      flagged: Number(row.flagged) === 1,
      count: Number(row.count),
    }));
  }

  #matching({ scope, accountType, q }: AccountFilter): SelectQueryBuilder<Account> {
    const query = scopedTo(this.db.read.createQueryBuilder(Account, 'account'), scope);
    if (accountType) query.andWhere({ accountType });
    if (q) query.andWhere(contains(q));
    return query;
  }

  async delete(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(Account, { appid })).affected ?? 0;
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
  const q = `%${text.replace(/[!%_]/g, '!$&')}%`;
  const columns = ['nickname', 'principalName', 'appid', 'originalId', 'alias'];
  return new Brackets((where) => {
    // Both by the database, whose small letters are its own: SQLite has none but those of ASCII.
    for (const column of columns)
      where.orWhere(`LOWER(account.${column}) LIKE LOWER(:q) ESCAPE '!'`, { q });
  });
}

function partsOf(sort: AccountSort): { column: SortColumn; isDescending: boolean } {
  return { column: sort.replace('-', '') as SortColumn, isDescending: sort.startsWith('-') };
}

/** The value that a list of that order is paged by, as text. */
export function sortValueOf(account: Account, sort: AccountSort): string {
  const value = account[partsOf(sort).column];
  return value instanceof Date ? String(value.getTime()) : value;
}

function comesAfter(sort: AccountSort, { value, appid }: AccountPosition): Brackets {
  const { column, isDescending } = partsOf(sort);
  const at = column === 'nickname' ? value : new Date(Number(value));
  return new Brackets((where) =>
    where
      .where(`account.${column} ${isDescending ? '<' : '>'} :at`, { at })
      .orWhere(`account.${column} = :at AND account.appid > :appid`, { at, appid }),
  );
}
