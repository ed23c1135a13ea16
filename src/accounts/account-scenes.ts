import { Injectable } from '@nestjs/common';

import type { Account } from './account.entity.js';
import { QuotaPauses } from './quota/quota-pauses.js';
import { SceneConditions } from './scene-conditions.js';
import { type Scene, type SceneState, scenesOf } from './scenes.js';

/** What accounts can do now: their rows, with what other tables and rooms know of them. */
@Injectable()
export class AccountScenes {
  constructor(
    private readonly pauses: QuotaPauses,
    private readonly conditions: SceneConditions,
  ) {}

  async stateOf(account: Account, scene: Scene): Promise<SceneState> {
    const [states = []] = await this.findAll([account]);
    const state = states.find((one) => one.scene === scene);
    if (!state) throw new TypeError('Every account has a state for every scene.');
    return state;
  }

  /** Every scene of each account, in their order; a handful of queries however many they are. */
  async findAll(accounts: readonly Account[]): Promise<SceneState[][]> {
    const appids = accounts.map(({ appid }) => appid);
    // Only of mini-programs anything is configured.
    const miniPrograms = accounts.filter(({ accountType }) => accountType === 'mini_program');
    const [paused, conditions] = await Promise.all([
      this.pauses.find(appids),
      this.conditions.find(miniPrograms.map(({ appid }) => appid)),
    ]);
    return accounts.map((account) =>
      scenesOf(account, {
        conditions: conditions.get(account.appid) ?? new Set(),
        paused: paused.get(account.appid) ?? new Map(),
      }),
    );
  }
}
