import type { AccountSubtype, AccountType } from '@app/wechat';

import type { Text } from '../common/text.js';
import type { Account } from './account.entity.js';
import { toPermissionRefs } from './permissions.js';

export const SCENES = [
  'broadcast',
  'template_message',
  'customer_service_message',
  'subscription_message',
  'auto_reply',
  'qr_code',
] as const;
export type Scene = (typeof SCENES)[number];

/** What of a mini-program's configuration a scene may stand on. */
export const CONDITIONS = ['send_config', 'receipt_config'] as const;
export type Condition = (typeof CONDITIONS)[number];

/** What is known of an account beside its row. */
export interface SceneFacts {
  conditions: ReadonlySet<Condition>;
  /** WeChat's APIs whose quota is used up, with the moment until which we hold back. */
  paused: ReadonlyMap<string, Date>;
}

export interface SceneReason {
  code:
    | 'kind_not_supported'
    | 'account_not_authorized'
    | 'account_disabled'
    | 'account_not_verified'
    | 'permission_missing'
    | 'send_config_missing'
    | 'receipt_config_missing'
    | 'quota_exhausted';
  detail: Text;
  /** When it changes by itself, where that is known. */
  until: Date | null;
}

export interface SceneState {
  scene: Scene;
  available: boolean;
  /** Why it is not. */
  reasons: SceneReason[];
  /** It works, but something about it should be put right. */
  warnings: SceneReason[];
}

interface SceneRule {
  subtypes: readonly AccountSubtype[];
  /** Official accounts only: WeChat refuses the API to accounts that are not verified. */
  needsVerified: boolean;
  /** One of these permission sets must have been granted; none where a token of the account's own is used. */
  permissionIds: Readonly<Record<AccountType, readonly number[]>>;
  needs: readonly Condition[];
  wants: readonly Condition[];
  /** WeChat's APIs that carry it: when the quota of all of them is used up, it is not available. */
  paths: Readonly<Record<AccountType, readonly string[]>>;
}

const OFFICIAL = ['service_account', 'subscription_account'] as const;

/**
 * What each scene needs.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/product/offical_account_authority.html
 */
const RULES: Readonly<Record<Scene, SceneRule>> = {
  broadcast: {
    subtypes: OFFICIAL,
    needsVerified: true,
    permissionIds: { official_account: [7], mini_program: [] },
    needs: [],
    wants: [],
    paths: {
      official_account: ['/cgi-bin/message/mass/sendall', '/cgi-bin/message/mass/send'],
      mini_program: [],
    },
  },
  template_message: {
    subtypes: ['service_account'],
    needsVerified: true,
    permissionIds: { official_account: [7, 100, 101], mini_program: [] },
    needs: [],
    wants: [],
    paths: { official_account: ['/cgi-bin/message/template/send'], mini_program: [] },
  },
  customer_service_message: {
    subtypes: [...OFFICIAL, 'mini_program'],
    needsVerified: true,
    permissionIds: { official_account: [1, 6, 100, 101], mini_program: [19] },
    needs: [],
    wants: [],
    paths: {
      official_account: ['/cgi-bin/message/custom/send'],
      mini_program: ['/cgi-bin/message/custom/send'],
    },
  },
  subscription_message: {
    subtypes: ['mini_program'],
    needsVerified: false,
    permissionIds: { official_account: [], mini_program: [] },
    needs: ['send_config'],
    wants: ['receipt_config'],
    paths: { official_account: [], mini_program: ['/cgi-bin/message/subscribe/send'] },
  },
  auto_reply: {
    subtypes: OFFICIAL,
    needsVerified: false,
    permissionIds: { official_account: [1], mini_program: [] },
    needs: [],
    wants: [],
    paths: { official_account: [], mini_program: [] },
  },
  qr_code: {
    subtypes: ['service_account', 'mini_program'],
    needsVerified: true,
    permissionIds: { official_account: [3], mini_program: [17] },
    needs: [],
    wants: [],
    paths: {
      official_account: ['/cgi-bin/qrcode/create'],
      mini_program: ['/wxa/getwxacodeunlimit'],
    },
  },
};

/** What the account can do now, and for everything else why not. */
export function scenesOf(account: Account, facts: SceneFacts): SceneState[] {
  return SCENES.map((scene) => sceneOf(account, scene, facts));
}

/** The same of one scene. */
export function sceneOf(account: Account, scene: Scene, facts: SceneFacts): SceneState {
  const rule = RULES[scene];
  const lasting = lastingReasons(account, scene);
  if (!isSupported(account, rule))
    return { scene, available: false, reasons: lasting, warnings: [] };
  const reasons = [
    ...stateReasons(account),
    ...lasting,
    ...missing(rule.needs, facts),
    ...quotaReasons(account, rule, facts),
  ];
  const warnings = missing(rule.wants, facts);
  return { scene, available: reasons.length === 0, reasons, warnings };
}

/** The scenes that the account's sort, verification and permissions allow, whether it is switched on or not. */
export function allowedScenes(account: Account): Scene[] {
  return SCENES.filter((scene) => lastingReasons(account, scene).length === 0);
}

/** The scenes that WeChat's API carries, of those that a sort of account can have. */
export function scenesOfPath(accountType: AccountType, path: string): Scene[] {
  return SCENES.filter((scene) => RULES[scene].paths[accountType].includes(path));
}

function isSupported({ subtype }: Account, { subtypes }: SceneRule): boolean {
  return subtypes.includes(subtype);
}

/** What only WeChat, or another authorization, can change. */
function lastingReasons(account: Account, scene: Scene): SceneReason[] {
  const rule = RULES[scene];
  if (!isSupported(account, rule)) return [notSupported(account.subtype, scene)];
  const reasons: SceneReason[] = [];
  const isOfficial = account.accountType === 'official_account';
  if (rule.needsVerified && isOfficial && account.verifyType !== 0) reasons.push(NOT_VERIFIED);
  const ids = rule.permissionIds[account.accountType];
  if (ids.length > 0 && !ids.some((id) => account.permissionIds.includes(id)))
    reasons.push(permissionMissing(ids[0] ?? 0));
  return reasons;
}

function stateReasons({ authorizationState, enabled }: Account): SceneReason[] {
  return [
    ...(authorizationState === 'authorized' ? [] : [NOT_AUTHORIZED]),
    ...(enabled ? [] : [DISABLED]),
  ];
}

function missing(wanted: readonly Condition[], { conditions }: SceneFacts): SceneReason[] {
  return wanted
    .filter((condition) => !conditions.has(condition))
    .map((condition) => CONDITION_REASONS[condition]);
}

function quotaReasons(
  { accountType }: Account,
  { paths }: SceneRule,
  { paused }: SceneFacts,
): SceneReason[] {
  const ends = paths[accountType].map((path) => paused.get(path));
  const known = ends.filter((end) => end !== undefined);
  if (known.length === 0 || known.length < ends.length) return [];
  const until = new Date(Math.min(...known.map((end) => end.getTime())));
  return [
    {
      code: 'quota_exhausted',
      detail: {
        zh: '微信接口今日额度已用完。请等到次日，或重置额度。',
        en: "WeChat's quota of the day is used up. Wait for the next day, or reset it.",
      },
      until,
    },
  ];
}

const NAMES: Readonly<Record<Scene, Text>> = {
  broadcast: { zh: '群发', en: 'broadcasts' },
  template_message: { zh: '模板消息', en: 'template messages' },
  customer_service_message: { zh: '48 小时客服消息', en: 'customer-service messages' },
  subscription_message: { zh: '订阅消息', en: 'subscription messages' },
  auto_reply: { zh: '自动回复', en: 'automatic replies' },
  qr_code: { zh: '带参数的二维码', en: 'parametric QR codes' },
};

const SUBTYPE_NAMES: Readonly<Record<AccountSubtype, Text>> = {
  service_account: { zh: '服务号', en: 'A service account' },
  subscription_account: { zh: '订阅号', en: 'A subscription account' },
  mini_program: { zh: '小程序', en: 'A mini-program' },
};

function notSupported(subtype: AccountSubtype, scene: Scene): SceneReason {
  const [who, what] = [SUBTYPE_NAMES[subtype], NAMES[scene]];
  return {
    code: 'kind_not_supported',
    detail: { zh: `${who.zh}不支持${what.zh}。`, en: `${who.en} has no ${what.en}.` },
    until: null,
  };
}

function permissionMissing(id: number): SceneReason {
  const name = toPermissionRefs([id])[0]?.name ?? '';
  return {
    code: 'permission_missing',
    detail: {
      zh: `缺少“${name}”权限（${id}）。请重新授权并保留该权限。`,
      en: `The permission ${name} (${id}) was not granted. Authorize again and keep it ticked.`,
    },
    until: null,
  };
}

const reason = (code: SceneReason['code'], zh: string, en: string): SceneReason => ({
  code,
  detail: { zh, en },
  until: null,
});

const NOT_VERIFIED = reason(
  'account_not_verified',
  '账号未完成微信认证，微信不开放此接口。请先完成认证。',
  'WeChat refuses this API to accounts that are not verified. Have the account verified first.',
);
const NOT_AUTHORIZED = reason(
  'account_not_authorized',
  '账号的授权已失效，请由账号管理员重新扫码授权。',
  'The authorization no longer stands. The administrator has to scan again.',
);
const DISABLED = reason(
  'account_disabled',
  '账号未启用。请先通过启用检查并启用。',
  'The account is not switched on. Pass the checks and enable it.',
);
const CONDITION_REASONS: Readonly<Record<Condition, SceneReason>> = {
  send_config: reason(
    'send_config_missing',
    '未配置发送凭据（Access Token 地址或 AppSecret）。',
    'There is no send config (Access Token URL or AppSecret).',
  ),
  receipt_config: reason(
    'receipt_config_missing',
    '未配置回执地址：可以发送，但无法得知送达结果。',
    'There is no receipt config: messages can be sent, but what became of them stays unknown.',
  ),
};
