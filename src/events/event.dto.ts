import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import { IsArray, IsIn, IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';

import { EVENT_MEANINGS, EVENT_TYPES, type EventType } from './event-types.js';
import type { EventRow } from './event.entity.js';

export class EventDto {
  @ApiProperty({
    description: '事件编号，重复投递时不变 / The same however often it is delivered',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  })
  id: string;

  @ApiProperty({ enum: EVENT_TYPES, example: 'account.authorized' })
  type: string;

  @ApiProperty({ description: 'data 的版本 / The version of `data`', example: 1 })
  version: number;

  @ApiProperty({
    format: 'date-time',
    description: '发生时间 / When it happened',
    example: '2026-11-22T08:00:00.000Z',
  })
  occurredAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '所属租户；平台事件为 null / Whose it is; null for the platform itself',
    example: 'default',
  })
  tenantId: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'wx1badb002feedface' })
  appid: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: '内容，字段见各类型说明 / The content, by type',
    example: {
      appid: 'wx1badb002feedface',
      accountType: 'official_account',
      nickname: '示例花店',
      authorizedAt: '2026-11-22T08:00:00.000Z',
      permissionIds: [1, 2, 3, 7, 8, 11, 15],
      missingPermissionIds: [],
    },
  })
  data: object;
}

export class EventPageDto {
  @ApiProperty({ type: [EventDto] })
  items: EventDto[];

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '还有更多时的下一页；没有更多为 null / The next page; null when there is no more for now',
    example: null,
  })
  nextCursor: string | null;

  @ApiProperty({
    description:
      '下次从这里继续：保存它，处理完 items 后以 after 传回 / Where to go on: keep it, and send it as `after` once the items are dealt with',
    example: 'ZTQy',
  })
  after: string;
}

export class ListEventsDto {
  @ApiPropertyOptional({
    isArray: true,
    enum: EVENT_TYPES,
    description:
      '只要这些类型，可重复或用逗号分隔 / Only these types, repeated or separated by commas. ' +
      EVENT_TYPES.map((type) => `\`${type}\` ${EVENT_MEANINGS[type].zh}`).join(' '),
  })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) =>
    (Array.isArray(value) ? value : [value]).flatMap((text) => String(text).split(',')),
  )
  @IsArray()
  @IsIn(EVENT_TYPES, { each: true })
  type?: EventType[];

  // Without an example: Swagger UI would send it.
  @ApiPropertyOptional({ description: '上次返回的 after / `after` of the answer before' })
  @IsOptional()
  @IsString()
  @MaxLength(64)
  after?: string;

  @ApiPropertyOptional({ description: '同 after / The same as `after`' })
  @IsOptional()
  @IsString()
  @MaxLength(64)
  cursor?: string;

  @ApiPropertyOptional({ minimum: 1, maximum: 200, default: 50, example: 50 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(200)
  limit: number = 50;
}

export function toEventDto(row: EventRow): EventDto {
  const { id, type, version, occurredAt, tenantId, appid, payload } = row;
  return { id, type, version, occurredAt, tenantId, appid, data: payload };
}
