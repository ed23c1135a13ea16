import { createHash } from 'node:crypto';

import type { AuditEntry } from './audit-entry.entity.js';

/** What the first entry of a chain follows. */
export const CHAIN_START = '0'.repeat(64);

/** The hash that seals an entry at a place of its tenant's chain: SHA-256 over the one before and all that it says. */
export function hashEntry(previousHash: string, entry: AuditEntry, sequence: number): string {
  const { id, tenantId, actorType, actorId, actorName, action, target, outcome } = entry;
  const { detail, ip, requestId, at } = entry;
  const said = { id, tenantId, actorType, actorId, actorName, action, target, outcome };
  const text = canonicalJson({ ...said, detail, ip, requestId, at, sequence });
  return createHash('sha256')
    .update(previousHash + text)
    .digest('hex');
}

/** JSON that is the same text for the same content: names in order, no spaces. */
function canonicalJson(content: unknown): string {
  return JSON.stringify(content, (_name, value: unknown) =>
    isRecord(value) ? Object.fromEntries(Object.entries(value).sort(byName)) : value,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byName([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1;
}
