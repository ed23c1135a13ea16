import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';

import { QueryTime } from '../../common/query-time.js';
import type { Figures } from './figures.js';
import type { Grouping } from './qr-code-visits.repository.js';

export const GROUPINGS = ['day', 'channel', 'code'] as const satisfies Grouping[];

export class FiguresDto implements Figures {
  @ApiProperty({
    description: '扫码次数，等于三类扫码之和 / Scans: the three sorts of visits together',
    example: 120,
  })
  scans: number;

  @ApiProperty({
    description:
      '扫码人数，每行内去重；同一人在两行各计一次 / Different people in the row: who comes in two rows is counted in each',
    example: 96,
  })
  people: number;

  @ApiProperty({ description: '首次关注 / Follow for the first time', example: 60 })
  newFollowers: number;

  @ApiProperty({
    description: '曾经关注、再次关注 / Follow again; they are not new',
    example: 5,
  })
  returningFollowers: number;

  @ApiProperty({ description: '扫码时已关注 / Were followers already', example: 55 })
  existingFollowers: number;

  @ApiProperty({
    description: '最近一次由此码带来、随后取消关注 / Left after the code had brought them last',
    example: 8,
  })
  unfollows: number;

  @ApiProperty({
    description:
      '该行带来的关注者中仍在关注的 / Of those who followed in the row, how many still do',
    example: 57,
  })
  stayed: number;
}

export class StatsRowDto extends FiguresDto {
  @ApiProperty({ format: 'date-time', example: '2026-11-21T16:00:00.000Z' })
  from: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T16:00:00.000Z' })
  to: Date;

  @ApiPropertyOptional({
    description: 'by=day：北京时间的日期 / The day in Shanghai',
    example: '2026-11-22',
  })
  day?: string;

  @ApiPropertyOptional({ description: 'by=channel 或 code', example: '线下门店' })
  channel?: string;

  @ApiPropertyOptional({
    description: 'by=code',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  })
  qrCodeId?: string;

  @ApiPropertyOptional({ description: 'by=code', example: '上海店收银台' })
  name?: string;
}

export class StatsDto {
  @ApiProperty({ type: [StatsRowDto] })
  items: StatsRowDto[];

  @ApiProperty({ type: FiguresDto, description: '各行之和 / The rows added up' })
  totals: FiguresDto;

  @ApiProperty({
    description: '整段时间内去重的扫码人数 / Different people in the whole stretch of time',
    example: 90,
  })
  distinctPeople: number;
}

export class StatsSpanDto {
  @QueryTime(
    '从此刻起（含）；不填为 to 之前 30 天的零点 / From this moment on; left out, 30 days before `to`',
  )
  from?: Date;

  @QueryTime('到此刻止（不含）；不填为今天结束 / Before this moment; left out, the end of today')
  to?: Date;
}

export class CodeStatsQueryDto extends StatsSpanDto {
  @ApiPropertyOptional({ enum: ['day'], default: 'day' })
  @IsOptional()
  @IsIn(['day'])
  by?: 'day';
}

export class StatsQueryDto extends StatsSpanDto {
  @ApiPropertyOptional({
    enum: GROUPINGS,
    default: 'day',
    description: '按天、按渠道或按二维码 / By day, channel or code',
  })
  @IsOptional()
  @IsIn(GROUPINGS)
  by?: Grouping;
}
