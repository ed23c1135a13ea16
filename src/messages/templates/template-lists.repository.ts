import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { GroupRead } from '../../database/group-read.js';
import { type Template, type TemplateKind, TemplateList } from './template-list.entity.js';

type Key = Pick<TemplateList, 'appid' | 'kind'>;

@Injectable()
export class TemplateListsRepository {
  readonly #looks: GroupRead<Key, TemplateList | null>;

  constructor(private readonly db: Database) {
    this.#looks = new GroupRead(this.db.isSqlite, (keys) => this.#findAll(keys));
  }

  /** What comes back may be shared with others who ask at the same moment. */
  find(appid: string, kind: TemplateKind): Promise<Readonly<TemplateList> | null> {
    return this.#looks.find({ appid, kind });
  }

  async #findAll(keys: readonly Key[]): Promise<(TemplateList | null)[]> {
    const found = await this.db.read.findBy(TemplateList, {
      appid: In([...new Set(keys.map(({ appid }) => appid))]),
      kind: In([...new Set(keys.map(({ kind }) => kind))]),
    });
    const byKey = new Map(found.map((list) => [`${list.appid} ${list.kind}`, list]));
    return keys.map(({ appid, kind }) => byKey.get(`${appid} ${kind}`) ?? null);
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
  async claim({ appid, kind }: Key, askedAt: Date, since: Date): Promise<boolean> {
    const written = await this.db.statement(
      'UPDATE template_list SET asked_at = ? WHERE appid = ? AND kind = ? AND asked_at <= ?',
      [toSqlTime(askedAt), appid, kind, toSqlTime(since)],
    );
    return written === 1;
  }

  /** Keeps what WeChat has said, unless the account is gone. */
  async keep(tx: Tx, { appid, kind }: Key, templates: Template[], readAt: Date): Promise<void> {
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
