import type { QueryRunner, TableColumnOptions } from 'typeorm';

/** The few column types that both databases know, as migrations write them. */
export const id = (name: string, length: number): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
  isPrimary: true,
});

export const text = (name: string, length: number, isNullable = false): TableColumnOptions => ({
  name,
  type: 'varchar',
  length: String(length),
  isNullable,
});

export const time = (name: string, isNullable = false): TableColumnOptions => ({
  name,
  type: 'datetime',
  precision: 3,
  isNullable,
});

export const integer = (name: string, isNullable = false): TableColumnOptions => ({
  name,
  type: 'integer',
  isNullable,
});

/** SQLite's text has no bound; MySQL's ends at 64 KiB, and a push may have 256 KiB. */
export const largeText = (
  runner: QueryRunner,
  name: string,
  isNullable = false,
): TableColumnOptions => ({
  name,
  type: runner.dataSource.options.type === 'better-sqlite3' ? 'text' : 'mediumtext',
  isNullable,
});
