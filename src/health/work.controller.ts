import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { AuditService } from '../access/audit.service.js';
import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { WorkQueue } from '../queue/work-queue.js';
import { ListWorkDto, toWorkDto, WorkPageDto } from './work.dto.js';

/** For the operator: what is still to be done, what could not be done and why, and once more. */
@ApiTags('运维 Operations')
@Controller('api/v1/work')
export class WorkController {
  constructor(
    private readonly work: WorkQueue,
    private readonly audit: AuditService,
  ) {}

  @Get()
  @RequireRole('owner')
  @ApiOperation({
    summary: '后台任务 / Work to be done',
    description:
      '最新的在前；?state=dead 列出多次失败而停止重试的任务及其原因。做完的任务不保留。' +
      ' The newest first; `?state=dead` lists what kept failing, with the reason. What is done is not kept.',
  })
  @ApiOkResponse({ type: WorkPageDto })
  @ApiProblems('invalid_query')
  async list(@Query() query: ListWorkDto): Promise<WorkPageDto> {
    const { items, nextCursor } = await this.work.list(query);
    return { items: items.map(toWorkDto), nextCursor };
  }

  @Post(':id/retry')
  @HttpCode(204)
  @RequireRole('owner')
  @ApiOperation({ summary: '重试一个失败的任务 / Try dead work again' })
  @ApiParam({ name: 'id', example: '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6a001' })
  @ApiNoContentResponse()
  @ApiProblems('not_found', 'work_not_dead')
  async retry(@CurrentCaller() caller: Caller, @Param('id') id: string): Promise<void> {
    await this.work.revive(id, (tx, { kind, appid }) =>
      this.audit.record(tx, {
        actor: caller,
        action: 'work.retried',
        target: id,
        tenantId: null,
        detail: { kind, appid },
      }),
    );
  }
}
