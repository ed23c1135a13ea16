import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

import { errorCode } from '../common/error-code.js';
import { StartupError } from '../common/startup-error.js';

/** Keeps the SQLite file to one process. The operating system lets go of it, whatever ends the process. */
export interface InstanceLock {
  release(): void;
}

/**
 * Takes the file for this process.
 *
 * The lock is an exclusive transaction, held for life, on a small database beside the file.
 *
 * @param path the SQLite file, absolute
 * @throws StartupError when another process has it, or better-sqlite3 is not installed
 */
export async function lockInstance(path: string): Promise<InstanceLock> {
  const Sqlite = await loadSqlite();
  mkdirSync(dirname(path), { recursive: true });
  const side = new Sqlite(`${path}.lock`, { timeout: 0 });
  try {
    side.pragma('journal_mode = DELETE');
    side.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    side.close();
    if (!errorCode(error)?.startsWith('SQLITE_BUSY')) throw error;
    throw new StartupError({
      zh: `另一个进程正在使用数据库 ${path}。请先停止它；需要多个进程时请改用 MySQL（DATABASE_URL）。`,
      en: `Another process is using the database ${path}. Stop it first, or set DATABASE_URL to MySQL to run several processes.`,
    });
  }
  return { release: () => side.close() };
}

/** better-sqlite3 is optional: it is compiled at installation, which not every machine can do. */
async function loadSqlite() {
  try {
    return (await import('better-sqlite3')).default;
  } catch {
    throw new StartupError({
      zh: '缺少 better-sqlite3，无法使用内置的 SQLite。请安装 python3、make、g++ 后执行 npm rebuild better-sqlite3；或把 DATABASE_URL 设为 MySQL。',
      en: 'better-sqlite3 is missing, so the embedded SQLite cannot be used. Install python3, make and g++ and run `npm rebuild better-sqlite3`, or set DATABASE_URL to MySQL.',
    });
  }
}
