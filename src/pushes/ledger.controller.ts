import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import {
  ListPushesDto,
  PushPageDto,
  RedrivenDto,
  RedrivePushesDto,
  toPushDto,
} from './ledger.dto.js';
import { PushLedger } from './push-ledger.js';

/** For the operator: which pushes could not be handled, why, and once more. */
@ApiTags('运维 Operations')
@Controller('api/v1/pushes')
export class LedgerController {
  constructor(private readonly ledger: PushLedger) {}

  @Get()
  @RequireRole('owner')
  @ApiOperation({
    summary: '推送台账 / The ledger of pushes',
    description:
      '最新的在前；?state=parked 列出多次处理失败而被搁置的推送及其原因。内容不在其中。' +
      ' The newest first; `?state=parked` lists those that kept failing, with the reason. What they say is not shown.',
  })
  @ApiOkResponse({ type: PushPageDto })
  @ApiProblems('invalid_query')
  async list(@Query() query: ListPushesDto): Promise<PushPageDto> {
    const { items, nextCursor } = await this.ledger.list(query);
    return { items: items.map(toPushDto), nextCursor };
  }

  @Post('redrive')
  @HttpCode(200)
  @RequireRole('owner')
  @ApiOperation({
    summary: '重新处理全部被搁置的推送 / Drive all parked pushes again',
    description: '可按 kind 与 account 限定。 Of one `kind` or `account`, where given.',
  })
  @ApiOkResponse({ type: RedrivenDto })
  @ApiProblems('validation_failed')
  async redriveAll(
    @CurrentCaller() caller: Caller,
    @Body() filter: RedrivePushesDto,
  ): Promise<RedrivenDto> {
    return { redriven: await this.ledger.redriveAll(caller, filter) };
  }

  @Post(':id/redrive')
  @HttpCode(200)
  @RequireRole('owner')
  @ApiOperation({ summary: '重新处理一条被搁置的推送 / Drive a parked push again' })
  @ApiParam({ name: 'id', example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @ApiOkResponse({ type: RedrivenDto })
  @ApiProblems('not_found', 'push_not_parked')
  async redrive(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<RedrivenDto> {
    await this.ledger.redrive(caller, id);
    return { redriven: 1 };
  }
}
