import { Client, type Dispatcher } from 'undici';

import { codeOf, Dialer, type Resolve, resolveBySystem } from './dialer.js';
import { SafeFetchError } from './error.js';
import { Networks } from './networks.js';

export interface SafeFetchOptions {
  /** Addresses and CIDRs that may be reached although they are private, and over plain http. */
  allowedNetworks?: readonly string[];
  /** For everything, name and slowly dripping answer too; default 5,000. */
  timeoutMs?: number;
  /** Of an answer; default 64 KiB. */
  maxBytes?: number;
  /** Default: as the system does. */
  resolve?: Resolve;
  /** PEM of certificate authorities to trust instead of those that the process does. */
  ca?: string;
}

export interface SafeRequest {
  method?: 'GET' | 'POST';
  /** See {@link isHeaderAllowed}. */
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** In place of the time that every request has. */
  timeoutMs?: number;
}

export interface SafeResponse {
  /** 200..299. */
  status: number;
  text: string;
}

const TIMEOUT_MS = 5_000;
const MAX_BYTES = 64 * 1024;
const MAX_URL_LENGTH = 2_048;

/** What decides where a request goes and how it ends is ours to say. */
const OUR_HEADERS = new Set([
  'accept-encoding',
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]{1,128}$/;
const HEADER_VALUE = /^[\t\x20-\x7e]{0,1024}$/;

/** Whether a customer may have a header sent. */
export function isHeaderAllowed(name: string, value: string): boolean {
  const isOurs = OUR_HEADERS.has(name.toLowerCase()) || /^proxy-/i.test(name);
  return HEADER_NAME.test(name) && HEADER_VALUE.test(value) && !isOurs;
}

/**
 * Reads an address as it will be requested.
 *
 * @returns null for one that is never requested: not http(s), with user or password, longer than 2,048 characters
 */
export function parseSafeUrl(text: string): URL | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.href.length > MAX_URL_LENGTH) return null;
  if (url.username || url.password || url.port === '0') return null;
  url.hash = '';
  return url;
}

/**
 * Requests to addresses that customers give us: https to public addresses on any port, since nothing is sent before
 * a certificate has proved the name; the networks that the operator allows may be private, and without TLS.
 *
 * Every request has a socket of its own, whose address is judged before it is dialled and once it is connected, so
 * that a name that resolves differently the second time leads nowhere. Redirects are not followed, proxies of the
 * environment not used, compressed answers not read.
 */
export class SafeFetch {
  readonly #dialer: Dialer;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;

  constructor(options: SafeFetchOptions = {}) {
    const { allowedNetworks = [], resolve = resolveBySystem, ca } = options;
    this.#dialer = new Dialer(new Networks(allowedNetworks), resolve, ca);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#maxBytes = options.maxBytes ?? MAX_BYTES;
  }

  /**
   * @param address absolute
   * @throws SafeFetchError that names the step which failed
   */
  async fetch(address: string, request: SafeRequest = {}): Promise<SafeResponse> {
    const url = parseSafeUrl(address);
    if (!url) throw new SafeFetchError('url');
    for (const [name, value] of Object.entries(request.headers ?? {}))
      if (!isHeaderAllowed(name, value)) throw new TypeError(`The header ${name} is not allowed.`);
    const signal = AbortSignal.timeout(request.timeoutMs ?? this.#timeoutMs);
    const client = this.#connect(url, signal);
    try {
      return await this.#ask(client, url, request, signal);
    } catch (error) {
      throw failureOf(error, signal);
    } finally {
      // Whatever is left of the answer goes with the socket.
      await client.destroy();
    }
  }

  #connect(url: URL, signal: AbortSignal): Client {
    return new Client(url.origin, {
      pipelining: 0,
      // The one signal keeps the time.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: ({ protocol, hostname, port }, callback) => {
        const target = { protocol, hostname, port: Number(port || defaultPort(protocol)) };
        this.#dialer.dial(target, signal).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
  }

  async #ask(
    client: Client,
    url: URL,
    { method = 'GET', headers = {}, body }: SafeRequest,
    signal: AbortSignal,
  ): Promise<SafeResponse> {
    const response = await client.request({
      method,
      path: url.pathname + url.search,
      headers: {
        'user-agent': 'wechat-channel',
        ...byLowerName(headers),
        'accept-encoding': 'identity',
      },
      body: body ?? null,
      signal,
    });
    const { statusCode: status } = response;
    response.body.on('error', () => undefined);
    if (status >= 300 && status < 400) throw new SafeFetchError('redirect', null, status);
    if (status < 200 || status >= 400)
      throw new SafeFetchError('status', null, status, secondsOf(response.headers['retry-after']));
    const encoding = response.headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity')
      throw new SafeFetchError('body', 'content_encoding', status);
    return { status, text: await this.#readText(response) };
  }

  async #readText({ body, statusCode }: Dispatcher.ResponseData): Promise<string> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > this.#maxBytes) throw new SafeFetchError('too_large', null, statusCode);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc9110.html#section-10.2.3 */
function secondsOf(retryAfter: string | string[] | undefined): number | null {
  const text = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  if (text === undefined) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, Math.ceil((at - Date.now()) / 1000));
}

/** The later of two that differ in case only. */
function byLowerName(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

function defaultPort(protocol: string): number {
  return protocol === 'https:' ? 443 : 80;
}

/** Only the code of what went wrong below is kept: its message, stack and cause may show the address. */
function failureOf(error: unknown, signal: AbortSignal): SafeFetchError {
  if (error instanceof SafeFetchError) return error;
  if (signal.aborted) return new SafeFetchError('timeout', 'answer');
  const code = codeOf(error);
  return new SafeFetchError(code === 'UND_ERR_HEADERS_OVERFLOW' ? 'too_large' : 'body', code);
}
