import { describe, expect, it } from '@jest/globals';

import { nextMidnight, shanghaiMonth, startOfMonth } from './shanghai-time.js';

describe('the time in Shanghai', () => {
  it.each([
    ['2026-01-31T15:59:59.999Z', '2026-01'],
    ['2026-01-31T16:00:00.000Z', '2026-02'],
    ['2026-12-31T16:00:00.000Z', '2027-01'],
    ['2028-02-29T15:59:59.999Z', '2028-02'],
  ])('at %s is in the month %s', (at, month) => {
    expect(shanghaiMonth(new Date(at))).toBe(month);
    expect(startOfMonth(month).getTime()).toBeLessThanOrEqual(new Date(at).getTime());
  });

  it('begins a month at its midnight', () => {
    expect(startOfMonth('2026-02').toISOString()).toBe('2026-01-31T16:00:00.000Z');
  });

  it.each([
    ['2026-01-01T00:00:00Z', '2026-01-01T16:00:00.000Z'],
    ['2026-01-01T15:59:59.999Z', '2026-01-01T16:00:00.000Z'],
    ['2026-01-01T16:00:00Z', '2026-01-02T16:00:00.000Z'],
  ])('has its next midnight after %s at %s', (at, midnight) => {
    expect(nextMidnight(new Date(at)).toISOString()).toBe(midnight);
  });
});
