import { Injectable } from '@nestjs/common';
import { IsNull, LessThan, Not } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { type TokenKind, TokenRow } from './token.entity.js';

/** How many access tokens of a kind are in a state. */
export interface TokenCount {
  kind: TokenKind;
  state: 'fresh' | 'expiring' | 'expired';
  count: number;
}

@Injectable()
export class TokensRepository {
  constructor(private readonly db: Database) {}

  find(appid: string): Promise<TokenRow | null> {
    return this.db.read.findOneBy(TokenRow, { appid });
  }

  findWithRefreshToken(): Promise<TokenRow[]> {
    return this.db.read.findBy(TokenRow, { refreshToken: Not(IsNull()) });
  }

  /** Tokens that end before `moment`, the soonest first. Those that were never fetched are fetched on demand. */
  async findEndingBefore(moment: Date, limit: number): Promise<string[]> {
    const rows = await this.db.read.find(TokenRow, {
      select: { appid: true },
      where: { expiresAt: LessThan(moment), accessToken: Not(IsNull()) },
      order: { expiresAt: 'ASC' },
      take: limit,
    });
    return rows.map(({ appid }) => appid);
  }

  async countByState(now: Date, soon: Date): Promise<TokenCount[]> {
    const state = `CASE WHEN token.expiresAt <= :now THEN 'expired' WHEN token.expiresAt <= :soon THEN 'expiring' ELSE 'fresh' END`;
    const rows = await this.db.read
      .createQueryBuilder(TokenRow, 'token')
      .select('token.kind', 'kind')
      .addSelect(state, 'state')
      .addSelect('COUNT(*)', 'count')
      .where('token.accessToken IS NOT NULL')
      .setParameters({ now, soon })
      .groupBy('token.kind')
      .addGroupBy('state')
      .getRawMany<{ kind: TokenKind; state: TokenCount['state']; count: string | number }>();
    return rows.map((row) => ({ ...row, count: Number(row.count) }));
  }

  async insertEmpty(tx: Tx, appid: string, kind: TokenKind, at: Date): Promise<void> {
    const row: TokenRow = {
      appid,
      kind,
      accessToken: null,
      refreshToken: null,
      expiresAt: null,
      version: 0,
      updatedAt: at,
    };
    await tx.createQueryBuilder().insert().into(TokenRow).values(row).orIgnore().execute();
  }

  /**
   * @param expected the version that was read; null overwrites whatever is there
   * @returns false when the row has moved on since, and nothing was changed
   */
  async update(
    tx: Tx,
    appid: string,
    expected: number | null,
    values: Partial<Pick<TokenRow, 'accessToken' | 'refreshToken' | 'expiresAt'>> & {
      updatedAt: Date;
    },
  ): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .update(TokenRow)
      .set({ ...values, version: () => 'version + 1' })
      .where({ appid, ...(expected !== null && { version: expected }) })
      .execute();
    return affected === 1;
  }
}
