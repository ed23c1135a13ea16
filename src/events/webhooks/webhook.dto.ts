import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsDate,
  IsIn,
  IsOptional,
  IsString,
  Length,
} from 'class-validator';

import { LeftOut } from '../../common/left-out.js';
import { PageQueryDto } from '../../common/paging.js';
import { EVENT_TYPES, type EventType } from '../event-types.js';
import {
  DELIVERY_STATES,
  type DeliveryState,
  type Webhook,
  type WebhookDelivery,
} from './webhook.entity.js';

export class SaveWebhookDto {
  @ApiProperty({
    example: 'https://platform.example.com/hooks/wechat',
    description:
      '接收地址；公网须为 https，内网须在 OUTBOUND_ALLOWED_NETWORKS 中 / Where events go: https to public addresses, or a network of OUTBOUND_ALLOWED_NETWORKS',
  })
  @IsString()
  @Length(8, 2_048)
  url: string;

  @ApiPropertyOptional({
    isArray: true,
    enum: EVENT_TYPES,
    example: ['account.authorized', 'account.updated', 'account.unauthorized'],
    description: '只要这些类型；空为全部 / Only these types; empty for all',
  })
  @LeftOut()
  @IsArray()
  @ArrayUnique()
  @IsIn(EVENT_TYPES, { each: true })
  eventTypes?: EventType[];

  @ApiPropertyOptional({ example: true, default: true })
  @LeftOut()
  @IsBoolean()
  enabled?: boolean;
}

export class WebhookDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'default' })
  tenantId: string;

  @ApiProperty({ example: 'https://platform.example.com/hooks/wechat' })
  url: string;

  @ApiProperty({ isArray: true, enum: EVENT_TYPES, example: [] })
  eventTypes: EventType[];

  @ApiProperty({ example: true })
  enabled: boolean;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description:
      'gone：接收方返回 410；failing：连续五天失败。由服务自动停用 / Why the service has switched it off: the receiver said 410, or nothing arrived for five days',
  })
  disabledReason: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  failingSince: Date | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.000Z',
    description: '最近一次送达 / The last that arrived',
  })
  succeededAt: Date | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;
}

export class CreatedWebhookDto extends WebhookDto {
  @ApiProperty({
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr',
    description: '签名密钥，只显示一次 / What deliveries are signed with; shown once',
  })
  secret: string;
}

export class WebhookPageDto {
  @ApiProperty({ type: [WebhookDto] })
  items: WebhookDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class RotatedSecretDto {
  @ApiProperty({ example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr' })
  secret: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-11-23T08:00:00.000Z',
    description: '在此之前，旧密钥也参与签名 / Until then the former one signs as well',
  })
  previousUntil: Date;
}

export class WebhookTestDto {
  @ApiProperty({ example: true })
  ok: boolean;

  @ApiProperty({ type: Number, nullable: true, example: 200 })
  status: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description:
      '失败的步骤：url、blocked、dns、connect、tls、timeout、status、redirect、body / The step that failed',
  })
  step: string | null;

  @ApiProperty({ example: 42 })
  latencyMs: number;
}

export class WebhookDeliveryDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a002' })
  id: string;

  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  eventId: string;

  @ApiProperty({ example: 'account.updated' })
  eventType: string;

  @ApiProperty({ type: String, nullable: true, example: 'wx1badb002feedface' })
  appid: string | null;

  @ApiProperty({
    example: 12,
    description: '同一主体的第几个事件 / Its place among the events of its subject',
  })
  sequence: number;

  @ApiProperty({ enum: DELIVERY_STATES, example: 'succeeded' })
  status: DeliveryState;

  @ApiProperty({ example: 1 })
  attempts: number;

  @ApiProperty({ type: Number, nullable: true, example: 200 })
  lastStatus: number | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  lastStep: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  nextTryAt: Date | null;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-22T08:00:00.120Z',
  })
  finishedAt: Date | null;
}

export class WebhookDeliveryPageDto {
  @ApiProperty({ type: [WebhookDeliveryDto] })
  items: WebhookDeliveryDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export class ListWebhookDeliveriesDto extends PageQueryDto {
  @ApiPropertyOptional({ enum: DELIVERY_STATES })
  @IsOptional()
  @IsIn(DELIVERY_STATES)
  status?: DeliveryState;
}

const toDate = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' && /(?:Z|[+-]\d\d:\d\d)$/.test(value) ? new Date(value) : value;

export class ReplayDto {
  @ApiProperty({ type: String, format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  @Transform(toDate)
  @IsDate()
  from: Date;

  @ApiProperty({ type: String, format: 'date-time', example: '2026-11-22T09:00:00.000Z' })
  @Transform(toDate)
  @IsDate()
  to: Date;
}

export class ReplayedDto {
  @ApiProperty({
    example: 31,
    description: '将重新发送的事件数 / How many events will be sent again',
  })
  count: number;
}

export function toWebhookDto(row: Webhook): Pick<WebhookDto, keyof WebhookDto> {
  const { id, tenantId, url, eventTypes, enabled, disabledReason } = row;
  const { failingSince, succeededAt, createdAt } = row;
  return {
    ...{ id, tenantId, url, eventTypes, enabled, disabledReason },
    ...{ failingSince, succeededAt, createdAt },
  };
}

export function toWebhookDeliveryDto(row: WebhookDelivery): WebhookDeliveryDto {
  const { id, eventId, eventType, appid, sequence, status, attempts } = row;
  const { lastStatus, lastStep, createdAt, finishedAt } = row;
  return {
    ...{ id, eventId, eventType, appid, sequence, status, attempts },
    ...{ lastStatus, lastStep, createdAt, finishedAt },
    nextTryAt: status === 'pending' ? row.nextTryAt : null,
  };
}
