import { sendTemplateMessage, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { Length, Matches, MaxLength, ValidateNested } from 'class-validator';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import { LeftOut } from '../../common/left-out.js';
import { TokensService } from '../../tokens/tokens.service.js';
import { TemplatesService } from '../templates/templates.service.js';
import type { MessageKind, OutgoingMessage } from './message-kind.js';
import { readContent } from './read-content.js';
import { checkData } from './template-data.js';
import { AreTexts } from './texts.decorator.js';

export class MiniProgramLinkDto {
  @ApiProperty({ example: 'wx3c0ffee53c0ffee5' })
  @Length(1, 32)
  appid: string;

  @ApiProperty({ example: 'pages/order/detail?id=88' })
  @Length(1, 1024)
  pagePath: string;
}

export class TemplateMessageContentDto {
  @ApiProperty({ example: 'etU2Ly-ScRhOQv4ZrkZM5NoC__zMlf0pkdVrsW7C1xA' })
  @Length(1, 64)
  templateId: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: '模板字段的值 / The values of the template’s fields',
    example: { character_string1: 'SO20260801', time2: '2026-08-01 10:00', thing3: '包裹已发出' },
  })
  @AreTexts()
  data: Record<string, string>;

  @ApiPropertyOptional({ example: 'https://m.example.com/orders/88' })
  @LeftOut()
  @Matches(/^https?:\/\/\S+$/)
  @MaxLength(2048)
  url?: string;

  @ApiPropertyOptional({ description: '优先于 url / Goes before `url`' })
  @LeftOut()
  @ValidateNested()
  @Type(() => MiniProgramLinkDto)
  miniProgram?: MiniProgramLinkDto;
}

const DAY_MS = 86_400_000;

/** 服务号模板消息. */
@Injectable()
export class TemplateMessageKind implements MessageKind<TemplateMessageContentDto> {
  readonly name = 'template_message';
  readonly path = '/cgi-bin/message/template/send';
  readonly isRepeatable = true;
  readonly busyRetries = 3;
  /** As a rule it comes within seconds; of a message that WeChat has intercepted, never. */
  readonly resultWithinMs = DAY_MS;

  constructor(
    private readonly tokens: TokensService,
    private readonly templates: TemplatesService,
    private readonly wechat: WechatHttp,
  ) {}

  read(content: object): TemplateMessageContentDto | FieldError[] {
    return readContent(TemplateMessageContentDto, content);
  }

  async check(account: Account, content: TemplateMessageContentDto): Promise<FieldError[]> {
    const { templateId, data } = content;
    return checkData(await this.templates.find(account, this.name, templateId), data);
  }

  templateIdOf({ templateId }: TemplateMessageContentDto): string {
    return templateId;
  }

  partsOf(): number {
    return 1;
  }

  send(
    { appid }: Account,
    { id, openid, content }: OutgoingMessage<TemplateMessageContentDto>,
  ): Promise<{ msgid: string | null }> {
    // 32 characters: what WeChat allows.
    const clientMsgId = id.replaceAll('-', '');
    return this.tokens.withToken(appid, (token) =>
      sendTemplateMessage(this.wechat, token, Object.assign({ openid, clientMsgId }, content)),
    );
  }
}
