import { MINIMUM_PERMISSIONS, permissionName } from '@app/wechat';

import type { Account } from './account.entity.js';

export interface PermissionRef {
  id: number;
  /** WeChat's own name for it. */
  name: string;
}

export function minimumOf({ accountType }: Pick<Account, 'accountType'>): number[] {
  return MINIMUM_PERMISSIONS[accountType].map(({ id }) => id);
}

/** What of the minimum the account's administrator did not grant. */
export function missingPermissions(
  account: Pick<Account, 'accountType' | 'permissionIds'>,
): PermissionRef[] {
  return toPermissionRefs(minimumOf(account).filter((id) => !account.permissionIds.includes(id)));
}

export function toPermissionRefs(ids: readonly number[]): PermissionRef[] {
  return ids.map((id) => ({ id, name: permissionName(id) }));
}

/** The permission sets that have come and gone. */
export function comparePermissions(
  before: readonly number[],
  after: readonly number[],
): { gained: number[]; lost: number[] } {
  return {
    gained: after.filter((id) => !before.includes(id)),
    lost: before.filter((id) => !after.includes(id)),
  };
}
