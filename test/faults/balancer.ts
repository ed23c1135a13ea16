import { setTimeout as sleep } from 'node:timers/promises';

import type { Process } from './stage.js';

const LOOK_EVERY_MS = 200;
const LOOK_WITHIN_MS = 3_000;
/** One look alone may get no answer on a machine that is short of processors. */
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
    return [...this.#failedLooks].filter(([, n]) => n < FAILED_LOOKS).map(([one]) => one);
  }

  async stop(): Promise<void> {
    this.#failedLooks.clear();
    await Promise.all(this.#watches);
  }

  async #watch(process: Process): Promise<void> {
    for (;;) {
      await sleep(LOOK_EVERY_MS);
      const status = await statusOf(process);
      const failed = this.#failedLooks.get(process);
      if (failed === undefined) return;
      if (process.program.child.exitCode !== null) {
        this.#failedLooks.delete(process);
        return;
      }
      // One that says itself that it is not ready gets nothing more.
      this.#failedLooks.set(
        process,
        { ready: 0, notReady: FAILED_LOOKS, silent: failed + 1 }[status],
      );
    }
  }
}

async function statusOf({ url }: Process): Promise<'ready' | 'notReady' | 'silent'> {
  const signal = AbortSignal.timeout(LOOK_WITHIN_MS);
  const answer = await fetch(`${url}/health/ready`, { signal }).catch(() => null);
  await answer?.body?.cancel();
  if (!answer) return 'silent';
  return answer.ok ? 'ready' : 'notReady';
}
