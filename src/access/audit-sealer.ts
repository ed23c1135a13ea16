import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { Database } from '../database/database.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { CHAIN_START, hashEntry } from './audit-chain.js';
import type { AuditEntry } from './audit-entry.entity.js';
import { AuditRepository, type Seal } from './audit.repository.js';

const EVERY_SECONDS = 60;
/** A younger entry waits: one with a smaller id may still be on its way. */
const SEAL_AFTER_MS = 5_000;
const PAGE = 100;

/** Seals the log: each tenant's entries form a chain of hashes, in which no entry is changed or left out unnoticed. */
@Injectable()
export class AuditSealer implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly audit: AuditRepository,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.schedule.every('seal-audit', EVERY_SECONDS, () => this.sealAudit());
  }

  /** Seals what is not sealed yet. Several processes may do so at once. */
  async sealAudit(): Promise<void> {
    const until = new Date(this.clock.now().getTime() - SEAL_AFTER_MS);
    for (const tenantId of await this.audit.findTenantsToSeal(until)) {
      await this.#begin(tenantId);
      while ((await this.#sealPage(tenantId, until)) === PAGE);
    }
  }

  async #begin(tenantId: string): Promise<void> {
    if (await this.audit.findChain(tenantId)) return;
    const chain = { tenantId, lastSequence: 0, lastHash: CHAIN_START };
    await this.db.write((tx) => this.audit.insertChain(tx, chain));
  }

  /** @returns how many were sealed; 0 too when another process was faster: it goes on */
  #sealPage(tenantId: string, until: Date): Promise<number> {
    return this.db.write(async (tx) => {
      // Read before the entries: whoever seals one of them in between moves the chain, which is noticed below.
      const chain = await this.audit.findChain(tenantId, tx);
      const entries = await this.audit.findUnsealed(tx, tenantId, until, PAGE);
      const seals = chain ? chainUp(chain.lastSequence, chain.lastHash, entries) : [];
      const last = seals.at(-1);
      if (!chain || !last || !(await this.audit.advanceChain(tx, chain, last))) return 0;
      for (const seal of seals) await this.audit.seal(tx, seal);
      return seals.length;
    });
  }
}

function chainUp(lastSequence: number, lastHash: string, entries: readonly AuditEntry[]): Seal[] {
  let hash = lastHash;
  return entries.map((entry, n) => {
    const sequence = lastSequence + n + 1;
    hash = hashEntry(hash, entry, sequence);
    return { id: entry.id, sequence, hash };
  });
}
