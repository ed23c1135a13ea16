import {
  Body,
  Controller,
  Delete,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { ApiProblems } from '../common/api-docs.js';
import { ShownOnce } from '../common/route-config.js';
import { PageQueryDto } from '../common/paging.js';
import { ApiKeyPageDto, CreateApiKeyDto, CreatedApiKeyDto, toApiKeyDto } from './api-key.dto.js';
import { ApiKeysService } from './api-keys.service.js';
import { type Caller, CurrentCaller, RequireRole } from './roles.js';

@ApiTags('密钥 API keys')
@Controller('api/v1/api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Get()
  @RequireRole('owner')
  @ApiOperation({
    summary: 'API 密钥列表 / List the API keys',
    description: '最新的在前，不含密钥本身。 The newest first, without the keys themselves.',
  })
  @ApiOkResponse({ type: ApiKeyPageDto })
  @ApiProblems('invalid_query')
  async list(
    @CurrentCaller() caller: Caller,
    @Query() query: PageQueryDto,
  ): Promise<ApiKeyPageDto> {
    const { items, nextCursor } = await this.keys.list(caller, query);
    return { items: items.map(toApiKeyDto), nextCursor };
  }

  @Post()
  @RequireRole('owner')
  @ShownOnce('key')
  @Header('cache-control', 'no-store')
  @ApiOperation({
    summary: '签发 API 密钥 / Make an API key',
    description:
      '密钥只在此回答中显示一次，服务只保存其摘要。' +
      ' The key is shown in this answer only; the service keeps a digest of it.',
  })
  @ApiCreatedResponse({ type: CreatedApiKeyDto })
  @ApiProblems('malformed_body', 'api_key_name_in_use', 'validation_failed')
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: CreateApiKeyDto,
  ): Promise<CreatedApiKeyDto> {
    const { row, key } = await this.keys.create(caller, body);
    return { ...toApiKeyDto(row), key };
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireRole('owner')
  @ApiOperation({
    summary: '删除 API 密钥 / Delete an API key',
    description:
      '密钥最迟 5 秒后在所有进程失效。不能删除正在使用的密钥。' +
      ' It opens nothing after 5 seconds at the latest, in every process. The key of the call itself cannot be deleted.',
  })
  @ApiParam({ name: 'id', example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @ApiNoContentResponse()
  @ApiProblems('not_found', 'api_key_in_use_by_caller')
  async delete(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.keys.delete(caller, id);
  }
}
