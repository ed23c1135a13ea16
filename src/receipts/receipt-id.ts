const TAIL_DIGITS = 12;
const TAILS = 2n ** 48n;

/**
 * The id of a push's nth receipt: always the same, of the same moment, and in the order of the entries.
 *
 * @param pushId a UUID v7, whose last 48 bits are random
 * @param index from 0
 */
export function receiptId(pushId: string, index: number): string {
  const tail = BigInt(`0x${pushId.slice(-TAIL_DIGITS)}`);
  const next = ((tail + BigInt(index)) % TAILS).toString(16).padStart(TAIL_DIGITS, '0');
  return pushId.slice(0, -TAIL_DIGITS) + next;
}
