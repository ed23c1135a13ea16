import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { Role } from './roles.js';

/** A key that opens the API. The key itself is shown once and not kept. */
@Entity('api_key')
@Index('uq_api_key_key_hash', ['keyHash'], { unique: true })
@Index('uq_api_key_name', ['tenantId', 'name'], { unique: true })
export class ApiKey {
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  /** Who or what uses it. */
  @Column({ type: 'varchar', length: 128 })
  name: string;

  @Column({ type: 'varchar', length: 16 })
  role: Role;

  @Column({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  /** SHA-256 of the key, hex. A key has 256 random bits, so a plain digest cannot be searched. */
  @Column({ name: 'key_hash', type: 'varchar', length: 64 })
  keyHash: string;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  /** How the key begins: enough to tell it by, nothing to open anything with. Null for keys made before there was one. */
  @Column({ type: 'varchar', length: 16, nullable: true })
  prefix: string | null;

  /** From then on it opens nothing; null for never. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3, nullable: true })
  expiresAt: Date | null;

  /** To within a minute; null until it was used. */
  @Column({ name: 'last_used_at', type: 'datetime', precision: 3, nullable: true })
  lastUsedAt: Date | null;
}
