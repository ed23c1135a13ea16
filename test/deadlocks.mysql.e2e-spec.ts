import { afterAll, beforeAll, expect, it } from '@jest/globals';

import { Database } from '../src/database/database.js';
import { startApp, type TestApp } from './app.js';

const WRITERS = 8;

let app: TestApp;
let db: Database;
beforeAll(async () => {
  app = await startApp();
  db = app.app.get(Database);
});
afterAll(() => app.stop());

it('lets each of many writes through that share a row before they want it alone', async () => {
  const name = 'deadlocks';
  await db.write((tx) =>
    tx.query(
      `INSERT INTO lease (name, owner, epoch, held_until, slot) VALUES (?, 'x', 0, NOW(3), NOW(3))`,
      [name],
    ),
  );
  let tries = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, () =>
      db.write(async (tx) => {
        tries += 1;
        await tx.query('SELECT epoch FROM lease WHERE name = ? LOCK IN SHARE MODE', [name]);
        await tx.query('UPDATE lease SET epoch = epoch + 1 WHERE name = ?', [name]);
      }),
    ),
  );
  expect(tries).toBeGreaterThan(WRITERS);
  const [row] = await db.read.query<{ epoch: number }[]>('SELECT epoch FROM lease WHERE name = ?', [
    name,
  ]);
  expect(Number(row?.epoch)).toBe(WRITERS);
});
