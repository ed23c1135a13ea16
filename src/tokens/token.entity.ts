import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** How a token is renewed: the room that knows how registers itself for its kind. */
export type TokenKind = 'component' | 'authorizer';

/** The token of one appid: the component's own, or an account's that authorized us. */
@Entity('token')
@Index('idx_token_expires_at', ['expiresAt'])
export class TokenRow {
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  @Column({ type: 'varchar', length: 16 })
  kind: TokenKind;

  /** Sealed; null until it was fetched once, and after the authorization ended. */
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

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
