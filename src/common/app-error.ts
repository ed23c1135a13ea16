import type { Lang, Text } from './text.js';

interface Problem {
  status: number;
  title: Text;
  /** What to do next. */
  detail: Text;
}

/** Every refusal of the API: the stable code, the status, and what a person does about it. */
export const PROBLEMS = {
  malformed_body: {
    status: 400,
    title: { zh: '请求体不是 JSON', en: 'The body is not JSON' },
    detail: {
      zh: '请以 UTF-8 编码的 JSON 对象作为请求体，并设置 Content-Type: application/json。',
      en: 'Send a JSON object in UTF-8 with Content-Type: application/json.',
    },
  },
  malformed_form: {
    status: 400,
    title: { zh: '表单无法读取', en: 'The form cannot be read' },
    detail: {
      zh: '请以 multipart/form-data 完整发送：一个名为 file 的文件，其余字段各一次，且不超过 1 KiB。',
      en: 'Send multipart/form-data, to its end: one file named `file`, and each of the other fields once, with 1 KiB at the most.',
    },
  },
  invalid_query: {
    status: 400,
    title: { zh: '查询参数有误', en: 'A query parameter is wrong' },
    detail: {
      zh: '请按 errors 中的说明修改后重试。',
      en: 'Correct what `errors` names and try again.',
    },
  },
  invalid_header: {
    status: 400,
    title: { zh: '请求头有误', en: 'A header is wrong' },
    detail: {
      zh: 'X-Tenant-Id 应为 1–64 位小写字母、数字或连字符；Idempotency-Key 应为 1–255 个可打印的 ASCII 字符。',
      en: 'X-Tenant-Id must be 1..64 lower-case letters, digits or hyphens; Idempotency-Key 1..255 printable ASCII characters.',
    },
  },
  api_key_missing: {
    status: 401,
    title: { zh: '缺少 API 密钥', en: 'The API key is missing' },
    detail: {
      zh: '请在请求头中加入 Authorization: Bearer <API 密钥>。',
      en: 'Send the header Authorization: Bearer <api key>.',
    },
  },
  api_key_invalid: {
    status: 401,
    title: { zh: 'API 密钥无效', en: 'The API key is not valid' },
    detail: {
      zh: '请检查密钥是否完整；首个 owner 密钥由环境变量 ADMIN_API_KEY 指定，或在首次启动时打印。',
      en: 'Check that the key is complete. The first owner key is ADMIN_API_KEY, or was printed at the first start.',
    },
  },
  api_key_expired: {
    status: 401,
    title: { zh: 'API 密钥已过期', en: 'The API key has expired' },
    detail: {
      zh: '请让 owner 用 POST /api/v1/api-keys 签发新密钥，换上后删除旧密钥。',
      en: 'Have an owner make a new key with POST /api/v1/api-keys, use that one, and delete the old one.',
    },
  },
  role_too_small: {
    status: 403,
    title: { zh: '权限不足', en: 'The role is too small' },
    detail: {
      zh: '该操作需要更高的角色，请使用相应角色的 API 密钥。',
      en: 'Use an API key with the role that this call needs.',
    },
  },
  not_found: {
    status: 404,
    title: { zh: '未找到', en: 'Not found' },
    detail: {
      zh: '请检查地址与编号；也可能它属于其他租户。',
      en: 'Check the address and the id; it may also belong to another tenant.',
    },
  },
  api_key_name_in_use: {
    status: 409,
    title: { zh: '密钥名称已被占用', en: 'The name of the key is in use' },
    detail: {
      zh: '该租户已有同名密钥，请换一个名称，或先删除旧密钥。',
      en: 'The tenant has a key of this name. Choose another one, or delete the old key first.',
    },
  },
  api_key_in_use_by_caller: {
    status: 409,
    title: { zh: '不能删除正在使用的密钥', en: 'A key cannot delete itself' },
    detail: {
      zh: '这正是本次请求所用的密钥。请先签发另一个 owner 密钥，再用它删除此密钥。',
      en: 'This call is made with that very key. Make another owner key first, and delete this one with it.',
    },
  },
  account_not_authorized: {
    status: 409,
    title: { zh: '账号未授权', en: 'The account has not authorized us' },
    detail: {
      zh: '该账号的授权已结束或从未授予接口权限。请用 POST /api/v1/authorizations 发起授权，由账号管理员扫码。',
      en: 'Its authorization has ended or never held an API permission. Start one with POST /api/v1/authorizations and let its administrator scan.',
    },
  },
  reauthorization_required: {
    status: 409,
    title: { zh: '需要重新授权', en: 'A new authorization is needed' },
    detail: {
      zh: '微信不再接受该账号的凭据。请用 POST /api/v1/authorizations（带上 appid）发起授权，由账号管理员重新扫码。',
      en: 'WeChat no longer takes the credentials of the account. Start an authorization with POST /api/v1/authorizations and its `appid`, and let its administrator scan again.',
    },
  },
  account_disabled: {
    status: 409,
    title: { zh: '账号未启用', en: 'The account is not switched on' },
    detail: {
      zh: '停用的账号不能发送。请先用 POST …/enable 启用（可用 GET …/enable-checks 查看检查结果）。',
      en: 'An account that is switched off sends nothing. Switch it on with POST …/enable; GET …/enable-checks shows what stands against it.',
    },
  },
  scene_not_available: {
    status: 409,
    title: { zh: '账号当前不能发送这类消息', en: 'The account cannot send this kind now' },
    detail: {
      zh: '请按 errors 中的原因处理后重试；账号各场景的状态见 GET /api/v1/accounts/{appid}。',
      en: 'Do what `errors` says and try again. GET /api/v1/accounts/{appid} shows what the account can do.',
    },
  },
  media_in_use: {
    status: 409,
    title: { zh: '素材正在使用', en: 'The medium is in use' },
    detail: {
      zh: 'errors 中的自动回复或渠道码还在用它回复。请先为它们换一个素材，再删除。',
      en: 'What `errors` names answers with it. Give those another medium first, then delete it.',
    },
  },
  qr_codes_not_available: {
    status: 409,
    title: { zh: '账号当前不能创建二维码', en: 'The account cannot make QR codes now' },
    detail: {
      zh: '请按 errors 中的原因处理后重试；账号各场景的状态见 GET /api/v1/accounts/{appid}。',
      en: 'Do what `errors` says and try again. GET /api/v1/accounts/{appid} shows what the account can do.',
    },
  },
  qr_codes_used_up: {
    status: 409,
    title: { zh: '永久二维码已用完', en: 'The permanent QR codes are used up' },
    detail: {
      zh: '微信每个服务号最多 100000 个永久二维码，且不能删除。请改用临时二维码（permanent 为 false），或沿用已有的二维码。',
      en: 'WeChat gives a service account 100,000 permanent codes and takes none back. Make a temporary one (`permanent` false), or use one that is there.',
    },
  },
  qr_code_active: {
    status: 409,
    title: { zh: '二维码正在使用', en: 'The QR code is active' },
    detail: {
      zh: '使用中的二维码不能删除。请先用 POST …/qr-codes/{id}/end 结束，再删除。',
      en: 'An active code cannot be deleted. End it first, with POST …/qr-codes/{id}/end.',
    },
  },
  qr_code_ended: {
    status: 409,
    title: { zh: '二维码已结束', en: 'The QR code has ended' },
    detail: {
      zh: '已结束的二维码不能修改。请用 POST …/qr-codes/{id}/copy 复制一个新的。',
      en: 'An ended code cannot be changed. Make a new one of it, with POST …/qr-codes/{id}/copy.',
    },
  },
  send_config_missing: {
    status: 409,
    title: { zh: '小程序尚未配置发送', en: 'The mini-program has no send configuration' },
    detail: {
      zh: '请先用 PUT /api/v1/accounts/{appid}/send-config 保存 Access Token URL 或 AppSecret。',
      en: 'Save an Access Token URL or an AppSecret with PUT /api/v1/accounts/{appid}/send-config first.',
    },
  },
  access_token_url_in_use: {
    status: 409,
    title: { zh: '该地址已用于另一个小程序', en: 'Another mini-program uses this address' },
    detail: {
      zh: '一个 Access Token URL 只能用于一个小程序。请为此小程序填写返回其自身令牌的地址。',
      en: 'An Access Token URL serves one mini-program only. Give the address that answers with the token of this one.',
    },
  },
  openid_property_in_use: {
    status: 409,
    title: { zh: 'OpenID 属性已被占用', en: 'The OpenID property is in use' },
    detail: {
      zh: '该租户的另一个账号已使用此属性，请换一个属性。',
      en: 'Another account of the tenant uses this property. Choose another one.',
    },
  },
  user_property_in_use: {
    status: 409,
    title: { zh: '用户属性正在使用', en: 'A user property is in use' },
    detail: {
      zh: 'errors 中的属性已被账号用作 OpenID 属性，不能删除或改为非文本类型。请先为这些账号更换属性。',
      en: 'The properties in `errors` hold the openids of accounts and can neither go nor become another type than text. Choose another property for those accounts first.',
    },
  },
  enable_checks_failed: {
    status: 409,
    title: { zh: '启用检查未通过', en: 'The account may not be switched on yet' },
    detail: {
      zh: '请按 checks 中每一项的 fix 处理，然后重新启用。',
      en: 'Do what `fix` of each of the `checks` says, and enable it again.',
    },
  },
  account_enabled: {
    status: 409,
    title: { zh: '账号已启用', en: 'The account is switched on' },
    detail: {
      zh: '启用中的账号不能清除 OpenID 属性。请换成另一个属性，或先停用账号。',
      en: 'An account that is switched on cannot be without an OpenID property. Choose another one, or disable the account first.',
    },
  },
  account_unclaimed: {
    status: 409,
    title: { zh: '账号尚未归属租户', en: 'Nobody holds the account yet' },
    detail: {
      zh: '请先用 POST /api/v1/accounts/{appid}/claim 把账号归入一个租户。',
      en: 'Give the account to a tenant first, with POST /api/v1/accounts/{appid}/claim.',
    },
  },
  account_still_authorized: {
    status: 409,
    title: { zh: '账号仍在授权中', en: 'The account is still authorized' },
    detail: {
      zh: '平台无法代为取消授权。请账号管理员在微信公众平台取消（公众号：设置 → 公众号设置 → 授权管理；小程序：设置 → 第三方设置），然后重试删除。',
      en: "Only the administrator can end an authorization, in WeChat's console (official account: 设置 → 公众号设置 → 授权管理; mini-program: 设置 → 第三方设置). Delete it then.",
    },
  },
  quota_reset_budget_exhausted: {
    status: 409,
    title: { zh: '本月额度重置次数已用完', en: 'The quota resets of this month are used up' },
    detail: {
      zh: '微信每个账号每月（北京时间）最多重置 10 次，所有平台与控制台共用。请等到下个月。',
      en: 'WeChat resets the quota of an account ten times a month (Beijing time), whoever asks. Wait for the next month.',
    },
  },
  event_cursor_expired: {
    status: 410,
    title: { zh: '事件已超过保留期', en: 'The events are no longer kept' },
    detail: {
      zh: '事件保留 7 天，该位置之后的部分事件已删除，或数据库曾从备份恢复。请不带 after 从最早保留的事件重新读取，并用 GET /api/v1/accounts 核对账号状态。',
      en: 'Events are kept for 7 days and some behind this position are gone, or the database was restored from a backup. Read again without `after`, and compare the accounts with GET /api/v1/accounts.',
    },
  },
  too_many_auto_replies: {
    status: 409,
    title: { zh: '自动回复规则已达上限', en: 'There are too many automatic replies' },
    detail: {
      zh: '每个账号最多 10000 条规则。请删除不再使用的规则，或把多个关键词合并到一条。',
      en: 'An account may have 10,000 rules. Delete some that are no longer used, or put several keywords into one.',
    },
  },
  push_not_parked: {
    status: 409,
    title: { zh: '推送未被搁置', en: 'The push is not parked' },
    detail: {
      zh: '只有 state 为 parked 的推送可以重新处理，请刷新列表。',
      en: 'Only a push whose `state` is `parked` can be driven again. Refresh the list.',
    },
  },
  work_not_dead: {
    status: 409,
    title: { zh: '任务未失败', en: 'The work is not dead' },
    detail: {
      zh: '只有 state 为 dead 的任务可以重试，请刷新列表。',
      en: 'Only work whose `state` is `dead` can be tried again. Refresh the list.',
    },
  },
  idempotency_key_in_progress: {
    status: 409,
    title: { zh: '相同请求正在处理', en: 'The same request is still running' },
    detail: {
      zh: '使用此 Idempotency-Key 的第一个请求尚未结束，请按 Retry-After 稍后用同一个键重试。',
      en: 'The first request with this Idempotency-Key has not ended. Try again with the same key after `Retry-After`.',
    },
  },
  body_too_large: {
    status: 413,
    title: { zh: '请求体过大', en: 'The body is too large' },
    detail: { zh: '请求体上限为 256 KiB。', en: 'A body may have 256 KiB at the most.' },
  },
  media_too_large: {
    status: 413,
    title: { zh: '文件过大', en: 'The file is too large' },
    detail: {
      zh: '上限：图片 2 MB、语音 2 MB、视频 10 MB、缩略图 64 KB。请压缩后重新上传。',
      en: 'The limits are 2 MB for an image, 2 MB for a voice, 10 MB for a video and 64 KB for a thumb. Make it smaller and upload it again.',
    },
  },
  unsupported_media_type: {
    status: 415,
    title: { zh: '不支持的 Content-Type', en: 'The Content-Type is not supported' },
    detail: {
      zh: '请设置 Content-Type: application/json；上传文件时为 multipart/form-data。',
      en: 'Send Content-Type: application/json, or multipart/form-data to upload a file.',
    },
  },
  kind_not_supported: {
    status: 422,
    title: { zh: '该账号不支持此类消息', en: 'The account has no such messages' },
    detail: {
      zh: '模板消息属于服务号，订阅消息属于小程序，群发属于公众号。请换一种 kind，或换一个账号。',
      en: 'Template messages are for service accounts, subscription messages for mini-programs, broadcasts for official accounts. Choose another kind, or another account.',
    },
  },
  qr_codes_not_supported: {
    status: 422,
    title: { zh: '该账号不支持带参数的二维码', en: 'The account has no parametric QR codes' },
    detail: {
      zh: '带参数的二维码属于服务号与小程序，订阅号没有。请换一个账号。',
      en: 'Parametric codes are for service accounts and mini-programs; subscription accounts have none. Choose another account.',
    },
  },
  unknown_user_property: {
    status: 422,
    title: { zh: '用户属性不存在', en: 'There is no such user property' },
    detail: {
      zh: '该属性不在 GET /api/v1/user-properties 中，请从中选择，或先更新属性目录。',
      en: 'The property is not in GET /api/v1/user-properties. Choose one of them, or replace the catalogue first.',
    },
  },
  user_property_not_text: {
    status: 422,
    title: { zh: '用户属性不是文本类型', en: 'The user property is no text' },
    detail: {
      zh: 'OpenID 是文本，请选择 dataType 为 string 或 text 的属性。',
      en: 'An openid is a text: choose a property whose dataType is string or text.',
    },
  },
  official_account_only: {
    status: 422,
    title: { zh: '仅适用于公众号', en: 'For official accounts only' },
    detail: {
      zh: '小程序不支持此操作。',
      en: 'A mini-program does not have this.',
    },
  },
  confirmation_mismatch: {
    status: 422,
    title: { zh: '确认内容不符', en: 'The confirmation does not match' },
    detail: {
      zh: '请在查询参数 confirm 中填入要删除的账号的 AppID。',
      en: 'Repeat the appid of the account that is to be deleted in the query parameter `confirm`.',
    },
  },
  idempotency_key_reused: {
    status: 422,
    title: { zh: 'Idempotency-Key 已用于其他请求', en: 'The Idempotency-Key was used before' },
    detail: {
      zh: '24 小时内，此键已用于方法、地址或请求体不同的请求。重试请原样重发；新的请求请换一个键。',
      en: 'Within 24 hours the key was used for a request with another method, address or body. Send a retry unchanged, and a new request with a new key.',
    },
  },
  validation_failed: {
    status: 422,
    title: { zh: '请求内容有误', en: 'The body has wrong fields' },
    detail: {
      zh: '请按 errors 中的说明修改后重试。',
      en: 'Correct what `errors` names and try again.',
    },
  },
  media_not_found: {
    status: 422,
    title: { zh: '素材不存在', en: 'There is no such medium' },
    detail: {
      zh: '该账号没有此 mediaId 的素材。请用 POST /api/v1/accounts/{appid}/media 上传，使用返回的 id；其他账号的素材不能使用。',
      en: 'The account has no medium of this `mediaId`. Upload one with POST /api/v1/accounts/{appid}/media and use its id; one of another account cannot be used.',
    },
  },
  media_not_usable: {
    status: 422,
    title: { zh: '素材不能这样使用', en: 'The medium cannot be used like this' },
    detail: {
      zh: '请按 errors 中的说明换一个素材，或转换后重新上传。',
      en: 'Do what `errors` says: use another medium, or convert this one and upload it again.',
    },
  },
  mini_program_only: {
    status: 422,
    title: { zh: '仅适用于小程序', en: 'For mini-programs only' },
    detail: {
      zh: '该账号是公众号，没有此项配置。请使用小程序的 appid。',
      en: 'The account is an official account, which has no such configuration. Use the appid of a mini-program.',
    },
  },
  send_config_rejected: {
    status: 422,
    title: { zh: '取不到令牌，没有保存', en: 'No token came, nothing was saved' },
    detail: {
      zh: '请按 errors 中的步骤说明修改后重试；若确需先保存，可加上 ?verify=false。',
      en: 'Do what `errors` says about the step that failed and try again. To save it untried, add ?verify=false.',
    },
  },
  too_many_requests: {
    status: 429,
    title: { zh: '请求过于频繁', en: 'Too many requests' },
    detail: {
      zh: '该密钥的请求过快，请在 Retry-After 秒后重试，并降低频率。',
      en: 'This key sends requests too fast. Try again after Retry-After seconds, and more slowly.',
    },
  },
  too_many_wrong_keys: {
    status: 429,
    title: { zh: '无效密钥过多', en: 'Too many wrong API keys' },
    detail: {
      zh: '来自该地址的无效密钥过多。请检查所用密钥，在 Retry-After 秒后重试。',
      en: 'Too many wrong keys came from this address. Check the key, and try again after Retry-After seconds.',
    },
  },
  internal_error: {
    status: 500,
    title: { zh: '内部错误', en: 'Internal error' },
    detail: {
      zh: '请稍后重试；如仍失败，请把 requestId 交给运维人员查日志。',
      en: 'Try again later. If it keeps failing, give the requestId to the operator.',
    },
  },
  wechat_error: {
    status: 502,
    title: { zh: '微信拒绝了请求', en: 'WeChat refused' },
    detail: { zh: '请按 wechat.advice 处理。', en: 'Do what `wechat.advice` says.' },
  },
  storage_unavailable: {
    status: 503,
    title: { zh: '数据库暂时不可用', en: 'The database is away' },
    detail: { zh: '请稍后重试。', en: 'Try again in a moment.' },
  },
  token_unavailable: {
    status: 503,
    title: { zh: '暂时取不到令牌', en: 'There is no token for now' },
    detail: {
      zh: '微信暂时没有给出访问令牌，服务会自动重试。请稍后再试；如持续失败，请查看日志中的 token.refresh_failed。',
      en: 'WeChat gives no access token for now, and it is tried again by itself. Try later; if it keeps failing, look for token.refresh_failed in the log.',
    },
  },
  send_token_unavailable: {
    status: 503,
    title: {
      zh: '小程序的令牌暂时取不到',
      en: "The mini-program's token is not to be had for now",
    },
    detail: {
      zh: '发送配置暂时没有给出可用的令牌，服务会自动重试。请按 errors 处理，然后用 POST /api/v1/accounts/{appid}/send-config/test 测试。',
      en: 'The send configuration gives no usable token for now, and it is tried again by itself. Do what `errors` says, then try it with POST /api/v1/accounts/{appid}/send-config/test.',
    },
  },
  templates_unavailable: {
    status: 503,
    title: { zh: '暂时读不到模板', en: 'The templates cannot be read for now' },
    detail: {
      zh: '不到一分钟前向微信读取模板失败。微信每天允许的读取次数很少，请在 Retry-After 秒后重试。',
      en: 'Reading the templates from WeChat failed less than a minute ago, and WeChat allows few tries a day. Try again after Retry-After seconds.',
    },
  },
  component_ticket_missing: {
    status: 503,
    title: { zh: '尚未收到微信的 ticket', en: "WeChat's ticket has not come yet" },
    detail: {
      zh: '请检查第三方平台的“授权事件接收配置”是否指向 GET /api/v1/component 所示的地址；也可调用 POST /api/v1/component/ticket-push，随后等待约十分钟。',
      en: 'Check that the platform console sends authorization events to the address in GET /api/v1/component, or call POST /api/v1/component/ticket-push and wait about ten minutes.',
    },
  },
  wechat_unavailable: {
    status: 504,
    title: { zh: '微信没有应答', en: 'WeChat did not answer' },
    detail: {
      zh: '请稍后重试；如持续失败，请检查服务器到 api.weixin.qq.com 的网络。',
      en: 'Try again later. If it keeps failing, check the network to api.weixin.qq.com.',
    },
  },
} as const satisfies Record<string, Problem>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface FieldError {
  /** Where, e.g. `accountType` or `properties.0.name`. */
  field: string;
  code: string;
  detail: Text;
}

/** A refusal that the caller is told about, by its code. */
export class AppError extends Error {
  override readonly name = 'AppError';

  constructor(
    readonly code: ProblemCode,
    readonly fields: readonly FieldError[] = [],
    /** When the caller may come again, where that is known. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(code);
  }

  /** What the answer says beside the members that every problem has, or in place of one. */
  members(_lang: Lang): object {
    return {};
  }
}
