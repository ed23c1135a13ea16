import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { PushAccounts } from '../src/pushes/push-accounts.js';
import { type Answer, startApp, type TestApp } from './app.js';
import { type AccountBody, authorizationOf, begin, getAccount } from './helpers.js';
import { until } from './until.js';

const INFO = '/cgi-bin/component/api_get_authorizer_info';
const TOKEN = '/cgi-bin/component/api_authorizer_token';
const FULL = [1, 2, 3, 7, 8, 11, 15];

interface Check {
  check: string;
  passed: boolean;
  detail: string | null;
  fix: string | null;
  call: { method: string; path: string; body: object } | null;
  missing?: { id: number; name: string }[];
}

interface Checks {
  passed: boolean;
  checks: Check[];
  source: string;
  dataAgeSeconds: number | null;
  warning?: string;
}

interface Event {
  type: string;
  appid: string | null;
  data: Record<string, unknown>;
}

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

interface Wanted {
  accountType?: 'official_account' | 'mini_program';
  permissionIds?: number[];
  openidProperty?: string | null;
  tenant?: string;
}

/** An account that could be switched on, unless it is asked for otherwise. */
async function authorized(wanted: Wanted = {}): Promise<string> {
  const appid = `wx${(0xe4ab1e00000 + ++serial).toString(16).padStart(16, '0')}`;
  const accountType = wanted.accountType ?? 'official_account';
  app.sandbox.addAccount({ appid, accountType, nickname: `启用${serial}` });
  const property = wanted.openidProperty === undefined ? `wx_${appid}` : wanted.openidProperty;
  const asked = { accountType, ...(property && { openidProperty: property }) };
  const { preAuthCode } = await begin(app, asked, wanted.tenant);
  await app.sandbox.authorize({
    appid,
    preAuthCode,
    ...(wanted.permissionIds && { permissionIds: wanted.permissionIds }),
  }).pushed;
  await app.settled();
  return appid;
}

/** Changes what WeChat says of the account. */
function change(appid: string, values: object): void {
  Object.assign(app.sandbox.account(appid), values);
}

const enable = (appid: string, headers: Record<string, string> = {}) =>
  app.api<AccountBody & { code: string; checks: Check[] }>(
    'POST',
    `/accounts/${appid}/enable`,
    undefined,
    headers,
  );
const checksOf = (appid: string, headers: Record<string, string> = {}): Promise<Answer<Checks>> =>
  app.api<Checks>('GET', `/accounts/${appid}/enable-checks`, undefined, headers);
const refresh = (): Promise<Answer> => app.api('POST', '/accounts/sync');

async function eventsOf(appid: string): Promise<Event[]> {
  const all = await app.api<{ items: Event[]; after: string }>('GET', '/events?limit=200');
  const items = [...all.body.items];
  let { after } = all.body;
  for (;;) {
    const { body } = await app.api<typeof all.body>('GET', `/events?limit=200&after=${after}`);
    if (body.items.length === 0) break;
    items.push(...body.items);
    after = body.after;
  }
  return items.filter((event) => event.appid === appid);
}

async function auditOf(appid: string): Promise<{ action: string; detail: object }[]> {
  const path = `/audit-log?limit=200&target=${appid}`;
  return (await app.api<{ items: { action: string; detail: object }[] }>('GET', path)).body.items;
}

describe('an account that satisfies every check', () => {
  it.each(['official_account', 'mini_program'] as const)(
    'is switched on and off, an %s',
    async (accountType) => {
      const appid = await authorized({ accountType });
      const { body: checks } = await checksOf(appid);
      expect(checks).toMatchObject({ passed: true, source: 'wechat', dataAgeSeconds: 0 });
      expect(checks.checks.map(({ check }) => check)).toEqual(
        accountType === 'official_account'
          ? [
              'authorization',
              'account_status',
              'wechat_verified',
              'minimum_permissions',
              'openid_property',
            ]
          : ['authorization', 'account_status', 'minimum_permissions', 'openid_property'],
      );
      expect((await getAccount(app, appid))?.enabled).toBe(false);

      expect(await enable(appid)).toMatchObject({ status: 200, body: { appid, enabled: true } });
      expect(await enable(appid)).toMatchObject({ status: 200, body: { enabled: true } });
      const off = () => app.api('POST', `/accounts/${appid}/disable`);
      expect(await off()).toMatchObject({ status: 200, body: { appid, enabled: false } });
      expect(await off()).toMatchObject({ status: 200, body: { enabled: false } });

      const told = (await eventsOf(appid)).filter(({ type }) => /(en|dis)abled$/.test(type));
      expect(told).toMatchObject([
        { type: 'account.enabled', data: { appid, accountType } },
        { type: 'account.disabled', data: { reason: 'requested' } },
      ]);
      const written = (await auditOf(appid)).map(({ action }) => action);
      expect(written.filter((action) => /(en|dis)abled$/.test(action))).toEqual([
        'account.disabled',
        'account.enabled',
      ]);
    },
  );

  it('has its messages taken in while it is on, and answered and forgotten while it is off', async () => {
    const appid = await authorized();
    /** How many of one message are kept. */
    const push = async (): Promise<number> => {
      const count = async (): Promise<number> =>
        (await app.api<{ items: object[] }>('GET', `/pushes?account=${appid}`)).body.items.length;
      const before = await count();
      const fields = { MsgType: 'text', Content: `第${++serial}条` };
      expect(await app.sandbox.pushMessage(appid, fields)).toMatchObject({ delivered: true });
      return (await count()) - before;
    };
    expect(await push()).toBe(0);
    await enable(appid);
    // What was read of the account a moment ago is believed for a second.
    const accounts = app.app.get(PushAccounts);
    await until(async () => (await accounts.find(appid)) !== null);
    expect(await push()).toBe(1);
    await app.api('POST', `/accounts/${appid}/disable`);
    await until(async () => (await accounts.find(appid)) === null);
    expect(await push()).toBe(0);
  });
});

const SCAN_AGAIN: [string, string] = [
  '请发起重新授权，把返回的授权页地址交给账号管理员扫码。',
  'Start a re-authorization and have the administrator of the account scan on the page that it answers.',
];
const SCAN_FOR_MISSING: [string, string] = [
  '请发起只含所缺权限的重新授权，由账号管理员扫码并保留全部勾选。',
  'Start a re-authorization for what is missing; the administrator scans and keeps everything ticked.',
];

/** Each check with each reason why it fails: what a person reads, in both languages. */
const FAILURES: [
  name: string,
  wanted: Wanted & { before?: object; cancel?: boolean },
  expected: {
    check: string;
    detail: [string, string];
    fix: [string, string];
    call: { method: string; path: string; body: object } | null;
  },
][] = [
  [
    'cancelled at WeChat',
    { cancel: true },
    {
      check: 'authorization',
      detail: [
        '账号已在微信侧取消对本平台的授权。',
        'The account has cancelled its authorization at WeChat.',
      ],
      fix: SCAN_AGAIN,
      call: { method: 'POST', path: '/api/v1/accounts/{appid}/reauthorizations', body: {} },
    },
  ],
  [
    'warned',
    { before: { accountStatus: 18 } },
    {
      check: 'account_status',
      detail: ['账号被微信警告（违规提醒）。', 'WeChat has warned the account.'],
      fix: [
        '请账号管理员登录微信公众平台，在通知中心查看违规原因，整改并等待警告解除后刷新账号。',
        "The administrator finds the reason in the notices of WeChat's console, puts it right and, once the warning is lifted, refreshes the account here.",
      ],
      call: null,
    },
  ],
  [
    'frozen',
    { before: { accountStatus: 19 } },
    {
      check: 'account_status',
      detail: ['账号已被微信冻结。', 'WeChat has frozen the account.'],
      fix: [
        '请账号管理员登录微信公众平台按提示解冻，然后刷新账号。',
        "The administrator has it unfrozen in WeChat's console and refreshes the account here.",
      ],
      call: null,
    },
  ],
  [
    'banned',
    { before: { accountStatus: 16 } },
    {
      check: 'account_status',
      detail: ['账号已被微信封禁。', 'WeChat has banned the account.'],
      fix: [
        '请账号管理员登录微信公众平台申诉；解封后刷新账号。',
        "The administrator appeals in WeChat's console and, once it is lifted, refreshes the account here.",
      ],
      call: null,
    },
  ],
  [
    'closed',
    { before: { accountStatus: 14 } },
    {
      check: 'account_status',
      detail: ['账号已在微信侧注销。', 'The account was closed at WeChat.'],
      fix: [
        '注销的账号无法恢复，请改用其他账号；不再需要时可由 owner 删除。',
        'A closed account does not come back: use another one, and have an owner delete this one when it is no longer needed.',
      ],
      call: null,
    },
  ],
  ...[-1, 1, 2].map((verifyType): (typeof FAILURES)[number] => [
    `not verified (${verifyType})`,
    { before: { verifyType } },
    {
      check: 'wechat_verified',
      detail: ['账号未完成微信认证。', 'The account is not WeChat-verified.'],
      fix: [
        '请账号管理员在微信公众平台“设置与开发 → 微信认证”申请认证，审核通过后刷新账号。',
        "The administrator applies for verification in WeChat's console (设置与开发 → 微信认证) and, once it is approved, refreshes the account here.",
      ],
      call: { method: 'POST', path: '/api/v1/accounts/sync', body: {} },
    },
  ]),
  ...[3, 4, 5].map((verifyType): (typeof FAILURES)[number] => [
    `verified but for its name (${verifyType})`,
    { before: { verifyType } },
    {
      check: 'wechat_verified',
      detail: [
        '账号已通过资质认证，但名称认证尚未完成。',
        'The account has passed the qualification, but its name is not verified yet.',
      ],
      fix: [
        '请账号管理员在微信公众平台“设置与开发 → 微信认证”完成名称认证，审核通过后刷新账号。',
        "The administrator completes the verification of the name in WeChat's console (设置与开发 → 微信认证) and, once it is approved, refreshes the account here.",
      ],
      call: { method: 'POST', path: '/api/v1/accounts/sync', body: {} },
    },
  ]),
  ...FULL.map((id): (typeof FAILURES)[number] => {
    const name = [
      '消息管理',
      '用户管理',
      '账号服务',
      '群发与通知',
      '微信卡券',
      '素材管理',
      '菜单管理',
    ][FULL.indexOf(id)];
    return [
      `without permission ${id}`,
      { permissionIds: FULL.filter((granted) => granted !== id) },
      {
        check: 'minimum_permissions',
        detail: [`缺少权限：${name}。`, `Permissions are missing: ${name} (${id}).`],
        fix: SCAN_FOR_MISSING,
        call: {
          method: 'POST',
          path: '/api/v1/accounts/{appid}/reauthorizations',
          body: { permissionIds: [id] },
        },
      },
    ];
  }),
  ...[17, 19, 30, 88].map((id): (typeof FAILURES)[number] => [
    `a mini-program without permission ${id}`,
    {
      accountType: 'mini_program',
      permissionIds: [17, 19, 30, 88].filter((granted) => granted !== id),
    },
    {
      check: 'minimum_permissions',
      detail: [
        expect.stringContaining('缺少权限：') as unknown as string,
        expect.stringContaining(`(${id}).`) as unknown as string,
      ],
      fix: SCAN_FOR_MISSING,
      call: {
        method: 'POST',
        path: '/api/v1/accounts/{appid}/reauthorizations',
        body: { permissionIds: [id] },
      },
    },
  ]),
  [
    'without an OpenID property',
    { openidProperty: null },
    {
      check: 'openid_property',
      detail: [
        '未设置存放 OpenID 的用户属性。',
        'The user property that holds the openids is not set.',
      ],
      fix: [
        '请为该账号选择一个文本类型的用户属性；每个账号使用各自的属性。',
        'Choose a user property of type text for the account; each account has one of its own.',
      ],
      call: {
        method: 'PUT',
        path: '/api/v1/accounts/{appid}/openid-property',
        body: { property: expect.stringMatching(/^wx_openid_gh_/) },
      },
    },
  ],
];

describe.each(FAILURES)('an account that is %s', (_name, wanted, expected) => {
  it('is not switched on, and is told what to do about it', async () => {
    const appid = await authorized(wanted);
    if (wanted.before) change(appid, wanted.before);
    if (wanted.cancel) {
      app.clock.advance(60_000);
      await app.sandbox.cancel(appid).pushed;
      await app.settled();
    }
    const answer = await enable(appid);
    expect(answer).toMatchObject({ status: 409, body: { code: 'enable_checks_failed' } });
    const { check, detail, fix, call } = expected;
    const failed = answer.body.checks.filter(({ passed }) => !passed);
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({ check, detail: detail[0], fix: fix[0] });
    expect(failed[0]?.call).toEqual(call && { ...call, path: call.path.replace('{appid}', appid) });
    const english = await checksOf(appid, { 'accept-language': 'en' });
    expect(english.body).toMatchObject({ passed: false });
    const shown = english.body.checks.find((result) => result.check === check);
    expect(shown).toMatchObject({ passed: false, detail: detail[1], fix: fix[1] });
    expect((await getAccount(app, appid))?.enabled).toBe(false);
    expect((await eventsOf(appid)).map(({ type }) => type)).not.toContain('account.enabled');
  });
});

describe('the checks', () => {
  it('name every failure at once', async () => {
    const appid = await authorized({ permissionIds: [1, 2, 3, 8, 11, 15], openidProperty: null });
    change(appid, { verifyType: -1 });
    const { body } = await enable(appid);
    const failed = body.checks.filter(({ passed }) => !passed);
    expect(failed.map(({ check }) => check)).toEqual([
      'wechat_verified',
      'minimum_permissions',
      'openid_property',
    ]);
    expect(failed[1]?.missing).toEqual([{ id: 7, name: '群发与通知' }]);
  });

  it('ask nothing of a mini-program’s verification', async () => {
    const appid = await authorized({ accountType: 'mini_program' });
    change(appid, { verifyType: -1 });
    expect((await enable(appid)).status).toBe(200);
  });

  it('look at what WeChat says now, not at what it said before', async () => {
    const appid = await authorized({ permissionIds: [1] });
    expect((await enable(appid)).status).toBe(409);
    await app.sandbox.authorize({ appid, preAuthCode: null, push: false }).pushed;
    expect((await checksOf(appid)).body).toMatchObject({ passed: true, source: 'wechat' });
    expect((await getAccount(app, appid))?.missingPermissions).toEqual([]);
    expect((await enable(appid)).status).toBe(200);
  });

  it.each([
    ['hung up', { kind: 'reset' as const }, '请检查服务器到 api.weixin.qq.com 的网络'],
    ['busy', { kind: 'errcode' as const, errcode: -1 }, '微信系统繁忙'],
  ])(
    'fall back on what is kept when WeChat has %s, and say how old it is',
    async (_case, fault, words) => {
      const appid = await authorized();
      app.clock.advance(90_000);
      app.sandbox.faults.add({ path: INFO, times: 10, ...fault });
      const { body } = await checksOf(appid);
      expect(body).toMatchObject({ passed: true, source: 'stored', dataAgeSeconds: 90 });
      expect(body.warning).toContain(words);
      expect(body.warning).toContain('以下依据已保存的数据');
      // What passed then is believed for enabling too.
      expect((await enable(appid)).status).toBe(200);
    },
  );

  it('notice an authorization that has ended without an event', async () => {
    const appid = await authorized();
    app.clock.advance(60_000);
    app.sandbox.cancel(appid, { push: false });
    expect((await enable(appid)).body.checks[0]).toMatchObject({
      check: 'authorization',
      passed: false,
    });
    expect((await getAccount(app, appid))?.authorization.state).toBe('unauthorized');
  });

  it('are shown in the account, by what is kept', async () => {
    const appid = await authorized({ openidProperty: null });
    const account = (await getAccount(app, appid)) as unknown as { failingChecks: Check[] };
    expect(account.failingChecks.map(({ check }) => check)).toEqual(['openid_property']);
  });

  it('let nobody in between: of ten that enable at once, one does', async () => {
    const appid = await authorized();
    const answers = await Promise.all(Array.from({ length: 10 }, () => enable(appid)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
    const told = (await eventsOf(appid)).filter(({ type }) => type === 'account.enabled');
    expect(told).toHaveLength(1);
  });

  it('are not for an account that nobody holds', async () => {
    const appid = `wx${(0xe4ab1f00000 + ++serial).toString(16).padStart(16, '0')}`;
    app.sandbox.addAccount({ appid });
    await app.sandbox.authorize({ appid, preAuthCode: null }).pushed;
    await app.settled();
    expect(await enable(appid)).toMatchObject({ status: 409, body: { code: 'account_unclaimed' } });
  });
});

describe('an enabled account', () => {
  it.each([
    ['loses a permission', { permissionIds: [1, 2, 3, 8, 11, 15] }, ['minimum_permissions']],
    ['loses its verification', { verifyType: -1 }, ['wechat_verified']],
    ['is warned', { accountStatus: 18 }, ['account_status']],
  ])('that %s stays on and is flagged, until it is put right', async (_case, loss, failing) => {
    const appid = await authorized();
    await enable(appid);
    const account = app.sandbox.account(appid);
    const good = {
      permissionIds: account.authorization?.permissionIds,
      verifyType: account.verifyType,
      accountStatus: account.accountStatus,
    };
    const apply = ({ permissionIds, ...rest }: Record<string, unknown>): void => {
      Object.assign(account, rest);
      if (permissionIds && account.authorization)
        account.authorization.permissionIds = permissionIds as number[];
    };
    apply(loss);
    await refresh();
    const flagged = (await getAccount(app, appid)) as unknown as Record<string, unknown>;
    expect(flagged).toMatchObject({ enabled: true, flaggedAt: app.clock.now().toISOString() });
    expect((flagged['failingChecks'] as Check[]).map(({ check }) => check)).toEqual(failing);
    const list = await app.api<{ items: AccountBody[]; counts: { flagged: number } }>(
      'GET',
      '/accounts?flagged=true',
    );
    expect(list.body.items.map((item) => item.appid)).toContain(appid);
    expect(list.body.counts.flagged).toBeGreaterThan(0);

    apply(good);
    await refresh();
    expect(await getAccount(app, appid)).toMatchObject({ enabled: true, flaggedAt: null });
    const told = (await eventsOf(appid)).filter(
      ({ type, data }) =>
        type === 'account.updated' && (data['changed'] as string[]).includes('checks'),
    );
    expect(told.map(({ data }) => data['failingChecks'])).toEqual([failing, []]);
    const written = (await auditOf(appid)).map(({ action }) => action);
    expect(written.filter((action) => action.endsWith('flagged'))).toEqual([
      'account.unflagged',
      'account.flagged',
    ]);
  });

  it.each([
    ['cancelled', { accountStatus: 14 }],
    ['banned', { accountStatus: 16 }],
    ['frozen', { accountStatus: 19 }],
  ])('that is %s at WeChat is switched off by itself', async (reason, status) => {
    const appid = await authorized();
    await enable(appid);
    change(appid, status);
    await refresh();
    expect(await getAccount(app, appid)).toMatchObject({ enabled: false, flaggedAt: null });
    const told = (await eventsOf(appid)).filter(({ type }) => type === 'account.disabled');
    expect(told).toMatchObject([{ data: { reason } }]);
    expect(
      (await auditOf(appid)).find(({ action }) => action === 'account.disabled'),
    ).toMatchObject({
      detail: { reason },
    });
    // And stays off when that has passed: switching on is for a person.
    change(appid, { accountStatus: 1 });
    await refresh();
    expect((await getAccount(app, appid))?.enabled).toBe(false);
  });

  it('whose credentials WeChat no longer takes stays on and is flagged', async () => {
    const appid = await authorized();
    await enable(appid);
    app.clock.advance(3 * 3_600_000);
    await app.sandbox.pushTicket();
    const refused = { kind: 'errcode' as const, times: 20 };
    app.sandbox.faults.add({ path: TOKEN, errcode: 61023, ...refused });
    app.sandbox.faults.add({ path: INFO, errcode: 61003, ...refused });
    const quota = `/accounts/${appid}/quota?path=/cgi-bin/message/custom/send`;
    expect((await app.api('GET', quota)).body).toMatchObject({ code: 'reauthorization_required' });
    expect(await getAccount(app, appid)).toMatchObject({
      enabled: true,
      flaggedAt: app.clock.now().toISOString(),
      authorization: { state: 'reauthorization_required' },
      failingChecks: [{ check: 'authorization', detail: '微信不再接受该账号的授权凭据。' }],
    });
    const told = (await eventsOf(appid)).at(-1);
    expect(told).toMatchObject({
      type: 'account.unauthorized',
      data: { state: 'reauthorization_required' },
    });
  });

  it('that is unauthorized is switched off by itself', async () => {
    const appid = await authorized();
    await enable(appid);
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect((await getAccount(app, appid))?.enabled).toBe(false);
    const types = (await eventsOf(appid)).map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['account.unauthorized', 'account.disabled']);
  });
});

describe('who may', () => {
  it('is the tenant’s own admin', async () => {
    const appid = await authorized({ tenant: 'brand-enable' });
    const [viewer, admin, other] = [
      await authorizationOf(app, 'viewer', 'brand-enable'),
      await authorizationOf(app, 'admin', 'brand-enable'),
      await authorizationOf(app, 'admin', 'brand-other'),
    ];
    expect((await enable(appid, viewer)).status).toBe(403);
    expect((await enable(appid, other)).status).toBe(404);
    expect((await checksOf(appid, other)).status).toBe(404);
    expect((await checksOf(appid, viewer)).body.passed).toBe(true);
    expect((await enable(appid, admin)).status).toBe(200);
  });
});
