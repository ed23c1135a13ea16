import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Param,
  Post,
  Query,
  UseGuards,
} from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { inLang, pickLang } from '../common/text.js';
import {
  AccountDto,
  AccountPageDto,
  ClaimAccountDto,
  ListAccountsDto,
  SyncReportDto,
} from './account.dto.js';
import { AccountsSyncService } from './accounts-sync.service.js';
import { AccountsService } from './accounts.service.js';
import { ClaimableAccountGuard } from './claimable-account.guard.js';

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

  @Post(':appid/claim')
  @HttpCode(200)
  @RequireRole('owner')
  @UseGuards(ClaimableAccountGuard)
  @ApiOperation({
    summary: '归属或移交账号 / Give an account to a tenant',
    description:
      '把无人认领的账号归入租户，或移交给另一个租户（指定了 X-Tenant-Id 时只能移交该租户的）。账号随之停用；若新租户的另一个账号已使用其 OpenID 属性，该属性被清除。原租户收到 changed 为 tenant 的 account.updated，双方都不会得知对方是谁。' +
      ' Gives an unclaimed account to a tenant, or moves one: with X-Tenant-Id, one of that tenant only. It is switched off on the way, and loses its OpenID property if another account of the new tenant has it. The former tenant gets `account.updated` with `tenant` in `changed`; neither learns who the other one is.',
  })
  @ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
  @ApiOkResponse({ type: AccountDto })
  @ApiProblems('not_found', 'validation_failed')
  claim(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() { tenantId }: ClaimAccountDto,
  ): Promise<AccountDto> {
    return this.accounts.claim(caller, appid, tenantId);
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
