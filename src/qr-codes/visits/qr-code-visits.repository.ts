import { Injectable } from '@nestjs/common';
import { In, LessThan, MoreThan } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../../database/database.js';
import { deletePage } from '../../database/delete-page.js';
import type { Derived } from './attribution.js';
import type { Figures } from './figures.js';
import { QrCodeVisit } from './qr-code-visit.entity.js';

export type Grouping = 'day' | 'channel' | 'code';

export interface Span {
  from: Date;
  to: Date;
}

const COUNTED = `
  COUNT(visit.visit) AS scans,
  COUNT(DISTINCT CASE WHEN visit.visit IS NOT NULL THEN visit.openid END) AS people,
  SUM(CASE WHEN visit.visit = 'new_follower' THEN 1 ELSE 0 END) AS newFollowers,
  SUM(CASE WHEN visit.visit = 'returning_follower' THEN 1 ELSE 0 END) AS returningFollowers,
  SUM(CASE WHEN visit.visit = 'existing_follower' THEN 1 ELSE 0 END) AS existingFollowers,
  SUM(CASE WHEN visit.act = 'unfollow' THEN 1 ELSE 0 END) AS unfollows,
  SUM(visit.stays) AS stayed`;

const GROUPS: Readonly<Record<Grouping, string>> = {
  day: 'visit.day',
  channel: 'code.channel',
  code: 'code.id',
};

/** As the drivers hand them over: counts of MySQL are texts. */
type RawFigures = Record<keyof Figures, number | string | null> & { label: string };

@Injectable()
export class QrCodeVisitsRepository {
  constructor(private readonly db: Database) {}

  find(id: string): Promise<QrCodeVisit | null> {
    return this.db.read.findOneBy(QrCodeVisit, { id });
  }

  /** @returns false when the push has one already */
  async insertOnce(tx: Tx, row: QrCodeVisit): Promise<boolean> {
    const verb = this.db.isSqlite ? 'INSERT OR IGNORE' : 'INSERT IGNORE';
    const { id, appid, openid, act, qrCodeId, visit, stays, at, day } = row;
    const result = await tx.queryRunner?.query(
      `${verb} INTO qr_code_visit (id, appid, openid, act, qr_code_id, visit, stays, at, day) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      [id, appid, openid, act, qrCodeId, visit, Number(stays), toSqlTime(at), day],
      true,
    );
    return result?.affected === 1;
  }

  /**
   * Every follow and unfollow of a person. Whoever adds one has locked the person, and has added it before this look: then
   * nobody waits for each other in a circle.
   */
  findFollows(tx: Tx, appid: string, openid: string): Promise<QrCodeVisit[]> {
    return tx.find(QrCodeVisit, {
      where: { appid, openid, act: In(['follow', 'unfollow']) },
      ...this.db.currentRead(tx),
    });
  }

  async hasScannedBefore(tx: Tx, { appid, openid, at }: QrCodeVisit): Promise<boolean> {
    const [scan] = await tx.find(QrCodeVisit, {
      select: { id: true },
      where: { appid, openid, act: 'scan', at: LessThan(at) },
      take: 1,
      ...this.db.currentRead(tx),
    });
    return scan !== undefined;
  }

  /** Who has scanned as a follower is not new at any time after it. */
  async makeReturning(tx: Tx, { appid, openid, at }: QrCodeVisit): Promise<void> {
    await tx.update(
      QrCodeVisit,
      { appid, openid, act: 'follow', at: MoreThan(at), visit: 'new_follower' },
      { visit: 'returning_follower' },
    );
  }

  async update(tx: Tx, id: string, derived: Derived): Promise<void> {
    await tx.update(QrCodeVisit, { id }, derived);
  }

  /** The figures of each of the codes since it was made. One that nobody has scanned is left out. */
  async countAll(qrCodeIds: readonly string[]): Promise<Map<string, Figures>> {
    if (qrCodeIds.length === 0) return new Map();
    const rows = await this.db.read.query<RawFigures[]>(
      `SELECT visit.qr_code_id AS label, ${COUNTED} FROM qr_code_visit visit
       WHERE visit.qr_code_id IN (${qrCodeIds.map(() => '?').join(', ')}) GROUP BY visit.qr_code_id`,
      [...qrCodeIds],
    );
    return new Map(rows.map((row) => [row.label, toFigures(row)]));
  }

  /**
   * The figures of one code of the account, or of all, within a stretch of time.
   *
   * @returns by day, channel or code; one without any is left out
   */
  async count(
    appid: string,
    qrCodeId: string | null,
    { from, to }: Span,
    by: Grouping,
  ): Promise<Map<string, Figures>> {
    const group = GROUPS[by];
    const rows = await this.db.read.query<RawFigures[]>(
      `SELECT ${group} AS label, ${COUNTED} FROM qr_code code
       JOIN qr_code_visit visit ON visit.qr_code_id = code.id
       WHERE code.appid = ? ${qrCodeId === null ? '' : 'AND code.id = ?'}
       AND visit.at >= ? AND visit.at < ? GROUP BY ${group} ORDER BY ${group}`,
      [appid, ...(qrCodeId === null ? [] : [qrCodeId]), toSqlTime(from), toSqlTime(to)],
    );
    return new Map(rows.map((row) => [row.label, toFigures(row)]));
  }

  /** How many different people scanned within the stretch of time. */
  async countPeople(appid: string, qrCodeId: string | null, { from, to }: Span): Promise<number> {
    const [row] = await this.db.read.query<{ people: number | string }[]>(
      `SELECT COUNT(DISTINCT visit.openid) AS people FROM qr_code code
       JOIN qr_code_visit visit ON visit.qr_code_id = code.id
       WHERE code.appid = ? ${qrCodeId === null ? '' : 'AND code.id = ?'}
       AND visit.at >= ? AND visit.at < ? AND visit.visit IS NOT NULL`,
      [appid, ...(qrCodeId === null ? [] : [qrCodeId]), toSqlTime(from), toSqlTime(to)],
    );
    return Number(row?.people ?? 0);
  }

  /** Deletes rows of an account. @returns how many; none is left once it is less than `limit` */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, QrCodeVisit, { appid }, limit);
  }

  /** The same for one person of an account. */
  erasePerson(tx: Tx, appid: string, openid: string, limit: number): Promise<number> {
    return deletePage(tx, QrCodeVisit, { appid, openid }, limit);
  }
}

function toFigures(raw: RawFigures): Figures {
  return {
    scans: Number(raw.scans),
    people: Number(raw.people),
    newFollowers: Number(raw.newFollowers),
    returningFollowers: Number(raw.returningFollowers),
    existingFollowers: Number(raw.existingFollowers),
    unfollows: Number(raw.unfollows),
    stayed: Number(raw.stayed),
  };
}
