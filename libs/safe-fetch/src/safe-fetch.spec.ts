import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { isPublic } from './networks.js';
import { isHeaderAllowed, parseSafeUrl, SafeFetch, SafeFetchError } from './index.js';
import { TEST_CA, TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from './vectors/certificates.js';

const LOOPBACK = ['127.0.0.0/8', '::1'];

/** Every address that this process has begun to dial. */
const dialled: string[] = [];
const sockets = channel('net.client.socket');
const follow = (message: unknown): void => {
  const { socket } = message as { socket: Socket };
  socket.on('connectionAttempt', (address: string) => dialled.push(address));
};

/** Something listens where a blocked address would lead, on every loopback. */
const traps: ReturnType<typeof createTcp>[] = [];
let trapped = 0;
let port = 0;

const opened: Server[] = [];
/** What names stand for, one answer after the other; the last one stays. */
const names = new Map<string, string[][]>();
const resolve = async (name: string): Promise<{ address: string }[]> => {
  const answers = names.get(name);
  if (!answers) throw Object.assign(new Error(`unknown ${name}`), { code: 'ENOTFOUND' });
  const addresses = (answers.length > 1 ? answers.shift() : answers[0]) ?? [];
  return addresses.map((address) => ({ address }));
};

const strict = new SafeFetch({ resolve });
const local = new SafeFetch({ resolve, allowedNetworks: LOOPBACK, ca: TEST_CA, timeoutMs: 500 });

beforeAll(async () => {
  sockets.subscribe(follow);
  const count = (socket: Socket): void => {
    trapped += 1;
    socket.destroy();
  };
  for (const host of ['127.0.0.1', '::1', '127.0.0.2']) {
    const trap = createTcp(count).listen(port, host);
    await once(trap, 'listening');
    port = (trap.address() as AddressInfo).port;
    traps.push(trap);
  }
});
afterAll(() => {
  sockets.unsubscribe(follow);
  for (const trap of traps) trap.close();
});
afterEach(async () => {
  for (const server of opened.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
  names.clear();
  dialled.length = 0;
});

async function listen(server: Server): Promise<number> {
  opened.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener): Promise<number> => listen(createHttp(listener));
const serveTls = (listener: RequestListener): Promise<number> =>
  listen(createHttps({ cert: TEST_CERTIFICATE, key: TEST_CERTIFICATE_KEY }, listener));

async function failure(request: Promise<unknown>): Promise<SafeFetchError> {
  const outcome = await request.then(
    () => 'done',
    (error: unknown) => error,
  );
  if (outcome instanceof SafeFetchError) return outcome;
  throw new Error(`No SafeFetchError but ${String(outcome)}`);
}

/** `PORT` is the traps'. */
const FORMS: [what: string, address: string, step: string][] = [
  ['loopback', 'https://127.0.0.1:PORT/', 'blocked'],
  ['another loopback', 'https://127.0.0.2:PORT/', 'blocked'],
  ['a short form', 'https://127.1:PORT/', 'blocked'],
  ['decimal', 'https://2130706433:PORT/', 'blocked'],
  ['octal', 'https://0177.0.0.1:PORT/', 'blocked'],
  ['hexadecimal', 'https://0x7f000001:PORT/', 'blocked'],
  ['hexadecimal by bytes', 'https://0x7f.0x0.0x0.0x1:PORT/', 'blocked'],
  ['a mixture', 'https://0x7f.1:PORT/', 'blocked'],
  ['a dot behind it', 'https://127.0.0.1.:PORT/', 'blocked'],
  ['full-width digits', 'https://１２７.０.０.１:PORT/', 'blocked'],
  ['percent-encoded', 'https://%31%32%37.0.0.1:PORT/', 'blocked'],
  ['unspecified', 'https://0.0.0.0:PORT/', 'blocked'],
  ['nothing but zero', 'https://0:PORT/', 'blocked'],
  ['IPv6 loopback', 'https://[::1]:PORT/', 'blocked'],
  ['IPv6 loopback in full', 'https://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/', 'blocked'],
  ['IPv6 unspecified', 'https://[::]:PORT/', 'blocked'],
  ['mapped', 'https://[::ffff:127.0.0.1]:PORT/', 'blocked'],
  ['mapped in hexadecimal', 'https://[::ffff:7f00:1]:PORT/', 'blocked'],
  ['mapped metadata', 'https://[::ffff:a9fe:a9fe]/', 'blocked'],
  ['compatible', 'https://[::127.0.0.1]:PORT/', 'blocked'],
  ['translated', 'https://[::ffff:0:127.0.0.1]:PORT/', 'blocked'],
  ['NAT64', 'https://[64:ff9b::7f00:1]:PORT/', 'blocked'],
  ['NAT64 metadata', 'https://[64:ff9b::a9fe:a9fe]/', 'blocked'],
  ['local NAT64', 'https://[64:ff9b:1::7f00:1]:PORT/', 'blocked'],
  ['6to4', 'https://[2002:7f00:1::]:PORT/', 'blocked'],
  ['6to4 metadata', 'https://[2002:a9fe:a9fe::1]/', 'blocked'],
  ['Teredo', 'https://[2001:0:7f00:1::]/', 'blocked'],
  ['documentation', 'https://[2001:db8::1]/', 'blocked'],
  ['new documentation', 'https://[3fff::1]/', 'blocked'],
  ['unique local', 'https://[fd00::1]/', 'blocked'],
  ['metadata of AWS', 'https://[fd00:ec2::254]/', 'blocked'],
  ['IPv6 link-local', 'https://[fe80::1]/', 'blocked'],
  ['site-local', 'https://[fec0::1]/', 'blocked'],
  ['IPv6 multicast', 'https://[ff02::1]/', 'blocked'],
  ['discard-only', 'https://[100::1]/', 'blocked'],
  ['class A', 'https://10.0.0.1/', 'blocked'],
  ['class B', 'https://172.31.255.254/', 'blocked'],
  ['class C', 'https://192.168.0.1/', 'blocked'],
  ['carrier NAT', 'https://100.64.0.1/', 'blocked'],
  ['metadata', 'https://169.254.169.254/', 'blocked'],
  ['metadata of Tencent', 'https://169.254.0.23/', 'blocked'],
  ['metadata of Alibaba', 'https://100.100.100.200/', 'blocked'],
  ['metadata of Oracle', 'https://192.0.0.192/', 'blocked'],
  ['metadata of Azure', 'https://168.63.129.16/', 'blocked'],
  ['6to4 relay', 'https://192.88.99.1/', 'blocked'],
  ['benchmarking', 'https://198.18.0.1/', 'blocked'],
  ['TEST-NET-1', 'https://192.0.2.1/', 'blocked'],
  ['TEST-NET-2', 'https://198.51.100.1/', 'blocked'],
  ['TEST-NET-3', 'https://203.0.113.1/', 'blocked'],
  ['multicast', 'https://224.0.0.1/', 'blocked'],
  ['reserved', 'https://240.0.0.1/', 'blocked'],
  ['broadcast', 'https://255.255.255.255/', 'blocked'],
  ['plain http to loopback', 'http://127.0.0.1:PORT/', 'blocked'],
  ['plain http to a public address', 'http://8.8.8.8/', 'url'],
  ['user and password', 'https://user:secret@127.0.0.1:PORT/', 'url'],
  ['a user that looks like a host', 'https://example.com@127.0.0.1:PORT/', 'url'],
  ['an address with brackets around a user', 'https://1:2@[::1]:PORT/', 'url'],
  ['another scheme', 'file:///etc/passwd', 'url'],
  ['gopher', 'gopher://127.0.0.1:PORT/', 'url'],
  ['no host', 'https://', 'url'],
  ['a zone', 'https://[fe80::1%25eth0]/', 'url'],
  ['a number that is no address', 'https://256.256.256.256/', 'url'],
  ['port 0', 'https://127.0.0.1:0/', 'url'],
  ['a path only', '/token', 'url'],
];

/** Names, and what they stand for. */
const RESOLVED: [what: string, answers: string[][], step: string][] = [
  ['loopback', [['127.0.0.1']], 'blocked'],
  ['IPv6 loopback', [['::1']], 'blocked'],
  ['mapped loopback', [['::ffff:127.0.0.1']], 'blocked'],
  ['a link-local address with its zone', [['fe80::1%lo']], 'blocked'],
  ['a public address and a private one', [['8.8.8.8', '10.0.0.1']], 'blocked'],
  ['a private address behind public ones', [['8.8.8.8', '8.8.4.4', '127.0.0.1']], 'blocked'],
  ['NAT64 of loopback', [['64:ff9b::7f00:1']], 'blocked'],
  ['no address at all', [[]], 'dns'],
  ['something that is no address', [['localhost']], 'blocked'],
];

describe('what must not be reached', () => {
  afterEach(() => {
    if (dialled.length > 0 || trapped > 0) throw new Error(`Dialled: ${dialled.join()}`);
  });

  it.each(FORMS)('is not dialled as %s: %s', async (_what, address, step) => {
    const { message, ...error } = await failure(strict.fetch(address.replace('PORT', `${port}`)));
    expect(error.step).toBe(step);
    expect(message).not.toContain('secret');
  });

  it.each(RESOLVED)('is not dialled by a name that stands for %s', async (_what, answers, step) => {
    names.set('rebind.test', answers);
    expect(await failure(strict.fetch(`https://rebind.test:${port}/`))).toMatchObject({ step });
  });

  it.each(['localhost', 'localhost.', 'LOCALHOST'])('is not dialled as %s', async (name) => {
    const real = new SafeFetch();
    const error = await failure(real.fetch(`https://${name}:${port}/`));
    // Not every system knows the one with a dot.
    expect(name.endsWith('.') ? ['blocked', 'dns'] : ['blocked']).toContain(error.step);
  });

  it('stays where it is when a name stands for something else at every look', async () => {
    names.set('rebind.test', [['8.8.8.8', '127.0.0.1'], ['127.0.0.1']]);
    for (let n = 0; n < 3; n++)
      expect(await failure(strict.fetch(`https://rebind.test:${port}/`))).toMatchObject({
        step: 'blocked',
      });
  });

  it('is not reached by a redirect', async () => {
    const server = await serve((_request, response) => {
      response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end();
    });
    const url = `http://127.0.0.1:${server}/`;
    expect(await failure(local.fetch(url))).toMatchObject({ step: 'redirect', status: 302 });
    expect(dialled).toEqual(['127.0.0.1']);
    dialled.length = 0;
  });

  it('is not reached through a proxy of the environment', async () => {
    // oxlint-disable-next-line node/no-process-env -- what is ignored has to be there first
    const env = process.env;
    const before = { ...env };
    Object.assign(env, {
      HTTPS_PROXY: `http://127.0.0.1:${port}`,
      HTTP_PROXY: `http://127.0.0.1:${port}`,
      NODE_USE_ENV_PROXY: '1',
    });
    try {
      const error = await failure(strict.fetch('https://unknown.test/'));
      expect(error).toMatchObject({ step: 'dns', reason: 'ENOTFOUND' });
    } finally {
      for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NODE_USE_ENV_PROXY'])
        if (before[name] === undefined) delete env[name];
        else env[name] = before[name];
    }
  });
});

describe('a name that changes what it stands for', () => {
  it('is looked up once: what was judged is what is dialled', async () => {
    const server = await serve((_request, response) => response.end('first'));
    names.set('rebind.test', [['127.0.0.1'], ['10.255.255.1']]);
    expect((await local.fetch(`http://rebind.test:${server}/`)).text).toBe('first');
    expect(dialled).toEqual(['127.0.0.1']);
    expect(await failure(local.fetch(`http://rebind.test:${server}/`))).toMatchObject({
      step: 'blocked',
    });
    expect(dialled).toEqual(['127.0.0.1']);
  });
});

describe('the networks that the operator allows', () => {
  it('may be private and plain, whatever their port', async () => {
    const server = await serve(({ headers, method, url }, response) => {
      response.end(JSON.stringify({ method, url, encoding: headers['accept-encoding'] }));
    });
    const { status, text } = await local.fetch(`http://127.0.0.1:${server}/token?a=1#part`);
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({ method: 'GET', url: '/token?a=1', encoding: 'identity' });
  });

  it('open nothing beside them', async () => {
    const one = new SafeFetch({ resolve, allowedNetworks: ['127.0.0.2/32'] });
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.2]', '10.0.0.1'])
      expect(await failure(one.fetch(`http://${host}:${port}/`))).toMatchObject({
        step: 'blocked',
      });
    expect(dialled).toEqual([]);
  });

  it('are tried one address after the other', async () => {
    const server = await serve((_request, response) => response.end('here'));
    names.set('two.test', [['127.0.0.9', '127.0.0.1']]);
    expect((await local.fetch(`http://two.test:${server}/`)).text).toBe('here');
  });

  it('are sent what the caller wants sent', async () => {
    const server = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method, headers } = request;
        const { accept, 'x-token': token } = headers;
        response.end(`${method} ${accept} ${String(token)} ${Buffer.concat(chunks).toString()}`);
      });
    });
    const answer = await local.fetch(`http://127.0.0.1:${server}/`, {
      method: 'POST',
      headers: { accept: '*/*', 'X-Token': 'abc', Accept: 'text/plain' },
      body: '{"文":1}',
    });
    expect(answer.text).toBe('POST text/plain abc {"文":1}');
  });
});

describe('a request that fails', () => {
  it('names the step dns', async () => {
    expect(await failure(local.fetch('https://unknown.test/'))).toMatchObject({
      step: 'dns',
      reason: 'ENOTFOUND',
    });
  });

  it('names the step connect', async () => {
    const server = createTcp().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port: free } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    expect(await failure(local.fetch(`http://127.0.0.1:${free}/`))).toMatchObject({
      step: 'connect',
      reason: 'ECONNREFUSED',
    });
  });

  it('names the step tls, and nothing was sent', async () => {
    let asked = 0;
    const server = await serveTls((_request, response) => {
      asked += 1;
      response.end('{}');
    });
    names.set('token.test', [['127.0.0.1']]);
    names.set('other.test', [['127.0.0.1']]);
    const untrusting = new SafeFetch({ resolve, allowedNetworks: LOOPBACK });
    const [unknown, wrongName, notTls] = [
      await failure(untrusting.fetch(`https://token.test:${server}/`)),
      await failure(local.fetch(`https://other.test:${server}/`)),
      await failure(local.fetch(`https://token.test:${await serve(() => undefined)}/`)),
    ];
    expect(unknown).toMatchObject({ step: 'tls', reason: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
    expect(wrongName).toMatchObject({ step: 'tls', reason: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(notTls).toMatchObject({ step: 'tls' });
    expect(asked).toBe(0);
    for (const host of ['token.test', 'token.test.']) {
      names.set(host, [['127.0.0.1']]);
      expect((await local.fetch(`https://${host}:${server}/`)).text).toBe('{}');
    }
  });

  it.each([400, 401, 404, 500, 503])('names the status %d', async (status) => {
    const server = await serve((_request, response) => response.writeHead(status).end('secret'));
    const error = await failure(local.fetch(`http://127.0.0.1:${server}/`));
    expect(error).toMatchObject({ step: 'status', status });
    expect(error.message).not.toContain('secret');
  });

  it.each([
    ['the answer', (): RequestListener => () => undefined],
    [
      'a byte now and then',
      (): RequestListener => (_request, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write('x'), 20);
        response.on('close', () => clearInterval(drip));
      },
    ],
    [
      'a header now and then',
      (): RequestListener =>
        ({ socket }) => {
          socket.write('HTTP/1.1 200 OK\r\n');
          const drip = setInterval(() => socket.write('x-a: b\r\n'), 20);
          socket.on('close', () => clearInterval(drip));
        },
    ],
  ])('ends in time when it waits for %s', async (_what, listener) => {
    const server = await serve(listener());
    const startedAt = performance.now();
    const error = await failure(local.fetch(`http://127.0.0.1:${server}/`));
    expect(error).toMatchObject({ step: 'timeout', reason: 'answer' });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it.each([
    ['dns', 'http://slow.test/'],
    ['tls', 'https://127.0.0.1:SILENT/'],
  ])('ends in time at the step %s', async (reason, address) => {
    const silent = createTcp().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const slow = new SafeFetch({
      allowedNetworks: LOOPBACK,
      timeoutMs: 100,
      resolve: () => new Promise(() => undefined),
    });
    const url = address.replace('SILENT', `${(silent.address() as AddressInfo).port}`);
    expect(await failure(slow.fetch(url))).toMatchObject({ step: 'timeout', reason });
    silent.close();
  });

  it.each([
    ['65,537 bytes', { 'content-length': `${64 * 1024 + 1}` }, Buffer.alloc(64 * 1024 + 1)],
    ['10 MiB', {}, Buffer.alloc(10 * 1024 * 1024)],
    ['endless headers', { 'x-a': 'x'.repeat(32 * 1024) }, Buffer.alloc(0)],
  ])('is too_large with %s', async (_what, headers, body) => {
    const server = await serve((_request, response) => response.writeHead(200, headers).end(body));
    expect(await failure(local.fetch(`http://127.0.0.1:${server}/`))).toMatchObject({
      step: 'too_large',
    });
  });

  it('takes 64 KiB to the byte', async () => {
    const server = await serve((_request, response) => response.end('x'.repeat(64 * 1024)));
    expect((await local.fetch(`http://127.0.0.1:${server}/`)).text).toHaveLength(64 * 1024);
  });

  it('does not unpack what is compressed', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024));
    const server = await serve((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    expect(await failure(local.fetch(`http://127.0.0.1:${server}/`))).toMatchObject({
      step: 'body',
      reason: 'content_encoding',
    });
  });

  it.each([
    ['breaks off', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'],
    ['is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['is nothing', ''],
  ])('names the step body when the answer %s', async (_what, answer) => {
    const server = await serve(({ socket }) => socket.end(answer));
    expect(await failure(local.fetch(`http://127.0.0.1:${server}/`))).toMatchObject({
      step: 'body',
    });
  });

  it('leaves no socket behind', async () => {
    const live = new Set<Socket>();
    const server = createHttp((_request, response) => response.end('x'.repeat(100_000)));
    server.on('connection', (socket: Socket) => {
      live.add(socket);
      socket.on('close', () => live.delete(socket));
    });
    const address = `http://127.0.0.1:${await listen(server)}/`;
    for (let n = 0; n < 3; n++) await failure(local.fetch(address));
    while (live.size > 0) await new Promise(setImmediate);
    expect(live.size).toBe(0);
  });
});

describe('isPublic', () => {
  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '169.253.0.1',
    '192.0.1.1',
    '198.17.255.255',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2400:3200::1',
    '2001:200::1',
  ])('knows %s', (address) => {
    expect(isPublic(address)).toBe(true);
  });
});

describe('parseSafeUrl', () => {
  it('drops the part behind # and keeps everything else', () => {
    expect(parseSafeUrl('HTTPS://Token.Example.com:443/a/../b?c=d#e')?.href).toBe(
      'https://token.example.com/b?c=d',
    );
  });

  it('takes no more than 2,048 characters', () => {
    expect(parseSafeUrl(`https://example.com/${'a'.repeat(2_028)}`)).not.toBeNull();
    expect(parseSafeUrl(`https://example.com/${'a'.repeat(2_029)}`)).toBeNull();
  });
});

describe('isHeaderAllowed', () => {
  it.each([
    ['X-Token', 'abc', true],
    ['Authorization', 'Bearer abc', true],
    ['Host', 'internal', false],
    ['Transfer-Encoding', 'chunked', false],
    ['Proxy-Authorization', 'abc', false],
    ['Accept-Encoding', 'gzip', false],
    ['X Token', 'abc', false],
    ['X-Token', 'a\r\nHost: b', false],
    ['X-Token', '中文', false],
  ])('%s: %j is %s', (name, value, allowed) => {
    expect(isHeaderAllowed(name, value)).toBe(allowed);
  });

  it('stops a request with another one before it is made', async () => {
    const request = local.fetch(`http://127.0.0.1:${port}/`, { headers: { host: 'internal' } });
    await expect(request).rejects.toThrow(TypeError);
    expect(dialled).toEqual([]);
  });
});
