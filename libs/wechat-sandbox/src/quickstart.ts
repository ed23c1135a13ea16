import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { QUICKSTART_COMPONENT } from './defaults.js';
import { greet } from './first-person.js';
import { type ReleaseTestCase, type ReleaseTestResult, runReleaseTest } from './release-test.js';
import { WechatSandbox } from './sandbox.js';
import type { SandboxData } from './state.js';
import { callApi, walkAuthorization, WalkError } from './walk.js';

const MAIN = resolve(import.meta.dirname, '../../../src/main.js');
const READY_WITHIN_MS = 60_000;
const TICKET_EVERY_MS = 10 * 60_000;
const KEEP_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 1_000;
const RELEASE_TEST_CASES: Readonly<Record<ReleaseTestCase, string>> = {
  ticket: '票据推送 ticket',
  text: '文本消息 text',
  api_text: '客服消息 API text',
  event: '事件 event',
};

/** A reason that a newcomer can remove. */
class QuickstartError extends Error {}

interface Setup {
  port: number;
  sandboxPort: number;
  /** Keeps the database, the sandbox's memory, the key and the service's log. */
  folder: string;
  pushRetryDelaysMs?: readonly number[];
}

type Running = Awaited<ReturnType<typeof start>>;

const { values } = parseArgs({
  options: {
    walk: { type: 'boolean', default: false },
    'release-test': { type: 'boolean', default: false },
    port: { type: 'string', default: '3000' },
    'sandbox-port': { type: 'string', default: '3900' },
  },
});

try {
  if (values['release-test']) await releaseTest();
  else if (values.walk) await walk();
  else await stay();
} catch (error) {
  const isExplained = error instanceof QuickstartError || error instanceof WalkError;
  process.stderr.write(
    `✗ ${isExplained ? error.message : String(error instanceof Error ? error.stack : error)}\n`,
  );
  process.exit(1);
}

/** For a person: stays until Ctrl-C, and goes on next time where it stopped. */
async function stay(): Promise<void> {
  const setup = {
    port: Number(values.port),
    sandboxPort: Number(values['sandbox-port']),
    folder: resolve('data/quickstart'),
  };
  await checkFree(setup.port, '--port');
  await checkFree(setup.sandboxPort, '--sandbox-port');
  const running = await start(setup);
  const ticking = setInterval(() => void running.sandbox.pushTicket(), TICKET_EVERY_MS);
  const looking = greetNewAccounts(running);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clearInterval(ticking);
      clearInterval(looking);
      process.stdout.write('\n正在停止… stopping…\n');
      void running.stop().then(() => process.exit(0));
    });
  }
  running.service.once('exit', (code) => {
    if (running.isStopping()) return;
    process.stderr.write(
      `✗ 服务已退出 the service ended (${code}): ${join(setup.folder, 'service.log')}\n`,
    );
    process.exit(1);
  });
  const { launchUrl } = await callApi(running, 'POST', '/authorizations', { accountType: 'any' });
  process.stdout.write(`
✓ 已就绪 Ready

  1. 打开授权页，点“使用微信扫码授权”，选择账号并确认
     Open the launch page, press the scan button, choose an account and confirm
     ${String(launchUrl)}

  2. 在 Swagger UI 中点 Authorize，填入密钥，调用 GET /api/v1/accounts
     In Swagger UI press Authorize, enter the key, call GET /api/v1/accounts
     ${running.serviceUrl}/docs
     密钥 key: ${running.apiKey}

  3. 扮演一位粉丝：关注、扫码、发消息
     Be a follower: follow, scan, write
     ${running.sandbox.url}/phone

  4. 启用账号后，在 Swagger UI 中执行 POST …/messages 的示例，到手机上看收到的消息
     With the account enabled, execute the examples of POST …/messages in Swagger UI and see the phone
     ${running.sandbox.url}/phone/wx1badb002feedface

  微信沙箱 WeChat sandbox: ${running.sandbox.url}
  日志 log: ${join(setup.folder, 'service.log')}
  Ctrl-C 停止 stops
`);
}

/**
 * Once an account is switched on, somebody follows it and writes to it: before, the service does not listen, and without
 * that nobody may be written to. Looks only while there is an account that nobody has greeted.
 */
function greetNewAccounts(running: Running): NodeJS.Timeout {
  const { sandbox } = running;
  const greeted = new Set<string>();
  const look = async (): Promise<void> => {
    const authorized = Object.values(sandbox.data.accounts).filter(
      ({ appid, authorization }) => authorization && !greeted.has(appid),
    );
    if (authorized.length === 0) return;
    const { items } = (await callApi(running, 'GET', '/accounts?enabled=true')) as {
      items?: { appid: string }[];
    };
    for (const { appid } of items ?? []) {
      if (greeted.has(appid) || !sandbox.findAccount(appid)) continue;
      greeted.add(appid);
      await sandbox.inBackground(greet(sandbox, appid));
    }
  };
  // The next look may find what this one does not.
  return setInterval(() => void look().catch(() => undefined), LOOK_EVERY_MS);
}

/** For a script: a fresh service and sandbox, two authorizations, an exit code. */
async function walk(): Promise<void> {
  await withFresh({}, async (running) => {
    for (const type of ['official_account', 'mini_program'] as const) {
      await walkAuthorization({ ...running, onStep: tellStep }, type);
    }
  });
  tellStep('完成 done');
}

/** For a script: a fresh service and sandbox, WeChat's release test with all of its accounts, an exit code. */
async function releaseTest(): Promise<void> {
  // A case must go well at the first try, so the others would only take time.
  const results = await withFresh({ pushRetryDelaysMs: [] }, ({ sandbox }) =>
    runReleaseTest(sandbox, tellResult),
  );
  const failures = results.filter(({ passed }) => !passed);
  if (failures.length > 0) {
    throw new QuickstartError(
      `全网发布接入检测未通过 the release test failed: ${failures.length}/${results.length}`,
    );
  }
  tellStep(`全网发布接入检测已通过 the release test passed: ${results.length}/${results.length}`);
}

async function withFresh<T>(
  options: Pick<Setup, 'pushRetryDelaysMs'>,
  work: (running: Running) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'quickstart-'));
  const running = await start({ ...options, port: await freePort(), sandboxPort: 0, folder });
  try {
    tellStep(`服务与沙箱已就绪 service and sandbox are ready: ${running.serviceUrl}`);
    return await work(running);
  } finally {
    await running.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function tellStep(text: string): void {
  process.stdout.write(`✓ ${text}\n`);
}

function tellResult({ appid, case: name, passed, detail }: ReleaseTestResult): void {
  process.stdout.write(`${passed ? '✓' : '✗'} ${appid} ${RELEASE_TEST_CASES[name]}: ${detail}\n`);
}

async function start({ port, sandboxPort, folder, pushRetryDelaysMs }: Setup) {
  mkdirSync(folder, { recursive: true });
  const serviceUrl = `http://localhost:${port}`;
  const memory = join(folder, 'sandbox.json');
  const data = existsSync(memory)
    ? (JSON.parse(readFileSync(memory, 'utf8')) as SandboxData)
    : undefined;
  const sandbox = await WechatSandbox.start({
    port: sandboxPort,
    component: QUICKSTART_COMPONENT,
    launchDomain: new URL(serviceUrl).host,
    eventsUrl: `${serviceUrl}/wechat/component/events`,
    messagesUrl: `${serviceUrl}/wechat/accounts/$APPID$/messages`,
    ...(pushRetryDelaysMs && { pushRetryDelaysMs }),
    ...(data && { data }),
  });
  // The service keeps its tokens over a restart, so WeChat must remember them too.
  const keep = (): void => writeFileSync(memory, JSON.stringify(sandbox.data));
  const keeping = setInterval(keep, KEEP_EVERY_MS);
  const apiKey = readOrMakeKey(folder);
  const service = startService({ port, serviceUrl, folder, apiKey, wechatUrl: sandbox.url });
  let isStopping = false;
  const stop = async (): Promise<void> => {
    isStopping = true;
    clearInterval(keeping);
    await ended(service);
    await sandbox.stop();
    keep();
  };
  try {
    await untilReady(serviceUrl, service, join(folder, 'service.log'));
    await sandbox.pushTicket();
    await untilTicket(serviceUrl);
  } catch (error) {
    await stop();
    throw error;
  }
  return { serviceUrl, apiKey, sandbox, service, stop, isStopping: () => isStopping };
}

function startService(about: {
  port: number;
  serviceUrl: string;
  folder: string;
  apiKey: string;
  wechatUrl: string;
}): ChildProcess {
  const { port, serviceUrl, folder, apiKey, wechatUrl } = about;
  const service = spawn(process.execPath, ['--enable-source-maps', MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PORT: String(port),
      PUBLIC_URL: serviceUrl,
      DATABASE_URL: `sqlite:${join(folder, 'channel.sqlite')}`,
      ADMIN_API_KEY: apiKey,
      WECHAT_COMPONENT_APPID: QUICKSTART_COMPONENT.appid,
      WECHAT_COMPONENT_APPSECRET: QUICKSTART_COMPONENT.appSecret,
      WECHAT_COMPONENT_TOKEN: QUICKSTART_COMPONENT.token,
      WECHAT_COMPONENT_ENCODING_AES_KEY: QUICKSTART_COMPONENT.encodingAesKey,
      WECHAT_API_BASE_URL: wechatUrl,
      WECHAT_MP_BASE_URL: wechatUrl,
      WECHAT_OPEN_BASE_URL: wechatUrl,
    },
  });
  const log = createWriteStream(join(folder, 'service.log'), { flags: 'a' });
  service.stdout.pipe(log, { end: false });
  service.stderr.pipe(log, { end: false });
  // What goes wrong before it listens is told here, not in a file.
  service.stderr.pipe(process.stderr, { end: false });
  return service;
}

async function untilReady(serviceUrl: string, service: ChildProcess, log: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline) {
    if (service.exitCode !== null)
      throw new QuickstartError(`服务未能启动 the service did not start: ${log}`);
    const response = await fetch(`${serviceUrl}/health/ready`).catch(() => null);
    if (response?.ok) return;
    await pause(100);
  }
  throw new QuickstartError(`服务 60 秒内没有就绪 the service was not ready within 60 s: ${log}`);
}

/** The push is answered before it is handled: the ticket is there a moment later. */
async function untilTicket(serviceUrl: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const health = (await (await fetch(`${serviceUrl}/health/ready`)).json()) as {
      component?: { ticket?: string };
    };
    if (health.component?.ticket === 'fresh') return;
    await pause(50);
  }
  throw new QuickstartError('ticket 没有送达 the ticket did not arrive');
}

async function ended(service: ChildProcess): Promise<void> {
  if (service.exitCode !== null) return;
  const exit = new Promise((resolveExit) => service.once('exit', resolveExit));
  service.kill('SIGTERM');
  await exit;
}

function readOrMakeKey(folder: string): string {
  const path = join(folder, 'admin-key');
  if (!existsSync(path)) {
    writeFileSync(path, `wck_${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  }
  return readFileSync(path, 'utf8').trim();
}

async function checkFree(port: number, option: string): Promise<void> {
  await listenOnce(port).catch(() => {
    throw new QuickstartError(
      `端口 ${port} 已被占用。请停止占用它的程序，或换一个：npm run quickstart -- ${option} <端口>\n` +
        `  Port ${port} is in use. Stop what has it, or choose another: npm run quickstart -- ${option} <port>`,
    );
  });
}

function freePort(): Promise<number> {
  return listenOnce(0);
}

function listenOnce(port: number): Promise<number> {
  return new Promise((resolvePort, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, () => {
      const address = server.address();
      server.close(() => resolvePort(typeof address === 'object' && address ? address.port : port));
    });
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((go) => setTimeout(go, ms));
}
