import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';
import type { Tx } from '../../database/database.js';
import { ReplyMessages } from '../../messages/kinds/reply-messages.js';
import type { QrCodeReplies } from '../qr-code.entity.js';

/** By whom they are for: messages as clients write them. */
export type WantedReplies = Partial<Record<keyof QrCodeReplies, object[]>>;

const SAYINGS = ['newFollower', 'existingFollower'] as const satisfies (keyof QrCodeReplies)[];

/** What codes may say to whom. */
@Injectable()
export class ReplyContents {
  constructor(private readonly messages: ReplyMessages) {}

  /** @returns null for replies that say nothing; what is wrong with them, by fields under `replies.` */
  async read(
    account: Account,
    wanted: WantedReplies,
  ): Promise<{ replies: QrCodeReplies | null; errors: FieldError[] }> {
    const replies: QrCodeReplies = { newFollower: [], existingFollower: [] };
    const errors: FieldError[] = [];
    for (const saying of SAYINGS) {
      const said = wanted[saying] ?? [];
      if (said.length === 0) continue;
      const read = await this.messages.read(account, said, { field: `replies.${saying}` });
      replies[saying] = read.messages;
      errors.push(...read.errors);
    }
    const isSilent = SAYINGS.every((saying) => replies[saying].length === 0);
    return { replies: isSilent ? null : replies, errors };
  }

  /** As {@link ReplyMessages.hold}. */
  async hold(tx: Tx, account: Account, replies: QrCodeReplies | null): Promise<void> {
    for (const saying of SAYINGS)
      await this.messages.hold(tx, account, replies?.[saying] ?? [], `replies.${saying}`);
  }
}
