import { Controller, Get, Headers, Res } from '@nestjs/common';
import {
  ApiOkResponse,
  ApiOperation,
  ApiServiceUnavailableResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';

import { inTime } from '../common/in-time.js';
import { inLang, pickLang } from '../common/text.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { Database } from '../database/database.js';
import { LiveDto, ReadinessDto } from './health.dto.js';

/** A load balancer asks every few seconds: it must not wait longer for the database than this. */
const DATABASE_MS = 2_000;

/** For load balancers and supervisors. Says nothing that a stranger should not read. */
@ApiTags('健康检查 Health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly db: Database,
    private readonly component: ComponentService,
  ) {}

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
      '数据库可用即为就绪。没有 ticket 也算就绪，否则它永远送不进来；还缺什么写在 component 与 missing 中。' +
      ' Ready means that the database answers. Without a ticket it is ready too, or the ticket could never arrive; `component` and `missing` say what is not there yet.',
  })
  @ApiOkResponse({ type: ReadinessDto })
  @ApiServiceUnavailableResponse({ type: ReadinessDto })
  async ready(
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('accept-language') acceptLanguage?: string,
  ): Promise<ReadinessDto> {
    void reply.header('cache-control', 'no-store');
    const lang = pickLang(acceptLanguage);
    try {
      const { ticket, accessToken, warnings } = await inTime(
        this.component.status(),
        DATABASE_MS,
        () => new Error('the database is too slow'),
      );
      return {
        status: 'ready',
        database: 'up',
        component: { ticket: ticket.state, accessToken: accessToken.state },
        missing: warnings.map(({ detail }) => inLang(detail, lang)),
      };
    } catch {
      void reply.status(503);
      const text = {
        zh: `数据库没有应答（${this.db.isSqlite ? '检查磁盘空间与文件权限' : '检查数据库地址与状态'}）。`,
        en: `The database does not answer (${this.db.isSqlite ? 'check disk space and file permissions' : 'check its address and state'}).`,
      };
      return {
        status: 'unready',
        database: 'down',
        component: null,
        missing: [inLang(text, lang)],
      };
    }
  }
}
