import { REACTIONS, WechatApiError, WechatUnavailableError } from '@app/wechat';

import { AppError, PROBLEMS } from '../../common/app-error.js';
import type { Text } from '../../common/text.js';
import type { DeliveryFailure } from '../deliveries/delivery.entity.js';
import type { MessageKind } from '../kinds/message-kind.js';

/** What a try has come to. */
export type Outcome =
  | { type: 'accepted'; msgid: string | null }
  /** WeChat refused, or it was never reached. With `isOfContent`, what was said: something else may go through. */
  | { type: 'failed'; failure: DeliveryFailure; isOfContent?: boolean }
  /** WeChat may have sent it. */
  | { type: 'unknown'; failure: DeliveryFailure }
  /** Not sent so far, or harmless to send again. */
  | { type: 'retry'; afterMs: number; failure: DeliveryFailure };

/** The reason of a delivery that WeChat may have sent. */
export const ANSWER_LOST = 'answer_lost';

/** What we do not send, for what it carries. */
const REFUSED_CONTENTS: ReadonlySet<string> = new Set(['media_not_found', 'media_not_usable']);

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
/** After each try that may be followed by another one at once. */
const SOON_MS = [1 * SECOND_MS, 3 * SECOND_MS, 10 * SECOND_MS];
/** The same where WeChat wants more time between two messages to one person. */
const BUSY_PERSON_MS = SOON_MS.map((ms) => Math.max(ms, 3 * SECOND_MS));
/** After each try of which nothing can have gone out: nothing is doubled, so it goes on for longer. */
const UNSENT_MS = [...SOON_MS, 30 * SECOND_MS, 1 * MINUTE_MS, 2 * MINUTE_MS, 5 * MINUTE_MS];

/**
 * What follows from an error of sending, by the class of WeChat's refusal and by what the kind promises.
 *
 * | what came | a kind with a de-duplication id | a kind without |
 * |---|---|---|
 * | never reached WeChat, no token for now | again within seconds, then minutes | the same |
 * | busy for this person | again within seconds | the same |
 * | -1 | again within seconds | again as often as the kind has it, then failed |
 * | the answer was lost, a code that nobody knows | again within seconds, then unknown | unknown |
 * | too many this minute | once more after a minute | the same |
 * | any other refusal | failed | failed |
 *
 * @param attempts how often sending has begun, with this try
 * @throws the error itself where it is a fault of ours
 */
export function outcomeOf(
  error: unknown,
  kind: Pick<MessageKind, 'path' | 'isRepeatable' | 'busyRetries'>,
  attempts: number,
): Outcome {
  if (error instanceof WechatUnavailableError) {
    const isLost = error.maybeApplied && error.path === kind.path;
    if (!isLost) return again(UNSENT_MS, unreached(), attempts);
    return kind.isRepeatable ? again(SOON_MS, lost(), attempts, 'unknown') : unknown(lost());
  }
  if (error instanceof WechatApiError) return refused(error, kind, attempts);
  if (error instanceof AppError) {
    const failure = refusedByUs(error);
    const isOfContent = REFUSED_CONTENTS.has(error.code);
    return failure.retryable
      ? again(UNSENT_MS, failure, attempts)
      : { type: 'failed', failure, isOfContent };
  }
  throw error;
}

/** The process that sent it has died before it could say what came of it. */
export function lostWithItsProcess(): Outcome {
  return unknown(lost());
}

function refused(
  error: WechatApiError,
  kind: Pick<MessageKind, 'path' | 'isRepeatable' | 'busyRetries'>,
  attempts: number,
): Outcome {
  const failure = refusedByWechat(error);
  switch (error.errorClass) {
    case 'transient':
      return error.path !== kind.path
        ? again(UNSENT_MS, failure, attempts)
        : again(SOON_MS.slice(0, kind.busyRetries), failure, attempts);
    case 'unknown':
      if (kind.isRepeatable) return again(SOON_MS, failure, attempts);
      return error.path === kind.path ? unknown(failure) : { type: 'failed', failure };
    case 'user_busy':
      return again(BUSY_PERSON_MS, failure, attempts);
    case 'rate_minute':
      return attempts === 1
        ? { type: 'retry', afterMs: MINUTE_MS, failure }
        : { type: 'failed', failure };
    default:
      return { type: 'failed', failure, isOfContent: isOfContent(error) };
  }
}

/** Whether it is this message that is wrong, and neither its receiver nor its account. */
function isOfContent({ errorClass }: WechatApiError): boolean {
  return REACTIONS[errorClass].concerns === 'content' || errorClass === 'bug';
}

/** @param pauses after each try that may be followed by another one; after the last it has failed, or is what `end` says */
function again(
  pauses: readonly number[],
  failure: DeliveryFailure,
  attempts: number,
  end: 'failed' | 'unknown' = 'failed',
): Outcome {
  const afterMs = pauses[attempts - 1];
  return afterMs === undefined ? { type: end, failure } : { type: 'retry', afterMs, failure };
}

function unknown(failure: DeliveryFailure): Outcome {
  return { type: 'unknown', failure: { ...failure, retryable: false } };
}

const LOST: Text = {
  zh: '微信的应答丢失，消息可能已经送达。为避免重复，不会自动重发；请核实后再决定是否重新发送。',
  en: "WeChat's answer was lost and the message may have arrived. It is not sent again by itself, which could double it: find out before you do.",
};

function lost(): DeliveryFailure {
  return { reason: ANSWER_LOST, errcode: null, detail: LOST, retryable: false };
}

function unreached(): DeliveryFailure {
  return {
    reason: 'wechat_unavailable',
    errcode: null,
    detail: {
      zh: '无法连接微信，消息没有发出。请稍后重新发送；如持续失败，请检查服务器到 api.weixin.qq.com 的网络。',
      en: 'WeChat could not be reached and nothing was sent. Send it again later; if it keeps failing, check the network to api.weixin.qq.com.',
    },
    retryable: true,
  };
}

/** WeChat's words are kept: they name the field, the address or the limit. */
export function refusedByWechat(error: WechatApiError): DeliveryFailure {
  const { errcode, errmsg, errorClass, advice } = error;
  const words = errmsg === '' ? `${errcode}` : `${errcode} ${errmsg}`;
  return {
    reason: errorClass,
    errcode,
    detail: { zh: `${advice.zh}（${words}）`, en: `${advice.en} (${words})` },
    retryable: REACTIONS[errorClass].retry !== 'no',
  };
}

/** There is no token, or a medium cannot go out. */
function refusedByUs(error: AppError): DeliveryFailure {
  const [field] = error.fields;
  const { detail, status } = PROBLEMS[error.code];
  return {
    reason: error.code,
    errcode: null,
    detail: field?.detail ?? detail,
    retryable: status >= 500,
  };
}
