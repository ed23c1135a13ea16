import { PushError, type PushQuery, readPushQuery } from '@app/wechat';
import { Controller, Get, HttpException, Post, Query, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { Logger } from '../common/logger.js';
import { Metrics } from '../common/metrics.js';
import type { RequestContext } from '../common/request-context.js';
import { type PushAnswer, PushIntake } from './push-intake.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is handed over as the bytes that came, whatever its Content-Type. */
    rawBody?: boolean;
  }
}

type Door = 'component' | 'account';

/** The doors that WeChat knocks on. Every refusal has an empty body; the reason stands in the log and the counters. */
@ApiExcludeController()
@Controller('wechat')
export class PushesController {
  constructor(
    private readonly intake: PushIntake,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {}

  @Get('component/events')
  shakeHandsForEvents(
    @Query() query: Record<string, unknown>,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.#answer('component', reply, () => this.#echo(query));
  }

  @Post('component/events')
  @RouteConfig({ rawBody: true })
  receiveEvent(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<FastifyReply> {
    return this.#answer('component', reply, () =>
      this.intake.receiveComponentEvent(bytesOf(request), queryOf(request), contextOf(request)),
    );
  }

  @Get('accounts/:appid/messages')
  shakeHandsForMessages(
    @Query() query: Record<string, unknown>,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.#answer('account', reply, () => this.#echo(query));
  }

  @Post('accounts/:appid/messages')
  @RouteConfig({ rawBody: true })
  receiveMessage(
    @Req() request: FastifyRequest<{ Params: { appid: string } }>,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.#answer('account', reply, () =>
      this.intake.receiveAccountPush(
        request.params.appid,
        bytesOf(request),
        queryOf(request),
        contextOf(request),
      ),
    );
  }

  async #echo(query: Record<string, unknown>): Promise<PushAnswer> {
    const body = this.intake.answerHandshake(readPushQuery(query));
    return { body, contentType: 'text/plain; charset=utf-8' };
  }

  async #answer(
    door: Door,
    reply: FastifyReply,
    take: () => Promise<PushAnswer>,
  ): Promise<FastifyReply> {
    try {
      const { body, contentType } = await take();
      return reply.status(200).header('content-type', contentType).send(body);
    } catch (error) {
      throw this.#refusal(door, reply.request.id, error);
    }
  }

  #refusal(door: Door, requestId: string, error: unknown): unknown {
    const reason = error instanceof PushError ? error.reason : 'not_kept';
    this.metrics.pushRefusals.inc({ door, reason });
    if (!(error instanceof PushError)) return error;
    this.logger.warn('push.refused', { requestId, door, reason, status: error.status });
    return new HttpException('', error.status);
  }
}

/** Read from the request itself: what is handed over by parameter goes through the pipes of the API. */
function queryOf({
  query,
}: FastifyRequest<{ Params: { appid: string } }> | FastifyRequest): PushQuery {
  return readPushQuery(query as Record<string, unknown>);
}

function contextOf({ id, ip }: FastifyRequest): RequestContext {
  return { requestId: id, ip };
}

function bytesOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}
