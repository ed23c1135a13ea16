import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, IsString, Length } from 'class-validator';

import { PageQueryDto } from '../../common/paging.js';
import { QueryTime } from '../../common/query-time.js';
import type { OpenedMessage } from './incoming-messages.service.js';

export class IncomingMessageDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  id: string;

  @ApiProperty({ example: 'oFixtureOpenId00000000000001' })
  openid: string;

  @ApiProperty({
    description:
      '微信的 MsgType，小写；event 表示会话中的操作 / WeChat’s `MsgType` in lower case; `event` for something that was done',
    example: 'text',
  })
  messageType: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '事件名，小写 / Name of the event, in lower case',
    example: null,
  })
  event: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: '微信的 MsgId / WeChat’s number of the message',
    example: '6060349595123187712',
  })
  messageId: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: '微信推送的其余内容，原名原文 / The rest of what WeChat sent, in its own words',
    example: { Content: '请问几点开门？' },
  })
  content: object;

  @ApiProperty({
    format: 'date-time',
    description: '微信的 CreateTime / WeChat’s time',
    example: '2026-11-22T08:00:00.000Z',
  })
  occurredAt: Date;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.250Z' })
  receivedAt: Date;
}

export class IncomingMessagePageDto {
  @ApiProperty({ type: [IncomingMessageDto] })
  items: IncomingMessageDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

/** Without examples, which Swagger UI would send in a query. */
export class ListIncomingMessagesDto extends PageQueryDto {
  @ApiPropertyOptional()
  @IsOptional()
  @IsString()
  @Length(1, 64)
  openid?: string;

  @QueryTime('从此刻起收到的 / Received from this moment on')
  from?: Date;

  @QueryTime('此刻之前收到的 / Received before this moment')
  to?: Date;
}

export function toIncomingMessageDto(message: OpenedMessage): IncomingMessageDto {
  const { id, openid, messageType, event, messageId, content, occurredAt, receivedAt } = message;
  return { id, openid, messageType, event, messageId, content, occurredAt, receivedAt };
}
