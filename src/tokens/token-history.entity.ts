import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** How a refresh token came to us. */
export type TokenSourceName = 'authorization' | 'refresh' | 'list';

/** A refresh token that WeChat gave us: never changed, so that none that is still good is ever lost. */
@Entity('token_history')
@Index('uq_token_history_appid_fingerprint', ['appid', 'fingerprint'], { unique: true })
export class TokenHistoryRow {
  /** UUID v7 of ours: ids grow with time. */
  @PrimaryColumn({ type: 'varchar', length: 36 })
  id: string;

  @Column({ type: 'varchar', length: 32 })
  appid: string;

  /** SHA-256 of the token: the same one is kept once. */
  @Column({ type: 'varchar', length: 64 })
  fingerprint: string;

  /** Sealed. */
  @Column({ name: 'refresh_token', type: 'text' })
  refreshToken: string;

  @Column({ name: 'authorization_epoch', type: 'integer' })
  authorizationEpoch: number;

  @Column({ type: 'varchar', length: 16 })
  source: TokenSourceName;

  @Column({ name: 'received_at', type: 'datetime', precision: 3 })
  receivedAt: Date;
}
