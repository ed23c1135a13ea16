import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** How a token is renewed: the room that knows how registers itself for its kind. `own`: as the account itself would. */
export type TokenKind = 'component' | 'authorizer' | 'own';

/** `failing`: WeChat has refused or not answered several times. `reauthorization_required`: only a new scan helps. */
export type TokenState = 'ok' | 'failing' | 'reauthorization_required';

/** A token: the component's own, that of an account that authorized us, or one that an account has by itself. */
@Entity('token')
@Index('idx_token_expires_at', ['expiresAt'])
export class TokenRow {
  /** The key that it is kept by: an appid, and for an account's second token one that is made of it. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 16 })
  kind: TokenKind;

  /** Sealed; null until it was fetched once, after WeChat called it stale, and after the authorization ended. */
  @Column({ name: 'access_token', type: 'text', nullable: true })
  accessToken: string | null;

  /** Sealed; null for the component, whose ticket does its work, and after the authorization ended. */
  @Column({ name: 'refresh_token', type: 'text', nullable: true })
  refreshToken: string | null;

  /** When the access token ends, by WeChat's `expires_in` and our clock at the answer. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3, nullable: true })
  expiresAt: Date | null;

  /** Raised by every change, so that an answer that comes late cannot overwrite a newer one. */
  @Column({ type: 'integer' })
  version: number;

  /** Raised by every authorization and its end: voids a refresh that is under way. */
  @Column({ name: 'authorization_epoch', type: 'integer', default: 0 })
  authorizationEpoch: number;

  /** Raised whenever the right to refresh is taken: what an earlier holder writes changes nothing. */
  @Column({ name: 'lease_epoch', type: 'integer', default: 0 })
  leaseEpoch: number;

  /** Until then one process refreshes it, by the database's clock; null while none does. */
  @Column({ name: 'lease_until', type: 'datetime', precision: 3, nullable: true })
  leaseUntil: Date | null;

  @Column({ type: 'varchar', length: 32, default: 'ok' })
  state: TokenState;

  /** Refreshes that have failed one after the other. */
  @Column({ name: 'fail_count', type: 'integer', default: 0 })
  failCount: number;

  /** After failures, not tried before this moment; null when it may be tried at once. */
  @Column({ name: 'next_try_at', type: 'datetime', precision: 3, nullable: true })
  nextTryAt: Date | null;

  /** When the access token was got, while there is one. */
  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
