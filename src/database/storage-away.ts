import { QueryFailedError } from 'typeorm';

import { errorCode } from '../common/error-code.js';

/** The database does not answer, as opposed to: it answered that a statement is wrong. */
const AWAY = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_PACKETS_OUT_OF_ORDER',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ER_CON_COUNT_ERROR',
  'ER_SERVER_SHUTDOWN',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_LOCK_WAIT_TIMEOUT',
  'POOL_CLOSED',
  'SQLITE_BUSY',
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_READONLY',
  'SQLITE_CANTOPEN',
];

/** What mysql2 says without a code. */
const AWAY_WORDS = [
  'Queue limit reached.',
  'Pool is closed.',
  "Can't add new command when connection is in closed state",
];

/** Whether the failure is the storage's absence, so that the caller is asked to come again (503). */
export function isStorageAway(error: unknown): boolean {
  const cause: unknown = error instanceof QueryFailedError ? error.driverError : error;
  const code = errorCode(cause);
  if (code === null) return AWAY_WORDS.includes(messageOf(cause));
  // Upstream HTTP failures carry codes like these too, but never leave libs/wechat as plain errors.
  return AWAY.some((away) => code === away || code.startsWith(`${away}_`));
}

function messageOf(error: unknown): string {
  const isObject = typeof error === 'object' && error !== null;
  return isObject && 'message' in error ? String(error.message) : '';
}
