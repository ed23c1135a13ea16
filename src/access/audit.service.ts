import { Injectable } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Clock } from '../common/clock.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { currentRequest } from '../common/request-context.js';
import type { Tx } from '../database/database.js';
import type { AuditActorType, AuditEntry, AuditOutcome } from './audit-entry.entity.js';
import { type AuditFilter, AuditRepository } from './audit.repository.js';
import type { Caller } from './roles.js';

/** Somebody or something that changes things without an API key. */
export interface AuditActor {
  type: Exclude<AuditActorType, 'api_key'>;
  /** E.g. the name of the job or the kind of the push. */
  name: string;
}

/** Who changes something. Handed down to whatever writes the change. */
export type Actor = Caller | AuditActor;

/** What was done. No secret and no openid may be in it. */
export interface AuditRecord {
  actor: Actor;
  /** E.g. `account.claimed`. */
  action: string;
  /** E.g. an appid. */
  target: string;
  /** Whose log it belongs in; null for what concerns no tenant. */
  tenantId: string | null;
  outcome?: AuditOutcome;
  detail?: object;
}

export interface AuditQuery extends Omit<AuditFilter, 'tenantId'> {
  limit: number;
  cursor?: string;
}

/** The log of who did what. */
@Injectable()
export class AuditService {
  /** Counted on in the ids: entries of one moment stay in their order. */
  #serial = 0;

  constructor(
    private readonly audit: AuditRepository,
    private readonly clock: Clock,
  ) {}

  /** Writes down a change in its own transaction: there is never one without the other. */
  async record(tx: Tx, about: AuditRecord): Promise<void> {
    const { actor, action, target, tenantId, outcome = 'succeeded', detail = {} } = about;
    const at = this.clock.now();
    const isCaller = 'keyId' in actor;
    const type = isCaller ? 'api_key' : actor.type;
    // What the service does by itself is no request's doing, even if one has set it going.
    const context = type === 'system' ? undefined : currentRequest();
    this.#serial = (this.#serial + 1) % 2 ** 31;
    await this.audit.insert(tx, {
      id: uuidV7({ msecs: at.getTime(), seq: this.#serial }),
      tenantId: tenantId ?? '',
      actorType: type,
      actorId: isCaller ? actor.keyId : null,
      actorName: actor.name,
      action,
      target,
      outcome,
      detail,
      ip: context?.ip ?? null,
      requestId: context?.requestId ?? null,
      at,
      sequence: null,
      hash: null,
    });
  }

  /** The newest first; of the caller's tenant, or for an owner that named none, everything. */
  async list(
    caller: Pick<Caller, 'allTenants' | 'tenantId'>,
    { limit, cursor, ...filter }: AuditQuery,
  ): Promise<Page<AuditEntry>> {
    const tenantId = caller.allTenants ? null : caller.tenantId;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.audit.findPage({ ...filter, tenantId }, limit, after);
    return toPage(
      rows,
      limit,
      ({ at, id }) => ({ at, id }),
      (row) => row,
    );
  }
}
