import {
  type Api,
  type ApiCall,
  type ApiFamily,
  checkComponentAppid,
  OK,
  Refusal,
  textOf,
} from './api.js';
import { randomValue, type SandboxAccount, type SandboxAuthorization } from './state.js';

const TOKEN_SECONDS = 7200;
const PRE_AUTH_SECONDS = 1800;
const TICKET_MS = 12 * 3_600_000;
const FORMER_REFRESH_TOKEN_MS = 5 * 60_000;
const MAX_LIST_COUNT = 500;

const startPushTicket: Api = {
  token: 'none',
  handle: (call) => {
    checkComponentAppid(call);
    checkSecret(call, 'component_secret');
    call.world.requestTicket();
    return OK;
  },
};

const componentToken: Api = {
  token: 'none',
  handle: (call) => {
    checkComponentAppid(call);
    checkSecret(call, 'component_appsecret');
    const { world, body } = call;
    const ticket = textOf(
      body,
      'component_verify_ticket',
      new Refusal(61006, 'component ticket is invalid'),
    );
    const pushedAt = world.data.tickets[ticket];
    if (pushedAt === undefined) throw new Refusal(61006, 'component ticket is invalid');
    if (world.now() - pushedAt > TICKET_MS) throw new Refusal(61005, 'component ticket is expired');
    const token = issueToken(call, 'component', world.component.appid);
    return { component_access_token: token, expires_in: TOKEN_SECONDS };
  },
};

const createPreAuthCode: Api = {
  token: 'component',
  handle: (call) => {
    checkComponentAppid(call);
    const code = randomValue('preauthcode@@@');
    const expiresAt = call.world.now() + PRE_AUTH_SECONDS * 1000;
    call.world.data.preAuthCodes[code] = { expiresAt, isUsed: false };
    return { pre_auth_code: code, expires_in: PRE_AUTH_SECONDS };
  },
};

const queryAuth: Api = {
  token: 'component',
  handle: (call) => {
    checkComponentAppid(call);
    const { world, body } = call;
    const value = textOf(body, 'authorization_code', new Refusal(61009, 'code is invalid'));
    const code = world.data.authorizationCodes[value];
    if (!code || code.isUsed) throw new Refusal(61009, 'code is invalid');
    if (world.now() > code.expiresAt) throw new Refusal(61010, 'code is expired');
    const account = world.findAccount(code.appid);
    if (!account?.authorization) throw new Refusal(61009, 'code is invalid');
    code.isUsed = true;
    account.authorization.isExchanged = true;
    return {
      authorization_info: {
        authorizer_appid: account.appid,
        ...(account.authorization.permissionIds.length > 0 && {
          authorizer_access_token: issueToken(call, 'authorizer', account.appid, value),
          expires_in: TOKEN_SECONDS,
          authorizer_refresh_token: account.authorization.refreshToken,
        }),
        func_info: funcInfo(account.authorization),
      },
    };
  },
};

const authorizerToken: Api = {
  token: 'component',
  handle: (call) => {
    checkComponentAppid(call);
    const { account, authorization } = authorized(call);
    const { world, body } = call;
    const refreshToken =
      typeof body['authorizer_refresh_token'] === 'string' ? body['authorizer_refresh_token'] : '';
    const former = world.data.formerRefreshTokens[refreshToken];
    const isFormer = former?.appid === account.appid && world.now() <= former.until;
    if (!authorization.isExchanged || (refreshToken !== authorization.refreshToken && !isFormer)) {
      throw new Refusal(61023, 'refresh_token is invalid');
    }
    if (world.data.rotatesAtRefresh) {
      rotateRefreshToken(world, account);
      // Without grace: the strictest that WeChat could be.
      delete world.data.formerRefreshTokens[refreshToken];
    }
    return {
      authorizer_access_token: issueToken(call, 'authorizer', account.appid),
      expires_in: TOKEN_SECONDS,
      authorizer_refresh_token: account.authorization?.refreshToken ?? authorization.refreshToken,
    };
  },
};

const authorizerInfo: Api = {
  token: 'component',
  handle: (call) => {
    checkComponentAppid(call);
    const { account, authorization } = authorized(call);
    return {
      authorizer_info: {
        nick_name: account.nickname,
        head_img: absolute(call, account.headImg),
        service_type_info: { id: account.serviceType },
        verify_type_info: { id: account.verifyType },
        user_name: account.originalId,
        alias: account.alias,
        qrcode_url: absolute(call, account.qrcodeUrl),
        business_info: { open_pay: 0, open_shake: 0, open_scan: 0, open_card: 0, open_store: 0 },
        idc: 1,
        principal_name: account.principalName,
        signature: '',
        account_status: account.accountStatus,
        ...(account.accountType === 'mini_program' && {
          MiniProgramInfo: { network: { RequestDomain: [] }, categories: [], visit_status: 0 },
        }),
      },
      authorization_info: {
        authorizer_appid: account.appid,
        authorizer_refresh_token: authorization.isExchanged ? authorization.refreshToken : '',
        func_info: funcInfo(authorization),
      },
    };
  },
};

const authorizerList: Api = {
  token: 'component',
  handle: (call) => {
    checkComponentAppid(call);
    const { offset, count } = call.body;
    if (typeof offset !== 'number' || typeof count !== 'number')
      throw new Refusal(47001, 'data format error');
    if (count > MAX_LIST_COUNT) throw new Refusal(40170, 'args count exceed count limit');
    const all = Object.values(call.world.data.accounts).flatMap(({ appid, authorization }) =>
      authorization ? [{ appid, authorization }] : [],
    );
    return {
      total_count: all.length,
      list: all.slice(offset, offset + count).map(({ appid, authorization }) => ({
        authorizer_appid: appid,
        refresh_token: authorization.isExchanged ? authorization.refreshToken : '',
        auth_time: authorization.authorizedAt,
      })),
    };
  },
};

export const componentApi: ApiFamily = {
  '/cgi-bin/component/api_start_push_ticket': startPushTicket,
  '/cgi-bin/component/api_component_token': componentToken,
  '/cgi-bin/component/api_create_preauthcode': createPreAuthCode,
  '/cgi-bin/component/api_query_auth': queryAuth,
  '/cgi-bin/component/api_authorizer_token': authorizerToken,
  '/cgi-bin/component/api_get_authorizer_info': authorizerInfo,
  '/cgi-bin/component/api_get_authorizer_list': authorizerList,
};

/** Changes an account's refresh token, as WeChat may at a refresh; the former one works for five minutes more. */
export function rotateRefreshToken(world: ApiCall['world'], account: SandboxAccount): void {
  if (!account.authorization) return;
  const { refreshToken } = account.authorization;
  const until = world.now() + FORMER_REFRESH_TOKEN_MS;
  world.data.formerRefreshTokens[refreshToken] = { appid: account.appid, until };
  account.authorization.refreshToken = randomValue('refreshtoken@@@');
}

/** The platform's tokens that were handed out for the appid are dead from now on; the account's own are not. */
export function retireTokens(world: ApiCall['world'], appid: string): void {
  for (const token of Object.values(world.data.accessTokens)) {
    if (token.appid === appid && token.kind !== 'own') token.isRetired = true;
  }
}

function issueToken(
  { world }: ApiCall,
  kind: 'component' | 'authorizer',
  appid: string,
  authorizationCode?: string,
): string {
  retireTokens(world, appid);
  const value = randomValue(kind === 'component' ? '70_' : '71_');
  world.data.accessTokens[value] = {
    kind,
    appid,
    expiresAt: world.now() + TOKEN_SECONDS * 1000,
    isRetired: false,
    ...(authorizationCode !== undefined && { authorizationCode }),
  };
  return value;
}

function authorized({ body, world }: ApiCall): {
  account: SandboxAccount;
  authorization: SandboxAuthorization;
} {
  const appid = textOf(body, 'authorizer_appid', new Refusal(40013, 'invalid appid'));
  const account = world.findAccount(appid);
  if (!account?.authorization)
    throw new Refusal(61003, 'component is not authorized by this account');
  return { account, authorization: account.authorization };
}

function absolute({ world }: ApiCall, address: string): string {
  return address.startsWith('/') ? world.url + address : address;
}

function funcInfo({ permissionIds }: SandboxAuthorization): object[] {
  return permissionIds.map((id) => ({ funcscope_category: { id } }));
}

function checkSecret({ body, world }: ApiCall, name: string): void {
  const secret = textOf(body, name, new Refusal(41004, 'appsecret missing'));
  if (secret !== world.component.appSecret) throw new Refusal(40125, 'invalid appsecret');
}
