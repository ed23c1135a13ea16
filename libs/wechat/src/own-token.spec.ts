import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { WechatApiError } from './errors.js';
import { WechatHttp } from './http.js';
import { getStableToken, getTokenOwner, refusedIp } from './own-token.js';

const account = { appid: 'wx3c0ffee53c0ffee5', appSecret: '0123456789abcdef0123456789abcdef' };

let server: Server;
let http: WechatHttp;
let answer: object;
let sent: { method: string; url: string; body: unknown };

beforeEach(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      sent = { method, url, body: JSON.parse(Buffer.concat(chunks).toString()) };
      response.end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  http = new WechatHttp({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
afterEach(async () => {
  await http.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('getStableToken', () => {
  it('asks in normal mode, with the secret in the body', async () => {
    answer = { access_token: '72_a', expires_in: 345 };
    expect(await getStableToken(http, account)).toEqual({
      accessToken: '72_a',
      expiresInSeconds: 345,
    });
    expect(sent).toEqual({
      method: 'POST',
      url: '/cgi-bin/stable_token',
      body: {
        grant_type: 'client_credential',
        appid: account.appid,
        secret: account.appSecret,
        force_refresh: false,
      },
    });
  });

  it.each([
    {},
    { access_token: '', expires_in: 7200 },
    { access_token: 72, expires_in: 7200 },
    { access_token: '72_a' },
    { access_token: '72_a', expires_in: 0 },
  ])('refuses an answer like %j', async (wrong) => {
    answer = wrong;
    await expect(getStableToken(http, account)).rejects.toMatchObject({ failure: 'bad_answer' });
  });

  it('repeats the secret in no error', async () => {
    answer = { errcode: 40125, errmsg: `invalid appsecret ${account.appSecret}` };
    const error = await getStableToken(http, account).catch((refused: unknown) => refused);
    expect(error).toMatchObject({ errcode: 40125, errorClass: 'config' });
    expect(String(error)).not.toContain(account.appSecret);
  });
});

describe('getTokenOwner', () => {
  it('asks with the token in the query', async () => {
    answer = { errcode: 0, errmsg: 'ok', appid: account.appid, account_type: 3 };
    expect(await getTokenOwner(http, '72_a')).toBe(account.appid);
    expect(sent).toEqual({
      method: 'POST',
      url: '/cgi-bin/account/getaccountbasicinfo?access_token=72_a',
      body: {},
    });
  });

  it.each([{}, { appid: '' }, { appid: 1 }])('takes %j as no answer', async (unclear) => {
    answer = unclear;
    expect(await getTokenOwner(http, '72_a')).toBeNull();
  });
});

describe('refusedIp', () => {
  it.each([
    [40164, 'invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist', '203.0.113.7'],
    [40164, 'invalid ip 2001:db8::7, not in whitelist', '2001:db8::7'],
    [61004, 'access clientip is not registered requestIP: 203.0.113.7', '203.0.113.7'],
    [89503, 'not confirmed by the administrator', ''],
    [45035, 'access clientip is not registered', ''],
    [40125, 'invalid appsecret 203.0.113.7', null],
  ])('%d %s', (errcode, errmsg, ip) => {
    expect(refusedIp(new WechatApiError(errcode, errmsg, null, '/cgi-bin/stable_token'))).toBe(ip);
  });
});
