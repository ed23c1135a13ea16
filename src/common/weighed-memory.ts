/** Remembers values up to a weight of all together. Those that have not been put here for the longest time go first. */
export class WeighedMemory<T> {
  readonly #values = new Map<string, { value: T; weight: number }>();
  #weight = 0;

  /** @param max of all weights together; the last value stays whatever it weighs */
  constructor(
    private readonly max: number,
    private readonly weigh: (value: T) => number,
  ) {}

  get(key: string): T | undefined {
    return this.#values.get(key)?.value;
  }

  /** Puts it in place of what was there, as the newest. One that has changed has to be put again, to be weighed. */
  put(key: string, value: T): void {
    this.#drop(key);
    const weight = this.weigh(value);
    this.#values.set(key, { value, weight });
    this.#weight += weight;
    for (const oldest of this.#values.keys()) {
      if (this.#weight <= this.max || oldest === key) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const known = this.#values.get(key);
    if (known && this.#values.delete(key)) this.#weight -= known.weight;
  }
}
