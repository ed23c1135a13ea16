import { Controller, Delete, Get, HttpCode, Param, Query, UseGuards } from '@nestjs/common';
import {
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';

import { type Caller, CurrentCaller, RequireRole } from '../../access/roles.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { VisibleAccountGuard } from '../../accounts/visible-account.guard.js';
import { ApiProblems } from '../../common/api-docs.js';
import { CurrentLang } from '../../common/current-lang.js';
import { type Lang } from '../../common/text.js';
import { EligibilityService } from './eligibility.service.js';
import {
  IncomingMessagePageDto,
  ListIncomingMessagesDto,
  toIncomingMessageDto,
} from './incoming-message.dto.js';
import { IncomingMessages } from './incoming-messages.service.js';
import { PeopleService } from './people.service.js';
import {
  EligibilityDto,
  EligibilityQueryDto,
  ListPeopleDto,
  PersonPageDto,
  PersonProfileDto,
  toEligibilityDto,
  toPersonDto,
  toProfileDto,
} from './person.dto.js';
import { PersonErasure } from './person-erasure.js';

const OPENID = { name: 'openid', example: 'oFixtureOpenId00000000000001' };

@ApiTags('用户 People')
@ApiParam({ name: 'appid', example: 'wx1badb002feedface' })
@Controller('api/v1/accounts/:appid')
@UseGuards(VisibleAccountGuard)
export class PeopleController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly people: PeopleService,
    private readonly messages: IncomingMessages,
    private readonly eligibility: EligibilityService,
    private readonly erasure: PersonErasure,
  ) {}

  @Get('people')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '用户列表 / List the people of an account',
    description:
      '自授权以来互动过或发送被拒过的用户，最近认识的在前。授权之前的关注者在互动之前不在其中。' +
      ' Those who have acted, or refused a message, since the account was authorized; the last that was met comes first. Who followed before is not among them until they act.',
  })
  @ApiOkResponse({ type: PersonPageDto })
  @ApiProblems('invalid_query', 'not_found')
  async list(@Param('appid') appid: string, @Query() query: ListPeopleDto): Promise<PersonPageDto> {
    const { items, nextCursor } = await this.people.list(appid, query);
    return { items: items.map(toPersonDto), nextCursor };
  }

  @Get('people/:openid')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '用户详情 / One person',
    description:
      '关注状态、拒收情况、此刻有效的客服消息窗口与订阅授权。从未互动过的 OpenID 各项均为未知。' +
      ' Who follows, who refuses, what is open for customer-service messages and what was consented to. Of an openid that was never heard of, all is unknown.',
  })
  @ApiParam(OPENID)
  @ApiOkResponse({ type: PersonProfileDto })
  @ApiProblems('not_found')
  async get(
    @Param('appid') appid: string,
    @Param('openid') openid: string,
  ): Promise<PersonProfileDto> {
    return toProfileDto(await this.people.findProfile(appid, openid));
  }

  @Delete('people/:openid')
  @HttpCode(204)
  @RequireRole('admin')
  @ApiOperation({
    summary: '删除用户数据 / Erase a person',
    description:
      '删除该账号下与此 OpenID 有关的一切：消息、事件、推送、回执、窗口与授权。用户取消关注后不会自动删除，以便识别回流用户；用户要求删除时请调用此接口。审计日志只记录发生过删除，不含 OpenID。' +
      ' Everything of the account that is about this openid goes: messages, events, pushes, receipts, windows and consents. Nothing goes by itself when somebody unfollows, so that who comes back is told from who is new; call this when a person wants it. The audit log says that somebody was erased, and not who.',
  })
  @ApiParam(OPENID)
  @ApiNoContentResponse({ description: '已删除 / Nothing is left' })
  @ApiProblems('not_found')
  async erase(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Param('openid') openid: string,
  ): Promise<void> {
    await this.erasure.erase(caller, appid, openid);
  }

  @Get('incoming-messages')
  @RequireRole('admin')
  @ApiOperation({
    summary: '收到的消息 / What people have written and done',
    description:
      '最近收到的在前，含菜单点击、扫码等操作；保留 MESSAGE_RETENTION_DAYS 天。 The last received comes first, taps and scans among them; kept for MESSAGE_RETENTION_DAYS days.',
  })
  @ApiOkResponse({ type: IncomingMessagePageDto })
  @ApiProblems('invalid_query', 'not_found')
  async listMessages(
    @Param('appid') appid: string,
    @Query() query: ListIncomingMessagesDto,
  ): Promise<IncomingMessagePageDto> {
    const { items, nextCursor } = await this.messages.list(appid, query);
    return { items: items.map(toIncomingMessageDto), nextCursor };
  }

  @Get('eligibility')
  @RequireRole('viewer')
  @ApiOperation({
    summary: '能否触达 / Whether a person can be reached now',
    description:
      '依据账号状态、关注与拒收、客服消息窗口、订阅授权与接口额度判断，不调用微信。关注状态未知不算不可触达。' +
      ' By the account, who follows and refuses, windows, consents and quota, without asking WeChat. That nothing is known of whether somebody follows is no reason against it.',
  })
  @ApiOkResponse({ type: EligibilityDto })
  @ApiProblems('invalid_query', 'not_found', 'kind_not_supported')
  async check(
    @CurrentCaller() caller: Caller,
    @Param('appid') appid: string,
    @Query() { openid, kind, templateId }: EligibilityQueryDto,
    @CurrentLang() lang: Lang,
  ): Promise<EligibilityDto> {
    const account = await this.accounts.get(caller, appid);
    return toEligibilityDto(
      await this.eligibility.check(account, { kind, openid, templateId }),
      lang,
    );
  }
}
