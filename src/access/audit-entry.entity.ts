import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

const asJson = {
  to: (value: object): string => JSON.stringify(value),
  // Somebody may have meddled with it: that must neither hide the rest of the log nor keep it from being checked.
  from: (text: string): object => {
    try {
      return JSON.parse(text) as object;
    } catch {
      return { unreadable: text };
    }
  },
};

/** Who did it: a key of ours, WeChat by a push, a person on one of our pages, or the service by itself. */
export const AUDIT_ACTORS = ['api_key', 'wechat', 'page', 'system'] as const;
export type AuditActorType = (typeof AUDIT_ACTORS)[number];
export type AuditOutcome = 'succeeded' | 'failed';

/** One administrative or account-state change. Written with the change, never changed but to be sealed, never deleted. */
@Entity('audit_entry')
@Index('idx_audit_entry_tenant_id', ['tenantId', 'id'])
@Index('idx_audit_entry_target', ['target'])
@Index('idx_audit_entry_chain', ['tenantId', 'sequence'])
export class AuditEntry {
  /** UUID v7 of ours: ids grow with time. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** Whose log it stands in; empty for what concerns no tenant: the platform's own. */
  @Column({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  @Column({ name: 'actor_type', type: 'varchar', length: 16 })
  actorType: AuditActorType;

  /** The id of the key; null where there is none. */
  @Column({ name: 'actor_id', type: 'varchar', length: 64, nullable: true })
  actorId: string | null;

  @Column({ name: 'actor_name', type: 'varchar', length: 128 })
  actorName: string;

  /** What was done, e.g. `account.claimed`. */
  @Column({ type: 'varchar', length: 64 })
  action: string;

  /** To what, e.g. an appid. */
  @Column({ type: 'varchar', length: 160 })
  target: string;

  @Column({ type: 'varchar', length: 16 })
  outcome: AuditOutcome;

  /** Plain facts: no secret, no openid. */
  @Column({ type: 'text', transformer: asJson })
  detail: object;

  /** The caller's address, as far as it can be believed; null for what no caller did. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  ip: string | null;

  @Column({ name: 'request_id', type: 'varchar', length: 128, nullable: true })
  requestId: string | null;

  @Column({ type: 'datetime', precision: 3 })
  at: Date;

  /** Its place in the tenant's chain, from 1; null until it is sealed. */
  @Column({ type: 'integer', nullable: true })
  sequence: number | null;

  /** SHA-256 over the entry before it and this one; null until it is sealed. */
  @Column({ type: 'varchar', length: 64, nullable: true })
  hash: string | null;
}

/** How far a tenant's chain goes: entries cut off its end are missed by it. */
@Entity('audit_chain')
export class AuditChain {
  @PrimaryColumn({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  @Column({ name: 'last_sequence', type: 'integer' })
  lastSequence: number;

  @Column({ name: 'last_hash', type: 'varchar', length: 64 })
  lastHash: string;
}
