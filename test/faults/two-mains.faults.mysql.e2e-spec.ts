import { RELEASE_TEST_ACCOUNTS, buildXml } from '@app/wechat';
import { makePush } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { COMPONENT } from '../app.js';
import { Balancer } from './balancer.js';
import { judge, SPOTLESS } from './checker.js';
import { isLong, report, seedOfRun } from './history.js';
import { PushLoad } from './push-load.js';
import { seededRandom } from './random.js';
import { type Process, Stage } from './stage.js';

const RESTARTS = isLong ? 10 : 2;

let stage: Stage;
let mains: Process[];

beforeAll(async () => {
  stage = await Stage.set();
  mains = await Promise.all([stage.start(), stage.start()]);
}, 60_000);
afterAll(async () => {
  await Promise.all(mains.map(({ program }) => program.stop()));
  await stage.clear();
});

describe('two processes on one database', () => {
  it('give the same push three times at once one row, one effect and one answer', async () => {
    const [appid = '', account] = [...RELEASE_TEST_ACCOUNTS][0] ?? [];
    for (let n = 0; n < 20; n++) {
      const seconds = Math.floor(Date.now() / 1000);
      const xml = buildXml({
        ToUserName: account?.originalId ?? '',
        FromUserName: `oThrice${n}`,
        CreateTime: seconds,
        MsgType: 'text',
        Content: 'TESTCOMPONENT_MSG_TYPE_TEXT',
        MsgId: `70000000000000000${10 + n}`,
      });
      const answers = await Promise.all(
        [0, 1, 0].map(async (which) => {
          // Signed anew each time, as WeChat's retries are.
          const { query, body } = makePush(xml, COMPONENT, seconds);
          const url = `${mains[which]?.url}/wechat/accounts/${appid}/messages`;
          const response = await request(url, { method: 'POST', query, body });
          return { status: response.statusCode, body: await response.body.text() };
        }),
      );
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(answers[0]?.body).toContain('<Encrypt>');
      expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
    }
    const rows = await stage.view.query<{ n: string }[]>(
      'SELECT dedup_key, COUNT(*) AS n FROM push WHERE account = ? GROUP BY dedup_key HAVING COUNT(*) = 1',
      [appid],
    );
    expect(rows).toHaveLength(20);
    // An authorization has an effect that can be counted, and so has a receipt.
    const push = stage.nextPush(1);
    const receipts = Array.from({ length: 20 }, () => stage.nextReceipt());
    for (const { make, path } of [push, ...receipts])
      await Promise.all(
        [0, 1, 0].map(async (which) => {
          const { query, body } = make(Math.floor(Date.now() / 1000));
          const url = `${mains[which]?.url}${path}`;
          const response = await request(url, { method: 'POST', query, body });
          expect(response.statusCode).toBe(200);
          await response.body.dump();
        }),
      );
    await stage.settled();
    const attempts = [{ status: 200, body: 'success', ms: 0 }];
    const history = [push, ...receipts].map((one) => ({ ...one, attempts }));
    expect(await judge(stage.view, history)).toMatchObject(SPOTLESS);
    const events = await stage.view.query<unknown[]>(
      "SELECT id FROM event WHERE type = 'account.authorized' AND appid = ?",
      [push.authorizes],
    );
    expect(events).toHaveLength(1);
  }, 60_000);

  it('are restarted one after the other under load without a failed push', async () => {
    const random = seededRandom(seedOfRun);
    const balancer = new Balancer(mains);
    const load = new PushLoad({
      url: () => random.pick(balancer.ready).url,
      next: () => stage.nextPush(20),
      perSecond: 100,
      retryMs: 500,
    });
    load.start();
    for (let n = 0; n < RESTARTS; n++) {
      const which = n % 2;
      const old = mains[which];
      if (!old) throw new RangeError('There are two.');
      expect(await old.program.stop()).toBe(0);
      const next = await stage.start({ port: old.port });
      mains[which] = next;
      balancer.add(next);
    }
    const history = await load.stop();
    await balancer.stop();
    await stage.settled();
    const verdict = await judge(stage.view, history);
    const failed = history.filter(({ attempts }) => attempts.some(({ status }) => status !== 200));
    report('rolling restarts under load', random.seed, {
      restarts: RESTARTS,
      pushes: history.length,
      'failed tries': failed.length,
      lost: verdict.lost.length,
    });
    expect(failed.map(({ attempts }) => attempts)).toEqual([]);
    expect(verdict).toMatchObject(SPOTLESS);
  }, 180_000);
});
