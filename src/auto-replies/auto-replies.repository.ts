import { Injectable } from '@nestjs/common';
import { In, LessThanOrEqual, Raw } from 'typeorm';

import { Breath } from '../common/breath.js';
import { chunksOf } from '../common/chunks.js';
import type { Position } from '../common/paging.js';
import { Database, toSqlTime, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { newestFirst } from '../database/newest-first.js';
import {
  AutoReply,
  AutoReplyPerson,
  AutoReplyRevision,
  AutoReplyStat,
} from './auto-reply.entity.js';
import type { Trigger } from './matching.js';

const READ_AT_ONCE = 200;
const BY_AGE = { time: 'createdAt', id: 'id' } as const;

export interface RuleFilter {
  /** A part of the name or of a keyword. */
  q?: string;
  trigger?: Trigger['type'];
  enabled?: boolean;
}

@Injectable()
export class AutoRepliesRepository {
  constructor(private readonly db: Database) {}

  async findRevision(appid: string, on: Tx = this.db.read): Promise<string | null> {
    const row = await on.findOneBy(AutoReplyRevision, { appid });
    return row?.revision ?? null;
  }

  /** Whoever changes rules of an account does this first: the others wait. */
  async writeRevision(tx: Tx, appid: string, revision: string): Promise<void> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(AutoReplyRevision)
      .values({ appid, revision })
      .orUpdate(['revision'], ['appid'])
      .updateEntity(false)
      .execute();
  }

  /** The rules that the account has, without what they say: with each change, a rule has another version. */
  findVersions(appid: string, on: Tx = this.db.read): Promise<Pick<AutoReply, 'id' | 'version'>[]> {
    return on
      .createQueryBuilder(AutoReply, 'rule')
      .select('rule.id', 'id')
      .addSelect('rule.version', 'version')
      .where({ appid })
      .getRawMany();
  }

  /** Those of them that are still there, in no order. There may be thousands: others have their turn in between. */
  async findMany(
    appid: string,
    ids: readonly string[],
    on: Tx = this.db.read,
  ): Promise<AutoReply[]> {
    const [all, breath]: [AutoReply[], Breath] = [[], new Breath()];
    for (const chunk of chunksOf(ids, READ_AT_ONCE)) {
      all.push(...(await on.findBy(AutoReply, { appid, id: In(chunk) })));
      await breath.take();
    }
    return all;
  }

  /** The newest first; one more than `limit`, to tell whether another page follows. */
  findPage(
    appid: string,
    { q, trigger, enabled }: RuleFilter,
    limit: number,
    after: Position | null,
  ): Promise<AutoReply[]> {
    const query = this.db.read.createQueryBuilder(AutoReply, 'rule').where({
      appid,
      ...(enabled !== undefined && { enabled }),
    });
    // The column begins with the type: see `toTrigger`.
    if (trigger) query.andWhere('rule.trigger LIKE :trigger', { trigger: `{"type":"${trigger}"%` });
    if (q !== undefined)
      query.andWhere(
        `(LOWER(rule.name) LIKE LOWER(:q) ESCAPE '!' OR LOWER(${this.#keywordsSql()}) LIKE LOWER(:json) ESCAPE '!')`,
        { q: contains(q), json: contains(JSON.stringify(q).slice(1, -1)) },
      );
    return newestFirst(query, limit, after, BY_AGE);
  }

  /** The texts of a rule's keywords, as JSON has them; of one that half a character keeps from being JSON to MySQL, all of it. */
  #keywordsSql(): string {
    if (this.db.isSqlite)
      return `(SELECT group_concat(json_quote(json_extract(word.value, '$.text'))) FROM json_each(rule.trigger, '$.keywords') word)`;
    const texts = `COALESCE(JSON_EXTRACT(rule.trigger, '$.keywords[*].text'), '')`;
    return `CASE WHEN JSON_VALID(rule.trigger) THEN ${texts} ELSE rule.trigger END`;
  }

  find(appid: string, id: string, on: Tx = this.db.read): Promise<AutoReply | null> {
    return on.findOneBy(AutoReply, { appid, id });
  }

  /** As it is now; others cannot change it until the transaction ends. */
  findForUpdate(tx: Tx, appid: string, id: string): Promise<AutoReply | null> {
    return tx.findOne(AutoReply, { where: { appid, id }, ...this.db.currentRead(tx) });
  }

  count(tx: Tx, appid: string): Promise<number> {
    return tx.countBy(AutoReply, { appid });
  }

  /** Some of those whose replies carry a medium. */
  findWithMedium(tx: Tx, appid: string, mediaId: string, limit: number): Promise<AutoReply[]> {
    return tx.find(AutoReply, {
      where: {
        appid,
        replies: Raw((column) => `${column} LIKE :part`, {
          part: contains(JSON.stringify(mediaId)),
        }),
      },
      take: limit,
    });
  }

  async insert(tx: Tx, rule: AutoReply): Promise<void> {
    await tx.insert(AutoReply, rule);
  }

  async update(
    tx: Tx,
    id: string,
    values: Partial<Omit<AutoReply, 'id' | 'appid' | 'createdAt'>>,
  ): Promise<void> {
    await tx.update(AutoReply, { id }, values);
  }

  async remove(tx: Tx, id: string): Promise<void> {
    await tx.delete(AutoReply, { id });
    await tx.delete(AutoReplyStat, { ruleId: id });
  }

  /** The rules whose media are to be looked after by now. */
  findMediaDue(now: Date, limit: number): Promise<Pick<AutoReply, 'id' | 'appid' | 'version'>[]> {
    return this.db.read.find(AutoReply, {
      select: { id: true, appid: true, version: true },
      where: { renewMediaAt: LessThanOrEqual(now) },
      order: { renewMediaAt: 'ASC' },
      take: limit,
    });
  }

  /** Unless it has been changed since. */
  async writeRenewal(
    tx: Tx,
    { id, version }: Pick<AutoReply, 'id' | 'version'>,
    renewMediaAt: Date | null,
  ): Promise<void> {
    await tx.update(AutoReply, { id, version }, { renewMediaAt });
  }

  async findStats(ruleIds: readonly string[]): Promise<Map<string, AutoReplyStat>> {
    const rows = await this.db.read.findBy(AutoReplyStat, { ruleId: In([...ruleIds]) });
    return new Map(rows.map((row) => [row.ruleId, row]));
  }

  /** One answer more; the last thing of a transaction, since all of a rule's answers meet here. */
  async countHit(
    tx: Tx,
    { id, appid }: Pick<AutoReply, 'id' | 'appid'>,
    at: Date,
    isNewPerson: boolean,
  ): Promise<void> {
    const time = toSqlTime(at);
    const people = isNewPerson ? 1 : 0;
    const onConflict = this.db.isSqlite
      ? 'ON CONFLICT (rule_id) DO UPDATE SET'
      : 'ON DUPLICATE KEY UPDATE';
    await tx.query(
      `INSERT INTO auto_reply_stat (rule_id, appid, hits, people, last_hit_at) VALUES (?, ?, 1, ?, ?) ${onConflict} ` +
        'hits = hits + 1, people = people + ?, last_hit_at = CASE WHEN last_hit_at < ? THEN ? ELSE last_hit_at END',
      [id, appid, people, time, people, time, time],
    );
  }

  findPerson(ruleId: string, openid: string): Promise<AutoReplyPerson | null> {
    return this.db.read.findOneBy(AutoReplyPerson, { ruleId, openid });
  }

  /** Reads somebody as they are now, and keeps others from changing it until the transaction ends. */
  async lockPerson(
    tx: Tx,
    { id: ruleId, appid }: Pick<AutoReply, 'id' | 'appid'>,
    openid: string,
    at: Date,
  ): Promise<AutoReplyPerson> {
    await tx
      .createQueryBuilder()
      .insert()
      .into(AutoReplyPerson)
      .values({ ruleId, openid, appid, hits: 0, countedFrom: at, counted: 0 })
      .orUpdate(['appid'], ['rule_id', 'openid'])
      .updateEntity(false)
      .execute();
    return tx.findOneOrFail(AutoReplyPerson, {
      where: { ruleId, openid },
      ...this.db.currentRead(tx),
    });
  }

  async savePerson(
    tx: Tx,
    { ruleId, openid }: AutoReplyPerson,
    counted: Pick<AutoReplyPerson, 'hits' | 'countedFrom' | 'counted'>,
  ): Promise<void> {
    await tx.update(AutoReplyPerson, { ruleId, openid }, counted);
  }

  /** Deletes who was answered by a rule that is gone. @returns how many */
  removePeople(tx: Tx, ruleId: string, limit: number): Promise<number> {
    return this.#erasePeople(tx, { ruleId }, limit);
  }

  eraseRules(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, AutoReply, { appid }, limit);
  }

  async eraseRevision(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(AutoReplyRevision, { appid })).affected ?? 0;
  }

  async eraseStats(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(AutoReplyStat, { appid })).affected ?? 0;
  }

  erasePeople(tx: Tx, appid: string, limit: number): Promise<number> {
    return this.#erasePeople(tx, { appid }, limit);
  }

  async erasePerson(tx: Tx, appid: string, openid: string): Promise<void> {
    await tx.delete(AutoReplyPerson, { appid, openid });
  }

  async #erasePeople(
    tx: Tx,
    where: { ruleId: string } | { appid: string },
    limit: number,
  ): Promise<number> {
    const rows = await tx.find(AutoReplyPerson, {
      select: { ruleId: true, openid: true },
      where,
      take: limit,
    });
    const openids = rows.map(({ openid }) => openid);
    if (openids.length > 0) await tx.delete(AutoReplyPerson, { ...where, openid: In(openids) });
    return rows.length;
  }
}

function contains(words: string): string {
  return `%${words.replaceAll(/[!%_]/g, '!$&')}%`;
}
