import { Injectable } from '@nestjs/common';

import { type Condition, CONDITIONS } from './scenes.js';

/** Tells which of the accounts fulfil a condition. */
export type ConditionSource = (appids: readonly string[]) => Promise<ReadonlySet<string>>;

/** Who knows of a condition that a scene stands on: the rooms above register themselves. One that nobody knows of is not fulfilled. */
@Injectable()
export class SceneConditions {
  readonly #sources = new Map<Condition, ConditionSource>();

  /** @throws TypeError when somebody knows of it already */
  register(condition: Condition, source: ConditionSource): void {
    if (this.#sources.has(condition)) throw new TypeError(`${condition} is registered already.`);
    this.#sources.set(condition, source);
  }

  /** What the accounts fulfil, by appid. */
  async find(appids: readonly string[]): Promise<Map<string, Set<Condition>>> {
    const fulfilled = new Map(appids.map((appid) => [appid, new Set<Condition>()]));
    if (appids.length === 0) return fulfilled;
    for (const condition of CONDITIONS) {
      const source = this.#sources.get(condition);
      for (const appid of (await source?.(appids)) ?? []) fulfilled.get(appid)?.add(condition);
    }
    return fulfilled;
  }
}
