import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Length } from 'class-validator';

import { PageQueryDto } from '../common/paging.js';
import { QueryTime } from '../common/query-time.js';
import type { Receipt } from './receipt.entity.js';

export class ReceiptDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({
    description:
      'subscribe_msg_popup_event 弹窗中的选择；subscribe_msg_change_event 设置中的变更；subscribe_msg_sent_event 发送结果 / What was chosen in the dialog, what was changed in the settings, or what became of a message',
    example: 'subscribe_msg_sent_event',
  })
  event: string;

  @ApiProperty({ example: 'oFixtureOpenId00000000000001' })
  openid: string;

  @ApiProperty({
    type: String,
    nullable: true,
    example: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g',
  })
  templateId: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '微信的消息编号，19 位 / WeChat’s number of the message',
    example: '1864323726461255680',
  })
  msgid: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      'accept 或 reject；发送结果为 success 或 failed / `accept` or `reject`; of a message, `success` or `failed`',
    example: 'success',
  })
  status: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '微信的 ErrorCode 原文 / WeChat’s `ErrorCode` as it came',
    example: '0',
  })
  errorCode: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '微信的 ErrorStatus 原文 / WeChat’s `ErrorStatus` as it came',
    example: 'success',
  })
  detail: string | null;

  @ApiProperty({
    format: 'date-time',
    description: '微信的 CreateTime / WeChat’s time',
    example: '2026-11-22T08:00:00.000Z',
  })
  occurredAt: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:01.250Z' })
  receivedAt: Date;

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      '对应的投递；null 表示未对应 / The delivery that it is about; null when none was found',
    example: null,
  })
  deliveryId: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: '微信推送的原始条目 / The entry as WeChat sent it',
    example: {
      TemplateId: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g',
      MsgID: '1864323726461255680',
      ErrorCode: '0',
      ErrorStatus: 'success',
    },
  })
  payload: object;
}

export class ReceiptPageDto {
  @ApiProperty({ type: [ReceiptDto] })
  items: ReceiptDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

/** Without examples, which Swagger UI would send in a query. */
export class ListReceiptsDto extends PageQueryDto {
  @ApiPropertyOptional({ description: '事件名 / Name of the event' })
  @IsOptional()
  @IsString()
  @Length(1, 64)
  event?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 64)
  openid?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 64)
  templateId?: string;

  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 32)
  msgid?: string;

  @QueryTime('从此刻起收到的 / Received from this moment on')
  from?: Date;

  @QueryTime('此刻之前收到的 / Received before this moment')
  to?: Date;
}

/** @param deliveryId of the message that it is about */
export function toReceiptDto(receipt: Receipt, deliveryId: string | null): ReceiptDto {
  const { id, event, openid, templateId, msgid, status, errorCode, detail } = receipt;
  const { occurredAt, receivedAt, payload } = receipt;
  return {
    id,
    event,
    openid,
    templateId,
    msgid,
    status,
    errorCode,
    detail,
    occurredAt,
    receivedAt,
    deliveryId,
    payload,
  };
}
