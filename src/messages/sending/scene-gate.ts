import { Injectable } from '@nestjs/common';

import type { Account } from '../../accounts/account.entity.js';
import { AccountScenes } from '../../accounts/account-scenes.js';
import type { SceneState } from '../../accounts/scenes.js';
import { AppError } from '../../common/app-error.js';
import type { MessageKindName } from '../kinds/message-kind.js';

/** Whether an account can send a kind at all, whoever the receiver is. */
@Injectable()
export class SceneGate {
  constructor(private readonly scenes: AccountScenes) {}

  /**
   * A quota that is used up stands in nobody's way here: it comes back, and is told with the delivery.
   *
   * @returns the state of the kind's scene
   * @throws AppError `kind_not_supported`, `account_disabled`, `send_config_missing`, `scene_not_available` with the reasons
   */
  async pass(account: Account, kind: MessageKindName): Promise<SceneState> {
    const state = await this.scenes.stateOf(account, kind);
    const lasting = state.reasons.filter(({ code }) => code !== 'quota_exhausted');
    const codes = lasting.map(({ code }) => code);
    if (codes.includes('kind_not_supported')) throw new AppError('kind_not_supported');
    if (codes.includes('account_disabled')) throw new AppError('account_disabled');
    if (codes.length === 1 && codes[0] === 'send_config_missing')
      throw new AppError('send_config_missing');
    if (codes.length > 0)
      throw new AppError(
        'scene_not_available',
        lasting.map(({ code, detail }) => ({ field: 'kind', code, detail })),
      );
    return state;
  }
}
