import { parseSafeUrl, SafeFetch, SafeFetchError } from '@app/safe-fetch';
import { type ErrorClass, getTokenOwner, WechatApiError, WechatHttp } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import { AppError, type FieldError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { toSetSecretDto } from '../../common/set-secret.js';
import type { SaveSendConfigDto, SendConfigDto } from '../send-config.dto.js';
import { SendTokenError } from '../send-failure.js';
import { type FetchedToken, notGiven, notOfStrategy, type SendStrategy } from './strategy.js';
import { readTokenAnswer } from './token-answer.js';
import { wechatFailure } from './wechat-failure.js';

export interface AccessTokenUrlSettings {
  /** As it is requested. */
  url: string;
  headers: Record<string, string>;
  tokenPointer: string | null;
  expiresPointer: string | null;
}

/** How long a token is used whose life nobody tells: the customer may renew it at any time. */
const UNKNOWN_SECONDS = 300;
/** No sooner is the customer's server asked again, whatever it says; what ends earlier, WeChat calls stale. */
const SHORTEST_SECONDS = 120;
/** WeChat's tokens live no longer. */
const LONGEST_SECONDS = 7_200;

/** WeChat knows the token and refuses something else about the call: it does not say whose the token is. */
const TOKEN_TAKEN: ReadonlySet<ErrorClass> = new Set([
  'permission',
  'quota_day',
  'rate_minute',
  'account_state',
  'bug',
  'unknown',
]);

/** The customer's own token server gives the token, as it does to the customer's other systems. */
@Injectable()
export class AccessTokenUrlStrategy implements SendStrategy<AccessTokenUrlSettings> {
  readonly name = 'access_token_url';
  readonly field = 'accessTokenUrl';

  constructor(
    private readonly outbound: SafeFetch,
    private readonly wechat: WechatHttp,
    private readonly clock: Clock,
  ) {}

  merge(asked: SaveSendConfigDto, stored: AccessTokenUrlSettings | null): AccessTokenUrlSettings {
    const url = givenUrl(asked.accessTokenUrl, stored) ?? stored?.url;
    const headers = asked.headers ?? stored?.headers ?? {};
    const faults = notOfStrategy(asked, ['appSecret']);
    if (url === undefined) faults.push(notGiven('accessTokenUrl'));
    else if (!asked.headers && stored && isElsewhere(url, stored)) faults.push(HEADERS_OF_ANOTHER);
    if (url === undefined || faults.length > 0) throw new AppError('validation_failed', faults);
    return {
      url,
      headers,
      tokenPointer: asked.tokenPointer ?? null,
      expiresPointer: asked.expiresPointer ?? null,
    };
  }

  show({
    url,
    headers,
    tokenPointer,
    expiresPointer,
  }: AccessTokenUrlSettings): Partial<SendConfigDto> {
    const hints = Object.entries(headers).map(
      ([name, value]) => [name, toSetSecretDto(value)] as const,
    );
    return {
      accessTokenUrl: maskUrl(url),
      headers: Object.fromEntries(hints),
      tokenPointer,
      expiresPointer,
    };
  }

  uniqueOf({ url }: AccessTokenUrlSettings): string {
    return url;
  }

  async fetch(appid: string, settings: AccessTokenUrlSettings): Promise<FetchedToken> {
    const text = await this.#ask(settings);
    const { accessToken, saidSeconds } = readTokenAnswer(text, settings, this.clock.now());
    await this.#checkOwner(appid, accessToken);
    const seconds = saidSeconds ?? UNKNOWN_SECONDS;
    return {
      accessToken,
      saidSeconds,
      expiresInSeconds: Math.min(Math.max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS),
    };
  }

  async #ask({ url, headers }: AccessTokenUrlSettings): Promise<string> {
    try {
      const accept = 'application/json, text/plain;q=0.9, */*;q=0.1';
      const { text } = await this.outbound.fetch(url, { headers: { accept, ...headers } });
      return text;
    } catch (error) {
      if (!(error instanceof SafeFetchError)) throw error;
      const { step, reason, status } = error;
      throw new SendTokenError({ step, reason, status });
    }
  }

  /** A dead token, or another account's, would fail every message and be fetched again for each of them. */
  async #checkOwner(appid: string, accessToken: string): Promise<void> {
    const owner = await getTokenOwner(this.wechat, accessToken).catch((error: unknown) => {
      if (error instanceof WechatApiError && TOKEN_TAKEN.has(error.errorClass)) return null;
      throw wechatFailure(error);
    });
    if (owner !== null && owner !== appid)
      throw new SendTokenError({ step: 'token', reason: 'other_account' });
  }
}

/** @returns null when none was given, or the masked one that we have shown */
function givenUrl(
  given: string | undefined | null,
  stored: AccessTokenUrlSettings | null,
): string | null {
  if (given === undefined || given === null) return null;
  if (stored && given === maskUrl(stored.url)) return null;
  return parseSafeUrl(given)?.href ?? null;
}

/** Whether kept headers would be shown to a server that they were not given for. */
function isElsewhere(url: string, stored: AccessTokenUrlSettings): boolean {
  return (
    Object.keys(stored.headers).length > 0 && new URL(url).origin !== new URL(stored.url).origin
  );
}

const HEADERS_OF_ANOTHER: FieldError = {
  field: 'headers',
  code: 'needed_for_new_host',
  detail: {
    zh: '换了服务器：已保存的请求头不会发给它。请重新填写，不需要则传 {}。',
    en: 'It is another server, which the stored headers are not sent to. Give them again, or {} for none.',
  },
};

/** What stands in the query may be a secret: only the names are shown. */
export function maskUrl(url: string): string {
  const { origin, pathname, searchParams } = new URL(url);
  const names = [...searchParams.keys()].map((name) => `${encodeURIComponent(name)}=***`);
  return origin + pathname + (names.length > 0 ? `?${names.join('&')}` : '');
}
