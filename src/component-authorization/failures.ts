import { adviceFor } from '@app/wechat';

import type { Text } from '../common/text.js';

/** How an authorization can end without an account, and what the person does next. */
const FAILURES = {
  authorization_code_expired: {
    zh: '微信给出的授权码已过期。请重新发起授权并扫码。',
    en: "WeChat's authorization code has expired. Start a new authorization and scan again.",
  },
  authorization_code_invalid: {
    zh: '微信不认可这次授权返回的授权码。请重新发起授权并扫码。',
    en: 'WeChat does not accept the code that came back. Start a new authorization and scan again.',
  },
  authorization_lost: {
    zh: '与微信的通信中断，无法确认授权的是哪个账号。请重新发起授权并再扫一次码。',
    en: 'The connection to WeChat was lost and we cannot tell which account was authorized. Start a new authorization and scan once more.',
  },
  wrong_account: {
    zh: '授权的不是指定的账号。请用指定账号的管理员微信重新扫码，并选择该账号。',
    en: 'Another account than the one asked for was authorized. Scan again as the administrator of the right account and choose it.',
  },
  account_held_elsewhere: {
    zh: '该账号已属于本平台的另一个租户，因此没有加入您的列表。请联系平台工作人员办理移交。',
    en: 'The account belongs to another tenant of this platform and was not added to your list. Ask the platform staff to move it.',
  },
  wechat_error: {
    zh: '微信拒绝了这次授权。请稍后重新发起授权；如仍失败，请联系平台工作人员。',
    en: 'WeChat refused this authorization. Start a new one later; if it fails again, contact the platform staff.',
  },
} as const satisfies Record<string, Text>;

export type FailureCode = keyof typeof FAILURES;

/** What to tell the person. @param errcode WeChat's own code, where there is one */
export function failureText(code: FailureCode, errcode: number | null): Text {
  const text = FAILURES[code];
  if (code !== 'wechat_error' || errcode === null) return text;
  const advice = adviceFor(errcode, '/cgi-bin/component/api_query_auth');
  return {
    zh: `${text.zh}（${errcode}：${advice.zh}）`,
    en: `${text.en} (${errcode}: ${advice.en})`,
  };
}
