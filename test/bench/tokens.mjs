// npm run bench:tokens. What a token costs: in memory, in the database, and when a crowd finds it cold. Compared with
// nothing but a driver, and with what custody replaces: figures of one machine say nothing about another.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { atLeast, exitCodeOf, goalTable, grouped, machine, table } from './report.mjs';
import { answerOf, COMPONENT, fromBuild, isPinned } from './shared.mjs';
import { OPTIONS, run, serviceEnv, turned } from './stage.mjs';
import { COLD_APPIDS, READ_APPIDS } from './tokens-shared.mjs';

const REPORT = join(import.meta.dirname, 'tokens-report.md');
const REFRESH = '/cgi-bin/component/api_authorizer_token';
const CPUS = availableParallelism();
const STDERR = 2;
const HITS = 1_000_000;
const WARM_UP_SECONDS = 1;
const SLICE_SECONDS = 0.3;
const PROCESSES = [1, 2, 4];
const CALLERS = 1_000;
const UPSTREAM_MS = 200;

const GATES = {
  hitMicroseconds: { must: 5, aim: 1 },
  missToBare: { must: 0.3 },
  missP99Ms: { must: 25, aim: 10 },
  overUpstreamMs: { must: 500, aim: 150 },
  wallToNaive: { must: 1 },
};
const ENGINES = { mariadb: 'MariaDB', sqlite: 'SQLite' };
const READERS = { service: 'the service', bare: 'bare driver' };
const DESIGNS = { ours: 'the service', naive: 'naive: read, refresh, write' };

const { values: options } = parseArgs({
  options: {
    slices: { type: 'string', default: '20' },
    ...OPTIONS,
  },
});
const rounds = Number(options.rounds);
const slices = Number(options.slices);
if (!(rounds >= 1) || !(slices >= 1)) {
  console.error(
    'Usage: npm run bench:tokens -- [--rounds 5] [--slices 20] [--no-gate] [--mariadb URL] [--build FOLDER]',
  );
  process.exit(2);
}

/** A process that takes commands, ready. @param n processes take turns on the processors */
async function start(stage, n, file, args, env = {}) {
  const child = stage.start(n % CPUS, [join(import.meta.dirname, file), stage.build, ...args], {
    env,
    output: STDERR,
  });
  await answerOf(child);
  return child;
}

function ask(child, command, input = {}) {
  child.send({ command, ...input });
  return answerOf(child);
}

async function startWechat({ build }) {
  const { WechatSandbox } = await fromBuild(build, 'libs/wechat-sandbox/src/index.js');
  const sandbox = await WechatSandbox.start({
    component: COMPONENT,
    launchDomain: 'channel.test',
  });
  // The strictest that WeChat could be: a refresh token works once.
  sandbox.data.rotatesAtRefresh = true;
  const componentToken = secret('70_');
  sandbox.data.accessTokens[componentToken] = {
    kind: 'component',
    appid: COMPONENT.appid,
    expiresAt: sandbox.now() + 7_200_000,
    isRetired: false,
  };
  for (const appid of Object.values(COLD_APPIDS))
    sandbox.addAccount({
      appid,
      authorization: {
        permissionIds: [1],
        refreshToken: secret('refreshtoken@@@'),
        isExchanged: true,
        authorizedAt: 0,
      },
    });
  return { sandbox, componentToken };
}

/** As long as WeChat's. */
function secret(prefix) {
  return prefix + randomBytes(120).toString('base64url');
}

function startService(stage, n, url, wechat) {
  const env = { WECHAT_API_BASE_URL: wechat.sandbox.url, LOG_LEVEL: 'error' };
  return start(stage, n, 'tokens-child.mjs', [], serviceEnv(url, env));
}

/** Live tokens to read, the component's own, and accounts whose token has yet to be got. */
async function seed(service, { sandbox, componentToken }) {
  const live = (appid, kind, accessToken) => ({ appid, kind, accessToken, expiresInSeconds: 7200 });
  const accounts = [
    live(COMPONENT.appid, 'component', componentToken),
    ...READ_APPIDS.map((appid) => live(appid, 'authorizer', secret('71_'))),
    ...Object.values(COLD_APPIDS).map((appid) => ({
      appid,
      kind: 'authorizer',
      refreshToken: sandbox.account(appid).authorization.refreshToken,
    })),
  ];
  await ask(service, 'seed', { accounts });
}

/** The service and the driver on one database; both read the same rows. */
async function startReaders(stage, engine, wechat) {
  const { url } = await stage.createDatabase(engine);
  const service = await startService(stage, 0, url, wechat);
  await seed(service, wechat);
  const bare = await start(stage, 0, 'tokens-bare.mjs', [url]);
  return [
    { engine, url, name: 'service', child: service, slices: [] },
    { engine, url, name: 'bare', child: bare, slices: [] },
  ];
}

async function measureHits({ child }) {
  const nanoseconds = [];
  for (let round = 0; round < rounds; round += 1)
    nanoseconds.push((await ask(child, 'hit', { appid: READ_APPIDS[0], calls: HITS })).nanoseconds);
  return Math.min(...nanoseconds);
}

/** Interleaved, each time in another order, so that nobody always has the quiet moments. */
async function measureMisses(readers) {
  for (const { child } of readers) await ask(child, 'miss', { seconds: WARM_UP_SECONDS });
  for (let n = 0; n < slices; n += 1)
    for (const reader of turned(readers, n))
      reader.slices.push(await ask(reader.child, 'miss', { seconds: SLICE_SECONDS }));
  for (const { engine, name, slices: all } of readers)
    console.error(
      `misses, ${engine} ${name}: ${all.map(({ perSecond }) => Math.round(perSecond)).join(' ')}`,
    );
}

async function measureStampedes(stage, url, wechat) {
  const services = await Promise.all(
    Array.from({ length: Math.max(...PROCESSES) }, (_, n) => startService(stage, n, url, wechat)),
  );
  const crowds = Object.keys(DESIGNS).flatMap((design) =>
    PROCESSES.map((processes) => ({ design, processes, rounds: [] })),
  );
  wechat.sandbox.faults.add({
    path: REFRESH,
    kind: 'delay',
    delayMs: UPSTREAM_MS,
    times: Infinity,
  });
  const run = async ({ design, processes }) => {
    if (design === 'ours')
      return stampede(stage, 'ours', services.slice(0, processes), url, wechat);
    // Not kept: the database has only so many connections for everybody.
    const naive = await Promise.all(
      Array.from({ length: processes }, (_, n) =>
        start(stage, n, 'tokens-naive.mjs', [url, wechat.sandbox.url]),
      ),
    );
    const result = await stampede(stage, 'naive', naive, url, wechat);
    await Promise.all(naive.map((child) => stage.stop(child)));
    return result;
  };
  await stampede(stage, 'ours', services, url, wechat);
  for (let round = 0; round < rounds; round += 1) {
    for (const crowd of turned(crowds, round)) crowd.rounds.push(await run(crowd));
    const figures = crowds.map(
      (crowd) => `${crowd.design} ${crowd.processes}: ${Math.round(crowd.rounds.at(-1).wall)}`,
    );
    console.error(`stampedes, round ${round + 1}, ms: ${figures.join(', ')}`);
  }
  return crowds;
}

/** Everybody in every process wants the same token, which nobody has. Who is left with a dead one has failed too. */
async function stampede({ mysql }, design, crowd, url, { sandbox, componentToken }) {
  const appid = COLD_APPIDS[design];
  await mysql.connection.query(
    `UPDATE ${new URL(url).pathname.slice(1)}.token SET access_token = NULL, expires_at = NULL WHERE appid = ?`,
    [appid],
  );
  sandbox.journal.length = 0;
  const startedAt = performance.now();
  const answers = await Promise.all(
    crowd.map((child) => ask(child, 'crowd', { appid, callers: CALLERS, componentToken })),
  );
  const wall = performance.now() - startedAt;
  const calls = sandbox.journal.filter(({ path }) => path === REFRESH);
  const served = answers
    .flatMap(({ tokens }) => Object.entries(tokens))
    .filter(([token]) => sandbox.data.accessTokens[token]?.isRetired === false)
    .reduce((sum, [, callers]) => sum + callers, 0);
  const failed = crowd.length * CALLERS - served;
  if (design === 'ours' && failed > 0)
    console.error(`✗ ${failed} callers failed: ${answers.map(({ reason }) => reason).join(', ')}`);
  return {
    wall,
    upstream: calls.length,
    rejected: calls.filter(({ errcode }) => errcode !== 0).length,
    failed,
  };
}

function bestSlice({ slices }) {
  return slices.reduce((one, other) => (other.perSecond > one.perSecond ? other : one));
}

function bestRound({ rounds: all }) {
  return all.reduce((one, other) => (other.wall < one.wall ? other : one));
}

function readTable(readers) {
  const rows = readers.map((reader) => {
    const { perSecond, p50, p99 } = bestSlice(reader);
    return [
      ENGINES[reader.engine],
      READERS[reader.name],
      grouped(perSecond),
      `${p50.toFixed(2)} ms`,
      `${p99.toFixed(2)} ms`,
      toBare(readers, reader).toFixed(2),
    ];
  });
  return table(['database', 'reader', 'tokens/s', 'p50', 'p99', 'to bare'], '--rrrr', rows);
}

function toBare(readers, { engine, slices }) {
  const bare = readers.find((reader) => reader.engine === engine && reader.name === 'bare');
  return bestSlice({ slices }).perSecond / bestSlice(bare).perSecond;
}

function stampedeTable(crowds) {
  const rows = crowds.map((crowd) => {
    const { wall, upstream, rejected, failed } = bestRound(crowd);
    return [
      DESIGNS[crowd.design],
      `${crowd.processes} × ${grouped(CALLERS)}`,
      grouped(upstream),
      grouped(rejected),
      grouped(failed),
      `${grouped(wall)} ms`,
    ];
  });
  const head = ['design', 'callers', 'upstream calls', 'rejected', 'failed callers', 'wall'];
  return table(head, '-rrrrr', rows);
}

/** What is promised, what came out, and whether that is enough. */
function judge(hitNanoseconds, readers, crowds) {
  const services = readers.filter(({ name }) => name === 'service');
  const verdicts = [
    atMost('memory hit', hitNanoseconds / 1_000, GATES.hitMicroseconds, micros),
    ...services.map((service) =>
      atLeast(
        `${ENGINES[service.engine]}: tokens/s at a miss, to bare`,
        toBare(readers, service),
        GATES.missToBare,
      ),
    ),
    ...services.map((service) =>
      told(
        atMost(
          `${ENGINES[service.engine]}: p99 at a miss, 64 callers`,
          bestSlice(service).p99,
          GATES.missP99Ms,
          (ms) => `${ms.toFixed(1)} ms`,
        ),
      ),
    ),
  ];
  for (const processes of PROCESSES) {
    const [ours, naive] = ['ours', 'naive'].map((design) =>
      crowds.find((crowd) => crowd.design === design && crowd.processes === processes),
    );
    const most = (read) => Math.max(...ours.rounds.map(read));
    const who = `${processes} × ${grouped(CALLERS)} callers`;
    verdicts.push(
      exactly(
        `${who}: refreshes, most of ${rounds} rounds`,
        most(({ upstream }) => upstream),
        1,
      ),
      exactly(
        `${who}: failed callers, most of ${rounds} rounds`,
        most(({ failed }) => failed),
        0,
      ),
      atMost(
        `${who}: wall to the naive one’s`,
        bestRound(ours).wall / bestRound(naive).wall,
        GATES.wallToNaive,
        (ratio) => ratio.toFixed(2),
      ),
      told(
        atMost(
          `${who}: wall over WeChat’s ${UPSTREAM_MS} ms`,
          bestRound(ours).wall - UPSTREAM_MS,
          GATES.overUpstreamMs,
          (ms) => `+${ms.toFixed(0)} ms`,
        ),
      ),
    );
  }
  return verdicts;
}

function atMost(what, measured, { must, aim }, text) {
  return {
    what,
    measured: text(measured),
    must: `≤ ${text(must)}`,
    aim: aim === undefined ? '' : `≤ ${text(aim)}`,
    isMet: measured <= must,
  };
}

function exactly(what, measured, must) {
  return {
    what,
    measured: grouped(measured),
    must: `= ${must}`,
    aim: '',
    isMet: measured === must,
  };
}

/** A time is one machine's: it is told beside its goal, and holds nobody up. */
function told(verdict) {
  return { ...verdict, must: `(${verdict.must})`, isTold: true };
}

function micros(microseconds) {
  return `${microseconds.toFixed(2)} µs`;
}

function reportOf(mysql, hitNanoseconds, readers, crowds, verdicts) {
  const setting = isPinned
    ? 'processes pinned to processors in turn'
    : 'processes not pinned to processors';
  return `${[
    `${machine(mysql)}; ${setting}; best of ${rounds} rounds.`,
    `A token in memory: ${hitNanoseconds.toFixed(0)} ns a call, ${grouped(HITS)} calls one after the other.`,
    `A token in the database, read and decrypted, 64 callers in one process; best of ${slices} interleaved slices of ${SLICE_SECONDS} s:`,
    readTable(readers),
    `A cold token, WeChat answering after ${UPSTREAM_MS} ms and taking each refresh token once; up to 64 connections to it a process (MariaDB):`,
    stampedeTable(crowds),
    goalTable(verdicts),
    'In brackets: told, not held against the run.',
  ].join('\n\n')}\n`;
}

async function main(stage) {
  await stage.connectMysql(options.mariadb);
  const wechat = await startWechat(stage);
  const readers = [
    ...(await startReaders(stage, 'mariadb', wechat)),
    ...(await startReaders(stage, 'sqlite', wechat)),
  ];
  const hitNanoseconds = await measureHits(readers.find(({ engine }) => engine === 'sqlite'));
  await measureMisses(readers);
  await Promise.all(readers.map(({ child }) => stage.stop(child)));
  const crowds = await measureStampedes(stage, readers[0].url, wechat);
  const verdicts = judge(hitNanoseconds, readers, crowds);
  const report = reportOf(stage.mysql, hitNanoseconds, readers, crowds, verdicts);
  console.log(report);
  if (options['no-gate']) return 0;
  await writeFile(REPORT, report);
  return exitCodeOf(verdicts);
}

await run(options.build, main);
