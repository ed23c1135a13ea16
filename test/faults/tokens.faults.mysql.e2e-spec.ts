import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { SERVICE_ACCOUNT } from '../helpers.js';
import { until } from '../until.js';
import { isLong, report, seedOfRun } from './history.js';
import { seededRandom } from './random.js';
import { LEASE_SECONDS, Stage } from './stage.js';

const REFRESH = '/cgi-bin/component/api_authorizer_token';
const CRASHES = isLong ? 20 : 1;
const CROWD = 1_000;
const MANY = isLong ? 2_000 : 400;
const AT_ONCE = 500;
/** As one that was got two hours ago and ends at the moment that is given. */
const MAKE_OLD = 'UPDATE token SET updated_at = updated_at - INTERVAL 2 HOUR, expires_at = ?';

interface Got {
  ms: number;
  failures: string[];
  values: string[];
}

/** A process that holds tokens and does what it is told. */
class TokenProcess {
  #serial = 0;
  readonly #waiting = new Map<number, (answer: Got) => void>();
  readonly exited: Promise<unknown>;

  private constructor(readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => child.once('exit', resolve));
    child.on('message', (message: Got & { id: number }) =>
      this.#waiting.get(message.id)?.(message),
    );
  }

  static async start(stage: Stage, crashAt = ''): Promise<TokenProcess> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'token-child.mjs')], {
      env: { PATH: '/usr/bin:/bin', ...stage.processEnv(crashAt) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const self = new TokenProcess(child);
    await new Promise((resolve) => child.once('message', resolve));
    return self;
  }

  tell(command: string, input: object = {}): Promise<Got> {
    const id = (this.#serial += 1);
    const answer = new Promise<Got>((resolve) => this.#waiting.set(id, resolve));
    this.child.send({ id, command, ...input });
    return answer;
  }

  get(appid: string, callers = 1): Promise<Got> {
    return this.tell('get', { appids: [appid], callers });
  }

  async stop(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

let stage: Stage;
const processes: TokenProcess[] = [];

async function start(crashAt = ''): Promise<TokenProcess> {
  const one = await TokenProcess.start(stage, crashAt);
  processes.push(one);
  return one;
}

beforeAll(async () => {
  stage = await Stage.set();
  stage.sandbox.data.rotatesAtRefresh = true;
}, 60_000);
afterEach(async () => {
  stage.sandbox.faults.clear();
  await Promise.all(processes.splice(0).map((one) => one.stop()));
});
afterAll(() => stage.clear());

const calls = (): number => stage.sandbox.callsTo(REFRESH);
const isUsable = (token: string | undefined): boolean =>
  stage.sandbox.data.accessTokens[token ?? '']?.isRetired === false;
const expire = (): Promise<unknown> =>
  stage.view.query(
    "UPDATE token SET access_token = NULL, expires_at = NULL, next_try_at = NULL WHERE kind = 'authorizer'",
  );

/** What is kept is what WeChat holds, and nobody was sent to scan again. */
async function expectConsistent(): Promise<void> {
  const [account] = await stage.view.query<{ authorization_state: string }[]>(
    'SELECT authorization_state FROM account WHERE appid = ?',
    [SERVICE_ACCOUNT],
  );
  expect(account?.authorization_state).toBe('authorized');
  await expire();
  const before = calls();
  const other = await start();
  const { values, failures } = await other.get(SERVICE_ACCOUNT);
  expect(failures).toEqual([]);
  expect(isUsable(values[0])).toBe(true);
  // One call: the refresh token that is kept is the one that WeChat takes.
  expect(calls()).toBe(before + 1);
}

/** Accounts that have authorized us, with tokens that have run out. */
async function seed(count: number, prefix: string): Promise<string[]> {
  const accounts = Array.from({ length: count }, (_none, n) => ({
    appid: `wx${prefix}${n.toString(16).padStart(14, '0')}`,
    refreshToken: `refreshtoken@@@${prefix}${n}`,
  }));
  for (const { appid, refreshToken } of accounts) {
    stage.sandbox.addAccount({
      appid,
      authorization: { permissionIds: [1], refreshToken, isExchanged: true, authorizedAt: 0 },
    });
  }
  const seeder = await start();
  await seeder.tell('seed', { accounts });
  return accounts.map(({ appid }) => appid);
}

describe('tokens in four processes', () => {
  it('a thousand callers in each, one cold token: one refresh', async () => {
    await expire();
    const crowd = await Promise.all([start(), start(), start(), start()]);
    stage.sandbox.faults.add({ path: REFRESH, kind: 'delay', delayMs: 200, times: Infinity });
    const before = calls();
    const got = await Promise.all(crowd.map((one) => one.get(SERVICE_ACCOUNT, CROWD)));
    report('4 × 1,000 callers, one cold token', seededRandom(seedOfRun).seed, {
      refreshes: calls() - before,
      'slowest process ms': Math.round(Math.max(...got.map(({ ms }) => ms))),
    });
    expect(got.flatMap(({ failures }) => failures)).toEqual([]);
    expect(new Set(got.flatMap(({ values }) => values)).size).toBe(1);
    expect(calls()).toBe(before + 1);
  }, 60_000);

  it('many accounts expired at once: one refresh for each', async () => {
    const appids = await seed(CROWD, 'aa');
    const crowd = await Promise.all([start(), start(), start(), start()]);
    const before = calls();
    const got = await Promise.all(crowd.map((one) => one.tell('get', { appids, callers: 1 })));
    report('1,000 accounts expired at once, 4 processes', seededRandom(seedOfRun).seed, {
      refreshes: calls() - before,
      'slowest process ms': Math.round(Math.max(...got.map(({ ms }) => ms))),
    });
    expect(got.flatMap(({ failures }) => failures)).toEqual([]);
    expect(calls()).toBe(before + CROWD);
  }, 120_000);
});

describe('a process that dies while it refreshes', () => {
  it.each(['token.leased', 'token.answered', 'token.kept'])(
    'at %s leaves a token that is there again within its lease and a second',
    async (point) => {
      const slowest: number[] = [];
      for (let n = 0; n < CRASHES; n++) {
        await expire();
        const dying = await start(`${point}:1`);
        void dying.get(SERVICE_ACCOUNT);
        await dying.exited;
        expect(dying.child.signalCode).toBe('SIGKILL');
        const other = await start();
        const { ms, failures, values } = await other.get(SERVICE_ACCOUNT);
        expect(failures).toEqual([]);
        expect(isUsable(values[0])).toBe(true);
        slowest.push(ms);
        await expectConsistent();
        await Promise.all(processes.splice(0).map((one) => one.stop()));
      }
      report(`kill -9 at ${point}`, seededRandom(seedOfRun).seed, {
        times: CRASHES,
        'slowest recovery ms': Math.round(Math.max(...slowest)),
      });
      expect(Math.max(...slowest)).toBeLessThan(LEASE_SECONDS * 1000 + 1_000);
    },
    300_000,
  );

  it('is stopped beyond its lease: what it writes afterwards changes nothing', async () => {
    await expire();
    const stopped = await start();
    const before = calls();
    stage.sandbox.faults.add({ path: REFRESH, kind: 'delay', delayMs: 300 });
    const late = stopped.get(SERVICE_ACCOUNT);
    await until(() => calls() > before);
    stopped.child.kill('SIGSTOP');
    const other = await start();
    const { failures, values } = await other.get(SERVICE_ACCOUNT);
    expect(failures).toEqual([]);
    const [kept] = await stage.view.query<object[]>('SELECT * FROM token WHERE appid = ?', [
      SERVICE_ACCOUNT,
    ]);
    stopped.child.kill('SIGCONT');
    // It asks again and is given what the other one has got.
    expect((await late).values).toEqual(values);
    const [now] = await stage.view.query<object[]>('SELECT * FROM token WHERE appid = ?', [
      SERVICE_ACCOUNT,
    ]);
    expect(now).toEqual(kept);
    await expectConsistent();
  }, 60_000);
});

describe('while WeChat hangs', () => {
  it('no connection is held for it, and whoever has a live token gets it at once', async () => {
    const one = await start();
    await expire();
    await one.get(SERVICE_ACCOUNT);
    // Within the margin in which a token is renewed while it is handed out.
    const soon = new Date(Date.now() + 300_000).toISOString().slice(0, 23).replace('T', ' ');
    await stage.view.query(`${MAKE_OLD} WHERE appid = ?`, [soon, SERVICE_ACCOUNT]);
    stage.sandbox.faults.add({ path: REFRESH, kind: 'hang' });
    const other = await start();
    const before = calls();
    const { ms, failures, values } = await other.get(SERVICE_ACCOUNT, 100);
    await until(() => calls() > before);
    expect(failures).toEqual([]);
    expect(isUsable(values[0])).toBe(true);
    // WeChat is waited for ten seconds: what takes less has not waited, however busy the machine.
    expect(ms).toBeLessThan(3_000);
    const transactions = (): Promise<unknown[]> =>
      stage.view.query<unknown[]>(
        'SELECT trx_id FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id WHERE p.DB = DATABASE()',
      );
    // Others may be seen, the schedule's for one, but none that lasts.
    await until(async () => (await transactions()).length === 0, 3_000);
    expect((await other.get(SERVICE_ACCOUNT, 100)).ms).toBeLessThan(1_000);
  }, 60_000);
});

describe('many tokens that end in the same minute', () => {
  it('are refreshed ahead in time, never faster than the pace', async () => {
    const appids = await seed(MANY, 'bb');
    const soon = new Date(Date.now() + 200_000).toISOString().slice(0, 23).replace('T', ' ');
    const one = await start();
    // No more at once than may wait for a connection.
    for (let from = 0; from < MANY; from += AT_ONCE) {
      const { failures } = await one.tell('get', {
        appids: appids.slice(from, from + AT_ONCE),
        callers: 1,
      });
      expect(failures).toEqual([]);
    }
    await stage.view.query(`${MAKE_OLD} WHERE appid LIKE 'wxbb%'`, [soon]);
    // By time: the journal lets go of its oldest entries.
    const startedAt = stage.sandbox.now();
    const perSecond = 200;
    await one.tell('refreshAhead', { perSecond, concurrency: 16 });
    const times = stage.sandbox.journal
      .filter(({ at }) => at >= startedAt)
      .filter(
        ({ path, body }) =>
          path === REFRESH && appids.includes(String(Object(body).authorizer_appid)),
      )
      .map(({ at }) => at);
    const busiest = Math.max(
      ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length),
    );
    report(`${MANY} tokens that end together`, seededRandom(seedOfRun).seed, {
      refreshes: times.length,
      'most in a second': busiest,
      pace: perSecond,
    });
    expect(times).toHaveLength(MANY);
    // What was let through at its time may arrive bunched by a few.
    expect(busiest).toBeLessThan(perSecond * 1.15);
    const late = await stage.view.query<unknown[]>(
      "SELECT appid FROM token WHERE appid LIKE 'wxbb%' AND expires_at <= ?",
      [soon],
    );
    expect(late).toEqual([]);
  }, 120_000);
});
