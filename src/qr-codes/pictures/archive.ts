import { type Readable, Transform, type TransformCallback } from 'node:stream';

import { ZipArchive } from 'archiver';

import { inTime } from '../../common/in-time.js';

/** A reader that takes not so much as one file in this time is taken for gone. */
const STALL_MS = 60_000;

export interface ArchiveFile {
  name: string;
  content: Buffer;
}

/**
 * A zip of what comes, stored as it is.
 *
 * @param files the next is asked for when the reader has taken the one before, and no more once the reader has gone: no
 *   more than a few are in memory however slow it is
 * @param stallMs how long the reader may take for one
 * @returns fails when a file does, and when the reader takes too long
 */
export function archive(files: AsyncIterable<ArchiveFile>, stallMs = STALL_MS): Readable {
  const door = new Door();
  const zip = new ZipArchive({ store: true });
  const fail = (error: unknown): void => {
    door.destroy(error instanceof Error ? error : new Error(String(error)));
  };
  zip.on('error', fail);
  zip.pipe(door);
  fill(zip, door, files, stallMs)
    .catch(fail)
    .finally(() => zip.abort());
  return door;
}

async function fill(
  zip: ZipArchive,
  door: Door,
  files: AsyncIterable<ArchiveFile>,
  stallMs: number,
): Promise<void> {
  const stalled = (): Error => new Error(`The reader took nothing for ${stallMs} ms.`);
  let total = 0;
  for await (const { name, content } of files) {
    if (door.destroyed) return;
    zip.append(content, { name });
    total += content.length;
    await inTime(door.hasPassed(total), stallMs, stalled);
    if (door.destroyed) return;
  }
  await zip.finalize();
  await inTime(door.hasPassed(Infinity), stallMs, stalled);
}

/** Lets bytes through as the reader takes them, and tells how many have passed. */
class Door extends Transform {
  #passed = 0;
  #wake: (() => void) | null = null;

  override _transform(bytes: Buffer, _encoding: string, done: TransformCallback): void {
    this.#passed += bytes.length;
    done(null, bytes);
    this.#wake?.();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    done(error);
    this.#wake?.();
  }

  /** Waits for so many bytes; no longer than until the last has been taken, or the reader has gone. */
  async hasPassed(bytes: number): Promise<void> {
    while (this.#passed < bytes && !this.destroyed)
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
  }
}
