import { Injectable } from '@nestjs/common';

import { In } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { type Template, type TemplateKind, TemplateList } from './template-list.entity.js';

@Injectable()
export class TemplateListsRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, kind: TemplateKind): Promise<TemplateList | null> {
    return this.db.read.findOneBy(TemplateList, { appid, kind });
  }

  /** What is kept of the accounts' subscription templates. */
  findSubscriptionLists(appids: readonly string[], on: Tx): Promise<TemplateList[]> {
    return on.findBy(TemplateList, { appid: In([...appids]), kind: 'subscription_message' });
  }

  /** Begins a list that has not been read yet. */
  async begin(tx: Tx, appid: string, kind: TemplateKind, askedAt: Date): Promise<void> {
    const empty = { appid, kind, templates: null, readAt: null, askedAt, isDoubted: false };
    await tx.createQueryBuilder().insert().into(TemplateList).values(empty).orIgnore().execute();
  }

  /** Writes down that WeChat is going to be asked, unless it was after `since`. @returns false when it was */
  async claim(
    { appid, kind }: Pick<TemplateList, 'appid' | 'kind'>,
    askedAt: Date,
    since: Date,
  ): Promise<boolean> {
    const written = await this.db.statement(
      'UPDATE template_list SET asked_at = ? WHERE appid = ? AND kind = ? AND asked_at <= ?',
      [toSqlTime(askedAt), appid, kind, toSqlTime(since)],
    );
    return written === 1;
  }

  /** Keeps what WeChat has said, unless the account is gone. */
  async keep(
    tx: Tx,
    { appid, kind }: Pick<TemplateList, 'appid' | 'kind'>,
    templates: Template[],
    readAt: Date,
  ): Promise<void> {
    await tx.update(TemplateList, { appid, kind }, { templates, readAt, isDoubted: false });
  }

  async doubt(tx: Tx, appid: string, kind: TemplateKind): Promise<void> {
    await tx.update(TemplateList, { appid, kind }, { isDoubted: true });
  }

  /** @returns how many went */
  async eraseAccount(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(TemplateList, { appid })).affected ?? 0;
  }
}
