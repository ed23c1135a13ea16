import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { WechatSandbox } from '@app/wechat-sandbox';
import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createConnection } from 'mysql2/promise';

import { readEnv } from '../config/env.js';
import { Clock } from '../src/common/clock.js';
import { PushLedger } from '../src/pushes/push-ledger.js';
import { WorkQueue } from '../src/queue/work-queue.js';
import { Cluster, clusterRedisUrl, startProcess } from './cluster.js';
import { SecretWatch } from './secret-watch.js';
import { until } from './until.js';

export const OWNER_KEY = 'owner-key-for-tests-0123456789abcdef';
export const COMPONENT = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: '0c0ffee00c0ffee00c0ffee00c0ffee0',
  token: 'fixtureToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
/** Not a host that resolves: the tests go to the port, the pages carry this name. */
export const PUBLIC_URL = 'http://channel.test';

/** A clock that moves only when it is told to. */
export class TestClock extends Clock {
  constructor(private at: Date) {
    super();
  }

  override now(): Date {
    return new Date(this.at);
  }

  advance(ms: number): void {
    this.at = new Date(this.at.getTime() + ms);
  }
}

/** A database of its own, on the engine that this run is for (`TEST_DATABASE_URL`; SQLite without it). */
export async function newDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  // oxlint-disable-next-line node/no-process-env -- how test/run.mjs tells a run its engine
  const server = process.env['TEST_DATABASE_URL'];
  if (!server) {
    const folder = await mkdtemp(join(tmpdir(), 'channel-'));
    return {
      url: `sqlite:${join(folder, 'channel.sqlite')}`,
      drop: () => rm(folder, { recursive: true, force: true }),
    };
  }
  const name = `channel_test_${randomBytes(6).toString('hex')}`;
  const run = async (sql: string): Promise<void> => {
    const { hostname, port, username, password } = new URL(server);
    const connection = await createConnection({
      host: hostname,
      port: Number(port || 3306),
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    });
    await connection.query(sql);
    await connection.end();
  };
  await run(`CREATE DATABASE ${name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`DROP DATABASE ${name}`) };
}

export interface Answer<T = Record<string, unknown>> {
  status: number;
  body: T;
  headers: Headers;
}

export interface TestApp {
  app: NestFastifyApplication;
  sandbox: WechatSandbox;
  clock: TestClock;
  /** The service's real address. */
  url: string;
  /** Calls the API with the owner's key, unless other headers are given. */
  api<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>>;
  /** A page of ours as a browser gets it. @param address absolute, at {@link PUBLIC_URL}, or a path */
  page(
    address: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; text: string; headers: Headers }>;
  /** Resolves when pushes have arrived and their handlers have ended. */
  settled(): Promise<void>;
  /** Moves the clock, and has what is due by then looked for at once. */
  later(ms: number): Promise<void>;
  /** Starts the service anew on the same database, as after a crash or an upgrade. @param env over its environment */
  restart(env?: Record<string, string>): Promise<void>;
  stop(): Promise<void>;
}

export interface TestAppOptions {
  now?: string;
  /** Over the environment of the service. */
  env?: Record<string, string>;
  /** Without one, the service starts with a fresh ticket. */
  withoutTicket?: boolean;
  /** Routes of the test's own, beside the service's. */
  controllers?: Type[];
  /** What the test itself gives the service to keep secret. */
  secrets?: readonly string[];
}

/** The real app on a real database with the sandbox as WeChat, each started for this test alone. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const clock = new TestClock(new Date(options.now ?? '2026-01-01T00:00:00Z'));
  const sandbox = await WechatSandbox.start({
    component: COMPONENT,
    launchDomain: new URL(PUBLIC_URL).host,
    now: () => clock.now().getTime(),
    pushRetryDelaysMs: [],
  });
  const database = await newDatabase();
  const env = {
    PUBLIC_URL,
    DATABASE_URL: database.url,
    ADMIN_API_KEY: OWNER_KEY,
    SECRET_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
    WECHAT_COMPONENT_APPID: COMPONENT.appid,
    WECHAT_COMPONENT_APPSECRET: COMPONENT.appSecret,
    WECHAT_COMPONENT_TOKEN: COMPONENT.token,
    WECHAT_COMPONENT_ENCODING_AES_KEY: COMPONENT.encodingAesKey,
    WECHAT_API_BASE_URL: sandbox.url,
    WECHAT_MP_BASE_URL: sandbox.url,
    WECHAT_OPEN_BASE_URL: sandbox.url,
    LOG_LEVEL: 'trace',
    ...(clusterRedisUrl && { REDIS_URL: clusterRedisUrl, LEASE_SECONDS: '2' }),
    ...options.env,
  };
  const self = new RunningApp(clock, sandbox, env, database.drop, options);
  await self.start();
  if (!options.withoutTicket) {
    // The service asks for a ticket at its first start, in its own time: that one must not come in later.
    await until(() => sandbox.callsTo('/cgi-bin/component/api_start_push_ticket') > 0);
    await self.settled();
    await sandbox.pushTicket();
  }
  await self.settled();
  return self;
}

class RunningApp implements TestApp {
  app: NestFastifyApplication;
  url: string;
  #cluster: Cluster | null = null;
  readonly #watch: SecretWatch;

  constructor(
    readonly clock: TestClock,
    readonly sandbox: WechatSandbox,
    private readonly env: Record<string, string>,
    private readonly dropDatabase: () => Promise<void>,
    private readonly options: TestAppOptions,
  ) {
    const { appSecret, token, encodingAesKey } = COMPONENT;
    const own = [OWNER_KEY, appSecret, token, encodingAesKey];
    this.#watch = new SecretWatch(sandbox, [...own, ...(options.secrets ?? [])]);
  }

  async start(): Promise<void> {
    const env = readEnv(this.env);
    this.app = await startProcess(env, this.clock, {
      controllers: this.options.controllers ?? [],
      watch: this.#watch,
    });
    this.url = await urlOf(this.app);
    if (clusterRedisUrl)
      this.#cluster = await Cluster.start(env, this.clock, clusterRedisUrl, this.#watch);
    // In a cluster, WeChat's pushes come to the other main than the callers.
    const pushedTo = await urlOf(this.#cluster?.main ?? this.app);
    this.sandbox.eventsUrl = `${pushedTo}/wechat/component/events`;
    this.sandbox.messagesUrl = `${pushedTo}/wechat/accounts/$APPID$/messages`;
  }

  async api<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${OWNER_KEY}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: (text === '' ? null : JSON.parse(text)) as T,
      headers: response.headers,
    };
  }

  async page(
    address: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const { pathname, search } = new URL(address, PUBLIC_URL);
    const response = await fetch(`${this.url}${pathname}${search}`, {
      headers,
      redirect: 'manual',
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }

  async settled(): Promise<void> {
    await this.sandbox.settled();
    await this.app.get(PushLedger).settled();
    await this.#cluster?.main.get(PushLedger).settled();
  }

  async later(ms: number): Promise<void> {
    this.clock.advance(ms);
    // Redis keeps what is to be done later until it is so by a clock of its own.
    await this.#cluster?.empty();
    await this.app.get(WorkQueue).announceDue();
  }

  async restart(env: Record<string, string> = {}): Promise<void> {
    await this.#close();
    Object.assign(this.env, env);
    await this.start();
  }

  async stop(): Promise<void> {
    await this.settled();
    const watched = await this.#watch.end(this.app, this.url).catch((error: unknown) => error);
    await this.#close();
    await this.sandbox.stop();
    await this.dropDatabase();
    if (watched) throw watched;
  }

  async #close(): Promise<void> {
    await this.#cluster?.stop();
    this.#cluster = null;
    await this.app.close();
  }
}

async function urlOf(app: NestFastifyApplication): Promise<string> {
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}
