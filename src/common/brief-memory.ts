import { inTime } from './in-time.js';

/** How long what was read serves without another look: as late as this a change is noticed. */
const FRESH_MS = 1_000;
/** A slow database must not delay everything: after this long, what was read last serves once more… */
const LOOK_UP_MS = 300;
/** …unless it is older than this. */
const STALE_MS = 60_000;
const MAX_REMEMBERED = 100_000;

interface Remembered<T> {
  value: T;
  at: number;
}

/** Remembers for a moment what is looked up for every push. */
export class BriefMemory<T> {
  readonly #remembered = new Map<string, Remembered<T>>();
  readonly #lookUps = new Map<string, Promise<T>>();

  /** @param lookUp reads what belongs to a key; one look at a time for each */
  constructor(private readonly lookUp: (key: string) => Promise<T>) {}

  /** What was read a moment ago, without waiting; undefined when it has to be looked up. */
  peek(key: string): T | undefined {
    const known = this.#remembered.get(key);
    return known && performance.now() - known.at < FRESH_MS ? known.value : undefined;
  }

  async find(key: string): Promise<T> {
    const fresh = this.peek(key);
    if (fresh !== undefined) return fresh;
    const known = this.#remembered.get(key);
    const age = known ? performance.now() - known.at : Infinity;
    const lookUp = this.#lookUps.get(key) ?? this.#look(key);
    if (!known || age > STALE_MS) return lookUp;
    return inTime(lookUp, LOOK_UP_MS, () => new Error('slow')).catch(() => known.value);
  }

  /** Has the next one look anew: somebody here knows that it is different now. */
  forget(key: string): void {
    this.#remembered.delete(key);
    this.#lookUps.delete(key);
  }

  #look(key: string): Promise<T> {
    const lookUp: Promise<T> = this.lookUp(key)
      .then((value) => {
        // Unless it was forgotten meanwhile: then what has been read may be what was before.
        if (this.#lookUps.get(key) === lookUp) this.#remember(key, value);
        return value;
      })
      .finally(() => {
        if (this.#lookUps.get(key) === lookUp) this.#lookUps.delete(key);
      });
    this.#lookUps.set(key, lookUp);
    return lookUp;
  }

  #remember(key: string, value: T): void {
    // At the end again: what is asked for all the time is the last that is forgotten.
    this.#remembered.delete(key);
    this.#remembered.set(key, { value, at: performance.now() });
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > MAX_REMEMBERED && oldest !== undefined)
      this.#remembered.delete(oldest);
  }
}
