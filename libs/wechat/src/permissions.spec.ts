import { describe, expect, it } from '@jest/globals';

import {
  accountTypeOf,
  MINIMUM_PERMISSIONS,
  PERMISSION_SETS,
  permissionName,
} from './permissions.js';

describe('permission sets', () => {
  it('names the minimum of each kind of account as WeChat does', () => {
    const names = (type: 'official_account' | 'mini_program'): string[] =>
      MINIMUM_PERMISSIONS[type].map(({ id, name }) => `${id} ${name}`);
    expect(names('official_account')).toEqual([
      '1 消息管理',
      '2 用户管理',
      '3 账号服务',
      '7 群发与通知',
      '8 微信卡券',
      '11 素材管理',
      '15 菜单管理',
    ]);
    expect(names('mini_program')).toEqual([
      '17 获取小程序码',
      '19 小程序客服管理',
      '30 小程序基本信息管理',
      '88 小程序链接管理',
    ]);
  });

  it('asks for nothing that only one platform can hold', () => {
    const minimum = Object.values(MINIMUM_PERMISSIONS).flat();
    expect(minimum.map(({ id }) => PERMISSION_SETS.get(id)?.exclusive)).toEqual(
      Array(11).fill(false),
    );
  });

  it('gives an unknown id a name', () => {
    expect(permissionName(9999)).toBe('权限集 9999');
  });

  it.each([
    [[9999, 7], 'official_account'],
    [[17], 'mini_program'],
    [[], null],
    [[9999], null],
  ])('tells by %j that the account is %s', (ids, accountType) => {
    expect(accountTypeOf(ids)).toBe(accountType);
  });
});
