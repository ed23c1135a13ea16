import { Injectable } from '@nestjs/common';

import type { ApiKey } from './api-key.entity.js';
import { ApiKeysRepository } from './api-keys.repository.js';

/**
 * A deleted key opens nothing from the moment of its deletion in the process that deleted it, and within five seconds
 * in every other: these three, and the time of a look-up that was under way.
 */
const FRESH_MS = 3_000;

interface Remembered {
  kept: Map<string, { row: ApiKey; readAt: number }>;
  reading: Map<string, Promise<ApiKey | null>>;
  list: { hashes: Promise<Set<string>>; readAt: number } | null;
}

/** Keys that this process has just read, by their digest. What it forgets is read again. */
@Injectable()
export class KeyCache {
  #remembered = nothing();

  constructor(private readonly keys: ApiKeysRepository) {}

  /** The key, if it was read a moment ago. */
  find(keyHash: string): ApiKey | null {
    const { kept } = this.#remembered;
    const found = kept.get(keyHash);
    if (!found) return null;
    if (isFresh(found.readAt)) return found.row;
    kept.delete(keyHash);
    return null;
  }

  /** Looks the key up, once for all who ask at the same time. */
  read(keyHash: string): Promise<ApiKey | null> {
    // A look-up that was begun before a deletion must not bring the key back: it fills what was thrown away.
    const { kept, reading } = this.#remembered;
    const running = reading.get(keyHash);
    if (running) return running;
    const readAt = performance.now();
    const begun = this.keys
      .findByHash(keyHash)
      .then((row) => {
        if (row) kept.set(keyHash, { row, readAt });
        return row;
      })
      .finally(() => reading.delete(keyHash));
    reading.set(keyHash, begun);
    return begun;
  }

  /**
   * Whether there is such a key, by a list of them all that is read once in a while and not for every question.
   * One that another process has just made may be missing from it for as long as the list is fresh.
   */
  async isListed(keyHash: string): Promise<boolean> {
    const remembered = this.#remembered;
    if (!remembered.list || !isFresh(remembered.list.readAt)) {
      const list = { hashes: this.keys.findHashes(), readAt: performance.now() };
      remembered.list = list;
      list.hashes.catch(() => {
        if (remembered.list === list) remembered.list = null;
      });
    }
    return (await remembered.list.hashes).has(keyHash);
  }

  /** For when keys have changed. */
  forgetAll(): void {
    this.#remembered = nothing();
  }
}

function nothing(): Remembered {
  return { kept: new Map(), reading: new Map(), list: null };
}

function isFresh(readAt: number): boolean {
  return performance.now() - readAt < FRESH_MS;
}
