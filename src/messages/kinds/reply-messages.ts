import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import { type AnyMessageDto, CustomerServiceContentDto } from './customer-service-message.dto.js';
import { CustomerServiceMessageKind } from './customer-service-message.kind.js';
import { readContent } from './read-content.js';

/** Reads what rules and codes are to answer with: the messages of a customer-service message, by the same rules. */
@Injectable()
export class ReplyMessages {
  constructor(private readonly kind: CustomerServiceMessageKind) {}

  /**
   * @param wanted as a client has sent them
   * @param field where they stand in its request
   * @returns the messages in their form, and what is wrong with them; without messages where they cannot be read
   */
  async read(
    account: Account,
    wanted: readonly object[],
    field: string,
  ): Promise<{ messages: AnyMessageDto[]; errors: FieldError[] }> {
    const content = readContent(CustomerServiceContentDto, { messages: wanted });
    const wrong = Array.isArray(content) ? content : await this.kind.check(account, content);
    return {
      messages: Array.isArray(content) ? [] : content.messages,
      errors: wrong.map((error) => ({
        ...error,
        field: error.field.replace(/^content\.messages/, field),
      })),
    };
  }
}
