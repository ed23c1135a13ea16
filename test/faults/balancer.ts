import { setTimeout as sleep } from 'node:timers/promises';

import type { Process } from './stage.js';

const LOOK_EVERY_MS = 200;
/** One look alone may fail on a machine that is short of processors. */
const FAILED_LOOKS = 2;

/** Chooses processes as a load balancer does: by what each says of its readiness, asked five times a second. */
export class Balancer {
  readonly #failedLooks = new Map<Process, number>();
  readonly #watches: Promise<void>[] = [];

  /** @param processes ready ones */
  constructor(processes: readonly Process[]) {
    for (const process of processes) this.add(process);
  }

  /** Takes in a process that is ready, and looks at it until it has ended. */
  add(process: Process): void {
    this.#failedLooks.set(process, 0);
    this.#watches.push(this.#watch(process));
  }

  get ready(): Process[] {
    return [...this.#failedLooks].filter(([, n]) => n < FAILED_LOOKS).map(([process]) => process);
  }

  async stop(): Promise<void> {
    this.#failedLooks.clear();
    await Promise.all(this.#watches);
  }

  async #watch(process: Process): Promise<void> {
    for (;;) {
      await sleep(LOOK_EVERY_MS);
      const isReady = await process.isReady();
      const failed = this.#failedLooks.get(process);
      if (failed === undefined) return;
      if (process.program.child.exitCode !== null) {
        this.#failedLooks.delete(process);
        return;
      }
      this.#failedLooks.set(process, isReady ? 0 : failed + 1);
    }
  }
}
