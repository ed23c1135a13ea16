import { WechatApiError, WechatUnavailableError } from '@app/wechat';
import { describe, expect, it } from '@jest/globals';

import { failureText, SEND_STEPS, SendTokenError } from '../send-failure.js';
import { maskUrl } from './access-token-url.strategy.js';
import { wechatFailure } from './wechat-failure.js';

const STABLE_TOKEN = '/cgi-bin/stable_token';
const OWNER = '/cgi-bin/account/getaccountbasicinfo';

describe('maskUrl', () => {
  it.each([
    ['https://token.test/a', 'https://token.test/a'],
    ['https://token.test:8443/a?', 'https://token.test:8443/a'],
    ['https://token.test/?key=secret', 'https://token.test/?key=***'],
    ['https://token.test/a?k=1&k=2&%E5%AF%86=x', 'https://token.test/a?k=***&k=***&%E5%AF%86=***'],
    ['https://token.test/a?secret', 'https://token.test/a?secret=***'],
  ])('%s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});

describe('wechatFailure', () => {
  it.each([
    [40001, STABLE_TOKEN, 'app_secret'],
    [40125, STABLE_TOKEN, 'app_secret'],
    [40013, STABLE_TOKEN, 'app_secret'],
    [40243, STABLE_TOKEN, 'app_secret'],
    [40164, STABLE_TOKEN, 'ip_whitelist'],
    [89503, STABLE_TOKEN, 'ip_whitelist'],
    [45009, STABLE_TOKEN, 'wechat'],
    [50007, STABLE_TOKEN, 'wechat'],
    [-1, STABLE_TOKEN, 'wechat'],
    [40001, OWNER, 'token'],
    [42001, OWNER, 'token'],
    [40164, OWNER, 'ip_whitelist'],
    [-1, OWNER, 'wechat'],
  ])('%d of %s is the step %s', (errcode, path, step) => {
    const refusal = new WechatApiError(errcode, 'words', null, path);
    expect(wechatFailure(refusal)).toMatchObject({ failure: { step, errcode } });
  });

  it('takes silence for the step wechat, and leaves anything else as it is', () => {
    const silence = new WechatUnavailableError(OWNER, 'timeout');
    expect(wechatFailure(silence)).toMatchObject({
      failure: { step: 'wechat', reason: 'timeout' },
    });
    const fault = new TypeError('a fault of ours');
    expect(wechatFailure(fault)).toBe(fault);
  });
});

describe('failureText', () => {
  it.each(SEND_STEPS)('says in both languages what to do about %s', (step) => {
    const { zh, en } = failureText({ step });
    expect(zh).toMatch(/\p{Script=Han}.*[。）]$/u);
    expect(en).toMatch(/^[A-Z].*\.$/);
  });

  it('names the address for the whitelist, the status and the reason', () => {
    const ip = { step: 'ip_whitelist', errcode: 40164, errmsg: 'invalid ip', ip: '203.0.113.7' };
    expect(failureText(ip as Parameters<typeof failureText>[0]).en).toContain(
      '(IP 203.0.113.7, 40164 invalid ip)',
    );
    expect(failureText({ step: 'status', status: 401 }).zh).toContain('（HTTP 401）');
    expect(failureText({ step: 'connect', reason: 'ECONNREFUSED' }).zh).toContain('ECONNREFUSED');
    const { zh } = failureText({ step: 'url', reason: 'https_required' });
    expect(zh).toContain('必须使用 https');
    expect(zh).not.toContain('https_required');
  });
});

describe('SendTokenError', () => {
  it('says where it ended', () => {
    const { message } = new SendTokenError({ step: 'status', reason: null, status: 502 });
    expect(message).toBe('No token for sending: status 502');
  });
});
