import { MEDIA_CONTENT_TYPES } from '@app/wechat';
import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Query,
  Res,
  UseGuards,
} from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { AppError } from '../../common/app-error.js';
import { PageQueryDto } from '../../common/paging.js';
import { TakesFile } from '../../common/route-config.js';
import { MAX_MEDIA_BYTES } from './media-usage.js';
import { MediaDto, MediaPageDto, toMediaDto, UploadMediaDto } from './media.dto.js';
import { MediaService } from './media.service.js';

@ApiTags('消息 Messages')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@UseGuards(VisibleAccountGuard)
@Controller('api/v1/accounts/:appid/media')
export class MediaController {
  constructor(private readonly media: MediaService) {}

  @Post()
  @RequireRole('sender')
  @TakesFile(MAX_MEDIA_BYTES)
  @ApiOperation({
    summary: '上传素材 / Upload a medium',
    description:
      '文件保存在本服务，发送时才上传到微信，微信上的副本（三天）过期后自动重新上传。类型与格式按内容判断，与文件名无关。同一文件再次上传会得到另一个素材；如需避免，请使用 Idempotency-Key。' +
      ' Kept with us, uploaded to WeChat when a message needs it, and again when WeChat’s copy, which lives three days, has expired. Kind and format are told by the content, whatever the name says. The same file again is another medium; an Idempotency-Key keeps a repeated request from making one.',
  })
  @ApiBody({ type: UploadMediaDto })
  @ApiCreatedResponse({ type: MediaDto })
  @ApiProblems(
    'malformed_form',
    'not_found',
    'media_too_large',
    'unsupported_media_type',
    'validation_failed',
  )
  async upload(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() { file, kind }: UploadMediaDto,
  ): Promise<MediaDto> {
    return toMediaDto(await this.media.create(caller, appid, file, kind ?? null));
  }

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '素材列表 / List the media',
    description: '最新的在前。 The newest first.',
  })
  @ApiOkResponse({ type: MediaPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() query: PageQueryDto,
  ): Promise<MediaPageDto> {
    const { items, nextCursor } = await this.media.list(caller, appid, query);
    return { items: items.map(toMediaDto), nextCursor };
  }

  @Get(':id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '查看素材 / Look at a medium' })
  @ApiOkResponse({ type: MediaDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<MediaDto> {
    return toMediaDto(await this.media.get(caller, appid, id));
  }

  @Get(':id/content')
  @RequireRole('viewer')
  @ApiOperation({ summary: '下载素材 / Download a medium' })
  @ApiOkResponse({
    description: '文件内容 / The file',
    content: Object.fromEntries(
      Object.values(MEDIA_CONTENT_TYPES).map((type) => [
        type,
        { schema: { type: 'string', format: 'binary' } },
      ]),
    ),
  })
  @ApiProblems('not_found')
  async download(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const media = await this.media.get(caller, appid, id);
    const content = await this.media.readContent(media);
    if (!content) throw new AppError('not_found');
    return reply
      .header('content-type', MEDIA_CONTENT_TYPES[media.format])
      .header('x-content-type-options', 'nosniff')
      .header('content-disposition', asAttachment(media.name))
      .send(content);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireRole('sender')
  @ApiOperation({
    summary: '删除素材 / Delete a medium',
    description:
      '自动回复或渠道码还在使用的不能删除。之后引用它的消息无法发送；已发出的不受影响。 Not one that an automatic reply or a channel code answers with. Messages that name it can no longer be sent; those that were sent stay as they are.',
  })
  @ApiNoContentResponse({ description: '已删除 / It is gone' })
  @ApiProblems('not_found', 'media_in_use')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<void> {
    await this.media.delete(caller, appid, id);
  }
}

/** To be saved, never to be shown in place of one of our pages. @see https://www.rfc-editor.org/rfc/rfc6266.html */
function asAttachment(name: string): string {
  const plain = name.replaceAll(/[^\w.-]/g, '_');
  const exact = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename="${plain}"; filename*=UTF-8''${exact}`;
}
