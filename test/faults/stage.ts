import { join } from 'node:path';

import { type PushConfig, WechatSandbox } from '@app/wechat-sandbox';
import type { DataSource } from 'typeorm';

import { COMPONENT, newDatabase, OWNER_KEY } from '../app.js';
import { MINI_PROGRAM, SERVICE_ACCOUNT } from '../helpers.js';
import { freePort, Program, serviceEnv } from '../processes.js';
import { until } from '../until.js';
import { openView } from './checker.js';
import { eventPush, type LoadPush, messagePush, receiptPush } from './push-load.js';

const PRELOAD = join(import.meta.dirname, 'preload.mjs');
export const LEASE_SECONDS = 2;
const OWN = {
  token: 'ownToken2026',
  encodingAesKey: 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg',
};

/** WeChat, a database, and whatever processes of the service a fault run wants, under its control. */
export class Stage {
  #serial = 0;

  private constructor(
    readonly sandbox: WechatSandbox,
    readonly databaseUrl: string,
    /** The database itself, past every fault. */
    readonly view: DataSource,
    /** What is agreed for the mini-program's own pushes. */
    private readonly pushConfig: PushConfig,
    private readonly env: Record<string, string>,
    private readonly drop: () => Promise<void>,
  ) {}

  /**
   * Sets up a database with one account whose messages are taken in, and a mini-program with its own address.
   *
   * @param reach how the service's processes get to the database, where not straight
   */
  static async set(
    env: Record<string, string> = {},
    reach: (url: string) => Promise<string> = (url) => Promise.resolve(url),
  ): Promise<Stage> {
    const sandbox = await WechatSandbox.start({
      component: COMPONENT,
      launchDomain: 'channel.test',
      pushRetryDelaysMs: [200, 200],
    });
    const { url, drop } = await newDatabase();
    const serviceAt = {
      PUBLIC_URL: 'http://channel.test',
      SECRET_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
      LEASE_SECONDS: String(LEASE_SECONDS),
      LOG_LEVEL: 'warn',
      WECHAT_API_BASE_URL: sandbox.url,
      WECHAT_MP_BASE_URL: sandbox.url,
      WECHAT_OPEN_BASE_URL: sandbox.url,
      ...env,
    };
    // A first start makes the tables and takes in the account.
    const first = await Process.start(serviceEnv(url, serviceAt), await freePort());
    sandbox.eventsUrl = `${first.url}/wechat/component/events`;
    await sandbox.pushTicket();
    await until(async () => (await first.health()).includes('"ticket":"fresh"'));
    for (const appid of [SERVICE_ACCOUNT, MINI_PROGRAM])
      await sandbox.authorize({ appid, preAuthCode: null }).pushed;
    const view = await openView(url);
    const isThere = (): Promise<unknown[]> =>
      view.query('SELECT appid FROM account WHERE synced_at IS NOT NULL');
    await until(async () => (await isThere()).length === 2);
    const { body } = await first.api<{ receiptUrl: string }>(
      'PUT',
      `/accounts/${MINI_PROGRAM}/receipt-config`,
      OWN,
    );
    await first.program.stop();
    await view.query('UPDATE account SET enabled = 1');
    sandbox.eventsUrl = null;
    const pushConfig = { ...OWN, url: body.receiptUrl, mode: 'secure', format: 'json' } as const;
    const processEnv = serviceEnv(await reach(url), serviceAt);
    return new Stage(sandbox, url, view, pushConfig, processEnv, drop);
  }

  /** Starts a process of the service and waits until it is ready. */
  start(
    options: { port?: number; env?: Record<string, string>; file?: string } = {},
  ): Promise<Process> {
    const env = { ...this.processEnv(), ...options.env };
    return Process.start(env, options.port ?? null, options.file);
  }

  /** What a process of the service needs to know. @param crashAt the point, and the passing, at which it dies */
  processEnv(crashAt = ''): Record<string, string> {
    return { ...this.env, NODE_OPTIONS: `--import=${PRELOAD}`, CRASH_AT: crashAt };
  }

  /** A message to the account, a receipt of the mini-program, or now and then a new account that authorizes us. */
  nextPush(authorizeEvery: number): LoadPush {
    this.#serial += 1;
    const seconds = Math.floor(Date.now() / 1000);
    if (this.#serial % authorizeEvery !== 0) {
      if (this.#serial % 2 === 0) return this.nextReceipt();
      const { originalId } = this.sandbox.account(SERVICE_ACCOUNT);
      return messagePush(SERVICE_ACCOUNT, originalId, seconds);
    }
    const appid = `wx${(0xfa000000 + this.#serial).toString(16).padStart(16, '0')}`;
    this.sandbox.addAccount({ appid });
    const { event } = this.sandbox.authorize({ appid, preAuthCode: null, push: false });
    return eventPush({ ...event }, seconds);
  }

  /** A receipt by the mini-program's own address. */
  nextReceipt(): LoadPush {
    const { appid, originalId } = this.sandbox.account(MINI_PROGRAM);
    const seconds = Math.floor(Date.now() / 1000);
    return receiptPush({ appid, toUserName: originalId }, this.pushConfig, seconds);
  }

  /** Resolves when every push in the ledger has been handled. */
  async settled(): Promise<void> {
    await until(async () => {
      const rows = await this.view.query<unknown[]>(
        "SELECT id FROM push WHERE state <> 'handled' LIMIT 1",
      );
      return rows.length === 0;
    }, 60_000);
  }

  async clear(): Promise<void> {
    if (this.view.isInitialized) await this.view.destroy();
    await this.sandbox.stop();
    await this.drop();
  }
}

/** A process of the service. */
export class Process {
  private constructor(
    readonly program: Program,
    readonly port: number,
  ) {}

  /** Does not wait: one that is to die under load may be gone before anybody has seen it ready. */
  static launch(env: Record<string, string>, port: number, file = 'src/main.js'): Process {
    return new Process(Program.start(file, { env: { ...env, PORT: String(port) } }), port);
  }

  static async start(
    env: Record<string, string>,
    wanted: number | null,
    file?: string,
  ): Promise<Process> {
    const self = Process.launch(env, wanted ?? (await freePort()), file);
    const { child } = self.program;
    await until(async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`The service ended: ${self.program.output}`);
      return self.isReady();
    }, 30_000);
    return self;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async isReady(): Promise<boolean> {
    const answer = await fetch(`${this.url}/health/ready`, {
      signal: AbortSignal.timeout(3_000),
    }).catch(() => null);
    return answer?.ok ?? false;
  }

  async health(): Promise<string> {
    return (await fetch(`${this.url}/health/ready`)).text();
  }

  async api<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${OWNER_KEY}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text ? JSON.parse(text) : null) as T };
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.program.child.kill('SIGKILL');
    await this.program.exited;
  }
}
