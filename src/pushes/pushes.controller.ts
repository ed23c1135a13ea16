import { Controller, Get, Post, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { bytesOf, contextOf, DoorAnswers, queryOf } from './door-answers.js';
import { PushIntake } from './push-intake.js';

/** The component's two doors, on which WeChat knocks. */
@ApiExcludeController()
@Controller('wechat')
export class PushesController {
  constructor(
    private readonly intake: PushIntake,
    private readonly answers: DoorAnswers,
  ) {}

  @Get('component/events')
  shakeHandsForEvents(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.answers.send('component', reply, async () =>
      this.intake.answerHandshake(queryOf(request)),
    );
  }

  @Post('component/events')
  @RouteConfig({ rawBody: true })
  receiveEvent(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<FastifyReply> {
    return this.answers.send('component', reply, () =>
      this.intake.receiveComponentEvent(bytesOf(request), queryOf(request), contextOf(request)),
    );
  }

  @Get('accounts/:appid/messages')
  shakeHandsForMessages(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.answers.send('account', reply, async () =>
      this.intake.answerHandshake(queryOf(request)),
    );
  }

  @Post('accounts/:appid/messages')
  @RouteConfig({ rawBody: true })
  receiveMessage(
    @Req() request: FastifyRequest<{ Params: { appid: string } }>,
    @Res() reply: FastifyReply,
  ): Promise<FastifyReply> {
    return this.answers.send('account', reply, () =>
      this.intake.receiveAccountPush(
        request.params.appid,
        bytesOf(request),
        queryOf(request),
        contextOf(request),
      ),
    );
  }
}
