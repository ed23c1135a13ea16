import { sendSubscriptionMessage, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, Length } from 'class-validator';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import { LeftOut } from '../../common/left-out.js';
import { SendTokens } from '../../send-config/send-tokens.js';
import { TemplatesService } from '../templates/templates.service.js';
import type { MessageKind, OutgoingMessage } from './message-kind.js';
import { readContent } from './read-content.js';
import { checkData } from './template-data.js';
import { AreTexts } from './texts.decorator.js';

const STATES = ['formal', 'trial', 'developer'] as const;
const LANGS = ['zh_CN', 'en_US', 'zh_HK', 'zh_TW'] as const;

export class SubscriptionMessageContentDto {
  @ApiProperty({ example: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g' })
  @Length(1, 64)
  templateId: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: '模板全部字段的值 / The values of all the template’s fields',
    example: { date2: '2026年8月8日', thing1: '一号会议室' },
  })
  @AreTexts()
  data: Record<string, string>;

  @ApiPropertyOptional({ example: 'pages/meeting/detail?id=88' })
  @LeftOut()
  @Length(1, 1024)
  page?: string;

  @ApiPropertyOptional({ enum: STATES, default: 'formal', example: 'formal' })
  @LeftOut()
  @IsIn(STATES)
  miniProgramState?: (typeof STATES)[number];

  @ApiPropertyOptional({ enum: LANGS, default: 'zh_CN', example: 'zh_CN' })
  @LeftOut()
  @IsIn(LANGS)
  lang?: (typeof LANGS)[number];
}

const DAY_MS = 86_400_000;

/** 小程序订阅消息. WeChat has no de-duplication id for them. */
@Injectable()
export class SubscriptionMessageKind implements MessageKind<SubscriptionMessageContentDto> {
  readonly name = 'subscription_message';
  readonly path = '/cgi-bin/message/subscribe/send';
  readonly isRepeatable = false;
  readonly busyRetries = 0;
  readonly resultWithinMs = DAY_MS;

  constructor(
    private readonly tokens: SendTokens,
    private readonly templates: TemplatesService,
    private readonly wechat: WechatHttp,
  ) {}

  read(content: object): SubscriptionMessageContentDto | FieldError[] {
    return readContent(SubscriptionMessageContentDto, content);
  }

  async check(account: Account, content: SubscriptionMessageContentDto): Promise<FieldError[]> {
    const { templateId, data } = content;
    return checkData(await this.templates.find(account, this.name, templateId), data);
  }

  templateIdOf({ templateId }: SubscriptionMessageContentDto): string {
    return templateId;
  }

  partsOf(): number {
    return 1;
  }

  send(
    { appid }: Account,
    { openid, content }: OutgoingMessage<SubscriptionMessageContentDto>,
  ): Promise<{ msgid: string | null }> {
    return this.tokens.withToken(appid, (token) =>
      sendSubscriptionMessage(this.wechat, token, Object.assign({ openid }, content)),
    );
  }
}
