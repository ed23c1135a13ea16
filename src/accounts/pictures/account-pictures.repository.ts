import { Injectable } from '@nestjs/common';
import { In } from 'typeorm';

import { Database, type Tx } from '../../database/database.js';
import { AccountPicture, type PictureKind } from './account-picture.entity.js';

/** A picture without its content. */
export type PictureRef = Pick<AccountPicture, 'id' | 'appid' | 'kind' | 'sourceUrl'>;

@Injectable()
export class AccountPicturesRepository {
  constructor(private readonly db: Database) {}

  find(id: string): Promise<AccountPicture | null> {
    return this.db.read.findOneBy(AccountPicture, { id });
  }

  findRefs(appids: readonly string[], on: Tx = this.db.read): Promise<PictureRef[]> {
    if (appids.length === 0) return Promise.resolve([]);
    return on.find(AccountPicture, {
      select: { id: true, appid: true, kind: true, sourceUrl: true },
      where: { appid: In([...appids]) },
    });
  }

  async replace(tx: Tx, row: AccountPicture): Promise<void> {
    await this.remove(tx, row.appid, row.kind);
    await tx.insert(AccountPicture, row);
  }

  async remove(tx: Tx, appid: string, kind?: PictureKind): Promise<number> {
    const { affected } = await tx.delete(AccountPicture, { appid, ...(kind && { kind }) });
    return affected ?? 0;
  }
}
