import { Injectable } from '@nestjs/common';
import { In, IsNull, LessThanOrEqual, MoreThan } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../database/database.js';
import { IdempotentAnswer } from './idempotent-answer.entity.js';

/** What a request is known by. */
export type AskedRequest = Pick<IdempotentAnswer, 'id' | 'tenantId' | 'appid' | 'fingerprint'>;

/** The right to run a request; void once its epoch has passed. */
export type HeldRequest = Pick<IdempotentAnswer, 'id' | 'appid' | 'epoch'>;

@Injectable()
export class IdempotentAnswersRepository {
  constructor(private readonly db: Database) {}

  find(id: string): Promise<IdempotentAnswer | null> {
    return this.db.read.findOneBy(IdempotentAnswer, { id });
  }

  /** Takes a key that nobody has used. @returns null when somebody has */
  async insert(
    { id, tenantId, appid, fingerprint }: AskedRequest,
    times: { now: Date; expiresAt: Date; leaseMs: number },
  ): Promise<HeldRequest | null> {
    const verb = this.db.isSqlite ? 'INSERT OR IGNORE' : 'INSERT IGNORE';
    const written = await this.db.statement(
      `${verb} INTO idempotent_answer (id, tenant_id, appid, fingerprint, epoch, lease_until, answer, created_at, expires_at)
       VALUES (?, ?, ?, ?, 1, ${this.db.nowSql(times.leaseMs)}, NULL, ?, ?)`,
      [id, tenantId, appid, fingerprint, toSqlTime(times.now), toSqlTime(times.expiresAt)],
    );
    return written === 1 ? { id, appid, epoch: 1 } : null;
  }

  /**
   * Takes a key whose answer has had its time, or whose holder has died, by compare-and-set on the row as it was read.
   *
   * @returns null when its holder lives, or another request was faster
   */
  async takeOver(
    seen: HeldRequest,
    { appid, fingerprint }: Pick<AskedRequest, 'appid' | 'fingerprint'>,
    times: { now: Date; expiresAt: Date; leaseMs: number },
  ): Promise<HeldRequest | null> {
    const written = await this.db.statement(
      `UPDATE idempotent_answer
          SET appid = ?, fingerprint = ?, epoch = epoch + 1, lease_until = ${this.db.nowSql(times.leaseMs)},
              answer = NULL, created_at = ?, expires_at = ?
        WHERE id = ? AND epoch = ? AND (lease_until IS NULL OR lease_until <= ${this.db.nowSql()})`,
      [appid, fingerprint, toSqlTime(times.now), toSqlTime(times.expiresAt), seen.id, seen.epoch],
    );
    return written === 1 ? { id: seen.id, appid, epoch: seen.epoch + 1 } : null;
  }

  async renew({ id, epoch }: HeldRequest, leaseMs: number): Promise<void> {
    await this.db.statement(
      `UPDATE idempotent_answer SET lease_until = ${this.db.nowSql(leaseMs)}
        WHERE id = ? AND epoch = ? AND lease_until IS NOT NULL`,
      [id, epoch],
    );
  }

  /**
   * Keeps the answer.
   *
   * @returns false when another request has taken the key over, or an account was deleted that it may tell of: nothing
   *   was changed
   */
  async keep({ id, appid, epoch }: HeldRequest, answer: string, expiresAt: Date): Promise<boolean> {
    const written = await this.db.statement(
      `UPDATE idempotent_answer SET answer = ?, epoch = epoch + 1, lease_until = NULL, expires_at = ?
        WHERE id = ? AND epoch = ?${appid === null ? ' AND appid IS NULL' : ''}`,
      [answer, toSqlTime(expiresAt), id, epoch],
    );
    return written === 1;
  }

  /** Forgets a request that was refused before anything was done. */
  async release({ id, epoch }: HeldRequest): Promise<void> {
    await this.db.statement('DELETE FROM idempotent_answer WHERE id = ? AND epoch = ?', [
      id,
      epoch,
    ]);
  }

  /**
   * Deletes some of what an account was asked for, answered or under way. A request that comes while the transaction is
   * open takes its key when it has ended: on MySQL it waits for the lock on the account's place in the index.
   *
   * @returns how many; none is left once it is less than `limit`
   */
  async eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    const rows = await tx.find(IdempotentAnswer, {
      select: { id: true },
      where: { appid },
      take: limit,
      ...this.db.currentRead(tx),
    });
    await this.erase(
      tx,
      rows.map(({ id }) => id),
    );
    return rows.length;
  }

  /** Those behind the id whose address names no account, in the order of their ids; others wait as above. */
  findOfNoAccount(tx: Tx, after: string, limit: number): Promise<IdempotentAnswer[]> {
    return tx.find(IdempotentAnswer, {
      where: { appid: IsNull(), id: MoreThan(after) },
      order: { id: 'ASC' },
      take: limit,
      ...this.db.currentRead(tx),
    });
  }

  async erase(tx: Tx, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await tx.delete(IdempotentAnswer, { id: In([...ids]) });
  }

  /** Has the answers of these requests, which are under way, not kept. */
  async assignTo(tx: Tx, appid: string, ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await tx.update(IdempotentAnswer, { id: In([...ids]) }, { appid });
  }

  /** Deletes what has had its time. @returns how many */
  async deleteExpired(now: Date, limit: number): Promise<number> {
    const rows = await this.db.read.find(IdempotentAnswer, {
      select: { id: true },
      where: { expiresAt: LessThanOrEqual(now) },
      order: { expiresAt: 'ASC' },
      take: limit,
    });
    // A key that was taken anew meanwhile has another time.
    if (rows.length > 0)
      await this.db.write((tx) =>
        tx.delete(IdempotentAnswer, {
          id: In(rows.map(({ id }) => id)),
          expiresAt: LessThanOrEqual(now),
        }),
      );
    return rows.length;
  }
}
