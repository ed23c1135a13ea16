import { describe, expect, it } from '@jest/globals';

import { readTokenAnswer } from './token-answer.js';

const NOW = new Date('2026-01-01T00:00:00Z');
const NOW_SECONDS = NOW.getTime() / 1000;
const TOKEN = '72_abcdefghijklmnopqrstuvwxyz-0123456789';

const read = (
  answer: unknown,
  pointers: { tokenPointer?: string; expiresPointer?: string } = {},
): ReturnType<typeof readTokenAnswer> =>
  readTokenAnswer(
    typeof answer === 'string' ? answer : JSON.stringify(answer),
    {
      tokenPointer: pointers.tokenPointer ?? null,
      expiresPointer: pointers.expiresPointer ?? null,
    },
    NOW,
  );

describe('readTokenAnswer', () => {
  it.each<[what: string, answer: unknown, seconds: number | null]>([
    ['the bare token', TOKEN, null],
    ['the bare token with white space', `\uFEFF ${TOKEN}\r\n`, null],
    ['a JSON text', JSON.stringify(TOKEN), null],
    ['the shape of WeChat', { access_token: TOKEN, expires_in: 7000 }, 7000],
    ['camel case', { accessToken: TOKEN, expiresIn: 7000 }, 7000],
    ['success fields beside', { errcode: 0, errmsg: 'ok', access_token: TOKEN }, null],
    ['the shape of a platform', { code: 0, data: { accessToken: TOKEN, expiresIn: 60 } }, 60],
    ['data in snake case', { data: { access_token: TOKEN, expires_in: '7000' } }, 7000],
    ['result', { result: { access_token: TOKEN } }, null],
    ['a moment in seconds', { access_token: TOKEN, expire_time: NOW_SECONDS + 90 }, 90],
    ['a moment in milliseconds', { access_token: TOKEN, expiresAt: NOW.getTime() + 90_500 }, 90],
    ['a moment as text', { access_token: TOKEN, expires_at: String(NOW_SECONDS + 5) }, 5],
    ['a moment that is over', { access_token: TOKEN, expires_at: NOW_SECONDS - 5 }, -5],
    ['nothing left', { access_token: TOKEN, expires_in: 0 }, 0],
    ['a fraction', { access_token: TOKEN, expires_in: 7199.9 }, 7199],
    ['a life in words', { access_token: TOKEN, expires_in: 'two hours' }, null],
    ['a life that is none', { access_token: TOKEN, expires_in: -1 }, null],
    ['a life elsewhere', { expires_in: 60, data: { access_token: TOKEN } }, null],
  ])('reads %s', (_what, answer, saidSeconds) => {
    expect(read(answer)).toEqual({ accessToken: TOKEN, saidSeconds });
  });

  it.each<[tokenPointer: string, answer: unknown]>([
    ['/token', { token: TOKEN, access_token: 'other-token-0123456789' }],
    ['/a/0/b', { a: [{ b: TOKEN }] }],
    ['/a~1b/m~0n', { 'a/b': { 'm~n': TOKEN } }],
    ['/令牌', { 令牌: TOKEN }],
    ['/', { '': TOKEN }],
  ])('finds it at %s', (tokenPointer, answer) => {
    expect(read(answer, { tokenPointer }).accessToken).toBe(TOKEN);
  });

  it('finds its life where a pointer says, and beside the token without one', () => {
    const answer = { meta: { ttl: 60 }, data: { t: TOKEN, expires_in: 90 } };
    const tokenPointer = '/data/t';
    expect(read(answer, { tokenPointer }).saidSeconds).toBe(90);
    expect(read(answer, { tokenPointer, expiresPointer: '/meta/ttl' }).saidSeconds).toBe(60);
  });

  it.each<[what: string, answer: unknown, pointers: object, step: string, reason: string]>([
    ['nothing', '', {}, 'pointer', 'not_json'],
    ['a page', '<html>login</html>', {}, 'pointer', 'not_json'],
    ['a short word', 'token', {}, 'pointer', 'not_json'],
    ['half of JSON', '{"access_token":', {}, 'pointer', 'not_json'],
    ['the bare token where a pointer is', TOKEN, { tokenPointer: '/a' }, 'pointer', 'not_json'],
    ['an error of WeChat', { errcode: 40001, errmsg: 'invalid' }, {}, 'pointer', 'no_token'],
    ['null', null, {}, 'pointer', 'no_token'],
    ['a number', { access_token: 72 }, {}, 'pointer', 'no_token'],
    ['an empty text', { access_token: '' }, {}, 'pointer', 'no_token'],
    ['another place', { access_token: TOKEN }, { tokenPointer: '/t' }, 'pointer', 'no_token'],
    ['what objects inherit', {}, { tokenPointer: '/constructor/name' }, 'pointer', 'no_token'],
    ['a text that is no token', { access_token: 'not a token at all!!' }, {}, 'token', 'shape'],
    ['a short one', { access_token: '72_short' }, {}, 'token', 'shape'],
    ['a long one', { access_token: 'x'.repeat(1025) }, {}, 'token', 'shape'],
    ['no life', { access_token: TOKEN }, { expiresPointer: '/ttl' }, 'pointer', 'no_expiry'],
    [
      'a life in words where a pointer is',
      { access_token: TOKEN, ttl: 'soon' },
      { expiresPointer: '/ttl' },
      'pointer',
      'no_expiry',
    ],
  ])('refuses %s', (_what, answer, pointers, step, reason) => {
    expect(() => read(answer, pointers)).toThrow(
      expect.objectContaining({ failure: { step, reason } }),
    );
  });
});
