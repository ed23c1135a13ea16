import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { type Answer, COMPONENT, startApp, type TestApp } from './app.js';
import { authorizationOf, begin } from './helpers.js';

const CLEAR = '/cgi-bin/clear_quota';
const CLEAR_BY_SECRET = '/cgi-bin/component/clear_quota/v2';
const TOKEN = '/cgi-bin/component/api_authorizer_token';
const TEMPLATE = '/cgi-bin/message/template/send';

interface Reset {
  id: string;
  at: string;
  by: string;
  outcome: string;
  wechat?: { errcode: number; advice: string };
}

interface Budget {
  month: string;
  timeZone: string;
  limit: number;
  used: number;
  remaining: number;
  exhaustedByWechat: boolean;
  warnings: { code: string }[];
}

type Made = Budget & Reset & { code: string; detail: string; wechat?: { errcode: number } };

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  // The 20th, so that WeChat's word for the month's end is believed.
  app = await startApp({ now: '2026-01-20T00:00:00Z' });
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

async function authorized(
  accountType: 'official_account' | 'mini_program' = 'official_account',
  tenant?: string,
): Promise<string> {
  const appid = `wx${(0x90a7a000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, accountType });
  const { preAuthCode } = await begin(app, { accountType }, tenant);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  return appid;
}

const reset = (appid: string, headers: Record<string, string> = {}): Promise<Answer<Made>> =>
  app.api<Made>('POST', `/accounts/${appid}/quota-resets`, undefined, headers);
const list = async (appid: string): Promise<Budget & { resets: Reset[] }> =>
  (await app.api<Budget & { resets: Reset[] }>('GET', `/accounts/${appid}/quota-resets`)).body;
/** How often WeChat has been asked to reset the account. */
const asked = (appid: string, path = CLEAR): number =>
  app.sandbox.journal.filter(
    (entry) => entry.path === path && (entry.body as { appid?: string }).appid === appid,
  ).length;

/** At another moment than the other tests: an app of its own, with an account to reset. */
async function at(
  now: string,
  test: (fresh: TestApp, once: () => Promise<Answer<Made>>) => Promise<void>,
): Promise<void> {
  const fresh = await startApp({ now });
  try {
    const appid = 'wx90a7a00000000000';
    fresh.sandbox.addAccount({ appid });
    const { preAuthCode } = await begin(fresh, { accountType: 'any' });
    await fresh.sandbox.authorize({ appid, preAuthCode }).pushed;
    await fresh.settled();
    await test(fresh, () => fresh.api<Made>('POST', `/accounts/${appid}/quota-resets`));
  } finally {
    await fresh.stop();
  }
}

async function auditOf(
  target: string,
): Promise<{ action: string; outcome: string; detail: object }[]> {
  const { body } = await app.api<{ items: { action: string; outcome: string; detail: object }[] }>(
    'GET',
    `/audit-log?limit=50&target=${target}`,
  );
  return body.items.filter(({ action }) => action.startsWith('quota_reset'));
}

describe('GET /accounts/{appid}/quota', () => {
  it("shows WeChat's own figures", async () => {
    const appid = await authorized();
    app.sandbox.account(appid).usage[TEMPLATE] = 1_200;
    const { status, body } = await app.api('GET', `/accounts/${appid}/quota?path=${TEMPLATE}`);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        path: TEMPLATE,
        dailyLimit: 100_000,
        used: 1_200,
        remaining: 98_800,
        rate: { calls: 600, seconds: 60 },
      },
    });
  });

  it('is for mini-programs too', async () => {
    const appid = await authorized('mini_program');
    const path = '/wxa/getwxacodeunlimit';
    expect((await app.api('GET', `/accounts/${appid}/quota?path=${path}`)).status).toBe(200);
  });

  it('passes on what WeChat says of a path that it does not know', async () => {
    const appid = await authorized();
    const answer = await app.api('GET', `/accounts/${appid}/quota?path=/sns/userinfo`);
    expect(answer).toMatchObject({
      status: 502,
      body: { code: 'wechat_error', wechat: { errcode: 76021, advice: expect.any(String) } },
    });
  });

  it.each(['', '?path=', '?path=cgi-bin/x', '?path=/cgi-bin/x%3Fy=1', `?path=/${'x'.repeat(128)}`])(
    'refuses %p by name',
    async (query) => {
      const appid = await authorized();
      const answer = await app.api('GET', `/accounts/${appid}/quota${query}`);
      expect(answer).toMatchObject({
        status: 400,
        body: { code: 'invalid_query', errors: expect.any(Array) },
      });
      const { errors } = answer.body as unknown as { errors: { field: string }[] };
      expect(new Set(errors.map(({ field }) => field))).toEqual(new Set(['path']));
    },
  );

  it('has none without an authorization', async () => {
    const appid = await authorized();
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect(await app.api('GET', `/accounts/${appid}/quota?path=${TEMPLATE}`)).toMatchObject({
      status: 409,
      body: { code: 'account_not_authorized' },
    });
  });
});

describe('POST /accounts/{appid}/quota-resets', () => {
  it('resets once, and says what is left', async () => {
    const appid = await authorized();
    app.sandbox.account(appid).usage[TEMPLATE] = 7;
    const made = await reset(appid);
    const at = app.clock.now().toISOString();
    expect(made).toMatchObject({
      status: 201,
      body: {
        ...{ id: expect.any(String), at, by: 'ADMIN_API_KEY', outcome: 'succeeded' },
        ...{ month: '2026-01', timeZone: 'Asia/Shanghai', limit: 10, used: 1, remaining: 9 },
        ...{ exhaustedByWechat: false, warnings: [] },
      },
    });
    expect(app.sandbox.account(appid).usage[TEMPLATE]).toBeUndefined();
    const { id } = made.body;
    expect(await list(appid)).toMatchObject({
      used: 1,
      resets: [{ id, at, by: 'ADMIN_API_KEY', outcome: 'succeeded' }],
    });
    expect(await auditOf(appid)).toMatchObject([
      { action: 'quota_reset.ended', outcome: 'succeeded', detail: { resetId: id } },
      { action: 'quota_reset.requested', detail: { resetId: id } },
    ]);
    const events = await app.api<{ items: { appid: string; data: object }[] }>(
      'GET',
      '/events?type=quota.reset',
    );
    expect(events.body.items).toMatchObject([{ appid, data: { appid, resetId: id } }]);
  });

  it('does it ten times a month, warns before the last two, and then says no without asking WeChat', async () => {
    const appid = await authorized();
    const warned: number[] = [];
    for (let n = 1; n <= 10; n++) {
      const { status, body } = await reset(appid);
      expect({ status, used: body.used }).toEqual({ status: 201, used: n });
      if (body.warnings.length > 0) warned.push(body.remaining);
    }
    expect(warned).toEqual([2, 1]);
    expect(await reset(appid)).toMatchObject({
      status: 409,
      body: { code: 'quota_reset_budget_exhausted' },
    });
    expect((await reset(appid)).body.wechat).toBeUndefined();
    expect(asked(appid)).toBe(10);
    expect(await list(appid)).toMatchObject({ used: 10, remaining: 0, exhaustedByWechat: false });
  });

  it('reaches WeChat ten times of thirty at once', async () => {
    const appid = await authorized();
    const answers = await Promise.all(Array.from({ length: 30 }, () => reset(appid)));
    const count = (status: number): number =>
      answers.filter((answer) => answer.status === status).length;
    expect([count(201), count(409)]).toEqual([10, 20]);
    expect(asked(appid)).toBe(10);
  });

  it('begins anew at midnight in Shanghai', async () => {
    await at('2026-01-31T15:30:00Z', async (fresh, once) => {
      for (let n = 0; n < 10; n++) expect((await once()).body.month).toBe('2026-01');
      expect((await once()).status).toBe(409);
      fresh.clock.advance(29 * 60_000);
      expect((await once()).status).toBe(409);
      fresh.clock.advance(60_000);
      expect(await once()).toMatchObject({ status: 201, body: { month: '2026-02', used: 1 } });
    });
  });

  it('counts in both months what may be counted in either', async () => {
    await at('2026-01-31T15:59:50Z', async (fresh, once) => {
      expect((await once()).body).toMatchObject({ month: '2026-01', used: 1 });
      fresh.sandbox.faults.add({ path: CLEAR, kind: 'errcode', errcode: 40013 });
      expect((await once()).status).toBe(502);
      fresh.clock.advance(20_000);
      expect((await once()).body).toMatchObject({ month: '2026-02', used: 2 });
    });
  });

  it.each([40013, 61007, 48001, 50002])('counts no refusal: %i', async (errcode) => {
    const appid = await authorized();
    app.sandbox.faults.add({ path: CLEAR, kind: 'errcode', errcode });
    expect(await reset(appid)).toMatchObject({
      status: 502,
      body: { code: 'wechat_error', wechat: { errcode } },
    });
    expect(await list(appid)).toMatchObject({
      used: 0,
      remaining: 10,
      resets: [{ outcome: 'failed', wechat: { errcode, advice: expect.any(String) } }],
    });
    expect(await auditOf(appid)).toMatchObject([
      { action: 'quota_reset.ended', outcome: 'failed', detail: { outcome: 'failed', errcode } },
      { action: 'quota_reset.requested' },
    ]);
  });

  it.each([
    ['lost', { kind: 'lost_answer' as const }, 1],
    ['never comes', { kind: 'reset' as const }, 0],
    ['is an error of the server', { kind: 'http_500' as const }, 0],
    ['is "busy"', { kind: 'errcode' as const, errcode: -1 }, 0],
  ])('counts an answer that %s, and does not try again', async (_case, fault, done) => {
    const appid = await authorized();
    app.sandbox.faults.add({ path: CLEAR, ...fault });
    const answer = await reset(appid);
    expect(answer).toMatchObject({ status: 504, body: { code: 'wechat_unavailable' } });
    expect(answer.body.detail).toContain('本次计入本月次数');
    expect(asked(appid)).toBe(1);
    expect(asked(appid, CLEAR_BY_SECRET)).toBe(0);
    expect(app.sandbox.account(appid).resets['2026-01'] ?? 0).toBe(done);
    expect(await list(appid)).toMatchObject({ used: 1, resets: [{ outcome: 'unknown' }] });
  });

  it('answers a repeated request by what became of the first, also when that was lost', async () => {
    const appid = await authorized();
    app.sandbox.faults.add({ path: CLEAR, kind: 'lost_answer' });
    const headers = { 'idempotency-key': `reset-${appid}` };
    for (let n = 0; n < 3; n++) expect((await reset(appid, headers)).status).toBe(504);
    expect(asked(appid)).toBe(1);
  });

  it('believes WeChat when it says that none is left', async () => {
    const appid = await authorized();
    // The console's button was pressed ten times.
    app.sandbox.account(appid).resets['2026-01'] = 10;
    expect(await reset(appid)).toMatchObject({
      status: 409,
      body: {
        code: 'quota_reset_budget_exhausted',
        wechat: { errcode: 48006, advice: expect.stringContaining('下个月') },
      },
    });
    expect(await list(appid)).toMatchObject({ used: 0, remaining: 0, exhaustedByWechat: true });
    expect((await reset(appid)).status).toBe(409);
    expect(asked(appid)).toBe(1);
  });

  it('asks again an hour later when that was on the first day of a month', async () => {
    await at('2026-01-31T16:10:00Z', async (fresh, once) => {
      fresh.sandbox.faults.add({ path: CLEAR, kind: 'errcode', errcode: 48006 });
      expect((await once()).status).toBe(409);
      expect((await once()).status).toBe(409);
      expect(fresh.sandbox.callsTo(CLEAR)).toBe(1);
      fresh.clock.advance(3_600_001);
      expect(await once()).toMatchObject({
        status: 201,
        body: { used: 1, remaining: 9, exhaustedByWechat: false },
      });
    });
  });

  it('is made by the secret of the platform where WeChat gives no token for want of quota', async () => {
    const appid = await authorized();
    // The token has run out, and the platform may not fetch another today.
    app.clock.advance(3 * 3_600_000);
    await app.sandbox.pushTicket();
    app.sandbox.faults.add({ path: TOKEN, kind: 'errcode', errcode: 45009, times: 10 });
    expect(await reset(appid)).toMatchObject({ status: 201, body: { used: 1 } });
    expect([asked(appid), asked(appid, CLEAR_BY_SECRET)]).toEqual([0, 1]);
    expect(app.sandbox.account(appid).resets['2026-01']).toBe(1);
  });

  it('is made by the secret where the call itself has no quota left, and counts once', async () => {
    const appid = await authorized();
    app.sandbox.faults.add({ path: CLEAR, kind: 'errcode', errcode: 45009 });
    expect(await reset(appid)).toMatchObject({ status: 201, body: { used: 1 } });
    expect([asked(appid), asked(appid, CLEAR_BY_SECRET)]).toEqual([1, 1]);
  });

  it('tries once more with another token when WeChat calls the first one stale, and counts once', async () => {
    const appid = await authorized();
    app.sandbox.faults.add({ path: CLEAR, kind: 'errcode', errcode: 40001 });
    expect(await reset(appid)).toMatchObject({ status: 201, body: { used: 1 } });
    expect(app.sandbox.account(appid).resets['2026-01']).toBe(1);
  });

  it('counts nothing when the account has no token', async () => {
    const appid = await authorized();
    app.clock.advance(60_000);
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect(await reset(appid)).toMatchObject({
      status: 409,
      body: { code: 'account_not_authorized' },
    });
    expect(await list(appid)).toMatchObject({ used: 0 });
  });

  it('is not for mini-programs', async () => {
    const appid = await authorized('mini_program');
    const refused = { status: 422, body: { code: 'official_account_only' } };
    expect(await reset(appid)).toMatchObject(refused);
    expect(await app.api('GET', `/accounts/${appid}/quota-resets`)).toMatchObject(refused);
  });

  it("is a tenant's admin's, who stands in the list by name", async () => {
    const appid = await authorized('official_account', 'brand-quota');
    const [viewer, admin, other] = [
      await authorizationOf(app, 'viewer', 'brand-quota'),
      await authorizationOf(app, 'admin', 'brand-quota'),
      await authorizationOf(app, 'admin', 'brand-other'),
    ];
    expect((await reset(appid, viewer)).status).toBe(403);
    expect((await reset(appid, other)).status).toBe(404);
    expect((await reset(appid, admin)).body.by).toMatch(/^admin-/);
  });
});

describe("the platform's own quota", () => {
  it('is looked at, and reset on a budget of its own', async () => {
    const path = '/cgi-bin/component/api_authorizer_token';
    expect(await app.api('GET', `/component/quota?path=${path}`)).toMatchObject({
      status: 200,
      body: { path, dailyLimit: expect.any(Number) },
    });
    for (let n = 1; n <= 10; n++)
      expect(await app.api('POST', '/component/quota-resets')).toMatchObject({
        status: 201,
        body: { used: n, outcome: 'succeeded' },
      });
    expect(await app.api('POST', '/component/quota-resets')).toMatchObject({
      status: 409,
      body: { code: 'quota_reset_budget_exhausted' },
    });
    expect(asked(COMPONENT.appid)).toBe(10);
    const { body } = await app.api<Budget & { resets: Reset[] }>('GET', '/component/quota-resets');
    expect(body).toMatchObject({ used: 10, remaining: 0 });
    expect(body.resets).toHaveLength(10);
  });
});
