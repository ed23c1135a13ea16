/**
 * The code that Node and the drivers put on their errors, e.g. `ECONNREFUSED` or `SQLITE_BUSY`; null when there is none.
 *
 * Not by `instanceof`: an error may come from another realm than this module.
 */
export function errorCode(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
