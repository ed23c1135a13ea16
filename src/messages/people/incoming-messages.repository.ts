import { Injectable } from '@nestjs/common';
import { LessThan } from 'typeorm';

import type { Position } from '../../common/paging.js';
import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { deletePage } from '../../database/delete-page.js';
import { IncomingMessage } from './incoming-message.entity.js';

export interface IncomingMessageFilter {
  openid?: string;
  /** Received from this moment on. */
  from?: Date;
  /** Received before this moment. */
  to?: Date;
}

const COLUMNS =
  'id, appid, openid, dedup_key, message_type, event, message_id, content, occurred_at, received_at';

@Injectable()
export class IncomingMessagesRepository {
  constructor(private readonly db: Database) {}

  /** @returns false for one that is there already: nothing was inserted */
  async insertOnce(tx: Tx, row: IncomingMessage): Promise<boolean> {
    const verb = this.db.isSqlite ? 'INSERT OR IGNORE' : 'INSERT IGNORE';
    const result = await tx.queryRunner?.query(
      `${verb} INTO incoming_message (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      toValues(row),
      true,
    );
    return result?.affected === 1;
  }

  /** The last received first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { openid, from, to }: IncomingMessageFilter,
    limit: number,
    after: Position | null,
  ): Promise<IncomingMessage[]> {
    const query = this.db.read.createQueryBuilder(IncomingMessage, 'message').where({ appid });
    if (openid !== undefined) query.andWhere({ openid });
    if (from) query.andWhere('message.receivedAt >= :from', { from });
    if (to) query.andWhere('message.receivedAt < :to', { to });
    if (after) query.andWhere({ id: LessThan(after.id) });
    return query
      .orderBy('message.id', 'DESC')
      .take(limit + 1)
      .getMany();
  }

  /** Deletes messages with an id below. @returns how many */
  deleteBefore(id: string, limit: number): Promise<number> {
    return this.db.write((tx) => deletePage(tx, IncomingMessage, { id: LessThan(id) }, limit));
  }

  /** Deletes messages of an account. @returns how many; none is left once it is less than `limit` */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, IncomingMessage, { appid }, limit);
  }

  /** The same of one person of it. */
  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return deletePage(tx, IncomingMessage, { appid, openid }, limit);
  }
}

/** Cut to what the columns hold: an ignored conflict also ignores what does not fit. */
function toValues(row: IncomingMessage): unknown[] {
  return [
    row.id,
    row.appid,
    row.openid,
    row.dedupKey,
    row.messageType.slice(0, 32),
    row.event?.slice(0, 64) ?? null,
    row.messageId?.slice(0, 32) ?? null,
    row.content,
    toSqlTime(row.occurredAt),
    toSqlTime(row.receivedAt),
  ];
}
