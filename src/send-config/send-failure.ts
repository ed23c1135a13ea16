import type { Text } from '../common/text.js';

/** Where fetching a token came to an end: on the way to the address, in its answer, or at WeChat. */
export const SEND_STEPS = [
  'url',
  'blocked',
  'dns',
  'connect',
  'tls',
  'timeout',
  'status',
  'redirect',
  'too_large',
  'body',
  'pointer',
  'token',
  'app_secret',
  'ip_whitelist',
  'wechat',
] as const;
export type SendStep = (typeof SEND_STEPS)[number];

/** Why there is no token. Kept and shown: no secret and nothing of the answer may be in it. */
export interface SendFailure {
  step: SendStep;
  /** A word from below, e.g. `ECONNREFUSED` or `not_json`. */
  reason?: string | null;
  /** The HTTP status of the address. */
  status?: number | null;
  /** WeChat's code and words. */
  errcode?: number;
  errmsg?: string;
  /** The address to add to the whitelist; empty when WeChat does not name it. */
  ip?: string;
}

/** A way to a token that did not lead to one. */
export class SendTokenError extends Error {
  override readonly name = 'SendTokenError';

  constructor(readonly failure: SendFailure) {
    const { step, status, reason, errcode, errmsg } = failure;
    const words = [step, status, reason, errcode, errmsg].filter((word) => word !== undefined);
    super(`No token for sending: ${words.filter((word) => word !== null).join(' ')}`);
  }
}

const STEP_TEXTS: Readonly<Record<SendStep, Text>> = {
  url: {
    zh: '地址不可用：只接受不含用户名密码的 https 地址（内网与 http 需由运维人员在 OUTBOUND_ALLOWED_NETWORKS 中放行）。',
    en: 'The address cannot be used. Give an https address without user and password; private networks and plain http have to be allowed by the operator in OUTBOUND_ALLOWED_NETWORKS.',
  },
  blocked: {
    zh: '该地址指向内网或保留网段，已被拒绝。请改用公网 https 地址，或请运维人员将其网段加入 OUTBOUND_ALLOWED_NETWORKS。',
    en: 'The address leads into a private or reserved network and is refused. Use a public https address, or have the operator add its network to OUTBOUND_ALLOWED_NETWORKS.',
  },
  dns: {
    zh: '域名无法解析。请检查域名拼写与 DNS 记录。',
    en: 'The name cannot be resolved. Check its spelling and its DNS records.',
  },
  connect: {
    zh: '无法建立连接。请检查端口、防火墙，并确认令牌服务器允许本服务访问。',
    en: 'No connection. Check the port and the firewall, and that the token server lets this service in.',
  },
  tls: {
    zh: 'TLS 握手失败。请检查证书是否有效、完整（含中间证书）且与域名一致。',
    en: 'The TLS handshake failed. Check that the certificate is valid, complete with its intermediates, and made for the name.',
  },
  timeout: {
    zh: '5 秒内没有得到完整的应答。请检查令牌服务器是否过慢，或网络是否不通。',
    en: 'No complete answer within 5 seconds. Check whether the token server is slow or the network drops packets.',
  },
  status: {
    zh: '令牌服务器返回了非 2xx 的状态码。请检查地址、查询参数与请求头（鉴权）。',
    en: 'The token server answered with another status than 2xx. Check the address, its query and the headers that authenticate us.',
  },
  redirect: {
    zh: '令牌服务器要求跳转，跳转不会被跟随。请填写最终地址。',
    en: 'The token server redirects, which is not followed. Give the final address.',
  },
  too_large: {
    zh: '应答超过 64 KiB。请确认该地址只返回令牌。',
    en: 'The answer is larger than 64 KiB. Check that the address answers with the token only.',
  },
  body: {
    zh: '应答不完整、不是 HTTP，或经过压缩。请检查令牌服务器；不要压缩应答。',
    en: 'The answer broke off, is not HTTP, or is compressed. Check the token server, and have it answer without compression.',
  },
  pointer: {
    zh: '在应答中没有找到令牌或有效期。请检查 tokenPointer 与 expiresPointer（JSON Pointer，如 /data/access_token），并确认令牌服务器没有返回错误。',
    en: 'The token or its life was not found in the answer. Check `tokenPointer` and `expiresPointer` (JSON Pointers such as /data/access_token), and that the token server did not answer with an error.',
  },
  token: {
    zh: '取得的令牌不被微信接受。请确认返回的是该小程序当前的 access_token。',
    en: 'WeChat does not take the token that came. Make sure that it is the present access_token of this very mini-program.',
  },
  app_secret: {
    zh: '微信不接受该 AppSecret。请在微信公众平台“开发管理→开发设置”核对或重置；已冻结的请先解冻（约十分钟生效）。',
    en: "WeChat does not take the AppSecret. Check or reset it in WeChat's console (开发管理 → 开发设置); a frozen one has to be unfrozen first, which takes ten minutes.",
  },
  ip_whitelist: {
    zh: '本服务的出口 IP 不在小程序的 IP 白名单中，或有待管理员确认。请在微信公众平台“开发管理→开发设置→IP白名单”中添加。',
    en: "Our address is not in the mini-program's IP whitelist, or waits for its administrator. Add it in WeChat's console (开发管理 → 开发设置 → IP白名单).",
  },
  wechat: {
    zh: '微信没有应答或拒绝了请求。请稍后重试；如持续失败，请检查服务器到 api.weixin.qq.com 的网络。',
    en: 'WeChat refused or did not answer. Try again later; if it keeps failing, check the network to api.weixin.qq.com.',
  },
};

/** Where the reason says more than the step. */
const REASON_TEXTS: Readonly<Record<string, Text>> = {
  https_required: {
    zh: '公网地址必须使用 https。',
    en: 'A public address has to be https.',
  },
  not_json: {
    zh: '应答不是 JSON。',
    en: 'The answer is not JSON.',
  },
  no_token: {
    zh: '应答中没有令牌。',
    en: 'There is no token in the answer.',
  },
  no_expiry: {
    zh: 'expiresPointer 处不是秒数或时间戳。',
    en: 'There is neither a number of seconds nor a timestamp at `expiresPointer`.',
  },
  shape: {
    zh: '取得的文本不像微信的 access_token。',
    en: 'The text that came does not look like an access_token of WeChat.',
  },
  other_account: {
    zh: '该令牌属于另一个账号。',
    en: 'The token belongs to another account.',
  },
};

/** What to tell the person: what happened, and what to do about it. */
export function failureText(failure: SendFailure): Text {
  const { step, reason, status, errcode, errmsg, ip } = failure;
  const text = STEP_TEXTS[step];
  const why = REASON_TEXTS[reason ?? ''] ?? { zh: '', en: '' };
  const code = why.zh ? null : reason;
  const facts = [
    status && `HTTP ${status}`,
    code,
    ip && `IP ${ip}`,
    errcode !== undefined && `${errcode} ${errmsg ?? ''}`.trim(),
  ].filter(Boolean);
  return {
    zh: why.zh + text.zh + (facts.length > 0 ? `（${facts.join('，')}）` : ''),
    en: [why.en, text.en, facts.length > 0 && `(${facts.join(', ')})`].filter(Boolean).join(' '),
  };
}
