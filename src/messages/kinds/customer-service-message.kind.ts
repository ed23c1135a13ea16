import {
  CUSTOMER_SERVICE_TYPES,
  type CustomerServiceMessage,
  MAX_CUSTOMER_SERVICE_TEXT_BYTES,
  sendCustomerServiceMessage,
  WechatHttp,
} from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import type { Tx } from '../../database/database.js';
import { CarriedMedia, type MediaRef, type WechatIds } from './carried-media.js';
import { type AnyMessageDto, CustomerServiceContentDto } from './customer-service-message.dto.js';
import type { MessageKind, OutgoingMessage } from './message-kind.js';
import { readContent } from './read-content.js';

/** 48 小时客服消息: one after the other, in their order. WeChat tells no result, and has no de-duplication id for them. */
@Injectable()
export class CustomerServiceMessageKind implements MessageKind<CustomerServiceContentDto> {
  readonly name = 'customer_service_message';
  readonly path = '/cgi-bin/message/custom/send';
  readonly isRepeatable = false;
  /** WeChat asks for it, and a reply that is missing is worse than one that, once in a while, is there twice. */
  readonly busyRetries = 1;
  readonly resultWithinMs = null;

  constructor(
    private readonly media: CarriedMedia,
    private readonly wechat: WechatHttp,
  ) {}

  read(content: object): CustomerServiceContentDto | FieldError[] {
    return readContent(CustomerServiceContentDto, content);
  }

  async check(account: Account, { messages }: CustomerServiceContentDto): Promise<FieldError[]> {
    const own = messages.flatMap((message, place) => problemsOf(account, message, place));
    const refs = messages.flatMap((message, place) => refsOf(message, place));
    return [...own, ...(await this.media.check(account, refs))];
  }

  /** The media that are gone since the content was checked. */
  findGone(
    tx: Tx,
    account: Account,
    { messages }: CustomerServiceContentDto,
  ): Promise<FieldError[]> {
    return this.media.findGone(tx, account, messages.flatMap(refsOf));
  }

  templateIdOf(): null {
    return null;
  }

  partsOf({ messages }: CustomerServiceContentDto): number {
    return messages.length;
  }

  async send(
    account: Account,
    { openid, content, part }: OutgoingMessage<CustomerServiceContentDto>,
  ): Promise<{ msgid: null }> {
    const message = content.messages[part];
    if (!message) throw new RangeError('The message has no such part.');
    await this.media.send(account, refsOf(message, part), (token, ids) =>
      sendCustomerServiceMessage(this.wechat, token, openid, toWechat(message, ids)),
    );
    return { msgid: null };
  }
}

function problemsOf(
  { accountType, appid }: Account,
  message: AnyMessageDto,
  place: number,
): FieldError[] {
  const at = `content.messages.${place}`;
  const types = CUSTOMER_SERVICE_TYPES[accountType];
  if (!types.includes(message.type))
    return [
      {
        field: `${at}.type`,
        code: 'type_not_supported',
        detail: {
          zh: `该账号类型可以发送：${types.join('、')}。`,
          en: `An account of this type can send: ${types.join(', ')}.`,
        },
      },
    ];
  if (message.type === 'text' && Buffer.byteLength(message.text) > MAX_CUSTOMER_SERVICE_TEXT_BYTES)
    return [
      {
        field: `${at}.text`,
        code: 'text_too_long',
        detail: {
          zh: `文字最多 ${MAX_CUSTOMER_SERVICE_TEXT_BYTES} 字节（约 680 个汉字），请缩短或分成多条。`,
          en: `A text may have ${MAX_CUSTOMER_SERVICE_TEXT_BYTES} bytes of UTF-8. Shorten it, or make it several messages.`,
        },
      },
    ];
  const isPage = message.type === 'mini_program_page';
  if (isPage && accountType === 'official_account' && message.appid === undefined)
    return [
      pageProblem(
        at,
        '公众号发送小程序页面须填写 appid。',
        'An official account has to name the mini-program by `appid`.',
      ),
    ];
  if (isPage && accountType === 'mini_program' && (message.appid ?? appid) !== appid)
    return [
      pageProblem(
        at,
        '小程序只能发送自己的页面，请去掉 appid。',
        'A mini-program sends pages of its own only: leave `appid` out.',
      ),
    ];
  return [];
}

function pageProblem(at: string, zh: string, en: string): FieldError {
  return { field: `${at}.appid`, code: 'page_appid', detail: { zh, en } };
}

/** What of the message is a medium of ours. An article is WeChat's own. */
function refsOf(message: AnyMessageDto, place: number): MediaRef[] {
  const at = `content.messages.${place}`;
  switch (message.type) {
    case 'image':
    case 'voice':
      return [{ field: `${at}.mediaId`, id: message.mediaId, kind: message.type }];
    case 'video':
      return [
        { field: `${at}.mediaId`, id: message.mediaId, kind: 'video' },
        { field: `${at}.thumbMediaId`, id: message.thumbMediaId, kind: 'thumb' },
      ];
    case 'music':
      return [{ field: `${at}.thumbMediaId`, id: message.thumbMediaId, kind: 'thumb' }];
    case 'mini_program_page':
      // WeChat calls it a thumb, and wants an image.
      return [{ field: `${at}.thumbMediaId`, id: message.thumbMediaId, kind: 'image' }];
    default:
      return [];
  }
}

/** The same with WeChat's ids of the media. */
function toWechat(message: AnyMessageDto, ids: WechatIds): CustomerServiceMessage {
  switch (message.type) {
    case 'image':
    case 'voice':
      return { type: message.type, mediaId: ids(message.mediaId) };
    case 'video':
      return Object.assign({}, message, {
        mediaId: ids(message.mediaId),
        thumbMediaId: ids(message.thumbMediaId),
      });
    case 'music':
    case 'mini_program_page':
      return Object.assign({}, message, { thumbMediaId: ids(message.thumbMediaId) });
    default:
      return message;
  }
}
