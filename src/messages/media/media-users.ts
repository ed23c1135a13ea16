import { Injectable } from '@nestjs/common';

import type { FieldError } from '../../common/app-error.js';
import type { Tx } from '../../database/database.js';

/** Names what answers with a medium. @returns an error for each, with what it is called; some of many will do */
export type MediaUser = (tx: Tx, appid: string, mediaId: string) => Promise<FieldError[]>;

/** What cannot do without a medium: the rooms above register themselves. */
@Injectable()
export class MediaUsers {
  readonly #users: MediaUser[] = [];

  register(user: MediaUser): void {
    this.#users.push(user);
  }

  async find(tx: Tx, appid: string, mediaId: string): Promise<FieldError[]> {
    const found: FieldError[] = [];
    for (const user of this.#users) found.push(...(await user(tx, appid, mediaId)));
    return found;
  }
}
