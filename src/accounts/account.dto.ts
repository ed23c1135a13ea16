import { MINIMUM_PERMISSIONS, permissionName } from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsIn, IsOptional, IsString, Length, Matches } from 'class-validator';

import { TENANT_ID } from '../access/roles.js';
import { PageQueryDto } from '../common/paging.js';
import { type Account, AUTHORIZATION_STATES } from './account.entity.js';

export const ACCOUNT_TYPES = ['official_account', 'mini_program'] as const;
const SUBTYPES = ['service_account', 'subscription_account', 'mini_program'] as const;
const ACCOUNT_STATUSES = ['normal', 'cancelled', 'banned', 'warned', 'frozen'] as const;
const LIST_STATES = [...AUTHORIZATION_STATES, 'unclaimed'] as const;

export class PermissionRefDto {
  @ApiProperty({ description: '微信权限集编号 / WeChat’s id of the permission set', example: 7 })
  id: number;

  @ApiProperty({ description: '权限集名称 / Its name', example: '群发与通知' })
  name: string;
}

export class PermissionDto extends PermissionRefDto {
  @ApiProperty({ description: '是否为最低要求 / Whether it belongs to the minimum', example: true })
  required: boolean;

  @ApiProperty({
    description: '管理员是否已授权 / Whether the administrator granted it',
    example: true,
  })
  granted: boolean;
}

export class AuthorizationStateDto {
  @ApiProperty({
    enum: AUTHORIZATION_STATES,
    description: '授权状态 / Whether WeChat lets us act for the account',
    example: 'authorized',
  })
  state: (typeof AUTHORIZATION_STATES)[number];

  @ApiProperty({
    example: '2026-11-22T08:00:00.000Z',
    format: 'date-time',
    description: '最近一次授权时间 / The last authorization',
  })
  authorizedAt: Date;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description: '取消授权时间 / When it was cancelled',
  })
  unauthorizedAt: Date | null;
}

export class AccountDto {
  @ApiProperty({ example: 'wx1badb002feedface' })
  appid: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'default',
    description: '所属租户；null 表示无人认领 / The tenant that holds it; null while unclaimed',
  })
  tenantId: string | null;

  @ApiProperty({
    enum: ACCOUNT_TYPES,
    example: 'official_account',
    description: '公众号或小程序 / Official account or mini-program',
  })
  accountType: (typeof ACCOUNT_TYPES)[number];

  @ApiProperty({
    enum: SUBTYPES,
    example: 'service_account',
    description: '服务号、订阅号或小程序 / Which sort of it',
  })
  subtype: (typeof SUBTYPES)[number];

  @ApiProperty({ example: '示例花店' })
  nickname: string;

  @ApiProperty({
    example: 'http://wx.qlogo.cn/mmopen/example/0',
    description: '头像 / Picture; may be empty',
  })
  avatarUrl: string;

  @ApiProperty({ example: 'gh_0123456789ab', description: '原始ID / Original id' })
  originalId: string;

  @ApiProperty({ example: '', description: '微信号 / Alias; often empty' })
  alias: string;

  @ApiProperty({ example: '示例花店有限公司', description: '主体名称 / Legal entity' })
  principalName: string;

  @ApiProperty({
    example: true,
    description: '是否已微信认证（verifyType 为 0）/ WeChat-verified, i.e. verifyType is 0',
  })
  verified: boolean;

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 0,
    description:
      '微信的 verify_type；null 表示尚未取得 / WeChat’s verify_type; null until it was read',
  })
  verifyType: number | null;

  @ApiProperty({
    enum: ACCOUNT_STATUSES,
    example: 'normal',
    description: '账号状态 / Status at WeChat',
  })
  accountStatus: (typeof ACCOUNT_STATUSES)[number];

  @ApiProperty({ type: AuthorizationStateDto })
  authorization: AuthorizationStateDto;

  @ApiProperty({
    type: [PermissionDto],
    description: '最低要求与已授权的权限集 / The minimum, and what was granted',
  })
  permissions: PermissionDto[];

  @ApiProperty({
    type: [PermissionRefDto],
    description: '缺少的最低权限 / What of the minimum is missing',
    example: [],
  })
  missingPermissions: PermissionRefDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'wx_openid_flower_shop',
    description: '存放 OpenID 的用户属性 / The user property that holds the openid',
  })
  openidProperty: string | null;

  @ApiProperty({ example: false, description: '是否已启用 / Whether it is switched on' })
  enabled: boolean;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.000Z',
    description: '最近一次从微信读取详情的时间 / When its details were last read from WeChat',
  })
  syncedAt: Date | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  updatedAt: Date;
}

export class AccountPageDto {
  @ApiProperty({ type: [AccountDto] })
  items: AccountDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: '下一页游标 / Cursor of the next page',
  })
  nextCursor: string | null;
}

export class ListAccountsDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: ACCOUNT_TYPES })
  @IsOptional()
  @IsIn(ACCOUNT_TYPES)
  accountType?: (typeof ACCOUNT_TYPES)[number];

  @ApiPropertyOptional({ type: Boolean })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) =>
    value === 'true' ? true : value === 'false' ? false : value,
  )
  @IsBoolean()
  enabled?: boolean;

  @ApiPropertyOptional({
    enum: LIST_STATES,
    description:
      'unclaimed：无人认领的账号，仅 owner 可见 / `unclaimed`: nobody asked for them, owners only',
  })
  @IsOptional()
  @IsIn(LIST_STATES)
  state?: (typeof LIST_STATES)[number];

  @ApiPropertyOptional({
    description:
      '按名称、主体、AppID、原始ID 或微信号搜索 / Searches name, entity, appid, original id, alias',
  })
  @IsOptional()
  @IsString()
  @Length(1, 64)
  q?: string;
}

export class ClaimAccountDto {
  @ApiProperty({
    pattern: TENANT_ID.source,
    description: '新的所属租户 / The tenant that it will belong to',
    example: 'brand-a',
  })
  @Matches(TENANT_ID)
  tenantId: string;
}

export class SyncFailureDto {
  @ApiProperty({ example: 'wx1badb002feedface' })
  appid: string;

  @ApiProperty({ example: 'wechat_error', description: '稳定的错误码 / Stable code' })
  code: string;

  @ApiProperty({ example: '微信系统繁忙，请稍后重试。', description: '处理建议 / What to do' })
  detail: string;
}

export class SyncReportDto {
  @ApiProperty({ type: [String], description: '新增 / New to us', example: ['wx1badb002feedface'] })
  added: string[];

  @ApiProperty({ type: [String], description: '有变化 / Changed', example: [] })
  updated: string[];

  @ApiProperty({
    type: [String],
    description: '微信侧已取消授权 / No longer authorized at WeChat',
    example: [],
  })
  unauthorized: string[];

  @ApiProperty({ description: '无变化的数量 / How many are as they were', example: 41 })
  unchanged: number;

  @ApiProperty({
    type: [SyncFailureDto],
    description: '未能读取，保持原样 / Could not be read, left as they were',
  })
  failed: SyncFailureDto[];
}

/** What of the minimum the account's administrator did not grant. */
export function missingPermissions(
  account: Pick<Account, 'accountType' | 'permissionIds'>,
): PermissionRefDto[] {
  const granted = new Set(account.permissionIds);
  return minimumOf(account)
    .filter((id) => !granted.has(id))
    .map((id) => ({ id, name: permissionName(id) }));
}

export function toAccountDto(account: Account): AccountDto {
  const required = new Set(minimumOf(account));
  const granted = new Set(account.permissionIds);
  const ids = [...new Set([...required, ...granted])].sort((a, b) => a - b);
  return {
    appid: account.appid,
    tenantId: account.tenantId,
    accountType: account.accountType,
    subtype: account.subtype,
    nickname: account.nickname,
    avatarUrl: account.avatarUrl,
    originalId: account.originalId,
    alias: account.alias,
    principalName: account.principalName,
    verified: account.verifyType === 0,
    verifyType: account.verifyType,
    accountStatus: account.accountStatus,
    authorization: {
      state: account.authorizationState,
      authorizedAt: account.authorizedAt,
      unauthorizedAt: account.unauthorizedAt,
    },
    permissions: ids.map((id) => ({
      id,
      name: permissionName(id),
      required: required.has(id),
      granted: granted.has(id),
    })),
    missingPermissions: missingPermissions(account),
    openidProperty: account.openidProperty,
    enabled: account.enabled,
    syncedAt: account.syncedAt,
    createdAt: account.createdAt,
    updatedAt: account.updatedAt,
  };
}

function minimumOf({ accountType }: Pick<Account, 'accountType'>): number[] {
  return MINIMUM_PERMISSIONS[accountType].map((permission) => permission.id);
}
