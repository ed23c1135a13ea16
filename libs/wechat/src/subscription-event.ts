import type { XmlObject, XmlValue } from './xml.js';

/** The events of subscription messages, in lower case as {@link EventPush.event} has them. */
export const SUBSCRIPTION_EVENTS = [
  'subscribe_msg_popup_event',
  'subscribe_msg_change_event',
  'subscribe_msg_sent_event',
] as const;
export type SubscriptionEvent = (typeof SUBSCRIPTION_EVENTS)[number];

/** What one entry of a subscription event says. Every value is WeChat's text. */
export interface SubscriptionReceipt {
  templateId: string | null;
  /** Of the message that was sent: 19 digits. Only in `subscribe_msg_sent_event`. */
  msgid: string | null;
  /** What the person chose, `accept` or `reject`; of a message that was sent, `success` or `failed`. */
  status: string | null;
  /** WeChat's `ErrorCode`, "0" for success. Only in `subscribe_msg_sent_event`. */
  errorCode: string | null;
  /** WeChat's `ErrorStatus` in its own words, likewise. */
  detail: string | null;
  /** The entry as it came. */
  payload: XmlObject;
}

/** The element that holds the entries, by the event; in XML always, in JSON sometimes. */
const HOLDERS: Readonly<Record<SubscriptionEvent, string>> = {
  subscribe_msg_popup_event: 'SubscribeMsgPopupEvent',
  subscribe_msg_change_event: 'SubscribeMsgChangeEvent',
  subscribe_msg_sent_event: 'SubscribeMsgSentEvent',
};

export function isSubscriptionEvent(event: string): event is SubscriptionEvent {
  return Object.hasOwn(HOLDERS, event);
}

/**
 * Reads the entries of a subscription event, whichever of its shapes it came in: XML, JSON with `List` at the top or
 * inside the event's own element; one entry, or several.
 *
 * @param fields of the push
 * @returns in their order; empty when there are none
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
 */
export function readSubscriptionEvent(
  event: SubscriptionEvent,
  fields: XmlObject,
): SubscriptionReceipt[] {
  return entriesOf(event, fields).map((payload) => {
    const msgid = textOf(payload, 'MsgID') ?? textOf(payload, 'MsgId');
    const errorCode = textOf(payload, 'ErrorCode');
    return {
      templateId: textOf(payload, 'TemplateId'),
      msgid,
      status:
        event === 'subscribe_msg_sent_event'
          ? errorCode && (errorCode === '0' ? 'success' : 'failed')
          : textOf(payload, 'SubscribeStatusString'),
      errorCode,
      detail: textOf(payload, 'ErrorStatus'),
      payload,
    };
  });
}

function entriesOf(event: SubscriptionEvent, fields: XmlObject): XmlObject[] {
  const holder = fields[HOLDERS[event]];
  const inside = isObject(holder) ? (holder['List'] ?? holder) : holder;
  const entries = inside ?? fields['List'] ?? [];
  return (Array.isArray(entries) ? entries : [entries]).filter(isObject);
}

function isObject(value: XmlValue | undefined): value is XmlObject {
  return typeof value === 'object' && !Array.isArray(value);
}

/** An empty text counts as missing. */
function textOf(fields: XmlObject, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : null;
}
