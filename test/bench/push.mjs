// npm run bench:push. How fast the service takes WeChat's pushes in, compared with nothing but node:http doing the
// same work in the same run: figures of one machine say nothing about another, their ratios do.
import { openSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { createSqlite, MysqlServer, sqliteVersion } from './databases.mjs';
import { watchOthers } from './machine.mjs';
import { answerOf, COMPONENT, isPinned, SECRET_KEYS, startNode } from './shared.mjs';

const ROOT = join(import.meta.dirname, '../..');
const REPORT = join(import.meta.dirname, 'push-report.md');
const SERVER_CPU = 0;
const GENERATOR_CPU = 1;
const POOL = 200_000;
const WARM_UP_SECONDS = 2;
/** A slice is disturbed when other programs kept more than so much of a processor busy. */
const DISTURBED = 0.2;
/** So many quiet slices each server shall have; for them, so many rounds more are made. */
const QUIET_SLICES = 3;
const MORE_ROUNDS = 3;
const MEMORY_PUSHES = 200_000;
const MEMORY_FROM = 20_000;
const READY_WITHIN_MS = 30_000;

const GATES = {
  mariadb: { toBare: { must: 0.65, aim: 0.8 }, toRows: { must: 1.3 } },
  sqlite: { toBare: { must: 0.7, aim: 0.85 }, toRows: { must: 4 } },
  parsing: { must: 1.5 },
  memory: { part: 0.1, mib: 30 },
};
const ENGINES = { mariadb: 'MariaDB', sqlite: 'SQLite' };

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    'no-gate': { type: 'boolean', default: false },
    mariadb: { type: 'string', default: 'mariadb://root@127.0.0.1:3306' },
    build: { type: 'string', default: join(ROOT, 'dist') },
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const engines = options.only ? [options.only] : Object.keys(ENGINES);
if (!(seconds > 0) || !(rounds >= 1) || !engines.every((engine) => engine in ENGINES)) {
  console.error(
    'Usage: npm run bench:push -- [--seconds 3] [--rounds 5] [--only mariadb|sqlite] [--no-gate] [--mariadb URL] [--build FOLDER]',
  );
  process.exit(2);
}

const children = new Set();
const folder = await mkdtemp(join(tmpdir(), 'channel-bench-'));
const build = join(folder, 'dist');
let mysql = null;
let cleaning = null;

function start(cpu, args, settings) {
  if (cleaning) throw new Error('The benchmark is ending.');
  const child = startNode(cpu, args, settings);
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function cleanUp() {
  cleaning ??= (async () => {
    await Promise.all([...children].map(stop));
    await mysql?.close();
    await rm(folder, { recursive: true, force: true });
  })();
  return cleaning;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    void cleanUp().finally(() => process.exit(130));
  });

/** A copy: whoever builds meanwhile must not change what is measured. */
async function copyBuild() {
  await cp(options.build, build, { recursive: true });
  await cp(join(ROOT, 'package.json'), join(folder, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}

function createDatabase(engine) {
  return engine === 'sqlite' ? createSqlite(folder) : mysql.create();
}

/** The environment of a deployment; WeChat is nowhere. */
function serviceEnv(url, port) {
  return {
    PORT: String(port),
    DATABASE_URL: url,
    SECRET_KEYS,
    ADMIN_API_KEY: 'owner-key-of-the-bench-0123456789abcdef',
    WECHAT_COMPONENT_APPID: COMPONENT.appid,
    WECHAT_COMPONENT_APPSECRET: COMPONENT.appSecret,
    WECHAT_COMPONENT_TOKEN: COMPONENT.token,
    WECHAT_COMPONENT_ENCODING_AES_KEY: COMPONENT.encodingAesKey,
    WECHAT_API_BASE_URL: 'http://127.0.0.1:9',
  };
}

/** The service as it is deployed, its log in a file. */
async function startService(engine) {
  const database = await createDatabase(engine);
  const port = await freePort();
  const log = join(folder, `service-${port}.log`);
  const child = start(SERVER_CPU, ['--enable-source-maps', join(build, 'src/main.js')], {
    env: serviceEnv(database.url, port),
    output: openSync(log, 'w'),
    ipc: false,
  });
  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await isReady(port))) {
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`The service does not start:\n${readFileSync(log, 'utf8').slice(-4_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await database.holdAccount();
  return { engine, name: 'service', child, port, database, log, slices: [] };
}

async function isReady(port) {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null);
  await answer?.arrayBuffer();
  return answer?.ok ?? false;
}

/** @param name "group" or "row" */
async function startBare(engine, name) {
  const database = await createDatabase(engine);
  await migrate(database.url);
  const file = join(import.meta.dirname, 'bare-server.mjs');
  const log = join(folder, `${engine}-${name}.log`);
  const child = start(SERVER_CPU, [file, build, name, database.url], {
    output: openSync(log, 'w'),
  });
  const { port } = await answerOf(child);
  return { engine, name, child, port, database, log, slices: [] };
}

/** The same tables as the service's. */
async function migrate(url) {
  const child = start(SERVER_CPU, [join(build, 'src/migrate.js')], {
    env: serviceEnv(url, 0),
    output: 'ignore',
    ipc: false,
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`The database was not migrated (${code}).`);
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Sends pushes into an empty table, and compares what is in it with what was answered. */
async function measure(generator, server, task, onProgress) {
  await server.database.empty();
  const others = watchOthers([server.child.pid, generator.pid]);
  generator.send({ port: server.port, ...task });
  const result = await answerOf(generator, onProgress).catch((error) => {
    const log = readFileSync(server.log, 'utf8').slice(-2_000);
    throw new Error(`${ENGINES[server.engine]}, ${server.name}: ${error.message}\n${log}`);
  });
  const disturbance = others();
  const kept = await server.database.count();
  if (kept !== result.successes || kept === 0)
    throw new Error(
      `${ENGINES[server.engine]}, ${server.name}: ${result.successes} were answered "success", but ${kept} are kept.`,
    );
  return { ...result, isQuiet: disturbance <= DISTURBED };
}

/** Interleaved, each round in another order, so that no server always has the quiet moments. */
async function measureRounds(generator, servers) {
  for (const server of servers) await measure(generator, server, { seconds: WARM_UP_SECONDS });
  const isEnough = () => servers.every((server) => quietSlices(server).length >= QUIET_SLICES);
  for (let round = 0; round < rounds + MORE_ROUNDS; round += 1) {
    if (round >= rounds && isEnough()) return;
    const first = round % servers.length;
    for (const server of [...servers.slice(first), ...servers.slice(0, first)])
      server.slices.push(await measure(generator, server, { seconds }));
    const figures = servers.map(({ engine, name, slices }) => {
      const { perSecond, isQuiet } = slices.at(-1);
      return `${engine} ${name} ${Math.round(perSecond)}${isQuiet ? '' : '?'}`;
    });
    console.error(`round ${round + 1}: ${figures.join(', ')}`);
  }
}

function quietSlices({ slices }) {
  return slices.filter(({ isQuiet }) => isQuiet);
}

/** Of the quiet slices, if there are any. */
function best(server) {
  const quiet = quietSlices(server);
  const slices = quiet.length > 0 ? quiet : server.slices;
  return slices.reduce((one, other) => (other.perSecond > one.perSecond ? other : one));
}

/** Resident memory of a fresh service while it takes many pushes in. */
async function measureMemory(generator) {
  const service = await startService('sqlite');
  const samples = [];
  await measure(generator, service, { limit: MEMORY_PUSHES }, (pushes) => {
    samples.push({ pushes, mib: residentMib(service.child.pid) });
  });
  await stop(service.child);
  const mean = (from, to) => {
    const within = samples.filter(
      ({ pushes }) => pushes > MEMORY_PUSHES * from && pushes <= MEMORY_PUSHES * to,
    );
    return within.reduce((sum, { mib }) => sum + mib, 0) / within.length;
  };
  const later = samples.filter(({ pushes }) => pushes >= MEMORY_FROM);
  return {
    start: later[0].mib,
    end: later.at(-1).mib,
    peak: Math.max(...samples.map(({ mib }) => mib)),
    slope: slopeOf(later) * 100_000,
    secondQuarter: mean(0.25, 0.5),
    lastQuarter: mean(0.75, 1),
  };
}

function residentMib(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Of the straight line that fits best, in MiB per push. */
function slopeOf(samples) {
  const mean = (read) => samples.reduce((sum, one) => sum + read(one), 0) / samples.length;
  const [x, y] = [mean(({ pushes }) => pushes), mean(({ mib }) => mib)];
  return (
    mean(({ pushes, mib }) => (pushes - x) * (mib - y)) / mean(({ pushes }) => (pushes - x) ** 2)
  );
}

async function measureParsing() {
  const child = start(SERVER_CPU, [join(import.meta.dirname, 'micro.mjs'), build]);
  return answerOf(child);
}

const SERVERS = {
  service: 'the service',
  group: 'bare `node:http`, the same group commit',
  row: 'bare `node:http`, a commit for each push',
};

function throughputTable(servers) {
  const rows = servers.map((server) => {
    const { perSecond, p50, p99 } = best(server);
    const bare = servers.find(({ engine, name }) => engine === server.engine && name === 'group');
    return [
      ENGINES[server.engine],
      SERVERS[server.name],
      grouped(perSecond),
      `${p50.toFixed(1)} ms`,
      `${p99.toFixed(1)} ms`,
      (perSecond / best(bare).perSecond).toFixed(2),
    ];
  });
  return table(['database', 'server', 'pushes/s', 'p50', 'p99', 'to bare'], '--rrrr', rows);
}

/** What is promised, what came out, and whether that is enough. */
function judge(servers, parsing, memory) {
  const rate = (engine, name) =>
    best(servers.find((server) => server.engine === engine && server.name === name)).perSecond;
  const verdicts = engines.flatMap((engine) => [
    atLeast(
      `${ENGINES[engine]}: service to bare`,
      rate(engine, 'service') / rate(engine, 'group'),
      GATES[engine].toBare,
    ),
    atLeast(
      `${ENGINES[engine]}: group commit to a commit for each push`,
      rate(engine, 'group') / rate(engine, 'row'),
      GATES[engine].toRows,
    ),
  ]);
  verdicts.push(
    atLeast(
      'verify, decrypt and parse: fast-xml-parser’s time to ours',
      parsing.fastXmlParser / parsing.ours,
      GATES.parsing,
    ),
  );
  if (memory) verdicts.push(flat(memory));
  return verdicts;
}

function atLeast(what, measured, { must, aim }) {
  return {
    what,
    // Cut, not rounded: what is missed must not look as if it were met.
    measured: (Math.floor(measured * 100) / 100).toFixed(2),
    must: `≥ ${must.toFixed(2)}`,
    aim: aim === undefined ? '' : `≥ ${aim.toFixed(2)}`,
    isMet: measured >= must,
  };
}

function flat({ secondQuarter, lastQuarter }) {
  const { part, mib } = GATES.memory;
  const allowed = Math.max(secondQuarter * part, mib);
  return {
    what: `memory over ${grouped(MEMORY_PUSHES)} pushes: last quarter above second`,
    measured: `${(lastQuarter - secondQuarter).toFixed(1)} MiB`,
    must: `≤ ${allowed.toFixed(1)} MiB`,
    aim: '',
    isMet: lastQuarter - secondQuarter <= allowed,
  };
}

function reportOf(servers, parsing, memory, verdicts) {
  const machine = [
    `${availableParallelism()} × ${cpus()[0]?.model ?? 'unknown processor'}`,
    `Node ${process.version}`,
    ...(mysql ? [mysql.version.replace(/^(\S+?)-MariaDB.*/, 'MariaDB $1')] : []),
    `SQLite ${sqliteVersion()}`,
    new Date().toISOString().slice(0, 10),
  ];
  const setting = isPinned
    ? 'the server on one processor, the load on another'
    : 'server and load not pinned to processors';
  const micro = `Verify, decrypt and parse: ${parsing.ours.toFixed(1)} µs a push, with fast-xml-parser ${parsing.fastXmlParser.toFixed(1)} µs.`;
  const resident = memory
    ? `Resident memory of the service: ${memory.start.toFixed(0)} MiB after ${grouped(MEMORY_FROM)} pushes, ${memory.end.toFixed(0)} MiB after ${grouped(MEMORY_PUSHES)} (${memory.slope >= 0 ? '+' : ''}${memory.slope.toFixed(1)} MiB per 100,000, peak ${memory.peak.toFixed(0)} MiB).`
    : '';
  const busy = disturbanceOf(servers);
  const goals = verdicts.map(({ what, measured, must, aim, isMet }) => [
    what,
    `${measured}${isMet ? '' : ' ✗'}`,
    must,
    aim,
  ]);
  return `${[
    `${machine.join(', ')}; 64 connections, ${setting}; best of ${servers[0].slices.length} interleaved rounds of ${seconds} s.`,
    ...(busy ? [busy] : []),
    throughputTable(servers),
    table(['goal', 'measured', 'must', 'aim'], '-rrr', goals),
    [micro, resident].filter(Boolean).join('\n'),
  ].join('\n\n')}\n`;
}

/** Empty when each server had quiet moments enough. */
function disturbanceOf(servers) {
  if (servers.every((server) => quietSlices(server).length >= QUIET_SLICES)) return '';
  const all = servers.flatMap(({ slices }) => slices);
  const disturbed = all.filter(({ isQuiet }) => !isQuiet).length;
  return `**Other programs kept the machine busy in ${disturbed} of ${all.length} slices: not to be relied upon.**`;
}

/** Aligned as the formatter of this repository aligns tables. @param sides `r` for each column of figures */
function table(head, sides, rows) {
  const widths = head.map((_, n) =>
    Math.max(3, ...[head, ...rows].map((row) => [...row[n]].length)),
  );
  const pad = (text, n) => {
    const space = ' '.repeat(widths[n] - [...text].length);
    return sides[n] === 'r' ? space + text : text + space;
  };
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = widths.map((width, n) =>
    sides[n] === 'r' ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [line(head.map(pad)), line(rule), ...rows.map((row) => line(row.map(pad)))].join('\n');
}

function grouped(count) {
  return Math.round(count).toLocaleString('en-US');
}

async function connectMysql() {
  try {
    return await MysqlServer.connect(options.mariadb);
  } catch (error) {
    throw new Error(
      `No MariaDB answers at ${new URL(options.mariadb).host} (--mariadb URL, or --only sqlite).`,
      { cause: error },
    );
  }
}

async function main() {
  await copyBuild();
  if (engines.includes('mariadb')) mysql = await connectMysql();
  const parsing = await measureParsing();
  const generator = start(GENERATOR_CPU, [join(import.meta.dirname, 'generator.mjs'), build]);
  await answerOf(generator);
  generator.send({ count: POOL });
  await answerOf(generator);
  const servers = [];
  for (const engine of engines)
    servers.push(
      await startService(engine),
      await startBare(engine, 'group'),
      await startBare(engine, 'row'),
    );
  await measureRounds(generator, servers);
  await Promise.all(servers.map(({ child }) => stop(child)));
  const memory = engines.includes('sqlite') ? await measureMemory(generator) : null;
  const verdicts = judge(servers, parsing, memory);
  const report = reportOf(servers, parsing, memory, verdicts);
  await writeFile(REPORT, report);
  console.log(report);
  const missed = verdicts.filter(({ isMet }) => !isMet);
  for (const { what, measured, must } of missed)
    console.error(`✗ ${what}: ${measured}, must be ${must}`);
  return missed.length > 0 && !options['no-gate'] ? 1 : 0;
}

let code = 1;
try {
  code = await main();
} catch (error) {
  if (!cleaning) console.error(error);
} finally {
  await cleanUp();
}
process.exit(code);
