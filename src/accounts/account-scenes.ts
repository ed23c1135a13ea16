import { Injectable } from '@nestjs/common';

import type { Account } from './account.entity.js';
import { QuotaPauses } from './quota/quota-pauses.js';
import { SceneConditions } from './scene-conditions.js';
import { type Scene, type SceneFacts, sceneOf, type SceneState, scenesOf } from './scenes.js';

const NOTHING: SceneFacts = { conditions: new Set(), paused: new Map() };

/** What accounts can do now: their rows, with what other tables and rooms know of them. */
@Injectable()
export class AccountScenes {
  constructor(
    private readonly pauses: QuotaPauses,
    private readonly conditions: SceneConditions,
  ) {}

  async stateOf(account: Account, scene: Scene): Promise<SceneState> {
    const [facts] = await this.#findFacts([account]);
    return sceneOf(account, scene, facts ?? NOTHING);
  }

  /** Every scene of each account, in their order; a handful of queries however many they are. */
  async findAll(accounts: readonly Account[]): Promise<SceneState[][]> {
    const facts = await this.#findFacts(accounts);
    return accounts.map((account, n) => scenesOf(account, facts[n] ?? NOTHING));
  }

  async #findFacts(accounts: readonly Account[]): Promise<SceneFacts[]> {
    const appids = accounts.map(({ appid }) => appid);
    // Only of mini-programs anything is configured.
    const miniPrograms = accounts.filter(({ accountType }) => accountType === 'mini_program');
    const [paused, conditions] = await Promise.all([
      this.pauses.find(appids),
      this.conditions.find(miniPrograms.map(({ appid }) => appid)),
    ]);
    return appids.map((appid) => ({
      conditions: conditions.get(appid) ?? NOTHING.conditions,
      paused: paused.get(appid) ?? NOTHING.paused,
    }));
  }
}
