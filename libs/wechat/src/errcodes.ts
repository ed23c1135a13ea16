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
  /** WeChat has taken this ability from the account, as a punishment. */
  | 'feature_banned'
  /** The openid is wrong, of another account, or of somebody who never followed. */
  | 'user_unknown'
  | 'user_not_follower'
  /** The person refuses the account's messages, or WeChat protects a minor. */
  | 'user_blocked'
  /** The person is on the account's own blacklist. */
  | 'user_blacklisted'
  /** The person got too many lately. */
  | 'user_throttled'
  /** Another message to the person is on its way. */
  | 'user_busy'
  /** The person has not been active lately, or has unfollowed. */
  | 'window_closed'
  /** The person has got all that an activity allows. */
  | 'window_used_up'
  /** The person has not consented to the template, or no longer. */
  | 'no_grant'
  /** WeChat refuses what it says: marketing, sensitive words. */
  | 'content_refused'
  /** It breaks a rule of form. */
  | 'content_invalid'
  /** A field breaks the rule of its type. */
  | 'field_invalid'
  /** The template is not the account's, not of this kind, or is banned. */
  | 'template_invalid'
  /** The medium's three days are over, or it is another account's: upload it again. */
  | 'media_expired'
  /** WeChat does not take the file. */
  | 'media_invalid'
  /** A list of recipients, or a tag. */
  | 'audience_invalid'
  /** It was done before. */
  | 'duplicate'
  /** The account's broadcasts of the period are used up. */
  | 'quota_period'
  /** A standing limit of the account is reached, e.g. of its templates or its library. */
  | 'limit_reached'
  /** The account's administrator is being asked, and has not answered or has refused. */
  | 'awaiting_confirmation'
  /** Somebody of the account has to do something in WeChat's console first. */
  | 'console_action'
  /** The call is wrong: a fault of ours. */
  | 'bug'
  /** A code that we do not know. Where a repetition could double, it counts as if the answer had been lost. */
  | 'unknown';

/** Whether, and when, the same call may be made again. */
export interface Reaction {
  retry: 'no' | 'once' | 'backoff' | 'later';
  /** With `later`: the shortest wait; null where another event decides. */
  laterMs: number | null;
  /**
   * What else meets the same refusal now: nothing but this call, every message to this person, every message with this
   * content, every call of this API by the account, every call of the account, or every account.
   */
  concerns: 'call' | 'recipient' | 'content' | 'api' | 'account' | 'platform';
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

export const REACTIONS: Readonly<Record<ErrorClass, Reaction>> = {
  token_stale: once('account'),
  transient: { retry: 'backoff', laterMs: null, concerns: 'call' },
  rate_minute: later('api', MINUTE_MS),
  quota_day: later('api'),
  quota_month: later('account'),
  quota_period: later('api'),
  limit_reached: no('api'),
  config: no('platform'),
  ticket: later('platform', 10 * MINUTE_MS),
  reauthorize: no('account'),
  permission: no('api'),
  feature_banned: no('api'),
  auth_code: no('call'),
  account_state: later('account', 24 * HOUR_MS),
  user_unknown: no('recipient'),
  user_not_follower: no('recipient'),
  user_blocked: no('recipient'),
  user_blacklisted: no('recipient'),
  // WeChat does not say how long.
  user_throttled: later('recipient', 3 * HOUR_MS),
  user_busy: later('recipient', 3 * SECOND_MS),
  window_closed: no('recipient'),
  window_used_up: no('recipient'),
  no_grant: no('recipient'),
  content_refused: no('content'),
  content_invalid: no('content'),
  field_invalid: no('content'),
  template_invalid: no('content'),
  // After another upload.
  media_expired: once('content'),
  media_invalid: no('content'),
  audience_invalid: no('content'),
  duplicate: no('call'),
  awaiting_confirmation: later('call'),
  console_action: no('api'),
  bug: no('call'),
  unknown: no('call'),
};

function no(concerns: Reaction['concerns']): Reaction {
  return { retry: 'no', laterMs: null, concerns };
}

function once(concerns: Reaction['concerns']): Reaction {
  return { retry: 'once', laterMs: null, concerns };
}

function later(concerns: Reaction['concerns'], laterMs: number | null = null): Reaction {
  return { retry: 'later', laterMs, concerns };
}

const CODES: Readonly<Record<Exclude<ErrorClass, 'unknown'>, readonly number[]>> = {
  token_stale: [40001, 40014, 42001, 42006],
  transient: [-1, 20001, 200001],
  rate_minute: [42010, 44990, 45011, 45066],
  quota_day: [44993, 45009],
  quota_month: [48006],
  quota_period: [45028],
  limit_reached: [43100, 45026, 45029, 45034, 45056, 45074, 200012],
  config: [
    40013, 40090, 40094, 40125, 40164, 40243, 45035, 61000, 61001, 61004, 61011, 61028, 61029,
    61026, 61027, 89501, 89503, 89506, 89507,
  ],
  ticket: [40091, 61005, 61006, 61058],
  reauthorize: [42002, 42007, 43007, 61003, 61023],
  permission: [
    40200, 48001, 48004, 48008, 61002, 61007, 61016, 61017, 61018, 61019, 61020, 61021, 61022,
    61030, 76003, 76022, 88000, 200100,
  ],
  feature_banned: [43106, 43107, 45087, 45094, 200011],
  auth_code: [40029, 61009, 61010],
  account_state: [50001, 50002, 50004, 50007],
  user_unknown: [40003, 49003],
  user_not_follower: [43004, 50005],
  user_blocked: [48002, 70000],
  user_blacklisted: [43019],
  user_throttled: [43117],
  user_busy: [43108],
  window_closed: [45015, 45080],
  window_used_up: [45047, 45093],
  no_grant: [43101],
  content_refused: [40249, 45168],
  content_invalid: [
    40008, 40039, 40062, 40129, 40159, 40169, 41030, 41039, 45002, 45008, 45048, 45049, 45050,
    45052, 45086, 45098, 45099, 45113, 45157, 45158, 53404, 53405, 53406, 53600, 85096,
  ],
  field_invalid: [47003],
  template_invalid: [40036, 40037, 40246, 40247, 43102, 43116, 45027, 200013, 200014],
  media_expired: [40007],
  media_invalid: [40004, 40005, 40006, 40009, 40010, 40011, 40012, 45001, 45162],
  audience_invalid: [40031, 40032, 40130, 40152, 45057, 45058, 45059, 45159],
  duplicate: [45065, 45081, 200022],
  awaiting_confirmation: [89502, 89504, 89505],
  console_action: [45062, 48003, 48013, 48014, 48021, 48022, 53503, 53504, 53505, 268488001],
  bug: [
    404, 20002, 40002, 40052, 40053, 40059, 40060, 40065, 40066, 40097, 40170, 40204, 41001, 41002,
    41003, 41004, 41005, 41006, 41007, 41008, 41009, 41018, 41021, 41028, 41029, 43001, 43002,
    43003, 44002, 45067, 45072, 45083, 45084, 47001, 47002, 49001, 61008, 61012, 61013, 61014,
    61015, 61024, 61025, 76001, 76002, 76004, 76021, 200002, 200016, 200017, 200018, 200019, 200020,
    200021,
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

/** Elsewhere they are about our address, and here about what is to be broadcast. */
const ASKED_OF_THE_ADMINISTRATOR = new Set([89501, 89503, 89506, 89507]);

/**
 * What a refusal asks for.
 *
 * @param path the API's path: 40001 means a wrong secret where the call is made with one
 * @returns `unknown` for a code that we do not know: not to be retried blindly
 * @see https://developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html
 */
export function classify(errcode: number, path: string): ErrorClass {
  if (errcode === 40001 && SECRET_APIS.has(path)) return 'config';
  if (ASKED_OF_THE_ADMINISTRATOR.has(errcode) && path.startsWith('/cgi-bin/message/mass/'))
    return 'awaiting_confirmation';
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
  feature_banned: {
    zh: '微信已因违规停用该账号的这项能力，请账号管理员登录微信公众平台查看原因与期限。',
    en: "WeChat has taken this ability from the account as a punishment. Its administrator finds reason and term in WeChat's console.",
  },
  user_unknown: {
    zh: 'OpenID 不正确、不属于该账号，或该用户从未关注。请检查用户属性中的 OpenID 与账号是否对应。',
    en: 'The openid is wrong, of another account, or of somebody who never followed. Check that the user property holds the openid of this account.',
  },
  user_not_follower: {
    zh: '该用户没有关注该账号，关注后才能发送。',
    en: 'The person does not follow the account and has to follow it first.',
  },
  user_blocked: {
    zh: '该用户拒收该账号的消息，或受未成年人保护限制。无需重试，请改用其他渠道。',
    en: 'The person refuses messages of the account, or is protected as a minor. Do not try again; use another channel.',
  },
  user_blacklisted: {
    zh: '该用户在该账号的黑名单中，移出黑名单后才能发送。',
    en: "The person is on the account's blacklist and has to be taken off it first.",
  },
  user_throttled: {
    zh: '向该用户发送得过于频繁，请数小时后再发。',
    en: 'The person got too many messages lately. Send again in some hours.',
  },
  user_busy: {
    zh: '正在向该用户发送另一条消息，请几秒后重试。',
    en: 'Another message to the person is on its way. Try again in some seconds.',
  },
  window_closed: {
    zh: '已超出客服消息的时间窗口或用户已取消关注，等用户再次互动后才能发送。',
    en: 'Outside the customer-service window, or the person has unfollowed: the person has to interact again first.',
  },
  window_used_up: {
    zh: '该用户此次互动允许的消息条数已用完，等用户再次互动后才能发送。',
    en: 'All messages that this interaction allows are used up: the person has to interact again first.',
  },
  no_grant: {
    zh: '该用户没有订阅该模板、订阅次数已用完或已取消订阅，请在小程序内再次请求订阅。',
    en: 'The person has not subscribed to the template, has used it up, or has withdrawn. Ask for the subscription again in the mini-program.',
  },
  content_refused: {
    zh: '微信认为内容含营销信息或敏感词，请修改内容后再发。',
    en: 'WeChat takes the content for marketing, or found a sensitive word. Change it and send again.',
  },
  content_invalid: {
    zh: '内容不符合微信的格式要求（类型、长度、链接或页面），请按 errmsg 修改后再发。',
    en: 'The content breaks a rule of WeChat: its type, length, link or page. Change what errmsg names and send again.',
  },
  field_invalid: {
    zh: '模板字段的值不符合其类型的规则，errmsg 中有字段名，请修改后再发。',
    en: 'The value of a template field breaks the rule of its type. Errmsg names the field: change it and send again.',
  },
  template_invalid: {
    zh: '模板不属于该账号、类型不符或已被停用，请刷新模板列表并重新选择模板。',
    en: 'The template is not of this account, not of this kind, or banned. Refresh the list of templates and choose another one.',
  },
  media_expired: {
    zh: '微信上的素材已过期（临时素材保存三天）或不属于该账号，请重新上传。',
    en: 'The medium has expired at WeChat, which keeps it for three days, or is of another account. Upload it again.',
  },
  media_invalid: {
    zh: '微信不接受该文件的类型、格式或大小，请转换或压缩后重新上传。',
    en: "WeChat does not take the file's kind, format or size. Convert it or make it smaller, and upload it again.",
  },
  audience_invalid: {
    zh: '接收人列表或标签不正确，请刷新标签并检查接收人数量（2 至 10000 人）。',
    en: 'The list of recipients or the tag is wrong. Refresh the tags and check the number of recipients, 2 to 10,000.',
  },
  duplicate: {
    zh: '之前的调用已经完成，无需重复。',
    en: 'An earlier call has done this already. Nothing is left to do.',
  },
  quota_period: {
    zh: '本周期的群发次数已用完，请等到下一个周期。',
    en: 'The broadcasts of this period are used up. Wait for the next one.',
  },
  limit_reached: {
    zh: '账号的模板或素材数量已达上限，请在微信公众平台删除不用的，或稍后再改。',
    en: "The account's limit of templates or of its library is reached. Delete what is not used in WeChat's console, or change it later.",
  },
  awaiting_confirmation: {
    zh: '需要账号管理员在微信中确认，确认前不会发送；被拒绝或超时则需要重新发起。',
    en: 'The account administrator has to confirm it in WeChat, and nothing is sent before. Once refused or too late, it has to be started again.',
  },
  console_action: {
    zh: '请账号的运营者登录微信公众平台处理（同意群发协议、处理草稿或视频状态等）后再试。',
    en: "Somebody who runs the account has to act in WeChat's console first: agree to the terms of broadcasts, or sort out the draft or the video. Then try again.",
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

const WRONG_SCENE: Text = {
  zh: '小程序码的场景值不正确：最多 32 个字符，只能用数字、英文字母和部分符号，不能用中文与 %。请修改后再试。',
  en: 'The scene of the mini-program code is wrong: at most 32 digits, letters and some signs, neither Chinese nor %. Change it and try again.',
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
  40129: WRONG_SCENE,
  40159: {
    zh: '小程序页面路径为空或过长，请缩短后再试。',
    en: "The mini-program's path is empty or too long. Shorten it and try again.",
  },
  40169: WRONG_SCENE,
  40249: {
    zh: '微信认为该模板消息是营销内容，模板消息只能用于服务通知。请修改内容。',
    en: 'WeChat takes the template message for marketing; it is for notices of a service only. Change the content.',
  },
  41030: {
    zh: '小程序的已发布版本中没有该页面，请检查 page 或先发布小程序。',
    en: "The mini-program's published version has no such page. Check the page, or publish the mini-program first.",
  },
  43116: {
    zh: '该模板已被微信封禁，请账号管理员登录微信公众平台查看原因，并改用其他模板。',
    en: "WeChat has banned the template. The account's administrator finds the reason in WeChat's console; use another one.",
  },
  45002: {
    zh: '文字过长（约 2048 字节），请缩短后再发。',
    en: 'The text is too long, about 2,048 bytes are allowed. Shorten it and send again.',
  },
  45029: {
    zh: '账号的永久二维码或小程序码数量已达上限（十万个）且无法删除，请改用临时二维码或不限数量的小程序码。',
    en: 'The account has its 100,000 lasting codes, and none can be deleted. Use temporary QR codes, or mini-program codes of the unlimited sort.',
  },
  45056: {
    zh: '账号的标签已达上限（100 个），请在微信公众平台删除不用的标签。',
    en: "The account has its 100 tags. Delete those that are not used in WeChat's console.",
  },
  45057: {
    zh: '该标签下的粉丝超过十万，请先移出部分粉丝再删除标签。',
    en: 'More than 100,000 followers have the tag. Take it off some of them before you delete it.',
  },
  45058: {
    zh: '这是微信的系统标签，不能修改或删除，请换一个标签。',
    en: "The tag is WeChat's own and can be neither changed nor deleted. Choose another one.",
  },
  45059: {
    zh: '有粉丝的标签已达上限（20 个），请先取消该粉丝不用的标签。',
    en: 'A follower has 20 tags already. Take one off first.',
  },
  45157: {
    zh: '标签名不合规或已有同名标签，请换一个名称。',
    en: 'WeChat does not take the name of the tag, or there is one of this name. Choose another name.',
  },
  45158: {
    zh: '标签名过长（最多 30 个字符），请缩短。',
    en: 'The name of the tag is too long, 30 characters are allowed. Shorten it.',
  },
  48003: {
    zh: '账号尚未同意群发协议，请运营者登录微信公众平台手动群发一次并同意协议。',
    en: "The account has not agreed to the terms of broadcasts. Somebody who runs it has to open the broadcast page of WeChat's console once and agree.",
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
  85096: {
    zh: '微信保留了参数名 scancode_time，请从场景值中去掉它。',
    en: 'WeChat keeps the name scancode_time for itself. Take it out of the scene.',
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

/** The same where only the class is known. */
export function adviceOf(errorClass: ErrorClass): Text {
  return CLASS_ADVICE[errorClass];
}

/** Every code with a class, for tests and documentation. */
export const KNOWN_ERRCODES: readonly number[] = [...CLASSES.keys()];
