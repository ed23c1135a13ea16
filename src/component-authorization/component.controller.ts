import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { CurrentLang } from '../common/current-lang.js';
import { inLang, type Lang } from '../common/text.js';
import { ComponentDto } from './component.dto.js';
import { ComponentService } from './component.service.js';

@ApiTags('第三方平台 Component')
@Controller('api/v1/component')
export class ComponentController {
  constructor(private readonly component: ComponentService) {}

  @Get()
  @RequireRole('owner')
  @ApiOperation({
    summary: '第三方平台状态 / State of the platform',
    description:
      'ticket 与令牌的状态、要填到微信控制台的地址、需要处理的问题。 Ticket and token, the addresses to enter in the console, and what needs attention.',
  })
  @ApiOkResponse({ type: ComponentDto })
  @ApiProblems()
  async get(@CurrentLang() lang: Lang): Promise<ComponentDto> {
    const status = await this.component.status();
    return {
      ...status,
      warnings: status.warnings.map(({ code, detail }) => ({ code, detail: inLang(detail, lang) })),
    };
  }

  @Post('ticket-push')
  @HttpCode(202)
  @RequireRole('owner')
  @ApiOperation({
    summary: '请求微信重新推送 ticket / Ask WeChat to push the ticket again',
    description:
      'ticket 随后由微信推送到事件地址。 The ticket follows by a push to the events address.',
  })
  @ApiAcceptedResponse({ description: '微信已受理 / WeChat has taken the request' })
  @ApiProblems('wechat_error', 'wechat_unavailable')
  async requestTicketPush(@CurrentCaller() caller: Caller): Promise<void> {
    await this.component.requestTicketPush(caller);
  }
}
