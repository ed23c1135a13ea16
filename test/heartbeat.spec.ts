import { describe, expect, it } from '@jest/globals';

import { readEnv } from '../config/env.js';
import { Logger } from '../src/common/logger.js';
import { Heartbeat } from '../src/queue/heartbeat.js';
import { serviceEnv } from './processes.js';
import { until } from './until.js';

const env = readEnv(serviceEnv('sqlite:unused.sqlite', { LEASE_SECONDS: '1' }));

function newHeartbeat(): { heartbeat: Heartbeat; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { heartbeat: new Heartbeat(env, new Logger(env, { write })), lines };
}

/** A renewal that ends when it is told to. */
function slowly(): { renew: () => Promise<void>; ends: ((error?: Error) => void)[] } {
  const ends: ((error?: Error) => void)[] = [];
  const renew = (): Promise<void> =>
    new Promise((resolve, reject) => {
      ends.push((error) => (error ? reject(error) : resolve()));
    });
  return { renew, ends };
}

describe('Heartbeat', () => {
  it('has one renewal of a holder under way at a time, and makes up at once for the beats it missed', async () => {
    const { heartbeat } = newHeartbeat();
    const { renew, ends } = slowly();
    const stop = heartbeat.hold(renew);
    let beats = 0;
    const stopCounting = heartbeat.hold(() => {
      beats += 1;
      return Promise.resolve();
    });
    await until(() => beats === 3);
    expect(ends).toHaveLength(1);
    const before = beats;
    ends[0]?.();
    await until(() => ends.length > 1);
    expect([ends.length, beats]).toEqual([2, before]);
    stop();
    ends[1]?.();
    await until(() => beats > before);
    expect(ends).toHaveLength(2);
    stopCounting();
  });

  it('goes on after a renewal that failed, and says so', async () => {
    const { heartbeat, lines } = newHeartbeat();
    const { renew, ends } = slowly();
    const stop = heartbeat.hold(renew);
    await until(() => ends.length === 1);
    ends[0]?.(new Error('away'));
    await until(() => ends.length === 2);
    ends[1]?.();
    stop();
    expect(lines.filter((line) => line.includes('lease.not_renewed'))).toHaveLength(1);
  });
});
