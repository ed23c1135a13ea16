import { Controller, Get, Param, Query, Res, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { ExistingQrCodeGuard } from '../existing-qr-code.guard.js';
import { PICTURE_TYPES } from './drawing.js';
import { PackQueryDto, PictureQueryDto } from './picture.dto.js';
import { QrCodePictures } from './qr-code-pictures.service.js';

const BINARY = { schema: { type: 'string', format: 'binary' } };

@ApiTags('渠道二维码 QR codes')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@UseGuards(VisibleAccountGuard, ExistingQrCodeGuard)
@Controller('api/v1/accounts/:appid/qr-codes')
export class QrCodePicturesController {
  constructor(private readonly pictures: QrCodePictures) {}

  @Get('images.zip')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '批量下载图片 / Download many pictures',
    description:
      '打包为 zip，边画边传。每个进程同时打包四个，更多的请稍后重试（429）。 In a zip that is drawn while it is sent. A process makes four at a time: for another one, try again after Retry-After seconds (429).',
  })
  @ApiOkResponse({ content: { 'application/zip': BINARY } })
  @ApiProblems('invalid_query', 'not_found', 'media_not_found', 'media_not_usable')
  async pack(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { ids, captions, ...look }: PackQueryDto,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const packed = await this.pictures.pack(caller, appid, ids, look, captions);
    return reply
      .header('content-type', 'application/zip')
      .header('content-disposition', 'attachment; filename="qr-codes.zip"')
      .send(packed);
  }

  @Get(':id/image')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '二维码图片 / The picture',
    description:
      '按内容绘制，任意大小；小程序码为微信绘制的图片，可缩放。 Drawn from the content in any size; a mini-program’s is WeChat’s own, which is scaled.',
  })
  @ApiOkResponse({
    content: { 'image/png': BINARY, 'image/svg+xml': BINARY, 'image/jpeg': BINARY },
  })
  @ApiProblems('invalid_query', 'not_found', 'media_not_found', 'media_not_usable')
  async show(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Query() query: PictureQueryDto,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const picture = await this.pictures.draw(caller, appid, id, query);
    return reply
      .header('content-type', PICTURE_TYPES[query.format])
      .header('x-content-type-options', 'nosniff')
      .send(picture);
  }
}
