import { Injectable } from '@nestjs/common';

import { Database } from '../database/database.js';
import { ApiKey } from './api-key.entity.js';

@Injectable()
export class ApiKeysRepository {
  constructor(private readonly db: Database) {}

  findByHash(keyHash: string): Promise<ApiKey | null> {
    return this.db.read.findOneBy(ApiKey, { keyHash });
  }

  findByName(tenantId: string, name: string): Promise<ApiKey | null> {
    return this.db.read.findOneBy(ApiKey, { tenantId, name });
  }

  /** @returns whether this call inserted it; false when the name was there already */
  async insertOnce(key: ApiKey): Promise<boolean> {
    await this.db.write((tx) =>
      tx.createQueryBuilder().insert().into(ApiKey).values(key).orIgnore().execute(),
    );
    const kept = await this.findByName(key.tenantId, key.name);
    return kept?.id === key.id;
  }
}
