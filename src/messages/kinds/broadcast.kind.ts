import { type BroadcastContent, previewBroadcast, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray, IsIn, Length, ValidateIf } from 'class-validator';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import { CarriedMedia, type MediaRef, type WechatIds } from './carried-media.js';
import type { MessageKind, OutgoingMessage } from './message-kind.js';
import { readContent } from './read-content.js';

const TYPES = ['text', 'article', 'image', 'voice'] as const;
const MAX_IMAGES = 20;

export class BroadcastContentDto {
  @ApiProperty({ enum: TYPES, example: 'text' })
  @IsIn(TYPES)
  type: (typeof TYPES)[number];

  @ApiPropertyOptional({ description: 'text', example: '秋季新品已上架' })
  @ValidateIf(({ type }: BroadcastContentDto) => type === 'text')
  @Length(1, 2048)
  text?: string;

  @ApiPropertyOptional({
    description:
      'voice 为我们的素材 id；article 为微信草稿的 media_id / voice: our id; article: WeChat’s media_id of the draft',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  })
  @ValidateIf(({ type }: BroadcastContentDto) => type === 'article' || type === 'voice')
  @Length(1, 128)
  mediaId?: string;

  @ApiPropertyOptional({
    type: [String],
    description:
      'image：我们的素材 id；预览只显示第一张 / image: our ids; a preview shows the first',
    example: ['019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001'],
  })
  @ValidateIf(({ type }: BroadcastContentDto) => type === 'image')
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_IMAGES)
  @Length(1, 36, { each: true })
  mediaIds?: string[];
}

/** 群发, to one person as WeChat's preview. To many it goes with a campaign. */
@Injectable()
export class BroadcastKind implements MessageKind<BroadcastContentDto> {
  readonly name = 'broadcast';
  readonly path = '/cgi-bin/message/mass/preview';
  /** A preview has no de-duplication id. */
  readonly isRepeatable = false;
  readonly busyRetries = 0;
  readonly resultWithinMs = null;

  constructor(
    private readonly media: CarriedMedia,
    private readonly wechat: WechatHttp,
  ) {}

  read(content: object): BroadcastContentDto | FieldError[] {
    return readContent(BroadcastContentDto, content);
  }

  check(account: Account, content: BroadcastContentDto): Promise<FieldError[]> {
    return this.media.check(account, refsOf(content));
  }

  templateIdOf(): null {
    return null;
  }

  partsOf(): number {
    return 1;
  }

  send(
    account: Account,
    { openid, content }: OutgoingMessage<BroadcastContentDto>,
  ): Promise<{ msgid: string | null }> {
    return this.media.send(account, refsOf(content), (token, ids) =>
      previewBroadcast(this.wechat, token, { openid }, toWechat(content, ids)),
    );
  }
}

function refsOf({ type, mediaId = '', mediaIds = [] }: BroadcastContentDto): MediaRef[] {
  if (type === 'voice') return [{ field: 'content.mediaId', id: mediaId, kind: 'voice' }];
  if (type !== 'image') return [];
  return mediaIds.map((id, place) => ({
    field: `content.mediaIds.${place}`,
    id,
    kind: 'image',
  }));
}

function toWechat(content: BroadcastContentDto, ids: WechatIds): BroadcastContent {
  const { type, text = '', mediaId = '', mediaIds = [] } = content;
  switch (type) {
    case 'text':
      return { type, text };
    case 'article':
      return { type, mediaId };
    case 'voice':
      return { type, mediaId: ids(mediaId) };
    case 'image':
      return { type, mediaIds: mediaIds.map(ids) };
  }
}
