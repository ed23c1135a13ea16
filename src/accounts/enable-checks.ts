import type { AccountType } from '@app/wechat';

import type { Text } from '../common/text.js';
import type { Account } from './account.entity.js';
import { missingPermissions, type PermissionRef } from './permissions.js';

export const CHECK_IDS = [
  'authorization',
  'account_status',
  'wechat_verified',
  'minimum_permissions',
  'openid_property',
] as const;
export type CheckId = (typeof CHECK_IDS)[number];

/** A call of our own API that leads to the fix. */
export interface FixCall {
  method: 'POST' | 'PUT';
  /** Below the service's own address. */
  path: string;
  body: object;
}

/** Why an account may not be switched on, and what a person does about it. */
export interface CheckFailure {
  detail: Text;
  fix: Text;
  /** Where a call of ours leads to the fix; null where only WeChat's console does. */
  call: FixCall | null;
  missing?: PermissionRef[];
}

export interface CheckResult {
  check: CheckId;
  failure: CheckFailure | null;
}

interface Check {
  id: CheckId;
  appliesTo: readonly AccountType[];
  /** @returns null when it passes */
  test: (account: Account) => CheckFailure | null;
}

const EVERY: readonly AccountType[] = ['official_account', 'mini_program'];

const CHECKS: readonly Check[] = [
  { id: 'authorization', appliesTo: EVERY, test: testAuthorization },
  { id: 'account_status', appliesTo: EVERY, test: testStatus },
  { id: 'wechat_verified', appliesTo: ['official_account'], test: testVerification },
  { id: 'minimum_permissions', appliesTo: EVERY, test: testPermissions },
  { id: 'openid_property', appliesTo: EVERY, test: testOpenidProperty },
];

/** What the account must satisfy to be switched on, and whether it does, by what we hold of it. */
export function runChecks(account: Account): CheckResult[] {
  return CHECKS.filter(({ appliesTo }) => appliesTo.includes(account.accountType)).map(
    ({ id, test }) => ({ check: id, failure: test(account) }),
  );
}

/** The checks that the account fails. */
export function failingChecks(account: Account): CheckId[] {
  return runChecks(account).flatMap(({ check, failure }) => (failure ? [check] : []));
}

const SCAN_AGAIN: Text = {
  zh: '请发起重新授权，把返回的授权页地址交给账号管理员扫码。',
  en: 'Start a re-authorization and have the administrator of the account scan on the page that it answers.',
};

function testAuthorization({ appid, authorizationState }: Account): CheckFailure | null {
  if (authorizationState === 'authorized') return null;
  const detail: Text =
    authorizationState === 'unauthorized'
      ? {
          zh: '账号已在微信侧取消对本平台的授权。',
          en: 'The account has cancelled its authorization at WeChat.',
        }
      : {
          zh: '微信不再接受该账号的授权凭据。',
          en: 'WeChat no longer takes the credentials of the account.',
        };
  return { detail, fix: SCAN_AGAIN, call: reauthorization(appid) };
}

const STATUS_FAILURES: Readonly<
  Record<Exclude<Account['accountStatus'], 'normal'>, { detail: Text; fix: Text }>
> = {
  warned: {
    detail: { zh: '账号被微信警告（违规提醒）。', en: 'WeChat has warned the account.' },
    fix: {
      zh: '请账号管理员登录微信公众平台，在通知中心查看违规原因，整改并等待警告解除后刷新账号。',
      en: "The administrator finds the reason in the notices of WeChat's console, puts it right and, once the warning is lifted, refreshes the account here.",
    },
  },
  frozen: {
    detail: { zh: '账号已被微信冻结。', en: 'WeChat has frozen the account.' },
    fix: {
      zh: '请账号管理员登录微信公众平台按提示解冻，然后刷新账号。',
      en: "The administrator has it unfrozen in WeChat's console and refreshes the account here.",
    },
  },
  banned: {
    detail: { zh: '账号已被微信封禁。', en: 'WeChat has banned the account.' },
    fix: {
      zh: '请账号管理员登录微信公众平台申诉；解封后刷新账号。',
      en: "The administrator appeals in WeChat's console and, once it is lifted, refreshes the account here.",
    },
  },
  cancelled: {
    detail: { zh: '账号已在微信侧注销。', en: 'The account was closed at WeChat.' },
    fix: {
      zh: '注销的账号无法恢复，请改用其他账号；不再需要时可由 owner 删除。',
      en: 'A closed account does not come back: use another one, and have an owner delete this one when it is no longer needed.',
    },
  },
};

function testStatus({ accountStatus }: Account): CheckFailure | null {
  if (accountStatus === 'normal') return null;
  return { ...STATUS_FAILURES[accountStatus], call: null };
}

/** WeChat's verify_type 3, 4 and 5: the qualification was passed, the name was not verified yet. */
const NAME_PENDING = [3, 4, 5];

const REFRESH: FixCall = { method: 'POST', path: '/api/v1/accounts/sync', body: {} };

function testVerification({ verifyType }: Account): CheckFailure | null {
  if (verifyType === 0) return null;
  if (verifyType === null) {
    return {
      detail: {
        zh: '尚未从微信读取到认证信息。',
        en: 'Whether it is verified has not been read from WeChat yet.',
      },
      fix: {
        zh: '请刷新账号列表；如仍读取失败，请稍后重试。',
        en: 'Refresh the list of accounts; if it cannot be read, try again later.',
      },
      call: REFRESH,
    };
  }
  if (NAME_PENDING.includes(verifyType)) {
    return {
      detail: {
        zh: '账号已通过资质认证，但名称认证尚未完成。',
        en: 'The account has passed the qualification, but its name is not verified yet.',
      },
      fix: {
        zh: '请账号管理员在微信公众平台“设置与开发 → 微信认证”完成名称认证，审核通过后刷新账号。',
        en: "The administrator completes the verification of the name in WeChat's console (设置与开发 → 微信认证) and, once it is approved, refreshes the account here.",
      },
      call: REFRESH,
    };
  }
  return {
    detail: { zh: '账号未完成微信认证。', en: 'The account is not WeChat-verified.' },
    fix: {
      zh: '请账号管理员在微信公众平台“设置与开发 → 微信认证”申请认证，审核通过后刷新账号。',
      en: "The administrator applies for verification in WeChat's console (设置与开发 → 微信认证) and, once it is approved, refreshes the account here.",
    },
    call: REFRESH,
  };
}

function testPermissions(account: Account): CheckFailure | null {
  const missing = missingPermissions(account);
  if (missing.length === 0) return null;
  return {
    detail: {
      zh: `缺少权限：${missing.map(({ name }) => name).join('、')}。`,
      en: `Permissions are missing: ${missing.map(({ id, name }) => `${name} (${id})`).join(', ')}.`,
    },
    fix: {
      zh: '请发起只含所缺权限的重新授权，由账号管理员扫码并保留全部勾选。',
      en: 'Start a re-authorization for what is missing; the administrator scans and keeps everything ticked.',
    },
    call: reauthorization(
      account.appid,
      missing.map(({ id }) => id),
    ),
    missing,
  };
}

function testOpenidProperty({ appid, openidProperty }: Account): CheckFailure | null {
  if (openidProperty !== null) return null;
  return {
    detail: {
      zh: '未设置存放 OpenID 的用户属性。',
      en: 'The user property that holds the openids is not set.',
    },
    fix: {
      zh: '请为该账号选择一个文本类型的用户属性；每个账号使用各自的属性。',
      en: 'Choose a user property of type text for the account; each account has one of its own.',
    },
    call: {
      method: 'PUT',
      path: `/api/v1/accounts/${appid}/openid-property`,
      body: { property: '' },
    },
  };
}

function reauthorization(appid: string, permissionIds?: number[]): FixCall {
  return {
    method: 'POST',
    path: `/api/v1/accounts/${appid}/reauthorizations`,
    body: permissionIds ? { permissionIds } : {},
  };
}

export type SwitchOffReason = 'unauthorized' | 'cancelled' | 'banned' | 'frozen';

/** Why an enabled account cannot stay so; null for everything that only flags it. */
export function switchOffReason({
  authorizationState,
  accountStatus,
}: Account): SwitchOffReason | null {
  if (authorizationState === 'unauthorized') return 'unauthorized';
  switch (accountStatus) {
    case 'cancelled':
    case 'banned':
    case 'frozen':
      return accountStatus;
    case 'normal':
    case 'warned':
      return null;
  }
}
