import { Injectable } from '@nestjs/common';
import { Brackets, IsNull } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { ComponentTicket } from './component-ticket.entity.js';

@Injectable()
export class ComponentTicketsRepository {
  constructor(private readonly db: Database) {}

  find(appid: string): Promise<ComponentTicket | null> {
    return this.db.read.findOneBy(ComponentTicket, { appid });
  }

  async insertEmpty(tx: Tx, appid: string): Promise<void> {
    const row: ComponentTicket = {
      appid,
      ticket: null,
      issuedAt: null,
      receivedAt: null,
      restartAttempts: 0,
      restartRequestedAt: null,
      lateReportedAt: null,
    };
    await tx.createQueryBuilder().insert().into(ComponentTicket).values(row).orIgnore().execute();
  }

  /** Of two from the same second the later arrival stays. @returns false when the kept one is newer */
  async replaceUnlessNewer(
    tx: Tx,
    appid: string,
    values: { ticket: string; issuedAt: Date; receivedAt: Date },
  ): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .update(ComponentTicket)
      .set({ ...values, restartAttempts: 0, restartRequestedAt: null, lateReportedAt: null })
      .where({ appid })
      .andWhere(
        new Brackets((where) =>
          where
            .where('issued_at IS NULL')
            .orWhere('issued_at <= :issuedAt', { issuedAt: values.issuedAt }),
        ),
      )
      .execute();
    return affected === 1;
  }

  /** Counts a request to push again. @returns false when another process has just made one */
  async claimRestart(tx: Tx, row: ComponentTicket, at: Date): Promise<boolean> {
    const { affected } = await tx.update(
      ComponentTicket,
      { appid: row.appid, restartAttempts: row.restartAttempts },
      { restartAttempts: row.restartAttempts + 1, restartRequestedAt: at },
    );
    return affected === 1;
  }

  /** Notes that this lateness has been told. @returns false when it had been */
  async claimLateReport(
    tx: Tx,
    { appid, receivedAt }: ComponentTicket,
    at: Date,
  ): Promise<boolean> {
    const { affected } = await tx.update(
      ComponentTicket,
      { appid, receivedAt: receivedAt ?? IsNull(), lateReportedAt: IsNull() },
      { lateReportedAt: at },
    );
    return affected === 1;
  }
}
