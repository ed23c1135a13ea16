import { Controller, Get, Res } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiServiceUnavailableResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { CurrentLang } from '../common/current-lang.js';
import { inLang, type Lang } from '../common/text.js';
import { Diagnosis } from './diagnosis.js';
import { LiveDto, ReadinessDto } from './health.dto.js';

/** For load balancers and supervisors. Says nothing that a stranger should not read. */
@ApiTags('健康检查 Health')
@Controller('health')
export class HealthController {
  constructor(private readonly diagnosis: Diagnosis) {}

  @Get('live')
  @ApiOperation({ summary: '进程存活 / The process runs' })
  @ApiOkResponse({ type: LiveDto })
  live(): LiveDto {
    return { status: 'ok' };
  }

  @Get('ready')
  @ApiOperation({
    summary: '可以接收请求 / Ready for requests',
    description:
      '数据库可用且未在停止即为就绪。没有 ticket 也算就绪，否则它永远送不进来；哪里不对、怎么办写在 missing 中。' +
      ' Ready means that the database answers and nobody has told us to stop. Without a ticket it is ready too, or the ticket could never arrive; `missing` says in words what is wrong and what to do.',
  })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({ type: ReadinessDto })
  async ready(
    @Res({ passthrough: true }) reply: FastifyReply,
    @CurrentLang() lang: Lang,
  ): Promise<ReadinessDto> {
    void reply.header('cache-control', 'no-store');
    const { isReady, isDatabaseUp, component, missing } = await this.diagnosis.make();
    if (!isReady) void reply.status(503);
    return {
      status: isReady ? 'ready' : 'unready',
      database: isDatabaseUp ? 'up' : 'down',
      component,
      missing: missing.map((text) => inLang(text, lang)),
    };
  }
}
