import { createHash } from 'node:crypto';

/** What states and codes are looked up by, so that they need not stand in the database: SHA-256 in hex. */
export function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
