import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { SendFailure } from './send-failure.js';
import type { StrategyName } from './strategies/strategy.js';

/** How a mini-program's own token is got, and how that goes. */
@Entity('send_config')
@Index('uq_send_config_tenant_url_digest', ['tenantId', 'urlDigest'], { unique: true })
export class SendConfig {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Who held the account when it was saved: an address serves one mini-program of a tenant. */
  @Column({ name: 'tenant_id', type: 'varchar', length: 64, nullable: true })
  tenantId: string | null;

  @Column({ type: 'varchar', length: 20 })
  strategy: StrategyName;

  /** Sealed JSON, whose fields the strategy knows. */
  @Column({ type: 'text' })
  settings: string;

  /** Tells addresses apart without showing them; null where the strategy has none. */
  @Column({ name: 'url_digest', type: 'varchar', length: 64, nullable: true })
  urlDigest: string | null;

  /** Raised by every save: what an earlier one's fetch brings is not held for this one's. */
  @Column({ type: 'integer' })
  revision: number;

  /** When somebody last had it tried, by saving it or by a test; null when it was never tried. */
  @Column({ name: 'verified_at', type: 'datetime', precision: 3, nullable: true })
  verifiedAt: Date | null;

  /** What became of that; null when it went well. */
  @Column({ name: 'verified_failure', type: 'simple-json', nullable: true })
  verifiedFailure: SendFailure | null;

  /** The last time that it gave a token, to whoever asked. */
  @Column({ name: 'succeeded_at', type: 'datetime', precision: 3, nullable: true })
  succeededAt: Date | null;

  @Column({ name: 'failed_at', type: 'datetime', precision: 3, nullable: true })
  failedAt: Date | null;

  @Column({ type: 'simple-json', nullable: true })
  failure: SendFailure | null;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
