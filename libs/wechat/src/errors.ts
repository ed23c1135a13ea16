import { adviceFor, classify, type ErrorClass } from './errcodes.js';
import type { Text } from './text.js';

/** WeChat answered that it refuses. Holds no secret: what the call sent is cut out of WeChat's words. */
export class WechatApiError extends Error {
  override readonly name = 'WechatApiError';

  constructor(
    readonly errcode: number,
    /** WeChat's words without the rid. Not stable: never compare with it. */
    readonly errmsg: string,
    /** What WeChat's support and the rid look-up know the call by, for seven days. */
    readonly rid: string | null,
    /** The API's path, without query. */
    readonly path: string,
  ) {
    super(`WeChat refused ${path}: ${errcode} ${errmsg}`);
  }

  /** What to do about it. */
  get errorClass(): ErrorClass {
    return classify(this.errcode, this.path);
  }

  /** What a person does next. */
  get advice(): Text {
    return adviceFor(this.errcode, this.path);
  }
}

export type UnavailableFailure =
  /** No connection: wrong address, refused, no route, TLS. */
  | 'connect'
  /** Not done within the time limit. */
  | 'timeout'
  /** Broken off while the answer was awaited or read. */
  | 'reset'
  /** Another HTTP status than 200. */
  | 'http_status'
  | 'too_large'
  | 'not_json'
  /** JSON, but without what the answer must have. */
  | 'bad_answer';

/** WeChat gave no answer that can be used. */
export class WechatUnavailableError extends Error {
  override readonly name = 'WechatUnavailableError';

  constructor(
    readonly path: string,
    readonly failure: UnavailableFailure,
    /** A safe word from below, e.g. `ECONNREFUSED` or the HTTP status. */
    readonly reason: string | null = null,
  ) {
    super(`WeChat did not answer ${path}: ${failure}${reason === null ? '' : ` (${reason})`}`);
  }

  /** Whether WeChat may have done what was asked. False only where the request surely never arrived. */
  get maybeApplied(): boolean {
    return this.failure !== 'connect';
  }
}
