import { badAnswer, isObject, number, object, optionalText, text } from './answer.js';
import type { WechatHttp } from './http.js';
import type { AccountType } from './permissions.js';

const API = '/cgi-bin/component';
/** WeChat answers 40170 above it. */
const MAX_LIST_COUNT = 500;

/**
 * Starts, or starts again, the push of the component ticket. The ticket itself comes by push.
 *
 * @throws WechatApiError 40013 for a wrong appid
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_startpushticket.html
 */
export async function startPushTicket(
  http: WechatHttp,
  component: { componentAppid: string; componentSecret: string },
): Promise<void> {
  await http.post(`${API}/api_start_push_ticket`, {
    component_appid: component.componentAppid,
    component_secret: component.componentSecret,
  });
}

/**
 * Gets the component's own token. Each success retires the token before.
 *
 * @param component the ticket must be the newest that was pushed
 * @returns the lifetime in seconds, 7200 as a rule
 * @throws WechatApiError 61005 or 61006 for the ticket, 40001 or 40125 for the secret, 61004 for our address
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getcomponentaccesstoken.html
 */
export async function getComponentToken(
  http: WechatHttp,
  component: { componentAppid: string; componentAppSecret: string; ticket: string },
): Promise<{ accessToken: string; expiresInSeconds: number }> {
  const path = `${API}/api_component_token`;
  const answer = await http.post(path, {
    component_appid: component.componentAppid,
    component_appsecret: component.componentAppSecret,
    component_verify_ticket: component.ticket,
  });
  return {
    accessToken: text(answer, 'component_access_token', path),
    expiresInSeconds: seconds(answer, path),
  };
}

/**
 * Makes a pre-auth code: one authorization, one code.
 *
 * @returns the lifetime in seconds as WeChat says, 1800 as a rule
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getpreauthcode.html
 */
export async function createPreAuthCode(
  http: WechatHttp,
  accessToken: string,
  componentAppid: string,
): Promise<{ preAuthCode: string; expiresInSeconds: number }> {
  const path = `${API}/api_create_preauthcode`;
  const answer = await http.post(path, { component_appid: componentAppid }, { accessToken });
  return {
    preAuthCode: text(answer, 'pre_auth_code', path),
    expiresInSeconds: seconds(answer, path),
  };
}

/** What an authorization code is exchanged for. */
export interface AuthorizationInfo {
  appid: string;
  /** Null when no API permission was granted. */
  accessToken: string | null;
  expiresInSeconds: number;
  /** To be kept: it lives as long as the authorization. Null when no API permission was granted. */
  refreshToken: string | null;
  /** Granted permission sets, ascending. */
  permissionIds: number[];
}

/**
 * Exchanges an authorization code. Works once: a second call answers 61009, and a lost answer must be healed by
 * {@link getAuthorizerInfo} or {@link listAuthorizers}.
 *
 * @throws WechatApiError 61009 for a wrong or used code, 61010 for an expired one
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizerrefreshtoken.html
 */
export async function queryAuth(
  http: WechatHttp,
  accessToken: string,
  request: { componentAppid: string; authorizationCode: string },
): Promise<AuthorizationInfo> {
  const path = `${API}/api_query_auth`;
  const answer = await http.post(
    path,
    { component_appid: request.componentAppid, authorization_code: request.authorizationCode },
    { accessToken },
  );
  const info = object(answer, 'authorization_info', path);
  const token = optionalText(info, 'authorizer_access_token');
  return {
    appid: text(info, 'authorizer_appid', path),
    accessToken: token,
    expiresInSeconds: token === null ? 0 : seconds(info, path),
    refreshToken: optionalText(info, 'authorizer_refresh_token'),
    permissionIds: permissionIds(info),
  };
}

/**
 * Gets an account's next access token; the one before is dead from then on.
 *
 * @returns the refresh token to keep from now on, the same as before as a rule
 * @throws WechatApiError 61003 when the account has not authorized us, 61023 when the refresh token is not its own
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizeraccesstoken.html
 */
export async function refreshAuthorizerToken(
  http: WechatHttp,
  accessToken: string,
  request: { componentAppid: string; appid: string; refreshToken: string },
): Promise<{ accessToken: string; expiresInSeconds: number; refreshToken: string }> {
  const path = `${API}/api_authorizer_token`;
  const answer = await http.post(
    path,
    {
      component_appid: request.componentAppid,
      authorizer_appid: request.appid,
      authorizer_refresh_token: request.refreshToken,
    },
    { accessToken },
  );
  return {
    accessToken: text(answer, 'authorizer_access_token', path),
    expiresInSeconds: seconds(answer, path),
    // An answer without one leaves the present one good.
    refreshToken: optionalText(answer, 'authorizer_refresh_token') ?? request.refreshToken,
  };
}

export type AccountSubtype = 'service_account' | 'subscription_account' | 'mini_program';
export type AccountStatus = 'normal' | 'cancelled' | 'banned' | 'warned' | 'frozen';

/** What WeChat tells of an account. */
export interface AuthorizerDetails {
  accountType: AccountType;
  subtype: AccountSubtype;
  /** May be empty for an account that is not set up. */
  nickname: string;
  /** Empty, or an address that WeChat may change, mostly over plain http. */
  avatarUrl: string;
  /** 原始ID, `gh_…`. */
  originalId: string;
  /** 微信号; often empty. */
  alias: string;
  principalName: string;
  qrcodeUrl: string;
  signature: string;
  /** 0 is WeChat-verified; -1 not verified; 1..5 other sorts. */
  verifyTypeId: number;
  accountStatus: AccountStatus;
}

/** The account's present authorization. */
export interface AuthorizerAuthorization {
  appid: string;
  /** Null while no code of it was ever exchanged. */
  refreshToken: string | null;
  permissionIds: number[];
}

/**
 * Reads an account's details and its present authorization.
 *
 * @throws WechatApiError 61003 when the account has not authorized us
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/authorization-management/api_getauthorizerinfo.html
 */
export async function getAuthorizerInfo(
  http: WechatHttp,
  accessToken: string,
  request: { componentAppid: string; appid: string },
): Promise<{ details: AuthorizerDetails; authorization: AuthorizerAuthorization }> {
  const path = `${API}/api_get_authorizer_info`;
  const answer = await http.post(
    path,
    { component_appid: request.componentAppid, authorizer_appid: request.appid },
    { accessToken },
  );
  const info = object(answer, 'authorizer_info', path);
  const authorization = object(answer, 'authorization_info', path);
  return {
    details: toDetails(info),
    authorization: {
      appid: optionalText(authorization, 'authorizer_appid') ?? request.appid,
      refreshToken: optionalText(authorization, 'authorizer_refresh_token'),
      permissionIds: permissionIds(authorization),
    },
  };
}

/** An account in WeChat's list of those that authorized us. */
export interface AuthorizerListItem {
  appid: string;
  /** Null while no code of it was ever exchanged. */
  refreshToken: string | null;
  /** Unix seconds. */
  authorizedAt: number;
}

/**
 * Reads a page of the accounts that authorized us. The list may change between two pages.
 *
 * @param page `offset` from 0, `count` 1..500
 * @throws RangeError for another count
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/authorization-management/api_getauthorizerlist.html
 */
export async function listAuthorizers(
  http: WechatHttp,
  accessToken: string,
  page: { componentAppid: string; offset: number; count: number },
): Promise<{ totalCount: number; items: AuthorizerListItem[] }> {
  if (page.count < 1 || page.count > MAX_LIST_COUNT)
    throw new RangeError('A page has 1..500 accounts.');
  const path = `${API}/api_get_authorizer_list`;
  const answer = await http.post(
    path,
    { component_appid: page.componentAppid, offset: page.offset, count: page.count },
    { accessToken },
  );
  const { list, total_count: totalCount } = answer;
  if (!Array.isArray(list) || typeof totalCount !== 'number') throw badAnswer(path);
  return {
    totalCount,
    items: list.filter(isObject).map((item) => ({
      appid: text(item, 'authorizer_appid', path),
      refreshToken: optionalText(item, 'refresh_token'),
      authorizedAt: typeof item['auth_time'] === 'number' ? item['auth_time'] : 0,
    })),
  };
}

/**
 * Resets the daily counters of every API of one account. Ten a month, shared with everybody who acts for the account:
 * must not be repeated after a lost answer.
 *
 * @param accessToken the account's own, or the component's for itself
 * @throws WechatApiError 48006 when the month's resets are used up
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/openapi/api_clearquota.html
 */
export async function clearQuota(
  http: WechatHttp,
  accessToken: string,
  appid: string,
): Promise<void> {
  await http.post('/cgi-bin/clear_quota', { appid }, { accessToken });
}

/**
 * As {@link clearQuota}, by the component's secret: for when no token can be had.
 *
 * @param request `appid` left out resets the component itself
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/openapi/api_clearcomponentquotabyappsecret.html
 */
export async function clearQuotaBySecret(
  http: WechatHttp,
  request: { componentAppid: string; componentAppSecret: string; appid?: string },
): Promise<void> {
  await http.post(`${API}/clear_quota/v2`, {
    component_appid: request.componentAppid,
    appsecret: request.componentAppSecret,
    ...(request.appid !== undefined && { appid: request.appid }),
  });
}

/** One API's quota of the day, in calls. */
export interface ApiQuota {
  dailyLimit: number;
  used: number;
  remaining: number;
  /** The short-term limit; null where WeChat names none. */
  rate: { calls: number; seconds: number } | null;
}

/**
 * Looks at one API's quota.
 *
 * @param accessToken tells whose quota: an account's or the component's
 * @param cgiPath beginning with `/`, without host
 * @throws WechatApiError 76021 for an unknown path, 76022 for one that is not this token's
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/openapi/api_getapiquota.html
 */
export async function getQuota(
  http: WechatHttp,
  accessToken: string,
  cgiPath: string,
): Promise<ApiQuota> {
  const path = '/cgi-bin/openapi/quota/get';
  const answer = await http.post(path, { cgi_path: cgiPath }, { accessToken });
  const quota = object(answer, 'quota', path);
  const rate = answer['rate_limit'];
  return {
    dailyLimit: number(quota, 'daily_limit', path),
    used: number(quota, 'used', path),
    remaining: number(quota, 'remain', path),
    rate: isObject(rate)
      ? { calls: number(rate, 'call_count', path), seconds: number(rate, 'refresh_second', path) }
      : null,
  };
}

/** What WeChat recorded of a failed call. It may quote secrets: never keep or show it unmasked. */
export interface RidRecord {
  /** Unix seconds. */
  invokedAt: number;
  costMs: number;
  requestUrl: string;
  requestBody: string;
  responseBody: string;
  clientIp: string;
}

/**
 * Looks a failed call up by its rid, for seven days.
 *
 * @param accessToken of the account that made the call
 * @throws WechatApiError 76001 not found, 76002 malformed, 76003 another's
 * @see https://developers.weixin.qq.com/doc/oplatform/openApi/openapi/api_getridinfo.html
 */
export async function getRid(
  http: WechatHttp,
  accessToken: string,
  rid: string,
): Promise<RidRecord> {
  const path = '/cgi-bin/openapi/rid/get';
  const answer = await http.post(path, { rid }, { accessToken });
  const request = object(answer, 'request', path);
  return {
    invokedAt: number(request, 'invoke_time', path),
    costMs: number(request, 'cost_in_ms', path),
    requestUrl: optionalText(request, 'request_url') ?? '',
    requestBody: optionalText(request, 'request_body') ?? '',
    responseBody: optionalText(request, 'response_body') ?? '',
    clientIp: optionalText(request, 'client_ip') ?? '',
  };
}

/** What both of WeChat's authorization pages are told. */
export interface AuthorizationPage {
  componentAppid: string;
  preAuthCode: string;
  /** Its host must be the platform's 授权发起页域名. */
  redirectUri: string;
  /** 1 official accounts, 2 mini-programs, 3 both. */
  authType: 1 | 2 | 3;
  /** Only this account may be authorized; wins over `authType`. */
  bizAppid?: string;
  /** Only these permission sets are shown; without any, all that the platform has published. */
  permissionIds?: readonly number[];
}

/**
 * The page with the QR code, for a desktop. Works only when reached by a link on our own domain that shows where it
 * comes from: WeChat checks the referrer.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/Authorization_Process_Technical_Description.html
 */
export function authorizationPageUrl(page: AuthorizationPage & { mpBaseUrl: string }): string {
  return `${page.mpBaseUrl}/cgi-bin/componentloginpage?${pageQuery(page)}`;
}

/** The page for a phone, to be opened inside WeChat. @see {@link authorizationPageUrl} */
export function mobileAuthorizationPageUrl(
  page: AuthorizationPage & { openBaseUrl: string },
): string {
  return `${page.openBaseUrl}/wxaopen/safe/bindcomponent?action=bindcomponent&no_scan=1&${pageQuery(page)}#wechat_redirect`;
}

function pageQuery(page: AuthorizationPage): string {
  return new URLSearchParams({
    component_appid: page.componentAppid,
    pre_auth_code: page.preAuthCode,
    redirect_uri: page.redirectUri,
    auth_type: String(page.authType),
    ...(page.bizAppid !== undefined && { biz_appid: page.bizAppid }),
    ...(page.permissionIds?.length && { category_id_list: page.permissionIds.join('|') }),
  }).toString();
}

const ACCOUNT_STATUSES: Readonly<Record<number, AccountStatus>> = {
  14: 'cancelled',
  16: 'banned',
  18: 'warned',
  19: 'frozen',
};
/** service_type_info of an official account; 0 and 1 are the two sorts of subscription accounts. */
const SERVICE_ACCOUNT = 2;
const NOT_VERIFIED = -1;

function toDetails(info: Record<string, unknown>): AuthorizerDetails {
  // The same service type means different things by kind: this object is what tells them apart.
  const accountType = isObject(info['MiniProgramInfo']) ? 'mini_program' : 'official_account';
  const officialSubtype =
    idOf(info, 'service_type_info') === SERVICE_ACCOUNT
      ? 'service_account'
      : 'subscription_account';
  const read = (name: string): string => optionalText(info, name) ?? '';
  return {
    accountType,
    subtype: accountType === 'mini_program' ? 'mini_program' : officialSubtype,
    nickname: read('nick_name'),
    avatarUrl: read('head_img'),
    originalId: read('user_name'),
    alias: read('alias'),
    principalName: read('principal_name'),
    qrcodeUrl: read('qrcode_url'),
    signature: read('signature'),
    verifyTypeId: idOf(info, 'verify_type_info') ?? NOT_VERIFIED,
    accountStatus: ACCOUNT_STATUSES[Number(info['account_status'])] ?? 'normal',
  };
}

function idOf(info: Record<string, unknown>, name: string): number | null {
  const value = info[name];
  return isObject(value) && typeof value['id'] === 'number' ? value['id'] : null;
}

function permissionIds(info: Record<string, unknown>): number[] {
  const list = Array.isArray(info['func_info']) ? info['func_info'] : [];
  const ids = list.filter(isObject).map((entry) => idOf(entry, 'funcscope_category'));
  return [...new Set(ids.filter((id) => id !== null))].sort((a, b) => a - b);
}

function seconds(answer: Record<string, unknown>, path: string): number {
  const value = Number(answer['expires_in']);
  if (!Number.isFinite(value) || value <= 0) throw badAnswer(path);
  return value;
}
