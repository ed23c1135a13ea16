import { hash } from 'node:crypto';

import type { EventPush, MessagePush } from '@app/wechat';

import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';
import type { AutoReply } from './auto-reply.entity.js';
import type { Occasion } from './matching.js';

/** What of a push rules are about; null for what no rule answers. */
export function occasionOf(push: MessagePush | EventPush): Occasion | null {
  if (push.kind === 'event') return push.event === 'subscribe' ? { type: 'follow' } : null;
  const text = push.msgType === 'text' ? push.fields['Content'] : undefined;
  return {
    type: 'message',
    messageType: push.msgType,
    text: typeof text === 'string' ? text : null,
  };
}

/** One of a rule's replies. */
export interface PlannedReply {
  /** Its place among the rule's replies. */
  place: number;
  message: AnyMessageDto;
}

/** What a rule says to a push, in order. A reply at random is the same one wherever and however often it is asked for. */
export function planOf({ id, mode, replies }: AutoReply, seed: string): PlannedReply[] {
  const all = replies.map((message, place) => ({ place, message }));
  if (mode === 'all') return all;
  const drawn = hash('sha256', `${id} ${seed}`, 'hex').slice(0, 12);
  const chosen = all[Number.parseInt(drawn, 16) % all.length];
  return chosen ? [chosen] : [];
}

/** What tells a push from others, and is the same each time that WeChat sends it. */
export function seedOf(push: MessagePush | EventPush): string {
  const { fromUserName, createTime } = push;
  const what = push.kind === 'event' ? `${push.event} ${push.eventKey}` : push.msgId;
  return `${fromUserName} ${createTime} ${what}`;
}

/** A reply that stands inside the response to its push. */
export interface GivenReply {
  ruleId: string;
  /** Of the rule, when it was given. */
  version: number;
  place: number;
}

const NOTE = /^auto_reply:([\w-]{36}):(\d+):(\d)$/;

/** How it is noted beside the push. */
export function noteOf({ ruleId, version, place }: GivenReply): string {
  return `auto_reply:${ruleId}:${version}:${place}`;
}

/** @returns null for a note that is not of an automatic reply */
export function readNote(note: string | null): GivenReply | null {
  const [, ruleId, version, place] = NOTE.exec(note ?? '') ?? [];
  if (ruleId === undefined) return null;
  return { ruleId, version: Number(version), place: Number(place) };
}
