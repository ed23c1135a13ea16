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
  ApiBody,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../access/roles.js';
import { VisibleAccountGuard } from '../accounts/visible-account.guard.js';
import { ApiProblems } from '../common/api-docs.js';
import { Clock } from '../common/clock.js';
import { CurrentLang } from '../common/current-lang.js';
import type { Lang } from '../common/text.js';
import { MESSAGE_DTOS } from '../messages/kinds/customer-service-message.dto.js';
import { AutoRepliesService, type WantedRule } from './auto-replies.service.js';
import {
  AutoReplyDto,
  AutoReplyPageDto,
  ListAutoRepliesDto,
  RULE_EXAMPLES,
  SaveAutoReplyDto,
  toAutoReplyDto,
  toTrigger,
} from './auto-reply.dto.js';
import { ExistingRuleGuard } from './existing-rule.guard.js';
import {
  toTried,
  toTriedAutoReplyDto,
  TriedAutoReplyDto,
  TryAutoReplyDto,
} from './try-auto-reply.dto.js';

@ApiTags('自动回复 Auto replies')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@ApiExtraModels(...Object.values(MESSAGE_DTOS))
@UseGuards(VisibleAccountGuard, ExistingRuleGuard)
@Controller('api/v1/accounts/:appid/auto-replies')
export class AutoRepliesController {
  constructor(
    private readonly replies: AutoRepliesService,
    private readonly clock: Clock,
  ) {}

  @Get()
  @RequireRole('viewer')
  @ApiOperation({
    summary: '自动回复列表 / List the automatic replies',
    description:
      '最新的在前，含回复次数与冲突提示。 The newest first, with their figures and conflicts.',
  })
  @ApiOkResponse({ type: AutoReplyPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Query() query: ListAutoRepliesDto,
  ): Promise<AutoReplyPageDto> {
    const { items, nextCursor } = await this.replies.list(caller, appid, query);
    return { items: items.map((item) => toAutoReplyDto(item, lang)), nextCursor };
  }

  @Post()
  @RequireRole('admin')
  @ApiOperation({
    summary: '新建自动回复 / Add an automatic reply',
    description:
      '一秒内在所有进程生效。一次只有一条规则回复：关键词规则先于收到消息规则；priority 大的优先，其次完全匹配先于包含，再次较早创建的。渠道码的回复先于被关注规则。回复中的素材会先上传到微信。' +
      ' In force everywhere within a second. One rule answers: keyword rules before those for any message, then the larger `priority`, then an exact keyword before one that is contained, then the older rule. A channel code’s reply goes before the rule for followers. Media are uploaded to WeChat beforehand.',
  })
  @ApiBody({ type: SaveAutoReplyDto, examples: RULE_EXAMPLES })
  @ApiCreatedResponse({ type: AutoReplyDto })
  @ApiProblems('not_found', 'official_account_only', 'too_many_auto_replies', 'validation_failed')
  async create(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Body() body: SaveAutoReplyDto,
  ): Promise<AutoReplyDto> {
    return toAutoReplyDto(await this.replies.create(caller, appid, toWanted(body)), lang);
  }

  @Post('test')
  @HttpCode(200)
  @RequireRole('viewer')
  @ApiOperation({
    summary: '试一试 / Try a text, another message or a follow',
    description:
      '此时或某时，哪条规则会回复、会回复什么；不发送，不计数。 Which rule would answer now or at another time, and what. Nothing is sent or counted.',
  })
  @ApiOkResponse({ type: TriedAutoReplyDto })
  @ApiProblems('not_found', 'validation_failed')
  async try(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Body() body: TryAutoReplyDto,
  ): Promise<TriedAutoReplyDto> {
    return toTriedAutoReplyDto(
      await this.replies.try(caller, appid, toTried(body, this.clock.now())),
      lang,
    );
  }

  @Get(':id')
  @RequireRole('viewer')
  @ApiOperation({ summary: '查看自动回复 / Look at an automatic reply' })
  @ApiOkResponse({ type: AutoReplyDto })
  @ApiProblems('not_found')
  async get(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<AutoReplyDto> {
    return toAutoReplyDto(await this.replies.get(caller, appid, id), lang);
  }

  @Put(':id')
  @RequireRole('admin')
  @ApiOperation({
    summary: '修改自动回复 / Replace an automatic reply',
    description:
      '整条替换，未填写的取默认值；统计保留。 The whole rule: what is left out gets its default. Its figures stay.',
  })
  @ApiBody({ type: SaveAutoReplyDto, examples: RULE_EXAMPLES })
  @ApiOkResponse({ type: AutoReplyDto })
  @ApiProblems('not_found', 'official_account_only', 'validation_failed')
  async replace(
    @CurrentCaller() caller: Caller,
    @CurrentLang() lang: Lang,
    @Param('appid') appid: string,
    @Param('id') id: string,
    @Body() body: SaveAutoReplyDto,
  ): Promise<AutoReplyDto> {
    return toAutoReplyDto(await this.replies.replace(caller, appid, id, toWanted(body)), lang);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequireRole('admin')
  @ApiOperation({ summary: '删除自动回复 / Delete an automatic reply' })
  @ApiNoContentResponse({ description: '已删除 / It is gone' })
  @ApiProblems('not_found')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('id') id: string,
  ): Promise<void> {
    await this.replies.delete(caller, appid, id);
  }
}

function toWanted(body: SaveAutoReplyDto): WantedRule {
  const { name, trigger, replies, mode = 'all', priority = 0, enabled = true } = body;
  const { activeFrom = null, activeTo = null, frequencyCap = null } = body;
  const { dailyWindow = null, quietHours = null } = body;
  return {
    ...{ name, trigger: toTrigger(trigger), replies, mode, priority, enabled },
    ...{ activeFrom, activeTo, dailyWindow, quietHours, frequencyCap },
  };
}
