import { Body, Controller, Get, Param, Post } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { Env } from '../../config/env.js';
import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { toPermissionRefs } from '../accounts/permissions.js';
import { ApiProblems } from '../common/api-docs.js';
import { CurrentLang } from '../common/current-lang.js';
import { inLang, type Lang } from '../common/text.js';
import {
  AuthorizationDto,
  CreateAuthorizationDto,
  CreatedAuthorizationDto,
  toCreatedDto,
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
    'unknown_user_property',
    'user_property_not_text',
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
    return toCreatedDto(authorization, this.env.publicUrl);
  }

  @Get(':id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '授权进度 / How an authorization stands' })
  @ApiOkResponse({ type: AuthorizationDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id') id: string,
    @CurrentLang() lang: Lang,
  ): Promise<AuthorizationDto> {
    const { authorization, status, account, failure } = await this.authorizations.get(caller, id);
    const { gainedPermissionIds: gained, lostPermissionIds: lost } = authorization;
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
        detail: inLang(failureText(failure.code, failure.errcode), lang),
      },
      permissions: gained &&
        lost && { gained: toPermissionRefs(gained), lost: toPermissionRefs(lost) },
      expiresAt: authorization.expiresAt,
    };
  }
}
