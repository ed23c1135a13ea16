import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsIn, IsObject, Length, ValidateNested } from 'class-validator';

import { LeftOut } from '../../common/left-out.js';
import { BroadcastContentDto } from '../kinds/broadcast.kind.js';
import { CustomerServiceContentDto, MESSAGE_DTOS } from '../kinds/customer-service-message.dto.js';
import { MESSAGE_KINDS, type MessageKindName } from '../kinds/message-kind.js';
import { SubscriptionMessageContentDto } from '../kinds/subscription-message.kind.js';
import { TemplateMessageContentDto } from '../kinds/template-message.kind.js';
import { AreTexts } from '../kinds/texts.decorator.js';

/** The forms of contents, for the document. */
export const CONTENT_DTOS = [
  TemplateMessageContentDto,
  SubscriptionMessageContentDto,
  CustomerServiceContentDto,
  BroadcastContentDto,
  ...Object.values(MESSAGE_DTOS),
];

export class RecipientDto {
  @ApiPropertyOptional({
    description:
      '接收人的 OpenID；与 userId、properties 二选一 / The person’s openid, or else `userId` and `properties`',
    example: 'oFixtureOpenId00000000000001',
  })
  @LeftOut()
  @Length(1, 64)
  openid?: string;

  @ApiPropertyOptional({
    description:
      '营销平台的用户编号，原样出现在投递与事件中 / What you call the person; stands in the delivery and in events',
    example: 'user-10001',
  })
  @LeftOut()
  @Length(1, 128)
  userId?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description:
      '用户属性；按账号的 openidProperty 取 OpenID，其余忽略 / The person’s properties: the account’s `openidProperty` is looked up in them, the others are ignored',
    example: { wx_openid_flower_shop: 'oFixtureOpenId00000000000001' },
  })
  @LeftOut()
  @AreTexts()
  properties?: Record<string, string>;
}

export class SendMessageDto {
  @ApiProperty({ enum: MESSAGE_KINDS, example: 'template_message' })
  @IsIn(MESSAGE_KINDS)
  kind: MessageKindName;

  @ApiProperty({
    description: '内容，格式由 kind 决定 / What is said; its form follows from `kind`',
    oneOf: [
      { $ref: getSchemaPath(TemplateMessageContentDto) },
      { $ref: getSchemaPath(SubscriptionMessageContentDto) },
      { $ref: getSchemaPath(CustomerServiceContentDto) },
      { $ref: getSchemaPath(BroadcastContentDto) },
    ],
    example: {
      templateId: 'etU2Ly-ScRhOQv4ZrkZM5NoC__zMlf0pkdVrsW7C1xA',
      data: { character_string1: 'SO20260801', time2: '2026-08-01 10:00', thing3: '包裹已发出' },
    },
  })
  @IsObject()
  content: object;

  @ApiProperty({ type: RecipientDto, example: { openid: 'oFixtureOpenId00000000000001' } })
  @IsObject()
  @ValidateNested()
  @Type(() => RecipientDto)
  to: RecipientDto;
}

/** Whom subscription messages come from is another account than the others'. */
export const SENDER_EXAMPLES = {
  official_account: { summary: '公众号 / An official account', value: 'wx1badb002feedface' },
  mini_program: { summary: '小程序 / A mini-program', value: 'wx3c0ffee53c0ffee5' },
};

/** In the order in which somebody would try them. */
export const SEND_EXAMPLES = {
  template_message: {
    summary: '模板消息 / Template message',
    value: {
      kind: 'template_message',
      content: {
        templateId: 'etU2Ly-ScRhOQv4ZrkZM5NoC__zMlf0pkdVrsW7C1xA',
        data: { character_string1: 'SO20260801', time2: '2026-08-01 10:00', thing3: '包裹已发出' },
        url: 'https://m.example.com/orders/88',
      },
      to: { openid: 'oFixtureOpenId00000000000001' },
    },
  },
  customer_service_message: {
    summary: '48 小时客服消息 / Customer-service messages',
    value: {
      kind: 'customer_service_message',
      content: {
        messages: [
          { type: 'text', text: '您好，订单已发货。' },
          {
            type: 'news',
            title: '秋季新品',
            description: '点击查看',
            url: 'https://m.example.com/autumn',
            imageUrl: 'https://cdn.example.com/autumn.jpg',
          },
        ],
      },
      to: {
        userId: 'user-10001',
        properties: { wx_openid_flower_shop: 'oFixtureOpenId00000000000001' },
      },
    },
  },
  subscription_message: {
    summary: '小程序订阅消息，appid 为小程序的 / Subscription message, of a mini-program',
    value: {
      kind: 'subscription_message',
      content: {
        templateId: 'nshp_9VmzMvd5TqzAp555L4JnMyhpMPIFrvR8o-ib5g',
        data: { date2: '2026年8月8日', thing1: '一号会议室' },
        page: 'pages/meeting/detail?id=88',
      },
      to: { openid: 'oFixtureOpenId00000000000001' },
    },
  },
  broadcast: {
    summary: '群发预览 / A broadcast, shown to one person',
    value: {
      kind: 'broadcast',
      content: { type: 'text', text: '秋季新品已上架' },
      to: { openid: 'oFixtureOpenId00000000000001' },
    },
  },
};
