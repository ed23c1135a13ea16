import { Controller, Get, Post, Req, Res } from '@nestjs/common';
import { RouteConfig } from '@nestjs/platform-fastify';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { bytesOf, contextOf, DoorAnswers, queryOf } from '../pushes/door-answers.js';
import { ReceiptIntake } from './receipt-intake.js';

type DoorRequest = FastifyRequest<{ Params: { receiptKey: string } }>;

/** The address of a mini-program's own pushes, on which WeChat or a forwarder knocks. */
@ApiExcludeController()
@Controller('wechat/receipts')
export class ReceiptDoorController {
  constructor(
    private readonly intake: ReceiptIntake,
    private readonly answers: DoorAnswers,
  ) {}

  @Get(':receiptKey')
  shakeHands(@Req() request: DoorRequest, @Res() reply: FastifyReply): Promise<FastifyReply> {
    return this.answers.send('receipt', reply, () =>
      this.intake.answerHandshake(request.params.receiptKey, queryOf(request)),
    );
  }

  @Post(':receiptKey')
  @RouteConfig({ rawBody: true })
  receive(@Req() request: DoorRequest, @Res() reply: FastifyReply): Promise<FastifyReply> {
    return this.answers.send('receipt', reply, () =>
      this.intake.receive(
        request.params.receiptKey,
        bytesOf(request),
        queryOf(request),
        contextOf(request),
      ),
    );
  }
}
