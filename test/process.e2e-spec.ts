import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { OWNER_KEY } from './app.js';
import { Program, serviceEnv, startService } from './processes.js';
import { until } from './until.js';

let folder: string;
const running: Program[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'channel-process-'));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((program) => program.stop()));
  await rm(folder, { recursive: true, force: true });
});

const databaseUrl = (): string => `sqlite:${join(folder, 'channel.sqlite')}`;

async function start(env: Record<string, string>): Promise<{ service: Program; url: string }> {
  const started = await startService(env, folder);
  running.push(started.service);
  return started;
}

async function fail(
  env: Record<string, string>,
  file = 'src/main.js',
): Promise<{ code: number | null; stderr: string }> {
  const program = Program.start(file, { env, cwd: folder });
  running.push(program);
  const code = await program.exited;
  return { code, stderr: program.stderr };
}

const withoutKeys = (env: Record<string, string>, ...names: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));

describe('the service at start', () => {
  it('names every wrong variable in one message, without a stack', async () => {
    const { code, stderr } = await fail({ PORT: 'x', DATABASE_URL: 'postgres://x' });
    expect(code).toBe(1);
    for (const name of [
      'PORT',
      'DATABASE_URL',
      'WECHAT_COMPONENT_APPID',
      'WECHAT_COMPONENT_APPSECRET',
      'WECHAT_COMPONENT_TOKEN',
      'WECHAT_COMPONENT_ENCODING_AES_KEY',
    ]) {
      expect(stderr).toContain(`- ${name}:`);
    }
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  it('refuses a second process on the same SQLite file, and gives it free after kill -9', async () => {
    const { service } = await start(serviceEnv(databaseUrl()));
    const second = await fail(serviceEnv(databaseUrl(), { PORT: '0' }));
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('Another process is using the database');
    expect(second.stderr).not.toMatch(/\n\s+at /);
    service.child.kill('SIGKILL');
    await service.exited;
    await start(serviceEnv(databaseUrl()));
  });

  it('says that a port is taken', async () => {
    const { url } = await start(serviceEnv(databaseUrl()));
    const { code, stderr } = await fail(
      serviceEnv(`sqlite:${join(folder, 'other.sqlite')}`, { PORT: new URL(url).port }),
    );
    expect(code).toBe(1);
    expect(stderr).toContain('The port is in use');
  });

  it('makes its keys once, for its owner only, and goes on with them', async () => {
    const first = await start(serviceEnv(databaseUrl()));
    await first.service.stop();
    const path = join(folder, 'secret-keys');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const keys = await readFile(path, 'utf8');
    expect(keys).toMatch(/^k1:[A-Za-z0-9+/]{43}=\n$/);
    const second = await start(serviceEnv(databaseUrl()));
    expect(await readFile(path, 'utf8')).toBe(keys);
    await second.service.stop();
    // The keys that seal this database are gone: nothing new may take their place.
    await rm(path);
    const { code, stderr } = await fail(serviceEnv(databaseUrl()));
    expect(code).toBe(1);
    expect(stderr).toContain('secret-keys');
    await writeFile(path, `k2:${Buffer.alloc(32, 9).toString('base64')}\n`);
    expect((await fail(serviceEnv(databaseUrl()))).stderr).toContain(
      'does not open what this database holds',
    );
  });

  it('prints the first owner key once, and keeps only its digest', async () => {
    const env = withoutKeys(serviceEnv(databaseUrl()), 'ADMIN_API_KEY');
    const first = await start(env);
    const key = /wck_[\w-]{43}/.exec(first.service.stderr)?.[0] ?? '';
    expect(first.service.output.split(key)).toHaveLength(2);
    const ask = async (url: string): Promise<number> =>
      (await fetch(`${url}/api/v1/component`, { headers: { authorization: `Bearer ${key}` } }))
        .status;
    expect(await ask(first.url)).toBe(200);
    await first.service.stop();
    const second = await start(env);
    expect(second.service.output).not.toContain('wck_');
    expect(await ask(second.url)).toBe(200);
    expect((await readFile(join(folder, 'channel.sqlite'))).includes(key)).toBe(false);
  });

  it('leaves migrations to npm run migrate when told so', async () => {
    const env = serviceEnv(databaseUrl(), { DATABASE_MIGRATE: 'off' });
    const refused = await fail(env);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('npm run migrate');
    expect((await fail(env, 'src/migrate.js')).code).toBe(0);
    await start(env);
  });
});

describe('the service at work', () => {
  it('writes one JSON line for each request, with its id and route and nothing of its address', async () => {
    const { service, url } = await start(serviceEnv(databaseUrl()));
    const headers = { authorization: `Bearer ${OWNER_KEY}`, 'x-request-id': 'trace-77' };
    await fetch(`${url}/api/v1/accounts/wx-in-the-address?q=in-the-query`, { headers });
    await until(() => service.output.includes('trace-77'));
    const line = service.output.split('\n').find((text) => text.includes('trace-77')) ?? '';
    expect(JSON.parse(line)).toMatchObject({
      level: 'info',
      msg: 'request',
      requestId: 'trace-77',
      method: 'GET',
      route: '/api/v1/accounts/:appid',
      status: 404,
      key: 'ADMIN_API_KEY',
    });
    expect(service.output).not.toMatch(/in-the-(address|query)/);
  });

  it('writes one for a caller who has left before the answer, too', async () => {
    let asked = 0;
    // It is never answered: the ticket that is asked for at start is not, either.
    const wechat = createHttpServer(() => (asked += 1));
    await once(wechat.listen(0, '127.0.0.1'), 'listening');
    const { port } = wechat.address() as AddressInfo;
    const env = { WECHAT_API_BASE_URL: `http://127.0.0.1:${port}` };
    const { service, url } = await start(serviceEnv(databaseUrl(), env));
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${OWNER_KEY}`, 'x-request-id': 'trace-78' };
    const call = fetch(`${url}/api/v1/component/ticket-push`, {
      method: 'POST',
      headers,
      signal: leaving.signal,
    });
    await until(() => asked === 2);
    leaving.abort();
    await expect(call).rejects.toThrow('abort');
    await until(() => service.output.includes('"status":499'));
    const line = service.output.split('\n').find((text) => text.includes('"status":499')) ?? '';
    expect(JSON.parse(line)).toMatchObject({ msg: 'request', requestId: 'trace-78' });
    wechat.closeAllConnections();
    wechat.close();
  });
});

describe('the service at its end', () => {
  it('stops on SIGTERM with exit code 0 and leaves one whole database file', async () => {
    const { service, url } = await start(serviceEnv(databaseUrl()));
    expect(
      (await fetch(`${url}/api/v1/accounts`, { headers: { authorization: `Bearer ${OWNER_KEY}` } }))
        .status,
    ).toBe(200);
    const startedAt = Date.now();
    await service.stop();
    expect(service.child.exitCode).toBe(0);
    expect((await readdir(folder)).toSorted()).toEqual([
      'channel.sqlite',
      'channel.sqlite.lock',
      'secret-keys',
    ]);
    expect(Date.now() - startedAt).toBeLessThan(5_000);
  });

  it.each([
    ['nothing has come on', []],
    ['half a request has come on', ['GET /health/live HTTP/1.1\r\nHost: x\r\n']],
    [
      'half a body has come on',
      ['POST /wechat/component/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n<'],
    ],
    [
      'half of another request has come on',
      ['GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /'],
    ],
  ])('is not held up by a connection that %s', async (_how, pieces) => {
    const { service, url } = await start(serviceEnv(databaseUrl()));
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    for (const [n, piece] of pieces.entries()) {
      if (n > 0) await once(socket, 'data');
      socket.write(piece);
    }
    // What was sent before is there before the answer to this.
    await fetch(`${url}/health/live`);
    const startedAt = Date.now();
    expect(await service.stop()).toBe(0);
    // It was 15 s, and an exit code of 1.
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    socket.destroy();
  });
});

describe('the log', () => {
  it('keeps no process from ending when nobody reads it any more', async () => {
    const logger = join(import.meta.dirname, '../dist/src/common/logger.js');
    const script = `
      const { Logger } = await import(${JSON.stringify(logger)});
      const logger = new Logger({ logLevel: 'info' });
      process.stdin.once('end', () => {
        for (const line of ['one', 'two', 'three']) logger.info(line);
        process.exit(0);
      }).resume();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    child.stdout.destroy();
    child.stdin.end();
    const limit = setTimeout(() => child.kill('SIGKILL'), 10_000);
    expect(await exited).toEqual([0, null]);
    clearTimeout(limit);
  }, 20_000);
});

describe('npm run quickstart -- --walk', () => {
  it('walks both kinds of account and exits 0', async () => {
    const walk = Program.start('libs/wechat-sandbox/src/quickstart.js', {
      args: ['--walk'],
      cwd: folder,
    });
    running.push(walk);
    expect(await walk.exited).toBe(0);
    expect(walk.output).toContain('示例花店 wx1badb002feedface');
    expect(walk.output).toContain('示例花店商城 wx3c0ffee53c0ffee5');
  }, 60_000);

  it('says which port is taken', async () => {
    const { url } = await start(serviceEnv(databaseUrl()));
    const { port } = new URL(url);
    const program = Program.start('libs/wechat-sandbox/src/quickstart.js', {
      args: ['--port', port],
      cwd: folder,
    });
    running.push(program);
    expect(await program.exited).toBe(1);
    expect(program.stderr).toContain(`Port ${port} is in use`);
    expect(program.stderr).not.toMatch(/\n\s+at /);
  });
});
