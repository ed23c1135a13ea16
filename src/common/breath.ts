/** Work that takes longer than this lets others have their turn. */
const WORK_MS = 10;

/** For work that may take seconds, in a process that has others to answer within them. */
export class Breath {
  #since = performance.now();

  /** To be called often: lets others have their turn when it has been a while. */
  async take(): Promise<void> {
    if (performance.now() - this.#since < WORK_MS) return;
    await new Promise<void>((go) => setImmediate(go));
    this.#since = performance.now();
  }
}
