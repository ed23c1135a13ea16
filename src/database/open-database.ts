import {
  DataSource,
  type DataSourceOptions,
  getMetadataArgsStorage,
  type MixedList,
} from 'typeorm';

import { STATEMENT_POOL_SIZE } from '../../config/database.js';
import { StartupError } from '../common/startup-error.js';
import { migrations } from './migrations/index.js';

const COLLATION = 'utf8mb4_bin';
const MIGRATION_LOCK_SECONDS = 300;

/** What a room registers for TypeORM: classes only, so that the bundle is one list. */
export type Entities = MixedList<Function>;

/**
 * Opens the writing side: checks that the database can keep what we write, and migrates it.
 *
 * @param migrate `false` only checks that nothing is pending
 * @throws StartupError when the collation is another one, or migrations are pending and not wanted
 */
export async function openWriter(
  options: DataSourceOptions,
  migrate: boolean,
): Promise<DataSource> {
  if (options.type !== 'better-sqlite3') widenText();
  const source = new DataSource({ ...options, migrations, migrationsTransactionMode: 'each' });
  if (options.type === 'better-sqlite3') return prepare(source, migrate);
  // On connections of its own, without the limit on silence: changing a large table may take its time.
  const migrator = new DataSource({ ...source.options, extra: {} } as DataSourceOptions);
  await (await prepare(migrator, migrate)).destroy();
  return source.initialize();
}

async function prepare(source: DataSource, migrate: boolean): Promise<DataSource> {
  await source.initialize();
  try {
    await checkCollation(source);
    if (migrate) await runMigrations(source);
    else if (await source.showMigrations()) throw pendingMigrations();
    return source;
  } catch (error) {
    await source.destroy();
    throw error;
  }
}

/** Opens the reading side: on SQLite a connection of its own, so that no open transaction is ever seen. */
export async function openReader(writer: DataSource): Promise<DataSource> {
  const { options } = writer;
  if (options.type !== 'better-sqlite3') return writer;
  return new DataSource({
    ...options,
    fileMustExist: true,
    migrations: [],
    // Not opened as read-only: whichever connection closes last folds the write-ahead log into the file, and a
    // read-only one would leave it beside it.
    prepareDatabase: (db: { pragma(text: string): unknown }) => {
      db.pragma('query_only = ON');
    },
  }).initialize();
}

/**
 * Opens what single statements go by: on MySQL connections of their own. What WeChat waits for is one of them, and
 * must not wait for a connection behind transactions, of which each holds one for many round trips.
 *
 * @see docs/adr/0027-a-bulkhead-for-statements.md
 */
export async function openStatements(writer: DataSource): Promise<DataSource> {
  const { options } = writer;
  if (options.type === 'better-sqlite3') return writer;
  const own = { ...options, entities: [], migrations: [], poolSize: STATEMENT_POOL_SIZE };
  return new DataSource(own as DataSourceOptions).initialize();
}

/** `text` is 64 KiB on MySQL, and a push may have 256 KiB: there it means `mediumtext`, as in the migrations. */
function widenText(): void {
  for (const column of getMetadataArgsStorage().columns) {
    if (column.options.type === 'text') column.options.type = 'mediumtext';
  }
}

/** Openids differ by case only: a collation that folds case would mix people up. */
async function checkCollation(source: DataSource): Promise<void> {
  if (source.options.type === 'better-sqlite3') return;
  const rows = await source.query<{ place: string; collation: string }[]>(
    `SELECT SCHEMA_NAME AS place, DEFAULT_COLLATION_NAME AS collation
       FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()
     UNION SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME), COLLATION_NAME
       FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND COLLATION_NAME IS NOT NULL`,
  );
  const wrong = rows.filter(({ collation }) => collation !== COLLATION);
  if (wrong.length === 0) return;
  const places = wrong
    .slice(0, 5)
    .map(({ place, collation }) => `${place} (${collation})`)
    .join(', ');
  throw new StartupError({
    zh: `数据库的排序规则必须是 ${COLLATION}，而这里是：${places}。新建数据库请用 CREATE DATABASE … CHARACTER SET utf8mb4 COLLATE ${COLLATION}；已有的空库用 ALTER DATABASE。`,
    en: `The collation of the database must be ${COLLATION}, but is: ${places}. Create it with CREATE DATABASE … CHARACTER SET utf8mb4 COLLATE ${COLLATION}, or ALTER DATABASE an empty one.`,
  });
}

/**
 * One process migrates, the others wait for it. The lock is the connection's: a process that dies lets go of it.
 * (On SQLite the instance lock has already kept every other process out.)
 */
async function runMigrations(source: DataSource): Promise<void> {
  if (source.options.type === 'better-sqlite3') {
    await source.runMigrations();
    return;
  }
  const keeper = source.createQueryRunner();
  try {
    const rows: { held: number | string | null }[] = await keeper.query(
      `SELECT GET_LOCK(CONCAT(DATABASE(), '.migrate'), ${MIGRATION_LOCK_SECONDS}) AS held`,
    );
    if (Number(rows[0]?.held) !== 1) {
      throw new StartupError({
        zh: '另一个进程正在迁移数据库，等待超时。请稍后再启动。',
        en: 'Another process has been migrating the database for too long. Start again later.',
      });
    }
    await source.runMigrations();
    await keeper.query(`DO RELEASE_LOCK(CONCAT(DATABASE(), '.migrate'))`);
  } finally {
    await keeper.release();
  }
}

function pendingMigrations(): StartupError {
  return new StartupError({
    zh: '数据库有待执行的迁移，而 DATABASE_MIGRATE=off。请先执行 npm run migrate。',
    en: 'The database has pending migrations and DATABASE_MIGRATE is off. Run `npm run migrate` first.',
  });
}
