// npm run bench:receipts. How fast a push becomes a receipt that can be read, compared with nothing but node:http doing
// the same work in the same run; how long that takes at half the load; and how a burst is worked off.
import { openSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { watchOthers } from './machine.mjs';
import { atLeast, exitCodeOf, goalTable, grouped, machine, table } from './report.mjs';
import { ACCOUNT, answerOf, isPinned, msgidOf, OWN } from './shared.mjs';
import {
  freePort,
  migrate,
  OPTIONS,
  OWNER_KEY,
  run,
  serviceEnv,
  turned,
  untilReady,
} from './stage.mjs';

const REPORT = join(import.meta.dirname, 'receipts-report.md');
const SERVER_CPU = 0;
const GENERATOR_CPU = 1;
const POOL = 120_000;
const WARM_UP_SECONDS = 2;
const DISTURBED = 0.2;
const BURST = 50_000;
/** Of the pushes at half load, so many are followed until their receipt can be read. */
const SAMPLE_EVERY = 20;
const LOOK_MS = 4;
const VISIBLE_WITHIN_MS = 120_000;

const GATES = {
  mariadb: { toBare: { must: 0.4, aim: 0.6 } },
  sqlite: { toBare: { must: 0.4, aim: 0.6 } },
};
const ENGINES = { mariadb: 'MariaDB', sqlite: 'SQLite' };
const SERVERS = {
  service: 'the service',
  receipts: 'bare `node:http`, push, receipt and event in one commit',
};

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    burst: { type: 'string', default: String(BURST) },
    only: { type: 'string' },
    ...OPTIONS,
  },
});
const seconds = Number(options.seconds);
const rounds = Number(options.rounds);
const burst = Number(options.burst);
const engines = options.only ? [options.only] : Object.keys(ENGINES);
if (
  !(seconds > 0) ||
  !(rounds >= 1) ||
  !(burst > 0 && burst <= POOL) ||
  !engines.every((engine) => engine in ENGINES)
) {
  console.error(
    'Usage: npm run bench:receipts -- [--seconds 3] [--rounds 5] [--burst 50000] [--only mariadb|sqlite] [--no-gate] [--mariadb URL] [--build FOLDER]',
  );
  process.exit(2);
}

const pause = (ms) => new Promise((go) => setTimeout(go, ms));

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
  await database.holdAccount(true);
  const path = await configure(port);
  return { engine, name: 'service', child, port, path, database, log, slices: [] };
}

/** As an admin does. @returns the path of the address */
async function configure(port) {
  const url = `http://127.0.0.1:${port}/api/v1/accounts/${ACCOUNT.appid}/receipt-config`;
  const { token, encodingAesKey, mode: encryptionMode } = OWN;
  const response = await fetch(url, {
    method: 'PUT',
    headers: { authorization: `Bearer ${OWNER_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ token, encodingAesKey, encryptionMode }),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`PUT ${url}: ${JSON.stringify(body)}`);
  return new URL(body.receiptUrl).pathname;
}

async function startBare(stage, engine, path) {
  const database = await stage.createDatabase(engine);
  await migrate(stage, SERVER_CPU, database.url);
  const log = join(stage.folder, `${engine}-receipts.log`);
  const child = stage.start(
    SERVER_CPU,
    [join(import.meta.dirname, 'bare-server.mjs'), stage.build, 'receipts', database.url],
    { output: openSync(log, 'w') },
  );
  const { port } = await answerOf(child);
  return { engine, name: 'receipts', child, port, path, database, log, slices: [] };
}

/** The generator has one address: each server has its own. */
async function aim(generator, { path }) {
  if (generator.path === path) return;
  generator.send({ count: POOL, path });
  await answerOf(generator);
  generator.path = path;
}

/** Sends, and waits until every push that was answered is a receipt. */
async function measure(generator, server, task, onProgress) {
  await aim(generator, server);
  await server.database.empty();
  const others = watchOthers([server.child.pid, generator.pid]);
  const startedAt = performance.now();
  generator.send({ port: server.port, ...task });
  const result = await answerOf(generator, onProgress).catch((error) => {
    const log = readFileSync(server.log, 'utf8').slice(-2_000);
    throw new Error(`${ENGINES[server.engine]}, ${server.name}: ${error.message}\n${log}`);
  });
  const backlog = result.successes - (await server.database.countReceipts());
  const sentAt = performance.now();
  const receipts = await untilVisible(server, result.successes);
  const endedAt = performance.now();
  const disturbance = others();
  const kept = await server.database.count();
  if (kept !== result.successes || receipts !== kept || kept === 0)
    throw new Error(
      `${ENGINES[server.engine]}, ${server.name}: ${result.successes} were answered "success", but ${kept} are kept and ${receipts} are receipts.`,
    );
  return {
    ...result,
    receiptsPerSecond: (receipts / (endedAt - startedAt)) * 1_000,
    backlog,
    drainMs: endedAt - sentAt,
    isQuiet: disturbance <= DISTURBED,
  };
}

async function untilVisible({ database }, count) {
  const deadline = performance.now() + VISIBLE_WITHIN_MS;
  for (;;) {
    const visible = await database.countReceipts();
    if (visible >= count || performance.now() > deadline) return visible;
    await pause(20);
  }
}

async function measureRounds(generator, servers) {
  for (const server of servers) await measure(generator, server, { seconds: WARM_UP_SECONDS });
  for (let round = 0; round < rounds; round += 1) {
    for (const server of turned(servers, round))
      server.slices.push(await measure(generator, server, { seconds }));
    const figures = servers.map(({ engine, name, slices }) => {
      const { receiptsPerSecond, isQuiet } = slices.at(-1);
      return `${engine} ${name} ${Math.round(receiptsPerSecond)}${isQuiet ? '' : '?'}`;
    });
    console.error(`round ${round + 1}: ${figures.join(', ')}`);
  }
}

function best({ slices }) {
  const quiet = slices.filter(({ isQuiet }) => isQuiet);
  const all = quiet.length > 0 ? quiet : slices;
  return all.reduce((one, other) =>
    other.receiptsPerSecond > one.receiptsPerSecond ? other : one,
  );
}

/** From the sending of a push until its receipt can be read, for some of them. */
async function measureVisibility(generator, server) {
  const perSecond = best(server).receiptsPerSecond / 2;
  const waiting = new Map();
  const times = [];
  let isSending = true;
  const looking = (async () => {
    while (isSending || waiting.size > 0) {
      const msgids = [...waiting.keys()];
      const found = msgids.length > 0 ? await server.database.findReceipts(msgids) : [];
      const now = Date.now();
      for (const msgid of found) {
        times.push(now - waiting.get(msgid));
        waiting.delete(msgid);
      }
      await pause(LOOK_MS);
    }
  })();
  const task = { seconds: Math.max(seconds * 2, 4), perSecond, sampleEvery: SAMPLE_EVERY };
  const result = await measure(generator, server, task, ({ n, at }) => waiting.set(msgidOf(n), at));
  isSending = false;
  await looking;
  const sorted = times.toSorted((one, other) => one - other);
  const quantile = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
  return {
    perSecond: result.perSecond,
    p50: quantile(0.5),
    p99: quantile(0.99),
    count: times.length,
  };
}

function throughputTable(servers) {
  const rows = servers.map((server) => {
    const { receiptsPerSecond, p50, p99 } = best(server);
    const bare = servers.find(
      ({ engine, name }) => engine === server.engine && name === 'receipts',
    );
    return [
      ENGINES[server.engine],
      SERVERS[server.name],
      grouped(receiptsPerSecond),
      `${p50.toFixed(1)} ms`,
      `${p99.toFixed(1)} ms`,
      (receiptsPerSecond / best(bare).receiptsPerSecond).toFixed(2),
    ];
  });
  const head = ['database', 'server', 'receipts/s', 'answer p50', 'answer p99', 'to bare'];
  return table(head, '--rrrr', rows);
}

function beyondTable(beyond) {
  const rows = beyond.map(({ engine, visibility, flood }) => [
    ENGINES[engine],
    grouped(visibility.perSecond),
    `${visibility.p50} ms`,
    `${visibility.p99} ms`,
    `${grouped(flood.successes)} in ${(flood.elapsed / 1_000).toFixed(1)} s`,
    grouped(flood.backlog),
    `${(flood.drainMs / 1_000).toFixed(1)} s`,
  ]);
  const head = [
    'database',
    'half load, pushes/s',
    'push to visible p50',
    'p99',
    'burst',
    'backlog after it',
    'drained in',
  ];
  return table(head, '-rrrrrr', rows);
}

function judge(servers) {
  const rate = (engine, name) =>
    best(servers.find((server) => server.engine === engine && server.name === name))
      .receiptsPerSecond;
  return engines.map((engine) =>
    atLeast(
      `${ENGINES[engine]}: service to bare`,
      rate(engine, 'service') / rate(engine, 'receipts'),
      GATES[engine].toBare,
    ),
  );
}

function reportOf(mysql, servers, beyond, verdicts) {
  const setting = isPinned
    ? 'the server on one processor, the load on another'
    : 'server and load not pinned to processors';
  const disturbed = servers.flatMap(({ slices }) => slices).filter(({ isQuiet }) => !isQuiet);
  return `${[
    `${machine(mysql)}; 64 connections, ${setting}; best of ${rounds} interleaved rounds of ${seconds} s. A receipt counts when it can be read.`,
    ...(disturbed.length > 0
      ? [
          `**Other programs kept the machine busy in ${disturbed.length} of ${servers.length * rounds} slices.**`,
        ]
      : []),
    throughputTable(servers),
    beyondTable(beyond),
    goalTable(verdicts),
  ].join('\n\n')}\n`;
}

async function main(stage) {
  if (engines.includes('mariadb')) await stage.connectMysql(options.mariadb);
  const generator = stage.start(GENERATOR_CPU, [
    join(import.meta.dirname, 'generator.mjs'),
    stage.build,
  ]);
  await answerOf(generator);
  const servers = [];
  for (const engine of engines) {
    const service = await startService(stage, engine);
    servers.push(service, await startBare(stage, engine, service.path));
  }
  await measureRounds(generator, servers);
  const beyond = [];
  for (const server of servers.filter(({ name }) => name === 'service')) {
    const visibility = await measureVisibility(generator, server);
    const flood = await measure(generator, server, { limit: burst });
    console.error(
      `${server.engine}: visible p99 ${visibility.p99} ms, drained in ${Math.round(flood.drainMs)} ms`,
    );
    beyond.push({ engine: server.engine, visibility, flood });
  }
  await Promise.all(servers.map(({ child }) => stage.stop(child)));
  const verdicts = judge(servers);
  const report = reportOf(stage.mysql, servers, beyond, verdicts);
  await writeFile(REPORT, report);
  console.log(report);
  const code = exitCodeOf(verdicts);
  return options['no-gate'] ? 0 : code;
}

await run(options.build, main);
