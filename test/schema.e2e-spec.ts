import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getDataSourceToken } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';

import { Database } from '../src/database/database.js';
import { SystemValue } from '../src/database/system-value.entity.js';
import { startApp, type TestApp } from './app.js';

let app: TestApp;
let db: Database;
let writer: DataSource;

beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
  writer = app.app.get<DataSource>(getDataSourceToken());
});
afterAll(() => app.stop());

describe('the schema', () => {
  it('is what the entities say, with nothing left to migrate', async () => {
    const { upQueries } = await writer.driver.createSchemaBuilder().log();
    expect(upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('goes down and up again', async () => {
    const names = (): string[] => writer.migrations.map(({ name }) => name ?? '');
    for (const _name of names()) await writer.undoLastMigration();
    expect(await writer.showMigrations()).toBe(true);
    await writer.runMigrations();
    expect(await writer.showMigrations()).toBe(false);
  });
});

describe('Database', () => {
  const value = (name: string, text = 'x'): SystemValue => ({ name, value: text });

  it('writes all or nothing, twenty at once', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_unused, n) =>
        db.write(async (tx) => {
          await tx.insert(SystemValue, value(`turn-${n}-a`));
          if (n % 2 === 1) throw new Error('half way');
          await tx.insert(SystemValue, value(`turn-${n}-b`));
        }),
      ),
    );
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    const kept = (await db.read.find(SystemValue)).filter(({ name }) => name.startsWith('turn-'));
    expect(kept).toHaveLength(20);
    expect(kept.every(({ name }) => Number(name.split('-')[1]) % 2 === 0)).toBe(true);
  });

  it("tells the time of a server where the clocks are put back, as of any other's", async () => {
    // Half past two in Berlin is twice that night. A server without named zones has the one that it runs in.
    for (const at of ['2026-10-25T00:30:00.500Z', '2026-10-25T01:30:00.500Z']) {
      const told = await db.write(async (tx) => {
        if (db.isSqlite) return new Date(at);
        await tx.query(`SET time_zone = 'Europe/Berlin'`).catch(() => undefined);
        await tx.query(`SET timestamp = ${new Date(at).getTime() / 1000}`);
        const now = await db.now(tx);
        await tx.query('SET timestamp = DEFAULT');
        await tx.query('SET time_zone = DEFAULT');
        return now;
      });
      expect(told.toISOString()).toBe(at);
    }
  });

  it('reads nothing that is not committed', async () => {
    const seen = await db.write(async (tx) => {
      await tx.insert(SystemValue, value('uncommitted'));
      return db.read.existsBy(SystemValue, { name: 'uncommitted' });
    });
    expect(seen).toBe(false);
    expect(await db.read.existsBy(SystemValue, { name: 'uncommitted' })).toBe(true);
  });

  it('keeps texts that differ in case apart, and every character', async () => {
    for (const name of ['oAbC', 'oabc'])
      await db.write((tx) => tx.insert(SystemValue, value(name, '花店 🌸')));
    expect((await db.read.findOneByOrFail(SystemValue, { name: 'oAbC' })).value).toBe('花店 🌸');
    expect(await db.read.countBy(SystemValue, { name: 'OABC' })).toBe(0);
  });

  it('knows its own clock to the millisecond', async () => {
    const now = await db.now();
    expect(Math.abs(now.getTime() - Date.now())).toBeLessThan(5_000);
  });

  it('is set to lose nothing: WAL with synchronous=FULL on SQLite, utf8mb4_bin on MySQL', async () => {
    const first = async (sql: string): Promise<unknown> =>
      Object.values((await writer.query<object[]>(sql))[0] ?? {})[0];
    const [expected, actual] = db.isSqlite
      ? [
          ['wal', 2],
          [await first('PRAGMA journal_mode'), await first('PRAGMA synchronous')],
        ]
      : [['utf8mb4_bin'], [await first('SELECT @@collation_database')]];
    expect(actual).toEqual(expected);
  });

  it('on SQLite reads over a connection that cannot write', async () => {
    const insert = "INSERT INTO system_value VALUES ('by-the-reader', 'b')";
    const outcome = await db.read.query(insert).then(
      () => 'written',
      (error: unknown) => String(error),
    );
    expect(outcome).toMatch(db.isSqlite ? /readonly/ : /written/);
  });
});
