// What custody is measured against: every caller reads the row and, when its token has run out, asks WeChat for another
// and writes it down. The same table, client of WeChat and encryption as the service's.
// Arguments: folder of the build, database URL, WeChat's origin.
import { createPool } from 'mysql2/promise';

import { COMPONENT, fromBuild, SECRET_KEYS } from './shared.mjs';
import { askAtOnce, serve } from './tokens-shared.mjs';

const CONNECTIONS = 10;

const [, , build, databaseUrl, wechatUrl] = process.argv;
const { refreshAuthorizerToken, WechatHttp } = await fromBuild(build, 'libs/wechat/src/index.js');
const { parseKeyRing, SecretBox } = await fromBuild(build, 'libs/secret-box/src/index.js');
const secrets = new SecretBox(parseKeyRing(SECRET_KEYS));
const wechat = new WechatHttp({ baseUrl: wechatUrl });
const pool = createPool({ uri: databaseUrl, connectionLimit: CONNECTIONS, timezone: 'Z' });

async function getToken(appid, componentToken) {
  const binding = (field) => ({ owner: `token:${appid}`, field });
  const [[row]] = await pool.execute(
    'SELECT access_token, refresh_token, expires_at FROM token WHERE appid = ?',
    [appid],
  );
  if (row.access_token && row.expires_at > new Date())
    return secrets.open(row.access_token, binding('accessToken'));
  const { accessToken, expiresInSeconds, refreshToken } = await refreshAuthorizerToken(
    wechat,
    componentToken,
    {
      componentAppid: COMPONENT.appid,
      appid,
      refreshToken: secrets.open(row.refresh_token, binding('refreshToken')),
    },
  );
  await pool.execute(
    'UPDATE token SET access_token = ?, refresh_token = ?, expires_at = ? WHERE appid = ?',
    [
      secrets.seal(accessToken, binding('accessToken')),
      secrets.seal(refreshToken, binding('refreshToken')),
      new Date(Date.now() + expiresInSeconds * 1_000),
      appid,
    ],
  );
  return accessToken;
}

serve({
  crowd: ({ appid, callers, componentToken }) =>
    askAtOnce(() => getToken(appid, componentToken), callers),
});
