import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, Length, ValidateIf } from 'class-validator';

import { LeftOut } from '../common/left-out.js';
import { BodyTime } from '../common/query-time.js';
import type { Lang } from '../common/text.js';
import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';
import type { Tried, TriedOccasion } from './auto-replies.service.js';
import { AutoReplyDto, MESSAGE_TYPES, REPLIES, toAutoReplyDto } from './auto-reply.dto.js';

const MAX_TEXT = 2_048;
const OCCASIONS = ['message', 'follow'] as const;

export class TryAutoReplyDto {
  @ApiPropertyOptional({
    enum: OCCASIONS,
    default: 'message',
    description: '收到消息，或被关注 / A message, or that somebody follows',
    example: 'message',
  })
  @LeftOut()
  @IsIn(OCCASIONS)
  occasion?: (typeof OCCASIONS)[number];

  @ApiPropertyOptional({ enum: MESSAGE_TYPES, default: 'text', example: 'text' })
  @LeftOut()
  @IsIn(MESSAGE_TYPES)
  messageType?: string;

  @ApiPropertyOptional({
    description: '用户会发来的文字，文字消息必填 / What a person would write; needed for a text',
    example: '有优惠吗',
  })
  @ValidateIf(isOfText)
  @Length(1, MAX_TEXT)
  text?: string;

  @BodyTime('假定的时间，不填为现在 / As if it were then; left out, now')
  at?: Date | null;

  @ApiPropertyOptional({
    description: '计入此人的频次上限 / Whose cap is looked at',
    example: 'oFixtureOpenId00000000000001',
  })
  @LeftOut()
  @Length(1, 64)
  openid?: string;
}

function isOfText({ occasion = 'message', messageType = 'text', text }: TryAutoReplyDto): boolean {
  return text !== undefined || (occasion === 'message' && messageType === 'text');
}

export function toTried(body: TryAutoReplyDto, now: Date): Tried {
  const { occasion = 'message', messageType = 'text', text, at, openid } = body;
  return {
    occasion:
      occasion === 'follow'
        ? { type: 'follow' }
        : { type: 'message', messageType, text: messageType === 'text' ? (text ?? '') : null },
    at: at ?? now,
    ...(openid !== undefined && { openid }),
  };
}

export class TriedAutoReplyDto {
  @ApiProperty({ type: AutoReplyDto, nullable: true })
  matched: AutoReplyDto | null;

  @ApiProperty({ ...REPLIES, minItems: 0, description: '将发送的内容 / What would be sent' })
  replies: AnyMessageDto[];

  @ApiProperty({
    description:
      '第一条是否在应答中被动回复；否则全部为客服消息 / Whether the first one stands in the response; else all are customer-service messages',
    example: true,
  })
  passive: boolean;

  @ApiProperty({
    description: '此人已达频次上限，不会回复 / The person has had all that the cap allows',
    example: false,
  })
  capped: boolean;
}

export function toTriedAutoReplyDto(tried: TriedOccasion, lang: Lang): TriedAutoReplyDto {
  const { matched, replies, isPassive, isCapped } = tried;
  return {
    matched: matched && toAutoReplyDto(matched, lang),
    ...{ replies, passive: isPassive, capped: isCapped },
  };
}
