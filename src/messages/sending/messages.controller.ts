import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  ApiBody,
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
  getSchemaPath,
} from '@nestjs/swagger';

import { RequireRole } from '../../access/roles.js';
import type { Account } from '../../accounts/account.entity.js';
import { CurrentAccount, VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import type { Lang } from '../../common/text.js';
import { DeliveryDto, toDeliveryDto } from '../deliveries/delivery.dto.js';
import { CONTENT_DTOS, SEND_EXAMPLES, SENDER_EXAMPLES, SendMessageDto } from './message.dto.js';
import { SendingService } from './sending.service.js';

@ApiTags('消息 Messages')
@Controller('api/v1/accounts/:appid/messages')
export class MessagesController {
  constructor(private readonly sending: SendingService) {}

  @Post()
  @HttpCode(200)
  @RequireRole('sender')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '发送一条消息 / Send one message',
    description:
      '立即尝试发送，返回投递记录，其 status 说明结果；不可达的用户为 skipped，不会尝试。请带上 Idempotency-Key，网络中断后可放心重试。' +
      ' Tried at once. The answer is the delivery, and its `status` tells what became of it; who cannot be reached is `skipped` and not tried. Send an Idempotency-Key: after a broken connection the same request can be sent again without harm.',
  })
  @ApiParam({ name: 'appid', examples: SENDER_EXAMPLES })
  @ApiExtraModels(SendMessageDto, ...CONTENT_DTOS)
  @ApiBody({ schema: { $ref: getSchemaPath(SendMessageDto) }, examples: SEND_EXAMPLES })
  @ApiOkResponse({ type: DeliveryDto })
  @ApiProblems(
    'not_found',
    'account_disabled',
    'scene_not_available',
    'kind_not_supported',
    'validation_failed',
    'wechat_error',
    'wechat_unavailable',
  )
  async send(
    @CurrentAccount() account: Account,
    @CurrentLang() lang: Lang,
    @Body() request: SendMessageDto,
  ): Promise<DeliveryDto> {
    return toDeliveryDto(await this.sending.send(account, request), lang);
  }
}
