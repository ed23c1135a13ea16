import { refusedIp, WechatApiError, WechatUnavailableError } from '@app/wechat';

import { SendTokenError } from '../send-failure.js';

/** What WeChat, or the way to it, said of a token or a secret, as the step that failed. Anything else stays what it is. */
export function wechatFailure(error: unknown): unknown {
  if (error instanceof WechatUnavailableError)
    return new SendTokenError({ step: 'wechat', reason: error.reason ?? error.failure });
  if (!(error instanceof WechatApiError)) return error;
  const { errcode, errmsg, errorClass, path } = error;
  const ip = refusedIp(error);
  if (ip !== null) return new SendTokenError({ step: 'ip_whitelist', errcode, errmsg, ip });
  if (errorClass === 'token_stale') return new SendTokenError({ step: 'token', errcode, errmsg });
  // Of a call that is made with a secret, that or the appid is wrong, or it is frozen.
  const isSecret = errorClass === 'config' && path === '/cgi-bin/stable_token';
  return new SendTokenError({ step: isSecret ? 'app_secret' : 'wechat', errcode, errmsg });
}
