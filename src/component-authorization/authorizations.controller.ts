import { Body, Controller, Get, Headers, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { Env } from '../../config/env.js';
import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { inLang, pickLang } from '../common/text.js';
import {
  AuthorizationDto,
  CreateAuthorizationDto,
  CreatedAuthorizationDto,
} from './authorization.dto.js';
import { AuthorizationsService } from './authorizations.service.js';
import { failureText } from './failures.js';

@ApiTags('授权 Authorizations')
@Controller('api/v1/authorizations')
export class AuthorizationsController {
  constructor(
    private readonly env: Env,
    private readonly authorizations: AuthorizationsService,
  ) {}

  @Post()
  @RequireRole('admin')
  @ApiOperation({
    summary: '发起授权 / Start an authorization',
    description:
      '返回授权页地址，交给公众号或小程序的管理员扫码。 Answers the address of the page on which the account’s administrator scans.',
  })
  @ApiCreatedResponse({ type: CreatedAuthorizationDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'openid_property_in_use',
    'validation_failed',
    'wechat_error',
    'component_ticket_missing',
    'wechat_unavailable',
  )
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateAuthorizationDto,
  ): Promise<CreatedAuthorizationDto> {
    const { authorization } = await this.authorizations.create(caller, body);
    const { id, expiresAt } = authorization;
    const launchUrl = `${this.env.publicUrl}/authorize/${id}`;
    return { id, status: 'pending', launchUrl, mobileUrl: `${launchUrl}?form=phone`, expiresAt };
  }

  @Get(':id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '授权进度 / How an authorization stands' })
  @ApiOkResponse({ type: AuthorizationDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @Headers('accept-language') acceptLanguage?: string,
  ): Promise<AuthorizationDto> {
    const { authorization, status, account, failure } = await this.authorizations.get(caller, id);
    return {
      id: authorization.id,
      status,
      account: account && {
        appid: account.appid,
        nickname: account.nickname,
        accountType: account.accountType,
      },
      failure: failure && {
        code: failure.code,
        detail: inLang(failureText(failure.code, failure.errcode), pickLang(acceptLanguage)),
      },
      expiresAt: authorization.expiresAt,
    };
  }
}
