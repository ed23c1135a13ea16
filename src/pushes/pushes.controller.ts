import { PushError, readPushQuery } from '@app/wechat';
import { Controller, Get, HttpException, Post, Query, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { Logger } from '../common/logger.js';
import { PushesService } from './pushes.service.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is handed over as the bytes that came, whatever its Content-Type. */
    rawBody?: boolean;
  }
}

/** The doors that WeChat knocks on. Every refusal has an empty body; the reason stands in the log. */
@ApiExcludeController()
@Controller('wechat/component/events')
export class PushesController {
  constructor(
    private readonly pushes: PushesService,
    private readonly logger: Logger,
  ) {}

  @Get()
  handshake(@Query() query: Record<string, unknown>, @Res() reply: FastifyReply): FastifyReply {
    const echo = this.#refusing(() => this.pushes.answerHandshake(readPushQuery(query)));
    return plain(reply, echo);
  }

  @Post()
  @RouteConfig({ rawBody: true })
  async receive(
    @Query() query: Record<string, unknown>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    try {
      await this.pushes.receiveComponentEvent(body, readPushQuery(query));
    } catch (error) {
      throw this.#refusal(error);
    }
    return plain(reply, 'success');
  }

  #refusing<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#refusal(error);
    }
  }

  #refusal(error: unknown): unknown {
    if (!(error instanceof PushError)) return error;
    this.logger.warn('push.refused', { reason: error.reason, status: error.status });
    return new HttpException('', error.status);
  }
}

function plain(reply: FastifyReply, text: string): FastifyReply {
  return reply.status(200).header('content-type', 'text/plain; charset=utf-8').send(text);
}
