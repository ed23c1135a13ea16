import { DataSource, type EntityManager } from 'typeorm';

import { errorCode } from '../common/error-code.js';

/** Handed to every repository method that writes, so that no write can stand outside `Database.write`. */
export type Tx = EntityManager;

const DEADLOCK = new Set(['ER_LOCK_DEADLOCK', 'ER_CHECKREAD']);
const DEADLOCK_TRIES = 3;

/** The one way to the database: writes are transactions, reads never see what is not committed. */
export class Database {
  /** Ends with the last write that was begun; on SQLite the next one waits for it. */
  #tail: Promise<unknown> = Promise.resolve();

  /**
   * @param writer on SQLite the only connection that writes
   * @param reader on SQLite a second, read-only connection; else the same pool
   */
  constructor(
    private readonly writer: DataSource,
    private readonly reader: DataSource,
  ) {}

  /** For statements that only read, outside a transaction. */
  get read(): EntityManager {
    return this.reader.manager;
  }

  get isSqlite(): boolean {
    return this.writer.options.type === 'better-sqlite3';
  }

  /**
   * Runs `work` in one transaction: all of its writes, or none.
   *
   * `work` awaits nothing but the database, and may run again from its start after a deadlock.
   * SQLite has one writing connection, on which two open transactions would mix, so there they take turns.
   */
  write<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (!this.isSqlite) return this.#transaction(work, DEADLOCK_TRIES);
    const turn = this.#tail.then(() => this.writer.transaction(work));
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  /** The database's own clock, which every process sharing it agrees on. */
  async now(on: EntityManager = this.read): Promise<Date> {
    const sql = this.isSqlite
      ? `SELECT unixepoch('subsec') AS seconds`
      : `SELECT UNIX_TIMESTAMP(NOW(3)) AS seconds`;
    const [row] = await on.query<{ seconds: number | string }[]>(sql);
    return new Date(Math.round(Number(row?.seconds) * 1000));
  }

  async #transaction<T>(work: (tx: Tx) => Promise<T>, tries: number): Promise<T> {
    try {
      return await this.writer.transaction(work);
    } catch (error) {
      if (tries > 1 && isDeadlock(error)) return this.#transaction(work, tries - 1);
      throw error;
    }
  }
}

function isDeadlock(error: unknown): boolean {
  return DEADLOCK.has(errorCode(error) ?? '');
}
