import { Controller, Get, Param, Query, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { VisibleAccountGuard } from '../accounts/visible-account.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import { ListReceiptsDto, ReceiptPageDto, toReceiptDto } from './receipt.dto.js';
import { ReceiptsService } from './receipts.service.js';

@ApiTags('小程序配置 Mini-program configuration')
@Controller('api/v1/accounts/:appid/receipts')
export class ReceiptsController {
  constructor(private readonly receipts: ReceiptsService) {}

  @Get()
  @RequireRole('viewer')
  @UseGuards(VisibleAccountGuard)
  @ApiOperation({
    summary: '回执列表 / List the receipts',
    description:
      '最新收到的在前；每个订阅消息事件中的每个条目为一条。 The last received comes first; one for each entry of an event.',
  })
  @ApiParam({ name: 'appid', example: 'wx3c0ffee53c0ffee5' })
  @ApiOkResponse({ type: ReceiptPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() query: ListReceiptsDto,
  ): Promise<ReceiptPageDto> {
    const { items, nextCursor } = await this.receipts.list(caller, appid, query);
    const deliveryIds = await this.receipts.findDeliveryIds(appid, items);
    return {
      items: items.map((item) => toReceiptDto(item, deliveryIds.get(item.msgid ?? '') ?? null)),
      nextCursor,
    };
  }
}
