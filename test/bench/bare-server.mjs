// What the service's push door is measured against: the same work in nothing but node:http and a driver.
// Arguments: folder of the build, "group" or "row", database URL. Tells its port over IPC.
import { createServer } from 'node:http';
import { parse } from 'node:querystring';

import Sqlite from 'better-sqlite3';
import { createPool } from 'mysql2';
import { v7 as uuidV7 } from 'uuid';

import { ACCOUNT, COMPONENT, fromBuild, SECRET_KEYS } from './shared.mjs';

const MAX_ITEMS = 500;
const BODY_LIMIT_BYTES = 256 * 1024;
const COLUMNS =
  'id, account, dedup_key, kind, occurred_at, content, answer, state, attempts, next_try_at, received_at, handled_at, lease_until';
const PLACES = '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)';

const [, , build, mode, databaseUrl] = process.argv;
const { dedupKey, openPush, readPushQuery, toPush } = await fromBuild(
  build,
  'libs/wechat/src/index.js',
);
const { parseKeyRing, SecretBox } = await fromBuild(build, 'libs/secret-box/src/index.js');
const secrets = new SecretBox(parseKeyRing(SECRET_KEYS));
const credentials = {
  tokens: [COMPONENT.token],
  encodingAesKeys: [COMPONENT.encodingAesKey],
  appid: COMPONENT.appid,
  mode: 'secure',
  formats: ['xml'],
};

const storage = databaseUrl.startsWith('sqlite:')
  ? openSqlite(databaseUrl.slice('sqlite:'.length))
  : openMysql(databaseUrl);

/** Each writer inserts rows in one statement that commits by itself, and calls back with how many were written. */
function openSqlite(path) {
  const db = new Sqlite(path);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  const statements = [];
  return {
    inFlight: 1,
    write(rows, done) {
      statements[rows.length] ??= db.prepare(insertSql('INSERT OR IGNORE', rows.length));
      done(null, statements[rows.length].run(...rows.flat()).changes);
    },
  };
}

function openMysql(url) {
  const { hostname, port, username, password, pathname } = new URL(url);
  const pool = createPool({
    host: hostname,
    port: Number(port || 3306),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1),
    charset: 'utf8mb4_bin',
    connectionLimit: mode === 'row' ? 32 : 16,
  });
  return {
    inFlight: 4,
    write(rows, done) {
      const sql = insertSql('INSERT IGNORE', rows.length);
      pool.query(sql, rows.flat(), (error, result) => done(error, result?.affectedRows));
    },
  };
}

function insertSql(verb, count) {
  return `${verb} INTO push (${COLUMNS}) VALUES ${Array(count).fill(PLACES).join(', ')}`;
}

/** Of one turn of the event loop, in one statement. */
const waiting = [];
let isPlanned = false;
let underWay = 0;

function keep(row, response) {
  if (mode === 'row') return writeAll([{ row, response }], () => undefined);
  waiting.push({ row, response });
  if (isPlanned) return;
  isPlanned = true;
  setImmediate(() => {
    isPlanned = false;
    flush();
  });
}

function flush() {
  while (waiting.length > 0 && underWay < storage.inFlight) {
    underWay += 1;
    writeAll(waiting.splice(0, MAX_ITEMS), () => {
      underWay -= 1;
      flush();
    });
  }
}

function writeAll(group, then) {
  storage.write(
    group.map(({ row }) => row),
    (error, written) => {
      if (error) console.error(error);
      const isKept = !error && written === group.length;
      for (const { response } of group) answer(response, isKept ? 200 : 500);
      then();
    },
  );
}

function answer(response, status) {
  const body = status === 200 ? 'success' : '';
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
  });
  response.end(body);
}

/** What the ledger keeps of a push. @throws Error for what is not a good push */
function rowOf(url, body) {
  const [path, query] = url.split('?', 2);
  const appid = /^\/wechat\/accounts\/([^/]+)\/messages$/.exec(path)?.[1];
  const opened = openPush(body, readPushQuery(parse(query)), credentials);
  const push = toPush(opened.fields);
  if (appid !== ACCOUNT.appid || push.toUserName !== ACCOUNT.originalId) throw new Error('appid');
  const now = new Date();
  const at = sqlTime(now);
  const id = uuidV7({ msecs: now.getTime() });
  const content = secrets.seal(opened.content, { owner: `push:${id}`, field: 'content' });
  const occurredAt = sqlTime(new Date(push.createTime * 1000));
  const key = dedupKey(opened);
  return [id, appid, key, push.kind, occurredAt, content, null, 'handled', 0, at, at, at];
}

function sqlTime(time) {
  return time.toISOString().slice(0, 23).replace('T', ' ');
}

const server = createServer((request, response) => {
  const chunks = [];
  let length = 0;
  request.on('data', (chunk) => {
    length += chunk.length;
    if (length > BODY_LIMIT_BYTES) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    try {
      keep(rowOf(request.url, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)), response);
    } catch (error) {
      console.error(error);
      answer(response, 400);
    }
  });
});

process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
