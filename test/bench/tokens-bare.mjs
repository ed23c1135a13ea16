// What reading a token is measured against: a driver's select by primary key, and opening what it finds.
// Arguments: folder of the build, database URL.
import Sqlite from 'better-sqlite3';
import { createPool } from 'mysql2/promise';

import { fromBuild, SECRET_KEYS } from './shared.mjs';
import { measureCallers, serve } from './tokens-shared.mjs';

const SELECT = 'SELECT access_token, expires_at FROM token WHERE appid = ?';
/** As many as the service has. */
const CONNECTIONS = 16;

const [, , build, databaseUrl] = process.argv;
const { parseKeyRing, SecretBox } = await fromBuild(build, 'libs/secret-box/src/index.js');
const secrets = new SecretBox(parseKeyRing(SECRET_KEYS));
const find = databaseUrl.startsWith('sqlite:')
  ? openSqlite(databaseUrl.slice('sqlite:'.length))
  : openMysql(databaseUrl);

function openSqlite(path) {
  const select = new Sqlite(path, { fileMustExist: true }).prepare(SELECT);
  return (appid) => select.get(appid);
}

function openMysql(url) {
  const pool = createPool({ uri: url, connectionLimit: CONNECTIONS });
  return async (appid) => {
    const [[row]] = await pool.execute(SELECT, [appid]);
    return row;
  };
}

async function getToken(appid) {
  const row = await find(appid);
  return secrets.open(row.access_token, { owner: `token:${appid}`, field: 'accessToken' });
}

serve({ miss: ({ seconds }) => measureCallers(getToken, seconds) });
