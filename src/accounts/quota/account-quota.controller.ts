import { Controller, Get, Param, Post, Query, UseGuards } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import { type Lang } from '../../common/text.js';
import { VisibleAccountGuard } from '../visible-account.guard.js';
import { AccountQuota } from './account-quota.service.js';
import {
  QuotaDto,
  QuotaQueryDto,
  QuotaResetMadeDto,
  QuotaResetsDto,
  toMadeDto,
  toQuotaDto,
  toResetsDto,
} from './quota.dto.js';

const APPID = { name: 'appid', example: 'wx1badb002feedface' };

@ApiTags('账号 Accounts')
@Controller('api/v1/accounts/:appid')
export class AccountQuotaController {
  constructor(private readonly quota: AccountQuota) {}

  @Get('quota')
  @RequireRole('viewer')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '查询接口额度 / Look at the quota of an API',
    description: '微信对该账号某个接口的统计。 WeChat’s own figures for one API of the account.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: QuotaDto })
  @ApiProblems(
    'invalid_query',
    'not_found',
    'account_not_authorized',
    'reauthorization_required',
    'wechat_error',
    'token_unavailable',
    'wechat_unavailable',
  )
  async look(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { path }: QuotaQueryDto,
  ): Promise<QuotaDto> {
    return toQuotaDto(path, await this.quota.look(caller, appid, path));
  }

  @Get('quota-resets')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '额度重置记录 / The quota resets of this month',
    description:
      '微信每个账号每月（北京时间）最多重置 10 次。 WeChat resets the quota of an account ten times a month, by Beijing time.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: QuotaResetsDto })
  @ApiProblems('not_found', 'official_account_only')
  async list(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<QuotaResetsDto> {
    return toResetsDto(await this.quota.list(caller, appid), lang);
  }

  @Post('quota-resets')
  @RequireRole('admin')
  @ApiOperation({
    summary: '重置接口额度 / Reset the quota of the account',
    description:
      '清零该账号全部接口今日的调用次数，占用每月 10 次之一；微信拒绝时不占用。应答丢失时按已使用计，不会自动重试。' +
      ' Clears the day’s counters of all APIs of the account, and uses one of the ten of the month; a refusal uses none. A lost answer counts, and is not tried again by itself.',
  })
  @ApiParam(APPID)
  @ApiCreatedResponse({ type: QuotaResetMadeDto })
  @ApiProblems(
    'not_found',
    'quota_reset_budget_exhausted',
    'account_not_authorized',
    'reauthorization_required',
    'official_account_only',
    'wechat_error',
    'wechat_unavailable',
  )
  async reset(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<QuotaResetMadeDto> {
    return toMadeDto(await this.quota.reset(caller, appid), lang);
  }
}
