import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import type { Lang } from '../../common/text.js';
import { ListTemplatesDto, TemplateListDto, toTemplateListDto } from './template.dto.js';
import { TemplatesService } from './templates.service.js';

@ApiTags('消息 Messages')
@Controller('api/v1/accounts/:appid/templates')
export class TemplatesController {
  constructor(private readonly templates: TemplatesService) {}

  @Get()
  @RequireRole('viewer')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '模板列表 / List the templates',
    description:
      '账号在微信选用的模板与字段，最多 25 个。微信每天允许的读取次数很少：一小时内返回已保存的列表；微信不可用或次数用完时返回上次读到的，readAt 为读取时间。' +
      ' The templates that the account has chosen at WeChat, 25 at the most, with their fields. WeChat allows few calls a day: within an hour the kept list is answered, and while WeChat is away or allows no more calls the one that was read last; `readAt` says when.',
  })
  @ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
  @ApiOkResponse({ type: TemplateListDto })
  @ApiProblems(
    'invalid_query',
    'not_found',
    'account_not_authorized',
    'reauthorization_required',
    'kind_not_supported',
    'wechat_error',
    'send_token_unavailable',
    'templates_unavailable',
    'token_unavailable',
    'wechat_unavailable',
  )
  async list(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { kind, refresh }: ListTemplatesDto,
    @CurrentLang() lang: Lang,
  ): Promise<TemplateListDto> {
    const read = await this.templates.list(caller, appid, kind ?? null, refresh === 'true');
    return toTemplateListDto(read, lang);
  }
}
