import { connect, type Socket } from 'node:net';
import { resolve } from 'node:path';

import type { DataSourceOptions } from 'typeorm';

import type { DatabaseTarget } from './env.js';

/** A connection on which nothing has moved for so long is given up: the statement on it fails, the pool opens another. */
const SILENT_MS = 12_000;
const POOL_SIZE = 16;
/** Of the connections for single statements: the ledger's six groups at most, and two for whatever else. */
export const STATEMENT_POOL_SIZE = 8;
/** Statements that wait for a connection; beyond, they fail at once instead of piling up. */
const POOL_QUEUE = 1_000;

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
    poolSize: POOL_SIZE,
    extra: {
      queueLimit: POOL_QUEUE,
      // The caller's stack in an error of the driver costs a stack capture for every statement, a tenth of a message's CPU.
      trace: false,
      stream: () => openSocket(target.host, target.port),
    },
  };
}

/** Without a limit of its own, mysql2 waits for ever on a connection that a firewall or a dead host has swallowed. */
function openSocket(host: string, port: number): Socket {
  const socket = connect({ host, port, noDelay: true, keepAlive: true });
  return socket.setTimeout(SILENT_MS, () =>
    socket.destroy(Object.assign(new Error('The database is silent.'), { code: 'ETIMEDOUT' })),
  );
}
