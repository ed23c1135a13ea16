import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';

import { LeftOut } from '../common/left-out.js';
import { PageQueryDto } from '../common/paging.js';
import { PUSH_STATES, type PushRow, type PushState } from './push.entity.js';

export class PushDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({
    description: '推送所属的 appid；平台事件为平台自己的 / The component’s own for its events',
    example: 'wx1badb002feedface',
  })
  account: string;

  @ApiProperty({ example: 'authorized' })
  kind: string;

  @ApiProperty({ enum: PUSH_STATES, example: 'parked' })
  state: PushState;

  @ApiProperty({ description: '已尝试次数 / Tries so far', example: 12 })
  attempts: number;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '最近一次失败的原因 / Why the last try failed',
    example:
      'WechatApiError: WeChat refused /cgi-bin/component/api_query_auth: 45009 reach max api daily quota limit',
  })
  failure: string | null;

  @ApiProperty({ format: 'date-time', description: '微信的 CreateTime / WeChat’s time' })
  occurredAt: Date;

  @ApiProperty({ format: 'date-time' })
  receivedAt: Date;

  @ApiProperty({ format: 'date-time', description: '下次尝试不早于 / Not tried again before' })
  nextTryAt: Date;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  handledAt: Date | null;
}

export class PushPageDto {
  @ApiProperty({ type: [PushDto] })
  items: PushDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class RedrivePushesDto {
  @ApiPropertyOptional({ example: 'authorized' })
  @LeftOut()
  @IsString()
  @MaxLength(64)
  kind?: string;

  @ApiPropertyOptional({ example: 'wx1badb002feedface' })
  @LeftOut()
  @IsString()
  @MaxLength(32)
  account?: string;
}

/** Without examples, which Swagger UI would send in a query. */
export class ListPushesDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: PUSH_STATES })
  @IsOptional()
  @IsIn(PUSH_STATES)
  state?: PushState;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @MaxLength(64)
  kind?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @MaxLength(32)
  account?: string;
}

export class RedrivenDto {
  @ApiProperty({ description: '重新处理的推送数 / How many are driven again', example: 3 })
  redriven: number;
}

/** What an operator may see: never the content. */
export function toPushDto(row: PushRow): PushDto {
  const {
    id,
    account,
    kind,
    state,
    attempts,
    failure,
    occurredAt,
    receivedAt,
    nextTryAt,
    handledAt,
  } = row;
  return {
    id,
    account,
    kind,
    state,
    attempts,
    failure,
    occurredAt,
    receivedAt,
    nextTryAt,
    handledAt,
  };
}
