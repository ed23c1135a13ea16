import {
  MEDIA_CONTENT_TYPES,
  type MediaFormat,
  type MediaKind,
  TEMPORARY_MEDIA_LIMITS,
} from '@app/wechat';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsInstance, IsOptional } from 'class-validator';

import { UploadedFile } from '../../common/form-data.js';
import { MEDIA_KINDS } from './media-usage.js';
import type { Media } from './media.entity.js';

const FORMATS = Object.keys(MEDIA_CONTENT_TYPES);

export class UploadMediaDto {
  @ApiProperty({
    type: 'string',
    format: 'binary',
    description:
      '图片 PNG / JPEG / GIF，2 MB；语音 MP3 / AMR，2 MB 且不超过 60 秒；视频 MP4，10 MB；缩略图 JPEG，64 KB。小程序只能上传图片 / An image of 2 MB, a voice of 2 MB and 60 seconds, a video of 10 MB, a thumb of 64 KB; for a mini-program images only',
    example: '(binary)',
  })
  @IsInstance(UploadedFile, { message: 'file must be a file: send a form with one' })
  file: UploadedFile;

  @ApiPropertyOptional({
    enum: MEDIA_KINDS,
    description:
      '用途，不填则按内容判断；thumb 为视频或小程序卡片的缩略图 / What it is used as, by default by its content; `thumb` is the small picture of a video or a mini-program page',
    example: 'image',
  })
  @IsOptional()
  @IsIn(MEDIA_KINDS)
  kind?: MediaKind;
}

export class MediaDto {
  @ApiProperty({
    description: '消息内容中的 mediaId / The `mediaId` of contents',
    example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001',
  })
  id: string;

  @ApiProperty({ example: '双十一海报.png' })
  name: string;

  @ApiProperty({ enum: MEDIA_KINDS, example: 'image' })
  kind: MediaKind;

  @ApiProperty({ enum: FORMATS, description: '按内容判断 / By its content', example: 'png' })
  format: MediaFormat;

  @ApiProperty({
    description: '字节数 / How many',
    maximum: TEMPORARY_MEDIA_LIMITS.video.maxBytes,
    example: 183_204,
  })
  bytes: number;

  @ApiProperty({
    description: '内容的 SHA-256，十六进制 / Of its content, in hexadecimal digits',
    example: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  })
  sha256: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-22T08:00:00.000Z' })
  createdAt: Date;
}

export class MediaPageDto {
  @ApiProperty({ type: [MediaDto] })
  items: MediaDto[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor: string | null;
}

export function toMediaDto(media: Media): MediaDto {
  const { id, name, kind, format, bytes, sha256, createdAt } = media;
  return { id, name, kind, format, bytes, sha256, createdAt };
}
