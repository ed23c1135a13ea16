import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { judge, SPOTLESS } from './checker.js';
import { isLong, report, seedOfRun } from './history.js';
import { PushLoad } from './push-load.js';
import { seededRandom } from './random.js';
import { Process, Stage } from './stage.js';

const KILLS = isLong ? 10 : 1;
/** Every point at which a process may die, and a passing of it under load. */
const POINTS = ['push.kept', 'push.effect_done', 'authorization.recorded'];

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.set();
}, 60_000);
afterAll(() => stage.clear());

describe('kill -9 under load', () => {
  it('loses no push that was answered, and handles each once in effect', async () => {
    const random = seededRandom(seedOfRun);
    let service = await stage.start();
    const load = new PushLoad({
      url: () => service.url,
      next: () => stage.nextPush(5),
      perSecond: 100,
      retryMs: 1_000,
    });
    load.start();
    const killedAt: string[] = [];
    const crashes = [
      ...Array<null>(KILLS).fill(null),
      ...(isLong ? POINTS : [random.pick(POINTS)]),
    ];
    for (const point of crashes) {
      if (point === null) {
        await new Promise((go) => setTimeout(go, random.int(500, 2_000)));
        await service.kill();
      } else {
        await service.program.stop();
        const env = stage.processEnv(`${point}:${random.int(2, 20)}`);
        service = Process.launch(env, service.port);
        await service.program.exited;
        if (service.program.child.signalCode !== 'SIGKILL')
          throw new Error(`It did not die at ${point}: ${service.program.output}`);
      }
      killedAt.push(point ?? 'at random');
      service = await stage.start({ port: service.port });
    }
    await new Promise((go) => setTimeout(go, 500));
    const history = await load.stop();
    await stage.settled();
    const verdict = await judge(stage.view, history);
    report(`kill -9 under load (${stage.databaseUrl.split(':')[0]})`, random.seed, {
      kills: killedAt.length,
      pushes: history.length,
      acknowledged: verdict.acknowledged,
      lost: verdict.lost.length,
      doubled: verdict.doubled.length,
      'wrong effects': verdict.wrongEffects.length,
    });
    expect(verdict).toMatchObject(SPOTLESS);
    expect(verdict.acknowledged).toBeGreaterThan(50);
    // Every refresh token that is kept is the one that WeChat holds.
    const synced = await service.api<{ updated: string[]; failed: string[] }>(
      'POST',
      '/accounts/sync',
    );
    expect(synced.body.failed).toEqual([]);
    await service.program.stop();
  }, 300_000);
});
