import { Injectable } from '@nestjs/common';
import { IsNull, MoreThan, MoreThanOrEqual, Not } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { deletePage } from '../database/delete-page.js';
import { Authorization } from './authorization.entity.js';

@Injectable()
export class AuthorizationsRepository {
  constructor(private readonly db: Database) {}

  find(id: string): Promise<Authorization | null> {
    return this.db.read.findOneBy(Authorization, { id });
  }

  findByState(stateHash: string): Promise<Authorization | null> {
    return this.db.read.findOneBy(Authorization, { stateHash });
  }

  findByPreAuthCode(preAuthCodeHash: string): Promise<Authorization | null> {
    return this.db.read.findOneBy(Authorization, { preAuthCodeHash });
  }

  /** Whether another tenant has an authorization that may be going on right now. */
  isAnotherTenantAsking(tenantId: string, now: Date): Promise<boolean> {
    return this.db.read.existsBy(Authorization, {
      tenantId: Not(tenantId),
      status: 'pending',
      expiresAt: MoreThan(now),
    });
  }

  /** The accounts that other authorizations have ended with since `moment`. */
  async findAppidsFinishedSince(moment: Date, exceptId: string): Promise<Set<string>> {
    const rows = await this.db.read.findBy(Authorization, {
      id: Not(exceptId),
      appid: Not(IsNull()),
      finishedAt: MoreThanOrEqual(moment),
    });
    return new Set(rows.flatMap(({ appid }) => appid ?? []));
  }

  /** Whether it has ended with this account, whatever came of it. */
  isEndedWith(tx: Tx, id: string, appid: string): Promise<boolean> {
    return tx.existsBy(Authorization, { id, appid });
  }

  /** Deletes those that were for the account, or led to it. @returns how many */
  eraseAccount(tx: Tx, appid: string, limit: number): Promise<number> {
    return deletePage(tx, Authorization, [{ appid }, { onlyAppid: appid }], limit);
  }

  async insert(tx: Tx, row: Authorization): Promise<void> {
    await tx.insert(Authorization, row);
  }

  /**
   * Binds the state to the code that the redirect brought.
   *
   * @returns false when it is bound to another code
   */
  async bindCode(id: string, authCodeHash: string): Promise<boolean> {
    await this.db.write((tx) =>
      tx.update(Authorization, { id, authCodeHash: IsNull() }, { authCodeHash }),
    );
    const row = await this.find(id);
    return row?.authCodeHash === authCodeHash;
  }

  async markAnswerLost(id: string, answerLostAt: Date): Promise<void> {
    await this.db.write((tx) => tx.update(Authorization, { id }, { answerLostAt }));
  }

  /** A completed authorization stays completed. @returns false when it was */
  async finish(
    tx: Tx,
    id: string,
    values: Pick<
      Authorization,
      'status' | 'appid' | 'failureCode' | 'failureErrcode' | 'finishedAt'
    > &
      Partial<Pick<Authorization, 'gainedPermissionIds' | 'lostPermissionIds'>>,
  ): Promise<boolean> {
    const { affected } = await tx.update(Authorization, { id, status: Not('completed') }, values);
    return affected === 1;
  }

  /** @returns false when it had ended already */
  async fail(
    tx: Tx,
    id: string,
    values: Pick<Authorization, 'failureCode' | 'failureErrcode' | 'finishedAt'>,
  ): Promise<boolean> {
    const { affected } = await tx.update(
      Authorization,
      { id, status: 'pending' },
      { ...values, status: 'failed' },
    );
    return affected === 1;
  }
}
