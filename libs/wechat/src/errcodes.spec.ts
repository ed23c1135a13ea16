import { describe, expect, it } from '@jest/globals';

import { adviceFor, classify, type ErrorClass, KNOWN_ERRCODES, REACTIONS } from './errcodes.js';
import { DOCUMENTED_ERRCODES } from './vectors/errcodes.js';

const PATH = '/cgi-bin/message/custom/send';

describe('classify', () => {
  it.each([
    [-1, 'transient'],
    [40001, 'token_stale'],
    [40014, 'token_stale'],
    [42001, 'token_stale'],
    [42006, 'token_stale'],
    [45011, 'rate_minute'],
    [45009, 'quota_day'],
    [48006, 'quota_month'],
    [40013, 'config'],
    [40125, 'config'],
    [40164, 'config'],
    [40243, 'config'],
    [61004, 'config'],
    [61011, 'config'],
    [61028, 'config'],
    [40091, 'ticket'],
    [61005, 'ticket'],
    [61006, 'ticket'],
    [61058, 'ticket'],
    [61003, 'reauthorize'],
    [61023, 'reauthorize'],
    [42002, 'reauthorize'],
    [42007, 'reauthorize'],
    [43007, 'reauthorize'],
    [48001, 'permission'],
    [48004, 'permission'],
    [61007, 'permission'],
    [61009, 'auth_code'],
    [61010, 'auth_code'],
    [50002, 'account_state'],
    [50007, 'account_state'],
    [43004, 'user_not_follower'],
    [45015, 'window_closed'],
    [47001, 'bug'],
    [61014, 'bug'],
    [123456, 'unknown'],
  ])('of %i is %s', (errcode, errorClass) => {
    expect(classify(errcode, PATH)).toBe(errorClass);
  });

  it('takes 40001 for a wrong secret where a call is made with one', () => {
    expect(classify(40001, '/cgi-bin/component/api_component_token')).toBe('config');
    expect(classify(40001, '/cgi-bin/stable_token')).toBe('config');
  });
});

describe.each(Object.entries(DOCUMENTED_ERRCODES))('what %s may answer', (path, rows) => {
  it.each(rows)('%i is %s', (errcode, errorClass) => {
    expect(classify(errcode, path)).toBe(errorClass);
    expect(REACTIONS[errorClass]).toBeDefined();
    expect(adviceFor(errcode, path).zh).toMatch(/[\u4e00-\u9fff]/);
  });
});

it('knows no code that no table names', () => {
  const documented = Object.values(DOCUMENTED_ERRCODES).flatMap((rows) =>
    rows.map(([code]) => code),
  );
  expect(KNOWN_ERRCODES.filter((code) => !documented.includes(code))).toEqual([]);
});

it('gives each code one class', () => {
  expect(new Set(KNOWN_ERRCODES).size).toBe(KNOWN_ERRCODES.length);
});

describe('the reaction', () => {
  it.each<[ErrorClass[], string, string]>([
    [['token_stale'], 'once', 'account'],
    [['transient'], 'backoff', 'call'],
    [['rate_minute', 'quota_day', 'quota_period'], 'later', 'api'],
    [['permission', 'feature_banned', 'console_action', 'limit_reached'], 'no', 'api'],
    [
      [
        'user_unknown',
        'user_not_follower',
        'user_blocked',
        'user_blacklisted',
        'window_closed',
        'window_used_up',
        'no_grant',
      ],
      'no',
      'recipient',
    ],
    [['user_throttled', 'user_busy'], 'later', 'recipient'],
    [
      [
        'content_refused',
        'content_invalid',
        'field_invalid',
        'template_invalid',
        'media_invalid',
        'audience_invalid',
      ],
      'no',
      'content',
    ],
    [['media_expired'], 'once', 'content'],
    [['duplicate', 'bug', 'unknown'], 'no', 'call'],
  ])('to %j is to try %s more, and concerns the %s', (classes, retry, concerns) => {
    for (const errorClass of classes)
      expect(REACTIONS[errorClass]).toMatchObject({ retry, concerns });
  });
});

describe('adviceFor', () => {
  it('says what to do about every code, in both languages', () => {
    for (const errcode of [...KNOWN_ERRCODES, 999999]) {
      const advice = adviceFor(errcode, PATH);
      expect(advice.zh).toMatch(/[\u4e00-\u9fff]/);
      expect(advice.en).toMatch(/[a-z]{3}/);
      expect(REACTIONS[classify(errcode, PATH)].retry).toMatch(/^(no|once|backoff|later)$/);
    }
  });

  it('names the variable behind a wrong secret', () => {
    expect(adviceFor(40001, '/cgi-bin/component/api_component_token').en).toContain(
      'WECHAT_COMPONENT_APPSECRET',
    );
  });
});
