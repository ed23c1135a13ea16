import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What the wire does from now on. Only `latency` and `none` bring every byte over. */
export type Fault =
  | { kind: 'none' }
  /**
   * Answers come later by so much, in order, those on their way at the same time each by itself: ten at once take
   * as long as one.
   *
   * `perChunk: false` delays the first chunk of an answer only (the first since the client last said something);
   * the rest follows at its heels.
   */
  | { kind: 'latency'; ms: number; perChunk?: boolean }
  /** Open connections and every new one end with RST. */
  | { kind: 'reset' }
  /**
   * Bytes and goodbyes are read and lost both ways, as behind a firewall that has forgotten the connection. New
   * connections are accepted and never reach the server.
   */
  | { kind: 'blackhole' }
  /** The server gets everything, the client nothing: it cannot know what was done. */
  | { kind: 'drop_answers' };

export interface FaultProxyStats {
  accepted: number;
  bytesToServer: number;
  bytesToClient: number;
  /** Bytes that were read and did not arrive, both ways. */
  bytesLost: number;
  /** Connections ended by `reset`. */
  reset: number;
  /** Connections destroyed at the end of a fault because they had lost something. */
  destroyedAfterLoss: number;
}

/** Answers held back for latency; beyond, the server has to wait. */
const HOLD_BYTES = 4 * 1024 * 1024;

/**
 * A wire on 127.0.0.1 to a server, with faults to order.
 *
 * A connection that has lost bytes stays open and dead while its fault lasts, as a real one would; with the next fault
 * of another kind, or none, it is destroyed: what comes after a gap in a stream means nothing. One that lost
 * nothing lives on.
 */
export class FaultProxy {
  readonly stats: FaultProxyStats = {
    accepted: 0,
    bytesToServer: 0,
    bytesToClient: 0,
    bytesLost: 0,
    reset: 0,
    destroyedAfterLoss: 0,
  };
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #fault: Fault = { kind: 'none' };

  private constructor(host: string, port: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
      this.stats.accepted++;
      const link = new Link(near, { host, port }, this.#fault, this.stats);
      this.#links.add(link);
      void link.over.then(() => this.#links.delete(link));
    });
    // An accept that failed (no descriptors left) is a fault like any other: the client sees it.
    this.#server.on('error', () => undefined);
  }

  static async to(host: string, port: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(host, port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are not over, dead ones included. */
  get connections(): number {
    return this.#links.size;
  }

  get fault(): Fault {
    return this.#fault;
  }

  set(fault: Fault): void {
    this.#fault = fault;
    for (const link of this.#links) link.set(fault);
  }

  /** Ends every connection and listens no more. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const links = [...this.#links];
    for (const link of links) link.destroy();
    await Promise.all([closed, ...links.map(({ over }) => over)]);
  }
}

/** A client's connection and the one to the server that belongs to it. */
class Link {
  /** Resolves when both sockets are closed. */
  readonly over: Promise<unknown>;
  readonly #near: Socket;
  /** Null: accepted in a fault that lets nothing through, so that the server never hears of it. */
  readonly #far: Socket | null;
  readonly #answers: Answers;
  #fault: Fault;
  #hasLost = false;

  constructor(
    near: Socket,
    server: { host: string; port: number },
    fault: Fault,
    private readonly stats: FaultProxyStats,
  ) {
    this.#near = near;
    this.#fault = fault;
    const isCutOff = fault.kind === 'reset' || fault.kind === 'blackhole';
    this.#far = isCutOff ? null : connect({ ...server, allowHalfOpen: true, noDelay: true });
    this.#answers = new Answers(near, this.#far, stats);
    this.over = Promise.all([closed(near), this.#far && closed(this.#far)]);
    this.#listenToClient();
    if (this.#far) this.#listenToServer(this.#far);
    this.#hasLost = fault.kind === 'blackhole';
    if (fault.kind === 'reset') this.#reset();
  }

  set(fault: Fault): void {
    const isOver = fault.kind !== this.#fault.kind;
    this.#fault = fault;
    if (fault.kind === 'reset') return this.#reset();
    if (isOver && this.#hasLost) {
      this.stats.destroyedAfterLoss++;
      return this.destroy();
    }
    if (!this.#losesAnswers) return;
    // What is on its way has not arrived either.
    if (this.#answers.lose()) this.#hasLost = true;
    // A side that had to wait for the other is read again, to lose what it says.
    this.#far?.resume();
    if (fault.kind === 'blackhole') this.#near.resume();
  }

  destroy(): void {
    this.#answers.stop();
    this.#near.destroy();
    this.#far?.destroy();
  }

  get #losesAnswers(): boolean {
    return this.#fault.kind === 'blackhole' || this.#fault.kind === 'drop_answers';
  }

  #listenToClient(): void {
    const near = this.#near;
    near.on('data', (chunk: Buffer) => {
      if (this.#fault.kind === 'blackhole' || !this.#far?.writable) return this.#lose(chunk.length);
      this.#answers.expect();
      this.stats.bytesToServer += chunk.length;
      if (!this.#far.write(chunk)) near.pause();
    });
    near.on('end', () => (this.#fault.kind === 'blackhole' ? this.#lose(0) : this.#far?.end()));
    near.on('close', () => {
      // Behind a black hole the server does not learn that its client is gone.
      if (this.#fault.kind === 'blackhole' && this.#far) this.#lose(0);
      else this.destroy();
    });
  }

  #listenToServer(far: Socket): void {
    far.on('data', (chunk: Buffer) => {
      if (this.#losesAnswers) this.#lose(chunk.length);
      else this.#answers.add(chunk, this.#fault);
    });
    far.on('end', () => {
      if (this.#losesAnswers) this.#lose(0);
      else this.#answers.add(null, this.#fault);
    });
    far.on('drain', () => this.#near.resume());
    far.on('close', (hadError) => {
      if (this.#losesAnswers) this.#lose(0);
      else if (hadError) this.#near.resetAndDestroy();
    });
  }

  #lose(bytes: number): void {
    this.#hasLost = true;
    this.stats.bytesLost += bytes;
  }

  #reset(): void {
    this.#answers.stop();
    this.#hasLost = false;
    if (!this.#near.destroyed) this.stats.reset++;
    this.#near.resetAndDestroy();
    this.#far?.resetAndDestroy();
  }
}

/** What the server said and the client has not got yet, in order; the end of it is a `null`. */
class Answers {
  readonly #held: { chunk: Buffer | null; due: number }[] = [];
  #heldBytes = 0;
  /** Nothing overtakes: the next is due no sooner than the one before. */
  #lastDue = 0;
  #isFirst = true;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly near: Socket,
    private readonly far: Socket | null,
    private readonly stats: FaultProxyStats,
  ) {
    near.on('drain', () => this.#send());
  }

  /** The client has said something: what comes now is a new answer. */
  expect(): void {
    this.#isFirst = true;
  }

  add(chunk: Buffer | null, fault: Fault): void {
    const now = performance.now();
    const isDelayed = fault.kind === 'latency' && (fault.perChunk !== false || this.#isFirst);
    this.#isFirst = false;
    this.#lastDue = Math.max(this.#lastDue, isDelayed ? now + fault.ms : now);
    this.#held.push({ chunk, due: this.#lastDue });
    this.#heldBytes += chunk?.length ?? 0;
    this.#send();
  }

  /** @returns whether there was anything to lose */
  lose(): boolean {
    clearTimeout(this.#timer);
    this.stats.bytesLost += this.#heldBytes;
    this.#heldBytes = 0;
    return this.#held.splice(0).length > 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.lose();
  }

  #send(): void {
    clearTimeout(this.#timer);
    while (!this.#isStopped && !this.near.writableNeedDrain) {
      const [first] = this.#held;
      const wait = first ? first.due - performance.now() : 0;
      if (wait > 0) this.#timer = setTimeout(() => this.#send(), Math.ceil(wait));
      if (!first || wait > 0) break;
      this.#held.shift();
      this.#write(first.chunk);
    }
    this.#holdBack();
  }

  #write(chunk: Buffer | null): void {
    if (!chunk) {
      this.near.end();
      return;
    }
    this.#heldBytes -= chunk.length;
    this.stats.bytesToClient += chunk.length;
    this.near.write(chunk);
  }

  /** A client that does not read, or too much under way, makes the server wait instead of filling the memory. */
  #holdBack(): void {
    if (this.near.writableNeedDrain || this.#heldBytes > HOLD_BYTES) this.far?.pause();
    else this.far?.resume();
  }
}

/** Resolves when the socket is closed. Its errors are the other side's to see: here the close says it all. */
function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
