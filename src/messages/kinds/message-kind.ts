import type { Account } from '../../accounts/account.entity.js';
import type { FieldError } from '../../common/app-error.js';

export const MESSAGE_KINDS = [
  'template_message',
  'subscription_message',
  'customer_service_message',
  'broadcast',
] as const;
export type MessageKindName = (typeof MESSAGE_KINDS)[number];

/** A message that is to go out. */
export interface OutgoingMessage<C> {
  /** The delivery's: the same at every try. */
  id: string;
  openid: string;
  content: C;
  /** Which of its parts, from 0. */
  part: number;
}

/**
 * A kind of message: what it can say, how WeChat is told, and what WeChat promises about it.
 *
 * Contents are what clients send, by `docs-json`, and stay that until they go out.
 */
export interface MessageKind<C extends object = object> {
  readonly name: MessageKindName;
  /** WeChat's API that sends it. An error of another path means that nothing was sent. */
  readonly path: string;
  /** WeChat sends one message for one delivery, however often it is asked within ten minutes. */
  readonly isRepeatable: boolean;
  /** How often it is sent again where WeChat is too busy (-1). Without a de-duplication id that may rarely double it. */
  readonly busyRetries: number;
  /** How long WeChat's result is waited for; null where WeChat tells none, and having taken it is the end. */
  readonly resultWithinMs: number | null;

  /** @returns the content in its form, or what is wrong with it, by fields under `content.` */
  read(content: object): C | FieldError[];

  /**
   * Holds a content against what the account has: templates, media.
   *
   * @returns nothing where it can be sent
   * @throws WechatApiError, WechatUnavailableError where only WeChat knows, and does not say
   */
  check(account: Account, content: C): Promise<FieldError[]>;

  /** The template that it fills in. */
  templateIdOf(content: C): string | null;

  /** How many messages it makes. */
  partsOf(content: C): number;

  /**
   * Sends one part.
   *
   * @returns WeChat's number of it, where it gives one
   * @throws WechatApiError, WechatUnavailableError; AppError where there is no token or medium to send it with
   */
  send(account: Account, message: OutgoingMessage<C>): Promise<{ msgid: string | null }>;
}
