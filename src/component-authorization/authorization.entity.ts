import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

import type { FailureCode } from './failures.js';

export const ASKED_TYPES = ['official_account', 'mini_program', 'any'] as const;
export type AskedType = (typeof ASKED_TYPES)[number];

/** A pending one whose code has run out is shown as `expired`; the row itself stays pending. */
export type AuthorizationStatus = 'pending' | 'completed' | 'failed';

/** One request of ours that an administrator authorize an account. */
@Entity('authorization')
@Index('uq_authorization_state_hash', ['stateHash'], { unique: true })
@Index('uq_authorization_pre_auth_code_hash', ['preAuthCodeHash'], { unique: true })
@Index('idx_authorization_status_expires_at', ['status', 'expiresAt'])
export class Authorization {
  /** Unguessable: it is the address of the launch page. */
  @PrimaryColumn({ type: 'varchar', length: 43 })
  id: string;

  /** Whose the account will be. */
  @Column({ name: 'tenant_id', type: 'varchar', length: 64 })
  tenantId: string;

  @Column({ name: 'account_type', type: 'varchar', length: 20 })
  accountType: AskedType;

  /** Only this account may be chosen: its authorization is updated. */
  @Column({ name: 'only_appid', type: 'varchar', length: 32, nullable: true })
  onlyAppid: string | null;

  /** The OpenID property to set on an account that has none. */
  @Column({ name: 'openid_property', type: 'varchar', length: 128, nullable: true })
  openidProperty: string | null;

  /** Only these permission sets are shown to the administrator; null for all. */
  @Column({ name: 'only_permission_ids', type: 'simple-json', nullable: true })
  onlyPermissionIds: number[] | null;

  /** Sealed; stands in the address that WeChat sends the browser back to. */
  @Column({ name: 'state_token', type: 'text' })
  stateToken: string;

  @Column({ name: 'state_hash', type: 'varchar', length: 64 })
  stateHash: string;

  /** Sealed; WeChat's events name it, which is how they find this row. */
  @Column({ name: 'pre_auth_code', type: 'text' })
  preAuthCode: string;

  @Column({ name: 'pre_auth_code_hash', type: 'varchar', length: 64 })
  preAuthCodeHash: string;

  /** The code that the redirect brought: the state serves no other one. */
  @Column({ name: 'auth_code_hash', type: 'varchar', length: 64, nullable: true })
  authCodeHash: string | null;

  /** When WeChat's answer to that code was lost: the code may be spent, and the account has to be found. */
  @Column({ name: 'answer_lost_at', type: 'datetime', precision: 3, nullable: true })
  answerLostAt: Date | null;

  @Column({ type: 'varchar', length: 16 })
  status: AuthorizationStatus;

  /** The account that was chosen, once it is known. */
  @Column({ type: 'varchar', length: 32, nullable: true })
  appid: string | null;

  /** What the scan has brought and taken of the account's permission sets; null where it held the account for the first time. */
  @Column({ name: 'gained_permission_ids', type: 'simple-json', nullable: true })
  gainedPermissionIds: number[] | null;

  @Column({ name: 'lost_permission_ids', type: 'simple-json', nullable: true })
  lostPermissionIds: number[] | null;

  @Column({ name: 'failure_code', type: 'varchar', length: 64, nullable: true })
  failureCode: FailureCode | null;

  /** WeChat's own code behind the failure, to say what to do about it. */
  @Column({ name: 'failure_errcode', type: 'integer', nullable: true })
  failureErrcode: number | null;

  @Column({ name: 'created_at', type: 'datetime', precision: 3 })
  createdAt: Date;

  /** With its pre-auth code. */
  @Column({ name: 'expires_at', type: 'datetime', precision: 3 })
  expiresAt: Date;

  @Column({ name: 'finished_at', type: 'datetime', precision: 3, nullable: true })
  finishedAt: Date | null;
}
