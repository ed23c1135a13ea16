import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { COMPONENT, OWNER_KEY } from './app.js';
import { until } from './until.js';

const DIST = join(import.meta.dirname, '../dist');

/** A program of the build, run as a process of its own. */
export class Program {
  /** Everything it has printed, both streams. */
  output = '';
  stderr = '';
  readonly exited: Promise<number | null>;

  private constructor(readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    child.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
      this.stderr += chunk.toString();
    });
  }

  /** @param file under `dist/` */
  static start(
    file: string,
    options: { args?: string[]; env?: Record<string, string>; cwd?: string } = {},
  ): Program {
    const { args = [], env = {}, cwd } = options;
    // Nothing of this process's environment: what a test does not set is not there.
    return new Program(
      spawn(process.execPath, [join(DIST, file), ...args], {
        env: { PATH: '/usr/bin:/bin', ...env },
        cwd,
      }),
    );
  }

  /** Sends SIGTERM and waits for the end. @returns the exit code */
  async stop(): Promise<number | null> {
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    return this.exited;
  }
}

/** The service as a process, ready for requests. */
export async function startService(
  env: Record<string, string>,
  cwd?: string,
): Promise<{ service: Program; url: string }> {
  const { program: service, url } = await startProgram('src/main.js', env, cwd);
  return { service, url };
}

/** A program of the build that answers on a port of its own, ready. @param file under `dist/` */
export async function startProgram(
  file: string,
  env: Record<string, string>,
  cwd?: string,
): Promise<{ program: Program; url: string }> {
  const port = await freePort();
  const program = Program.start(file, {
    env: { ...env, PORT: String(port) },
    ...(cwd !== undefined && { cwd }),
  });
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (program.child.exitCode !== null) throw new Error(`It ended: ${program.output}`);
    return (await fetch(`${url}/health/ready`).catch(() => null))?.ok ?? false;
  });
  return { program, url };
}

/** What the service cannot do without. WeChat is nowhere. */
export function serviceEnv(
  databaseUrl: string,
  over: Record<string, string> = {},
): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    ADMIN_API_KEY: OWNER_KEY,
    WECHAT_COMPONENT_APPID: COMPONENT.appid,
    WECHAT_COMPONENT_APPSECRET: COMPONENT.appSecret,
    WECHAT_COMPONENT_TOKEN: COMPONENT.token,
    WECHAT_COMPONENT_ENCODING_AES_KEY: COMPONENT.encodingAesKey,
    WECHAT_API_BASE_URL: 'http://127.0.0.1:9',
    ...over,
  };
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
