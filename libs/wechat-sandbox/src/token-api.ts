import { type Api, type ApiCall, type ApiFamily, OK, Refusal, textOf } from './api.js';
import { randomValue, type SandboxAccount } from './state.js';

const TOKEN_SECONDS = 7200;
/** So long before its end the next one is handed out, while it still lives. */
const OVERLAP_MS = 300_000;

/** By an account's own AppSecret: apart from the tokens of the platform, neither retires the other. */
const stableToken: Api = {
  token: 'none',
  handle: (call) => {
    const { body, world } = call;
    if (body['grant_type'] !== 'client_credential') throw new Refusal(40002, 'invalid grant_type');
    const appid = textOf(body, 'appid', new Refusal(41002, 'appid missing'));
    const account = world.findAccount(appid);
    if (!account) throw new Refusal(40013, 'invalid appid');
    checkSecret(call, account);
    const { accessTokens } = world.data;
    const now = world.now();
    const own = Object.entries(accessTokens).filter(
      ([, token]) => token.kind === 'own' && token.appid === appid && !token.isRetired,
    );
    if (body['force_refresh'] === true) for (const [, token] of own) token.isRetired = true;
    else {
      const present = own.find(([, { expiresAt }]) => expiresAt - now > OVERLAP_MS);
      if (present) return answer(present[0], present[1].expiresAt - now);
    }
    const value = randomValue('72_');
    const expiresAt = now + TOKEN_SECONDS * 1000;
    accessTokens[value] = { kind: 'own', appid, expiresAt, isRetired: false };
    return answer(value, TOKEN_SECONDS * 1000);
  },
};

const ACCOUNT_TYPES = { subscription: 1, service: 2, miniProgram: 3 } as const;

const accountBasicInfo: Api = {
  token: 'authorizer',
  permissions: [3, 30],
  handle: ({ tokenAppid, world }) => {
    const account = world.findAccount(tokenAppid ?? '');
    if (!account) throw new Refusal(40013, 'invalid appid');
    const { appid, accountType, serviceType, nickname, principalName } = account;
    const official = serviceType === 2 ? ACCOUNT_TYPES.service : ACCOUNT_TYPES.subscription;
    return {
      ...OK,
      appid,
      account_type: accountType === 'mini_program' ? ACCOUNT_TYPES.miniProgram : official,
      principal_type: 1,
      principal_name: principalName,
      realname_status: 1,
      nickname,
    };
  },
};

export const tokenApi: ApiFamily = {
  '/cgi-bin/stable_token': stableToken,
  '/cgi-bin/account/getaccountbasicinfo': accountBasicInfo,
};

function answer(token: string, lifeMs: number): object {
  return { access_token: token, expires_in: Math.floor(lifeMs / 1000) };
}

function checkSecret({ body, ip }: ApiCall, account: SandboxAccount): void {
  const secret = textOf(body, 'secret', new Refusal(41004, 'appsecret missing'));
  if (account.isSecretFrozen) throw new Refusal(40243, 'AppSecret frozen');
  if (!/^[0-9a-f]{32}$/.test(secret)) throw new Refusal(40125, 'invalid appsecret');
  if (secret !== account.appSecret)
    throw new Refusal(40001, 'invalid credential, access_token is invalid or not latest');
  if (account.ipWhitelist && !account.ipWhitelist.includes(ip))
    throw new Refusal(40164, `invalid ip ${ip} ipv6 ::ffff:${ip}, not in whitelist`);
}
