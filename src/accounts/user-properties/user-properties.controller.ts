import { Body, Controller, Get, Put } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { ApiProblems } from '../../common/api-docs.js';
import {
  CatalogueDiffDto,
  ReplaceUserPropertiesDto,
  UserPropertiesDto,
} from './user-property.dto.js';
import { UserPropertiesService } from './user-properties.service.js';

@ApiTags('账号 Accounts')
@Controller('api/v1/user-properties')
export class UserPropertiesController {
  constructor(private readonly properties: UserPropertiesService) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '用户属性目录 / The catalogue of user properties',
    description:
      '营销平台的用户属性，从中为账号选择存放 OpenID 的属性。owner 不指定租户时为 default 的目录。 The marketing platform’s user properties, to choose an account’s OpenID property from. For an owner that names no tenant, the catalogue of `default`.',
  })
  @ApiOkResponse({ type: UserPropertiesDto })
  @ApiProblems()
  async list(@CurrentCaller() caller: Caller): Promise<UserPropertiesDto> {
    return { properties: await this.properties.list(caller) };
  }

  @Put()
  @RequireRole('admin')
  @ApiOperation({
    summary: '替换用户属性目录 / Replace the catalogue of user properties',
    description:
      '整体替换并返回差异。已被账号用作 OpenID 属性的，不能删除或改为非文本类型。 Replaced whole; the difference is answered. A property that holds the openids of an account can neither go nor become another type than text.',
  })
  @ApiOkResponse({ type: CatalogueDiffDto })
  @ApiProblems('malformed_body', 'user_property_in_use', 'body_too_large', 'validation_failed')
  replace(
    @CurrentCaller() caller: Caller,
    @Body() { properties }: ReplaceUserPropertiesDto,
  ): Promise<CatalogueDiffDto> {
    return this.properties.replace(caller, properties);
  }
}
