import { describe, expect, it } from '@jest/globals';

import { receiptId } from './receipt-id.js';

describe('receiptId', () => {
  it("is the push's own for the first, and counts on from it", () => {
    const push = '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6affe';
    expect([0, 1, 2, 1_000].map((index) => receiptId(push, index))).toEqual([
      push,
      '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6afff',
      '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6b000',
      '019a1f6e-7c1a-7c3e-9b1d-3a52c1a6b3e6',
    ]);
  });

  it('stays a UUID where the digits run out', () => {
    expect(receiptId('019a1f6e-7c1a-7c3e-9b1d-ffffffffffff', 1)).toBe(
      '019a1f6e-7c1a-7c3e-9b1d-000000000000',
    );
  });
});
