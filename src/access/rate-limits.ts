import { isIP } from 'node:net';

import { Injectable } from '@nestjs/common';
import { BurstyRateLimiter, RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';

/**
 * What callers may do, as points in so many seconds. Every process counts for itself, in its memory and by the real
 * time: n processes let n times as much through.
 */
export const LIMITS = {
  /** Requests of one key, as a rule. */
  requests: { points: 100, duration: 1 },
  /** What may come on top of that: 200 at once, but not every second. */
  burst: { points: 100, duration: 10 },
  /** Keys from one address that turn out to be wrong. */
  wrongKeys: { points: 20, duration: 60 },
} as const;

/** Counts what callers do. Each count answers null, or after how many seconds the caller may come again. */
@Injectable()
export class RateLimits {
  readonly #requests = new BurstyRateLimiter(
    new RateLimiterMemory(LIMITS.requests),
    new RateLimiterMemory(LIMITS.burst),
  );
  readonly #wrongKeys = new RateLimiterMemory(LIMITS.wrongKeys);

  /** A request with a good key. */
  countRequest(keyId: string): Promise<number | null> {
    return secondsToWait(this.#requests.consume(keyId));
  }

  /**
   * A key that has to be looked up, taken for wrong until {@link forgive} says otherwise: counted afterwards, any
   * number of wrong ones sent at once would be looked up.
   */
  countAsWrong(address: string): Promise<number | null> {
    return secondsToWait(this.#wrongKeys.consume(networkOf(address)));
  }

  /** The key was not wrong. */
  async forgive(address: string): Promise<void> {
    await this.#wrongKeys.reward(networkOf(address));
  }
}

async function secondsToWait(consumed: Promise<RateLimiterRes>): Promise<number | null> {
  try {
    await consumed;
    return null;
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    return Math.max(1, Math.ceil(refusal.msBeforeNext / 1000));
  }
}

/**
 * Whom an address stands for: an IPv4 address for itself, an IPv6 address for its /64, which its owner can fill with
 * as many new addresses as he likes.
 */
export function networkOf(address: string): string {
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  // What `::` stands for, unless the groups behind it reach into the first four.
  const behind = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - behind.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => '0'), ...behind];
  const network = all.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
