import type { QrCodeVisit } from './qr-code-visit.entity.js';

/** What is told from all of a person's rows together. */
export type Derived = Pick<QrCodeVisit, 'qrCodeId' | 'visit' | 'stays'>;

type Fact = Pick<QrCodeVisit, 'id' | 'act' | 'qrCodeId' | 'visit' | 'at'>;

/**
 * Tells of each follow whether it was the first and whether the person is still here by it, and of each unfollow whom it
 * leaves. It looks at all of them together, so the order in which they came to us makes no difference.
 *
 * A person is new once; who was found to be returning stays so. An unfollow counts for the code that the person last
 * followed by: who followed without one, or had left before, leaves none.
 *
 * @param rows every follow and unfollow of one person, in any order
 */
export function attribute(rows: readonly Fact[]): Map<string, Derived> {
  const derived = new Map<string, Derived>();
  let current: Derived | null = null;
  for (const { id, act, qrCodeId, visit } of rows.toSorted(inOrder)) {
    if (current) current.stays = false;
    const isReturning = derived.size > 0 || visit === 'returning_follower';
    const one: Derived =
      act === 'follow'
        ? { qrCodeId, visit: isReturning ? 'returning_follower' : 'new_follower', stays: true }
        : { qrCodeId: current?.qrCodeId ?? null, visit: null, stays: false };
    current = act === 'follow' ? one : null;
    derived.set(id, one);
  }
  return derived;
}

/**
 * By time; what WeChat has put in one second, in an order that does not hang on when it came to us: the end of following
 * comes last.
 */
function inOrder(one: Fact, other: Fact): number {
  return (
    one.at.getTime() - other.at.getTime() ||
    Number(one.act === 'unfollow') - Number(other.act === 'unfollow') ||
    compare(one.qrCodeId ?? '', other.qrCodeId ?? '') ||
    compare(one.id, other.id)
  );
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other);
}
