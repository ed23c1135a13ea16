import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { ApiProblems } from '../common/api-docs.js';
import { EventPageDto, ListEventsDto, toEventDto } from './event.dto.js';
import { EventsService } from './events.service.js';

@ApiTags('事件 Events')
@Controller('api/v1/events')
export class EventsController {
  constructor(private readonly events: EventsService) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '拉取事件 / Pull events',
    description:
      '按顺序返回最近 7 天的事件，不会遗漏。处理完 items 后保存 after，下次以 after 传回；崩溃后从旧的 after 重读，按 id 去重。' +
      ' In order, 7 days back, with none left out. Keep `after` once the items are dealt with and send it next time; after a crash, read again from the old one and tell repetitions by `id`.',
  })
  @ApiOkResponse({ type: EventPageDto })
  @ApiProblems('invalid_query', 'event_cursor_expired')
  async list(
    @CurrentCaller() caller: Caller,
    @Query() { type, after, cursor, limit }: ListEventsDto,
  ): Promise<EventPageDto> {
    const page = await this.events.read(caller, {
      types: type ?? [],
      after: after ?? cursor ?? null,
      limit,
    });
    return {
      items: page.rows.map(toEventDto),
      nextCursor: page.hasMore ? page.after : null,
      after: page.after,
    };
  }
}
