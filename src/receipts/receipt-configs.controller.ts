import { Body, Controller, Get, HttpCode, Param, Post, Put, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { MiniProgramGuard } from '../accounts/mini-program.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import { ShownOnce } from '../common/route-config.js';
import { CurrentLang } from '../common/current-lang.js';
import { type Lang } from '../common/text.js';
import {
  ReceiptConfigDto,
  ReceiptSecretsDto,
  SaveReceiptConfigDto,
  toReceiptConfigDto,
} from './receipt-config.dto.js';
import { ReceiptConfigsService } from './receipt-configs.service.js';

@ApiTags('小程序配置 Mini-program configuration')
@ApiParam({ name: 'appid', example: 'wx3c0ffee53c0ffee5' })
@Controller('api/v1/accounts/:appid/receipt-config')
@UseGuards(MiniProgramGuard)
export class ReceiptConfigsController {
  constructor(private readonly configs: ReceiptConfigsService) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '回执接收配置 / The receipt configuration',
    description:
      '接收地址在保存任何内容之前就已给出，且不会改变。lastRejection 说明最近一次推送为何被拒绝、怎样处理。' +
      ' The address is there before anything is saved, and never changes. `lastRejection` says why the last push was refused and what to do.',
  })
  @ApiOkResponse({ type: ReceiptConfigDto })
  @ApiProblems('not_found', 'mini_program_only')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @CurrentLang() lang: Lang,
  ): Promise<ReceiptConfigDto> {
    return toReceiptConfigDto(await this.configs.get(caller, appid), lang);
  }

  @Put()
  @RequireRole('admin')
  @ApiOperation({
    summary: '保存回执接收配置 / Save the receipt configuration',
    description:
      '先在此保存，再到微信控制台（小程序 → 消息推送）以相同的地址、Token、EncodingAESKey 与加密方式提交。未填写的字段保持不变，因此可以只改加密方式。更换后，原 Token 与 EncodingAESKey 在十分钟内仍被接受。' +
      ' Save here first, then submit the same address, Token, EncodingAESKey and mode in WeChat’s console (小程序 → 消息推送). What is left out stays, so that the mode alone can be changed. After a change the former Token and EncodingAESKey are accepted for ten minutes.',
  })
  @ApiOkResponse({ type: ReceiptConfigDto })
  @ApiProblems('not_found', 'mini_program_only', 'validation_failed')
  async save(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() body: SaveReceiptConfigDto,
    @CurrentLang() lang: Lang,
  ): Promise<ReceiptConfigDto> {
    const saved = await this.configs.save(caller, appid, body);
    return toReceiptConfigDto(saved, lang);
  }

  @Post('secrets')
  @HttpCode(200)
  @RequireRole('admin')
  @ShownOnce('token', 'encodingAesKey')
  @ApiOperation({
    summary: '生成 Token 与 EncodingAESKey / Make a Token and an EncodingAESKey',
    description:
      '每次都是新的，不会保存：请分别填到 PUT …/receipt-config 与对方。 New ones each time, not stored: give them to `PUT …/receipt-config` and to the other side.',
  })
  @ApiOkResponse({ type: ReceiptSecretsDto })
  @ApiProblems('not_found', 'mini_program_only')
  makeSecrets(): ReceiptSecretsDto {
    return this.configs.makeSecrets();
  }
}
