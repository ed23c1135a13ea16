import { setTimeout as sleep } from 'node:timers/promises';

import { DataSource, type EntityManager } from 'typeorm';

import { errorCode } from '../common/error-code.js';

/** Handed to every repository method that writes, so that no write can stand outside `Database.write`. */
export type Tx = EntityManager;

const DEADLOCK = new Set(['ER_LOCK_DEADLOCK', 'ER_CHECKREAD']);
const DEADLOCK_TRIES = 6;
/** Doubled with each try, and anything below that: ten after the first. */
const DEADLOCK_PAUSE_MS = 5;

/** The one way to the database: writes are transactions, reads never see what is not committed. */
export class Database {
  /** Ends with the last write that was begun; on SQLite the next one waits for it. */
  #tail: Promise<unknown> = Promise.resolve();
  readonly #afterCommit = new WeakMap<Tx, (() => void)[]>();

  /**
   * @param writer on SQLite the only connection that writes
   * @param reader on SQLite a second, read-only connection; else the same pool
   * @param statements on SQLite the writer; else a few connections that no transaction and no read can take
   */
  constructor(
    private readonly writer: DataSource,
    private readonly reader: DataSource,
    private readonly statements: DataSource,
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
    return this.#inTurn(() => this.#transaction(work));
  }

  /**
   * Runs one statement that commits by itself: a round trip less than a transaction of one statement, and on MySQL never
   * behind one, however slow the database is.
   *
   * @param sql with `?` for each parameter
   * @returns how many rows were written; rows that an ignored conflict left alone do not count
   */
  async statement(sql: string, parameters: unknown[]): Promise<number> {
    return this.#inTurn(async () => {
      const runner = this.statements.createQueryRunner();
      try {
        const { affected } = await runner.query(sql, parameters, true);
        return affected ?? 0;
      } finally {
        await runner.release();
      }
    });
  }

  /** Calls `then` when the transaction has committed, and not at all when it fails. */
  afterCommit(tx: Tx, then: () => void): void {
    const waiting = this.#afterCommit.get(tx);
    if (!waiting) throw new TypeError('The transaction is not one of Database.write.');
    waiting.push(then);
  }

  /** The database's own clock, which every process sharing it agrees on. */
  async now(on: EntityManager = this.read): Promise<Date> {
    const [row] = await on.query<{ now: string | Date }[]>(`SELECT ${this.nowSql()} AS now`);
    if (!row) throw new TypeError('There is always a time.');
    return this.toDate(row.now);
  }

  /** The database's clock as an SQL expression, to set or compare a time without asking for it first. */
  nowSql(plusMs = 0): string {
    const ms = Math.round(plusMs);
    if (this.isSqlite)
      return `strftime('%Y-%m-%d %H:%M:%f', 'now'${ms ? `, '${ms / 1000} seconds'` : ''})`;
    return ms ? `(UTC_TIMESTAMP(3) + INTERVAL ${ms * 1000} MICROSECOND)` : 'UTC_TIMESTAMP(3)';
  }

  /**
   * Behind the name of a table that is updated by a list of ids: MySQL then looks the rows up by nothing else. Along an
   * index that fits the other conditions it would lock, and wait for, the rows of every open transaction.
   */
  get byIdSql(): string {
    return this.isSqlite ? '' : 'FORCE INDEX (PRIMARY)';
  }

  /**
   * For a look inside a transaction that has read before: on MySQL it sees what others have committed since only when it
   * locks what it sees. Outside of one, and on SQLite with its single writer, there is nothing to add.
   */
  currentRead(tx: Tx | undefined): { lock?: { mode: 'pessimistic_write' } } {
    return tx && !this.isSqlite ? { lock: { mode: 'pessimistic_write' } } : {};
  }

  /** A time that a raw query has read, which the drivers hand over differently. */
  toDate(raw: string | Date): Date {
    return raw instanceof Date ? raw : new Date(`${raw.replace(' ', 'T')}Z`);
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    if (!this.isSqlite) return againAfterDeadlock(run);
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const waiting: (() => void)[] = [];
    const result = await this.writer.transaction((tx) => {
      this.#afterCommit.set(tx, waiting);
      return work(tx);
    });
    for (const then of waiting) then();
    return result;
  }
}

/** A time as both databases keep it, for statements that are written out. */
export function toSqlTime(time: Date): string {
  return time.toISOString().slice(0, 23).replace('T', ' ');
}

async function againAfterDeadlock<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      if (tries === DEADLOCK_TRIES || !DEADLOCK.has(errorCode(error) ?? '')) throw error;
    }
    // Whoever was in each other's way would be so again.
    await sleep(Math.random() * DEADLOCK_PAUSE_MS * 2 ** tries);
  }
}
