import { Injectable } from '@nestjs/common';

import { CHAIN_START, hashEntry } from './audit-chain.js';
import type { AuditChain, AuditEntry } from './audit-entry.entity.js';
import { AuditRepository, type ChainPlace } from './audit.repository.js';
import type { Caller } from './roles.js';

const PAGE = 500;

/** `cut_off`: entries are missing at the end, which only the head of the chain tells. */
export const CHAIN_FAULTS = ['changed', 'missing', 'cut_off'] as const;
export type ChainFault = (typeof CHAIN_FAULTS)[number];

export interface ChainBreak {
  sequence: number;
  /** Null where the entry is not there. */
  id: string | null;
  reason: ChainFault;
}

export interface ChainReport {
  tenantId: string;
  sealed: number;
  unsealed: number;
  brokenAt: ChainBreak | null;
}

/** A walk along a chain. */
interface Walk {
  tenantId: string;
  /** The entry that it has come to. */
  at: ChainPlace | null;
  /** What the next entry has to follow. */
  sequence: number;
  hash: string;
  sealed: number;
  /** The first fault; entries behind it are only counted. */
  brokenAt: ChainBreak | null;
}

/** Checks that the log is as it was sealed. */
@Injectable()
export class AuditVerifier {
  constructor(private readonly audit: AuditRepository) {}

  /** Every chain that the caller reads, with the first fault of each. */
  async verify(caller: Pick<Caller, 'allTenants' | 'tenantId'>): Promise<ChainReport[]> {
    const tenants = caller.allTenants ? await this.audit.findTenants() : [caller.tenantId];
    const reports: ChainReport[] = [];
    for (const tenantId of tenants) reports.push(await this.#verifyChain(tenantId));
    return reports;
  }

  async #verifyChain(tenantId: string): Promise<ChainReport> {
    const walk: Walk = {
      tenantId,
      at: null,
      sequence: 0,
      hash: CHAIN_START,
      sealed: 0,
      brokenAt: null,
    };
    await this.#walk(walk, Infinity);
    const head = (await this.audit.findChain(tenantId)) ?? {
      lastSequence: 0,
      lastHash: CHAIN_START,
    };
    // What was sealed while we walked: its entries were written together with the head.
    if (head.lastSequence > walk.sequence) await this.#walk(walk, head.lastSequence);
    const brokenAt = walk.brokenAt ?? compare(walk, head);
    const unsealed = await this.audit.countUnsealed(tenantId);
    return { tenantId, sealed: walk.sealed, unsealed, brokenAt };
  }

  /** Goes on to the end, a page in memory at a time. @param through behind this place nothing is looked at */
  async #walk(walk: Walk, through: number): Promise<void> {
    for (;;) {
      const entries = await this.audit.findSealed(walk.tenantId, walk.at, PAGE);
      for (const entry of entries) {
        const place = { id: entry.id, sequence: entry.sequence ?? 0 };
        if (place.sequence > through) return;
        step(walk, entry, place);
      }
      if (entries.length < PAGE) return;
    }
  }
}

function step(walk: Walk, entry: AuditEntry, place: ChainPlace): void {
  walk.at = place;
  walk.sealed += 1;
  if (walk.brokenAt) return;
  const expected = walk.sequence + 1;
  if (place.sequence > expected) {
    walk.brokenAt = { sequence: expected, id: null, reason: 'missing' };
    return;
  }
  const hash = hashEntry(walk.hash, entry, expected);
  if (place.sequence < expected || entry.hash !== hash) {
    walk.brokenAt = { ...place, reason: 'changed' };
    return;
  }
  walk.sequence = expected;
  walk.hash = hash;
}

/** What only the head tells: entries cut off the end, or a head that was tampered with itself. */
function compare(
  { sequence, hash, at }: Walk,
  head: Pick<AuditChain, 'lastSequence' | 'lastHash'>,
): ChainBreak | null {
  if (head.lastSequence > sequence) return { sequence: sequence + 1, id: null, reason: 'cut_off' };
  if (head.lastSequence === sequence && head.lastHash === hash) return null;
  return { sequence, id: at?.id ?? null, reason: 'changed' };
}
