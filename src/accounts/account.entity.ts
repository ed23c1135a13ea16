import type { AccountStatus, AccountSubtype, AccountType } from '@app/wechat';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** `reauthorization_required`: WeChat no longer takes our credentials, a new scan does. */
export const AUTHORIZATION_STATES = [
  'authorized',
  'unauthorized',
  'reauthorization_required',
] as const;
export type AuthorizationState = (typeof AUTHORIZATION_STATES)[number];

/** An official account or mini-program that authorized us at least once. */
@Entity('account')
@Index('idx_account_tenant_authorized_at', ['tenantId', 'authorizedAt'])
@Index('idx_account_authorized_at', ['authorizedAt'])
@Index('uq_account_tenant_openid_property', ['tenantId', 'openidProperty'], { unique: true })
export class Account {
  /** WeChat's appid, e.g. `wx1badb002feedface`. */
  @PrimaryColumn({ type: 'varchar', length: 32 })
  appid: string;

  /** Who holds it; null while nobody has asked for it. */
  @Column({ name: 'tenant_id', type: 'varchar', length: 64, nullable: true })
  tenantId: string | null;

  @Column({ name: 'account_type', type: 'varchar', length: 20 })
  accountType: AccountType;

  @Column({ type: 'varchar', length: 24 })
  subtype: AccountSubtype;

  @Column({ type: 'varchar', length: 255 })
  nickname: string;

  /** WeChat's own address of the picture, or empty. */
  @Column({ name: 'avatar_url', type: 'varchar', length: 1024 })
  avatarUrl: string;

  /** WeChat's own address of the picture of its QR code; null where it shows none. */
  @Column({ name: 'qrcode_url', type: 'varchar', length: 1024, nullable: true })
  qrcodeUrl: string | null;

  /** 原始ID, `gh_…`: what `ToUserName` of its messages says. */
  @Column({ name: 'original_id', type: 'varchar', length: 64 })
  originalId: string;

  /** 微信号; often empty. */
  @Column({ type: 'varchar', length: 128 })
  alias: string;

  /** 主体名称, the legal entity. */
  @Column({ name: 'principal_name', type: 'varchar', length: 255 })
  principalName: string;

  /** WeChat's verify_type: 0 is WeChat-verified; null until the details were read once. */
  @Column({ name: 'verify_type', type: 'integer', nullable: true })
  verifyType: number | null;

  @Column({ name: 'account_status', type: 'varchar', length: 16 })
  accountStatus: AccountStatus;

  /** Ids of the permission sets that the administrator granted, ascending. */
  @Column({ name: 'permission_ids', type: 'simple-json' })
  permissionIds: number[];

  @Column({ name: 'authorization_state', type: 'varchar', length: 32 })
  authorizationState: AuthorizationState;

  @Column({ name: 'authorized_at', type: 'datetime', precision: 3 })
  authorizedAt: Date;

  @Column({ name: 'unauthorized_at', type: 'datetime', precision: 3, nullable: true })
  unauthorizedAt: Date | null;

  /** WeChat's time of the last authorization change that was taken in: an event from before it changes nothing. */
  @Column({ name: 'authorization_changed_at', type: 'datetime', precision: 3 })
  authorizationChangedAt: Date;

  /** The marketing platform's user property that holds a person's openid for this account. */
  @Column({ name: 'openid_property', type: 'varchar', length: 128, nullable: true })
  openidProperty: string | null;

  @Column({ type: 'integer', transformer: { to: Number, from: Boolean } })
  enabled: boolean;

  /** Since when it is switched on although a check fails; null while none does. */
  @Column({ name: 'flagged_at', type: 'datetime', precision: 3, nullable: true })
  flaggedAt: Date | null;

  /** When the details were last read from WeChat; null until then. */
  @Column({ name: 'synced_at', type: 'datetime', precision: 3, nullable: true })
  syncedAt: Date | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  @Column({ name: 'updated_at', type: 'datetime', precision: 3 })
  updatedAt: Date;
}
