// The databases that the servers of the push benchmark write to, and what the benchmark does to them itself.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import Sqlite from 'better-sqlite3';
import { createConnection } from 'mysql2/promise';

import { ACCOUNT } from './shared.mjs';

/** One row for `account`, by column: held, authorized, switched on. */
const ACCOUNT_ROW = {
  appid: ACCOUNT.appid,
  tenant_id: 'bench',
  account_type: 'official_account',
  subtype: 'service_account',
  nickname: 'Bench',
  avatar_url: '',
  original_id: ACCOUNT.originalId,
  alias: '',
  principal_name: '',
  verify_type: 0,
  account_status: 'normal',
  permission_ids: '[]',
  authorization_state: 'authorized',
  authorized_at: '2026-01-01 00:00:00.000',
  authorization_changed_at: '2026-01-01 00:00:00.000',
  enabled: 1,
  created_at: '2026-01-01 00:00:00.000',
  updated_at: '2026-01-01 00:00:00.000',
};
const NAMES = Object.keys(ACCOUNT_ROW);
const INSERT_ACCOUNT = `INSERT INTO account (${NAMES.join(', ')}) VALUES (${NAMES.map(() => '?').join(', ')})`;
const COUNT = 'SELECT COUNT(*) AS rows_kept FROM push WHERE account = ?';

/** MariaDB (or MySQL) as root: makes databases and drops them. */
export class MysqlServer {
  #names = [];

  constructor(url, connection, version) {
    this.url = url;
    this.connection = connection;
    this.version = version;
  }

  static async connect(url) {
    const { hostname, port, username, password } = new URL(url);
    const connection = await createConnection({
      host: hostname,
      port: Number(port || 3306),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
      connectTimeout: 5_000,
    });
    const [[{ version }]] = await connection.query('SELECT VERSION() AS version');
    return new MysqlServer(url, connection, version);
  }

  async create() {
    const name = `channel_bench_${randomBytes(6).toString('hex')}`;
    const { connection } = this;
    this.#names.push(name);
    await connection.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
    const url = new URL(this.url);
    url.pathname = `/${name}`;
    return {
      url: url.href,
      async holdAccount() {
        await connection.query(INSERT_ACCOUNT.replace('account', `${name}.account`), [
          ...Object.values(ACCOUNT_ROW),
        ]);
      },
      async empty() {
        await connection.query(`TRUNCATE TABLE ${name}.push`);
      },
      async count() {
        const [[row]] = await connection.query(COUNT.replace('push', `${name}.push`), [
          ACCOUNT.appid,
        ]);
        return Number(row.rows_kept);
      },
    };
  }

  async close() {
    for (const name of this.#names) await this.connection.query(`DROP DATABASE IF EXISTS ${name}`);
    await this.connection.end();
  }
}

/** @param folder of its own, which the caller deletes */
export async function createSqlite(folder) {
  const own = join(folder, randomBytes(6).toString('hex'));
  await mkdir(own);
  const path = join(own, 'channel.sqlite');
  const using = async (work) => {
    const db = new Sqlite(path, { fileMustExist: true });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  return {
    url: `sqlite:${path}`,
    holdAccount: () => using((db) => db.prepare(INSERT_ACCOUNT).run(...Object.values(ACCOUNT_ROW))),
    empty: () =>
      using((db) => {
        db.exec('DELETE FROM push');
        db.pragma('wal_checkpoint(TRUNCATE)');
      }),
    count: () => using((db) => db.prepare(COUNT).get(ACCOUNT.appid).rows_kept),
  };
}

export function sqliteVersion() {
  const db = new Sqlite(':memory:');
  try {
    return db.prepare('SELECT sqlite_version() AS version').get().version;
  } finally {
    db.close();
  }
}
