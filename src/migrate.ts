import { dataSourceOptions } from '../config/database.js';
import { readEnv } from '../config/env.js';
import { runOrExplain } from './common/run-or-explain.js';
import { lockInstance } from './database/instance-lock.js';
import { openWriter } from './database/open-database.js';

/** `npm run migrate`: brings the database up to date and ends. */
await runOrExplain(async () => {
  const options = dataSourceOptions(readEnv().database);
  const lock = options.type === 'better-sqlite3' ? await lockInstance(options.database) : null;
  const source = await openWriter(options, true);
  await source.destroy();
  lock?.release();
  process.stdout.write('数据库已是最新。 The database is up to date.\n');
});
