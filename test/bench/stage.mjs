// What a benchmark runs on: a copy of the build, child processes, databases of its own; and its clean-up.
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { createSqlite, MysqlServer } from './databases.mjs';
import { COMPONENT, SECRET_KEYS, startNode } from './shared.mjs';

export const OWNER_KEY = 'owner-key-of-the-bench-0123456789abcdef';
const READY_WITHIN_MS = 30_000;

export const ROOT = join(import.meta.dirname, '../..');
/** The options that every benchmark has. */
export const OPTIONS = {
  rounds: { type: 'string', default: '5' },
  'no-gate': { type: 'boolean', default: false },
  mariadb: { type: 'string', default: 'mariadb://root@127.0.0.1:3306' },
  build: { type: 'string', default: join(ROOT, 'dist') },
};

export class Stage {
  /** Null until it has been connected to. */
  mysql = null;
  #children = new Set();
  /** @type {Promise<void> | null} */
  #closing = null;

  constructor(folder) {
    this.folder = folder;
    this.build = join(folder, 'dist');
  }

  /** A copy: whoever builds meanwhile must not change what is measured. */
  async copyBuild(from) {
    await cp(from, this.build, { recursive: true });
    await cp(join(ROOT, 'package.json'), join(this.folder, 'package.json'));
    await symlink(join(ROOT, 'node_modules'), join(this.folder, 'node_modules'));
  }

  get isClosing() {
    return this.#closing !== null;
  }

  async connectMysql(url) {
    try {
      this.mysql = await MysqlServer.connect(url);
    } catch (error) {
      throw new Error(`No MariaDB answers at ${new URL(url).host} (see --mariadb URL).`, {
        cause: error,
      });
    }
  }

  createDatabase(engine) {
    return engine === 'sqlite' ? createSqlite(this.folder) : this.mysql.create();
  }

  /** See {@link startNode}. */
  start(cpu, args, settings) {
    if (this.#closing) throw new Error('The benchmark is ending.');
    const child = startNode(cpu, args, settings);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  async stop(child) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  /** Ends every child and deletes what was made; the second call waits for the first. */
  async clear() {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close() {
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    await this.mysql?.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The environment of a deployment; WeChat is nowhere, unless its address is given. */
export function serviceEnv(url, env = {}) {
  return {
    DATABASE_URL: url,
    SECRET_KEYS,
    ADMIN_API_KEY: OWNER_KEY,
    WECHAT_COMPONENT_APPID: COMPONENT.appid,
    WECHAT_COMPONENT_APPSECRET: COMPONENT.appSecret,
    WECHAT_COMPONENT_TOKEN: COMPONENT.token,
    WECHAT_COMPONENT_ENCODING_AES_KEY: COMPONENT.encodingAesKey,
    WECHAT_API_BASE_URL: 'http://127.0.0.1:9',
    ...env,
  };
}

/** @param log the file that the service's output goes to */
export async function untilReady(child, port, log) {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await isReady(port))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`The service does not start:\n${readFileSync(log, 'utf8').slice(-4_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function isReady(port) {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null);
  await answer?.arrayBuffer();
  return answer?.ok ?? false;
}

/** Makes the service's tables in another database. */
export async function migrate(stage, cpu, url) {
  const child = stage.start(cpu, [join(stage.build, 'src/migrate.js')], {
    env: serviceEnv(url),
    output: 'ignore',
    ipc: false,
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`The database was not migrated (${code}).`);
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** The list from another place on, so that no one always has the quiet moments. */
export function turned(list, by) {
  const first = by % list.length;
  return [...list.slice(first), ...list.slice(0, first)];
}

/**
 * Sets the stage, runs the benchmark, cleans up, and ends the process.
 *
 * @param build the folder of the build
 * @param main resolves to the exit code
 */
export async function run(build, main) {
  const stage = new Stage(await mkdtemp(join(tmpdir(), 'channel-bench-')));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => {
      void stage.clear().finally(() => process.exit(130));
    });
  let code = 1;
  try {
    await stage.copyBuild(build);
    code = await main(stage);
  } catch (error) {
    if (!stage.isClosing) console.error(error);
  } finally {
    await stage.clear();
  }
  process.exit(code);
}
