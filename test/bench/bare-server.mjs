// What the service's push doors are measured against: the same work in nothing but node:http and a driver.
// Arguments: folder of the build, "group", "row" or "receipts", database URL. Tells its port over IPC.
// With "receipts" it is a mini-program's own address: a group is written with its receipts and their events at once.
import { createServer } from 'node:http';
import { parse } from 'node:querystring';

import Sqlite from 'better-sqlite3';
import { createPool } from 'mysql2';
import { v7 as uuidV7 } from 'uuid';

import { ACCOUNT, COMPONENT, fromBuild, OWN, SECRET_KEYS } from './shared.mjs';

const MAX_ITEMS = 500;
const BODY_LIMIT_BYTES = 256 * 1024;
const COLUMNS =
  'id, account, dedup_key, kind, occurred_at, content, answer, state, attempts, next_try_at, received_at, handled_at, lease_until';
const PLACES = '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)';

const [, , build, mode, databaseUrl] = process.argv;
const { dedupKey, openPush, readPushQuery, readSubscriptionEvent, toPush } = await fromBuild(
  build,
  'libs/wechat/src/index.js',
);
const { parseKeyRing, SecretBox } = await fromBuild(build, 'libs/secret-box/src/index.js');
const secrets = new SecretBox(parseKeyRing(SECRET_KEYS));
const isReceipts = mode === 'receipts';
const identity = isReceipts ? { ...OWN, appid: ACCOUNT.appid } : COMPONENT;
const credentials = {
  tokens: [identity.token],
  encodingAesKeys: [identity.encodingAesKey],
  appid: identity.appid,
  mode: 'secure',
  formats: ['xml'],
};
const PATH = isReceipts
  ? /^\/wechat\/receipts\/[\w-]+$/
  : new RegExp(`^/wechat/accounts/${ACCOUNT.appid}/messages$`);

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
    writeAll: db.transaction((inserts) => {
      for (const { sql, values } of inserts) db.prepare(sql).run(...values);
    }),
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
    async writeAll(inserts) {
      const connection = await pool.promise().getConnection();
      try {
        await connection.beginTransaction();
        for (const { sql, values } of inserts) await connection.query(sql, values);
        await connection.commit();
      } finally {
        connection.release();
      }
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

function keep(kept, response) {
  if (mode === 'row') return writeAll([{ ...kept, response }], () => undefined);
  waiting.push({ ...kept, response });
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
    const write = isReceipts ? writeReceipts : writeAll;
    write(waiting.splice(0, MAX_ITEMS), () => {
      underWay -= 1;
      flush();
    });
  }
}

const RECEIPT = {
  into: 'receipt (received_at, id, appid, event, openid, template_id, msgid, status, error_code, detail, occurred_at, payload)',
  places: '(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
};
const EVENT = {
  into: 'event (id, position, type, version, subject_key, tenant_id, appid, payload, occurred_at, emitted_at)',
  places: "(?, NULL, 'receipt.received', 1, ?, 'bench', ?, ?, ?, ?)",
};

/** The pushes of a group, their receipts, and the events that tell of them. */
function insertsOf(group) {
  const receipts = group.flatMap(({ receipts }) => receipts);
  const insert = ({ into, places }, rows) => ({
    sql: `INSERT INTO ${into} VALUES ${rows.map(() => places).join(', ')}`,
    values: rows.flat(),
  });
  return [
    insert(
      { into: `push (${COLUMNS})`, places: PLACES },
      group.map(({ row }) => row),
    ),
    insert(
      RECEIPT,
      receipts.map(({ receipt }) => receipt),
    ),
    insert(
      EVENT,
      receipts.map(({ event }) => event),
    ),
  ];
}

function writeReceipts(group, then) {
  const written = async () => storage.writeAll(insertsOf(group));
  void written()
    .then(() => 200)
    .catch((error) => {
      console.error(error);
      return 500;
    })
    .then((status) => {
      for (const { response } of group) answer(response, status);
      then();
    });
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

/** What the ledger keeps of a push, and its receipts. @throws Error for what is not a good push */
function rowOf(url, body) {
  const [path, query] = url.split('?', 2);
  const opened = openPush(body, readPushQuery(parse(query)), credentials);
  const push = toPush(opened.fields);
  if (!PATH.test(path) || push.toUserName !== ACCOUNT.originalId) throw new Error('appid');
  const now = new Date();
  const at = sqlTime(now);
  const id = uuidV7({ msecs: now.getTime() });
  const content = secrets.seal(opened.content, { owner: `push:${id}`, field: 'content' });
  const occurredAt = sqlTime(new Date(push.createTime * 1000));
  const key = dedupKey(opened);
  const { appid } = ACCOUNT;
  const row = [id, appid, key, push.kind, occurredAt, content, null, 'handled', 0, at, at, at];
  return { row, receipts: isReceipts ? receiptsOf(push, { at, occurredAt }) : [] };
}

function receiptsOf({ event, fromUserName: openid, fields }, { at, occurredAt }) {
  const { appid } = ACCOUNT;
  return readSubscriptionEvent(event, fields).map((entry) => {
    const id = uuidV7();
    const { templateId, msgid, status, errorCode, detail } = entry;
    const about = { appid, receiptId: id, event, openid };
    const payload = JSON.stringify({ ...about, ...entry, payload: undefined, occurredAt });
    return {
      receipt: [
        at,
        id,
        appid,
        event,
        openid,
        templateId,
        msgid,
        status,
        errorCode,
        detail,
        occurredAt,
        JSON.stringify(entry.payload),
      ],
      event: [uuidV7(), `${appid}/${openid}`, appid, payload, at, at],
    };
  });
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
