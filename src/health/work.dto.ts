import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';

import { PageQueryDto } from '../common/paging.js';
import type { Work, WorkState } from '../queue/work.entity.js';

const WORK_STATES = ['ready', 'running', 'dead'] as const satisfies WorkState[];

export class WorkDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'read-account-details' })
  kind: string;

  @ApiProperty({ type: String, nullable: true, example: 'wx1badb002feedface' })
  appid: string | null;

  @ApiProperty({ enum: WORK_STATES, example: 'dead' })
  state: WorkState;

  @ApiProperty({ description: '0 最急，9 最缓 / 0 is the most urgent', example: 5 })
  priority: number;

  @ApiProperty({ description: '已尝试次数 / Tries so far', example: 12 })
  attempts: number;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '最近一次失败的原因 / Why the last try failed',
    example:
      'WechatUnavailableError: WeChat did not answer /cgi-bin/component/api_get_authorizer_info: timeout',
  })
  failure: string | null;

  @ApiProperty({ format: 'date-time', description: '不早于此时执行 / Not done before' })
  runAt: Date;

  @ApiProperty({ format: 'date-time' })
  createdAt: Date;
}

export class WorkPageDto {
  @ApiProperty({ type: [WorkDto] })
  items: WorkDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class ListWorkDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: WORK_STATES })
  @IsOptional()
  @IsIn(WORK_STATES)
  state?: WorkState;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @MaxLength(64)
  kind?: string;
}

export function toWorkDto(row: Work): WorkDto {
  const { id, kind, appid, state, priority, attempts, failure, runAt, createdAt } = row;
  return { id, kind, appid, state, priority, attempts, failure, runAt, createdAt };
}
