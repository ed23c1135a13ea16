import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional, ApiResponse } from '@nestjs/swagger';

import { type ProblemCode, PROBLEMS } from './app-error.js';

class FieldErrorDto {
  @ApiProperty({ example: 'accountType' })
  field: string;

  @ApiProperty({ example: 'is_in' })
  code: string;

  @ApiProperty({ example: '取值不在允许范围内' })
  detail: string;
}

export class WechatRefusalDto {
  @ApiProperty({ example: 45009 })
  errcode: number;

  @ApiProperty({ example: 'reach max api daily quota limit' })
  errmsg: string;

  @ApiProperty({ type: String, nullable: true, example: '6743a1c2-0a1b2c3d-4e5f6a7b' })
  rid: string | null;

  @ApiProperty({ example: '/cgi-bin/component/api_create_preauthcode' })
  path: string;

  @ApiProperty({ description: '处理建议 / What to do next' })
  advice: string;
}

/** An RFC 9457 problem. */
export class ProblemDto {
  @ApiProperty({ example: 'urn:wechat-channel:problem:not_found' })
  type: string;

  @ApiProperty({ example: '未找到' })
  title: string;

  @ApiProperty({ example: 404 })
  status: number;

  @ApiProperty({ description: '接下来怎么做 / What to do next' })
  detail: string;

  @ApiProperty({ description: '稳定的错误码 / Stable code', example: 'not_found' })
  code: string;

  @ApiProperty({ example: '/api/v1/accounts/wx1badb002feedface' })
  instance: string;

  @ApiProperty({ example: '01993f5e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  requestId: string;

  @ApiPropertyOptional({ type: [FieldErrorDto] })
  errors?: FieldErrorDto[];

  @ApiPropertyOptional({ type: WechatRefusalDto })
  wechat?: WechatRefusalDto;

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      '仅 enable_checks_failed：各项检查，同 GET …/enable-checks / Of `enable_checks_failed` only: the checks, as in GET …/enable-checks',
  })
  checks?: object[];
}

/** What every guarded route may answer. */
const COMMON = [
  'api_key_missing',
  'api_key_invalid',
  'api_key_expired',
  'role_too_small',
  'too_many_requests',
  'too_many_wrong_keys',
] as const satisfies ProblemCode[];

/** Documents the refusals of a route, with those that every guarded route has. */
export function ApiProblems(...codes: ProblemCode[]): MethodDecorator & ClassDecorator {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of [...COMMON, ...codes]) {
    const { status } = PROBLEMS[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return applyDecorators(
    ...[...byStatus].map(([status, ofStatus]) =>
      ApiResponse({
        status,
        description: ofStatus
          .map((code) => `\`${code}\` ${PROBLEMS[code].title.zh} / ${PROBLEMS[code].title.en}`)
          .join('; '),
        type: ProblemDto,
      }),
    ),
  );
}
