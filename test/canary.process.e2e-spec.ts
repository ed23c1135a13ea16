import { randomBytes } from 'node:crypto';
import { readdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { WechatSandbox } from '@app/wechat-sandbox';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { callbackUrl, linkOf, SERVICE_ACCOUNT } from './helpers.js';
import { type Program, serviceEnv, startService } from './processes.js';
import { until } from './until.js';

const unique = (bytes: number): string => randomBytes(bytes).toString('hex');

/** A value of its own for every secret, so that one that leaks can be found. */
const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: `canarySecret${unique(10)}`,
  token: `canaryToken${unique(8)}`,
  encodingAesKey: `canaryAes${unique(17)}`,
};
const adminKey = `canary-admin-${unique(24)}`;
const sealingKey = randomBytes(32).toString('base64');

let folder: string;
let sandbox: WechatSandbox;
let service: Program;
let url: string;
/** Everything that the API and the push door answered. */
const answers: string[] = [];

async function ask(path: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(`${url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
  });
  const text = await response.text();
  answers.push(JSON.stringify([...response.headers]), text);
  return text;
}

const authorize = (): Promise<string> =>
  ask('/api/v1/authorizations', { method: 'POST', body: '{"accountType":"any"}' });

/** The whole loop with everything that can go wrong on the way, at the chattiest log level. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'channel-canary-'));
  sandbox = await WechatSandbox.start({
    component,
    launchDomain: 'channel.test',
    pushRetryDelaysMs: [],
  });
  ({ service, url } = await startService(
    serviceEnv(`sqlite:${join(folder, 'channel.sqlite')}`, {
      PUBLIC_URL: 'http://channel.test',
      LOG_LEVEL: 'trace',
      ADMIN_API_KEY: adminKey,
      SECRET_KEYS: `k1:${sealingKey}`,
      WECHAT_COMPONENT_APPSECRET: component.appSecret,
      WECHAT_COMPONENT_TOKEN: component.token,
      WECHAT_COMPONENT_ENCODING_AES_KEY: component.encodingAesKey,
      WECHAT_API_BASE_URL: sandbox.url,
      WECHAT_MP_BASE_URL: sandbox.url,
      WECHAT_OPEN_BASE_URL: sandbox.url,
    }),
    folder,
  ));
  sandbox.eventsUrl = `${url}/wechat/component/events`;
  sandbox.messagesUrl = `${url}/wechat/accounts/$APPID$/messages`;
  await sandbox.pushTicket();
  await sandbox.pushTicket('ticket@@@canaryRefused', { badSignature: true });
  await sandbox.pushTicket('ticket@@@canaryOtherKey', { encodingAesKey: 'x'.repeat(43) });
  await until(async () => (await ask('/api/v1/component')).includes('"fresh"'));

  for (const kind of ['errcode', 'http_500', 'reset', 'not_json', 'lost_answer'] as const) {
    sandbox.faults.add({ path: '/cgi-bin/component/*', kind, errcode: 40001, times: 1 });
    await authorize();
  }
  sandbox.faults.clear();
  let launchUrl = '';
  // After so many faults the component's token has a pause of its own.
  await until(async () => {
    ({ launchUrl = '' } = JSON.parse(await authorize()) as { launchUrl?: string });
    return launchUrl !== '';
  });
  const page = await (await fetch(`${url}${new URL(launchUrl).pathname}`)).text();
  const link = new URL(linkOf(page, 'scan-link'));
  sandbox.faults.add({ path: '/cgi-bin/component/api_query_auth', kind: 'lost_answer' });
  const { authCode } = sandbox.authorize({
    appid: SERVICE_ACCOUNT,
    preAuthCode: link.searchParams.get('pre_auth_code') ?? '',
    push: false,
  });
  const callback = new URL(callbackUrl(link.searchParams.get('redirect_uri') ?? '', authCode));
  await fetch(`${url}${callback.pathname}${callback.search}`);
  sandbox.authorize({ appid: SERVICE_ACCOUNT, preAuthCode: null, permissionIds: [1] });
  await sandbox.settled();
  await until(async () =>
    (await ask(`/api/v1/accounts/${SERVICE_ACCOUNT}`)).includes('"missingPermissions":[{'),
  );
  await ask('/api/v1/accounts/sync', { method: 'POST' });
  await ask('/api/v1/accounts');
  await ask('/api/v1/authorizations', { method: 'POST', body: '{"accountType":"canary"}' });
  await ask('/docs-json');
  await ask('/health/ready');
  const file = new Sqlite(join(folder, 'channel.sqlite'));
  file.exec('UPDATE account SET enabled = 1');
  file.close();
  // A process remembers for a moment that an account was switched off.
  await until(async () => {
    await sandbox.pushMessage(SERVICE_ACCOUNT, { MsgType: 'text', Content: 'canaryMessage' });
    return (await ask('/api/v1/pushes?kind=message')).includes(SERVICE_ACCOUNT);
  });
  await sandbox.cancel(SERVICE_ACCOUNT).pushed;
  await until(async () => (await ask('/api/v1/events')).includes('account.unauthorized'));
  await ask('/api/v1/work');
  await ask('/metrics');
}, 60_000);

afterAll(async () => {
  await service.stop();
  await sandbox.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Ours, and every value that WeChat handed out. */
function secrets(): string[] {
  const { accessTokens, tickets, preAuthCodes, authorizationCodes, accounts } = sandbox.data;
  return [
    component.appSecret,
    component.token,
    component.encodingAesKey,
    adminKey,
    sealingKey,
    'canaryRefused',
    'canaryMessage',
    ...[accessTokens, tickets, preAuthCodes, authorizationCodes].flatMap((values) =>
      Object.keys(values),
    ),
    ...Object.values(accounts).flatMap(({ authorization }) => authorization?.refreshToken ?? []),
  ];
}

const leaksIn = (text: string): string[] => secrets().filter((secret) => text.includes(secret));

describe('no secret', () => {
  it('was left out of this search', () => {
    expect(secrets().length).toBeGreaterThan(12);
    expect(leaksIn(`x${component.token}y`)).toEqual([component.token]);
  });

  it('stands in a log line', () => {
    expect(service.output).toContain('"msg":"wechat.called"');
    expect(service.output).toContain('"msg":"push.refused"');
    expect(leaksIn(service.output)).toEqual([]);
    expect(leaksIn(decodeURIComponent(service.output.replace(/%(?![0-9a-f]{2})/gi, '')))).toEqual(
      [],
    );
  });

  it('stands in an answer', () => {
    expect(answers.join('\n')).toContain('wechat_unavailable');
    expect(answers.join('\n')).toContain('wechat_channel_pushes_total{');
    expect(leaksIn(answers.join('\n'))).toEqual([]);
  });

  it('stands in the database, its log or its index in clear text', async () => {
    const files = (await readdir(folder)).filter((name) => name.startsWith('channel.sqlite'));
    expect(files).toContain('channel.sqlite');
    for (const name of files)
      expect(leaksIn((await readFile(join(folder, name))).toString('latin1'))).toEqual([]);
  });
});
