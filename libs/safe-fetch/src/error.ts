/** Where a request came to an end. */
export type FetchStep =
  /** The address itself: not http(s), with user or password, or plain http where only https is taken. */
  | 'url'
  /** An address that it stands for is not public, and not one that the operator allows. */
  | 'blocked'
  /** The name cannot be resolved. */
  | 'dns'
  /** No connection: refused, or no route. */
  | 'connect'
  /** The certificate is not valid for the name, or there is no TLS behind the port. */
  | 'tls'
  /** Not done within the time. */
  | 'timeout'
  /** Another status than 2xx. */
  | 'status'
  /** It would lead elsewhere, and is not followed. */
  | 'redirect'
  /** The answer is larger than allowed. */
  | 'too_large'
  /** The answer broke off, is not HTTP, or is compressed. */
  | 'body';

/**
 * A request that did not end well. Neither the address nor anything of the answer but its status is in it, so that it
 * can be logged and shown.
 */
export class SafeFetchError extends Error {
  override readonly name = 'SafeFetchError';

  constructor(
    readonly step: FetchStep,
    /** A safe word from below, e.g. `ECONNREFUSED`; with `timeout`, what took too long. */
    readonly reason: string | null = null,
    /** The HTTP status, where there was one. */
    readonly status: number | null = null,
    /** When the other side wants to be asked again, as its `Retry-After` says: seconds from now; null when it does not. */
    readonly retryAfterSeconds: number | null = null,
  ) {
    const words = [step, status, reason].filter((word) => word !== null);
    super(`The request failed: ${words.join(' ')}`);
  }
}
