import { MAX_CUSTOMER_SERVICE_TEXT_BYTES } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { AppError, type FieldError } from '../../common/app-error.js';
import type { Tx } from '../../database/database.js';
import { type AnyMessageDto, CustomerServiceContentDto } from './customer-service-message.dto.js';
import { CustomerServiceMessageKind } from './customer-service-message.kind.js';
import { fillIn, variablesOf } from './fill-in.js';
import { readContent } from './read-content.js';

/** Reads what rules and codes are to answer with: the messages of a customer-service message, by the same rules. */
@Injectable()
export class ReplyMessages {
  constructor(private readonly kind: CustomerServiceMessageKind) {}

  /**
   * @param wanted as a client has sent them
   * @param field where they stand in its request
   * @param keywords of which one will have led to them; none where none can
   * @returns the messages in their form, and what is wrong with them; without messages where they cannot be read
   */
  async read(
    account: Account,
    wanted: readonly object[],
    { field, keywords = [] }: { field: string; keywords?: readonly string[] },
  ): Promise<{ messages: AnyMessageDto[]; errors: FieldError[] }> {
    const content = readContent(CustomerServiceContentDto, { messages: wanted });
    const isRead = !Array.isArray(content);
    const wrong = isRead ? await this.kind.check(account, content) : content;
    const messages = isRead ? content.messages : [];
    return {
      messages,
      errors: [
        ...under(field, wrong),
        ...messages.flatMap((message, place) =>
          variableErrors(account, message, keywords).map((error) => ({
            ...error,
            field: `${field}.${place}${error.field}`,
          })),
        ),
      ],
    };
  }

  /**
   * Keeps their media from being deleted, in the transaction that keeps the messages. It has locked the account.
   *
   * @throws AppError `validation_failed` where one is gone since the messages were read
   */
  async hold(tx: Tx, account: Account, messages: AnyMessageDto[], field: string): Promise<void> {
    const gone = await this.kind.findGone(tx, account, { messages });
    if (gone.length > 0) throw new AppError('validation_failed', under(field, gone));
  }
}

/** @param field where the messages stand */
function under(field: string, errors: readonly FieldError[]): FieldError[] {
  return errors.map((error) => ({
    ...error,
    field: error.field.replace(/^content\.messages/, field),
  }));
}

/** With the longest that its variables may become. */
function variableErrors(
  { nickname }: Account,
  message: AnyMessageDto,
  keywords: readonly string[],
): FieldError[] {
  const [longest] = keywords.toSorted((one, other) => bytesOf(other) - bytesOf(one));
  const filled = fillIn(message, variablesOf(nickname, longest ?? null, new Date(0)));
  // What is too long without its variables has been told of.
  const isTooLong = isLong(filled) && !isLong(message);
  const hasKeyword = fillIn(message, { ...NONE, keyword: MARK });
  const isWithoutKeyword = longest === undefined && JSON.stringify(hasKeyword).includes(MARK);
  return [...(isTooLong ? [TOO_LONG] : []), ...(isWithoutKeyword ? [NO_KEYWORD] : [])];
}

/** Of the rest, WeChat cuts what is too long. */
function isLong(message: AnyMessageDto): boolean {
  return message.type === 'text' && bytesOf(message.text) > MAX_CUSTOMER_SERVICE_TEXT_BYTES;
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text);
}

const NONE = { time: '', date: '', account: '', keyword: '' };
/** What nobody writes: a private-use character. */
const MARK = '\uF8FF\uF8FE';

const TOO_LONG: FieldError = {
  field: '.text',
  code: 'text_too_long',
  detail: {
    zh: `代入变量后超过 ${MAX_CUSTOMER_SERVICE_TEXT_BYTES} 字节，请缩短。`,
    en: `With its variables filled in it has more than ${MAX_CUSTOMER_SERVICE_TEXT_BYTES} bytes. Shorten it.`,
  },
};

const NO_KEYWORD: FieldError = {
  field: '',
  code: 'no_keyword',
  detail: {
    zh: '只有关键词规则的回复可以使用 {keyword}，请去掉。',
    en: 'Only the replies of keyword rules may name {keyword}. Leave it out.',
  },
};
