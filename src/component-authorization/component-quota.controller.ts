import { Controller, Get, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import {
  QuotaDto,
  QuotaQueryDto,
  QuotaResetMadeDto,
  QuotaResetsDto,
  toMadeDto,
  toQuotaDto,
  toResetsDto,
} from '../accounts/quota/quota.dto.js';
import { QuotaResets } from '../accounts/quota/quota-resets.service.js';
import { ApiProblems } from '../common/api-docs.js';
import { CurrentLang } from '../common/current-lang.js';
import { type Lang } from '../common/text.js';
import { ComponentService } from './component.service.js';

@ApiTags('第三方平台 Component')
@Controller('api/v1/component')
export class ComponentQuotaController {
  constructor(
    private readonly component: ComponentService,
    private readonly resets: QuotaResets,
  ) {}

  @Get('quota')
  @RequireRole('owner')
  @ApiOperation({
    summary: '查询平台自身的接口额度 / Look at the quota of an API of the platform’s own',
    description:
      '如 /cgi-bin/component/api_authorizer_token。 Such as /cgi-bin/component/api_authorizer_token.',
  })
  @ApiOkResponse({ type: QuotaDto })
  @ApiProblems(
    'invalid_query',
    'wechat_error',
    'component_ticket_missing',
    'token_unavailable',
    'wechat_unavailable',
  )
  async look(@Query() { path }: QuotaQueryDto): Promise<QuotaDto> {
    return toQuotaDto(path, await this.component.look(path));
  }

  @Get('quota-resets')
  @RequireRole('owner')
  @ApiOperation({
    summary: '平台自身的额度重置记录 / The platform’s own quota resets of this month',
  })
  @ApiOkResponse({ type: QuotaResetsDto })
  @ApiProblems()
  async list(@CurrentLang() lang: Lang): Promise<QuotaResetsDto> {
    const list = await this.resets.list(this.component.appid);
    return toResetsDto(list, lang);
  }

  @Post('quota-resets')
  @RequireRole('owner')
  @ApiOperation({
    summary: '重置平台自身的接口额度 / Reset the platform’s own quota',
    description:
      '与账号相同，每月最多 10 次。不影响账号的额度。 Ten a month, as for an account; the accounts’ own quotas stay as they are.',
  })
  @ApiCreatedResponse({ type: QuotaResetMadeDto })
  @ApiProblems('quota_reset_budget_exhausted', 'wechat_error', 'wechat_unavailable')
  async reset(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
  ): Promise<QuotaResetMadeDto> {
    const subject = { appid: this.component.appid, tenantId: null };
    return toMadeDto(await this.resets.reset(subject, caller), lang);
  }
}
