import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Length, Matches, ValidateIf } from 'class-validator';

import { TENANT_ID } from '../access/roles.js';
import { PageQueryDto } from '../common/paging.js';
import { QueryBoolean } from '../common/query-boolean.js';
import { AUTHORIZATION_STATES } from './account.entity.js';
import { ACCOUNT_SORTS, type AccountSort } from './accounts.repository.js';
import { CHECK_IDS, type CheckId } from './enable-checks.js';
import { SCENES, type Scene } from './scenes.js';
import { PROPERTY_NAME } from './user-properties/openid-property.js';

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

export class SceneReasonDto {
  @ApiProperty({
    example: 'account_disabled',
    description:
      'kind_not_supported, account_not_authorized, account_disabled, account_not_verified, permission_missing, send_config_missing, receipt_config_missing, quota_exhausted',
  })
  code: string;

  @ApiProperty({ example: '账号未启用。请先通过启用检查并启用。' })
  detail: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: '在此之前；知道时才有 / Until when, where that is known',
    example: '2026-11-22T16:00:00.000Z',
  })
  until?: Date;
}

export class SceneDto {
  @ApiProperty({ enum: SCENES, example: 'broadcast' })
  scene: Scene;

  @ApiProperty({ example: false })
  available: boolean;

  @ApiProperty({ type: [SceneReasonDto], description: '不可用的原因 / Why it is not available' })
  reasons: SceneReasonDto[];

  @ApiProperty({
    type: [SceneReasonDto],
    description: '可用，但建议处理 / It works, but this should be put right',
    example: [],
  })
  warnings: SceneReasonDto[];
}

export class FixCallDto {
  @ApiProperty({ enum: ['POST', 'PUT'], example: 'POST' })
  method: 'POST' | 'PUT';

  @ApiProperty({ example: '/api/v1/accounts/wx1badb002feedface/reauthorizations' })
  path: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { permissionIds: [7] } })
  body: object;
}

export class CheckDto {
  @ApiProperty({ enum: CHECK_IDS, example: 'minimum_permissions' })
  check: CheckId;

  @ApiProperty({ example: false })
  passed: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '缺少权限：群发与通知。',
    description: '未通过的原因；通过时为 null / Why it fails; null when it passes',
  })
  detail: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '请发起只含所缺权限的重新授权，由账号管理员扫码并保留全部勾选。',
    description: '如何处理 / What to do about it',
  })
  fix: string | null;

  @ApiProperty({
    type: FixCallDto,
    nullable: true,
    description:
      '可用来处理的接口调用；只能在微信侧处理时为 null / The call of this API that leads to the fix; null where only WeChat’s console does',
  })
  call: FixCallDto | null;

  @ApiPropertyOptional({ type: [PermissionRefDto], example: [{ id: 7, name: '群发与通知' }] })
  missing?: PermissionRefDto[];
}

export class EnableChecksDto {
  @ApiProperty({ example: false })
  passed: boolean;

  @ApiProperty({ type: [CheckDto] })
  checks: CheckDto[];

  @ApiProperty({
    enum: ['wechat', 'stored'],
    example: 'wechat',
    description:
      '依据：刚从微信读取，或（微信不可用时）已保存的数据 / What it stands on: read from WeChat just now, or what was kept when WeChat is away',
  })
  source: 'wechat' | 'stored';

  @ApiProperty({
    type: Number,
    nullable: true,
    example: 0,
    description:
      '数据距读取的秒数；从未读取为 null / Age of the data in seconds; null when it was never read',
  })
  dataAgeSeconds: number | null;

  @ApiPropertyOptional({
    example: '微信没有应答，以下依据已保存的数据。',
    description: '为何不是最新数据 / Why it is not fresh',
  })
  warning?: string;
}

export class SuggestedPropertyDto {
  @ApiProperty({ example: 'wx_openid_flower_shop' })
  name: string;

  @ApiProperty({
    example: true,
    description:
      '是否已在属性目录中；否则营销平台须先有此属性 / Whether the catalogue has it; else the marketing platform has to have it first',
  })
  inCatalogue: boolean;
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
    example: 'https://channel.example.com/pictures/Qm9vd2xpbmdBbGxleUNhdFBpY3R1cmVPZlNob3BBAA',
    description:
      '头像（本服务的副本，副本就绪前为微信地址）；可能为空 / Picture, our copy of it; WeChat’s address until there is one; may be empty',
  })
  avatarUrl: string;

  @ApiProperty({
    example: 'https://channel.example.com/pictures/a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V',
    description: '账号二维码，同上 / The account’s QR code, likewise',
  })
  qrcodeUrl: string;

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

  @ApiProperty({
    type: SuggestedPropertyDto,
    nullable: true,
    description: '未设置时的建议 / What to choose, while none is set',
    example: null,
  })
  suggestedOpenidProperty: SuggestedPropertyDto | null;

  @ApiProperty({ example: false, description: '是否已启用 / Whether it is switched on' })
  enabled: boolean;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: null,
    description:
      '启用中但有检查未通过的起始时间，需要处理 / Since when it is switched on although a check fails: it needs attention',
  })
  flaggedAt: Date | null;

  @ApiProperty({
    type: [CheckDto],
    description: '按已保存数据未通过的启用检查 / The checks that it fails, by what is kept of it',
    example: [],
  })
  failingChecks: CheckDto[];

  @ApiProperty({
    type: [SceneDto],
    description: '各场景可用与否及原因 / What can be done with it, and why not',
  })
  scenes: SceneDto[];

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

export class AccountCountsDto {
  @ApiProperty({ example: 42 })
  total: number;

  @ApiProperty({ example: 40 })
  authorized: number;

  @ApiProperty({ example: 1 })
  unauthorized: number;

  @ApiProperty({ example: 1 })
  reauthorizationRequired: number;

  @ApiProperty({ example: 38 })
  enabled: number;

  @ApiProperty({ example: 4 })
  disabled: number;

  @ApiProperty({ example: 0, description: '启用中但有检查未通过 / On, although a check fails' })
  flagged: number;
}

export class AccountPageDto {
  @ApiProperty({ type: [AccountDto] })
  items: AccountDto[];

  @ApiProperty({
    type: AccountCountsDto,
    description:
      '各状态的账号数：只受租户、accountType 与 q 影响 / How many are in each state, of the tenant’s that match accountType and q',
  })
  counts: AccountCountsDto;

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
  @QueryBoolean()
  enabled?: boolean;

  @ApiPropertyOptional({
    enum: LIST_STATES,
    description:
      'unclaimed：无人认领的账号，仅 owner 可见 / `unclaimed`: nobody asked for them, owners only',
  })
  @IsOptional()
  @IsIn(LIST_STATES)
  state?: (typeof LIST_STATES)[number];

  @ApiPropertyOptional({ enum: ACCOUNT_STATUSES, description: '微信侧状态 / Status at WeChat' })
  @IsOptional()
  @IsIn(ACCOUNT_STATUSES)
  accountStatus?: (typeof ACCOUNT_STATUSES)[number];

  @ApiPropertyOptional({
    type: Boolean,
    description: '启用中但有检查未通过 / On, although a check fails',
  })
  @IsOptional()
  @QueryBoolean()
  flagged?: boolean;

  @ApiPropertyOptional({
    enum: ACCOUNT_SORTS,
    default: '-authorizedAt',
    description:
      '排序，- 表示倒序；名称按字符编码排列 / Order, `-` for descending; names by their code points',
  })
  @IsOptional()
  @IsIn(ACCOUNT_SORTS)
  sort: AccountSort = '-authorizedAt';

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

export class OpenidPropertyDto {
  @ApiProperty({
    type: String,
    nullable: true,
    example: 'wx_openid_flower_shop',
    description: '文本类型的用户属性；null 表示清除 / A user property of type text; null clears it',
  })
  @ValidateIf((_object, value) => value !== null)
  @Length(1, 128)
  @Matches(PROPERTY_NAME)
  property: string | null;
}
