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
  permission_ids: '[7]',
  authorization_state: 'authorized',
  authorized_at: '2026-01-01 00:00:00.000',
  authorization_changed_at: '2026-01-01 00:00:00.000',
  enabled: 1,
  created_at: '2026-01-01 00:00:00.000',
  updated_at: '2026-01-01 00:00:00.000',
};
const NAMES = Object.keys(ACCOUNT_ROW);
/** The same as a mini-program. */
const MINI_PROGRAM = { account_type: 'mini_program', subtype: 'mini_program' };
const INSERT_ACCOUNT = `INSERT INTO account (${NAMES.join(', ')}) VALUES (${NAMES.map(() => '?').join(', ')})`;
const COUNT = 'SELECT COUNT(*) AS rows_kept FROM push WHERE account = ?';
const COUNT_RECEIPTS = 'SELECT COUNT(*) AS rows_kept FROM receipt';
const COUNT_ACCEPTED =
  "SELECT COUNT(*) AS rows_kept FROM delivery WHERE status = 'accepted' AND msgid IS NOT NULL";
/** What is emptied between measurements. */
const TABLES = ['push', 'receipt', 'delivery', 'message_result', 'event'];

function accountRow(isMiniProgram) {
  return Object.values({ ...ACCOUNT_ROW, ...(isMiniProgram && MINI_PROGRAM) });
}

function findSql(msgids) {
  return `SELECT msgid FROM receipt WHERE appid = '${ACCOUNT.appid}' AND msgid IN (${msgids.map(() => '?').join(', ')})`;
}

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
      async holdAccount(isMiniProgram = false) {
        await connection.query(
          INSERT_ACCOUNT.replace('account', `${name}.account`),
          accountRow(isMiniProgram),
        );
      },
      async empty() {
        for (const table of TABLES) await connection.query(`TRUNCATE TABLE ${name}.${table}`);
      },
      async countReceipts() {
        const [[row]] = await connection.query(
          COUNT_RECEIPTS.replace('receipt', `${name}.receipt`),
        );
        return Number(row.rows_kept);
      },
      async countAccepted() {
        const [[row]] = await connection.query(
          COUNT_ACCEPTED.replace('delivery', `${name}.delivery`),
        );
        return Number(row.rows_kept);
      },
      async findReceipts(msgids) {
        const sql = findSql(msgids).replace('receipt', `${name}.receipt`);
        const [rows] = await connection.query(sql, msgids);
        return rows.map(({ msgid }) => msgid);
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
    holdAccount: (isMiniProgram = false) =>
      using((db) => db.prepare(INSERT_ACCOUNT).run(...accountRow(isMiniProgram))),
    countReceipts: () => using((db) => db.prepare(COUNT_RECEIPTS).get().rows_kept),
    countAccepted: () => using((db) => db.prepare(COUNT_ACCEPTED).get().rows_kept),
    findReceipts: (msgids) =>
      using((db) => db.prepare(findSql(msgids)).all(...msgids)).then((rows) =>
        rows.map(({ msgid }) => msgid),
      ),
    empty: () =>
      using((db) => {
        for (const table of TABLES) db.exec(`DELETE FROM ${table}`);
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
