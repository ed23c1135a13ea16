import {
  Body,
  Controller,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  UseGuards,
} from '@nestjs/common';
import {
  ApiBody,
  ApiExtraModels,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { MiniProgramGuard } from '../accounts/mini-program.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import { SetSecretDto } from '../common/set-secret.js';
import { CurrentLang } from '../common/current-lang.js';
import { type Lang } from '../common/text.js';
import {
  SAVE_EXAMPLES,
  SaveOptionsDto,
  SaveSendConfigDto,
  SendConfigDto,
  SendTestDto,
  toSendConfigDto,
  toSendTestDto,
} from './send-config.dto.js';
import { SendConfigService } from './send-config.service.js';

@ApiTags('小程序发送配置 Mini-program send configuration')
@ApiExtraModels(SetSecretDto)
@ApiParam({ name: 'appid', example: 'wx3c0ffee53c0ffee5' })
@UseGuards(MiniProgramGuard)
@Controller('api/v1/accounts/:appid/send-config')
export class SendConfigController {
  constructor(private readonly sendConfig: SendConfigService) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '查看发送配置 / The send configuration',
    description: '密钥只显示末 4 位。 Of secrets the last 4 characters are shown.',
  })
  @ApiOkResponse({ type: SendConfigDto })
  @ApiProblems('not_found', 'mini_program_only')
  async get(@Param('appid') appid: string, @CurrentLang() lang: Lang): Promise<SendConfigDto> {
    return toSendConfigDto(await this.sendConfig.find(appid), lang);
  }

  @Put()
  @RequireRole('admin')
  @ApiOperation({
    summary: '保存发送配置 / Save the send configuration',
    description:
      '先真实取一次令牌并交给微信验证，成功后才保存；失败时返回 send_config_rejected，errors[0].code 为失败的步骤。' +
      '密钥不传则沿用。更换方式时，另一种方式的密钥被删除。同一地址只能用于一个小程序。' +
      ' A token is really fetched, and tried at WeChat, before anything is saved; else `send_config_rejected`, whose `errors[0].code` is the step that failed.' +
      ' A secret left out is kept; with another strategy, the secrets of the former one are deleted. An address serves one mini-program only.',
  })
  @ApiBody({ type: SaveSendConfigDto, examples: SAVE_EXAMPLES })
  @ApiOkResponse({ type: SendConfigDto })
  @ApiProblems(
    'malformed_body',
    'invalid_query',
    'not_found',
    'access_token_url_in_use',
    'mini_program_only',
    'send_config_rejected',
    'validation_failed',
  )
  async save(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { verify }: SaveOptionsDto,
    @Body() asked: SaveSendConfigDto,
    @CurrentLang() lang: Lang,
  ): Promise<SendConfigDto> {
    await this.sendConfig.save(caller, appid, asked, verify === 'true');
    return toSendConfigDto(await this.sendConfig.find(appid), lang);
  }

  @Post('test')
  @HttpCode(200)
  @RequireRole('admin')
  @ApiOperation({
    summary: '测试发送配置 / Try the send configuration',
    description:
      '用已保存的配置真实取一次令牌；成功则立即启用该令牌，连续失败的状态随之解除。令牌本身不返回。' +
      ' Fetches a token by the stored configuration. One that comes is put to use, which ends a row of failures. The token itself is not shown.',
  })
  @ApiOkResponse({ type: SendTestDto })
  @ApiProblems('not_found', 'send_config_missing', 'mini_program_only')
  async test(@Param('appid') appid: string, @CurrentLang() lang: Lang): Promise<SendTestDto> {
    return toSendTestDto(await this.sendConfig.test(appid), lang);
  }
}
