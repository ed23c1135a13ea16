import { describe, expect, it } from '@jest/globals';

import { EnvError, readEnv } from './env.js';

const good = {
  WECHAT_COMPONENT_APPID: 'wx0c0ffee0c0ffee00',
  WECHAT_COMPONENT_APPSECRET: '0123456789abcdef0123456789abcdef',
  WECHAT_COMPONENT_TOKEN: 'fixtureToken2026',
  WECHAT_COMPONENT_ENCODING_AES_KEY: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};

const faultsOf = (source: Record<string, string | undefined>): readonly string[] => {
  try {
    readEnv(source);
  } catch (error) {
    if (error instanceof EnvError) return error.faults;
    throw error;
  }
  return [];
};

describe('readEnv', () => {
  it('fills in the defaults of the embedded shape', () => {
    expect(readEnv(good)).toMatchObject({
      port: 3000,
      host: '0.0.0.0',
      publicUrl: 'http://localhost:3000',
      database: { kind: 'sqlite', path: 'data/channel.sqlite' },
      migrateAtStart: true,
      secretKeys: null,
      adminApiKey: null,
      wechatApiBaseUrl: 'https://api.weixin.qq.com',
      trustedProxies: [],
      outboundAllowedNetworks: [],
      logLevel: 'info',
    });
  });

  it('takes the port into the default of PUBLIC_URL and treats an empty variable as not set', () => {
    expect(readEnv({ ...good, PORT: '8080', PUBLIC_URL: '' }).publicUrl).toBe(
      'http://localhost:8080',
    );
  });

  it('names every missing variable in one error', () => {
    const faults = faultsOf({});
    for (const name of Object.keys(good)) expect(faults.join('\n')).toContain(name);
    expect(faults).toHaveLength(4);
  });

  it('reads a MySQL address with escaped characters', () => {
    const env = readEnv({
      ...good,
      DATABASE_URL: 'mysql://app:p%40ss@db.example.com/channel',
      SECRET_KEYS: `k1:${Buffer.alloc(32).toString('base64')}`,
    });
    expect(env.database).toEqual({
      kind: 'mysql',
      host: 'db.example.com',
      port: 3306,
      user: 'app',
      password: 'p@ss',
      database: 'channel',
    });
  });

  it('reads networks, each an address or a CIDR', () => {
    const networks = ' 10.0.0.0/8, 192.168.1.7 ,fd00::/8,';
    expect(
      readEnv({ ...good, OUTBOUND_ALLOWED_NETWORKS: networks }).outboundAllowedNetworks,
    ).toEqual(['10.0.0.0/8', '192.168.1.7', 'fd00::/8']);
  });

  it("takes figures of reply windows in place of WeChat's, and leaves the others", () => {
    const { replyWindows } = readEnv({
      ...good,
      REPLY_WINDOWS: 'official_account.message=20/48h, mini_program.enter_session=1/30s',
    });
    expect(replyWindows.official_account).toMatchObject({
      message: { count: 20, seconds: 172_800 },
      follow: { count: 3, seconds: 60 },
    });
    expect(replyWindows.mini_program).toEqual({
      message: { count: 5, seconds: 172_800 },
      enter_session: { count: 1, seconds: 30 },
    });
    expect(readEnv(good).replyWindows.official_account.message).toEqual({
      count: 5,
      seconds: 172_800,
    });
  });

  it('requires SECRET_KEYS with MySQL', () => {
    expect(faultsOf({ ...good, DATABASE_URL: 'mariadb://root@127.0.0.1/channel' })).toEqual([
      expect.stringContaining('SECRET_KEYS'),
    ]);
  });

  it.each([
    ['PORT', '70000'],
    ['PORT', '3000x'],
    ['PUBLIC_URL', 'https://channel.example.com/path'],
    ['PUBLIC_URL', 'channel.example.com'],
    ['DATABASE_URL', 'postgres://localhost/x'],
    ['DATABASE_URL', 'mysql://root@127.0.0.1'],
    ['DATABASE_URL', 'mysql://root:%zz@127.0.0.1/x'],
    ['DATABASE_MIGRATE', 'yes'],
    ['LOG_LEVEL', 'loud'],
    ['TRUSTED_PROXIES', '10.0.0.0/8,nonsense'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
    ['OUTBOUND_ALLOWED_NETWORKS', '10.0.0.0/8 192.168.0.0/16'],
    ['OUTBOUND_ALLOWED_NETWORKS', 'token.internal'],
    ['SECRET_KEYS', 'k1:short'],
    ['WECHAT_COMPONENT_ENCODING_AES_KEY', 'too-short'],
    ['WECHAT_COMPONENT_TOKEN', 'with-dash'],
    ['MESSAGE_RETENTION_DAYS', '0'],
    ['REPLY_WINDOWS', 'message=5/48h'],
    ['REPLY_WINDOWS', 'official_account.message=5'],
    ['REPLY_WINDOWS', 'official_account.payment=5/48h'],
  ])('refuses %s=%s', (name, value) => {
    const faults = faultsOf({ ...good, [name]: value });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(name);
  });

  it('repeats no value of a secret', () => {
    const secret = 'canary-secret';
    const faults = faultsOf({
      ...good,
      ADMIN_API_KEY: secret,
      SECRET_KEYS: `k1:${secret}`,
      WECHAT_COMPONENT_APPSECRET: 'canary secret',
      WECHAT_COMPONENT_ENCODING_AES_KEY: secret,
      DATABASE_URL: `mysql://root:${secret}@`,
    });
    expect(faults).toHaveLength(5);
    expect(faults.join('\n')).not.toMatch(/canary.secret/);
  });
});
