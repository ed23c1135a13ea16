import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Length } from 'class-validator';

import { PageQueryDto } from '../common/paging.js';
import { QueryTime } from '../common/query-time.js';
import {
  AUDIT_ACTORS,
  type AuditActorType,
  type AuditEntry,
  type AuditOutcome,
} from './audit-entry.entity.js';
import { CHAIN_FAULTS, type ChainFault, type ChainReport } from './audit-verifier.js';

const OUTCOMES = ['succeeded', 'failed'] as const satisfies AuditOutcome[];

class AuditActorDto {
  @ApiProperty({
    enum: AUDIT_ACTORS,
    description:
      'API 密钥、微信推送、授权页上的人，或服务自身 / A key, WeChat by a push, a person on an authorization page, or the service itself',
    example: 'api_key',
  })
  type: AuditActorType;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '密钥编号；其他为 null / The id of the key; null for the others',
    example: '0b9f3c1e-5f0e-4d39-9d7c-2f6f1d3a9a01',
  })
  id: string | null;

  @ApiProperty({ example: 'crm-admin' })
  name: string;
}

export class AuditEntryDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  at: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '所属租户；平台自身为 null / Whose log; null for the platform’s own',
    example: 'default',
  })
  tenantId: string | null;

  @ApiProperty({ type: AuditActorDto })
  actor: AuditActorDto;

  @ApiProperty({ example: 'account.permissions_changed' })
  action: string;

  @ApiProperty({
    description: '操作对象，如 appid / What it was done to, e.g. an appid',
    example: 'wx1badb002feedface',
  })
  target: string;

  @ApiProperty({ enum: OUTCOMES, example: 'succeeded' })
  outcome: AuditOutcome;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: '事实，不含密钥与 openid / Facts; no secret and no openid',
    example: {
      reauthorized: true,
      requested: true,
      gainedPermissionIds: [],
      lostPermissionIds: [7],
    },
  })
  detail: object;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '来源地址；服务自身的操作为 null / From where; null for what the service did itself',
    example: '203.0.113.7',
  })
  ip: string | null;

  @ApiProperty({ type: String, nullable: true, example: '01993f5e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  requestId: string | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    description:
      '在该租户哈希链中的位置；约一分钟内封存，之前为 null / Its place in the tenant’s chain of hashes; null until it is sealed, within about a minute',
    example: 42,
  })
  sequence: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: '6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b',
  })
  hash: string | null;
}

export class AuditPageDto {
  @ApiProperty({ type: [AuditEntryDto] })
  items: AuditEntryDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class ListAuditDto extends PageQueryDto {
  @ApiPropertyOptional({
    description:
      '密钥的名称或编号，或 actor.type、actor.name / The name or id of a key, or an `actor.type` or `actor.name`',
  })
  @IsOptional()
  @IsString()
  @Length(1, 128)
  actor?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 64)
  action?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 160)
  target?: string;

  @QueryTime('从此刻起 / From this moment on')
  from?: Date;

  @QueryTime('此刻之前 / Before this moment')
  to?: Date;
}

class ChainBreakDto {
  @ApiProperty({ description: '链上位置 / The place in the chain', example: 42 })
  sequence: number;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '该处的条目；缺失时为 null / The entry there; null where it is missing',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  })
  id: string | null;

  @ApiProperty({
    enum: CHAIN_FAULTS,
    description:
      'changed 内容或链尾被改；missing 中间有条目被删；cut_off 末尾的条目被删 / `changed`: the entry or the head of the chain was altered; `missing`: deleted in the middle; `cut_off`: deleted at the end',
    example: 'changed',
  })
  reason: ChainFault;
}

class ChainReportDto {
  @ApiProperty({
    type: String,
    nullable: true,
    description: '租户；平台自身为 null / The tenant; null for the platform itself',
    example: 'default',
  })
  tenantId: string | null;

  @ApiProperty({ description: '已封存条数 / Sealed entries', example: 1280 })
  sealed: number;

  @ApiProperty({ description: '尚未封存条数 / Entries that are not sealed yet', example: 2 })
  unsealed: number;

  @ApiProperty({ example: true })
  ok: boolean;

  @ApiProperty({
    type: ChainBreakDto,
    nullable: true,
    description: '第一处不符 / The first fault',
    example: null,
  })
  brokenAt: ChainBreakDto | null;
}

export class AuditVerificationDto {
  @ApiProperty({ description: '全部完好 / Whether every chain is intact', example: true })
  ok: boolean;

  @ApiProperty({ type: [ChainReportDto] })
  tenants: ChainReportDto[];
}

export function toAuditEntryDto(entry: AuditEntry): AuditEntryDto {
  const { id, at, actorType, actorId, actorName, action, target, outcome } = entry;
  const { detail, ip, requestId, sequence, hash } = entry;
  const actor = { type: actorType, id: actorId, name: actorName };
  const tenantId = entry.tenantId || null;
  return {
    id,
    at,
    tenantId,
    actor,
    action,
    target,
    outcome,
    detail,
    ip,
    requestId,
    sequence,
    hash,
  };
}

export function toVerificationDto(reports: readonly ChainReport[]): AuditVerificationDto {
  const tenants = reports.map(({ tenantId, sealed, unsealed, brokenAt }) => ({
    tenantId: tenantId || null,
    sealed,
    unsealed,
    ok: brokenAt === null,
    brokenAt,
  }));
  return { ok: tenants.every(({ ok }) => ok), tenants };
}
