import { describe, expect, it } from '@jest/globals';

import { parseApiJson, parsePushJson } from './json.js';
import { PushError } from './push-error.js';

const read = (text: string): unknown => JSON.parse(JSON.stringify(parsePushJson(text)));

describe('parsePushJson', () => {
  it('keeps every number as the text that stands there', () => {
    expect(read('{"MsgId":6060349595123187712,"a":1.50,"b":1e999,"c":-0}')).toEqual({
      MsgId: '6060349595123187712',
      a: '1.50',
      b: '1e999',
      c: '-0',
    });
  });

  it('reads lists, nested objects, and what is no text as text', () => {
    expect(read('{"List":[{"a":true}],"n":null,"o":{"x":"y"}}')).toEqual({
      List: [{ a: 'true' }],
      n: '',
      o: { x: 'y' },
    });
  });

  it('is not polluted by a hostile name', () => {
    parsePushJson('{"__proto__":{"polluted":1}}');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['a list', '[1]'],
    ['a text', '"x"'],
    ['a name twice', '{"Encrypt":"a","Encrypt":"b"}'],
    ['a name twice with the same value', '{"a":"1","a":"1"}'],
    ['nine levels', `${'{"a":'.repeat(9)}1${'}'.repeat(9)}`],
    ['a hundred thousand levels', '['.repeat(100_000)],
    ['a comma too many', '{"a":1,}'],
    ['more behind it', '{"a":1} x'],
    ['a bare word', '{"a":NaN}'],
    ['a name twice, once escaped', '{"a":1,"\\u0061":2}'],
    ['a text without an end', `{"a":"${'\\\\"'.repeat(100_000)}\\`],
    ['quotes without an end', `{"${'\\"'.repeat(120_000)}\\`],
  ])('refuses %s', (_case, text) => {
    expect(() => parsePushJson(text)).toThrow(PushError);
  });

  it('does not count brackets inside texts', () => {
    expect(read(`{"a":"${'['.repeat(50)}\\"${'{'.repeat(50)}"}`)).toEqual({
      a: `${'['.repeat(50)}"${'{'.repeat(50)}`,
    });
  });
});

describe('parseApiJson', () => {
  it('keeps ids beyond 2^53 as text and everything else as it is', () => {
    expect(
      parseApiJson('{"msgid":2899166829348376577,"errcode":0,"x":1.5,"ok":true}'),
    ).toMatchObject({
      msgid: '2899166829348376577',
      errcode: 0,
      x: 1.5,
      ok: true,
    });
  });
});
