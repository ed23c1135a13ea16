import { buildXml, dedupKey, parsePushJson } from '@app/wechat';
import { makeOwnPush, makePush, type MadePush, type PushConfig } from '@app/wechat-sandbox';
import { Agent, request } from 'undici';

import { COMPONENT } from '../app.js';
import { type Attempt, contentKey, type PushHistory } from './history.js';

/** WeChat's own patience. */
const ANSWER_MS = 5_000;
const TRIES = 3;

/** A push that is ready to be sent again and again. */
export interface LoadPush {
  path: string;
  /** Signed anew for each try. */
  make: (seconds: number) => MadePush;
  dedupKey: string;
  account: string;
  authorizes: string | null;
  receipt: string | null;
}

let serial = 0n;

/** A person's message, never the same twice. */
export function messagePush(appid: string, originalId: string, seconds: number): LoadPush {
  serial += 1n;
  const msgId = String(6_060_000_000_000_000_000n + BigInt(Date.now()) * 100_000n + serial);
  const xml = buildXml({
    ToUserName: originalId,
    FromUserName: `oLoad${serial}`,
    CreateTime: seconds,
    MsgType: 'text',
    Content: `消息 ${serial}`,
    MsgId: msgId,
  });
  return {
    path: `/wechat/accounts/${appid}/messages`,
    make: (at) => makePush(xml, COMPONENT, at),
    dedupKey: msgId,
    account: appid,
    authorizes: null,
    receipt: null,
  };
}

/** A receipt by a mini-program's own address, never the same twice. */
export function receiptPush(
  account: { appid: string; toUserName: string },
  config: PushConfig,
  seconds: number,
): LoadPush {
  serial += 1n;
  const msgid = String(1_800_000_000_000_000_000n + BigInt(Date.now()) * 100_000n + serial);
  const document = JSON.stringify({
    ToUserName: account.toUserName,
    FromUserName: `oLoad${serial}`,
    CreateTime: String(seconds),
    MsgType: 'event',
    Event: 'subscribe_msg_sent_event',
    List: { TemplateId: 'TPL', MsgID: msgid, ErrorCode: '0', ErrorStatus: 'success' },
  });
  const fields = parsePushJson(document);
  return {
    path: new URL(config.url).pathname,
    make: (at) => makeOwnPush(document, config, { ...account, openid: `oLoad${serial}` }, at),
    dedupKey: dedupKey({ content: document, fields, format: 'json', encodingAesKey: null }),
    account: account.appid,
    authorizes: null,
    receipt: msgid,
  };
}

/** WeChat's event that an account has authorized us. */
export function eventPush(fields: Record<string, string | number>, seconds: number): LoadPush {
  const xml = buildXml({ AppId: COMPONENT.appid, CreateTime: seconds, ...fields });
  return {
    path: '/wechat/component/events',
    make: (at) => makePush(xml, COMPONENT, at),
    dedupKey: contentKey(xml),
    account: COMPONENT.appid,
    authorizes: String(fields['AuthorizerAppid'] ?? ''),
    receipt: null,
  };
}

export interface LoadOptions {
  /** Where a try goes: asked anew for each. */
  url: () => string;
  next: () => LoadPush;
  perSecond: number;
  /** Pauses between the tries; WeChat's are five seconds. */
  retryMs: number;
}

/** Sends pushes at a rate whatever becomes of them, as WeChat does, and keeps what was answered. */
export class PushLoad {
  readonly history: PushHistory[] = [];
  readonly #agent = new Agent({ connections: 2_000, connect: { timeout: ANSWER_MS } });
  readonly #running = new Set<Promise<void>>();
  #ticking: NodeJS.Timeout | null = null;

  constructor(private readonly options: LoadOptions) {}

  start(): void {
    const startedAt = performance.now();
    let sent = 0;
    this.#ticking = setInterval(() => {
      const due = ((performance.now() - startedAt) / 1000) * this.options.perSecond;
      for (; sent < due; sent++) this.send(this.options.next());
    }, 10);
  }

  send(push: LoadPush): void {
    const run = this.#deliver(push).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Sends nothing new, and resolves when everything is answered or given up. */
  async stop(): Promise<PushHistory[]> {
    if (this.#ticking) clearInterval(this.#ticking);
    this.#ticking = null;
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#agent.close();
    return this.history;
  }

  async #deliver(push: LoadPush): Promise<void> {
    const { path: _path, make: _make, ...about } = push;
    const history: PushHistory = { ...about, attempts: [] };
    this.history.push(history);
    for (let tries = 0; tries < TRIES; tries++) {
      if (tries > 0) await new Promise((go) => setTimeout(go, this.options.retryMs));
      const attempt = await this.#try(push);
      history.attempts.push(attempt);
      if (attempt.status === 200) return;
    }
  }

  async #try({ path, make }: LoadPush): Promise<Attempt> {
    const { query, body } = make(Math.floor(Date.now() / 1000));
    const startedAt = performance.now();
    const took = (): number => performance.now() - startedAt;
    try {
      const response = await request(`${this.options.url()}${path}`, {
        method: 'POST',
        query,
        body,
        headers: { 'content-type': 'text/xml' },
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      const text = await response.body.text();
      return { status: response.statusCode, body: text, ms: took() };
    } catch (error) {
      return { status: null, body: String(error), ms: took() };
    }
  }
}
