import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Param,
  Post,
  Put,
  Query,
  UseGuards,
} from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { Env } from '../../config/env.js';
import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { VisibleAccountGuard } from '../accounts/visible-account.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import { CurrentLang } from '../common/current-lang.js';
import type { Lang } from '../common/text.js';
import { MESSAGE_DTOS } from '../messages/kinds/customer-service-message.dto.js';
import { ExistingQrCodeGuard } from './existing-qr-code.guard.js';
import { MAX_PERMANENT } from './qr-code-maker.js';
import {
  CopyQrCodeDto,
  CreateQrCodeDto,
  ListQrCodesDto,
  QrCodeDto,
  QrCodePageDto,
  toQrCodeDto,
  toSettings,
  UpdateQrCodeDto,
} from './qr-code.dto.js';
import { QrCodesService } from './qr-codes.service.js';

@ApiTags('渠道二维码 QR codes')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@ApiExtraModels(...Object.values(MESSAGE_DTOS))
@UseGuards(VisibleAccountGuard, ExistingQrCodeGuard)
@Controller('api/v1/accounts/:appid/qr-codes')
export class QrCodesController {
  constructor(
    private readonly env: Env,
    private readonly codes: QrCodesService,
  ) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '渠道二维码列表 / List the channel codes',
    description: '最新的在前，附创建以来的统计。 The newest first, with what has come of them.',
  })
  @ApiOkResponse({ type: QrCodePageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() query: ListQrCodesDto,
  ): Promise<QrCodePageDto> {
    const { items, nextCursor, permanentUsed } = await this.codes.list(caller, appid, query);
    return {
      items: items.map((item) => toQrCodeDto(item, this.env.publicUrl)),
      nextCursor,
      permanentUsed,
      permanentLimit: permanentUsed === null ? null : MAX_PERMANENT,
    };
  }

  @Post()
  @RequireRole('sender')
  @ApiOperation({
    summary: '新建渠道二维码 / Make a channel code',
    description:
      '服务号：带参数的二维码，永久或临时（到期前以同一场景值自动换新）。小程序：小程序码（getwxacodeunlimit），长期有效。印刷品请用永久二维码：临时二维码换新后，旧图片到 expiresAt 失效。' +
      ' Service accounts: a parametric code, permanent or temporary; a temporary one is made anew under the same scene before it stops working. Mini-programs: a code of `getwxacodeunlimit`, which lasts. What is printed needs a permanent one: a picture of a temporary code works until its own `expiresAt` only.',
  })
  @ApiCreatedResponse({ type: QrCodeDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'account_disabled',
    'qr_codes_not_available',
    'qr_codes_used_up',
    'qr_codes_not_supported',
    'validation_failed',
    'wechat_error',
    'wechat_unavailable',
  )
  async create(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Body() body: CreateQrCodeDto,
  ): Promise<QrCodeDto> {
    const { permanent, page } = body;
    const wanted = { ...toSettings(body), permanent, ...(page && { page }) };
    return toQrCodeDto(await this.codes.create(caller, appid, wanted), this.env.publicUrl);
  }

  @Get(':id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '查看渠道二维码 / Look at a channel code' })
  @ApiOkResponse({ type: QrCodeDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<QrCodeDto> {
    return toQrCodeDto(await this.codes.get(caller, appid, id), this.env.publicUrl);
  }

  @Put(':id')
  @RequireRole('sender')
  @ApiOperation({
    summary: '修改渠道二维码 / Change a channel code',
    description:
      '场景值与图片不变；未填写的可选字段视为清空，expiresInDays 不填则不变。 The scene and the picture stay. Optional fields that are left out are emptied, but for `expiresInDays`, which stays.',
  })
  @ApiOkResponse({ type: QrCodeDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'qr_code_ended',
    'validation_failed',
    'wechat_error',
    'wechat_unavailable',
  )
  async update(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Body() body: UpdateQrCodeDto,
  ): Promise<QrCodeDto> {
    const { permanent } = body;
    const wanted = { ...toSettings(body), ...(typeof permanent === 'boolean' && { permanent }) };
    return toQrCodeDto(await this.codes.update(caller, appid, id, wanted), this.env.publicUrl);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireRole('sender')
  @ApiOperation({
    summary: '删除渠道二维码 / Delete a channel code',
    description:
      '只能删除已结束的。其统计一并消失；永久二维码的名额不会退回。 Only one that has ended. Its figures go with it; a permanent one stays used up at WeChat.',
  })
  @ApiNoContentResponse({ description: '已删除 / It is gone' })
  @ApiProblems('not_found', 'qr_code_active')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<void> {
    await this.codes.delete(caller, appid, id);
  }

  @Post(':id/end')
  @HttpCode(200)
  @RequireRole('sender')
  @ApiOperation({
    summary: '结束渠道二维码 / End a channel code',
    description:
      '不再换新、回复或打标签；此后的扫码仍计入统计。不能恢复，可以复制。 It is renewed no more, says and tags nothing; who scans it still counts. It does not come back, but can be copied.',
  })
  @ApiOkResponse({ type: QrCodeDto })
  @ApiProblems('not_found')
  async end(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<QrCodeDto> {
    return toQrCodeDto(await this.codes.end(caller, appid, id), this.env.publicUrl);
  }

  @Post(':id/copy')
  @RequireRole('sender')
  @ApiOperation({
    summary: '复制渠道二维码 / Copy a channel code',
    description:
      '以相同设置新建一个，场景值与图片是新的；已结束的也可复制。 Makes another one with the same settings, under a scene of its own. An ended one may be copied too.',
  })
  @ApiCreatedResponse({ type: QrCodeDto })
  @ApiProblems(
    'malformed_body',
    'not_found',
    'account_disabled',
    'qr_codes_not_available',
    'qr_codes_used_up',
    'validation_failed',
    'wechat_error',
    'wechat_unavailable',
  )
  async copy(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Body() { name }: CopyQrCodeDto,
    @CurrentLang() lang: Lang,
  ): Promise<QrCodeDto> {
    const wanted = { lang, ...(name !== undefined && { name }) };
    const copied = await this.codes.copy(caller, appid, id, wanted);
    return toQrCodeDto(copied, this.env.publicUrl);
  }
}
