import { isHeaderAllowed, parseSafeUrl } from '@app/safe-fetch';
import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { IsIn, IsOptional, Matches, MaxLength, ValidateBy } from 'class-validator';

import { SetSecretDto } from '../common/set-secret.js';
import { inLang, type Lang } from '../common/text.js';
import type { SendConfigView, SendTest } from './send-config.service.js';
import { failureText, SEND_STEPS, type SendFailure, type SendStep } from './send-failure.js';
import { STRATEGIES, type StrategyName } from './strategies/strategy.js';

const MAX_HEADERS = 16;
/** RFC 6901, to a place within the document. */
const POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/;

const STEP_LIST = SEND_STEPS.map((step) => `\`${step}\``).join(' ');

function IsTokenUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'isTokenUrl',
    validator: {
      validate: (value: unknown) => typeof value === 'string' && parseSafeUrl(value) !== null,
      defaultMessage: () =>
        '$property must be an http(s) address without user and password, of 2048 characters at the most',
    },
  });
}

function AreHeaders(): PropertyDecorator {
  return ValidateBy({
    name: 'areHeaders',
    validator: {
      validate: (value: unknown) => areHeaders(value),
      defaultMessage: () =>
        `$property must be an object of ${MAX_HEADERS} headers at the most, their values of 1024 printable ASCII characters, without Host and what belongs to the connection`,
    },
  });
}

function areHeaders(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries: [string, unknown][] = Object.entries(value);
  const names = new Set(entries.map(([name]) => name.toLowerCase()));
  return (
    entries.length <= MAX_HEADERS &&
    names.size === entries.length &&
    entries.every(([name, text]) => typeof text === 'string' && isHeaderAllowed(name, text))
  );
}

export class SaveSendConfigDto {
  @ApiProperty({
    enum: STRATEGIES,
    example: 'access_token_url',
    description:
      '`access_token_url`：从客户自己的令牌服务器（中控服务器）读取，只读不刷新，与其他系统互不影响，已有中控服务器时请用它。' +
      '`app_secret`：用 AppSecret 调用 stable_token（普通模式，从不强制刷新），与使用 /cgi-bin/token 或 stable_token 普通模式的系统互不影响；但若任何系统用 force_refresh 强制刷新，双方的令牌都会失效一次，随后自动恢复。' +
      ' `access_token_url`: read from the customer’s own token server (中控服务器) and never renewed by us, so that nothing else is disturbed; the right one where such a server exists.' +
      ' `app_secret`: `stable_token` with the AppSecret, in normal mode and never by force. It does not disturb systems that use /cgi-bin/token or stable_token in normal mode; where any system uses `force_refresh`, the tokens of all fail once and recover.',
  })
  @IsIn(STRATEGIES)
  strategy: StrategyName;

  @ApiPropertyOptional({
    example: 'https://token.example.com/wechat/access-token?key=0f3a',
    description:
      '令牌地址，GET；公网须为 https。不传或原样传回脱敏值则沿用已保存的 / Where the token is, by GET; https on public addresses. Left out, or as it is shown, the stored one is kept',
  })
  @IsOptional()
  @IsTokenUrl()
  accessTokenUrl?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    example: { Authorization: 'Bearer 3f6c…' },
    description:
      '随请求发送的请求头，如鉴权；加密保存。不传则沿用，{} 清除；更换服务器时必须重新填写 / Headers to send, e.g. to authenticate; kept encrypted. Left out, the stored ones are kept, {} removes them; another server needs them given again',
  })
  @IsOptional()
  @AreHeaders()
  headers?: Record<string, string>;

  @ApiPropertyOptional({
    example: '/data/access_token',
    description:
      '令牌在 JSON 应答中的位置（JSON Pointer）；不传则在常见位置查找，也接受纯文本令牌 / Where the token is in the JSON (JSON Pointer); without it the usual places are looked at, and the bare token is taken too',
  })
  @IsOptional()
  @MaxLength(256)
  @Matches(POINTER)
  tokenPointer?: string;

  @ApiPropertyOptional({
    example: '/data/expires_in',
    description:
      '有效期的位置：剩余秒数，或秒、毫秒时间戳；找不到有效期时每 5 分钟重新读取 / Where its life is: seconds left, or a moment in seconds or milliseconds; where none is found it is read again every 5 minutes',
  })
  @IsOptional()
  @MaxLength(256)
  @Matches(POINTER)
  expiresPointer?: string;

  @ApiPropertyOptional({
    example: '0123456789abcdef0123456789abcdef',
    description:
      '小程序的 AppSecret（32 位）；不传则沿用已保存的 / The mini-program’s AppSecret, 32 letters or digits. Left out, the stored one is kept',
  })
  @IsOptional()
  @Matches(/^[0-9A-Za-z]{32}$/)
  appSecret?: string;
}

export const SAVE_EXAMPLES = {
  access_token_url: {
    summary: '令牌服务器 / Token server',
    value: {
      strategy: 'access_token_url',
      accessTokenUrl: 'https://token.example.com/wechat/access-token?key=0f3a',
      headers: { Authorization: 'Bearer 3f6c' },
      tokenPointer: '/data/access_token',
      expiresPointer: '/data/expires_in',
    },
  },
  app_secret: {
    summary: 'AppSecret',
    value: { strategy: 'app_secret', appSecret: '0123456789abcdef0123456789abcdef' },
  },
  keep_secret: {
    summary: '只改指针，沿用地址 / Another pointer, the stored address',
    value: { strategy: 'access_token_url', tokenPointer: '/access_token' },
  },
};

export class SaveOptionsDto {
  @ApiPropertyOptional({
    enum: ['true', 'false'],
    default: 'true',
    description: 'false：不试取令牌，直接保存 / `false` saves without having a token fetched first',
  })
  @IsOptional()
  @IsIn(['true', 'false'])
  verify: 'true' | 'false' = 'true';
}

export class VerificationDto {
  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  at: Date;

  @ApiProperty({ example: true })
  ok: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '失败时怎么做 / What to do when it failed',
    example: null,
  })
  detail: string | null;
}

class SendFailureDto {
  @ApiProperty({ format: 'date-time', example: '2026-11-22T07:00:00.000Z' })
  at: Date;

  @ApiProperty({ enum: SEND_STEPS, example: 'timeout' })
  step: SendStep;

  @ApiProperty({ example: '5 秒内没有得到完整的应答。请检查令牌服务器是否过慢，或网络是否不通。' })
  detail: string;
}

const HEALTH_STATES = ['untested', 'ok', 'failing'] as const;

export class SendHealthDto {
  @ApiProperty({
    enum: HEALTH_STATES,
    description:
      'failing：连续失败三次，已发出 token.failing 事件，自动重试 / `failing`: three failures in a row, `token.failing` was sent, and it is tried again by itself',
    example: 'ok',
  })
  state: (typeof HEALTH_STATES)[number];

  @ApiProperty({ description: '连续失败次数 / Failures in a row', example: 0 })
  failCount: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.000Z',
  })
  lastSuccessAt: Date | null;

  @ApiProperty({ type: SendFailureDto, nullable: true, example: null })
  lastFailure: SendFailureDto | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '失败后，在此之前不再尝试 / After failures: not tried before',
    example: null,
  })
  nextTryAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '当前令牌到期时间 / When the present token ends',
    example: '2026-11-22T10:00:00.000Z',
  })
  tokenExpiresAt: Date | null;
}

export class SendConfigDto {
  @ApiProperty({
    enum: STRATEGIES,
    nullable: true,
    description: 'null 表示尚未配置 / null until it is configured',
    example: 'access_token_url',
  })
  strategy: StrategyName | null;

  @ApiPropertyOptional({
    description: '查询参数的值不显示 / The values of its query are not shown',
    example: 'https://token.example.com/wechat/access-token?key=***',
  })
  accessTokenUrl?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { $ref: getSchemaPath(SetSecretDto) },
    example: { Authorization: { set: true, hint: '…3f6c' } },
  })
  headers?: Record<string, SetSecretDto>;

  @ApiPropertyOptional({ type: String, nullable: true, example: '/data/access_token' })
  tokenPointer?: string | null;

  @ApiPropertyOptional({ type: String, nullable: true, example: '/data/expires_in' })
  expiresPointer?: string | null;

  @ApiPropertyOptional({ type: SetSecretDto })
  appSecret?: SetSecretDto;

  @ApiProperty({
    type: VerificationDto,
    nullable: true,
    description: '最近一次保存时的试取或手动测试 / The last try, at a save or by a test',
  })
  lastVerification: VerificationDto | null;

  @ApiProperty({
    type: SendHealthDto,
    nullable: true,
    description: '日常取令牌的情况 / How fetching tokens goes',
  })
  health: SendHealthDto | null;
}

export class SendTestDto {
  @ApiProperty({ example: false })
  ok: boolean;

  @ApiProperty({
    enum: SEND_STEPS,
    nullable: true,
    description: `失败在哪一步 / Where it failed: ${STEP_LIST}`,
    example: 'ip_whitelist',
  })
  step: SendStep | null;

  @ApiProperty({ example: 182 })
  latencyMs: number;

  @ApiProperty({
    type: Number,
    nullable: true,
    description:
      '令牌剩余秒数；未知或失败为 null / Seconds left; null when nobody says, or it failed',
    example: null,
  })
  expiresInSeconds: number | null;

  @ApiProperty({
    example:
      '本服务的出口 IP 不在小程序的 IP 白名单中，或有待管理员确认。请在微信公众平台“开发管理→开发设置→IP白名单”中添加。（IP 203.0.113.7，40164 invalid ip 203.0.113.7, not in whitelist）',
  })
  detail: string;
}

const WORKS = { zh: '已取得令牌。', en: 'A token came.' };

export function toSendConfigDto(view: SendConfigView | null, lang: Lang): SendConfigDto {
  if (!view) return { strategy: null, lastVerification: null, health: null };
  const { config, shown } = view;
  const { strategy, verifiedAt, verifiedFailure } = config;
  return {
    strategy,
    ...shown,
    lastVerification: verifiedAt && {
      at: verifiedAt,
      ok: verifiedFailure === null,
      detail: verifiedFailure && detailOf(verifiedFailure, lang),
    },
    health: toHealthDto(view, lang),
  };
}

export function toSendTestDto(
  { failure, latencyMs, expiresInSeconds }: SendTest,
  lang: Lang,
): SendTestDto {
  return {
    ok: failure === null,
    step: failure?.step ?? null,
    latencyMs,
    expiresInSeconds,
    detail: failure ? detailOf(failure, lang) : inLang(WORKS, lang),
  };
}

function toHealthDto({ config, health }: SendConfigView, lang: Lang): SendHealthDto {
  const { succeededAt, failedAt, failure } = config;
  const isFailing = health?.state === 'failing';
  return {
    state: isFailing ? 'failing' : succeededAt ? 'ok' : 'untested',
    failCount: health?.failCount ?? 0,
    lastSuccessAt: succeededAt,
    lastFailure: failedAt &&
      failure && {
        at: failedAt,
        step: failure.step,
        detail: detailOf(failure, lang),
      },
    nextTryAt: health?.nextTryAt ?? null,
    tokenExpiresAt: health?.expiresAt ?? null,
  };
}

function detailOf(failure: SendFailure, lang: Lang): string {
  return inLang(failureText(failure), lang);
}
