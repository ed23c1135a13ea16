import {
  KNOWN_ERRCODES,
  REACTIONS,
  WechatApiError,
  WechatUnavailableError,
  type UnavailableFailure,
} from '@app/wechat';
import { describe, expect, it } from '@jest/globals';

import { AppError } from '../../common/app-error.js';
import { outcomeOf } from './outcome.js';

const PATH = '/cgi-bin/message/x/send';
const repeatable = { path: PATH, isRepeatable: true, busyRetries: 3 };
const once = { path: PATH, isRepeatable: false, busyRetries: 0 };
const refusal = (errcode: number, path = PATH): WechatApiError =>
  new WechatApiError(errcode, 'words', null, path);

/** What is tried again by itself; everything else that WeChat refuses is a failure. */
const TRIED_AGAIN = new Set(['transient', 'rate_minute', 'user_busy', 'unknown']);

describe('outcomeOf', () => {
  it.each(KNOWN_ERRCODES)('says of %i that it failed, or when it is tried again', (errcode) => {
    const error = refusal(errcode);
    const { errorClass } = error;
    for (const kind of [repeatable, once]) {
      const first = outcomeOf(error, kind, 1);
      const isAgain =
        TRIED_AGAIN.has(errorClass) && (errorClass !== 'transient' || kind.busyRetries > 0);
      expect(first.type).toBe(isAgain ? 'retry' : 'failed');
      const last = outcomeOf(error, kind, 4);
      expect(last).toMatchObject({
        type: 'failed',
        failure: {
          reason: errorClass,
          errcode,
          retryable: REACTIONS[errorClass].retry !== 'no',
          detail: { zh: expect.stringContaining(`${errcode} words`), en: expect.any(String) },
        },
      });
    }
  });

  it.each([
    [1, 1_000],
    [2, 3_000],
    [3, 10_000],
  ])('after try %i waits for %i ms', (attempts, afterMs) => {
    expect(outcomeOf(refusal(-1), repeatable, attempts)).toMatchObject({ type: 'retry', afterMs });
  });

  it('tries a busy WeChat as often as the kind has it', () => {
    const replies = { ...once, busyRetries: 1 };
    expect(outcomeOf(refusal(-1), replies, 1)).toMatchObject({ type: 'retry', afterMs: 1_000 });
    expect(outcomeOf(refusal(-1), replies, 2)).toMatchObject({ type: 'failed' });
  });

  it('waits a minute for the minute’s limit, once', () => {
    expect(outcomeOf(refusal(45011), once, 1)).toMatchObject({ type: 'retry', afterMs: 60_000 });
    expect(outcomeOf(refusal(45011), once, 2)).toMatchObject({ type: 'failed' });
  });

  it('waits three seconds at least for another message to the person', () => {
    expect(outcomeOf(refusal(43108), once, 1)).toMatchObject({ type: 'retry', afterMs: 3_000 });
  });

  it('takes a code that nobody knows for a lost answer where a repetition would double', () => {
    expect(outcomeOf(refusal(123_456), once, 1)).toMatchObject({
      type: 'unknown',
      failure: { errcode: 123_456, retryable: false },
    });
    expect(outcomeOf(refusal(123_456), repeatable, 1)).toMatchObject({ type: 'retry' });
    // Of another call than the one that sends, it says that nothing was sent.
    expect(outcomeOf(refusal(123_456, '/cgi-bin/media/upload'), once, 1).type).toBe('failed');
  });

  it.each<UnavailableFailure>([
    'timeout',
    'reset',
    'http_status',
    'too_large',
    'not_json',
    'bad_answer',
  ])('takes %s for a lost answer', (failure) => {
    const error = new WechatUnavailableError(PATH, failure);
    expect(outcomeOf(error, once, 1).type).toBe('unknown');
    expect(outcomeOf(error, repeatable, 1).type).toBe('retry');
    expect(outcomeOf(error, repeatable, 4)).toMatchObject({
      type: 'unknown',
      failure: { reason: 'answer_lost', retryable: false },
    });
    const before = new WechatUnavailableError('/cgi-bin/media/upload', failure);
    expect(outcomeOf(before, once, 1).type).toBe('retry');
  });

  it('sends again what never reached WeChat', () => {
    const error = new WechatUnavailableError(PATH, 'connect', 'ECONNREFUSED');
    for (const kind of [repeatable, once]) {
      expect(outcomeOf(error, kind, 1)).toMatchObject({ type: 'retry', afterMs: 1_000 });
      expect(outcomeOf(error, kind, 7)).toMatchObject({ type: 'retry', afterMs: 300_000 });
      expect(outcomeOf(error, kind, 8)).toMatchObject({
        type: 'failed',
        failure: { reason: 'wechat_unavailable', retryable: true },
      });
    }
  });

  it('waits for a token, or fails where there will be none', () => {
    expect(outcomeOf(new AppError('token_unavailable'), once, 1)).toMatchObject({
      type: 'retry',
      failure: { reason: 'token_unavailable', errcode: null, retryable: true },
    });
    expect(outcomeOf(new AppError('account_not_authorized'), once, 1)).toMatchObject({
      failure: { reason: 'account_not_authorized', retryable: false },
    });
  });

  it.each([
    [40007, true],
    [45086, true],
    [45002, true],
    [40066, true],
    [45015, false],
    [45047, false],
    [48001, false],
    [45009, false],
    [43019, false],
    [50002, false],
    [45094, false],
  ])('says of %i whether it is what was said: %s', (errcode, isOfContent) => {
    expect(outcomeOf(refusal(errcode), once, 1)).toMatchObject({ type: 'failed', isOfContent });
  });

  it('says of a medium that cannot go out that it is what was said, and of an account that it is not', () => {
    const outcome = (code: 'media_not_found' | 'media_not_usable' | 'account_not_authorized') =>
      outcomeOf(new AppError(code), once, 1);
    expect(outcome('media_not_found')).toMatchObject({ type: 'failed', isOfContent: true });
    expect(outcome('media_not_usable')).toMatchObject({ type: 'failed', isOfContent: true });
    expect(outcome('account_not_authorized')).toMatchObject({ isOfContent: false });
    expect(outcomeOf(refusal(40006, '/cgi-bin/media/upload'), once, 1)).toMatchObject({
      isOfContent: true,
    });
  });

  it('passes on what is a fault of ours', () => {
    expect(() => outcomeOf(new TypeError('x'), once, 1)).toThrow(TypeError);
  });
});
