import { describe, expect, it } from '@jest/globals';

import { generateKeyRing, KeyRingError, parseKeyRing, SecretBox, SecretBoxError } from './index.js';

const binding = { owner: 'token:wx1badb002feedface', field: 'access_token' };
const ringText = generateKeyRing('k1');
const box = new SecretBox(parseKeyRing(ringText));

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof SecretBoxError) return error.code;
    throw error;
  }
  return 'opened';
};

const wordsOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return String(error);
  }
  return '';
};

describe('SecretBox', () => {
  it.each(['', 'a', '令牌 🌸', 'x'.repeat(10_000)])('opens what it sealed (%#)', (text) => {
    expect(box.open(box.seal(text, binding), binding)).toBe(text);
  });

  it('never seals the same text to the same ciphertext', () => {
    expect(box.seal('same', binding)).not.toBe(box.seal('same', binding));
  });

  it('refuses a ciphertext of another row, another field, or a shifted boundary between them', () => {
    const sealed = box.seal('secret', binding);
    expect(codeOf(() => box.open(sealed, { ...binding, owner: 'token:wx2' }))).toBe('tampered');
    expect(codeOf(() => box.open(sealed, { ...binding, field: 'refresh_token' }))).toBe('tampered');
    const glued = box.seal('secret', { owner: 'ab', field: 'c' });
    expect(codeOf(() => box.open(glued, { owner: 'a', field: 'bc' }))).toBe('tampered');
  });

  it('refuses a ciphertext with any one character changed, cut or added', () => {
    const sealed = box.seal('secret', binding);
    for (let at = 0; at < sealed.length; at++) {
      const other = sealed[at] === 'A' ? 'B' : 'A';
      expect(
        codeOf(() => box.open(sealed.slice(0, at) + other + sealed.slice(at + 1), binding)),
      ).not.toBe('opened');
      expect(codeOf(() => box.open(sealed.slice(0, at), binding))).not.toBe('opened');
    }
    expect(codeOf(() => box.open(`${sealed}=`, binding))).not.toBe('opened');
    expect(codeOf(() => box.open(`${sealed}.x`, binding))).toBe('malformed');
  });

  it('opens under an older key of the ring, seals under the first, and refuses a key it does not hold', () => {
    const old = box.seal('secret', binding);
    const rotated = new SecretBox(parseKeyRing(`${generateKeyRing('k2')},${ringText}`));
    expect(rotated.open(old, binding)).toBe('secret');
    expect(rotated.seal('secret', binding)).toMatch(/^v1\.k2\./);
    const foreign = new SecretBox(parseKeyRing(generateKeyRing('k3')));
    expect(codeOf(() => foreign.open(old, binding))).toBe('unknown_key');
  });

  it('names neither plaintext nor ciphertext in its errors', () => {
    const sealed = box.seal('the-secret-text', binding);
    const words = wordsOf(() => box.open(sealed, { ...binding, field: 'other' }));
    expect(words).toContain('SecretBoxError');
    expect(words).not.toContain('the-secret-text');
    expect(words).not.toContain(sealed);
  });
});

describe('parseKeyRing', () => {
  it('keeps the order and takes base64 with and without its end mark', () => {
    const [one, two] = [generateKeyRing('one'), generateKeyRing('two')];
    expect([...parseKeyRing(`${one}, ${two.replace(/=$/, '')}`).keys()]).toEqual(['one', 'two']);
  });

  it.each([
    ['nothing', ''],
    ['no id', generateKeyRing('k').slice(2)],
    ['a short key', `k1:${Buffer.alloc(16).toString('base64')}`],
    ['a key that is no base64', `k1:${'!'.repeat(44)}`],
    ['an id twice', `${generateKeyRing('k1')},${generateKeyRing('k1')}`],
    ['a comma too many', `${generateKeyRing('k1')},`],
    ['an id with a dot', generateKeyRing('k.1')],
  ])('refuses %s without repeating the key', (_case, text) => {
    expect(() => parseKeyRing(text)).toThrow(KeyRingError);
    expect(wordsOf(() => parseKeyRing(text))).not.toContain(text.split(':')[1] ?? 'no key at all');
  });
});
