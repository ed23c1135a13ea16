import { once } from 'node:events';

import { describe, expect, it } from '@jest/globals';

import { until } from '../../../test/until.js';
import { archive, type ArchiveFile } from './archive.js';

const FILES = 200;
const CONTENT = Buffer.alloc(300_000, 'x');

/** Files that know how many of them were asked for, and whether somebody may ask for more. */
function newFiles(count = FILES) {
  const state = { asked: 0, isOver: false };
  async function* make(): AsyncGenerator<ArchiveFile> {
    try {
      for (let n = 0; n < count; n += 1) {
        state.asked += 1;
        yield await Promise.resolve({ name: `${n}.png`, content: CONTENT });
      }
    } finally {
      state.isOver = true;
    }
  }
  return { state, files: make() };
}

describe('an archive', () => {
  it('is read to its end', async () => {
    const { state, files } = newFiles(5);
    const zip = archive(files);
    let length = 0;
    for await (const chunk of zip) length += (chunk as Buffer).length;
    expect(length).toBeGreaterThan(5 * CONTENT.length);
    expect(state).toEqual({ asked: 5, isOver: true });
  });

  it('waits for a reader that stops, and gives up after a while', async () => {
    const { state, files } = newFiles();
    const zip = archive(files, 100);
    const [error] = (await once(zip, 'error')) as [Error];
    expect(error.message).toContain('took nothing');
    expect(state.asked).toBeLessThan(5);
    expect(state.isOver).toBe(true);
  });

  it('gives up on a reader that leaves only the end', async () => {
    const { state, files } = newFiles(1);
    const zip = archive(files, 100);
    await once(zip, 'error');
    expect(state).toEqual({ asked: 1, isOver: true });
    expect(zip.destroyed).toBe(true);
  });

  it('ends with a reader that leaves', async () => {
    const { state, files } = newFiles();
    const zip = archive(files);
    let length = 0;
    for await (const chunk of zip) {
      length += (chunk as Buffer).length;
      if (length > CONTENT.length) break;
    }
    expect(zip.destroyed).toBe(true);
    await until(() => state.isOver);
    expect(state.asked).toBeLessThan(5);
  });

  it('fails with a file that fails', async () => {
    async function* make(): AsyncGenerator<ArchiveFile> {
      yield { name: 'a.png', content: CONTENT };
      throw await Promise.resolve(new RangeError('no picture'));
    }
    const zip = archive(make());
    await expect(zip.toArray()).rejects.toThrow('no picture');
  });
});
