// npm run bench:sends. How fast single messages go out, compared with nothing but undici sending the same to the same
// WeChat in the same run; what one costs; and where the time goes.
import { execFileSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { usedBy, watchOthers } from './machine.mjs';
import { atLeast, exitCodeOf, goalTable, grouped, machine, table } from './report.mjs';
import { REFRESH_TOKEN } from './sends-shared.mjs';
import { ACCOUNT, answerOf, COMPONENT, isPinned } from './shared.mjs';
import {
  freePort,
  OPTIONS,
  OWNER_KEY,
  ROOT,
  run,
  serviceEnv,
  turned,
  untilReady,
} from './stage.mjs';

const REPORT = join(import.meta.dirname, 'sends-report.md');
const SERVER_CPU = 0;
const LOAD_CPU = 1;
const STDERR = 2;
const DISTURBED = 0.2;
const WARM_UP = 1_000;
/** A key may do 100 requests a second: so many do more than one process can. */
const KEYS = 32;
/** What is asked more rarely belongs to no send. */
const PER_SEND = 0.005;
/** What takes less of the busy time stands together in one row. */
const SMALL_PART = 0.01;
const REST = 'all that is less';

const SETTINGS = [
  { delayMs: 50, inFlight: 64 },
  { delayMs: 50, inFlight: 256 },
  { delayMs: 0, inFlight: 64 },
  { delayMs: 0, inFlight: 256 },
];
/** Held against the run: about as slow as WeChat, and so many at once that its slowness need not cost anything. */
const [, GATED] = SETTINGS;
const GATES = {
  mariadb: { must: 0.18, aim: 0.9 },
  sqlite: { must: 0.18, aim: 0.9 },
};
const ENGINES = { mariadb: 'MariaDB', sqlite: 'SQLite' };

const { values: options } = parseArgs({
  options: {
    sends: { type: 'string', default: '5000' },
    only: { type: 'string' },
    'idempotency-keys': { type: 'boolean', default: false },
    'profiles-to': { type: 'string' },
    ...OPTIONS,
  },
});
const count = Number(options.sends);
const rounds = Number(options.rounds);
const idempotent = options['idempotency-keys'];
const engines = options.only ? [options.only] : Object.keys(ENGINES);
if (!(count >= 1) || !(rounds >= 1) || !engines.every((engine) => engine in ENGINES)) {
  console.error(
    'Usage: npm run bench:sends -- [--sends 5000] [--rounds 5] [--only mariadb|sqlite] [--idempotency-keys] [--profiles-to FOLDER] [--no-gate] [--mariadb URL] [--build FOLDER]',
  );
  process.exit(2);
}

/** No two messages of a run are the same. */
let serial = 0;

/** A process that takes tasks, ready. */
async function start(stage, cpu, file) {
  const child = stage.start(cpu, [join(import.meta.dirname, file)], { output: STDERR });
  await answerOf(child);
  return child;
}

function ask(child, task) {
  child.send(task);
  return answerOf(child);
}

/** The service as it is deployed, its log in a file, with an account that can send. */
async function startService(stage, wechat, engine, isProfiled = false) {
  const database = await stage.createDatabase(engine);
  const env = { WECHAT_API_BASE_URL: wechat.origin };
  await holdTokens(stage, serviceEnv(database.url, { ...env, LOG_LEVEL: 'error' }));
  await database.holdAccount();
  const port = await freePort();
  const log = join(stage.folder, `service-${port}.log`);
  const preload = ['--import', join(import.meta.dirname, 'sends-profiler.mjs')];
  const child = stage.start(
    SERVER_CPU,
    ['--enable-source-maps', ...(isProfiled ? preload : []), join(stage.build, 'src/main.js')],
    {
      env: serviceEnv(database.url, { ...env, PORT: String(port) }),
      output: openSync(log, 'w'),
      ipc: isProfiled,
    },
  );
  if (isProfiled) await answerOf(child);
  await untilReady(child, port, log);
  const origin = `http://127.0.0.1:${port}`;
  const keys = await createKeys(origin);
  return { engine, name: 'service', child, origin, keys, database, log, slices: new Map() };
}

/** The component's token, and what to get the account's with: sealed as only the service does. */
async function holdTokens(stage, env) {
  const child = stage.start(
    SERVER_CPU,
    [join(import.meta.dirname, 'tokens-child.mjs'), stage.build],
    { env, output: STDERR },
  );
  await answerOf(child);
  const accounts = [
    { appid: COMPONENT.appid, kind: 'component', accessToken: '70_', expiresInSeconds: 7200 },
    { appid: ACCOUNT.appid, kind: 'authorizer', refreshToken: REFRESH_TOKEN },
  ];
  await ask(child, { command: 'seed', accounts });
  await stage.stop(child);
}

async function createKeys(origin) {
  const keys = [];
  for (let n = 0; n < KEYS; n += 1) {
    const response = await fetch(`${origin}/api/v1/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${OWNER_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `sender-${n}`, role: 'sender', tenantId: 'bench' }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(`No key was made: ${JSON.stringify(body)}`);
    keys.push(body.key);
  }
  return keys;
}

/** Sends, and compares what WeChat has seen and what is written down with what was answered. */
async function measure(wechat, loop, server, { delayMs, inFlight }, sends = count) {
  const { child, keys, origin = wechat.origin, database } = server;
  await database?.empty();
  await ask(wechat.child, { command: 'begin', delayMs });
  const others = watchOthers([child.pid, loop.pid, wechat.child.pid]);
  const usedBefore = processorSeconds(child);
  const task = { origin, keys, first: serial, count: sends, inFlight, idempotent };
  serial += sends;
  const result = await ask(loop, { command: 'send', ...task }).catch((error) => {
    const log = server.log ? readFileSync(server.log, 'utf8').slice(-2_000) : '';
    throw new Error(`${whoIs(server)}: ${error.message}\n${log}`);
  });
  const used = processorSeconds(child) - usedBefore;
  const disturbance = others();
  const seen = await ask(wechat.child, { command: 'end' });
  const kept = database ? await database.countAccepted() : sends;
  if (seen.sends !== sends || seen.messages !== sends || kept !== sends)
    throw new Error(
      `${whoIs(server)}: ${sends} were sent, but WeChat was asked ${seen.sends} times for ${seen.messages} messages, and ${kept} are kept as accepted.`,
    );
  return { ...result, cpuMicroseconds: (used * 1e6) / sends, isQuiet: disturbance <= DISTURBED };
}

function whoIs({ engine, name }) {
  return name === 'bare' ? 'the bare loop' : `the service on ${ENGINES[engine]}`;
}

/** NaN without /proc. */
function processorSeconds({ pid }) {
  try {
    return usedBy(pid);
  } catch {
    return NaN;
  }
}

/** Interleaved, each round in another order, so that nobody always has the quiet moments. */
async function measureRounds(wechat, client, servers) {
  // The bare loop stands where the service does, and is its own client.
  const sliceOf = (server, setting, sends) =>
    measure(wechat, server.name === 'bare' ? server.child : client, server, setting, sends);
  for (const server of servers) {
    for (const setting of SETTINGS) server.slices.set(setting, []);
    await sliceOf(server, GATED, WARM_UP);
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const setting of SETTINGS) {
      for (const server of turned(servers, round))
        server.slices.get(setting).push(await sliceOf(server, setting));
      const figures = servers.map(({ engine, name, slices }) => {
        const { perSecond, isQuiet } = slices.get(setting).at(-1);
        return `${engine ?? name} ${Math.round(perSecond)}${isQuiet ? '' : '?'}`;
      });
      console.error(`round ${round + 1}, ${settingText(setting)}: ${figures.join(', ')}`);
    }
  }
}

function settingText({ delayMs, inFlight }) {
  return `${delayMs} ms, ${inFlight} in flight`;
}

/** A fresh service, warm, looked into while it sends. */
async function profile(stage, wechat, client, engine) {
  const service = await startService(stage, wechat, engine, true);
  await measure(wechat, client, service, GATED, WARM_UP);
  await ask(service.child, { command: 'begin' });
  await measure(wechat, client, service, GATED);
  const { profile: whole, ...rest } = await ask(service.child, { command: 'end' });
  await stage.stop(service.child);
  const folder = options['profiles-to'];
  if (folder) await writeFile(join(folder, `sends-${engine}.cpuprofile`), JSON.stringify(whole));
  return { engine, ...rest };
}

function best({ slices }, setting) {
  const all = slices.get(setting);
  const quiet = all.filter(({ isQuiet }) => isQuiet);
  const eligible = quiet.length > 0 ? quiet : all;
  return eligible.reduce((one, other) => (other.perSecond > one.perSecond ? other : one));
}

function toBare(servers, server, setting) {
  const bare = servers.find(({ name }) => name === 'bare');
  return best(server, setting).perSecond / best(bare, setting).perSecond;
}

function throughputTable(servers) {
  const rows = SETTINGS.flatMap((setting) =>
    servers.map((server) => {
      const { perSecond, p50, p99, cpuMicroseconds } = best(server, setting);
      return [
        `${setting.delayMs} ms`,
        String(setting.inFlight),
        server.name === 'bare' ? 'bare undici loop' : `the service, ${ENGINES[server.engine]}`,
        grouped(perSecond),
        toBare(servers, server, setting).toFixed(2),
        `${p50.toFixed(1)} ms`,
        `${p99.toFixed(1)} ms`,
        Number.isNaN(cpuMicroseconds) ? '' : `${grouped(cpuMicroseconds)} µs`,
      ];
    }),
  );
  const head = ['WeChat', 'in flight', 'sender', 'sends/s', 'to bare', 'p50', 'p99', 'CPU/send'];
  return table(head, 'rr-rrrrr', rows);
}

/** @param read what of a profile; the largest comes first */
function byEngine(profiles, head, read, rowOf) {
  const names = [...new Set(profiles.flatMap((one) => Object.keys(read(one))))];
  const total = (name) =>
    name === REST ? -1 : profiles.reduce((sum, one) => sum + (read(one)[name] ?? 0), 0);
  const rows = names
    .toSorted((one, other) => total(other) - total(one))
    .map((name) => [name, ...profiles.flatMap((one) => rowOf(one, read(one)[name] ?? 0))]);
  const columns = profiles.flatMap(({ engine }) => head.map((text) => `${ENGINES[engine]}${text}`));
  return table(['', ...columns], `-${'r'.repeat(columns.length)}`, rows);
}

function profileTable(profiles) {
  const summed = profiles.map(({ engine, parts: { idle = 0, ...busy } }) => ({
    engine,
    idle,
    busy,
    total: Object.values(busy).reduce((sum, time) => sum + time, 0),
  }));
  const isSmall = (name) =>
    summed.every(({ busy, total }) => (busy[name] ?? 0) < total * SMALL_PART);
  const folded = summed.map((one) => {
    const parts = {};
    for (const [name, time] of Object.entries(one.busy)) {
      const row = isSmall(name) ? REST : name;
      parts[row] = (parts[row] ?? 0) + time;
    }
    return { ...one, parts };
  });
  return byEngine(
    folded,
    [', µs a send', ', of busy time'],
    ({ parts }) => parts,
    ({ total }, time) => [grouped(time / count), `${((time / total) * 100).toFixed(1)} %`],
  );
}

function statementTable(profiles) {
  const perSend = profiles.map(({ engine, statements }) => ({
    engine,
    parts: Object.fromEntries(
      Object.entries(statements)
        .map(([shape, times]) => [shape, times / count])
        .filter(([, times]) => times >= PER_SEND),
    ),
  }));
  return byEngine(
    perSend,
    [''],
    ({ parts }) => parts,
    (_one, times) => [times === 0 ? '' : times.toFixed(2)],
  );
}

function profileText(profiles) {
  const lines = profiles.map(({ engine, parts, statements }) => {
    const all = Object.values(parts).reduce((sum, time) => sum + time, 0);
    const busy = all - (parts.idle ?? 0);
    const asked = Object.values(statements).reduce((sum, times) => sum + times, 0) / count;
    return `${ENGINES[engine]}: busy for ${((busy / all) * 100).toFixed(0)} % of the time, ${asked.toFixed(1)} statements a send.`;
  });
  return `Where the time goes, by the code that was running, in a slice of its own under a profiler (${settingText(GATED)}):\n${lines.join('\n')}`;
}

function judge(servers) {
  return servers
    .filter(({ name }) => name === 'service')
    .map((server) =>
      atLeast(
        `${ENGINES[server.engine]}: sends/s to bare, ${settingText(GATED)}`,
        toBare(servers, server, GATED),
        GATES[server.engine],
      ),
    );
}

/** Without git, or outside of a repository, it is not known. */
function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: ROOT }).toString().trim();
  try {
    const isChanged = git('status', '--porcelain', '--', 'src', 'libs', 'config') !== '';
    return `commit ${git('rev-parse', '--short', 'HEAD')}${isChanged ? ' and changes to it' : ''}`;
  } catch {
    return 'commit unknown';
  }
}

function reportOf(mysql, servers, profiles, verdicts) {
  const setting = isPinned
    ? 'the sender on one processor, its client and WeChat on the other'
    : 'nothing pinned to processors';
  const slices = servers.flatMap((server) => [...server.slices.values()].flat());
  const disturbed = slices.filter(({ isQuiet }) => !isQuiet);
  const command = ['npm run bench:sends --', `--sends ${count}`, `--rounds ${rounds}`];
  if (typeof options.only === 'string') command.push(`--only ${options.only}`);
  if (idempotent) command.push('--idempotency-keys');
  return `${[
    `${machine(mysql)}; ${commit()}; \`${command.join(' ')}\`; ${setting}; best of ${rounds} interleaved rounds of ${grouped(count)} sends.`,
    ...(disturbed.length > 0
      ? [
          `**Other programs kept the machine busy in ${disturbed.length} of ${slices.length} slices.**`,
        ]
      : []),
    `Single template messages through the API${idempotent ? ', each with an Idempotency-Key' : ''}; a WeChat that answers after so long:`,
    throughputTable(servers),
    goalTable(verdicts),
    profileText(profiles),
    profileTable(profiles),
    'What the database is asked for one send:',
    statementTable(profiles),
  ].join('\n\n')}\n`;
}

async function main(stage) {
  if (engines.includes('mariadb')) await stage.connectMysql(options.mariadb);
  const stub = await start(stage, LOAD_CPU, 'sends-stub.mjs');
  const { port } = await ask(stub, { command: 'begin', delayMs: 0 });
  const wechat = { child: stub, origin: `http://127.0.0.1:${port}` };
  const client = await start(stage, LOAD_CPU, 'sends-loop.mjs');
  const servers = [
    { name: 'bare', child: await start(stage, SERVER_CPU, 'sends-loop.mjs'), slices: new Map() },
  ];
  for (const engine of engines) servers.push(await startService(stage, wechat, engine));
  await measureRounds(wechat, client, servers);
  await Promise.all(servers.map(({ child }) => stage.stop(child)));
  const profiles = [];
  for (const engine of engines) profiles.push(await profile(stage, wechat, client, engine));
  const verdicts = judge(servers);
  const report = reportOf(stage.mysql, servers, profiles, verdicts);
  console.log(report);
  if (options['no-gate']) return 0;
  await writeFile(REPORT, report);
  return exitCodeOf(verdicts);
}

await run(options.build, main);
