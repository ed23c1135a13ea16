import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

import { SafeFetchError } from './error.js';
import { isPublic, type Networks } from './networks.js';

/** The addresses of a name. Rejects when it has none. */
export type Resolve = (hostname: string) => Promise<{ address: string }[]>;

/** One of several addresses is given up for the next after so long. */
const ATTEMPT_MS = 500;

export const resolveBySystem: Resolve = (hostname) => lookup(hostname, { all: true });

/** Opens sockets, and none to where it must not: every address is judged before it is dialled, and once it answers. */
export class Dialer {
  constructor(
    private readonly allowed: Networks,
    private readonly resolve: Resolve,
    /** PEM; over the certificate authorities that the process trusts. */
    private readonly ca: string | undefined,
  ) {}

  /**
   * @param hostname a name, or an address without brackets
   * @param signal ends the dialling, and the socket that came of it
   * @throws SafeFetchError
   */
  async dial(
    { protocol, hostname, port }: { protocol: string; hostname: string; port: number },
    signal: AbortSignal,
  ): Promise<Socket> {
    const isPlain = protocol === 'http:';
    const addresses = await inStep('dns', signal, this.#find(hostname));
    for (const address of addresses) this.#check(address, isPlain);
    const socket = connectTcp({
      host: hostname,
      port,
      lookup: alreadyKnown(addresses),
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
    });
    endWith(socket, signal);
    await inStep('connect', signal, once(socket, 'connect'));
    this.#checkSocket(socket, isPlain);
    return isPlain ? socket : this.#secure(socket, hostname, signal);
  }

  async #find(hostname: string): Promise<string[]> {
    if (isIP(hostname)) return [hostname];
    const found = await this.resolve(hostname);
    if (found.length === 0) throw new SafeFetchError('dns');
    return found.map(({ address }) => address);
  }

  /** Plain http is for the networks that the operator answers for. */
  #check(address: string, isPlain: boolean): void {
    if (this.allowed.includes(address)) return;
    if (!isPublic(address)) throw new SafeFetchError('blocked');
    if (isPlain) throw new SafeFetchError('url', 'https_required');
  }

  /** Whatever stood between the look-up and the socket. */
  #checkSocket(socket: Socket, isPlain: boolean): void {
    try {
      this.#check(socket.remoteAddress ?? '', isPlain);
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  async #secure(socket: Socket, hostname: string, signal: AbortSignal): Promise<Socket> {
    // Certificates and SNI know a name without the dot at its end, and SNI no addresses.
    const name = hostname.replace(/\.$/, '');
    const secured = connectTls({
      socket,
      host: name,
      servername: isIP(name) ? '' : name,
      ...(this.ca !== undefined && { ca: this.ca }),
    });
    endWith(secured, signal);
    await inStep('tls', signal, once(secured, 'secureConnect'));
    return secured;
  }
}

/** What was judged is what is dialled: the name is not looked up a second time. */
function alreadyKnown(addresses: string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_hostname, options, callback) => {
    const [first] = found;
    if (options.all) callback(null, found);
    else callback(null, first?.address ?? '', first?.family);
  };
}

function endWith(socket: Socket, signal: AbortSignal): void {
  // Who waits for the socket hears of its errors; afterwards there is nobody left to.
  socket.on('error', () => undefined);
  const end = (): void => void socket.destroy();
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', end));
}

async function inStep<T>(
  step: 'dns' | 'connect' | 'tls',
  signal: AbortSignal,
  work: Promise<T>,
): Promise<T> {
  const { promise: aborted, stop } = whenAborted(signal);
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    if (signal.aborted) throw new SafeFetchError('timeout', step);
    throw error instanceof SafeFetchError ? error : new SafeFetchError(step, codeOf(error));
  } finally {
    stop();
  }
}

function whenAborted(signal: AbortSignal): { promise: Promise<never>; stop: () => void } {
  let stop = (): void => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    const abort = (): void => reject(new SafeFetchError('timeout'));
    stop = () => signal.removeEventListener('abort', abort);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
  });
  // Its end may come when nobody waits any more.
  promise.catch(() => undefined);
  return { promise, stop };
}

/** Not by `instanceof`: an error of the runtime may come from another realm than this module. */
export function codeOf(error: unknown): string | null {
  const isObject = typeof error === 'object' && error !== null;
  return isObject && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
