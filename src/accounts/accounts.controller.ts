import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  UseGuards,
} from '@nestjs/common';
import {
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { CurrentLang } from '../common/current-lang.js';
import { inLang, type Lang } from '../common/text.js';
import {
  AccountDto,
  AccountPageDto,
  ClaimAccountDto,
  EnableChecksDto,
  ListAccountsDto,
  OpenidPropertyDto,
  SyncReportDto,
} from './account.dto.js';
import { AccountDeletion } from './account-deletion.service.js';
import { AccountEnabling } from './account-enabling.service.js';
import { AccountViews } from './account-views.js';
import { AccountsList } from './accounts-list.service.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { AccountsService } from './accounts.service.js';
import { ClaimableAccountGuard } from './claimable-account.guard.js';
import { VisibleAccountGuard } from './visible-account.guard.js';

const APPID = { name: 'appid', example: 'wx1badb002feedface' };

@ApiTags('账号 Accounts')
@Controller('api/v1/accounts')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly accountsList: AccountsList,
    private readonly accountsSync: AccountsSyncService,
    private readonly enabling: AccountEnabling,
    private readonly deletion: AccountDeletion,
    private readonly views: AccountViews,
  ) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '账号列表 / List the accounts',
    description:
      '最近授权的在前，可搜索、筛选、排序，并附各状态的数量。 The newest authorization comes first; searched, filtered, ordered as asked for, with how many there are of each state.',
  })
  @ApiOkResponse({ type: AccountPageDto })
  @ApiProblems('invalid_query')
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: ListAccountsDto,
    @CurrentLang() lang: Lang,
  ): Promise<AccountPageDto> {
    const { accounts, nextCursor, counts } = await this.accountsList.find(caller, query);
    const items = await this.views.showAll(accounts, lang);
    return { items, nextCursor, counts };
  }

  @Get(':appid')
  @RequireRole('viewer')
  @ApiOperation({ summary: '账号详情 / One account' })
  @ApiParam(APPID)
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<AccountDto> {
    return this.views.show(await this.accounts.get(caller, appid), lang);
  }

  @Put(':appid/openid-property')
  @RequireRole('admin')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '设置 OpenID 属性 / Set the OpenID property',
    description:
      '营销平台的哪个用户属性存放该账号的 OpenID。须为文本类型，每个账号一个，同一租户内不能重复；属性目录为空时接受任意名称。 Which user property of the marketing platform holds people’s openids for this account: a text, one for each account of a tenant. While the catalogue is empty, any name is taken.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'openid_property_in_use',
    'account_unclaimed',
    'account_enabled',
    'unknown_user_property',
    'user_property_not_text',
    'validation_failed',
  )
  async setProperty(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() { property }: OpenidPropertyDto,
    @CurrentLang() lang: Lang,
  ): Promise<AccountDto> {
    const account = await this.accounts.setProperty(caller, appid, property);
    return this.views.show(account, lang);
  }

  @Get(':appid/enable-checks')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '启用检查 / Whether the account may be switched on',
    description:
      '以刚从微信读取的数据检查，不改变启用状态；微信不可用时以已保存的数据检查并说明其时间。 By what WeChat says at this moment, without switching it on; by what is kept, saying how old it is, while WeChat is away.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: EnableChecksDto })
  @ApiProblems('not_found')
  check(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<EnableChecksDto> {
    return this.enabling.check(caller, appid, lang);
  }

  @Post(':appid/enable')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: '启用账号 / Switch the account on',
    description:
      '检查全部通过才会启用；未通过时 checks 列出每一项及处理办法。 Only when every check passes; otherwise `checks` names each that fails and what to do about it.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found', 'enable_checks_failed', 'account_unclaimed')
  async enable(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<AccountDto> {
    const account = await this.enabling.enable(caller, appid);
    return this.views.show(account, lang);
  }

  @Post(':appid/disable')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: '停用账号 / Switch the account off',
    description:
      '停用后不再发送，微信推送仍应答 success 但不处理；授权与配置保留。 Nothing is sent any more, pushes are answered and forgotten; authorization and configuration stay.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found')
  async disable(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<AccountDto> {
    const account = await this.enabling.disable(caller, appid);
    return this.views.show(account, lang);
  }

  @Post(':appid/claim')
  @HttpCode(200)
  @RequireRole('owner')
  @UseGuards(ClaimableAccountGuard)
  @ApiOperation({
    summary: '归属或移交账号 / Give an account to a tenant',
    description:
      '把无人认领的账号归入租户，或移交给另一个租户（指定了 X-Tenant-Id 时只能移交该租户的）。账号随之停用；若其 OpenID 属性已被新租户的另一个账号使用，或不在新租户的属性目录中，该属性被清除。原租户收到 changed 为 tenant 的 account.updated，双方都不会得知对方是谁。' +
      ' Gives an unclaimed account to a tenant, or moves one: with X-Tenant-Id, one of that tenant only. It is switched off on the way, and loses its OpenID property if another account of the new tenant has it or the new tenant’s catalogue lacks it. The former tenant gets `account.updated` with `tenant` in `changed`; neither learns who the other one is.',
  })
  @ApiParam(APPID)
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found', 'validation_failed')
  async claim(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() { tenantId }: ClaimAccountDto,
    @CurrentLang() lang: Lang,
  ): Promise<AccountDto> {
    const account = await this.accounts.claim(caller, appid, tenantId);
    return this.views.show(account, lang);
  }

  @Delete(':appid')
  @HttpCode(204)
  @RequireRole('owner')
  @ApiOperation({
    summary: '删除账号 / Delete an account',
    description:
      '须先由账号管理员在微信侧取消授权，并在 confirm 中重复 AppID。该账号的配置、令牌、推送、事件等全部删除；保留审计日志、本月额度重置次数与 account.deleted 事件。' +
      ' After its administrator has cancelled the authorization at WeChat, with the appid repeated in `confirm`. Configuration, tokens, pushes, events and all else of the account go; its audit rows, the month’s count of quota resets and the `account.deleted` event stay.',
  })
  @ApiParam(APPID)
  @ApiQuery({ name: 'confirm', description: '再次输入 AppID / The appid once more' })
  @ApiNoContentResponse({ description: '已删除 / It is gone' })
  @ApiProblems(
    'not_found',
    'account_still_authorized',
    'confirmation_mismatch',
    'wechat_error',
    'wechat_unavailable',
  )
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query('confirm') confirm?: string,
  ): Promise<void> {
    await this.deletion.delete(caller, appid, confirm);
  }

  @Post('sync')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: '与微信对账 / Reconcile with WeChat',
    description:
      '列表页的“刷新”。读取失败的账号保持原样并列在 failed 中。不指定租户的 owner 对账全部账号，其余只对账本租户的账号。' +
      " The list's refresh button. Accounts that cannot be read stay as they are and stand in `failed`. An owner without X-Tenant-Id reconciles everything, everybody else their own tenant's accounts.",
  })
  @ApiOkResponse({ type: SyncReportDto })
  @ApiProblems('wechat_error', 'wechat_unavailable', 'component_ticket_missing')
  async sync(@CurrentCaller() caller: Caller, @CurrentLang() lang: Lang): Promise<SyncReportDto> {
    const report = await this.accountsSync.sync(caller, caller);
    return {
      ...report,
      failed: report.failed.map(({ detail, ...rest }) => ({
        ...rest,
        detail: inLang(detail, lang),
      })),
    };
  }
}
