import { setTimeout as pause } from 'node:timers/promises';

import { Injectable } from '@nestjs/common';

/** How fast tokens are refreshed ahead: WeChat must not be stormed when many end together. */
@Injectable()
export class RefreshPace {
  readonly concurrency: number = 16;
  readonly perSecond: number = 50;
  #next = 0;

  /** Resolves when the next refresh may begin. */
  async turn(): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + 1000 / this.perSecond;
    if (at > now) await pause(at - now);
  }
}
