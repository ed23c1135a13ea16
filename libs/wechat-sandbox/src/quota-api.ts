import {
  type Api,
  type ApiCall,
  type ApiFamily,
  checkComponentAppid,
  OK,
  Refusal,
  textOf,
  type World,
} from './api.js';
import { type SandboxAccount, shanghaiDay, shanghaiMonth } from './state.js';

const RESETS_A_MONTH = 10;
const DAILY_LIMIT = 100_000;
/** Those of a new account that are others. */
const DAILY_LIMITS: Readonly<Record<string, number>> = {
  '/cgi-bin/message/custom/send': 500_000,
  '/cgi-bin/message/mass/sendall': 100,
  '/cgi-bin/message/mass/send': 100,
  '/cgi-bin/message/mass/delete': 10,
  '/cgi-bin/media/get': 200_000,
  '/cgi-bin/tags/create': 1000,
  '/cgi-bin/tags/get': 1000,
};
const MINUTE_MS = 60_000;

const clearQuota: Api = {
  token: 'any',
  handle: (call) => {
    const appid = textOf(call.body, 'appid', new Refusal(41002, 'appid missing'));
    if (appid !== call.tokenAppid) throw new Refusal(40013, 'invalid appid');
    return clear(call.world, appid);
  },
};

const clearQuotaBySecret: Api = {
  token: 'none',
  handle: (call) => {
    checkComponentAppid(call);
    const { body, world } = call;
    const secret = textOf(body, 'appsecret', new Refusal(41004, 'appsecret missing'));
    if (secret !== world.component.appSecret) throw new Refusal(40125, 'invalid appsecret');
    const appid = typeof body['appid'] === 'string' ? body['appid'] : world.component.appid;
    if (appid !== world.component.appid && !world.findAccount(appid)?.authorization) {
      throw new Refusal(43007, 'require bizuser authorize');
    }
    return clear(world, appid);
  },
};

const getQuota: Api = {
  token: 'any',
  handle: ({ body, world, tokenAppid }) => {
    const cgiPath = textOf(
      body,
      'cgi_path',
      new Refusal(76021, 'cgi_path not found, please check'),
    );
    if (!cgiPath.startsWith('/')) throw new Refusal(76003, 'no permission');
    if (!/^\/(?:cgi-bin|wxa|wxaapi)\//.test(cgiPath)) {
      throw new Refusal(76021, 'cgi_path not found, please check');
    }
    const limit = dailyLimit(world, cgiPath);
    const account = world.findAccount(tokenAppid ?? '');
    if (account) turnDay(account, world.now());
    const used = Math.min(account?.usage[cgiPath] ?? 0, limit);
    const perMinute = world.data.minuteLimits[cgiPath] ?? 600;
    return {
      ...OK,
      quota: { daily_limit: limit, used, remain: limit - used },
      rate_limit: { call_count: perMinute, refresh_second: 60 },
      component_rate_limit: { call_count: 1500, refresh_second: 60 },
    };
  },
};

const getRid: Api = {
  token: 'any',
  handle: ({ body, world }) => {
    const rid = textOf(body, 'rid', new Refusal(76002, 'invalid rid'));
    if (!/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/.test(rid)) throw new Refusal(76002, 'invalid rid');
    const record = world.data.rids[rid];
    if (!record) throw new Refusal(76001, 'rid not found');
    return {
      ...OK,
      request: {
        invoke_time: Math.floor(record.at / 1000),
        cost_in_ms: 1,
        request_url: record.path,
        request_body: record.request,
        response_body: record.response,
        client_ip: '127.0.0.1',
      },
    };
  },
};

export const quotaApi: ApiFamily = {
  '/cgi-bin/clear_quota': clearQuota,
  '/cgi-bin/component/clear_quota/v2': clearQuotaBySecret,
  '/cgi-bin/openapi/quota/get': getQuota,
  '/cgi-bin/openapi/rid/get': getRid,
};

/** Counts a call of an account. @throws Refusal 45009 when the day's quota is used up, 45011 when the minute's is */
export function countCall(world: World, account: SandboxAccount, path: string): void {
  turnDay(account, world.now());
  const used = account.usage[path] ?? 0;
  if (used >= dailyLimit(world, path)) throw new Refusal(45009, 'reach max api daily quota limit');
  countMinute(world, account, path);
  account.usage[path] = used + 1;
}

/** A quota is of a day in Shanghai. */
function turnDay(account: SandboxAccount, now: number): void {
  const day = shanghaiDay(now);
  if (account.usageDay !== null && account.usageDay !== day) account.usage = {};
  account.usageDay = day;
}

function countMinute(world: World, account: SandboxAccount, path: string): void {
  const limit = world.data.minuteLimits[path];
  if (limit === undefined) return;
  const minute = Math.floor(world.now() / MINUTE_MS);
  const before = account.minuteUsage[path];
  const calls = before?.minute === minute ? before.calls : 0;
  if (calls >= limit)
    throw new Refusal(45011, 'api minute-quota reach limit must slower retry next minute');
  account.minuteUsage[path] = { minute, calls: calls + 1 };
}

function dailyLimit({ data }: World, path: string): number {
  return data.dailyLimits[path] ?? DAILY_LIMITS[path] ?? DAILY_LIMIT;
}

/** Ten a month whoever asks; the component's own are counted like an account's. */
function clear(world: ApiCall['world'], appid: string): object {
  const month = shanghaiMonth(world.now());
  const account = world.findAccount(appid);
  const resets = account ? account.resets : (world.data.componentResets ??= {});
  const used = resets[month] ?? 0;
  if (used >= RESETS_A_MONTH)
    throw new Refusal(48006, 'forbid to clear quota because of reaching the limit');
  resets[month] = used + 1;
  if (account) account.usage = {};
  return OK;
}
