import type { XmlInput } from '@app/wechat';

import type { SandboxReceipt } from './own-push.js';
import { meet, type SandboxPerson, type SpoiltResult } from './people.js';
import { readQrCode } from './qr-codes.js';
import type { MessagePushResult, PushResult } from './pusher.js';
import type { SandboxAccount, SandboxData, SentMessage } from './state.js';

/** What a person acts on. */
export interface PersonHost {
  readonly data: SandboxData;
  now(): number;
  account(appid: string): SandboxAccount;
  pushMessage(appid: string, fields: XmlInput): Promise<MessagePushResult>;
  tellSubscriptions(appid: string, receipt: SandboxReceipt): Promise<PushResult>;
  changed(): void;
}

const LONG_TERM = 3;
const NOTHING: MessagePushResult = { attempts: [], delivered: false, reply: null };

/** Somebody with WeChat in her hand, towards one account. What she does is pushed as WeChat pushes it. */
export class Person {
  constructor(
    private readonly host: PersonHost,
    readonly appid: string,
    readonly openid: string,
  ) {}

  /** As the account knows her. */
  get state(): SandboxPerson {
    return meet(this.host.account(this.appid), this.openid);
  }

  /** What she has got so far, the oldest first. */
  get messages(): SentMessage[] {
    const { data } = this.host;
    return data.messages.filter(
      ({ appid, toUser, isSeen }) => appid === this.appid && toUser === this.openid && isSeen,
    );
  }

  /** @param code the QR code that she scanned for it, as {@link scan} takes it */
  async follow(code?: string): Promise<MessagePushResult> {
    if (code === undefined) return this.#event('subscribe', { EventKey: '' });
    const seen = this.#read(code);
    if (!seen) return NOTHING;
    return this.#event('subscribe', { EventKey: `qrscene_${seen.scene}`, Ticket: seen.ticket });
  }

  unfollow(): Promise<MessagePushResult> {
    return this.#event('unsubscribe', { EventKey: '' });
  }

  /** @param content a text, or the fields of another message, e.g. `{ MsgType: 'image', … }` */
  write(content: string | XmlInput): Promise<MessagePushResult> {
    return this.#push(
      typeof content === 'string' ? { MsgType: 'text', Content: content } : content,
    );
  }

  /**
   * Scans a QR code of the account: who does not follow yet, follows.
   *
   * @param code what its picture says, its ticket, or a scene, for which there need be no code
   * @returns nothing tried for a code that has ended or is not the account's: WeChat says so to her alone
   */
  async scan(code: string): Promise<MessagePushResult> {
    if (!this.state.isFollower) return this.follow(code);
    const seen = this.#read(code);
    if (!seen) return NOTHING;
    return this.#event('SCAN', { EventKey: seen.scene, Ticket: seen.ticket });
  }

  /** Taps an item of the account's menu. @param event `VIEW` for one that opens a page, which opens no window */
  clickMenu(key: string, event: 'CLICK' | 'VIEW' = 'CLICK'): Promise<MessagePushResult> {
    return this.#event(event, { EventKey: key });
  }

  /** Taps an entry of a message menu that she got. */
  clickMessageMenu(id: string, text: string): Promise<MessagePushResult> {
    return this.#push({ MsgType: 'text', Content: text, bizmsgmenuid: id });
  }

  /** Opens the customer-service conversation of a mini-program. */
  enterSession(sessionFrom = ''): Promise<MessagePushResult> {
    return this.#event('user_enter_tempsession', { SessionFrom: sessionFrom });
  }

  /** Consents to templates when she is asked: each consent is good for one message. */
  accept(...templateIds: string[]): Promise<PushResult> {
    const { grants } = this.state;
    for (const templateId of templateIds)
      grants[templateId] = this.#isLongTerm(templateId) ? null : (grants[templateId] ?? 0) + 1;
    return this.#tell('subscribe_msg_popup_event', templateIds, 'accept');
  }

  /** Says no when she is asked. What she has consented to before stays. */
  reject(...templateIds: string[]): Promise<PushResult> {
    return this.#tell('subscribe_msg_popup_event', templateIds, 'reject');
  }

  /** Switches templates off in WeChat's settings. */
  withdraw(...templateIds: string[]): Promise<PushResult> {
    for (const templateId of templateIds) delete this.state.grants[templateId];
    return this.#tell('subscribe_msg_change_event', templateIds, 'reject');
  }

  /** Refuses messages of the account, or takes them again. WeChat tells the account nothing of it. */
  block(isBlocking = true): void {
    this.state.isBlocking = isBlocking;
    this.host.changed();
  }

  /** The account puts her on its blacklist, or takes her off. */
  blacklist(isBlacklisted = true): void {
    this.state.isBlacklisted = isBlacklisted;
    this.host.changed();
  }

  tag(...tagIds: number[]): void {
    this.state.tagIds = tagIds;
    this.host.changed();
  }

  /** Her next message is taken, and does not arrive: its result says so. */
  spoilNextResult(result: SpoiltResult): void {
    this.state.spoiltResults.push(result);
    this.host.changed();
  }

  #read(code: string): { scene: string; ticket: string } | null {
    const seen = readQrCode(this.host.account(this.appid), code, this.host.now());
    return seen && { scene: seen.scene, ticket: seen.ticket ?? ticketOf(seen.scene) };
  }

  #isLongTerm(templateId: string): boolean {
    return this.host
      .account(this.appid)
      .templates.some(
        (template) => template.templateId === templateId && template.type === LONG_TERM,
      );
  }

  #event(event: string, fields: XmlInput): Promise<MessagePushResult> {
    return this.#push({ MsgType: 'event', Event: event, ...fields });
  }

  #push(fields: XmlInput): Promise<MessagePushResult> {
    return this.host.pushMessage(this.appid, { FromUserName: this.openid, ...fields });
  }

  #tell(
    event: SandboxReceipt['event'],
    templateIds: readonly string[],
    status: 'accept' | 'reject',
  ): Promise<PushResult> {
    const entries = templateIds.map((templateId) => ({
      TemplateId: templateId,
      SubscribeStatusString: status,
      ...(event === 'subscribe_msg_popup_event' && { PopupScene: '0' }),
    }));
    this.host.changed();
    return this.host.tellSubscriptions(this.appid, { event, openid: this.openid, entries });
  }
}

/** Of a code that nobody has made. */
function ticketOf(scene: string): string {
  return `gQ_${Buffer.from(scene).toString('base64url')}`;
}
