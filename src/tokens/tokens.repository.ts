import { Injectable } from '@nestjs/common';
import { Brackets, IsNull, LessThan, Not } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { TokenHistoryRow } from './token-history.entity.js';
import type { SealedTokens } from './token-vault.js';
import { type TokenKind, TokenRow, type TokenState } from './token.entity.js';

/** The right to refresh a token; void once its epoch, or the authorization's, has passed. */
export interface TokenLease {
  appid: string;
  leaseEpoch: number;
  authorizationEpoch: number;
}

/** How many access tokens of a kind are in a state. */
export interface TokenCount {
  kind: TokenKind;
  state: 'fresh' | 'expiring' | 'expired';
  count: number;
}

@Injectable()
export class TokensRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, on: Tx = this.db.read): Promise<TokenRow | null> {
    return on.findOneBy(TokenRow, { appid });
  }

  /** What is needed to hand the token out. Written out: it stands on the way of every call of WeChat. */
  async findAccess(
    appid: string,
  ): Promise<Pick<TokenRow, 'appid' | 'accessToken' | 'expiresAt' | 'updatedAt'> | null> {
    const [row] = await this.db.read.query<
      {
        access_token: string | null;
        expires_at: string | Date | null;
        updated_at: string | Date;
      }[]
    >('SELECT access_token, expires_at, updated_at FROM token WHERE appid = ?', [appid]);
    if (!row) return null;
    const expiresAt = row.expires_at === null ? null : this.db.toDate(row.expires_at);
    const updatedAt = this.db.toDate(row.updated_at);
    return { appid, accessToken: row.access_token, expiresAt, updatedAt };
  }

  findWithRefreshToken(appid?: string): Promise<TokenRow[]> {
    return this.db.read.findBy(TokenRow, {
      refreshToken: Not(IsNull()),
      ...(appid !== undefined && { appid }),
    });
  }

  /**
   * Tokens that end before `before` and may be tried now, the soonest first, behind the one that an earlier page
   * ended with. Those that were never fetched are fetched on demand.
   */
  findEnding(
    before: Date,
    now: Date,
    after: { expiresAt: Date; appid: string } | null,
    limit: number,
  ): Promise<TokenRow[]> {
    const query = this.db.read
      .createQueryBuilder(TokenRow, 'token')
      .where({ expiresAt: LessThan(before), accessToken: Not(IsNull()) })
      .andWhere({ state: Not('reauthorization_required') })
      .andWhere(
        new Brackets((where) =>
          where.where('token.nextTryAt IS NULL').orWhere('token.nextTryAt <= :now', { now }),
        ),
      );
    if (after)
      query.andWhere(
        new Brackets((where) =>
          where
            .where('token.expiresAt > :at', { at: after.expiresAt })
            .orWhere('token.expiresAt = :at AND token.appid > :appid', {
              at: after.expiresAt,
              appid: after.appid,
            }),
        ),
      );
    return query
      .orderBy('token.expiresAt', 'ASC')
      .addOrderBy('token.appid', 'ASC')
      .take(limit)
      .getMany();
  }

  async countByState(now: Date, soon: Date): Promise<TokenCount[]> {
    const age = `CASE WHEN token.expiresAt <= :now THEN 'expired' WHEN token.expiresAt <= :soon THEN 'expiring' ELSE 'fresh' END`;
    const rows = await this.db.read
      .createQueryBuilder(TokenRow, 'token')
      .select('token.kind', 'kind')
      .addSelect(age, 'age')
      .addSelect('COUNT(*)', 'count')
      .where('token.accessToken IS NOT NULL')
      .setParameters({ now, soon })
      .groupBy('token.kind')
      .addGroupBy('age')
      .getRawMany<{ kind: TokenKind; age: TokenCount['state']; count: string | number }>();
    return rows.map(({ kind, age: state, count }) => ({ kind, state, count: Number(count) }));
  }

  /** Adds it, unless it is there; locks it either way: many that only share it would wait for each other. */
  async insertEmpty(tx: Tx, appid: string, kind: TokenKind, at: Date): Promise<void> {
    const row: TokenRow = {
      appid,
      kind,
      accessToken: null,
      refreshToken: null,
      expiresAt: null,
      version: 0,
      authorizationEpoch: 0,
      leaseEpoch: 0,
      leaseUntil: null,
      state: 'ok',
      failCount: 0,
      nextTryAt: null,
      updatedAt: at,
    };
    const insert = tx.createQueryBuilder().insert().into(TokenRow).values(row);
    await insert.orUpdate(['appid'], ['appid']).execute();
  }

  /** Takes the right to refresh the row as it was read, by compare-and-set. @returns null when another process has it */
  async takeLease(row: TokenRow, leaseMs: number): Promise<TokenLease | null> {
    const { appid, version, leaseEpoch, authorizationEpoch } = row;
    const affected = await this.db.statement(
      `UPDATE token SET lease_epoch = lease_epoch + 1, lease_until = ${this.db.nowSql(leaseMs)}
        WHERE appid = ? AND version = ? AND lease_epoch = ? AND authorization_epoch = ?
          AND (lease_until IS NULL OR lease_until <= ${this.db.nowSql()})`,
      [appid, version, leaseEpoch, authorizationEpoch],
    );
    return affected === 1 ? { appid, leaseEpoch: leaseEpoch + 1, authorizationEpoch } : null;
  }

  async renewLease({ appid, leaseEpoch }: TokenLease, leaseMs: number): Promise<void> {
    await this.db.statement(
      `UPDATE token SET lease_until = ${this.db.nowSql(leaseMs)}
        WHERE appid = ? AND lease_epoch = ? AND lease_until IS NOT NULL`,
      [appid, leaseEpoch],
    );
  }

  /** Keeps what a refresh brought. @returns false when the lease or the authorization has passed: nothing was changed */
  async keep(tx: Tx, lease: TokenLease, tokens: SealedTokens, at: Date): Promise<boolean> {
    return this.#endLease(tx, lease, {
      ...tokens,
      state: 'ok',
      failCount: 0,
      nextTryAt: null,
      updatedAt: at,
      version: () => 'version + 1',
    });
  }

  /** Notes that a refresh failed. @returns false as {@link keep} */
  fail(
    tx: Tx,
    lease: TokenLease,
    outcome: { state: TokenState; failCount: number; nextTryAt: Date | null },
  ): Promise<boolean> {
    return this.#endLease(tx, lease, outcome);
  }

  /** Puts what an authorization or its end brings over whatever is there, and voids a refresh that is under way. */
  async replace(tx: Tx, appid: string, tokens: SealedTokens, at: Date): Promise<void> {
    await tx
      .createQueryBuilder()
      .update(TokenRow)
      .set({
        ...tokens,
        state: 'ok',
        failCount: 0,
        nextTryAt: null,
        updatedAt: at,
        leaseUntil: null,
        version: () => 'version + 1',
        leaseEpoch: () => 'lease_epoch + 1',
        authorizationEpoch: () => 'authorization_epoch + 1',
      })
      .where({ appid })
      .execute();
  }

  /** Takes a refresh token from WeChat's list, while the row is as it was read. @returns false when it is not */
  async replaceRefreshToken(
    tx: Tx,
    appid: string,
    version: number,
    refreshToken: string | null,
    at: Date,
  ): Promise<boolean> {
    const { affected } = await tx.update(
      TokenRow,
      { appid, version },
      {
        refreshToken,
        accessToken: null,
        expiresAt: null,
        state: 'ok',
        failCount: 0,
        nextTryAt: null,
        version: version + 1,
        updatedAt: at,
      },
    );
    return affected === 1;
  }

  /** Drops an access token that WeChat called stale, while it is still that one. @returns false when it is not */
  async dropAccessToken({ appid, version }: TokenRow, at: Date): Promise<boolean> {
    const affected = await this.db.statement(
      `UPDATE token SET access_token = NULL, expires_at = NULL, version = version + 1, updated_at = ?
        WHERE appid = ? AND version = ?`,
      [toSqlTime(at), appid, version],
    );
    return affected === 1;
  }

  /** Remembers a refresh token; one that is known is left as it is. */
  async remember(tx: Tx, row: TokenHistoryRow): Promise<void> {
    await tx.createQueryBuilder().insert().into(TokenHistoryRow).values(row).orIgnore().execute();
  }

  /** The refresh tokens that came last, the newest first. */
  findHistory(appid: string, limit: number): Promise<TokenHistoryRow[]> {
    return this.db.read.find(TokenHistoryRow, {
      where: { appid },
      order: { id: 'DESC' },
      take: limit,
    });
  }

  /** Forgets the appid. @returns how many rows went */
  async erase(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(TokenRow, { appid })).affected ?? 0;
  }

  eraseHistory(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, TokenHistoryRow, { appid }, limit);
  }

  async #endLease(
    tx: Tx,
    { appid, leaseEpoch, authorizationEpoch }: TokenLease,
    values: object,
  ): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .update(TokenRow)
      .set({ ...values, leaseUntil: null })
      .where({ appid, leaseEpoch, authorizationEpoch })
      .execute();
    return affected === 1;
  }
}
