import { Controller, Get, Param, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { AppError } from '../../common/app-error.js';
import { AccountPictures } from './account-pictures.service.js';

/** Shows our copies of accounts' pictures to whoever has the address: a browser sends no API key for one. */
@ApiExcludeController()
@Controller('pictures')
export class PicturesController {
  constructor(private readonly pictures: AccountPictures) {}

  @Get(':id')
  async show(@Param('id') id: string, @Res() reply: FastifyReply): Promise<FastifyReply> {
    const picture = await this.pictures.find(id);
    if (!picture) throw new AppError('not_found');
    return (
      reply
        .header('content-type', picture.contentType)
        // Another content has another address; a day, so that a deleted account's does not stay for ever.
        .header('cache-control', 'public, max-age=86400, immutable')
        // Consoles on other domains show it too.
        .header('cross-origin-resource-policy', 'cross-origin')
        .header('x-robots-tag', 'noindex')
        .send(Buffer.from(picture.content, 'base64'))
    );
  }
}
