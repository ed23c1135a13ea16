import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { buildXml, type XmlInput } from '@app/wechat';
import { stringify } from 'lossless-json';

import {
  type Api,
  type ApiCall,
  type ApiFamily,
  Bytes,
  Refusal,
  type UploadedFile,
  type World,
} from './api.js';
import { broadcastApi } from './broadcast-api.js';
import { componentApi, retireTokens, rotateRefreshToken } from './component-api.js';
import { handleControl } from './control.js';
import { noteAct, noteReply, type PersonAct } from './conversation.js';
import { customerServiceApi } from './customer-service-api.js';
import { type Fault, Faults } from './faults.js';
import { FIRST_OPENID } from './first-person.js';
import { mediaApi } from './media-api.js';
import {
  type Forwarder,
  makeHandshake,
  makeOwnPush,
  type PushConfig,
  receiptFields,
  type SandboxReceipt,
  toDocument,
} from './own-push.js';
import { handlePage, type ScanSession } from './pages.js';
import { noteActivity } from './people.js';
import { Person } from './person.js';
import { handlePhone, isPhone } from './phone.js';
import { isPicture, type Picture, sendPicture } from './pictures.js';
import {
  type Corruption,
  type MadePush,
  type MessagePushResult,
  Pusher,
  type PushResult,
} from './pusher.js';
import { qrCodeApi } from './qr-code-api.js';
import { countCall, quotaApi } from './quota-api.js';
import { type PendingResult, type Release, Results } from './results.js';
import {
  emptyData,
  makeAccount,
  offeredPermissions,
  randomMsgId,
  randomValue,
  readyAccounts,
  type SandboxAccount,
  type SandboxData,
} from './state.js';
import { subscriptionApi } from './subscription-api.js';
import { tagApi } from './tag-api.js';
import { templateApi } from './template-api.js';
import { makeTemplate, type SandboxTemplate } from './templates.js';
import { tokenApi } from './token-api.js';

export interface SandboxOptions {
  /** 0, the default, takes any. */
  port?: number;
  host?: string;
  component: { appid: string; appSecret: string; token: string; encodingAesKey: string };
  /** Host, with port where there is one, of the page that the scan link must stand on (授权发起页域名). */
  launchDomain: string;
  /** Where tickets and authorization events are pushed; null pushes nothing. */
  eventsUrl?: string | null;
  /** Where accounts' messages and events are pushed, `$APPID$` standing for the account; null pushes nothing. */
  messagesUrl?: string | null;
  /** Milliseconds. */
  now?: () => number;
  /** The pauses before the second and third try of a push; default 5 s each. */
  pushRetryDelaysMs?: readonly number[];
  /** A state to go on from, e.g. of an earlier run. */
  data?: SandboxData;
  /** After everything that may have changed the state. */
  onChange?: (data: SandboxData) => void;
}

/** One call of an API, as the journal keeps it. */
export interface JournalEntry {
  at: number;
  path: string;
  body: unknown;
  tokenAppid: string | null;
  errcode: number | null;
}

const APIS: ReadonlyMap<string, Api> = new Map(
  [
    componentApi,
    quotaApi,
    tokenApi,
    customerServiceApi,
    templateApi,
    subscriptionApi,
    broadcastApi,
    mediaApi,
    qrCodeApi,
    tagApi,
  ].flatMap((family: ApiFamily) => Object.entries(family)),
);
const CODE_SECONDS = 3600;
/** A video of ten megabytes, and a little more to refuse it by WeChat's own words. */
const MAX_BODY_BYTES = 12 * 1024 * 1024;
const JOURNAL_LENGTH = 20_000;

/** A WeChat on loopback: the platform's APIs, the scan page, and the pushes. */
export class WechatSandbox implements World {
  readonly faults = new Faults();
  readonly journal: JournalEntry[] = [];
  /** People who are on the scan page. */
  readonly scanSessions = new Map<string, ScanSession>();
  /** Pictures in place of the drawn ones, by path. */
  readonly pictures = new Map<string, Picture>();
  readonly mediaBytes = new Map<string, Buffer>();
  readonly data: SandboxData;
  /** What becomes of messages, and when the account is told. */
  readonly results: Results;
  eventsUrl: string | null;
  messagesUrl: string | null;
  launchDomain: string;
  readonly #server: Server;
  readonly #pusher: Pusher;
  readonly #background = new Set<Promise<unknown>>();

  private constructor(readonly options: SandboxOptions) {
    this.data = { ...emptyData(), ...options.data };
    this.results = new Results(this.data, (result, via) => this.#tellResult(result, via));
    const kept = Object.values(this.data.accounts);
    // Made anew: an earlier version may have known less of an account.
    for (const account of kept.length > 0 ? kept : readyAccounts()) this.addAccount(account);
    this.eventsUrl = options.eventsUrl ?? null;
    this.messagesUrl = options.messagesUrl ?? null;
    this.launchDomain = options.launchDomain;
    this.#pusher = new Pusher(
      options.component,
      () => Math.floor(this.now() / 1000),
      options.pushRetryDelaysMs ?? [5_000, 5_000],
    );
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Listens, with the ready accounts unless a state was given. */
  static async start(options: SandboxOptions): Promise<WechatSandbox> {
    const sandbox = new WechatSandbox(options);
    await new Promise<void>((resolve, reject) => {
      sandbox.#server.once('error', reject);
      sandbox.#server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
    });
    return sandbox;
  }

  /** The origin of everything: API, scan page and phone page. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  get component(): SandboxOptions['component'] {
    return this.options.component;
  }

  now(): number {
    return (this.options.now ?? Date.now)() + this.data.clockOffsetMs;
  }

  async stop(): Promise<void> {
    await this.settled();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#pusher.close();
  }

  /** Resolves when every push that was started has been answered or given up. */
  async settled(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background);
  }

  findAccount(appid: string): SandboxAccount | null {
    const { accounts } = this.data;
    return (Object.hasOwn(accounts, appid) ? accounts[appid] : null) ?? null;
  }

  /** @throws RangeError for an appid that WeChat does not know */
  account(appid: string): SandboxAccount {
    const account = this.findAccount(appid);
    if (!account) throw new RangeError(`There is no account ${appid}.`);
    return account;
  }

  /** Adds or replaces an account. */
  addAccount(given: Partial<SandboxAccount> & { appid: string }): SandboxAccount {
    const account = makeAccount(given);
    this.data.accounts[account.appid] = account;
    return account;
  }

  /** Somebody, as she acts towards an account. @throws RangeError for an appid that WeChat does not know */
  person(appid: string, openid: string): Person {
    return new Person(this, this.account(appid).appid, openid);
  }

  /** Adds a template to an account, or changes the one of the same title. */
  addTemplate(
    appid: string,
    given: Partial<SandboxTemplate> & { title: string; content: string },
  ): SandboxTemplate {
    const account = this.account(appid);
    const template = makeTemplate(appid, given);
    const others = account.templates.filter(({ templateId }) => templateId !== template.templateId);
    account.templates = [...others, template];
    return template;
  }

  /** Gives an account a file without an upload, e.g. a draft of articles. @returns its media id */
  addMedia(appid: string, type: string, expiresAt: number | null = null): string {
    const mediaId = randomValue('media_');
    const { appid: owner } = this.account(appid);
    this.data.media[mediaId] = { appid: owner, type, contentType: '', bytes: 0, expiresAt };
    return mediaId;
  }

  /** The calls of an API so far. */
  callsTo(path: string): number {
    return this.journal.filter((entry) => entry.path === path).length;
  }

  /** Pushes a ticket, a new one unless one is given. */
  pushTicket(ticket = randomValue('ticket@@@'), corruption: Corruption = {}): Promise<PushResult> {
    this.data.tickets[ticket] = this.now();
    return this.pushEvent(
      { InfoType: 'component_verify_ticket', ComponentVerifyTicket: ticket },
      corruption,
    );
  }

  requestTicket(): void {
    void this.inBackground(this.pushTicket());
  }

  /** Pushes a component event. `fields` go over AppId and CreateTime. */
  pushEvent(
    fields: Record<string, string | number>,
    corruption: Corruption = {},
  ): Promise<PushResult> {
    const xml = buildXml({
      AppId: this.component.appid,
      CreateTime: Math.floor(this.now() / 1000),
      ...fields,
    });
    return this.pushXml(xml, corruption);
  }

  /** Pushes a clear document, signed and encrypted. */
  pushXml(xml: string, corruption: Corruption = {}): Promise<PushResult> {
    if (!this.eventsUrl) return Promise.resolve({ attempts: [], delivered: false });
    return this.#pusher.deliver(this.eventsUrl, xml, corruption);
  }

  /**
   * Pushes a message or event of an account, under the component's identity.
   *
   * @param fields go over ToUserName, FromUserName, CreateTime and, for a message, MsgId
   * @throws RangeError for an appid that WeChat does not know
   */
  async pushMessage(
    appid: string,
    fields: XmlInput,
    corruption: Corruption = {},
  ): Promise<MessagePushResult> {
    const account = this.account(appid);
    const { ToUserName = account.originalId, FromUserName = FIRST_OPENID, ...rest } = fields;
    const act = this.#note(account, FromUserName, rest);
    if (!this.messagesUrl) return { attempts: [], delivered: false, reply: null };
    const xml = buildXml({
      ToUserName,
      FromUserName,
      CreateTime: Math.floor(this.now() / 1000),
      ...(rest['MsgType'] !== 'event' && { MsgId: randomMsgId() }),
      ...rest,
    });
    const result = await this.#pusher.deliverMessage(
      this.messagesUrl.replaceAll('$APPID$', () => appid),
      xml,
      {
        toUserName: typeof ToUserName === 'string' ? ToUserName : '',
        openid: typeof FromUserName === 'string' ? FromUserName : '',
      },
      corruption,
    );
    noteReply(act, result, this.now());
    return result;
  }

  #note(account: SandboxAccount, openid: XmlInput[string], fields: XmlInput): PersonAct | null {
    if (typeof openid !== 'string') return null;
    noteActivity(account, openid, fields, this.now());
    return noteAct(this.data, account.appid, openid, fields, this.now());
  }

  /**
   * What saving the push configuration in WeChat's console does: the address is tried, and kept when it echoes.
   *
   * @returns whether it was kept, and what the address answered
   */
  async savePushConfig(
    appid: string,
    config: PushConfig,
  ): Promise<{ isSaved: boolean; status: number | null; body: string }> {
    const account = this.account(appid);
    const query = makeHandshake(config.token, Math.floor(this.now() / 1000));
    const answer = await this.#pusher.tryAddress(config.url, query);
    const isSaved = answer.status === 200 && answer.body === query['echostr'];
    if (isSaved) account.pushConfig = config;
    this.changed();
    return { isSaved, ...answer };
  }

  /**
   * Pushes a message or event by the account's own configuration.
   *
   * @param fields go over ToUserName, FromUserName, CreateTime and, for a message, MsgId; in JSON every value is text
   * @param over what is wrong with it, who forwards it, or a configuration instead of the account's
   * @throws RangeError for an appid that WeChat does not know, or one without a configuration
   */
  async pushOwn(
    appid: string,
    fields: XmlInput,
    over: { corruption?: Corruption; forwarder?: Forwarder; config?: PushConfig } = {},
  ): Promise<PushResult> {
    const account = this.account(appid);
    const config = over.config ?? account.pushConfig;
    if (!config) throw new RangeError(`${appid} has no push configuration.`);
    const { ToUserName = account.originalId, FromUserName = FIRST_OPENID, ...rest } = fields;
    this.#note(account, FromUserName, rest);
    const document = toDocument(
      {
        ToUserName,
        FromUserName,
        CreateTime: String(Math.floor(this.now() / 1000)),
        ...(rest['MsgType'] !== 'event' && { MsgId: randomMsgId() }),
        ...rest,
      },
      config.format,
    );
    const address = {
      appid,
      toUserName: typeof ToUserName === 'string' ? ToUserName : '',
      openid: typeof FromUserName === 'string' ? FromUserName : '',
    };
    const { corruption, forwarder } = over;
    const make = (): MadePush =>
      makeOwnPush(document, config, address, Math.floor(this.now() / 1000), corruption);
    if (!forwarder) return this.#pusher.deliverOwn(config.url, make);
    const push = make();
    const { times = 1, contentType = push.contentType, dropsQuery = false } = forwarder;
    const forwarded = { ...push, contentType, query: dropsQuery ? {} : push.query };
    let result: PushResult = { attempts: [], delivered: false };
    for (let time = 0; time < times; time++) {
      const { attempts, delivered } = await this.#pusher.deliverOwn(config.url, () => forwarded);
      result = { attempts: [...result.attempts, ...attempts], delivered };
    }
    return result;
  }

  /** Pushes an event of subscription messages likewise. */
  pushReceipt(
    appid: string,
    receipt: SandboxReceipt,
    over: Parameters<WechatSandbox['pushOwn']>[2] = {},
  ): Promise<PushResult> {
    const format = (over.config ?? this.account(appid).pushConfig)?.format ?? 'xml';
    const fields = receiptFields(receipt, format);
    const { openid } = receipt;
    return this.pushOwn(appid, { ...fields, ...(openid && { FromUserName: openid }) }, over);
  }

  /** Pushes an event of subscription messages where the account's go: by its own configuration, or by the platform's. */
  tellSubscriptions(
    appid: string,
    receipt: SandboxReceipt,
    via?: Release['via'],
  ): Promise<PushResult> {
    const isOwn = via ? via === 'own' : this.account(appid).pushConfig !== null;
    if (isOwn) return this.pushReceipt(appid, receipt);
    const { openid } = receipt;
    const fields = receiptFields(receipt, 'xml');
    return this.pushMessage(appid, { ...fields, ...(openid && { FromUserName: openid }) });
  }

  #tellResult({ appid, event }: PendingResult, via: Release['via']): Promise<PushResult> {
    if ('receipt' in event) return this.tellSubscriptions(appid, event.receipt, via);
    return via === 'own'
      ? this.pushOwn(appid, event.fields)
      : this.pushMessage(appid, event.fields);
  }

  /**
   * What confirming on the scan page does: a code is made, and the event pushed where WeChat would push one.
   *
   * @param preAuthCode null for an authorization that began elsewhere
   * @param push false leaves the event out; it is then returned to be pushed by hand
   */
  authorize(request: {
    appid: string;
    preAuthCode: string | null;
    permissionIds?: number[];
    push?: boolean;
  }): {
    authCode: string;
    expiresIn: number;
    event: Record<string, string | number> | null;
    pushed: Promise<unknown>;
  } {
    const account = this.account(request.appid);
    const permissionIds = [
      ...(request.permissionIds ?? offeredPermissions(account.accountType)),
    ].sort((a, b) => a - b);
    const before = account.authorization;
    const now = this.now();
    if (request.preAuthCode !== null) {
      const code = this.data.preAuthCodes[request.preAuthCode];
      if (!code || code.isUsed || now > code.expiresAt)
        throw new RangeError('The pre-auth code is not usable.');
      code.isUsed = true;
    }
    // An older authorization's tokens end here.
    retireTokens(this, account.appid);
    account.authorization = {
      permissionIds,
      refreshToken: randomValue('refreshtoken@@@'),
      isExchanged: before?.isExchanged ?? false,
      authorizedAt: Math.floor(now / 1000),
    };
    const authCode = randomValue('queryauthcode@@@');
    this.data.authorizationCodes[authCode] = {
      appid: account.appid,
      expiresAt: now + CODE_SECONDS * 1000,
      isUsed: false,
    };
    const isSame = before !== null && String(before.permissionIds) === String(permissionIds);
    // WeChat sends no event when nothing changed.
    const event = isSame
      ? null
      : {
          InfoType: before ? 'updateauthorized' : 'authorized',
          CreateTime: Math.floor(now / 1000),
          AuthorizerAppid: account.appid,
          AuthorizationCode: authCode,
          AuthorizationCodeExpiredTime: Math.floor(now / 1000) + CODE_SECONDS,
          PreAuthCode:
            request.preAuthCode ?? `preauthcode@@@elsewhere-${randomBytes(8).toString('hex')}`,
        };
    const pushed =
      event && request.push !== false
        ? this.inBackground(this.pushEvent(event))
        : Promise.resolve();
    this.changed();
    return { authCode, expiresIn: CODE_SECONDS, event, pushed };
  }

  /** The administrator cancels: tokens and codes are dead, `unauthorized` is pushed. */
  cancel(
    appid: string,
    options: { push?: boolean } = {},
  ): { event: Record<string, string | number>; pushed: Promise<unknown> } {
    this.account(appid).authorization = null;
    retireTokens(this, appid);
    for (const code of Object.values(this.data.authorizationCodes))
      if (code.appid === appid) code.isUsed = true;
    const event = {
      InfoType: 'unauthorized',
      CreateTime: Math.floor(this.now() / 1000),
      AuthorizerAppid: appid,
    };
    const pushed =
      options.push === false ? Promise.resolve() : this.inBackground(this.pushEvent(event));
    this.changed();
    return { event, pushed };
  }

  /** Changes the account's refresh token behind the platform's back; the former lives for five minutes more. */
  rotateRefreshToken(appid: string): void {
    rotateRefreshToken(this, this.account(appid));
  }

  changed(): void {
    this.options.onChange?.(this.data);
  }

  /** Work that {@link settled} waits for. */
  inBackground<T>(work: Promise<T>): Promise<T> {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
    return work;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', this.url);
      const bytes = await readBody(request);
      if (isApi(url)) await this.#answerApi(request, response, url, bytes);
      else if (isPicture(url)) sendPicture(this, url, response);
      else {
        const body = bytes.toString('utf8');
        if (url.pathname.startsWith('/_sandbox/')) await handleControl(this, url, body, response);
        else if (isPhone(url)) await handlePhone(this, request.method ?? '', url, body, response);
        else handlePage(this, request, response, url, body);
      }
      this.changed();
    } catch (error) {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end(error instanceof Error ? error.message : 'failed');
    }
  }

  async #answerApi(
    request: IncomingMessage,
    response: ServerResponse,
    url: URL,
    bytes: Buffer,
  ): Promise<void> {
    const path = url.pathname;
    const upload = APIS.get(path)?.isUpload ? await readUpload(request, bytes) : null;
    const text = upload ? '' : bytes.toString('utf8');
    const body = parseJson(text);
    const token =
      url.searchParams.get('access_token') ?? url.searchParams.get('component_access_token');
    const tokenAppid = token === null ? null : (this.data.accessTokens[token]?.appid ?? null);
    const fault = this.faults.take(path, [body?.['authorizer_appid'], body?.['appid'], tokenAppid]);
    const entry: JournalEntry = { at: this.now(), path, body, tokenAppid, errcode: null };
    this.journal.push(entry);
    if (this.journal.length > JOURNAL_LENGTH) this.journal.shift();
    if (await isSpoilt(fault, response)) return;
    const ip = request.socket.remoteAddress ?? '';
    const call = { path, body: body ?? {}, query: url.searchParams, upload, token, ip };
    const answer = this.#call(request.method ?? '', call, { text, isJson: body !== null }, fault);
    entry.errcode = 'errcode' in answer && typeof answer.errcode === 'number' ? answer.errcode : 0;
    const results = this.results.takeFresh();
    if (this.results.timing === 'before_answer') await this.results.tellAll(results);
    else if (results.length > 0) void this.inBackground(this.results.tellAll(results));
    if (fault?.kind === 'lost_answer') {
      response.destroy();
      return;
    }
    if (answer instanceof Bytes) {
      response.writeHead(200, { 'content-type': answer.contentType }).end(answer.body);
      return;
    }
    // WeChat labels JSON as it likes, and writes its long numbers as numbers.
    response.writeHead(200, { 'content-type': 'application/json; encoding=utf-8' });
    response.end(stringify(answer));
  }

  #call(
    method: string,
    call: Omit<ApiCall, 'tokenAppid' | 'world'>,
    sent: { text: string; isJson: boolean },
    fault: Fault | null,
  ): object {
    const { path, token } = call;
    try {
      if (fault?.kind === 'errcode') throw new Refusal(fault.errcode ?? -1, 'system error');
      const api = APIS.get(path);
      if (!api) throw new Refusal(40066, 'invalid url');
      checkForm(api, method, sent);
      const tokenAppid = this.#checkToken(api, token);
      this.#checkAccount(api, path, token);
      return api.handle({ ...call, tokenAppid, world: this });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return this.#refuse(error, path, sent.text);
    }
  }

  #checkToken(api: Api, token: string | null): string | null {
    if (api.token === 'none') return null;
    if (!token) throw new Refusal(41001, 'access_token missing');
    const issued = this.data.accessTokens[token];
    if (!issued || issued.isRetired) {
      throw new Refusal(40001, 'invalid credential, access_token is invalid or not latest');
    }
    if (this.now() > issued.expiresAt) throw new Refusal(42001, 'access_token expired');
    if (api.token === 'component' && issued.kind !== 'component') {
      throw new Refusal(61014, 'must use component token for component api');
    }
    if (api.token === 'authorizer' && issued.kind === 'component') {
      throw new Refusal(61015, 'must use biz token, not component token');
    }
    return issued.appid;
  }

  #checkAccount(api: Api, path: string, token: string | null): void {
    const issued = api.token === 'none' ? undefined : this.data.accessTokens[token ?? ''];
    const account = issued && this.findAccount(issued.appid);
    if (!account) return;
    const granted = account.authorization?.permissionIds ?? [];
    const isGranted = !api.permissions || api.permissions.some((id) => granted.includes(id));
    // What was granted limits the platform, and not the account itself.
    if (!isGranted && issued.kind !== 'own') {
      throw new Refusal(61007, 'api is unauthorized to component');
    }
    if (!path.startsWith('/cgi-bin/clear_quota') && !path.startsWith('/cgi-bin/openapi/')) {
      countCall(this, account, path);
    }
  }

  #refuse({ errcode, errmsg, more }: Refusal, path: string, request: string): object {
    const rid = [4, 4, 4].map((bytes) => randomBytes(bytes).toString('hex')).join('-');
    const answer = { errcode, errmsg: `${errmsg} rid: ${rid}`, ...more };
    this.data.rids[rid] = { path, at: this.now(), request, response: stringify(answer) ?? '' };
    return answer;
  }
}

/** Does what the fault says before the call; true when that was all. */
async function isSpoilt(fault: Fault | null, response: ServerResponse): Promise<boolean> {
  switch (fault?.kind) {
    case 'http_500':
      response
        .writeHead(500, { 'content-type': 'text/html' })
        .end('<html>Internal Server Error</html>');
      return true;
    case 'not_json':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>');
      return true;
    case 'reset':
      response.destroy();
      return true;
    case 'hang':
      return true;
    case 'delay':
      await new Promise((resolve) => setTimeout(resolve, fault.delayMs ?? 100));
      return false;
    case 'errcode':
    case 'lost_answer':
    case undefined:
      return false;
  }
}

/** What a browser opens among the APIs' paths. */
const BROWSER_PATHS = ['/cgi-bin/componentloginpage', '/cgi-bin/showqrcode'];

function isApi({ pathname }: URL): boolean {
  return (
    (pathname.startsWith('/cgi-bin/') && !BROWSER_PATHS.includes(pathname)) ||
    pathname.startsWith('/wxaapi/') ||
    pathname.startsWith('/wxa/')
  );
}

function checkForm(
  { method = 'POST', isUpload = false }: Api,
  given: string,
  { text, isJson }: { text: string; isJson: boolean },
): void {
  if (given !== method)
    throw method === 'GET'
      ? new Refusal(43001, 'require GET method')
      : new Refusal(43002, 'require POST method');
  if (method === 'GET' || isUpload) return;
  if (text === '') throw new Refusal(44002, 'empty post data');
  if (!isJson) throw new Refusal(47001, 'data format error');
}

/** By the runtime's own reader of forms. @returns null when there is no file in it */
async function readUpload(request: IncomingMessage, bytes: Buffer): Promise<UploadedFile | null> {
  const headers = { 'content-type': request.headers['content-type'] ?? '' };
  try {
    const form = await new Response(new Uint8Array(bytes), { headers }).formData();
    const media = form.get('media');
    if (!(media instanceof Blob)) return null;
    const texts = [...form].flatMap(([name, value]): [string, string][] =>
      typeof value === 'string' ? [[name, value]] : [],
    );
    return {
      bytes: Buffer.from(await media.arrayBuffer()),
      contentType: media.type,
      fields: Object.fromEntries(texts),
    };
  } catch {
    return null;
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new RangeError('too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value }
      : null;
  } catch {
    return null;
  }
}
