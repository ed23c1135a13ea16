import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsISO8601, IsOptional, Length, Matches } from 'class-validator';

import type { ApiKey } from './api-key.entity.js';
import { type Role, ROLES, TENANT_ID } from './roles.js';

/** No space at either end, which MySQL would not tell apart, and one line. */
const NAME = /^\S(?:.*\S)?$/u;
const UTC_TIME = /^\d{4}-\d{2}-\d{2}T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?Z$/;

export class CreateApiKeyDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 128,
    description: '谁在使用，同一租户内不可重复 / Who or what uses it; once in a tenant',
    example: 'marketing-platform',
  })
  @Length(1, 128)
  @Matches(NAME)
  name: string;

  @ApiProperty({
    enum: ROLES,
    description:
      '每个角色包含前面的角色；owner 可见所有租户 / Each role includes those before it; an owner sees every tenant',
    example: 'sender',
  })
  @IsIn(ROLES)
  role: Role;

  @ApiPropertyOptional({
    pattern: TENANT_ID.source,
    description:
      '所属租户，默认为 X-Tenant-Id 或 default / The tenant it belongs to; by default X-Tenant-Id, or `default`',
    example: 'brand-a',
  })
  @IsOptional()
  @Matches(TENANT_ID)
  tenantId?: string;

  @ApiPropertyOptional({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '失效时间；不填则长期有效 / From then on it opens nothing; never, when left out',
    example: '2099-12-31T16:00:00.000Z',
  })
  @IsOptional()
  @IsISO8601({ strict: true })
  @Matches(UTC_TIME)
  expiresAt?: string | null;
}

export class ApiKeyDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'marketing-platform' })
  name: string;

  @ApiProperty({ enum: ROLES, example: 'sender' })
  role: Role;

  @ApiProperty({ example: 'brand-a' })
  tenantId: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '密钥的开头，用于辨认 / How the key begins, to tell it by',
    example: 'wck_q4yXh3l1',
  })
  prefix: string | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  expiresAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '最近一次使用，误差约一分钟 / The last use, to within a minute or so',
    example: '2026-11-22T08:30:00.000Z',
  })
  lastUsedAt: Date | null;
}

export class CreatedApiKeyDto extends ApiKeyDto {
  @ApiProperty({
    description: '只显示这一次，请妥善保存 / Shown this once; keep it safe',
    example: 'wck_q4yXh3l1sZ8pK0d7Vb2nT5mRwC9uEaGfJoLiHxYtB6Q',
  })
  key: string;
}

export class ApiKeyPageDto {
  @ApiProperty({ type: [ApiKeyDto] })
  items: ApiKeyDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export function toApiKeyDto(row: ApiKey) {
  const { id, name, role, tenantId, prefix, createdAt, expiresAt, lastUsedAt } = row;
  return {
    id,
    name,
    role,
    tenantId,
    prefix,
    createdAt,
    expiresAt,
    lastUsedAt,
  } satisfies ApiKeyDto;
}
