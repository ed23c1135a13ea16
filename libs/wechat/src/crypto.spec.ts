import { createCipheriv } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import WXBizMsgCrypt from 'wechat-crypto';

import { decryptMessage, encryptMessage, isEncodingAesKey, sameText, sign } from './crypto.js';
import { PushError } from './push-error.js';
import { FIXTURE, VECTORS } from './vectors/fixtures.js';

const { encodingAesKey, componentAppid, token, timestamp, nonce, random } = FIXTURE;
const OTHER_KEY = 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg';
const independent = new WXBizMsgCrypt(token, encodingAesKey, componentAppid);

/** Encrypts any plaintext, a wrong one too, without padding of its own. */
function encryptRaw(plain: Buffer): string {
  const key = Buffer.from(`${encodingAesKey}=`, 'base64');
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, 16)).setAutoPadding(false);
  return Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64');
}

const refusalOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof PushError) return error.reason;
    throw error;
  }
  return 'taken';
};

describe('sign', () => {
  it('signs a handshake as the vector has it, in any order of the parts', () => {
    expect(sign(token, timestamp, nonce)).toBe(FIXTURE.signature);
    expect(sign(nonce, token, timestamp)).toBe(FIXTURE.signature);
  });

  it('sorts by code unit, not by language', () => {
    expect(sign('a', 'B')).toBe(sign('B', 'a'));
    expect(sign('a', 'B')).not.toBe(sign('aB'));
    expect(sign('Ba')).toBe(sign('a', 'B'));
  });
});

describe('sameText', () => {
  it('tells equal from different, and from longer', () => {
    expect(sameText('abc', 'abc')).toBe(true);
    expect(sameText('abc', 'abd')).toBe(false);
    expect(sameText('abc', 'abcd')).toBe(false);
    expect(sameText('', '')).toBe(true);
  });
});

describe('isEncodingAesKey', () => {
  it.each([
    [encodingAesKey, true],
    [encodingAesKey.slice(1), false],
    [`${encodingAesKey}A`, false],
    [`${encodingAesKey.slice(0, 42)}+`, false],
    ['', false],
  ])('of %s says %s', (key, isKey) => {
    expect(isEncodingAesKey(key)).toBe(isKey);
  });
});

describe.each(VECTORS)('$name', ({ message, appid, encrypted, msgSignature }) => {
  it('is made byte for byte', () => {
    expect(encryptMessage(encodingAesKey, message, appid, random)).toBe(encrypted);
    expect(sign(token, timestamp, nonce, encrypted)).toBe(msgSignature);
  });

  it('is opened', () => {
    expect(decryptMessage(encodingAesKey, encrypted)).toEqual({ message, appid });
  });

  it('is opened by the independent implementation', () => {
    expect(independent.decrypt(encrypted)).toEqual({ message, id: appid });
    expect(independent.getSignature(timestamp, nonce, encrypted)).toBe(msgSignature);
  });
});

describe('encryptMessage', () => {
  it('makes what the independent implementation opens, and opens what that makes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (message) => {
        const ours = encryptMessage(encodingAesKey, message, componentAppid);
        expect(independent.decrypt(ours)).toEqual({ message, id: componentAppid });
        expect(decryptMessage(encodingAesKey, independent.encrypt(message))).toEqual({
          message,
          appid: componentAppid,
        });
      }),
      { numRuns: 200 },
    );
  });

  it('refuses a key that is none', () => {
    expect(() => encryptMessage('short', 'x', componentAppid)).toThrow(RangeError);
  });
});

describe('decryptMessage', () => {
  const good = encryptMessage(encodingAesKey, '<xml><a>1</a></xml>', componentAppid);
  const body = (length: number, text: string): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(length);
    return Buffer.concat([random, size, Buffer.from(text)]);
  };
  const padded = (plain: Buffer, pad: number, byte = pad): string =>
    encryptRaw(Buffer.concat([plain, Buffer.alloc(pad, byte)]));

  it.each([
    ['another key', () => decryptMessage(OTHER_KEY, good)],
    ['nothing', () => decryptMessage(encodingAesKey, '')],
    ['base64 with a space', () => decryptMessage(encodingAesKey, ` ${good}`)],
    ['base64 with a line break at its end', () => decryptMessage(encodingAesKey, `${good}\n`)],
    ['base64 of the URL alphabet', () => decryptMessage(encodingAesKey, '_'.repeat(64))],
    [
      'base64 without its end mark',
      () => decryptMessage(encodingAesKey, good.replace(/=+$/, '').slice(0, -1)),
    ],
    ['half a block', () => decryptMessage(encodingAesKey, Buffer.alloc(24).toString('base64'))],
    [
      'a length beyond the end',
      () => decryptMessage(encodingAesKey, padded(body(4_000_000_000, 'x'.repeat(11)), 1)),
    ],
    [
      'a body that ends within the length',
      () => decryptMessage(encodingAesKey, padded(random, 16)),
    ],
    ['a pad of 0', () => decryptMessage(encodingAesKey, padded(body(0, 'x'.repeat(11)), 1, 0))],
    ['a pad of 33', () => decryptMessage(encodingAesKey, padded(body(0, ''), 44, 33))],
    [
      'a pad longer than everything',
      () => decryptMessage(encodingAesKey, encryptRaw(Buffer.alloc(16, 32))),
    ],
    [
      'a pad whose bytes differ',
      () =>
        decryptMessage(
          encodingAesKey,
          encryptRaw(Buffer.concat([body(0, 'x'.repeat(10)), Buffer.from([1, 2])])),
        ),
    ],
    [
      'text that is not UTF-8',
      () =>
        decryptMessage(
          encodingAesKey,
          encryptRaw(Buffer.concat([body(1, ''), Buffer.from([0xff]), Buffer.alloc(11, 11)])),
        ),
    ],
  ])('refuses %s, always in the same words', (_case, open) => {
    expect(refusalOf(open)).toBe('decrypt');
  });

  it('never fails in another way, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const outcome = refusalOf(() =>
          decryptMessage(encodingAesKey, Buffer.from(bytes).toString('base64')),
        );
        expect(['decrypt', 'taken']).toContain(outcome);
      }),
      { numRuns: 500 },
    );
  });
});
