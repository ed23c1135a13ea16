import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import { CustomerServiceContentDto } from '../../messages/kinds/customer-service-message.dto.js';
import { MessageKinds } from '../../messages/kinds/message-kinds.js';
import { readContent } from '../../messages/kinds/read-content.js';
import type { QrCodeReplies } from '../qr-code.entity.js';

/** By whom they are for: messages as clients write them. */
export type WantedReplies = Partial<Record<keyof QrCodeReplies, object[]>>;

const SAYINGS = ['newFollower', 'existingFollower'] as const satisfies (keyof QrCodeReplies)[];

/** What codes may say: the same messages as any customer-service message, checked by the same rules. */
@Injectable()
export class ReplyContents {
  constructor(private readonly kinds: MessageKinds) {}

  /** @returns null for replies that say nothing; what is wrong with them, by fields under `replies.` */
  async read(
    account: Account,
    wanted: WantedReplies,
  ): Promise<{ replies: QrCodeReplies | null; errors: FieldError[] }> {
    const kind = this.kinds.of('customer_service_message');
    const replies: QrCodeReplies = { newFollower: [], existingFollower: [] };
    const errors: FieldError[] = [];
    for (const saying of SAYINGS) {
      const messages = wanted[saying] ?? [];
      if (messages.length === 0) continue;
      const content = readContent(CustomerServiceContentDto, { messages });
      const wrong = Array.isArray(content) ? content : await kind.check(account, content);
      if (!Array.isArray(content)) replies[saying] = content.messages;
      errors.push(
        ...wrong.map((error) => ({
          ...error,
          field: error.field.replace(/^content\.messages/, `replies.${saying}`),
        })),
      );
    }
    const isSilent = SAYINGS.every((saying) => replies[saying].length === 0);
    return { replies: isSilent ? null : replies, errors };
  }
}
