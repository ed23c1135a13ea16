import { randomBytes } from 'node:crypto';

import { encryptMessage, sign } from '@app/wechat';
import { Agent, request } from 'undici';

import { readReply } from './passive-reply.js';

export interface PushIdentity {
  appid: string;
  token: string;
  encodingAesKey: string;
}

export interface PushResult {
  /** One for each try; status null when there was no answer. */
  attempts: { status: number | null; body: string }[];
  delivered: boolean;
}

/** What came of a message or event of an account. */
export interface MessagePushResult extends PushResult {
  /** The passive reply, opened; null for `success`, an empty answer and none. */
  reply: Record<string, string> | null;
}

/** Whose message a push is. It stands outside the ciphertext, too. */
export interface MessageAddress {
  /** The account's original id. */
  toUserName: string;
  /** The person's. */
  openid: string;
}

/** What is wrong with a push that is made to be refused. */
export interface Corruption {
  badSignature?: boolean;
  /** Encrypted with this key instead. */
  encodingAesKey?: string;
  /** Signed with this Token instead. */
  token?: string;
  /** This appid at the end of the plaintext. */
  trailingAppid?: string;
  /** The query lacks these parameters. */
  withoutQuery?: string[];
  /** Sent instead of the envelope, under the envelope's signature. */
  rawBody?: string | Buffer;
  /** The second half of the body is lost. */
  isTruncated?: boolean;
  contentType?: string;
}

/** A push as it goes over the wire. */
export interface MadePush {
  query: Record<string, string>;
  body: string | Buffer;
  contentType: string;
}

const ANSWER_MS = 5_000;

/** A push in WeChat's own form: query, headers and body. @param address for one of an account's, not of the component */
export function makePush(
  xml: string,
  identity: PushIdentity,
  seconds: number,
  corruption: Corruption = {},
  address?: MessageAddress,
): MadePush {
  const timestamp = String(seconds);
  const nonce = String(randomBytes(4).readUInt32BE());
  const encrypted = encryptMessage(
    corruption.encodingAesKey ?? identity.encodingAesKey,
    xml,
    corruption.trailingAppid ?? identity.appid,
  );
  const token = corruption.token ?? identity.token;
  const right = sign(token, timestamp, nonce, encrypted);
  const msgSignature = corruption.badSignature
    ? (right.startsWith('0') ? '1' : '0') + right.slice(1)
    : right;
  const query: Record<string, string> = {
    signature: sign(token, timestamp, nonce),
    timestamp,
    nonce,
    encrypt_type: 'aes',
    msg_signature: msgSignature,
    ...(address && { openid: address.openid }),
  };
  for (const name of corruption.withoutQuery ?? []) delete query[name];
  const head = address
    ? `<ToUserName><![CDATA[${address.toUserName}]]></ToUserName>`
    : `<AppId><![CDATA[${identity.appid}]]></AppId>`;
  const envelope = `<xml>\n    ${head}\n    <Encrypt><![CDATA[${encrypted}]]></Encrypt>\n</xml>\n`;
  const body = corruption.rawBody ?? envelope;
  return {
    query,
    body: corruption.isTruncated ? body.slice(0, Math.floor(body.length / 2)) : body,
    contentType: corruption.contentType ?? 'text/xml',
  };
}

/** Delivers pushes as WeChat does: five seconds for an answer, three tries, the same content under a new signature. */
export class Pusher {
  readonly #agent = new Agent({ connect: { timeout: ANSWER_MS } });

  constructor(
    private readonly identity: PushIdentity,
    private readonly seconds: () => number,
    private readonly retryDelaysMs: readonly number[],
  ) {}

  /** Delivers a component event: nothing but `success` will do. */
  deliver(url: string, xml: string, corruption: Corruption = {}): Promise<PushResult> {
    return this.#deliver(
      url,
      () => makePush(xml, this.identity, this.seconds(), corruption),
      (body) => body === 'success',
    );
  }

  /** Delivers a message or event of an account: `success`, nothing, or a passive reply will do. */
  async deliverMessage(
    url: string,
    xml: string,
    address: MessageAddress,
    corruption: Corruption = {},
  ): Promise<MessagePushResult> {
    const result = await this.#deliver(
      url,
      () => makePush(xml, this.identity, this.seconds(), corruption, address),
      (body) => body === '' || body === 'success' || readReply(body, this.identity) !== null,
    );
    const answer = result.delivered ? result.attempts.at(-1) : undefined;
    return { ...result, reply: answer ? readReply(answer.body, this.identity) : null };
  }

  /** Delivers a push of an account's own configuration: `success` or nothing will do. @param make anew for each try */
  deliverOwn(url: string, make: () => MadePush): Promise<PushResult> {
    return this.#deliver(url, make, (body) => body === '' || body === 'success');
  }

  /** Tries an address as WeChat's console does. @returns status null when there was no answer */
  tryAddress(
    url: string,
    query: Record<string, string>,
  ): Promise<{ status: number | null; body: string }> {
    return this.#send(url, { query, method: 'GET' });
  }

  async #deliver(
    url: string,
    push: () => MadePush,
    isAnswer: (body: string) => boolean,
  ): Promise<PushResult> {
    const attempts: PushResult['attempts'] = [];
    for (const delayMs of [0, ...this.retryDelaysMs]) {
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      const attempt = await this.#send(url, push());
      attempts.push(attempt);
      if (attempt.status === 200 && isAnswer(attempt.body)) return { attempts, delivered: true };
    }
    return { attempts, delivered: false };
  }

  close(): Promise<void> {
    return this.#agent.close();
  }

  async #send(
    url: string,
    { query, body, contentType, method = 'POST' }: Sendable,
  ): Promise<{ status: number | null; body: string }> {
    try {
      const response = await request(url, {
        method,
        query,
        ...(body !== undefined && { body }),
        headers: {
          ...(contentType !== undefined && { 'content-type': contentType }),
          'user-agent': 'Mozilla/4.0',
        },
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: response.statusCode, body: await response.body.text() };
    } catch {
      return { status: null, body: '' };
    }
  }
}

interface Sendable extends Partial<MadePush> {
  query: Record<string, string>;
  method?: 'GET' | 'POST';
}
