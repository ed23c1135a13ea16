import type { PushRefusal } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { In, IsNull, Not } from 'typeorm';

import { Database, toSqlTime, type Tx } from '../database/database.js';
import { ReceiptConfig } from './receipt-config.entity.js';

/** What has come to an address since it was last written down. */
export interface ReceiptNote {
  handshakeVerifiedAt: Date | null;
  lastReceivedAt: Date | null;
  rejection: { at: Date; reason: PushRefusal } | null;
}

@Injectable()
export class ReceiptConfigsRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, on: Tx = this.db.read): Promise<ReceiptConfig | null> {
    return on.findOneBy(ReceiptConfig, { appid });
  }

  findByKey(receiptKey: string): Promise<ReceiptConfig | null> {
    return this.db.read.findOneBy(ReceiptConfig, { receiptKey });
  }

  /** Reads it as it is now, and keeps others from changing it until the transaction ends. */
  findForUpdate(tx: Tx, appid: string): Promise<ReceiptConfig | null> {
    if (this.db.isSqlite) return this.find(appid, tx);
    return tx.findOne(ReceiptConfig, { where: { appid }, lock: { mode: 'pessimistic_write' } });
  }

  async insertOnce(tx: Tx, config: ReceiptConfig): Promise<void> {
    await tx.createQueryBuilder().insert().into(ReceiptConfig).values(config).orIgnore().execute();
  }

  async update(
    tx: Tx,
    appid: string,
    values: Partial<Omit<ReceiptConfig, 'appid' | 'receiptKey'>>,
  ): Promise<void> {
    await tx.update(ReceiptConfig, { appid }, values);
  }

  /** Deletes the configuration, and with it the address. @returns how many rows went */
  async erase(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(ReceiptConfig, { appid })).affected ?? 0;
  }

  /** Which of the accounts have a configuration that was saved. */
  async findSaved(appids: readonly string[]): Promise<string[]> {
    const rows = await this.db.read.find(ReceiptConfig, {
      select: { appid: true },
      where: { appid: In([...appids]), token: Not(IsNull()) },
    });
    return rows.map(({ appid }) => appid);
  }

  /** What another process has seen later stays. */
  async writeNotes(notes: ReadonlyMap<string, ReceiptNote>): Promise<void> {
    await this.db.write(async (tx) => {
      for (const [appid, { handshakeVerifiedAt, lastReceivedAt, rejection }] of notes) {
        if (handshakeVerifiedAt)
          await this.#note(tx, appid, 'handshake_verified_at', handshakeVerifiedAt);
        if (lastReceivedAt) await this.#note(tx, appid, 'last_received_at', lastReceivedAt);
        if (rejection) await this.#note(tx, appid, 'rejected_at', rejection.at, rejection.reason);
      }
    });
  }

  async #note(tx: Tx, appid: string, column: string, at: Date, reason?: string): Promise<void> {
    const time = toSqlTime(at);
    const [also, ...values] = reason ? ['rejection_reason = ?, ', reason] : [''];
    await tx.query(
      `UPDATE receipt_config SET ${also}${column} = ? WHERE appid = ? AND (${column} IS NULL OR ${column} <= ?)`,
      [...values, time, appid, time],
    );
  }
}
