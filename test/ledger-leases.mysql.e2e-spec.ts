import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { Database } from '../src/database/database.js';
import { PushAccounts } from '../src/pushes/push-accounts.js';
import type { PushHandler } from '../src/pushes/push-handlers.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { startApp, type TestApp } from './app.js';
import { until } from './until.js';

let app: TestApp;
let db: Database;
/** What is done with the pushes of accounts that only the ledger knows. */
const handlers = new Map<string, PushHandler>();

beforeAll(async () => {
  app = await startApp({ env: { LEASE_SECONDS: '1' } });
  db = app.app.get(Database);
  app.app.get(PushAccounts).register((appid) => {
    const handler = handlers.get(appid);
    return Promise.resolve(handler ? { originalId: '', nickname: '', handler } : null);
  });
});
afterAll(() => app.stop());

async function push(appid: string, handler: PushHandler): Promise<void> {
  app.sandbox.addAccount({ appid });
  handlers.set(appid, handler);
  await app.sandbox.pushMessage(appid, { MsgType: 'text', Content: 'hello' });
}

const rowOf = (account: string): Promise<PushRow> => db.read.findOneByOrFail(PushRow, { account });

// SQLite has one writer: there the open transaction keeps everybody waiting.
describe('a push that is handled beside an open transaction', () => {
  it('keeps its lease, though the transaction holds the row of another push', async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const [ending, beside] = ['wx1ed9e40000000001', 'wx1ed9e40000000002'];
    let isOpen = false;
    await push(ending, (_push, context) =>
      db.write(async (tx) => {
        await context.finish(tx);
        isOpen = true;
        await opened;
      }),
    );
    await push(beside, () => opened);
    await until(() => isOpen);
    const leaseOf = async (): Promise<number> => (await rowOf(beside)).leaseUntil?.getTime() ?? 0;
    const first = await leaseOf();
    await until(async () => (await leaseOf()) > first + 1_000, 5_000).finally(open);
    await app.settled();
    for (const account of [beside, ending])
      expect(await rowOf(account)).toMatchObject({ state: 'handled', attempts: 1 });
  });
});
