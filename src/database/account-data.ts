import { Injectable } from '@nestjs/common';

import type { Tx } from './database.js';

/** A table that holds rows of accounts, and how they are removed. */
export interface AccountTable {
  table: string;
  /** There may be very many of them, and none is needed to work with the account: they go first, page by page. */
  isHistory?: boolean;
  /**
   * Removes some of the account's rows; removing none of nothing is right too.
   *
   * @returns how many, or less than `limit` once none is left
   */
  erase: (tx: Tx, appid: string, limit: number) => Promise<number>;

  /** Removes what is about one person of the account, in as many transactions as it takes. Left out where nothing is. */
  erasePerson?: (appid: string, openid: string) => Promise<void>;
}

/**
 * Every table that holds something of an account: the room that owns one registers it, so that deleting an account, or
 * a person who has unfollowed it, leaves nothing behind.
 */
@Injectable()
export class AccountData {
  readonly #tables: AccountTable[] = [];

  /** Once for each table, before the service is up. @throws TypeError when it is registered already */
  register(table: AccountTable): void {
    if (this.#tables.some((known) => known.table === table.table))
      throw new TypeError(`${table.table} is registered already.`);
    this.#tables.push(table);
  }

  all(): readonly AccountTable[] {
    return this.#tables;
  }
}
