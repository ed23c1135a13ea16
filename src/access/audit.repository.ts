import { Injectable } from '@nestjs/common';
import { Brackets, IsNull, LessThanOrEqual, Not } from 'typeorm';

import { firstIdOf } from '../common/first-id.js';
import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { AuditChain, AuditEntry } from './audit-entry.entity.js';

export interface AuditFilter {
  /** Whose log; null for everybody's and the platform's. */
  tenantId: string | null;
  /** The name or id of a key, another actor's name, or a type of actor. */
  actor?: string;
  action?: string;
  target?: string;
  /** From this moment on. */
  from?: Date;
  /** Before this moment. */
  to?: Date;
}

/** Where an entry stands in its chain. */
export interface ChainPlace {
  id: string;
  sequence: number;
}

/** The same with what seals it there. */
export interface Seal extends ChainPlace {
  hash: string;
}

@Injectable()
export class AuditRepository {
  constructor(private readonly db: Database) {}

  async insert(tx: Tx, entry: AuditEntry): Promise<void> {
    await tx.insert(AuditEntry, entry);
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(filter: AuditFilter, limit: number, after: Position | null): Promise<AuditEntry[]> {
    const { tenantId, actor, action, target, from, to } = filter;
    const query = this.db.read.createQueryBuilder(AuditEntry, 'entry');
    if (tenantId !== null) query.andWhere({ tenantId });
    if (actor !== undefined) query.andWhere(isBy(actor));
    if (action !== undefined) query.andWhere({ action });
    if (target !== undefined) query.andWhere({ target });
    // Ids grow with time: by them the database finds a period without reading what is newer.
    if (from) query.andWhere('entry.id >= :from', { from: firstIdOf(from.getTime()) });
    if (to) query.andWhere('entry.id < :to', { to: firstIdOf(to.getTime()) });
    if (after) query.andWhere('entry.id < :after', { after: after.id });
    return query
      .orderBy('entry.id', 'DESC')
      .take(limit + 1)
      .getMany();
  }

  /** Whoever has entries from before `moment` that are not sealed. */
  async findTenantsToSeal(moment: Date): Promise<string[]> {
    const rows = await this.db.read
      .createQueryBuilder(AuditEntry, 'entry')
      .select('entry.tenantId', 'tenantId')
      .distinct(true)
      .where({ sequence: IsNull(), at: LessThanOrEqual(moment) })
      .getRawMany<{ tenantId: string }>();
    return rows.map(({ tenantId }) => tenantId);
  }

  /** Whoever has entries or a chain. */
  async findTenants(): Promise<string[]> {
    const rows = await this.db.read
      .createQueryBuilder(AuditEntry, 'entry')
      .select('entry.tenantId', 'tenantId')
      .distinct(true)
      .getRawMany<{ tenantId: string }>();
    const chains = await this.db.read.find(AuditChain, { select: { tenantId: true } });
    return [...new Set([...rows, ...chains].map(({ tenantId }) => tenantId))].sort();
  }

  findChain(tenantId: string, on: Tx = this.db.read): Promise<AuditChain | null> {
    return on.findOneBy(AuditChain, { tenantId });
  }

  /** Begins a chain, unless it has begun. */
  async insertChain(tx: Tx, chain: AuditChain): Promise<void> {
    await tx.createQueryBuilder().insert().into(AuditChain).values(chain).orIgnore().execute();
  }

  /** Entries from before `moment` that are not sealed, the oldest first. */
  findUnsealed(tx: Tx, tenantId: string, moment: Date, limit: number): Promise<AuditEntry[]> {
    return tx.find(AuditEntry, {
      where: { tenantId, sequence: IsNull(), at: LessThanOrEqual(moment) },
      order: { id: 'ASC' },
      take: limit,
    });
  }

  /** @returns false when the chain is no longer as it was read, and nothing was written */
  async advanceChain(
    tx: Tx,
    { tenantId, lastSequence, lastHash }: AuditChain,
    last: Seal,
  ): Promise<boolean> {
    const { affected } = await tx.update(
      AuditChain,
      { tenantId, lastSequence, lastHash },
      { lastSequence: last.sequence, lastHash: last.hash },
    );
    return affected === 1;
  }

  async seal(tx: Tx, { id, sequence, hash }: Seal): Promise<void> {
    await tx.update(AuditEntry, { id, sequence: IsNull() }, { sequence, hash });
  }

  /** Sealed entries in the order of the chain; of the same place, if somebody made them so, by their ids. */
  findSealed(tenantId: string, after: ChainPlace | null, limit: number): Promise<AuditEntry[]> {
    const query = this.db.read
      .createQueryBuilder(AuditEntry, 'entry')
      .where({ tenantId, sequence: Not(IsNull()) });
    if (after) query.andWhere(comesAfter(after));
    return query
      .orderBy('entry.sequence', 'ASC')
      .addOrderBy('entry.id', 'ASC')
      .take(limit)
      .getMany();
  }

  countUnsealed(tenantId: string): Promise<number> {
    return this.db.read.countBy(AuditEntry, { tenantId, sequence: IsNull() });
  }
}

function comesAfter({ sequence, id }: ChainPlace): Brackets {
  return new Brackets((where) =>
    where
      .where('entry.sequence > :sequence', { sequence })
      .orWhere('entry.sequence = :sequence AND entry.id > :id', { sequence, id }),
  );
}

function isBy(actor: string): Brackets {
  return new Brackets((where) =>
    where.where({ actorName: actor }).orWhere({ actorId: actor }).orWhere({ actorType: actor }),
  );
}
