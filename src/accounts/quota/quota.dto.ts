import { adviceFor, type ApiQuota } from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Matches, MaxLength } from 'class-validator';

import { WechatRefusalDto } from '../../common/api-docs.js';
import { inLang, type Lang, type Text } from '../../common/text.js';
import type { QuotaReset } from './quota.entity.js';
import type { Budget, ResetWithBudget } from './quota-resets.service.js';
import { TIME_ZONE } from './shanghai-time.js';

export class QuotaQueryDto {
  @ApiProperty({
    example: '/cgi-bin/message/template/send',
    description:
      '微信接口路径，以 / 开头，不含域名与参数 / Path of WeChat’s API, without host and query',
  })
  @MaxLength(128)
  @Matches(/^\/[A-Za-z0-9_/.-]+$/)
  path: string;
}

export class RateDto {
  @ApiProperty({ example: 600 })
  calls: number;

  @ApiProperty({ example: 60 })
  seconds: number;
}

export class QuotaDto {
  @ApiProperty({ example: '/cgi-bin/message/template/send' })
  path: string;

  @ApiProperty({ example: 100000, description: '每日上限 / Calls a day' })
  dailyLimit: number;

  @ApiProperty({ example: 1200 })
  used: number;

  @ApiProperty({ example: 98800 })
  remaining: number;

  @ApiProperty({
    type: RateDto,
    nullable: true,
    description: '短时频率限制 / The short-term limit; null where WeChat names none',
  })
  rate: RateDto | null;
}

export class QuotaResetDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  at: Date;

  @ApiProperty({
    example: 'console',
    description: '操作者的密钥名称 / The name of the key that asked',
  })
  by: string;

  @ApiProperty({
    enum: ['succeeded', 'failed', 'unknown'],
    example: 'succeeded',
    description:
      'unknown：微信的应答丢失，按已使用计 / `unknown`: WeChat’s answer was lost; it counts',
  })
  outcome: 'succeeded' | 'failed' | 'unknown';

  @ApiPropertyOptional({ type: WechatRefusalDto })
  wechat?: WechatRefusalDto;
}

class QuotaWarningDto {
  @ApiProperty({ example: 'few_quota_resets_left' })
  code: string;

  @ApiProperty({ example: '本月只剩 2 次重置。' })
  detail: string;
}

export class QuotaBudgetDto {
  @ApiProperty({ example: '2026-11' })
  month: string;

  @ApiProperty({ example: TIME_ZONE })
  timeZone: string;

  @ApiProperty({ example: 10 })
  limit: number;

  @ApiProperty({
    example: 3,
    description: '成功与结果未知的次数 / Those that succeeded, and those whose outcome is unknown',
  })
  used: number;

  @ApiProperty({ example: 7 })
  remaining: number;

  @ApiProperty({
    example: false,
    description:
      '微信表示本月已用完（控制台与其他平台也会占用） / WeChat says that none is left; its console and other platforms use them too',
  })
  exhaustedByWechat: boolean;

  @ApiProperty({ type: [QuotaWarningDto], example: [] })
  warnings: QuotaWarningDto[];
}

export class QuotaResetsDto extends QuotaBudgetDto {
  @ApiProperty({
    type: [QuotaResetDto],
    description: '本月的重置，最近的在前 / This month’s, the newest first',
  })
  resets: QuotaResetDto[];
}

/** The reset, with what is left after it. */
export class QuotaResetMadeDto extends QuotaBudgetDto implements QuotaResetDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  at: Date;

  @ApiProperty({ example: 'console' })
  by: string;

  @ApiProperty({ enum: ['succeeded', 'failed', 'unknown'], example: 'succeeded' })
  outcome: 'succeeded' | 'failed' | 'unknown';
}

/** From here on, each one that is used is told to be one of the last. */
const FEW = 2;

function toBudgetDto(budget: Budget, lang: Lang): Pick<QuotaBudgetDto, keyof QuotaBudgetDto> {
  const { remaining } = budget;
  const isFew = remaining > 0 && remaining <= FEW;
  const few: Text = {
    zh: `本月只剩 ${remaining} 次重置，控制台与其他平台也会占用，请留给紧急情况。`,
    en: `Only ${remaining} of this month's resets are left, and WeChat's console and other platforms use them too. Keep them for an emergency.`,
  };
  return {
    ...budget,
    timeZone: TIME_ZONE,
    warnings: isFew ? [{ code: 'few_quota_resets_left', detail: inLang(few, lang) }] : [],
  };
}

function toResetDto(reset: QuotaReset, lang: Lang): Pick<QuotaResetDto, keyof QuotaResetDto> {
  const { id, requestedAt: at, actorName: by, outcome, errcode, errmsg, rid, path } = reset;
  const refusal = errcode !== null && path !== null;
  return {
    id,
    at,
    by,
    outcome,
    ...(refusal && {
      wechat: {
        errcode,
        errmsg: errmsg ?? '',
        rid,
        path,
        advice: inLang(adviceFor(errcode, path), lang),
      },
    }),
  };
}

export function toResetsDto(
  { budget, resets }: { budget: Budget; resets: readonly QuotaReset[] },
  lang: Lang,
): QuotaResetsDto {
  return {
    ...toBudgetDto(budget, lang),
    resets: resets.map((reset) => toResetDto(reset, lang)),
  };
}

export function toMadeDto({ reset, budget }: ResetWithBudget, lang: Lang): QuotaResetMadeDto {
  return { ...toBudgetDto(budget, lang), ...toResetDto(reset, lang) };
}

export function toQuotaDto(path: string, quota: ApiQuota): QuotaDto {
  const { dailyLimit, used, remaining, rate } = quota;
  return { path, dailyLimit, used, remaining, rate };
}
