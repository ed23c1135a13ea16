import { connect, type Socket } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { until } from '../until.js';
import { judge, SPOTLESS } from './checker.js';
import { percentile, report, seedOfRun } from './history.js';
import { PushLoad } from './push-load.js';
import { seededRandom } from './random.js';
import { type Process, Stage } from './stage.js';

const SOCKETS = 2_000;

let stage: Stage;
let service: Process;
beforeAll(async () => {
  stage = await Stage.set();
  service = await stage.start();
}, 60_000);
afterAll(async () => {
  await service.program.stop();
  await stage.clear();
});

/** Sockets that begin a request and never end it: in its headers, or in its body. */
async function halfOpen(count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, (_unused, n) => {
    const socket = connect(service.port, '127.0.0.1').on('error', () => undefined);
    // Read, or its end is not seen.
    socket.resume();
    const path = '/wechat/component/events';
    socket.write(
      n % 2 === 0
        ? `POST ${path} HTTP/1.1\r\nHost: x\r\nX-Slow:`
        : `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: 1000\r\n\r\n<xml>`,
    );
    return socket;
  });
  await until(() => sockets.every(({ connecting }) => !connecting));
  return sockets;
}

describe('two thousand half-open requests', () => {
  it('do not keep honest pushes from being answered, and are ended by their time limits', async () => {
    const { seed } = seededRandom(seedOfRun);
    const sockets = await halfOpen(SOCKETS);
    const openedAt = Date.now();
    const load = new PushLoad({
      url: () => service.url,
      next: () => stage.nextPush(50),
      perSecond: 100,
      retryMs: 500,
    });
    load.start();
    await until(() => sockets.every(({ closed }) => closed), 30_000);
    const endedAfter = Date.now() - openedAt;
    const history = await load.stop();
    await stage.settled();
    const answers = history.flatMap(({ attempts }) => attempts.map(({ ms }) => ms));
    const p99 = percentile(answers, 99);
    report('2,000 half-open requests', seed, {
      pushes: history.length,
      'p50 ms': Math.round(percentile(answers, 50)),
      'p99 ms': Math.round(p99),
      'all ended after ms': endedAfter,
    });
    expect(history.every(({ attempts }) => attempts.length === 1)).toBe(true);
    expect(p99).toBeLessThan(1_000);
    // Ten seconds for a whole request, looked at every second.
    expect(endedAfter).toBeLessThan(15_000);
    expect(await judge(stage.view, history)).toMatchObject(SPOTLESS);
  }, 90_000);
});
