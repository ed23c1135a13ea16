import { resolve } from 'node:path';

import type { DataSourceOptions } from 'typeorm';

import type { DatabaseTarget } from './env.js';

/** How TypeORM reaches the database, without entities and migrations. */
export function dataSourceOptions(target: DatabaseTarget): DataSourceOptions {
  if (target.kind === 'sqlite') {
    return {
      type: 'better-sqlite3',
      database: resolve(target.path),
      prepareDatabase: (db: { pragma(text: string): unknown }) => {
        db.pragma('journal_mode = WAL');
        // better-sqlite3 is built with NORMAL for WAL, which may lose the last commits with the power.
        db.pragma('synchronous = FULL');
      },
    };
  }
  return {
    // MySQL's introspection differs from MariaDB's: the driver has to be told which of them it is.
    type: target.kind,
    host: target.host,
    port: target.port,
    username: target.user,
    password: target.password,
    database: target.database,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    supportBigNumbers: true,
    bigNumberStrings: true,
    connectTimeout: 5_000,
    poolSize: 10,
  };
}
