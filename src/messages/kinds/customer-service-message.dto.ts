import type { CustomerServiceType } from '@app/wechat';
import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsIn,
  IsString,
  Length,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';

import { LeftOut } from '../../common/left-out.js';

const MAX_MESSAGES = 5;
const MAX_MENU_ITEMS = 10;
const TYPES = [
  'text',
  'image',
  'voice',
  'video',
  'music',
  'news',
  'article',
  'published_article',
  'menu',
  'mini_program_page',
  'link',
  'card',
] as const satisfies readonly CustomerServiceType[];
const ADDRESS = /^https?:\/\/\S+$/;

/** What every message has. Its class is chosen by it. */
export class CustomerServiceMessageDto {
  @ApiProperty({ enum: TYPES, example: 'text' })
  @IsIn(TYPES)
  type: string;
}

export class TextMessageDto extends CustomerServiceMessageDto {
  declare type: 'text';

  @ApiProperty({
    description: '最多 2048 字节，可带链接 / 2,048 bytes of UTF-8 at the most; may hold links',
    example: '您好，订单已发货。<a href="https://m.example.com/o/88">查看</a>',
  })
  @Length(1, 2048)
  text: string;
}

class MediumMessageDto extends CustomerServiceMessageDto {
  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @Length(1, 36)
  mediaId: string;
}

export class ImageMessageDto extends MediumMessageDto {
  declare type: 'image';
}

export class VoiceMessageDto extends MediumMessageDto {
  declare type: 'voice';
}

export class VideoMessageDto extends CustomerServiceMessageDto {
  declare type: 'video';

  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @Length(1, 36)
  mediaId: string;

  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a002' })
  @Length(1, 36)
  thumbMediaId: string;

  @ApiPropertyOptional({ example: '新品介绍' })
  @LeftOut()
  @Length(1, 128)
  title?: string;

  @ApiPropertyOptional({ example: '一分钟了解新品' })
  @LeftOut()
  @Length(1, 512)
  description?: string;
}

export class MusicMessageDto extends CustomerServiceMessageDto {
  declare type: 'music';

  @ApiProperty({ example: 'https://cdn.example.com/a.mp3' })
  @Matches(ADDRESS)
  @MaxLength(1024)
  url: string;

  @ApiProperty({ example: 'https://cdn.example.com/a-hq.mp3' })
  @Matches(ADDRESS)
  @MaxLength(1024)
  hqUrl: string;

  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a002' })
  @Length(1, 36)
  thumbMediaId: string;

  @ApiPropertyOptional({ example: '品牌之歌' })
  @LeftOut()
  @Length(1, 128)
  title?: string;

  @ApiPropertyOptional({ example: '2026' })
  @LeftOut()
  @Length(1, 512)
  description?: string;
}

/** A card that opens a page. */
class PageCardDto extends CustomerServiceMessageDto {
  @ApiProperty({ example: '秋季新品' })
  @Length(1, 128)
  title: string;

  @ApiProperty({ example: '点击查看' })
  @IsString()
  @MaxLength(512)
  description: string;

  @ApiProperty({ example: 'https://m.example.com/autumn' })
  @Matches(ADDRESS)
  @MaxLength(1024)
  url: string;
}

export class NewsMessageDto extends PageCardDto {
  declare type: 'news';

  @ApiProperty({ example: 'https://cdn.example.com/autumn.jpg' })
  @Matches(ADDRESS)
  @MaxLength(1024)
  imageUrl: string;
}

export class LinkMessageDto extends PageCardDto {
  declare type: 'link';

  @ApiProperty({ example: 'https://cdn.example.com/autumn.jpg' })
  @Matches(ADDRESS)
  @MaxLength(1024)
  thumbUrl: string;
}

/** By WeChat's own id. */
export class ArticleMessageDto extends CustomerServiceMessageDto {
  declare type: 'article';

  @ApiProperty({
    description: '微信素材库的 media_id / WeChat’s media_id of its library',
    example: 'wechat-media-id',
  })
  @Length(1, 128)
  mediaId: string;
}

/** By WeChat's own id. */
export class PublishedArticleMessageDto extends CustomerServiceMessageDto {
  declare type: 'published_article';

  @ApiProperty({
    description: '微信的 article_id / WeChat’s article_id',
    example: 'wechat-article-id',
  })
  @Length(1, 128)
  articleId: string;
}

export class MenuItemDto {
  @ApiProperty({ example: 'good' })
  @Length(1, 64)
  id: string;

  @ApiProperty({ example: '满意' })
  @Length(1, 128)
  text: string;
}

export class MenuMessageDto extends CustomerServiceMessageDto {
  declare type: 'menu';

  @ApiProperty({ example: '这次服务您满意吗？' })
  @Length(1, 1024)
  head: string;

  @ApiProperty({ type: [MenuItemDto] })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_MENU_ITEMS)
  @ValidateNested({ each: true })
  @Type(() => MenuItemDto)
  items: MenuItemDto[];

  @ApiProperty({ example: '谢谢' })
  @IsString()
  @MaxLength(1024)
  tail: string;
}

export class MiniProgramPageMessageDto extends CustomerServiceMessageDto {
  declare type: 'mini_program_page';

  @ApiProperty({ example: '查看订单' })
  @Length(1, 128)
  title: string;

  @ApiPropertyOptional({
    description:
      '公众号发送时必填，须已关联；小程序发送自己的页面，不填 / Needed by official accounts, of one that is linked; a mini-program sends its own pages, without it',
    example: 'wx3c0ffee53c0ffee5',
  })
  @LeftOut()
  @Length(1, 32)
  appid?: string;

  @ApiProperty({ example: 'pages/order/detail?id=88' })
  @Length(1, 1024)
  pagePath: string;

  @ApiProperty({ example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a002' })
  @Length(1, 36)
  thumbMediaId: string;
}

export class CardMessageDto extends CustomerServiceMessageDto {
  declare type: 'card';

  @ApiProperty({ example: 'pFS7Fjg8kV1IdDz01r4SQwMkuCKc' })
  @Length(1, 64)
  cardId: string;
}

export const MESSAGE_DTOS = {
  text: TextMessageDto,
  image: ImageMessageDto,
  voice: VoiceMessageDto,
  video: VideoMessageDto,
  music: MusicMessageDto,
  news: NewsMessageDto,
  article: ArticleMessageDto,
  published_article: PublishedArticleMessageDto,
  menu: MenuMessageDto,
  mini_program_page: MiniProgramPageMessageDto,
  link: LinkMessageDto,
  card: CardMessageDto,
} as const;

export type AnyMessageDto = InstanceType<(typeof MESSAGE_DTOS)[keyof typeof MESSAGE_DTOS]>;

export class CustomerServiceContentDto {
  @ApiProperty({
    type: 'array',
    minItems: 1,
    maxItems: MAX_MESSAGES,
    items: { oneOf: Object.values(MESSAGE_DTOS).map((dto) => ({ $ref: getSchemaPath(dto) })) },
    description: '按顺序发送 / Sent in their order',
    example: [{ type: 'text', text: '您好，订单已发货。' }],
  })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_MESSAGES)
  @ValidateNested({ each: true })
  @Type(() => CustomerServiceMessageDto, {
    discriminator: {
      property: 'type',
      subTypes: Object.entries(MESSAGE_DTOS).map(([name, value]) => ({ name, value })),
    },
    keepDiscriminatorProperty: true,
  })
  messages: AnyMessageDto[];
}
