import { Injectable } from '@nestjs/common';
import { IsNull, MoreThan } from 'typeorm';

import type { Position } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { newestFirst } from '../database/newest-first.js';
import { ApiKey } from './api-key.entity.js';

@Injectable()
export class ApiKeysRepository {
  constructor(private readonly db: Database) {}

  find(id: string, on: Tx = this.db.read): Promise<ApiKey | null> {
    return on.findOneBy(ApiKey, { id });
  }

  findByHash(keyHash: string): Promise<ApiKey | null> {
    return this.db.read.findOneBy(ApiKey, { keyHash });
  }

  /** The digests of all keys there are. */
  async findHashes(): Promise<Set<string>> {
    const rows = await this.db.read
      .createQueryBuilder(ApiKey, 'key')
      .select('key.keyHash', 'hash')
      .getRawMany<{ hash: string }>();
    return new Set(rows.map(({ hash }) => hash));
  }

  /** Whether there is an owner's key that opens anything. */
  hasOwner(now: Date): Promise<boolean> {
    return this.db.read.existsBy(ApiKey, [
      { role: 'owner', expiresAt: IsNull() },
      { role: 'owner', expiresAt: MoreThan(now) },
    ]);
  }

  /**
   * The newest first; one more than `limit`, to tell whether another page follows.
   *
   * @param tenantId null for every tenant's
   */
  findPage(tenantId: string | null, limit: number, after: Position | null): Promise<ApiKey[]> {
    const query = this.db.read.createQueryBuilder(ApiKey, 'key');
    if (tenantId !== null) query.andWhere({ tenantId });
    return newestFirst(query, limit, after, { time: 'createdAt', id: 'id' });
  }

  /** @returns whether this call inserted it; false when the name was there already */
  async insertOnce(tx: Tx, key: ApiKey): Promise<boolean> {
    await tx.createQueryBuilder().insert().into(ApiKey).values(key).orIgnore().execute();
    return tx.existsBy(ApiKey, { id: key.id });
  }

  /** @returns whether it was there */
  async delete(tx: Tx, id: string): Promise<boolean> {
    const { affected } = await tx.delete(ApiKey, { id });
    return affected === 1;
  }

  /** @param unlessSince leaves alone what another process has written down since then */
  async recordUses(ids: readonly string[], usedAt: Date, unlessSince: Date): Promise<void> {
    await this.db.write((tx) =>
      tx
        .createQueryBuilder()
        .update(ApiKey)
        .set({ lastUsedAt: usedAt })
        .where('id IN (:...ids)', { ids })
        .andWhere('(last_used_at IS NULL OR last_used_at <= :unlessSince)', { unlessSince })
        .execute(),
    );
  }
}
