// Loaded into the service before its own code: takes a processor profile, and counts what the database is asked.
// Told over IPC: `begin` and `end`.
import { Session } from 'node:inspector/promises';

import 'typeorm';
import { BetterSqlite3QueryRunner } from 'typeorm/driver/better-sqlite3/BetterSqlite3QueryRunner.js';
import { MysqlQueryRunner } from 'typeorm/driver/mysql/MysqlQueryRunner.js';

import { serve } from './tokens-shared.mjs';

const SAMPLE_EVERY_MICROSECONDS = 500;
/** What stands in brackets in a profile. */
const PLACES = {
  '(idle)': 'idle',
  '(garbage collector)': 'garbage collection',
  '(program)': 'native code (system calls, event loop)',
};
/** What follows promises and callbacks around, for `AsyncLocalStorage`. */
const CONTEXT = /^node:(?:async_hooks|internal\/(?:async_hooks|promise_hooks))$/;
const WRITE = /^write/;
/** Calls of the driver that have no file of their own. */
const SQLITE_CALLS = new Set(['all', 'exec', 'get', 'prepare', 'run']);

const PROFILER = 'profiler';

let statements = new Map();

for (const { prototype } of [BetterSqlite3QueryRunner, MysqlQueryRunner]) {
  const query = Reflect.get(prototype, 'query');
  prototype.query = function count(sql, ...rest) {
    const shape = shapeOf(sql);
    statements.set(shape, (statements.get(shape) ?? 0) + 1);
    return query.call(this, sql, ...rest);
  };
}

/** The verb and the table, e.g. `UPDATE delivery`. */
function shapeOf(sql) {
  const text = sql.trim();
  const verb = /^\w+/.exec(text)?.[0].toUpperCase() ?? '';
  if (verb === 'START' || verb === 'BEGIN') return 'BEGIN';
  const place =
    verb === 'UPDATE'
      ? /^UPDATE\s+[`"]?(\w+)/i.exec(text)
      : /\b(?:FROM|INTO)\s+[`"]?(\w+)/i.exec(text);
  const lock = /\bFOR UPDATE\s*$/i.test(text) ? ' for update' : '';
  return place ? `${verb} ${place[1]}${lock}` : verb;
}

/** Microseconds of each part of the program, by the code that was running, not by what it had called. */
function summarize({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) for (const child of node.children ?? []) byId.get(child).parent = node;
  const parts = {};
  samples.forEach((id, n) => {
    const place = placeOf(byId.get(id));
    if (place !== PROFILER) parts[place] = (parts[place] ?? 0) + timeDeltas[n];
  });
  return parts;
}

function placeOf({ callFrame: { functionName, url }, parent }) {
  if (PLACES[functionName]) return PLACES[functionName];
  if (url === 'node:inspector') return PROFILER;
  if (CONTEXT.test(url)) return 'Node, async context';
  if (url.startsWith('node:')) return 'Node, the rest';
  const file = url.split('/node_modules/');
  if (file.length > 1) return `node_modules/${/^(?:@[^/]+\/)?[^/]+/.exec(file.at(-1))[0]}`;
  const own = /\/dist\/(src\/messages\/[^/]+|(?:src|libs)\/[^/]+(?=\/)|src|config)\//.exec(url);
  if (own) return own[1];
  if (!parent) return 'other';
  const isDriver = parent.callFrame.url.includes('/better-sqlite3/');
  if (url === '' && isDriver && SQLITE_CALLS.has(functionName))
    return 'node_modules/better-sqlite3';
  // Something that the language or Node brings along: it counts for its caller.
  const place = placeOf(parent);
  return place === 'Node, the rest' && WRITE.test(functionName)
    ? 'Node, writing to sockets and the log'
    : place;
}

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_MICROSECONDS });

serve({
  async begin() {
    statements = new Map();
    await session.post('Profiler.start');
    return {};
  },
  async end() {
    const counted = Object.fromEntries(statements);
    const { profile } = await session.post('Profiler.stop');
    return { statements: counted, parts: summarize(profile), profile };
  },
});
