import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator';

import { PageQueryDto } from '../common/paging.js';
import { BodyTime } from '../common/query-time.js';
import { VisibleText } from '../common/visible-text.js';
import { MESSAGE_DTOS } from '../messages/kinds/customer-service-message.dto.js';
import { MAX_PERMANENT } from './qr-code-maker.js';
import { QR_CODE_STATUSES, type QrCodeStatus } from './qr-code.entity.js';
import type { CountedQrCode, QrCodeSettings } from './qr-codes.service.js';
import { FiguresDto } from './visits/stats.dto.js';

const TIME = '2026-12-31T16:00:00.000Z';
const MAX_DAYS = 30;
const MAX_TAGS = 20;
/** A scan lets the account write three messages within a minute. */
const MAX_REPLIES = 3;

const messagesOf = (description: string, text: string) => ({
  type: 'array' as const,
  maxItems: MAX_REPLIES,
  items: { oneOf: Object.values(MESSAGE_DTOS).map((dto) => ({ $ref: getSchemaPath(dto) })) },
  description,
  example: [{ type: 'text', text }],
});

/** One message may stand without its brackets. */
function asList({ value }: { value: unknown }): unknown {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? [value] : value;
}

/** Said to who scans. The messages are those of `customer_service_message`. */
export class QrCodeRepliesDto {
  @ApiPropertyOptional(
    messagesOf(
      '对扫码关注的人（首次或再次）说的话，最多三条；能被动回复的第一条随推送立即送达，其余用客服消息。优先于被关注自动回复 / To who follows by the code, for the first time or again: three messages at the most. The first goes out inside the answer to WeChat where its type can, the others as customer-service messages. It goes before the rules for any follow',
      '欢迎关注示例花店！',
    ),
  )
  @IsOptional()
  @Transform(asList)
  @IsArray()
  @ArrayMaxSize(MAX_REPLIES)
  @IsObject({ each: true })
  newFollower?: object[];

  @ApiPropertyOptional(
    messagesOf('对已关注的人说的话 / To who was a follower already', '欢迎回来！'),
  )
  @IsOptional()
  @Transform(asList)
  @IsArray()
  @ArrayMaxSize(MAX_REPLIES)
  @IsObject({ each: true })
  existingFollower?: object[];
}

class QrCodeSettingsDto {
  @ApiProperty({ minLength: 1, maxLength: 100, example: '上海店收银台' })
  @VisibleText(100)
  name: string;

  @ApiProperty({
    minLength: 1,
    maxLength: 64,
    description: '渠道：统计按渠道汇总 / What figures are added up by',
    example: '线下门店',
  })
  @VisibleText(64)
  channel: string;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    maxLength: 64,
    description: '分组，便于查找 / To find it by',
    example: '华东',
  })
  @IsOptional()
  @VisibleText(64)
  group?: string | null;

  @ApiPropertyOptional({
    type: [String],
    maxItems: MAX_TAGS,
    description:
      '扫码者在微信侧打上的标签名称，没有的标签会自动创建 / Names of tags at WeChat that who scans gets; those that the account lacks are made',
    example: [],
  })
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_TAGS)
  @IsString({ each: true })
  @VisibleText(30, true)
  tags?: string[] | null;

  @ApiPropertyOptional({
    type: QrCodeRepliesDto,
    nullable: true,
    example: {
      newFollower: [{ type: 'text', text: '欢迎关注示例花店！' }],
      existingFollower: [{ type: 'text', text: '欢迎回来！' }],
    },
  })
  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => QrCodeRepliesDto)
  replies?: QrCodeRepliesDto | null;

  @ApiPropertyOptional({
    type: Number,
    nullable: true,
    minimum: 1,
    maximum: MAX_DAYS,
    // No `default`: Swagger UI would send it with a permanent code, which takes none.
    description: `临时二维码图片的有效天数，默认 ${MAX_DAYS}；到期前以同一场景值自动换新，直到二维码结束 / How many days a picture of a temporary code lives, ${MAX_DAYS} by default; before that it is made anew under the same scene, until the code ends`,
    example: null,
  })
  @IsOptional()
  @IsInt()
  @Min(1)
  @Max(MAX_DAYS)
  expiresInDays?: number | null;

  @BodyTime(
    '二维码自动结束的时间；不填则由人结束 / When it ends by itself; left out, somebody ends it',
    null,
  )
  endsAt?: Date | null;
}

export class CreateQrCodeDto extends QrCodeSettingsDto {
  @ApiProperty({
    description:
      '永久（每个服务号最多 100000 个，微信不提供删除）或临时；小程序码均为永久 / Permanent, of which a service account has 100,000 for ever, or temporary; a mini-program’s code is always permanent',
    example: true,
  })
  @IsBoolean()
  permanent: boolean;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    maxLength: 1024,
    description:
      '仅小程序码：打开的页面 / Of a mini-program’s code: the page that it opens, e.g. `pages/index/index`',
    example: null,
  })
  @IsOptional()
  @MaxLength(1024)
  @Matches(/^[^/?][^?]*$/)
  page?: string | null;
}

export class UpdateQrCodeDto extends QrCodeSettingsDto {
  @ApiPropertyOptional({
    type: Boolean,
    nullable: true,
    description: '不能更改，可与原值一同提交 / Cannot be changed; may be sent as it is',
    example: null,
  })
  @IsOptional()
  @IsBoolean()
  permanent?: boolean | null;
}

export class CopyQrCodeDto {
  @ApiPropertyOptional({
    description:
      '不填则为“原名称（副本）”，按请求的语言 / Left out: the name of the other with “(copy)”, in the language of the call',
    minLength: 1,
    maxLength: 100,
    example: '北京店收银台',
  })
  @IsOptional()
  @VisibleText(100)
  name?: string;
}

export class ListQrCodesDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: QR_CODE_STATUSES })
  @IsOptional()
  @IsIn(QR_CODE_STATUSES)
  status?: QrCodeStatus;

  @ApiPropertyOptional({ description: '渠道 / The channel', maxLength: 64 })
  @IsOptional()
  @VisibleText(64)
  channel?: string;

  @ApiPropertyOptional({ description: '分组 / The group', maxLength: 64 })
  @IsOptional()
  @VisibleText(64)
  group?: string;

  @ApiPropertyOptional({ description: '名称的一部分 / A part of the name', maxLength: 100 })
  @IsOptional()
  @Length(1, 100)
  q?: string;
}

export class QrCodeDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'wx1badb002feedface' })
  appid: string;

  @ApiProperty({
    description: '微信推送中的场景值，不含任何个人信息 / What WeChat knows it by',
    example: 'c4mzq7xk2ab',
  })
  scene: string;

  @ApiProperty({ example: '上海店收银台' })
  name: string;

  @ApiProperty({ example: '线下门店' })
  channel: string;

  @ApiProperty({ type: String, nullable: true, example: '华东' })
  group: string | null;

  @ApiProperty({ type: [String], example: ['上海店'] })
  tags: string[];

  @ApiProperty({ example: true })
  permanent: boolean;

  @ApiProperty({ type: Number, nullable: true, example: null })
  expiresInDays: number | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  page: string | null;

  @ApiProperty({ enum: QR_CODE_STATUSES, example: 'active' })
  status: QrCodeStatus;

  @ApiProperty({
    description: '图片地址，带 API 密钥访问 / The picture; asked for with an API key',
    example:
      'https://channel.example.com/api/v1/accounts/wx1badb002feedface/qr-codes/019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001/image',
  })
  imageUrl: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '二维码的内容，可自行绘制；小程序码只能由微信绘制，为空 / What the picture says, to draw it oneself; null for a mini-program’s, which only WeChat draws',
    example: 'http://weixin.qq.com/q/02AbCdEfGhIjK',
  })
  contentUrl: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description:
      '当前图片失效的时间，此前会自动换新；永久的为空 / When the present picture stops working: it is made anew before that. Null for a permanent one',
    example: null,
  })
  expiresAt: Date | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: TIME })
  endsAt: Date | null;

  @ApiProperty({ type: QrCodeRepliesDto })
  replies: { newFollower: object[]; existingFollower: object[] };

  @ApiProperty({ type: FiguresDto, description: '创建以来的统计 / Since it was made' })
  stats: FiguresDto;

  @ApiProperty({ description: '创建者的 API 密钥名称 / The API key that made it', example: 'crm' })
  createdBy: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  updatedAt: Date;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  endedAt: Date | null;
}

export class QrCodePageDto {
  @ApiProperty({ type: [QrCodeDto] })
  items: QrCodeDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    description:
      '该账号已用的永久二维码数；微信不收回，结束或删除也不减少。小程序码数量不限，为空 / Permanent codes that the account has used up: ending or deleting one gives none back. Null for a mini-program, which may have any number',
    example: 12,
  })
  permanentUsed: number | null;

  @ApiProperty({
    type: Number,
    nullable: true,
    description: '永久二维码数的上限；小程序为空 / How many there may be; null for a mini-program',
    example: MAX_PERMANENT,
  })
  permanentLimit: number | null;
}

/** What is sent as null is left out. */
export function toSettings(body: QrCodeSettingsDto): QrCodeSettings & { expiresInDays?: number } {
  const { name, channel, group, tags, replies, expiresInDays, endsAt } = body;
  return {
    name,
    channel,
    ...(group && { group }),
    ...(tags && { tags }),
    ...(replies && { replies }),
    ...(expiresInDays && { expiresInDays }),
    ...(endsAt && { endsAt }),
  };
}

export function toQrCodeDto({ code, figures }: CountedQrCode, publicUrl: string): QrCodeDto {
  const { id, appid, scene, name, channel, group, isPermanent, expiresInDays, page } = code;
  const { status, contentUrl, expiresAt, endsAt, createdBy, createdAt, updatedAt, endedAt } = code;
  return {
    id,
    appid,
    scene,
    name,
    channel,
    group,
    tags: code.tags.map((tag) => tag.name),
    permanent: isPermanent,
    expiresInDays,
    page,
    status,
    imageUrl: `${publicUrl}/api/v1/accounts/${appid}/qr-codes/${id}/image`,
    contentUrl,
    expiresAt,
    endsAt,
    replies: code.replies ?? { newFollower: [], existingFollower: [] },
    stats: figures,
    createdBy,
    createdAt,
    updatedAt,
    endedAt,
  };
}
