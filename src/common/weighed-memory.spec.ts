import { describe, expect, it } from '@jest/globals';

import { WeighedMemory } from './weighed-memory.js';

const newMemory = (max: number): WeighedMemory<string> =>
  new WeighedMemory(max, ({ length }) => length);

describe('WeighedMemory', () => {
  it('lets go of what has not been put for the longest time, once all weigh too much', () => {
    const memory = newMemory(6);
    memory.put('a', 'xxx');
    memory.put('b', 'xxx');
    memory.put('a', 'yyy');
    memory.put('c', 'xx');
    expect(['a', 'b', 'c'].map((key) => memory.get(key))).toEqual(['yyy', undefined, 'xx']);
  });

  it('weighs what is put again anew', () => {
    const memory = newMemory(4);
    memory.put('a', 'xxxx');
    memory.put('a', 'x');
    memory.put('b', 'xxx');
    expect(memory.get('a')).toBe('x');
  });

  it('keeps the last one, whatever it weighs', () => {
    const memory = newMemory(2);
    memory.put('a', 'x');
    memory.put('b', 'xxxxx');
    expect(memory.get('a')).toBeUndefined();
    expect(memory.get('b')).toBe('xxxxx');
  });
});
