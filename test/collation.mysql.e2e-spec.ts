import { randomBytes } from 'node:crypto';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Connection, createConnection } from 'mysql2/promise';
import type { DataSource } from 'typeorm';

import { dataSourceOptions } from '../config/database.js';
import { readEnv } from '../config/env.js';
import { openWriter } from '../src/database/open-database.js';
import { serviceEnv } from './processes.js';

// oxlint-disable-next-line node/no-process-env -- test/run.mjs runs this suite only with a server
const server = process.env['TEST_DATABASE_URL'] ?? '';

let connection: Connection;
const names: string[] = [];

beforeAll(async () => {
  const { hostname, port, username, password } = new URL(server);
  connection = await createConnection({
    host: hostname,
    port: Number(port || 3306),
    user: username,
    password,
  });
});
afterAll(async () => {
  for (const name of names) await connection.query(`DROP DATABASE ${name}`);
  await connection.end();
});

async function create(collation: string): Promise<string> {
  const name = `channel_test_${randomBytes(6).toString('hex')}`;
  names.push(name);
  await connection.query(`CREATE DATABASE ${name} ${collation}`);
  return name;
}

function open(name: string, migrate = true): Promise<DataSource> {
  const url = new URL(server);
  url.pathname = `/${name}`;
  const env = readEnv(
    serviceEnv(url.href, { SECRET_KEYS: `k1:${Buffer.alloc(32).toString('base64')}` }),
  );
  return openWriter(dataSourceOptions(env.database), migrate);
}

describe('openWriter', () => {
  it.each(['CHARACTER SET latin1', 'CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci'])(
    'refuses a database made with %s, and says how to make one',
    async (collation) => {
      const name = await create(collation);
      await expect(open(name)).rejects.toThrow(/COLLATE utf8mb4_bin/);
    },
  );

  it('refuses a single column of another collation', async () => {
    const name = await create('CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');
    await (await open(name)).destroy();
    await connection.query(
      `ALTER TABLE ${name}.account MODIFY nickname varchar(255) COLLATE utf8mb4_general_ci NOT NULL`,
    );
    await expect(open(name)).rejects.toThrow(/account\.nickname \(utf8mb4_general_ci\)/);
  });

  it('migrates once however many processes start at the same time', async () => {
    const name = await create('CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');
    const sources = await Promise.all([open(name), open(name), open(name)]);
    const [rows] = await connection.query(`SELECT COUNT(*) AS n FROM ${name}.migrations`);
    expect(rows).toEqual([{ n: sources[0]?.migrations.length }]);
    await Promise.all(sources.map((source) => source.destroy()));
  });

  it('refuses to start on pending migrations that it may not run', async () => {
    const name = await create('CHARACTER SET utf8mb4 COLLATE utf8mb4_bin');
    await expect(open(name, false)).rejects.toThrow(/npm run migrate/);
  });
});
