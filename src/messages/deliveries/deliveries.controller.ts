import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import type { Lang } from '../../common/text.js';
import { DeliveryDto, DeliveryPageDto, ListDeliveriesDto, toDeliveryDto } from './delivery.dto.js';
import { DeliveryLedger } from './delivery-ledger.js';

@ApiTags('消息 Messages')
@Controller('api/v1')
export class DeliveriesController {
  constructor(private readonly ledger: DeliveryLedger) {}

  @Get('accounts/:appid/deliveries')
  @RequireRole('viewer')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '投递列表 / List the deliveries',
    description: '最新的在前。 The newest comes first.',
  })
  @ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
  @ApiOkResponse({ type: DeliveryPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Query() query: ListDeliveriesDto,
  ): Promise<DeliveryPageDto> {
    const { items, nextCursor } = await this.ledger.list(caller, appid, query);
    return { items: items.map((item) => toDeliveryDto(item, lang)), nextCursor };
  }

  @Get('deliveries/:id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '查看投递 / Look at a delivery' })
  @ApiParam({ name: 'id', example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @ApiOkResponse({ type: DeliveryDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('id') id: string,
  ): Promise<DeliveryDto> {
    return toDeliveryDto(await this.ledger.get(caller, id), lang);
  }
}
