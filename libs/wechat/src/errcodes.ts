import type { Text } from './text.js';

/** What a refusal asks for. */
export type ErrorClass =
  /** The access token is stale: renew it once, call once more. */
  | 'token_stale'
  /** WeChat is busy. */
  | 'transient'
  /** Too many calls this minute. */
  | 'rate_minute'
  /** The day's quota of this API is used up, or a short-term limit was hit while quota is left. */
  | 'quota_day'
  /** The month's quota resets are used up. */
  | 'quota_month'
  /** Credentials, addresses or the platform's set-up are wrong: an operator has to act. */
  | 'config'
  /** The component ticket is not accepted: take the newest, have it pushed again. */
  | 'ticket'
  /** The account's authorization no longer stands. */
  | 'reauthorize'
  /** A permission set, or an ability of the account itself, is missing. */
  | 'permission'
  /** An authorization code is wrong, used or expired. */
  | 'auth_code'
  /** The account is frozen, limited or cancelled. */
  | 'account_state'
  /** The person cannot be reached this way. */
  | 'user'
  /** The call is wrong: a fault of ours. */
  | 'bug'
  | 'unknown';

/** Whether, and when, the same call may be made again. */
export interface Reaction {
  retry: 'no' | 'once' | 'backoff' | 'later';
  /** With `later`: the shortest wait; null where another event decides. */
  laterMs: number | null;
}

const MINUTE_MS = 60_000;

export const REACTIONS: Readonly<Record<ErrorClass, Reaction>> = {
  token_stale: { retry: 'once', laterMs: null },
  transient: { retry: 'backoff', laterMs: null },
  rate_minute: { retry: 'later', laterMs: MINUTE_MS },
  quota_day: { retry: 'later', laterMs: null },
  quota_month: { retry: 'later', laterMs: null },
  config: { retry: 'no', laterMs: null },
  ticket: { retry: 'later', laterMs: 10 * MINUTE_MS },
  reauthorize: { retry: 'no', laterMs: null },
  permission: { retry: 'no', laterMs: null },
  auth_code: { retry: 'no', laterMs: null },
  account_state: { retry: 'later', laterMs: 24 * 60 * MINUTE_MS },
  user: { retry: 'no', laterMs: null },
  bug: { retry: 'no', laterMs: null },
  unknown: { retry: 'no', laterMs: null },
};

const CODES: Readonly<Record<Exclude<ErrorClass, 'unknown'>, readonly number[]>> = {
  token_stale: [40001, 40014, 42001, 42006],
  transient: [-1],
  rate_minute: [45011],
  quota_day: [45009],
  quota_month: [48006],
  config: [
    40013, 40090, 40094, 40125, 40164, 40243, 45035, 61000, 61001, 61004, 61011, 61028, 61029,
    61026, 61027, 89501, 89503, 89506, 89507,
  ],
  ticket: [40091, 61005, 61006, 61058],
  reauthorize: [42002, 42007, 43007, 61003, 61023],
  permission: [
    48001, 48004, 61002, 61007, 61016, 61017, 61018, 61019, 61020, 61021, 61022, 61030, 76003,
    76022,
  ],
  auth_code: [40029, 61009, 61010],
  account_state: [50001, 50002, 50004, 50007],
  user: [40003, 43004, 45015, 45047, 48002],
  bug: [
    40002, 40066, 40097, 40170, 41001, 41002, 41003, 41004, 41018, 41021, 43001, 43002, 43003,
    44002, 47001, 47002, 49001, 61008, 61012, 61013, 61014, 61015, 61024, 61025, 76001, 76002,
    76021,
  ],
};

const CLASSES: ReadonlyMap<number, ErrorClass> = new Map(
  Object.entries(CODES).flatMap(([errorClass, codes]) =>
    codes.map((code) => [code, errorClass as ErrorClass]),
  ),
);

/** Calls that are made with a secret: "invalid credential" is about that secret, and no token is stale. */
const SECRET_APIS = new Set([
  '/cgi-bin/component/api_component_token',
  '/cgi-bin/component/api_start_push_ticket',
  '/cgi-bin/component/clear_quota/v2',
  '/cgi-bin/clear_quota/v2',
  '/cgi-bin/token',
  '/cgi-bin/stable_token',
]);

/**
 * What a refusal asks for.
 *
 * @param path the API's path: 40001 means a wrong secret where the call is made with one
 * @returns `unknown` for a code that we do not know: not to be retried blindly
 * @see https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html
 */
export function classify(errcode: number, path: string): ErrorClass {
  if (errcode === 40001 && SECRET_APIS.has(path)) return 'config';
  return CLASSES.get(errcode) ?? 'unknown';
}

const CLASS_ADVICE: Readonly<Record<ErrorClass, Text>> = {
  token_stale: {
    zh: '令牌已失效，服务会自动更新。请重试一次；如反复出现，说明有其他系统在使用同一个第三方平台的凭据，请停用它。',
    en: 'The token is stale and is renewed by itself. Try again; if it keeps coming, another system uses the same platform credentials and has to stop.',
  },
  transient: { zh: '微信系统繁忙，请稍后重试。', en: 'WeChat is busy. Try again in a moment.' },
  rate_minute: {
    zh: '调用过于频繁，请一分钟后重试。',
    en: 'Too many calls. Try again in a minute.',
  },
  quota_day: {
    zh: '该接口今日额度已用完，或触发了短时限制。请查看剩余额度：仍有剩余则稍后重试，否则等到次日或重置额度。',
    en: "The API's quota of the day is used up, or a short-term limit was hit. Look at the quota: if some is left try again later, else wait for the next day or reset it.",
  },
  quota_month: {
    zh: '该账号本月的额度重置次数已用完，请等到下个月。',
    en: 'The quota resets of this month are used up. Wait for the next month.',
  },
  config: {
    zh: '第三方平台或账号的配置有误，请联系运维人员检查 AppID、AppSecret 与 IP 白名单。',
    en: 'The set-up of the platform or the account is wrong. Have the operator check appid, AppSecret and IP whitelist.',
  },
  ticket: {
    zh: '微信不接受当前的 ticket。服务会请求微信重新推送，请约十分钟后重试；也请检查事件接收地址。',
    en: 'WeChat does not accept the ticket. It is being asked to push a new one: try again in about ten minutes, and check the events address.',
  },
  reauthorize: {
    zh: '该账号对本平台的授权已失效，请由账号管理员重新扫码授权。',
    en: "The account's authorization no longer stands. Its administrator has to scan and authorize again.",
  },
  permission: {
    zh: '缺少该接口所需的权限，或账号本身没有这项能力。请重新授权并勾选全部权限；仍不行则检查账号是否已认证。',
    en: 'A permission for this API is missing, or the account itself lacks the ability. Authorize again with every permission ticked; if that does not help, check that the account is verified.',
  },
  auth_code: {
    zh: '授权码无效、已使用或已过期，请重新发起授权并扫码。',
    en: 'The authorization code is wrong, used or expired. Start a new authorization and scan again.',
  },
  account_state: {
    zh: '该账号被微信冻结、限制或已注销，请账号管理员登录微信公众平台处理。',
    en: "WeChat has frozen, limited or cancelled the account. Its administrator has to sort it out in WeChat's console.",
  },
  user: {
    zh: '当前无法以这种方式触达该用户（未关注、超出时限或已拒收）。',
    en: 'The person cannot be reached this way now: not a follower, outside the time window, or refusing messages.',
  },
  bug: {
    zh: '请求参数有误，这是服务自身的问题，请把 requestId 与 rid 交给运维人员。',
    en: 'The call was wrong, which is a fault of this service. Give the requestId and the rid to the operator.',
  },
  unknown: {
    zh: '微信返回了未知的错误码，请在微信官方文档中查询该错误码，或把 rid 交给运维人员。',
    en: "WeChat answered a code we do not know. Look it up in WeChat's documentation, or give the rid to the operator.",
  },
};

const WRONG_ACCOUNT_SECRET: Text = {
  zh: 'AppSecret 不正确，请在微信控制台核对或重置后更新配置。',
  en: "The AppSecret is wrong. Check or reset it in WeChat's console and update the configuration.",
};

/** Where the class says too little. */
const CODE_ADVICE: Readonly<Record<number, Text>> = {
  40013: {
    zh: 'AppID 不正确或与令牌不匹配，请检查配置中的 AppID。',
    en: "The appid is wrong or not the token's. Check the configured appid.",
  },
  40125: WRONG_ACCOUNT_SECRET,
  40164: {
    zh: '服务器的出口 IP 不在账号的 IP 白名单中，请按 errmsg 中的 IP 添加。',
    en: "Our egress IP is not in the account's IP whitelist. Add the one that errmsg names.",
  },
  40243: {
    zh: 'AppSecret 已被冻结，请账号管理员在微信控制台解冻（约十分钟生效）。',
    en: "The AppSecret is frozen. The administrator has to unfreeze it in WeChat's console; it takes ten minutes.",
  },
  45015: {
    zh: '已超出客服消息的时间窗口，等用户再次互动后才能发送。',
    en: 'Outside the customer-service window: the person has to interact again first.',
  },
  48004: {
    zh: '该接口已被微信封禁，请账号管理员登录微信公众平台查看原因。',
    en: "WeChat has banned this API for the account. Its administrator finds the reason in WeChat's console.",
  },
  61003: {
    zh: '该账号未授权或已取消授权，请由账号管理员重新扫码授权。',
    en: 'The account has not authorized this platform, or has cancelled. Its administrator has to scan again.',
  },
  61004: {
    zh: '服务器的出口 IP 不在第三方平台的“白名单IP地址列表”中，请在微信开放平台添加。',
    en: "Our egress IP is not in the platform's IP whitelist. Add it in the open platform's console.",
  },
  61007: {
    zh: '缺少该接口所需的权限集，请重新授权并勾选全部权限。',
    en: 'The permission set for this API was not granted. Authorize again with every permission ticked.',
  },
  61011: {
    zh: '第三方平台无效，请检查 WECHAT_COMPONENT_APPID 以及平台是否已审核通过。',
    en: 'The platform is not valid. Check WECHAT_COMPONENT_APPID and that WeChat has approved the platform.',
  },
  61023: {
    zh: '刷新令牌已失效。服务会尝试从微信找回；如不成功，请由账号管理员重新扫码授权。',
    en: 'The refresh token is no longer valid. We try to read it back from WeChat; if that fails, the administrator has to scan again.',
  },
  61028: {
    zh: '第三方平台尚未全网发布，该账号不在授权测试列表中。请在控制台添加其原始ID，或完成全网发布。',
    en: 'The platform is not published yet and the account is not in its test list. Add its original id there, or publish the platform.',
  },
};

const WRONG_SECRET: Text = {
  zh: 'AppSecret 不正确，请核对 WECHAT_COMPONENT_APPSECRET 与微信控制台是否一致。',
  en: "The AppSecret is wrong. Compare WECHAT_COMPONENT_APPSECRET with WeChat's console.",
};

/** What a person does next about a refusal. @param path the API's path */
export function adviceFor(errcode: number, path: string): Text {
  const errorClass = classify(errcode, path);
  if (errcode === 40001 && errorClass === 'config')
    return path.startsWith('/cgi-bin/component/') ? WRONG_SECRET : WRONG_ACCOUNT_SECRET;
  return CODE_ADVICE[errcode] ?? CLASS_ADVICE[errorClass];
}

/** Every code with a class, for tests and documentation. */
export const KNOWN_ERRCODES: readonly number[] = [...CLASSES.keys()];
