import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { PageQueryDto } from '../common/paging.js';
import { KeyRotationDto, KeyRotationPageDto, toKeyRotationDto } from './key-rotation.dto.js';
import { KeyRotations } from './key-rotations.service.js';

/** For the operator: everything under the newest key, and how far that has come. */
@ApiTags('运维 Operations')
@Controller('api/v1/key-rotations')
export class KeyRotationsController {
  constructor(private readonly rotations: KeyRotations) {}

  @Post()
  @HttpCode(202)
  @RequireRole('owner')
  @ApiOperation({
    summary: '以最新密钥重新加密 / Re-encrypt under the newest key',
    description:
      '在后台用 SECRET_KEYS 的第一个密钥重新加密全部密文，服务照常运行。请先让所有进程都以新密钥在前、旧密钥在后的 SECRET_KEYS 启动。已在进行时返回进行中的那一次。' +
      ' Re-encrypts everything under the first key of SECRET_KEYS, in the background, while the service runs. First start every process with the new key in front and the old ones behind it. One that runs already is answered again.',
  })
  @ApiAcceptedResponse({ type: KeyRotationDto })
  @ApiProblems()
  async start(@CurrentCaller() caller: Caller): Promise<KeyRotationDto> {
    return toKeyRotationDto(await this.rotations.start(caller));
  }

  @Get()
  @RequireRole('owner')
  @ApiOperation({
    summary: '密钥轮换记录 / The changes of keys',
    description: '最新的在前。 The newest first.',
  })
  @ApiOkResponse({ type: KeyRotationPageDto })
  @ApiProblems('invalid_query')
  async list(@Query() query: PageQueryDto): Promise<KeyRotationPageDto> {
    const { items, nextCursor } = await this.rotations.list(query);
    return { items: items.map(toKeyRotationDto), nextCursor };
  }

  @Get(':id')
  @RequireRole('owner')
  @ApiOperation({ summary: '密钥轮换进度 / How far a change of keys has come' })
  @ApiParam({ name: 'id', example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @ApiOkResponse({ type: KeyRotationDto })
  @ApiProblems('not_found')
  async get(@Param('id') id: string): Promise<KeyRotationDto> {
    return toKeyRotationDto(await this.rotations.get(id));
  }
}
