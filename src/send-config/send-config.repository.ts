import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { Database, type Tx } from '../database/database.js';
import { SendConfig } from './send-config.entity.js';

/** What a fetch has shown about the configuration that it was made with. */
export type SendConfigNote = Partial<
  Pick<SendConfig, 'verifiedAt' | 'verifiedFailure' | 'succeededAt' | 'failedAt' | 'failure'>
>;

@Injectable()
export class SendConfigRepository {
  constructor(private readonly db: Database) {}

  find(appid: string, tx?: Tx): Promise<SendConfig | null> {
    return (tx ?? this.db.read).findOne(SendConfig, {
      where: { appid },
      ...this.db.currentRead(tx),
    });
  }

  findByUrl(
    tenantId: string,
    urlDigest: string,
    on: Tx = this.db.read,
  ): Promise<SendConfig | null> {
    return on.findOneBy(SendConfig, { tenantId, urlDigest });
  }

  async findAppids(appids: readonly string[]): Promise<string[]> {
    const rows = await this.db.read.find(SendConfig, {
      select: { appid: true },
      where: { appid: In(appids) },
    });
    return rows.map(({ appid }) => appid);
  }

  /**
   * Puts the row in place of the account's former one.
   *
   * @param before as it was when the new one was made of it; null when there was none
   * @returns `changed` when it is no longer that one, `url_in_use` when another account of the tenant has the URL
   */
  async replace(
    tx: Tx,
    row: SendConfig,
    before: SendConfig | null,
  ): Promise<'replaced' | 'changed' | 'url_in_use'> {
    const { appid, settings } = row;
    if (before) {
      const { affected } = await tx.delete(SendConfig, { appid, revision: before.revision });
      if (affected !== 1) return 'changed';
    }
    await tx.createQueryBuilder().insert().into(SendConfig).values(row).orIgnore().execute();
    const present = await this.find(appid, tx);
    if (present?.settings === settings) return 'replaced';
    return present ? 'changed' : 'url_in_use';
  }

  /** Takes the URL from an account that another tenant holds by now. */
  async giveUpUrl(tx: Tx, appid: string): Promise<void> {
    await tx.update(SendConfig, { appid }, { urlDigest: null });
  }

  /** Notes what came of a fetch, while the configuration is still that one. @returns false when it is not */
  async note(
    tx: Tx,
    { appid, revision }: Pick<SendConfig, 'appid' | 'revision'>,
    note: SendConfigNote,
  ): Promise<boolean> {
    const { affected } = await tx
      .createQueryBuilder()
      .update(SendConfig)
      .set(note)
      .where({ appid, revision })
      .execute();
    return affected === 1;
  }

  /** Forgets the account, which has one row at the most. @returns how many went */
  async eraseAll(tx: Tx, appid: string): Promise<number> {
    return (await tx.delete(SendConfig, { appid })).affected ?? 0;
  }
}
