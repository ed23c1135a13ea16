import { randomBytes } from 'node:crypto';

import { Pool } from 'undici';

import { WechatApiError, WechatUnavailableError } from './errors.js';
import { parseApiJson } from './json.js';

/** One call, for logs and metrics. Nothing in it is secret. */
export interface WechatCall {
  /** Without query. */
  path: string;
  /** 0 when it succeeded; null when there was no usable answer. */
  errcode: number | null;
  durationMs: number;
}

export interface WechatHttpOptions {
  /** Scheme, host and port, e.g. `https://api.weixin.qq.com`. */
  baseUrl: string;
  /** Sockets kept to WeChat; default 64. */
  connections?: number;
  /** For the whole call, a slowly dripping answer too; default 10,000. */
  timeoutMs?: number;
  /** Of an answer; default 8 MiB (a page of 500 authorizers has about 100 KiB). */
  maxBytes?: number;
  onCall?: (call: WechatCall) => void;
}

export interface CallOptions {
  accessToken?: string;
  timeoutMs?: number;
  /** Refusals whose answer says what the caller wants to know: it comes back as if WeChat had done what was asked. */
  accepts?: readonly number[];
}

/** What is sent as a form: one file in the field `media`, texts beside it. */
export interface Upload {
  /** Plain ASCII: WeChat takes the file's kind from its ending. */
  fileName: string;
  contentType: string;
  bytes: Uint8Array;
  fields?: Readonly<Record<string, string>>;
}

/** What goes out. */
interface Outgoing {
  method: 'GET' | 'POST';
  path: string;
  query: Record<string, string>;
  body: string | Buffer | null;
  contentType?: string;
  /** Texts that stand in no error. */
  secrets: string[];
}

const TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
const MAX_BYTES = 8 * 1024 * 1024;
/** Codes of a request that never left: everything else may have reached WeChat. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_HAS_EXPIRED',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * The line to WeChat's API: one pool, a time limit, a size limit, no redirects.
 *
 * WeChat takes its access tokens in the query and its secrets in the body. Neither stands in an error, a stack or
 * {@link WechatCall}: errors from below are not passed on, since they carry the address.
 */
export class WechatHttp {
  readonly #pool: Pool;
  readonly #options: Required<Pick<WechatHttpOptions, 'timeoutMs' | 'maxBytes'>> &
    WechatHttpOptions;

  constructor(options: WechatHttpOptions) {
    this.#options = { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ...options };
    this.#pool = new Pool(options.baseUrl, {
      connections: options.connections ?? 64,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      pipelining: 1,
    });
  }

  /**
   * @param path beginning with `/`, without query
   * @param body sent as JSON in plain UTF-8; never empty
   * @returns the answer, whose shape the caller checks; `errcode` is absent or 0
   * @throws WechatApiError when WeChat refuses
   * @throws WechatUnavailableError when there is no usable answer
   */
  post(path: string, body: object, options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.#call(jsonPost(path, body), options, toObject);
  }

  /**
   * As {@link post}, for a call that WeChat answers with a picture, and with JSON only when it refuses. The first
   * character tells which of them came: what WeChat calls it, it may not be.
   *
   * @returns the bytes, whose format the caller checks
   */
  async postForBytes(path: string, body: object, options: CallOptions = {}): Promise<Buffer> {
    const answer = await this.#call(jsonPost(path, body), options, toObjectOrBytes);
    if (!Buffer.isBuffer(answer)) throw new WechatUnavailableError(path, 'bad_answer');
    return answer;
  }

  /** As {@link post}, with a query instead of a body. */
  get(
    path: string,
    query: Record<string, string> = {},
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    return this.#call(
      { method: 'GET', path, query, body: null, secrets: Object.values(query) },
      options,
      toObject,
    );
  }

  /** As {@link post}, with a form that holds a file. Its length is announced: WeChat reads no chunked uploads. */
  upload(
    path: string,
    query: Record<string, string>,
    file: Upload,
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    const boundary = `----${randomBytes(16).toString('hex')}`;
    return this.#call(
      {
        method: 'POST',
        path,
        query,
        body: formOf(file, boundary),
        contentType: `multipart/form-data; boundary=${boundary}`,
        secrets: secretsOf(file.fields ?? {}),
      },
      options,
      toObject,
    );
  }

  /** Lets the calls under way end, then closes the sockets. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  async #call<T extends object>(
    outgoing: Outgoing,
    { accessToken, timeoutMs = this.#options.timeoutMs, accepts = [] }: CallOptions,
    read: (bytes: Buffer, path: string) => T,
  ): Promise<T> {
    const { path } = outgoing;
    const startedAt = performance.now();
    let errcode: number | null = null;
    try {
      const query = {
        ...outgoing.query,
        ...(accessToken !== undefined && { access_token: accessToken }),
      };
      const answer = read(await this.#send({ ...outgoing, query }, timeoutMs), path);
      errcode = errcodeOf(answer);
      if (errcode === 0 || accepts.includes(errcode)) return answer;
      const secrets =
        accessToken === undefined ? outgoing.secrets : [...outgoing.secrets, accessToken];
      throw refusal(answer, errcode, path, secrets);
    } finally {
      const durationMs = Math.round(performance.now() - startedAt);
      this.#options.onCall?.({ path, errcode, durationMs });
    }
  }

  async #send(
    { method, path, query, body, contentType }: Outgoing,
    timeoutMs: number,
  ): Promise<Buffer> {
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await this.#pool.request({
        method,
        path,
        query,
        body,
        signal,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        ...(contentType !== undefined && { headers: { 'content-type': contentType } }),
      });
      const bytes = await readBytes(response.body, this.#options.maxBytes, path);
      if (response.statusCode !== 200) {
        throw new WechatUnavailableError(path, 'http_status', String(response.statusCode));
      }
      return bytes;
    } catch (error) {
      throw unavailable(error, path, signal.aborted);
    }
  }
}

function jsonPost(path: string, body: object): Outgoing {
  return {
    method: 'POST',
    path,
    query: {},
    body: JSON.stringify(body),
    contentType: 'application/json; charset=utf-8',
    secrets: secretsOf(body),
  };
}

/** @see https://www.rfc-editor.org/rfc/rfc7578.html */
function formOf({ fileName, contentType, bytes, fields = {} }: Upload, boundary: string): Buffer {
  const texts = Object.entries(fields).map(
    ([name, value]) =>
      `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="media"; filename="${fileName}"\r\ncontent-type: ${contentType}\r\n\r\n`;
  return Buffer.concat([
    Buffer.from(texts.join('') + head),
    bytes,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ]);
}

async function readBytes(
  body: AsyncIterable<Buffer>,
  maxBytes: number,
  path: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new WechatUnavailableError(path, 'too_large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Only the code of what went wrong below is kept: its message, stack and cause may show the address. */
function unavailable(error: unknown, path: string, isTimedOut: boolean): WechatUnavailableError {
  if (error instanceof WechatUnavailableError) return error;
  const code = codeOf(error);
  if (code !== null && NOT_SENT.has(code)) return new WechatUnavailableError(path, 'connect', code);
  const isTimeout =
    isTimedOut || code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
  return new WechatUnavailableError(path, isTimeout ? 'timeout' : 'reset', code);
}

/** Not by `instanceof`: an error of the runtime may come from another realm than this module. */
function codeOf(error: unknown): string | null {
  const isObject = typeof error === 'object' && error !== null;
  return isObject && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** JSON, whatever the Content-Type says: WeChat often calls it text/plain. */
function toObject(bytes: Buffer, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parseApiJson(bytes.toString('utf8'));
  } catch {
    throw new WechatUnavailableError(path, 'not_json');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new WechatUnavailableError(path, 'not_json');
  }
  return { ...value };
}

/** No picture begins like a JSON object. */
function toObjectOrBytes(bytes: Buffer, path: string): Record<string, unknown> | Buffer {
  const isJson = bytes.subarray(0, 64).toString('latin1').trimStart().startsWith('{');
  return isJson ? toObject(bytes, path) : bytes;
}

function errcodeOf(answer: object): number {
  return 'errcode' in answer && typeof answer.errcode === 'number' ? answer.errcode : 0;
}

/** `… rid: 5f0c…`, and in older answers `… hint: […]`. */
const RID = /\s*,?\s*rid:\s*([0-9a-zA-Z-]+)\s*$/;

function refusal(answer: object, errcode: number, path: string, secrets: string[]): WechatApiError {
  const words = 'errmsg' in answer && typeof answer.errmsg === 'string' ? answer.errmsg : '';
  const rid = RID.exec(words)?.[1] ?? null;
  return new WechatApiError(
    errcode,
    redact(words.replace(RID, ''), secrets).slice(0, 256),
    rid,
    path,
  );
}

/** Every text of the body counts as secret: which of them are is not for this layer to know. */
function secretsOf(body: object): string[] {
  return Object.values(body).flatMap((value) => {
    if (typeof value === 'string') return [value];
    return typeof value === 'object' && value !== null ? secretsOf(value) : [];
  });
}

/** Short texts, such as `zh_CN`, are no secrets and stand in ordinary words. */
const SHORTEST_SECRET = 16;
const APPID = /^wx[0-9a-z]{16}$/;

function redact(words: string, secrets: string[]): string {
  return secrets
    .filter((secret) => secret.length >= SHORTEST_SECRET && !APPID.test(secret))
    .reduce((text, secret) => text.replaceAll(secret, '***'), words);
}
