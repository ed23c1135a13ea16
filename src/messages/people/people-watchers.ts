import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import type { Tx } from '../../database/database.js';
import type { AccountPush } from '../../pushes/push-handlers.js';
import type { Interaction } from './ledger.js';

/** Something a person did, as it was taken in. */
export interface Happening {
  /** Of the push's row: the same however often it is handled. */
  id: string;
  account: Account;
  push: AccountPush;
  interaction: Interaction;
  /** Who follows now has been a follower before. */
  isReturning: boolean;
}

/** Hears of what people do, once for each thing, in the transaction that notes it. */
export type PeopleWatcher = (tx: Tx, happening: Happening) => Promise<void>;

/** Who cares what people do: the rooms above register themselves. */
@Injectable()
export class PeopleWatchers {
  readonly #watchers: PeopleWatcher[] = [];

  register(watcher: PeopleWatcher): void {
    this.#watchers.push(watcher);
  }

  async tell(tx: Tx, happening: Happening): Promise<void> {
    for (const watcher of this.#watchers) await watcher(tx, happening);
  }
}
