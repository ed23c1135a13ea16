import { Controller, Get, Header, Param, Query, UseGuards } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import type { Lang } from '../../common/text.js';
import { ExistingQrCodeGuard } from '../existing-qr-code.guard.js';
import { toChart } from './stats-chart.js';
import { CodeStatsQueryDto, StatsDto, StatsQueryDto, StatsSpanDto } from './stats.dto.js';
import { QrCodeStats } from './stats.service.js';
import { toCsv } from './stats-table.js';

const asText = (type: string) => ({ content: { [type]: { schema: { type: 'string' } } } });

@ApiTags('渠道二维码 QR codes')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@UseGuards(VisibleAccountGuard, ExistingQrCodeGuard)
@Controller('api/v1/accounts/:appid/qr-codes')
export class QrCodeStatsController {
  constructor(private readonly stats: QrCodeStats) {}

  @Get('stats')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '渠道统计 / The figures of all codes',
    description:
      '按天（by=day）、按渠道（channel）或按二维码（code）；按北京时间划分日期。已删除的二维码不在其中。 By day in Shanghai, by channel or by code. Deleted codes are not among them.',
  })
  @ApiOkResponse({ type: StatsDto })
  @ApiProblems('invalid_query', 'not_found')
  ofAccount(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { by = 'day', ...span }: StatsQueryDto,
  ): Promise<StatsDto> {
    return this.stats.ofAccount(caller, appid, span, by);
  }

  @Get('stats.csv')
  @RequireRole('viewer')
  @Header('content-type', 'text/csv; charset=utf-8')
  @Header('content-disposition', 'attachment; filename="qr-codes.csv"')
  @ApiOperation({ summary: '导出渠道统计 / The same for a spreadsheet' })
  @ApiOkResponse(asText('text/csv'))
  @ApiProblems('invalid_query', 'not_found')
  async tableOfAccount(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { by = 'day', ...span }: StatsQueryDto,
    @CurrentLang() lang: Lang,
  ): Promise<string> {
    return toCsv(await this.stats.ofAccount(caller, appid, span, by), by, lang);
  }

  @Get(':id/stats')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '单个二维码的统计 / The figures of one code',
    description:
      '逐日列出，没有扫码的日子也在其中。曾经关注过的人再次关注不算新关注。 Day by day, with those on which nothing happened. Who has followed before is not new again.',
  })
  @ApiOkResponse({ type: StatsDto })
  @ApiProblems('invalid_query', 'not_found')
  async ofCode(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Query() { from, to }: CodeStatsQueryDto,
  ): Promise<StatsDto> {
    return (await this.stats.ofCode(caller, appid, id, { from, to })).stats;
  }

  @Get(':id/stats.csv')
  @RequireRole('viewer')
  @Header('content-type', 'text/csv; charset=utf-8')
  @Header('content-disposition', 'attachment; filename="qr-code.csv"')
  @ApiOperation({ summary: '导出单个二维码的统计 / The same for a spreadsheet' })
  @ApiOkResponse(asText('text/csv'))
  @ApiProblems('invalid_query', 'not_found')
  async tableOfCode(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Query() span: StatsSpanDto,
    @CurrentLang() lang: Lang,
  ): Promise<string> {
    return toCsv((await this.stats.ofCode(caller, appid, id, span)).stats, 'day', lang);
  }

  @Get(':id/stats.svg')
  @RequireRole('viewer')
  @Header('content-type', 'image/svg+xml; charset=utf-8')
  @ApiOperation({ summary: '单个二维码的统计图 / The same as a chart' })
  @ApiOkResponse(asText('image/svg+xml'))
  @ApiProblems('invalid_query', 'not_found')
  async chartOfCode(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Query() span: StatsSpanDto,
    @CurrentLang() lang: Lang,
  ): Promise<string> {
    const { code, stats } = await this.stats.ofCode(caller, appid, id, span);
    return toChart(code.name, stats, lang);
  }
}
