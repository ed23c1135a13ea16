import { RELEASE_TEST_ACCOUNTS } from '@app/wechat';
import { runReleaseTest } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { In } from 'typeorm';

import { Account } from '../src/accounts/account.entity.js';
import { Authorization } from '../src/component-authorization/authorization.entity.js';
import { Database } from '../src/database/database.js';
import { EventRow } from '../src/events/event.entity.js';
import { PushRow } from '../src/pushes/push.entity.js';
import { TokenRow } from '../src/tokens/token.entity.js';
import { startApp, type TestApp } from './app.js';
import { begin, getAccount, SERVICE_ACCOUNT } from './helpers.js';

const APPIDS = [...RELEASE_TEST_ACCOUNTS.keys()];
const CASES = ['ticket', 'text', 'api_text', 'event'];

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
  // An account of ours, that the test must leave alone.
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode }).pushed;
  await app.settled();
});
afterAll(() => app.stop());

/** Everything that we hold of WeChat's own accounts beside their pushes. */
async function heldOfThem(): Promise<object> {
  const { read } = app.app.get(Database);
  const appid = In(APPIDS);
  return {
    accounts: await read.countBy(Account, { appid }),
    authorizations: await read.countBy(Authorization, { appid }),
    tokens: await read.countBy(TokenRow, { appid }),
    events: await read.countBy(EventRow, { appid }),
  };
}

const NOTHING = { accounts: 0, authorizations: 0, tokens: 0, events: 0 };

describe("WeChat's release test", () => {
  it('is passed in all of its cases by each of its accounts', async () => {
    const results = await runReleaseTest(app.sandbox, () => undefined);
    await app.settled();
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
    expect(results.map((result) => `${result.appid} ${result.case}`)).toEqual(
      APPIDS.flatMap((appid) => CASES.map((name) => `${appid} ${name}`)),
    );
    expect(results).toHaveLength(40);
  });

  it('is passed again at the next release', async () => {
    app.clock.advance(86_400_000);
    const results = await runReleaseTest(app.sandbox, () => undefined);
    await app.settled();
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
    expect(results).toHaveLength(40);
  });

  it('leaves no account, no authorization, no token and no event behind', async () => {
    expect(await heldOfThem()).toEqual(NOTHING);
    const { body } = await app.api<{ items: { appid: string }[] }>('GET', '/accounts');
    expect(body.items.map(({ appid }) => appid)).toEqual([SERVICE_ACCOUNT]);
    for (const appid of APPIDS) expect(await getAccount(app, appid)).toBeNull();
    const feed = await app.api<{ items: { appid: string | null }[] }>('GET', '/events?limit=200');
    expect(feed.body.items.filter(({ appid }) => appid && APPIDS.includes(appid))).toEqual([]);
  });

  it('has all of its pushes handled', async () => {
    const rows = await app.app.get(Database).read.findBy(PushRow, { account: In(APPIDS) });
    // Two runs of a text, a code and an event.
    expect(rows).toHaveLength(APPIDS.length * 2 * 3);
    expect(rows.filter(({ state }) => state !== 'handled')).toEqual([]);
  });

  it('has its accounts stay out when an owner reconciles with WeChat’s list', async () => {
    expect(app.sandbox.account(APPIDS[0] ?? '').authorization).not.toBeNull();
    const { status, body } = await app.api('POST', '/accounts/sync');
    expect(status).toBe(200);
    expect(body).toMatchObject({ added: [], unauthorized: [], failed: [] });
    expect(await heldOfThem()).toEqual(NOTHING);
    expect(await getAccount(app, SERVICE_ACCOUNT)).toMatchObject({
      authorization: { state: 'authorized' },
    });
  });

  it('ends without a trace when an account of it cancels', async () => {
    const [appid = ''] = APPIDS;
    await app.sandbox.cancel(appid).pushed;
    await app.settled();
    expect(await heldOfThem()).toEqual(NOTHING);
  });
});
