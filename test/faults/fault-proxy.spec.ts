import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { until } from '../until.js';
import { FaultProxy } from './fault-proxy.js';
import { seededRandom } from './random.js';

/** Says back what it hears, and remembers it. */
class EchoServer {
  heard = '';
  readonly sockets = new Set<Socket>();

  private constructor(readonly server: Server) {}

  static async start(): Promise<EchoServer> {
    const echo = new EchoServer(createServer({ allowHalfOpen: true }));
    echo.server.on('connection', (socket) => {
      echo.sockets.add(socket);
      socket.on('data', (chunk: Buffer) => (echo.heard += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => echo.sockets.delete(socket));
      socket.pipe(socket);
    });
    echo.server.listen(0, '127.0.0.1');
    await once(echo.server, 'listening');
    return echo;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** One connection, what it got and how it ended. */
class Client {
  got = '';
  /** When each chunk came. */
  readonly times: number[] = [];
  end: 'open' | 'ended' | 'closed' = 'open';
  error: string | undefined;

  constructor(readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.got += chunk.toString('latin1');
      this.times.push(performance.now());
    });
    socket.on('end', () => (this.end = 'ended'));
    socket.on('error', ({ code }: NodeJS.ErrnoException) => (this.error = code));
    socket.on('close', () => (this.end = 'closed'));
  }

  /** Resolves when the answer is there, to how long it took. */
  async ask(text: string): Promise<number> {
    const before = this.got.length;
    const startedAt = performance.now();
    this.socket.write(text);
    await until(() => this.got.slice(before) === text);
    return performance.now() - startedAt;
  }
}

let echo: EchoServer;
let proxy: FaultProxy;
let clients: Client[];

beforeEach(async () => {
  clients = [];
  echo = await EchoServer.start();
  proxy = await FaultProxy.to('127.0.0.1', echo.port);
});
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await proxy.close();
  await echo.stop();
});

function open(options: { allowHalfOpen?: boolean } = {}): Client {
  const client = new Client(connect({ host: '127.0.0.1', port: proxy.port, ...options }));
  clients.push(client);
  return client;
}

/** Long enough for loopback to have brought over what it was going to bring. */
async function aWhile(): Promise<void> {
  await new Promise((go) => setTimeout(go, 50));
}

describe('none', () => {
  it('brings bytes over both ways and counts them', async () => {
    const client = open();
    await client.ask('hello');
    expect(proxy.connections).toBe(1);
    expect(proxy.stats).toMatchObject({
      accepted: 1,
      bytesToServer: 5,
      bytesToClient: 5,
      bytesLost: 0,
    });
  });

  it('brings a goodbye over and the last answer before it', async () => {
    const client = open({ allowHalfOpen: true });
    client.socket.end('last words');
    await until(() => client.end !== 'open');
    expect(client.got).toBe('last words');
    await until(() => proxy.connections === 0 && echo.sockets.size === 0);
  });

  it('brings large answers over whole, and makes the server wait for a client that does not read', async () => {
    const total = 64 * 1024 * 1024;
    const client = open();
    client.socket.pause();
    const sent = createHash('sha256');
    for (let i = 0; i < 64; i++) {
      const piece = randomBytes(total / 64);
      sent.update(piece);
      client.socket.write(piece);
    }
    let seen = -1;
    await until(async () => {
      const before = seen;
      seen = proxy.stats.bytesToServer;
      await aWhile();
      return before === seen;
    });
    expect(proxy.stats.bytesToServer).toBeLessThan(total);
    let length = 0;
    const received = createHash('sha256');
    client.socket.removeAllListeners('data');
    client.socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      received.update(chunk);
    });
    client.socket.resume();
    await until(() => length === total);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('ends the client when the server is gone or was never there', async () => {
    const client = open();
    await client.ask('hello');
    for (const socket of echo.sockets) socket.resetAndDestroy();
    await until(() => client.end === 'closed');
    await new Promise((resolve) => echo.server.close(resolve));
    const late = open();
    await until(() => late.end === 'closed');
    expect(late.error).toBe('ECONNRESET');
    await until(() => proxy.connections === 0);
  });
});

describe('latency', () => {
  it('delays every answer', async () => {
    const client = open();
    await client.ask('first');
    proxy.set({ kind: 'latency', ms: 80 });
    expect(await client.ask('second')).toBeGreaterThanOrEqual(79);
    expect(await client.ask('third')).toBeGreaterThanOrEqual(79);
    expect(echo.heard).toBe('firstsecondthird');
  });

  it('keeps the order and delays ten on their way together no longer than one', async () => {
    const client = open();
    await client.ask('.');
    proxy.set({ kind: 'latency', ms: 200 });
    const startedAt = performance.now();
    for (let i = 0; i < 10; i++) {
      client.socket.write(String(i));
      // One at a time, so that each is a chunk of its own.
      await until(() => echo.heard.length === i + 2);
    }
    await until(() => client.got.length === 11);
    expect(client.got).toBe('.0123456789');
    expect((client.times[1] ?? 0) - startedAt).toBeGreaterThanOrEqual(199);
    expect(performance.now() - startedAt).toBeLessThan(1_200);
  });

  it('lets nothing overtake when it ends', async () => {
    const client = open();
    await client.ask('.');
    proxy.set({ kind: 'latency', ms: 600 });
    client.socket.write('slow');
    await until(() => echo.heard === '.slow');
    proxy.set({ kind: 'none' });
    client.socket.write('fast');
    await until(() => client.got.length === 9);
    expect(client.got).toBe('.slowfast');
    expect(await client.ask('!')).toBeLessThan(500);
  });

  it('delays the first chunk of an answer only, if so told', async () => {
    const client = open();
    await client.ask('.');
    proxy.set({ kind: 'latency', ms: 600, perChunk: false });
    expect(await client.ask('question')).toBeGreaterThanOrEqual(599);
    const [socket] = echo.sockets;
    const startedAt = performance.now();
    socket?.write('more');
    await until(() => client.got.endsWith('more'));
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it('delays the goodbye too', async () => {
    const client = open({ allowHalfOpen: true });
    await client.ask('.');
    proxy.set({ kind: 'latency', ms: 80 });
    const startedAt = performance.now();
    client.socket.end('bye');
    await until(() => client.end !== 'open');
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(79);
    expect(client.got).toBe('.bye');
  });
});

describe('reset', () => {
  it('resets open connections and new ones, on both sides, until it ends', async () => {
    const client = open();
    await client.ask('hello');
    proxy.set({ kind: 'reset' });
    await until(() => client.end === 'closed' && echo.sockets.size === 0);
    expect(client.error).toBe('ECONNRESET');
    const refused = open();
    await until(() => refused.end === 'closed');
    expect(refused.error).toBe('ECONNRESET');
    await until(() => proxy.connections === 0);
    expect(proxy.stats.reset).toBe(2);
    proxy.set({ kind: 'none' });
    await open().ask('again');
  });
});

describe('blackhole', () => {
  it('loses everything both ways; what lost something is dead, and destroyed when it ends', async () => {
    const [asking, told, idle] = [open(), open(), open()];
    for (const client of [asking, told, idle]) await client.ask('.');
    const toldBy = [...echo.sockets][1];
    proxy.set({ kind: 'blackhole' });
    const late = open();
    late.socket.write('late');
    asking.socket.write('question');
    toldBy?.write('news');
    await until(() => proxy.stats.bytesLost === 16);
    expect([asking, told, idle, late].map(({ end }) => end)).toEqual(Array(4).fill('open'));
    expect([asking, told, late].map(({ got }) => got)).toEqual(['.', '.', '']);
    expect(echo.heard).toBe('...');
    expect(echo.sockets.size).toBe(3);

    proxy.set({ kind: 'none' });
    await until(() => [asking, told, late].every(({ end }) => end === 'closed'));
    await until(() => echo.sockets.size === 1);
    expect(proxy.stats.destroyedAfterLoss).toBe(3);
    await idle.ask('still here');
    await open().ask('new');
  });

  it('hides from the server that its client is gone', async () => {
    const client = open();
    await client.ask('.');
    proxy.set({ kind: 'blackhole' });
    client.socket.destroy();
    await aWhile();
    expect(echo.sockets.size).toBe(1);
    proxy.set({ kind: 'none' });
    await until(() => echo.sockets.size === 0 && proxy.connections === 0);
  });

  it('loses what latency still held', async () => {
    const client = open();
    await client.ask('.');
    proxy.set({ kind: 'latency', ms: 10_000 });
    client.socket.write('held');
    await until(() => echo.heard === '.held');
    await aWhile();
    proxy.set({ kind: 'blackhole' });
    expect(proxy.stats.bytesLost).toBe(4);
    proxy.set({ kind: 'none' });
    await until(() => client.end === 'closed');
    expect(client.got).toBe('.');
  });
});

describe('drop_answers', () => {
  it('lets the server hear and the client wait, then destroys the connection', async () => {
    const client = open();
    await client.ask('.');
    const idle = open();
    await idle.ask('.');
    proxy.set({ kind: 'drop_answers' });
    client.socket.write('do it');
    await until(() => proxy.stats.bytesLost === 5);
    const late = open();
    late.socket.write('and this');
    await until(() => proxy.stats.bytesLost === 13);
    expect(echo.heard).toBe('..do itand this');
    expect([client, late, idle].map(({ end }) => end)).toEqual(['open', 'open', 'open']);
    expect([client.got, late.got]).toEqual(['.', '']);

    proxy.set({ kind: 'none' });
    await until(() => client.end === 'closed' && late.end === 'closed');
    await idle.ask('still here');
    await open().ask('new');
  });
});

describe('close', () => {
  it('ends everything, whatever the fault', async () => {
    for (const kind of ['none', 'blackhole', 'drop_answers', 'reset'] as const) {
      const other = await FaultProxy.to('127.0.0.1', echo.port);
      const client = new Client(connect(other.port, '127.0.0.1'));
      clients.push(client);
      await client.ask('.');
      other.set({ kind });
      client.socket.write('on its way');
      await other.close();
      await until(() => client.end === 'closed');
      expect(other.connections).toBe(0);
    }
  });
});

describe('seededRandom', () => {
  it('repeats itself for a seed, and differs for another', () => {
    const numbers = (seed: string): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 20 }, () => random.next());
    };
    expect(numbers('a')).toEqual(numbers('a'));
    expect(numbers('a')).not.toEqual(numbers('b'));
    const made = seededRandom();
    expect(numbers(made.seed)[0]).toBe(made.next());
    expect(seededRandom().seed).not.toBe(made.seed);
  });

  it('spreads evenly over what was asked for', () => {
    const random = seededRandom('even');
    const counts = new Map<number, number>();
    for (let i = 0; i < 6_000; i++) {
      const face = random.int(1, 6);
      counts.set(face, (counts.get(face) ?? 0) + 1);
    }
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    const picked = new Set(Array.from({ length: 50 }, () => random.pick(['a', 'b', 'c'])));
    expect([...picked].toSorted()).toEqual(['a', 'b', 'c']);
    expect(() => random.pick([])).toThrow(RangeError);
  });
});
