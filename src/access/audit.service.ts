import { Injectable } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Clock } from '../common/clock.js';
import { requestContext } from '../common/request-context.js';
import type { Tx } from '../database/database.js';
import type { AuditActorType, AuditOutcome } from './audit-entry.entity.js';
import { AuditRepository } from './audit.repository.js';
import type { Caller } from './roles.js';

/** Somebody or something that changes things without an API key. */
export interface AuditActor {
  type: Exclude<AuditActorType, 'api_key'>;
  /** E.g. the name of the job or the kind of the push. */
  name: string;
}

/** What was done. No secret and no openid may be in it. */
export interface AuditRecord {
  actor: Caller | AuditActor;
  /** E.g. `account.claimed`. */
  action: string;
  /** E.g. an appid. */
  target: string;
  /** Whose log it belongs in; null for what concerns no tenant. */
  tenantId: string | null;
  outcome?: AuditOutcome;
  detail?: object;
}

/** The log of who did what. */
@Injectable()
export class AuditService {
  constructor(
    private readonly audit: AuditRepository,
    private readonly clock: Clock,
  ) {}

  /** Writes down a change in its own transaction: there is never one without the other. */
  async record(tx: Tx, about: AuditRecord): Promise<void> {
    const { actor, action, target, tenantId, outcome = 'succeeded', detail = {} } = about;
    const at = this.clock.now();
    const isCaller = 'keyId' in actor;
    const context = requestContext.getStore();
    await this.audit.insert(tx, {
      id: uuidV7({ msecs: at.getTime() }),
      tenantId: tenantId ?? '',
      actorType: isCaller ? 'api_key' : actor.type,
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
}
