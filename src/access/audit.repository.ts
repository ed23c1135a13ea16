import { Injectable } from '@nestjs/common';

import type { Tx } from '../database/database.js';
import { AuditEntry } from './audit-entry.entity.js';

@Injectable()
export class AuditRepository {
  async insert(tx: Tx, entry: AuditEntry): Promise<void> {
    await tx.insert(AuditEntry, entry);
  }
}
