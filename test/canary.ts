import { randomBytes } from 'node:crypto';

import { type SandboxReceipt, WechatSandbox } from '@app/wechat-sandbox';

import { EVENT_TYPES } from '../src/events/event-types.js';
import { callbackUrl, linkOf, MINI_PROGRAM, SERVICE_ACCOUNT } from './helpers.js';
import { type Program, serviceEnv, startService } from './processes.js';
import { until } from './until.js';

const unique = (bytes: number): string => randomBytes(bytes).toString('hex');

/** A value of its own for every secret, so that one that leaks can be found. */
const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: `canarySecret${unique(10)}`,
  token: `canaryToken${unique(8)}`,
  encodingAesKey: `canaryAes${unique(17)}`,
};
/** What is agreed for the mini-program's own pushes. */
const own = {
  token: `canaryOwn${unique(10)}`,
  encodingAesKey: `canaryOwnAes${unique(16)}`.slice(0, 43),
};
const adminKey = `canary-admin-${unique(24)}`;
const sealingKey = randomBytes(32).toString('base64');

interface Request {
  method?: string;
  body?: string;
  headers?: Record<string, string>;
}

/** The whole loop with everything that can go wrong on the way, at the chattiest log level, and all that was seen of it. */
export class Canary {
  /** Everything that the API, the pages and the push doors answered. */
  readonly answers: string[] = [];
  /** What the address of the mini-program ends with: shown to those who configure it, and to no reader of the log. */
  receiptKey = '';
  /** The keys that were shown once, where they were meant to be shown. */
  readonly #madeKeys: string[] = [];

  private constructor(
    readonly sandbox: WechatSandbox,
    readonly service: Program,
    private readonly env: Record<string, string>,
    private readonly url: string,
  ) {}

  static async start(
    databaseUrl: string,
    over: Record<string, string> = {},
    folder?: string,
  ): Promise<Canary> {
    const sandbox = await WechatSandbox.start({
      component,
      launchDomain: 'channel.test',
      pushRetryDelaysMs: [],
    });
    const env = serviceEnv(databaseUrl, {
      PUBLIC_URL: 'http://channel.test',
      LOG_LEVEL: 'trace',
      ADMIN_API_KEY: adminKey,
      SECRET_KEYS: `k1:${sealingKey}`,
      WECHAT_COMPONENT_APPSECRET: component.appSecret,
      WECHAT_COMPONENT_TOKEN: component.token,
      WECHAT_COMPONENT_ENCODING_AES_KEY: component.encodingAesKey,
      WECHAT_API_BASE_URL: sandbox.url,
      WECHAT_MP_BASE_URL: sandbox.url,
      WECHAT_OPEN_BASE_URL: sandbox.url,
      ...over,
    });
    const { service, url } = await startService(env, folder);
    sandbox.eventsUrl = `${url}/wechat/component/events`;
    sandbox.messagesUrl = `${url}/wechat/accounts/$APPID$/messages`;
    return new Canary(sandbox, service, env, url);
  }

  /** What another process of the service needs to know. */
  get processEnv(): Record<string, string> {
    return this.env;
  }

  async ask(path: string, init: Request = {}): Promise<string> {
    const text = await this.#fetch(path, init);
    this.answers.push(text);
    return text;
  }

  async walk(): Promise<void> {
    await this.#meetFaults();
    await this.#authorize();
    await this.#administrate();
    await this.#enable();
    // A process remembers for a moment that an account was switched off.
    await until(async () => {
      await this.sandbox.pushMessage(SERVICE_ACCOUNT, {
        MsgType: 'text',
        Content: 'canaryMessage',
      });
      return (await this.ask('/api/v1/pushes?kind=message')).includes(SERVICE_ACCOUNT);
    });
    await this.#meetPerson();
    await this.#receive();
    await this.sandbox.cancel(SERVICE_ACCOUNT).pushed;
    // All but those that tell what people have written, on purpose.
    const types = EVENT_TYPES.filter((type) => type !== 'message.received').join();
    await until(async () =>
      (await this.ask(`/api/v1/events?type=${types}`)).includes('account.unauthorized'),
    );
    const account = `/api/v1/accounts/${SERVICE_ACCOUNT}`;
    await this.ask(`${account}?confirm=${SERVICE_ACCOUNT}`, { method: 'DELETE' });
    for (const path of ['work', 'audit-log', 'audit-log/verification', 'key-rotations', 'api-keys'])
      await this.ask(`/api/v1/${path}`);
    await this.ask('/metrics');
  }

  async stop(): Promise<void> {
    await this.service.stop();
    await this.sandbox.stop();
  }

  /** Ours, and every value that WeChat handed out. */
  secrets(): string[] {
    const { accessTokens, tickets, preAuthCodes, authorizationCodes, accounts } = this.sandbox.data;
    return [
      component.appSecret,
      component.token,
      component.encodingAesKey,
      own.token,
      own.encodingAesKey,
      adminKey,
      sealingKey,
      'canaryRefused',
      'canaryMessage',
      ...this.#madeKeys,
      ...[accessTokens, tickets, preAuthCodes, authorizationCodes].flatMap((values) =>
        Object.keys(values),
      ),
      ...Object.values(accounts).flatMap(({ authorization }) => authorization?.refreshToken ?? []),
    ];
  }

  leaksIn(text: string): string[] {
    return this.secrets().filter((secret) => text.includes(secret));
  }

  async #fetch(path: string, init: Request = {}): Promise<string> {
    const response = await fetch(`${this.url}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${adminKey}`,
        'content-type': 'application/json',
        ...init.headers,
      },
    });
    this.answers.push(JSON.stringify([...response.headers]));
    return response.text();
  }

  #startAuthorization(): Promise<string> {
    return this.ask('/api/v1/authorizations', { method: 'POST', body: '{"accountType":"any"}' });
  }

  async #meetFaults(): Promise<void> {
    await this.sandbox.pushTicket();
    await this.sandbox.pushTicket('ticket@@@canaryRefused', { badSignature: true });
    await this.sandbox.pushTicket('ticket@@@canaryOtherKey', { encodingAesKey: 'x'.repeat(43) });
    await until(async () => (await this.ask('/api/v1/component')).includes('"fresh"'));
    for (const kind of ['errcode', 'http_500', 'reset', 'not_json', 'lost_answer'] as const) {
      this.sandbox.faults.add({
        path: '/cgi-bin/component/*',
        kind,
        errcode: 40001,
        times: 1,
      });
      await this.#startAuthorization();
    }
    this.sandbox.faults.clear();
  }

  async #authorize(): Promise<void> {
    let launchUrl = '';
    // After so many faults the component's token has a pause of its own.
    await until(async () => {
      const made = JSON.parse(await this.#startAuthorization()) as { launchUrl?: string };
      launchUrl = made.launchUrl ?? '';
      return launchUrl !== '';
    });
    const page = await (await fetch(`${this.url}${new URL(launchUrl).pathname}`)).text();
    const link = new URL(linkOf(page, 'scan-link'));
    this.sandbox.faults.add({ path: '/cgi-bin/component/api_query_auth', kind: 'lost_answer' });
    const { authCode } = this.sandbox.authorize({
      appid: SERVICE_ACCOUNT,
      preAuthCode: link.searchParams.get('pre_auth_code') ?? '',
      push: false,
    });
    const callback = new URL(callbackUrl(link.searchParams.get('redirect_uri') ?? '', authCode));
    await fetch(`${this.url}${callback.pathname}${callback.search}`);
    this.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null, permissionIds: [1] });
    await this.sandbox.settled();
    await until(async () =>
      (await this.ask(`/api/v1/accounts/${SERVICE_ACCOUNT}`)).includes('"missingPermissions":[{'),
    );
  }

  async #enable(): Promise<void> {
    const account = `/api/v1/accounts/${SERVICE_ACCOUNT}`;
    const post = { method: 'POST', body: '{}' };
    await this.ask(`${account}/enable`, post);
    const { launchUrl } = JSON.parse(await this.ask(`${account}/reauthorizations`, post)) as {
      launchUrl: string;
    };
    await fetch(`${this.url}${new URL(launchUrl).pathname}`);
    await this.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null }).pushed;
    const property = '{"property":"wx_openid_canary"}';
    await this.ask(`${account}/openid-property`, { method: 'PUT', body: property });
    await this.ask(`${account}/enable-checks`);
    await until(async () => (await this.ask(`${account}/enable`, post)).includes('"enabled":true'));
    await this.ask(`${account}/quota?path=/cgi-bin/message/custom/send`);
    this.sandbox.faults.add({ path: '/cgi-bin/clear_quota', kind: 'lost_answer' });
    await this.ask(`${account}/quota-resets`, post);
    await this.ask(`${account}/quota-resets`, post);
    await this.ask(`${account}/quota-resets`);
  }

  /** What somebody has written is told where it is asked for, and nowhere else. */
  async #meetPerson(): Promise<void> {
    const account = `/api/v1/accounts/${SERVICE_ACCOUNT}`;
    const openid = 'oCanaryPerson';
    const person = this.sandbox.person(SERVICE_ACCOUNT, openid);
    await person.follow();
    await person.write('canaryMessage');
    for (const path of ['/api/v1/events?type=message.received', `${account}/incoming-messages`])
      await until(async () => (await this.#fetch(path)).includes('canaryMessage'));
    await this.ask(`${account}/people`);
    await this.ask(`${account}/people/${openid}`);
    await this.ask(`${account}/eligibility?kind=customer_service_message&openid=${openid}`);
    await this.ask(`${account}/people/${openid}`, { method: 'DELETE' });
  }

  /** A mini-program with an address of its own: good and bad handshakes and pushes. */
  async #receive(): Promise<void> {
    await this.sandbox.authorize({ appid: MINI_PROGRAM, preAuthCode: null }).pushed;
    const path = `/api/v1/accounts/${MINI_PROGRAM}/receipt-config`;
    await until(async () => (await this.ask(path)).includes('receiptUrl'));
    await this.ask(path, { method: 'PUT', body: JSON.stringify({ token: 'a' }) });
    const saved = await this.ask(path, { method: 'PUT', body: JSON.stringify(own) });
    const { receiptUrl } = JSON.parse(saved) as { receiptUrl: string };
    const { pathname } = new URL(receiptUrl);
    this.receiptKey = pathname.split('/').at(-1) ?? '';
    const config = {
      ...own,
      url: `${this.url}${pathname}`,
      mode: 'secure',
      format: 'json',
    } as const;
    await this.sandbox.savePushConfig(MINI_PROGRAM, { ...config, token: 'anotherToken' });
    await this.sandbox.savePushConfig(MINI_PROGRAM, config);
    const receipt: SandboxReceipt = {
      event: 'subscribe_msg_popup_event',
      entries: [{ TemplateId: 'T', SubscribeStatusString: 'accept' }],
    };
    for (const corruption of [
      {},
      { badSignature: true },
      { isTruncated: true },
      { encodingAesKey: component.encodingAesKey },
    ])
      await this.sandbox.pushReceipt(MINI_PROGRAM, receipt, { corruption });
    await until(async () => (await this.ask(path)).includes('"reason":"decrypt"'));
    await until(async () =>
      (await this.ask(`/api/v1/accounts/${MINI_PROGRAM}/receipts`)).includes('"accept"'),
    );
  }

  async #administrate(): Promise<void> {
    const post = (path: string, body: object, headers: Record<string, string> = {}) =>
      this.ask(path, { method: 'POST', body: JSON.stringify(body), headers });
    await this.ask('/api/v1/accounts/sync', { method: 'POST' });
    await this.ask('/api/v1/accounts');
    await post('/api/v1/authorizations', { accountType: 'canary' });
    const made = await this.#fetch('/api/v1/api-keys', {
      method: 'POST',
      body: JSON.stringify({ name: 'canary', role: 'viewer' }),
      headers: { 'idempotency-key': 'canary' },
    });
    // The one answer that shows it; the replay of the same request does not.
    const { key, ...rest } = JSON.parse(made) as { key: string };
    this.#madeKeys.push(key);
    this.answers.push(JSON.stringify(rest));
    await post(
      '/api/v1/api-keys',
      { name: 'canary', role: 'viewer' },
      { 'idempotency-key': 'canary' },
    );
    await this.ask('/api/v1/accounts', { headers: { authorization: `Bearer ${key}` } });
    await post('/api/v1/authorizations', { accountType: 'any' }, { 'idempotency-key': 'launch' });
    await post('/api/v1/key-rotations', {});
    await this.ask('/docs-json');
    await this.ask('/health/ready');
  }
}

/** A log line may carry a value in the form that addresses have. */
export function decoded(text: string): string {
  return decodeURIComponent(text.replace(/%(?![0-9a-f]{2})/gi, ''));
}
