import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import {
  authorizationPageUrl,
  clearQuota,
  clearQuotaBySecret,
  createPreAuthCode,
  getAuthorizerInfo,
  getComponentToken,
  getQuota,
  getRid,
  listAuthorizers,
  mobileAuthorizationPageUrl,
  queryAuth,
  refreshAuthorizerToken,
  startPushTicket,
} from './component.js';
import { WechatUnavailableError } from './errors.js';
import { WechatHttp } from './http.js';

const componentAppid = 'wx0c0ffee0c0ffee00';
const appid = 'wx1badb002feedface';

let server: Server;
let http: WechatHttp;
let answer: object;
/** The last call as it went over the wire. */
let sent: { url: string; body: unknown };

beforeEach(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      sent = { url: request.url ?? '', body: JSON.parse(Buffer.concat(chunks).toString()) };
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  http = new WechatHttp({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
afterEach(async () => {
  await http.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('each call sends what its page says, and reads the answer', () => {
  const info = {
    authorizer_appid: appid,
    authorizer_access_token: '71_a',
    expires_in: 7200,
    authorizer_refresh_token: 'refreshtoken@@@r',
    func_info: [
      { funcscope_category: { id: 30, name: 'x' }, confirm_info: { need_confirm: 0 } },
      { funcscope_category: { id: 17 } },
      { funcscope_category: { id: 17 } },
      {},
    ],
  };

  it.each<[string, () => Promise<unknown>, object, { url: string; body: object }, unknown]>([
    [
      'startPushTicket',
      () => startPushTicket(http, { componentAppid, componentSecret: 's' }),
      { errcode: 0, errmsg: 'ok' },
      {
        url: '/cgi-bin/component/api_start_push_ticket',
        body: { component_appid: componentAppid, component_secret: 's' },
      },
      undefined,
    ],
    [
      'getComponentToken',
      () => getComponentToken(http, { componentAppid, componentAppSecret: 's', ticket: 't' }),
      { component_access_token: '70_c', expires_in: 7200 },
      {
        url: '/cgi-bin/component/api_component_token',
        body: {
          component_appid: componentAppid,
          component_appsecret: 's',
          component_verify_ticket: 't',
        },
      },
      { accessToken: '70_c', expiresInSeconds: 7200 },
    ],
    [
      'createPreAuthCode',
      () => createPreAuthCode(http, '70_c', componentAppid),
      { pre_auth_code: 'preauthcode@@@p', expires_in: 1800 },
      {
        url: '/cgi-bin/component/api_create_preauthcode?access_token=70_c',
        body: { component_appid: componentAppid },
      },
      { preAuthCode: 'preauthcode@@@p', expiresInSeconds: 1800 },
    ],
    [
      'queryAuth',
      () => queryAuth(http, '70_c', { componentAppid, authorizationCode: 'queryauthcode@@@q' }),
      { authorization_info: info },
      {
        url: '/cgi-bin/component/api_query_auth?access_token=70_c',
        body: { component_appid: componentAppid, authorization_code: 'queryauthcode@@@q' },
      },
      {
        appid,
        accessToken: '71_a',
        expiresInSeconds: 7200,
        refreshToken: 'refreshtoken@@@r',
        permissionIds: [17, 30],
      },
    ],
    [
      'queryAuth of an account that granted no API',
      () => queryAuth(http, '70_c', { componentAppid, authorizationCode: 'q' }),
      { authorization_info: { authorizer_appid: appid, func_info: [] } },
      {
        url: '/cgi-bin/component/api_query_auth?access_token=70_c',
        body: { component_appid: componentAppid, authorization_code: 'q' },
      },
      { appid, accessToken: null, expiresInSeconds: 0, refreshToken: null, permissionIds: [] },
    ],
    [
      'refreshAuthorizerToken',
      () => refreshAuthorizerToken(http, '70_c', { componentAppid, appid, refreshToken: 'r1' }),
      { authorizer_access_token: '71_b', expires_in: 7200, authorizer_refresh_token: 'r2' },
      {
        url: '/cgi-bin/component/api_authorizer_token?access_token=70_c',
        body: {
          component_appid: componentAppid,
          authorizer_appid: appid,
          authorizer_refresh_token: 'r1',
        },
      },
      { accessToken: '71_b', expiresInSeconds: 7200, refreshToken: 'r2' },
    ],
    [
      'refreshAuthorizerToken whose answer names no refresh token',
      () => refreshAuthorizerToken(http, '70_c', { componentAppid, appid, refreshToken: 'r1' }),
      { authorizer_access_token: '71_b', expires_in: 7200 },
      {
        url: '/cgi-bin/component/api_authorizer_token?access_token=70_c',
        body: {
          component_appid: componentAppid,
          authorizer_appid: appid,
          authorizer_refresh_token: 'r1',
        },
      },
      { accessToken: '71_b', expiresInSeconds: 7200, refreshToken: 'r1' },
    ],
    [
      'listAuthorizers',
      () => listAuthorizers(http, '70_c', { componentAppid, offset: 500, count: 500 }),
      {
        total_count: 502,
        list: [{ authorizer_appid: appid, refresh_token: '', auth_time: 1767225600 }],
      },
      {
        url: '/cgi-bin/component/api_get_authorizer_list?access_token=70_c',
        body: { component_appid: componentAppid, offset: 500, count: 500 },
      },
      { totalCount: 502, items: [{ appid, refreshToken: null, authorizedAt: 1767225600 }] },
    ],
    [
      'clearQuota',
      () => clearQuota(http, '71_a', appid),
      { errcode: 0, errmsg: 'ok' },
      { url: '/cgi-bin/clear_quota?access_token=71_a', body: { appid } },
      undefined,
    ],
    [
      'clearQuotaBySecret',
      () => clearQuotaBySecret(http, { componentAppid, componentAppSecret: 's', appid }),
      { errcode: 0, errmsg: 'ok' },
      {
        url: '/cgi-bin/component/clear_quota/v2',
        body: { component_appid: componentAppid, appsecret: 's', appid },
      },
      undefined,
    ],
    [
      'getQuota',
      () => getQuota(http, '71_a', '/cgi-bin/message/custom/send'),
      {
        quota: { daily_limit: 500000, used: 1200, remain: 498800 },
        rate_limit: { call_count: 600, refresh_second: 60 },
      },
      {
        url: '/cgi-bin/openapi/quota/get?access_token=71_a',
        body: { cgi_path: '/cgi-bin/message/custom/send' },
      },
      { dailyLimit: 500000, used: 1200, remaining: 498800, rate: { calls: 600, seconds: 60 } },
    ],
    [
      'getQuota without a short-term limit',
      () => getQuota(http, '71_a', '/cgi-bin/x'),
      { quota: { daily_limit: 10, used: 0, remain: 10 } },
      { url: '/cgi-bin/openapi/quota/get?access_token=71_a', body: { cgi_path: '/cgi-bin/x' } },
      { dailyLimit: 10, used: 0, remaining: 10, rate: null },
    ],
    [
      'getRid',
      () => getRid(http, '71_a', '00000000-11111111-22222222'),
      {
        request: {
          invoke_time: 1767225600,
          cost_in_ms: 30,
          request_url: 'u',
          request_body: 'b',
          response_body: 'r',
          client_ip: '203.0.113.7',
        },
      },
      {
        url: '/cgi-bin/openapi/rid/get?access_token=71_a',
        body: { rid: '00000000-11111111-22222222' },
      },
      {
        invokedAt: 1767225600,
        costMs: 30,
        requestUrl: 'u',
        requestBody: 'b',
        responseBody: 'r',
        clientIp: '203.0.113.7',
      },
    ],
  ])('%s', async (_name, call, given, wire, expected) => {
    answer = given;
    expect(await call()).toEqual(expected);
    expect(sent).toEqual(wire);
  });

  it.each([
    [
      'a component token',
      () => getComponentToken(http, { componentAppid, componentAppSecret: 's', ticket: 't' }),
    ],
    [
      'a lifetime',
      () => {
        answer = { pre_auth_code: 'p' };
        return createPreAuthCode(http, 't', componentAppid);
      },
    ],
    ['an authorization', () => queryAuth(http, 't', { componentAppid, authorizationCode: 'q' })],
    ['a list', () => listAuthorizers(http, 't', { componentAppid, offset: 0, count: 1 })],
    ['an account', () => getAuthorizerInfo(http, 't', { componentAppid, appid })],
    ['a quota', () => getQuota(http, 't', '/x')],
  ])('an answer without %s counts as none', async (_case, call) => {
    answer = {};
    await expect(call()).rejects.toMatchObject({
      constructor: WechatUnavailableError,
      failure: 'bad_answer',
      maybeApplied: true,
    });
  });

  it('refuses a page of more than 500 before it asks', async () => {
    await expect(
      listAuthorizers(http, 't', { componentAppid, offset: 0, count: 501 }),
    ).rejects.toThrow(RangeError);
  });
});

describe('getAuthorizerInfo', () => {
  const authorization = { authorizer_appid: appid, authorizer_refresh_token: 'r', func_info: [] };
  const read = async (info: object) => {
    answer = { authorizer_info: info, authorization_info: authorization };
    return (await getAuthorizerInfo(http, 't', { componentAppid, appid })).details;
  };

  it.each([
    [{ service_type_info: { id: 0 } }, 'official_account', 'subscription_account'],
    [{ service_type_info: { id: 1 } }, 'official_account', 'subscription_account'],
    [{ service_type_info: { id: 2 } }, 'official_account', 'service_account'],
    [{ service_type_info: { id: 0 }, MiniProgramInfo: {} }, 'mini_program', 'mini_program'],
    [{ service_type_info: { id: 2 }, MiniProgramInfo: {} }, 'mini_program', 'mini_program'],
  ])('of %j tells %s, %s', async (info, accountType, subtype) => {
    expect(await read(info)).toMatchObject({ accountType, subtype });
  });

  it('reads an account that is not set up', async () => {
    expect(await read({})).toEqual({
      accountType: 'official_account',
      subtype: 'subscription_account',
      nickname: '',
      avatarUrl: '',
      originalId: '',
      alias: '',
      principalName: '',
      qrcodeUrl: '',
      signature: '',
      verifyTypeId: -1,
      accountStatus: 'normal',
    });
  });
});

describe('the authorization pages', () => {
  const page = {
    componentAppid,
    preAuthCode: 'preauthcode@@@a+b',
    redirectUri: 'https://auth.example.com/back/s',
    authType: 3 as const,
  };

  it('carry their parameters encoded', () => {
    const url = new URL(
      authorizationPageUrl({ mpBaseUrl: 'https://mp.weixin.qq.com', ...page, bizAppid: appid }),
    );
    expect(url.origin + url.pathname).toBe('https://mp.weixin.qq.com/cgi-bin/componentloginpage');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      component_appid: componentAppid,
      pre_auth_code: page.preAuthCode,
      redirect_uri: page.redirectUri,
      auth_type: '3',
      biz_appid: appid,
    });
  });

  it('show only the permission sets that are named', () => {
    const shown = (permissionIds: number[]): string | null =>
      new URL(
        authorizationPageUrl({ mpBaseUrl: 'https://mp.weixin.qq.com', ...page, permissionIds }),
      ).searchParams.get('category_id_list');
    expect(shown([7])).toBe('7');
    expect(shown([7, 11])).toBe('7|11');
    expect(shown([])).toBeNull();
  });

  it('on a phone open without scanning', () => {
    const url = new URL(
      mobileAuthorizationPageUrl({ openBaseUrl: 'https://open.weixin.qq.com', ...page }),
    );
    expect(url.pathname).toBe('/wxaopen/safe/bindcomponent');
    expect(url.hash).toBe('#wechat_redirect');
    expect(url.searchParams.get('action')).toBe('bindcomponent');
    expect(url.searchParams.get('no_scan')).toBe('1');
    expect(url.searchParams.get('pre_auth_code')).toBe(page.preAuthCode);
  });
});
