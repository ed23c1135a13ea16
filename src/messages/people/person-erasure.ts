import { Injectable } from '@nestjs/common';

import { AuditService } from '../../access/audit.service.js';
import type { Caller } from '../../access/roles.js';
import { AccountDeletion } from '../../accounts/account-deletion.service.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { Database } from '../../database/database.js';

/** Removes all that is about one person of an account, at an admin's word. */
@Injectable()
export class PersonErasure {
  constructor(
    private readonly db: Database,
    private readonly accounts: AccountsService,
    private readonly deletion: AccountDeletion,
    private readonly audit: AuditService,
  ) {}

  /**
   * One that fails on the way can be done again. The audit row is written before: it says that somebody was erased, and
   * not who.
   *
   * @throws AppError `not_found`
   */
  async erase(caller: Caller, appid: string, openid: string): Promise<void> {
    const { tenantId } = await this.accounts.get(caller, appid);
    await this.db.write((tx) =>
      this.audit.record(tx, { actor: caller, action: 'person.erased', target: appid, tenantId }),
    );
    await this.deletion.erasePerson(appid, openid);
  }
}
