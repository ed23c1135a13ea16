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
  /** Whether the person has an answer already: inside the response to the push, or of a watcher that was told before. */
  isAnswered: boolean;
  /** What is noted of the answer inside the response. */
  answeredBy: string | null;
}

/**
 * Hears of what people do, once for each thing, in the transaction that notes it.
 *
 * @returns true when it has answered the person; nothing and false are the same
 */
export type PeopleWatcher = (tx: Tx, happening: Happening) => Promise<boolean | void>;

/** Who cares what people do: the rooms above register themselves. */
@Injectable()
export class PeopleWatchers {
  readonly #watchers: { watcher: PeopleWatcher; rank: number }[] = [];

  /** @param rank the lower ones are told first */
  register(watcher: PeopleWatcher, rank = 0): void {
    this.#watchers.push({ watcher, rank });
    this.#watchers.sort((one, other) => one.rank - other.rank);
  }

  async tell(tx: Tx, happening: Happening): Promise<void> {
    let { isAnswered } = happening;
    for (const { watcher } of this.#watchers)
      isAnswered = (await watcher(tx, { ...happening, isAnswered })) === true || isAnswered;
  }
}
