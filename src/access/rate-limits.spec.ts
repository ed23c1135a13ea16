import { describe, expect, it } from '@jest/globals';

import { LIMITS, networkOf, RateLimits } from './rate-limits.js';

describe('RateLimits', () => {
  it('lets a key send 200 requests at once, and no more', async () => {
    const limits = new RateLimits();
    const outcomes: (number | null)[] = [];
    for (let n = 0; n < 201; n += 1) outcomes.push(await limits.countRequest('a'));
    expect(outcomes.indexOf(1)).toBe(LIMITS.requests.points + LIMITS.burst.points);
    expect(await limits.countRequest('b')).toBeNull();
  });

  it('counts what was forgiven as nothing', async () => {
    const limits = new RateLimits();
    for (let n = 0; n < 100; n += 1) {
      expect(await limits.countAsWrong('192.0.2.1')).toBeNull();
      await limits.forgive('192.0.2.1');
    }
    const { points, duration } = LIMITS.wrongKeys;
    for (let n = 0; n < points; n += 1) await limits.countAsWrong('192.0.2.1');
    expect(await limits.countAsWrong('192.0.2.1')).toBe(duration);
    expect(await limits.countAsWrong('192.0.2.2')).toBeNull();
  });
});

describe('networkOf', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:0:7:1:2:3:4', '2001:db8:0:7::/64'],
    ['2001:0DB8:0:7::9', '2001:db8:0:7::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::4:5:6:7:8', '1:0:0:4::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['not an address', 'not an address'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
