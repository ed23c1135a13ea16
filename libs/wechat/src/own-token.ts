import { WechatApiError, WechatUnavailableError } from './errors.js';
import type { WechatHttp } from './http.js';

const STABLE_TOKEN = '/cgi-bin/stable_token';

/**
 * Gets the token that an account's own AppSecret gives, in normal mode: whoever asks gets the same one, until five minutes
 * before its end. It retires neither that of `/cgi-bin/token` nor the one of a third-party platform.
 *
 * @returns the seconds that it still lives, 300 at the least
 * @throws WechatApiError 40001, 40125 or 40013 for the secret or the appid, 40243 for a frozen secret, 40164 for our
 *   address ({@link refusedIp}), 89501..89507 where the administrator has to confirm it
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-access-token/getStableAccessToken.html
 */
export async function getStableToken(
  http: WechatHttp,
  account: { appid: string; appSecret: string },
): Promise<{ accessToken: string; expiresInSeconds: number }> {
  const answer = await http.post(STABLE_TOKEN, {
    grant_type: 'client_credential',
    appid: account.appid,
    secret: account.appSecret,
    force_refresh: false,
  });
  const { access_token: accessToken } = answer;
  const expiresInSeconds = Number(answer['expires_in']);
  if (typeof accessToken !== 'string' || accessToken === '' || !(expiresInSeconds > 0))
    throw new WechatUnavailableError(STABLE_TOKEN, 'bad_answer');
  return { accessToken, expiresInSeconds };
}

/**
 * Asks whose a token is. Harmless, and there for every kind of account; it needs permission set 3 or 30 only where a
 * platform asks.
 *
 * @returns the appid; null when WeChat does not say
 * @throws WechatApiError 40001, 40014 or 42001 for a token that is none, is not the latest, or has ended
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/miniprogram-management/basic-info-management/api_getaccountbasicinfo.html
 */
export async function getTokenOwner(http: WechatHttp, accessToken: string): Promise<string | null> {
  const { appid } = await http.post('/cgi-bin/account/getaccountbasicinfo', {}, { accessToken });
  return typeof appid === 'string' && appid !== '' ? appid : null;
}

/** Our address is not in a whitelist, or waits for the administrator to confirm it. */
const ADDRESS_REFUSED = new Set([40090, 40164, 45035, 61004, 89501, 89503, 89506, 89507]);

/**
 * The address that WeChat refuses to be called from.
 *
 * @returns empty when WeChat does not name it; null when the refusal is about something else
 */
export function refusedIp({ errcode, errmsg }: WechatApiError): string | null {
  if (!ADDRESS_REFUSED.has(errcode)) return null;
  const ipv4 = /(?<![\d.:])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])/.exec(errmsg)?.[0];
  return ipv4 ?? /(?<!\w)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?!\w)/i.exec(errmsg)?.[0] ?? '';
}
