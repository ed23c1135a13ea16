import { isIP } from 'node:net';

import { KeyRingError, parseKeyRing } from '@app/secret-box';
import {
  ACTIVITIES,
  isEncodingAesKey,
  REPLY_WINDOWS,
  type ReplyWindow,
  type ReplyWindows,
} from '@app/wechat';

export interface SqliteTarget {
  kind: 'sqlite';
  /** As given: relative to the working directory, or absolute. */
  path: string;
}

export interface MysqlTarget {
  kind: 'mysql' | 'mariadb';
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

export type DatabaseTarget = SqliteTarget | MysqlTarget;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The third-party platform's own credentials, from its console. */
export interface ComponentCredentials {
  appid: string;
  appSecret: string;
  token: string;
  encodingAesKey: string;
}

/** Everything the environment decides, checked once at start. Nothing else reads `process.env`. */
export class Env {
  readonly port: number;
  readonly host: string;
  /** What the outside calls us: an origin, without a slash at its end. */
  readonly publicUrl: string;
  readonly database: DatabaseTarget;
  /** Work travels over this Redis; null lets every process look for it in the database. */
  readonly redisUrl: string | null;
  /** `false` leaves pending migrations to `npm run migrate`. */
  readonly migrateAtStart: boolean;
  /** `id:base64key[,…]`; null lets the embedded shape make its own. */
  readonly secretKeys: string | null;
  /** The first owner key; null lets the first start make one. */
  readonly adminApiKey: string | null;
  readonly component: ComponentCredentials;
  readonly wechatApiBaseUrl: string;
  readonly wechatMpBaseUrl: string;
  readonly wechatOpenBaseUrl: string;
  /** Addresses and CIDRs whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: string[];
  /** Addresses and CIDRs that customers' addresses may lead to although they are private, and without TLS. */
  readonly outboundAllowedNetworks: string[];
  /** How long a push is kept once it was handled. */
  readonly pushRetentionDays: number;
  /** How long a receipt is kept. */
  readonly receiptRetentionDays: number;
  /** How long what people have written and done is kept. */
  readonly messageRetentionDays: number;
  /** How many customer-service messages each activity of a person allows, and for how long. */
  readonly replyWindows: ReplyWindows;
  /** How long a message to a person, and what became of it, is kept. */
  readonly deliveryRetentionDays: number;
  /** How long a process that has died keeps others from its work. */
  readonly leaseSeconds: number;
  readonly logLevel: LogLevel;

  constructor(values: { [K in keyof Env]: Env[K] }) {
    Object.assign(this, values);
  }
}

/** All faults of the environment at once, each line naming its variable. No value of a secret is in it. */
export class EnvError extends Error {
  override readonly name = 'EnvError';

  constructor(readonly faults: readonly string[]) {
    super(
      [
        '配置有误，服务没有启动。请改正以下环境变量后再启动：',
        'The configuration is wrong and the service did not start. Correct these environment variables:',
        ...faults.map((fault) => `  - ${fault}`),
        '说明见 README.zh-CN.md 与 .env.example。 See README.md and .env.example.',
      ].join('\n'),
    );
  }
}

/**
 * Reads and checks the environment.
 *
 * @param source the variables; an empty one counts as not set
 * @throws EnvError naming every variable that is missing or wrong
 */
export function readEnv(source: Readonly<Record<string, string | undefined>> = processEnv()): Env {
  const read = new Reader(source);
  const port = read.integer('PORT', 3000, 0, 65_535);
  const database = read.database('DATABASE_URL', 'sqlite:data/channel.sqlite');
  const env = new Env({
    port,
    host: read.text('HOST', '0.0.0.0'),
    publicUrl: read.origin('PUBLIC_URL', `http://localhost:${port}`),
    database,
    redisUrl: read.redisUrl('REDIS_URL'),
    migrateAtStart: read.oneOf('DATABASE_MIGRATE', ['on', 'off'], 'on') === 'on',
    secretKeys: read.secretKeys('SECRET_KEYS', database.kind === 'sqlite'),
    adminApiKey: read.adminApiKey('ADMIN_API_KEY'),
    component: {
      appid: read.matching(
        'WECHAT_COMPONENT_APPID',
        /^wx[0-9a-zA-Z]{4,30}$/,
        '应为 wx 开头的第三方平台 AppID / must be the platform\'s appid, beginning with "wx"',
      ),
      appSecret: read.matching(
        'WECHAT_COMPONENT_APPSECRET',
        /^\S{1,128}$/,
        "应为第三方平台的 AppSecret / must be the platform's AppSecret",
      ),
      token: read.matching(
        'WECHAT_COMPONENT_TOKEN',
        /^[A-Za-z0-9]{3,32}$/,
        '应为 3–32 位字母或数字（消息校验Token）/ must be 3..32 letters or digits',
      ),
      encodingAesKey: read.aesKey('WECHAT_COMPONENT_ENCODING_AES_KEY'),
    },
    wechatApiBaseUrl: read.origin('WECHAT_API_BASE_URL', 'https://api.weixin.qq.com'),
    wechatMpBaseUrl: read.origin('WECHAT_MP_BASE_URL', 'https://mp.weixin.qq.com'),
    wechatOpenBaseUrl: read.origin('WECHAT_OPEN_BASE_URL', 'https://open.weixin.qq.com'),
    trustedProxies: read.networks('TRUSTED_PROXIES'),
    outboundAllowedNetworks: read.networks('OUTBOUND_ALLOWED_NETWORKS'),
    pushRetentionDays: read.integer('PUSH_RETENTION_DAYS', 30, 1, 3650),
    receiptRetentionDays: read.integer('RECEIPT_RETENTION_DAYS', 180, 1, 3650),
    messageRetentionDays: read.integer('MESSAGE_RETENTION_DAYS', 90, 1, 3650),
    replyWindows: read.replyWindows('REPLY_WINDOWS'),
    deliveryRetentionDays: read.integer('DELIVERY_RETENTION_DAYS', 180, 1, 3650),
    leaseSeconds: read.integer('LEASE_SECONDS', 30, 1, 3600),
    logLevel: read.oneOf('LOG_LEVEL', LOG_LEVELS, 'info'),
  });
  if (read.faults.length > 0) throw new EnvError(read.faults);
  return env;
}

/** Reads one variable a call, collecting faults instead of stopping at the first. */
class Reader {
  readonly faults: string[] = [];

  constructor(private readonly source: Readonly<Record<string, string | undefined>>) {}

  text(name: string, fallback: string): string {
    return this.find(name) ?? fallback;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const text = this.find(name);
    if (text === null) return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    return this.fault(
      name,
      `应为 ${min}–${max} 的整数 / must be an integer ${min}..${max}`,
      fallback,
    );
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], fallback: T): T {
    const text = this.find(name);
    if (text === null) return fallback;
    const found = allowed.find((value) => value === text);
    return (
      found ?? this.fault(name, `应为以下之一 / must be one of: ${allowed.join(', ')}`, fallback)
    );
  }

  origin(name: string, fallback: string): string {
    const text = this.find(name);
    if (text === null) return fallback;
    const url = URL.canParse(text) ? new URL(text) : null;
    const isOrigin =
      url !== null &&
      /^https?:$/.test(url.protocol) &&
      url.pathname === '/' &&
      !url.search &&
      !url.hash &&
      !url.username &&
      !url.password;
    if (isOrigin) return url.origin;
    return this.fault(
      name,
      '应为 http(s)://主机[:端口]，不带路径 / must be http(s)://host[:port] without a path',
      fallback,
    );
  }

  matching(name: string, pattern: RegExp, hint: string): string {
    const text = this.find(name);
    if (text === null) return this.missing(name, hint);
    return pattern.test(text) ? text : this.fault(name, hint, '');
  }

  aesKey(name: string): string {
    const hint = '应为 43 位字母或数字（消息加解密Key）/ must be 43 letters or digits';
    const text = this.find(name);
    if (text === null) return this.missing(name, hint);
    return isEncodingAesKey(text) ? text : this.fault(name, hint, '');
  }

  adminApiKey(name: string): string | null {
    const text = this.find(name);
    if (text === null || text.length >= 32) return text;
    return this.fault(name, '至少 32 个字符 / must be 32 characters or more', null);
  }

  secretKeys(name: string, optional: boolean): string | null {
    const hint = '应为 id:base64密钥[,…] / must be id:base64key[,…]: openssl rand -base64 32';
    const text = this.find(name);
    if (text === null) return optional ? null : this.missing(name, hint);
    try {
      parseKeyRing(text);
      return text;
    } catch (error) {
      if (!(error instanceof KeyRingError)) throw error;
      return this.fault(name, `${hint} (${error.message})`, null);
    }
  }

  networks(name: string): string[] {
    const entries = (this.find(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean);
    const wrong = entries.find((entry) => !isNetwork(entry));
    if (wrong === undefined) return entries;
    return this.fault(name, `不是 IP 或 CIDR / not an address or CIDR: ${wrong}`, []);
  }

  database(name: string, fallback: string): DatabaseTarget {
    const text = this.find(name) ?? fallback;
    const target = parseDatabaseUrl(text);
    if (target) return target;
    return this.fault(
      name,
      '应为 sqlite:路径 或 mysql://用户:密码@主机:端口/库 / must be sqlite:path or mysql://user:password@host:port/database (or mariadb://)',
      { kind: 'sqlite', path: '' },
    );
  }

  redisUrl(name: string): string | null {
    const text = this.find(name);
    if (text === null) return null;
    const url = URL.canParse(text) ? new URL(text) : null;
    if (url?.hostname && /^rediss?:$/.test(url.protocol)) return text;
    return this.fault(
      name,
      '应为 redis://[用户:密码@]主机:端口[/库号] / must be redis://[user:password@]host:port[/database] (or rediss://)',
      null,
    );
  }

  /** WeChat's figures, with those that are given in their place. */
  replyWindows(name: string): ReplyWindows {
    const entries = (this.find(name) ?? '')
      .split(',')
      .map((entry) => entry.trim())
      .filter(Boolean);
    const windows = {
      official_account: { ...REPLY_WINDOWS.official_account },
      mini_program: { ...REPLY_WINDOWS.mini_program },
    };
    for (const entry of entries) {
      const read = parseReplyWindow(entry);
      if (read) windows[read.accountType][read.activity] = read.window;
      else
        this.fault(
          name,
          `应为 账号类型.互动=条数/时长（秒 s、分 m、时 h），如 official_account.message=5/48h / must be accountType.activity=count/time in s, m or h: ${entry}`,
          null,
        );
    }
    return windows;
  }

  private find(name: string): string | null {
    return this.source[name]?.trim() || null;
  }

  private missing(name: string, hint: string): string {
    return this.fault(name, `必填，没有设置 / required, not set. ${hint}`, '');
  }

  private fault<T>(name: string, text: string, standIn: T): T {
    this.faults.push(`${name}: ${text}`);
    return standIn;
  }
}

function parseDatabaseUrl(text: string): DatabaseTarget | null {
  const sqlite = /^sqlite:(?!\/\/)([^?#]+)$/.exec(text);
  if (sqlite?.[1]) return { kind: 'sqlite', path: sqlite[1] };
  const url = URL.canParse(text) ? new URL(text) : null;
  const kind = url?.protocol.slice(0, -1);
  if (!url || (kind !== 'mysql' && kind !== 'mariadb')) return null;
  try {
    const database = decodeURIComponent(url.pathname.slice(1));
    if (!url.hostname || !database || database.includes('/')) return null;
    return {
      kind,
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: Number(url.port || 3306),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database,
    };
  } catch {
    return null; // a stray % in user, password or database
  }
}

const UNIT_SECONDS = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3_600],
]);

function parseReplyWindow(entry: string) {
  const [, accountType, name, count = '', time = '', unit = ''] =
    /^(official_account|mini_program)\.([a-z_]+)=(\d{1,4})\/(\d{1,6})([smh])$/.exec(entry) ?? [];
  const activity = ACTIVITIES.find((known) => known === name);
  const isType = accountType === 'official_account' || accountType === 'mini_program';
  if (!isType || !activity) return null;
  const window: ReplyWindow = {
    count: Number(count),
    seconds: Number(time) * (UNIT_SECONDS.get(unit) ?? 0),
  };
  return { accountType, activity, window } as const;
}

function isNetwork(entry: string): boolean {
  const [address = '', bits, ...rest] = entry.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return (
    bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
  );
}

function processEnv(): Readonly<Record<string, string | undefined>> {
  // oxlint-disable-next-line node/no-process-env -- the one place that reads the environment
  return process.env;
}
