import type { SecretBinding } from '@app/secret-box';
import { Injectable } from '@nestjs/common';

import { KEYS_CHECK } from './secret-keys.js';

/** A column whose values are sealed, as the tables name it. */
export interface SealedColumn {
  table: string;
  /** The primary key, one column of text. */
  idColumn: string;
  column: string;
  /** What the value of a row is bound to, by the row's id. */
  binding(id: string): SecretBinding;
}

/** Every column that holds ciphertext: the room that owns one registers it, so that its keys can be changed. */
@Injectable()
export class SealedColumns {
  readonly #columns: SealedColumn[] = [];

  /** Once for each column, before the service is up. @throws TypeError when it is registered already */
  register(column: SealedColumn): void {
    if (this.all().some((known) => isSame(known, column)))
      throw new TypeError(`${column.table}.${column.column} is registered already.`);
    this.#columns.push(column);
  }

  /** What proves the keys at start comes last. */
  all(): SealedColumn[] {
    return [...this.#columns, KEYS_CHECK];
  }
}

export function isSame(
  one: Pick<SealedColumn, 'table' | 'column'>,
  other: Pick<SealedColumn, 'table' | 'column'>,
): boolean {
  return one.table === other.table && one.column === other.column;
}
