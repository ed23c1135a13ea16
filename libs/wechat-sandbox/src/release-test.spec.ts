import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import {
  openPush,
  readPushQuery,
  RELEASE_TEST_ACCOUNTS,
  releaseTestAnswer,
  sealReply,
  textReply,
  toPush,
} from '@app/wechat';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { type ReleaseTestResult, runReleaseTest, WechatSandbox } from './index.js';

const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: 'sandbox0secret0sandbox0secret000',
  token: 'sandboxToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
const own = { component_appid: component.appid };
const CASES = ['ticket', 'text', 'api_text', 'event'];

type Info = Record<
  'authorizer_appid' | 'authorizer_access_token' | 'authorizer_refresh_token',
  string
>;

/** What a platform may do wrong. */
interface Mistakes {
  /** Answers everything, and does nothing. */
  isIdle?: boolean;
  content?: string;
  /** Sends with a token that it refreshed. */
  refreshes?: boolean;
  /** Answers the code's message with a passive reply. */
  repliesToCode?: boolean;
  exchangesWrongCode?: boolean;
  /** The first push of each is answered with this status. */
  firstStatus?: number;
}

let sandbox: WechatSandbox;
let platform: Server;
let mistakes: Mistakes;
let ticket: string;
let seen: Set<string>;
let background: Promise<void>[];

beforeEach(async () => {
  mistakes = {};
  seen = new Set();
  background = [];
  platform = createServer((incoming, response) => {
    void answer(incoming).then(({ status, body }) => response.writeHead(status).end(body));
  });
  await new Promise<void>((resolve) => platform.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(platform.address() as AddressInfo).port}`;
  sandbox = await WechatSandbox.start({
    component,
    launchDomain: 'channel.test',
    eventsUrl: `${url}/events`,
    messagesUrl: `${url}/accounts/$APPID$/messages`,
    pushRetryDelaysMs: [0],
  });
});

afterEach(async () => {
  await Promise.all(background);
  await sandbox.stop();
  platform.closeAllConnections();
  await new Promise((resolve) => platform.close(resolve));
});

async function answer(incoming: IncomingMessage): Promise<{ status: number; body: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const url = new URL(incoming.url ?? '', 'http://x');
  const { content, fields } = openPush(
    Buffer.concat(chunks),
    readPushQuery(Object.fromEntries(url.searchParams)),
    {
      tokens: [component.token],
      encodingAesKeys: [component.encodingAesKey],
      appid: component.appid,
      mode: 'secure',
      formats: ['xml'],
    },
  );
  const status = seen.has(content) ? 200 : (mistakes.firstStatus ?? 200);
  seen.add(content);
  return { status, body: status === 200 ? act(toPush(fields)) : '' };
}

function act(push: ReturnType<typeof toPush>): string {
  if (push.kind === 'component_verify_ticket') ticket = push.ticket;
  if ((push.kind !== 'message' && push.kind !== 'event') || mistakes.isIdle) return 'success';
  const wanted = releaseTestAnswer(push);
  const seal = (content: string): string =>
    sealReply(textReply({ to: push.fromUserName, from: push.toUserName, createTime: 1 }, content), {
      ...component,
      timestamp: 1,
      nonce: '1',
      format: 'xml',
    });
  if (wanted?.kind === 'reply') return seal(mistakes.content ?? wanted.content);
  if (wanted?.kind !== 'query_auth') return 'success';
  if (mistakes.repliesToCode) return seal(wanted.content);
  background.push(sendByCode(push.fromUserName, wanted));
  return '';
}

async function sendByCode(
  toUser: string,
  { authorizationCode, content }: { authorizationCode: string; content: string },
): Promise<void> {
  const { component_access_token: token } = await call('/component/api_component_token', {
    ...own,
    component_appsecret: component.appSecret,
    component_verify_ticket: ticket,
  });
  const exchanged = await call(
    '/component/api_query_auth',
    {
      ...own,
      authorization_code: mistakes.exchangesWrongCode ? 'unknown' : authorizationCode,
    },
    token,
  );
  const info = exchanged['authorization_info'] as Info | undefined;
  if (!info) return;
  const refreshed = mistakes.refreshes
    ? await call(
        '/component/api_authorizer_token',
        {
          ...own,
          authorizer_appid: info.authorizer_appid,
          authorizer_refresh_token: info.authorizer_refresh_token,
        },
        token,
      )
    : info;
  await call(
    '/message/custom/send',
    { touser: toUser, msgtype: 'text', text: { content: mistakes.content ?? content } },
    refreshed['authorizer_access_token'],
  );
}

async function call(path: string, body: object, token?: unknown): Promise<Record<string, unknown>> {
  const response = await request(`${sandbox.url}/cgi-bin${path}`, {
    method: 'POST',
    query: typeof token === 'string' ? { access_token: token } : {},
    body: JSON.stringify(body),
  });
  return (await response.body.json()) as Record<string, unknown>;
}

/** The cases of one account, `true` or what came: every account goes the same way. */
function summary(results: readonly ReleaseTestResult[]): unknown[] {
  const rows = [...RELEASE_TEST_ACCOUNTS.keys()].map((appid) =>
    results
      .filter((result) => result.appid === appid)
      .map(({ passed, detail }) => (passed ? true : detail)),
  );
  for (const row of rows) expect(row).toEqual(rows[0]);
  return rows[0] ?? [];
}

describe('the release test', () => {
  it('passes a platform that does everything, case by case, with every account', async () => {
    const told: ReleaseTestResult[] = [];
    const results = await runReleaseTest(sandbox, (result) => told.push(result));
    expect(results.filter(({ passed }) => !passed)).toEqual([]);
    expect(results.map((result) => [result.appid, result.case])).toEqual(
      [...RELEASE_TEST_ACCOUNTS.keys()].flatMap((appid) => CASES.map((name) => [appid, name])),
    );
    expect(told).toEqual(results);
    expect(sandbox.data.messages).toHaveLength(10);
  });

  it('passes a second time', async () => {
    await runReleaseTest(sandbox, () => undefined);
    const again = await runReleaseTest(sandbox, () => undefined);
    expect(summary(again)).toEqual([true, true, true, true]);
  });

  it.each<[string, Mistakes, unknown[]]>([
    [
      'does nothing',
      { isIdle: true },
      [
        true,
        expect.stringMatching(/no passive reply/),
        expect.stringMatching(/code was not exchanged/),
        expect.stringMatching(/no passive reply/),
      ],
    ],
    [
      'says something else',
      { content: 'x' },
      [
        true,
        expect.stringMatching(/Content .*_callback: x/),
        expect.stringMatching(/no customer-service message/),
        expect.stringMatching(/Content .*: x/),
      ],
    ],
    [
      'uses another token',
      { refreshes: true },
      [true, true, expect.stringMatching(/token of this code/), true],
    ],
    [
      'replies to the code',
      { repliesToCode: true },
      [true, true, expect.stringMatching(/empty answer/), true],
    ],
    [
      'exchanges another code',
      { exchangesWrongCode: true },
      [true, true, expect.stringMatching(/not exchanged/), true],
    ],
    [
      'needs a second push',
      { firstStatus: 503 },
      [
        expect.stringMatching(/HTTP 503/),
        expect.stringMatching(/HTTP 503/),
        expect.stringMatching(/HTTP 503/),
        expect.stringMatching(/HTTP 503/),
      ],
    ],
  ])('fails a platform that %s', async (_case, made, expected) => {
    mistakes = made;
    const results = await runReleaseTest(sandbox, () => undefined, 150);
    expect(summary(results)).toEqual(expected);
  });

  it.each([
    ['/cgi-bin/component/api_query_auth', /exchange of the code failed: -1$/],
    ['/cgi-bin/message/custom/send', /message was refused: -1$/],
  ])('says that %s refused', async (path, expected) => {
    sandbox.faults.add({ path, kind: 'errcode', errcode: -1, times: 10 });
    const results = await runReleaseTest(sandbox, () => undefined, 150);
    expect(summary(results)).toEqual([true, true, expect.stringMatching(expected), true]);
  });

  it('says that there is nowhere to push to', async () => {
    sandbox.messagesUrl = null;
    const nowhere = expect.stringContaining('no address');
    const results = await runReleaseTest(sandbox, () => undefined);
    expect(summary(results)).toEqual([true, nowhere, nowhere, nowhere]);
  });
});
