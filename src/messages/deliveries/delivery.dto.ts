import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, Length } from 'class-validator';

import { PageQueryDto } from '../../common/paging.js';
import { QueryTime } from '../../common/query-time.js';
import { inLang, type Lang } from '../../common/text.js';
import { MESSAGE_KINDS, type MessageKindName } from '../kinds/message-kind.js';
import { type Delivery, DELIVERY_STATUSES, type DeliveryStatus } from './delivery.entity.js';

export class DeliveryFailureDto {
  @ApiProperty({
    description:
      '稳定的原因代码 / A stable word, e.g. `window_closed` `no_grant` `user_not_follower` `quota_exhausted` `field_invalid` `answer_lost`',
    example: 'window_closed',
  })
  reason: string;

  @ApiProperty({
    type: Number,
    nullable: true,
    description: '微信的错误码 / WeChat’s code',
    example: 45015,
  })
  errcode: number | null;

  @ApiProperty({ example: '已超出客服消息的时间窗口，等用户再次互动后才能发送。' })
  detail: string;

  @ApiProperty({
    description: '稍后重新发送是否可能成功 / Whether the same message may go through later',
    example: false,
  })
  retryable: boolean;
}

export class PartsDto {
  @ApiProperty({ description: '微信已接收的条数 / Taken by WeChat', example: 1 })
  sent: number;

  @ApiProperty({ example: 1 })
  total: number;
}

export class DeliveryDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'wx1badb002feedface' })
  appid: string;

  @ApiProperty({ enum: MESSAGE_KINDS, example: 'template_message' })
  kind: string;

  @ApiProperty({ type: String, nullable: true, example: 'oFixtureOpenId00000000000001' })
  openid: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'user-10001' })
  userId: string | null;

  @ApiProperty({
    enum: DELIVERY_STATUSES,
    description:
      'pending 等待重试；sending 发送中；accepted 微信已接收；delivered 已送达；failed 失败；skipped 不可达，未尝试；unknown 微信的应答丢失，不会自动重发；cancelled 已取消' +
      ' / `pending` waits for its next try; `sending`; `accepted` by WeChat; `delivered`; `failed`; `skipped`: cannot be reached and was not tried; `unknown`: WeChat’s answer was lost, it is not sent again by itself; `cancelled`',
    example: 'accepted',
  })
  status: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '微信的消息编号 / WeChat’s number of the message',
    example: '3557254367693750277',
  })
  msgid: string | null;

  @ApiProperty({ type: DeliveryFailureDto, nullable: true, example: null })
  failure: DeliveryFailureDto | null;

  @ApiProperty({
    type: PartsDto,
    description: '客服消息可含多条 / Customer-service messages may have several',
  })
  parts: PartsDto;

  @ApiProperty({ description: '发送次数 / How often sending has begun', example: 1 })
  attempts: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.200Z',
  })
  acceptedAt: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: '状态成为最终状态的时间 / When the status became final',
    example: null,
  })
  finishedAt: Date | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  campaignId: string | null;
}

export class DeliveryPageDto {
  @ApiProperty({ type: [DeliveryDto] })
  items: DeliveryDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

/** Without examples, which Swagger UI would send in a query. */
export class ListDeliveriesDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: DELIVERY_STATUSES })
  @IsOptional()
  @IsIn(DELIVERY_STATUSES)
  status?: DeliveryStatus;

  @ApiPropertyOptional({ enum: MESSAGE_KINDS })
  @IsOptional()
  @IsIn(MESSAGE_KINDS)
  kind?: MessageKindName;

  @ApiPropertyOptional()
  @IsOptional()
  @Length(1, 64)
  openid?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @Length(1, 128)
  userId?: string;

  @QueryTime('从此刻起创建的 / Created from this moment on')
  from?: Date;

  @QueryTime('此刻之前创建的 / Created before this moment')
  to?: Date;
}

export function toDeliveryDto(delivery: Delivery, lang: Lang): DeliveryDto {
  const { id, appid, kind, openid, userId, status, msgid, failure } = delivery;
  const { attempts, createdAt, acceptedAt, finishedAt, campaignId } = delivery;
  return {
    id,
    appid,
    kind,
    openid,
    userId,
    status,
    msgid,
    failure: failure && { ...failure, detail: inLang(failure.detail, lang) },
    parts: { sent: delivery.partsSent, total: delivery.parts },
    attempts,
    createdAt,
    acceptedAt,
    finishedAt,
    campaignId,
  };
}
