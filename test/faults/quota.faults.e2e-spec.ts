import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { SERVICE_ACCOUNT } from '../helpers.js';
import { Stage } from './stage.js';

const PATH = `/accounts/${SERVICE_ACCOUNT}/quota-resets`;

interface List {
  used: number;
  resets: { outcome: string }[];
}

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
}, 60_000);
afterAll(() => stage.clear());

describe('a process that dies while it resets a quota', () => {
  it.each([
    ['before WeChat is asked', 'quota.reserved', 0],
    ['when WeChat has done it', 'quota.answered', 1],
  ])(
    '%s has used one of the month’s ten',
    async (_case, crashAt, done) => {
      const { resets } = stage.sandbox.account(SERVICE_ACCOUNT);
      const before = { done: sum(resets), list: await readList() };
      const doomed = await stage.start({ env: { CRASH_AT: crashAt } });
      await expect(doomed.api('POST', PATH)).rejects.toThrow('fetch failed');
      await doomed.program.exited;

      expect(sum(resets) - before.done).toBe(done);
      const after = await readList();
      expect(after.used - before.list.used).toBe(1);
      expect(after.resets[0]).toMatchObject({ outcome: 'unknown' });
    },
    60_000,
  );

  it('leaves nine for the others, and not one more', async () => {
    const process = await stage.start();
    const { used } = (await process.api<List>('GET', PATH)).body;
    expect(used).toBe(2);
    const statuses = [];
    for (let n = 0; n < 12; n++) statuses.push((await process.api('POST', PATH)).status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(10 - used);
    expect(statuses.filter((status) => status === 409)).toHaveLength(2 + used);
    await process.program.stop();
  }, 60_000);
});

async function readList(): Promise<List> {
  const process = await stage.start();
  const { body } = await process.api<List>('GET', PATH);
  await process.program.stop();
  return body;
}

function sum(resets: Record<string, number>): number {
  return Object.values(resets).reduce((total, count) => total + count, 0);
}
