import { Controller, Get, Headers, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { inLang, pickLang } from '../common/text.js';
import { AccountDto, AccountPageDto, ListAccountsDto, SyncReportDto } from './account.dto.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { AccountsService } from './accounts.service.js';

@ApiTags('账号 Accounts')
@Controller('api/v1/accounts')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly accountsSync: AccountsSyncService,
  ) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '账号列表 / List the accounts',
    description: '最近授权的在前。The newest authorization comes first.',
  })
  @ApiOkResponse({ type: AccountPageDto })
  @ApiProblems('invalid_query')
  list(@CurrentCaller() caller: Caller, @Query() query: ListAccountsDto): Promise<AccountPageDto> {
    return this.accounts.list(caller, query);
  }

  @Get(':appid')
  @RequireRole('viewer')
  @ApiOperation({ summary: '账号详情 / One account' })
  @ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found')
  get(@CurrentCaller() caller: Caller, @Param('appid') appid: string): Promise<AccountDto> {
    return this.accounts.get(caller, appid);
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
  async sync(
    @CurrentCaller() caller: Caller,
    @Headers('accept-language') acceptLanguage?: string,
  ): Promise<SyncReportDto> {
    const lang = pickLang(acceptLanguage);
    const report = await this.accountsSync.sync(caller);
    return {
      ...report,
      failed: report.failed.map(({ detail, ...rest }) => ({
        ...rest,
        detail: inLang(detail, lang),
      })),
    };
  }
}
