import { describe, expect, it } from '@jest/globals';

import { BriefMemory } from './brief-memory.js';

/** Looks that end when they are told to. */
function slowly(): { memory: BriefMemory<string>; looks: ((value: string) => void)[] } {
  const looks: ((value: string) => void)[] = [];
  return { looks, memory: new BriefMemory(() => new Promise((resolve) => looks.push(resolve))) };
}

describe('BriefMemory', () => {
  it('looks once for all who ask together, and not again for a moment', async () => {
    const { memory, looks } = slowly();
    const asked = [memory.find('a'), memory.find('a'), memory.find('b')];
    expect(looks).toHaveLength(2);
    for (const [n, answer] of looks.entries()) answer(`answer ${n}`);
    expect(await Promise.all(asked)).toEqual(['answer 0', 'answer 0', 'answer 1']);
    expect(await memory.find('a')).toBe('answer 0');
    expect(memory.peek('b')).toBe('answer 1');
    expect(memory.peek('c')).toBeUndefined();
    expect(looks).toHaveLength(2);
  });

  it('remembers null, and no failure', async () => {
    let looks = 0;
    const memory = new BriefMemory((key) =>
      (looks += 1) && key === 'none' ? Promise.resolve(null) : Promise.reject(new Error('away')),
    );
    expect([await memory.find('none'), await memory.find('none')]).toEqual([null, null]);
    expect(looks).toBe(1);
    for (const _time of [1, 2]) await expect(memory.find('some')).rejects.toThrow('away');
    expect(looks).toBe(3);
  });

  it('forgets, and takes what was being read at that time for what was before', async () => {
    const { memory, looks } = slowly();
    const before = memory.find('a');
    memory.forget('a');
    const after = memory.find('a');
    looks[1]?.('new');
    expect(await after).toBe('new');
    looks[0]?.('old');
    expect(await before).toBe('old');
    expect(memory.peek('a')).toBe('new');
  });
});
