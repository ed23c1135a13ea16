// npm run bench:push. How fast the service takes WeChat's pushes in, compared with nothing but node:http doing the
// same work in the same run: figures of one machine say nothing about another, their ratios do.
import { openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { watchOthers } from './machine.mjs';
import { atLeast, exitCodeOf, goalTable, grouped, machine, table } from './report.mjs';
import { answerOf, isPinned } from './shared.mjs';
import { freePort, migrate, OPTIONS, run, serviceEnv, turned, untilReady } from './stage.mjs';

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
    only: { type: 'string' },
    ...OPTIONS,
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

/** The service as it is deployed, its log in a file. */
async function startService(stage, engine) {
  const database = await stage.createDatabase(engine);
  const port = await freePort();
  const log = join(stage.folder, `service-${port}.log`);
  const child = stage.start(
    SERVER_CPU,
    ['--enable-source-maps', join(stage.build, 'src/main.js')],
    {
      env: serviceEnv(database.url, { PORT: String(port) }),
      output: openSync(log, 'w'),
      ipc: false,
    },
  );
  await untilReady(child, port, log);
  await database.holdAccount();
  return { engine, name: 'service', child, port, database, log, slices: [] };
}

/** @param name "group" or "row" */
async function startBare(stage, engine, name) {
  const database = await stage.createDatabase(engine);
  await migrate(stage, SERVER_CPU, database.url);
  const file = join(import.meta.dirname, 'bare-server.mjs');
  const log = join(stage.folder, `${engine}-${name}.log`);
  const child = stage.start(SERVER_CPU, [file, stage.build, name, database.url], {
    output: openSync(log, 'w'),
  });
  const { port } = await answerOf(child);
  return { engine, name, child, port, database, log, slices: [] };
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
    for (const server of turned(servers, round))
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
async function measureMemory(stage, generator) {
  const service = await startService(stage, 'sqlite');
  const samples = [];
  await measure(generator, service, { limit: MEMORY_PUSHES }, (pushes) => {
    samples.push({ pushes, mib: residentMib(service.child.pid) });
  });
  await stage.stop(service.child);
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

async function measureParsing(stage) {
  const child = stage.start(SERVER_CPU, [join(import.meta.dirname, 'micro.mjs'), stage.build]);
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

function reportOf(mysql, servers, parsing, memory, verdicts) {
  const setting = isPinned
    ? 'the server on one processor, the load on another'
    : 'server and load not pinned to processors';
  const micro = `Verify, decrypt and parse: ${parsing.ours.toFixed(1)} µs a push, with fast-xml-parser ${parsing.fastXmlParser.toFixed(1)} µs.`;
  const resident = memory
    ? `Resident memory of the service: ${memory.start.toFixed(0)} MiB after ${grouped(MEMORY_FROM)} pushes, ${memory.end.toFixed(0)} MiB after ${grouped(MEMORY_PUSHES)} (${memory.slope >= 0 ? '+' : ''}${memory.slope.toFixed(1)} MiB per 100,000, peak ${memory.peak.toFixed(0)} MiB).`
    : '';
  const busy = disturbanceOf(servers);
  return `${[
    `${machine(mysql)}; 64 connections, ${setting}; best of ${servers[0].slices.length} interleaved rounds of ${seconds} s.`,
    ...(busy ? [busy] : []),
    throughputTable(servers),
    goalTable(verdicts),
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

async function main(stage) {
  if (engines.includes('mariadb')) await stage.connectMysql(options.mariadb);
  const parsing = await measureParsing(stage);
  const generator = stage.start(GENERATOR_CPU, [
    join(import.meta.dirname, 'generator.mjs'),
    stage.build,
  ]);
  await answerOf(generator);
  generator.send({ count: POOL });
  await answerOf(generator);
  const servers = [];
  for (const engine of engines)
    servers.push(
      await startService(stage, engine),
      await startBare(stage, engine, 'group'),
      await startBare(stage, engine, 'row'),
    );
  await measureRounds(generator, servers);
  await Promise.all(servers.map(({ child }) => stage.stop(child)));
  const memory = engines.includes('sqlite') ? await measureMemory(stage, generator) : null;
  const verdicts = judge(servers, parsing, memory);
  const report = reportOf(stage.mysql, servers, parsing, memory, verdicts);
  await writeFile(REPORT, report);
  console.log(report);
  const code = exitCodeOf(verdicts);
  return options['no-gate'] ? 0 : code;
}

await run(options.build, main);
