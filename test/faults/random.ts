export interface Random {
  /** Prints the run: the same seed gives the same numbers. */
  readonly seed: string;
  /** A number in [0, 1). */
  next(): number;
  /** A whole number, both ends included. */
  int(min: number, max: number): number;
  pick<T>(array: readonly T[]): T;
}

/**
 * Random numbers that can be had again: sfc32 (Chris Doty-Humphrey, PractRand), its state filled from the text of
 * the seed by MurmurHash3. Not for secrets.
 *
 * @param seed without one, the run makes its own; print it, or a failure cannot be repeated
 */
export function seededRandom(seed: string = makeSeed()): Random {
  const next = sfc32(hashes(seed));
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    seed,
    next,
    int,
    pick: <T>(array: readonly T[]): T => {
      if (array.length === 0) throw new RangeError('There is nothing to pick from.');
      return array[int(0, array.length - 1)] as T;
    },
  };
}

function makeSeed(): string {
  return Math.random().toString(36).slice(2, 12);
}

/** MurmurHash3's mixing over the text, giving one 32-bit number after the other. */
function hashes(text: string): () => number {
  let hash = 1779033703 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 3432918353);
    hash = (hash << 13) | (hash >>> 19);
  }
  return () => {
    hash = Math.imul(hash ^ (hash >>> 16), 2246822507);
    hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
    hash ^= hash >>> 16;
    return hash >>> 0;
  };
}

function sfc32(fill: () => number): () => number {
  let [a, b, c] = [fill() | 0, fill() | 0, fill() | 0];
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // The first numbers of similar seeds are similar: its author drops a dozen.
  for (let i = 0; i < 12; i++) next();
  return next;
}
