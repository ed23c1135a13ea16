import { Body, Controller, Param, Post, UseGuards } from '@nestjs/common';
import { ApiCreatedResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { Env } from '../../config/env.js';
import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { VisibleAccountGuard } from '../accounts/visible-account.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import {
  CreatedAuthorizationDto,
  CreateReauthorizationDto,
  toCreatedDto,
} from './authorization.dto.js';
import { AuthorizationsService } from './authorizations.service.js';

@ApiTags('授权 Authorizations')
@Controller('api/v1/accounts/:appid/reauthorizations')
export class ReauthorizationsController {
  constructor(
    private readonly env: Env,
    private readonly authorizations: AuthorizationsService,
  ) {}

  @Post()
  @RequireRole('admin')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '更新授权 / Update the authorization of an account',
    description:
      '返回只能授权该账号的授权页地址。带 permissionIds 时只显示这些权限集。扫码后的增减见 GET /authorizations/{id}；权限没有变化时微信不推送事件。' +
      ' Answers the address of a page on which only this account can be authorized; with permissionIds, only those sets are shown. What came and went stands in GET /authorizations/{id} afterwards; WeChat sends no event when nothing has changed.',
  })
  @ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
  @ApiCreatedResponse({ type: CreatedAuthorizationDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'validation_failed',
    'wechat_error',
    'component_ticket_missing',
    'wechat_unavailable',
  )
  async create(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() { permissionIds }: CreateReauthorizationDto,
  ): Promise<CreatedAuthorizationDto> {
    const { authorization } = await this.authorizations.createAgain(caller, appid, permissionIds);
    return toCreatedDto(authorization, this.env.publicUrl);
  }
}
