import { RELEASE_TEST_ACCOUNTS, type ReleaseTestAccount } from '@app/wechat';

import type { PushResult } from './pusher.js';
import type { WechatSandbox } from './sandbox.js';
import type { SentMessage } from './state.js';

/** `ticket` is about the address of component events, the others about that of accounts' messages. */
export type ReleaseTestCase = 'ticket' | 'text' | 'api_text' | 'event';

export interface ReleaseTestResult {
  appid: string;
  case: ReleaseTestCase;
  passed: boolean;
  /** What came, in Chinese and English. */
  detail: string;
}

type Verdict = Pick<ReleaseTestResult, 'passed' | 'detail'>;

interface Subject extends ReleaseTestAccount {
  sandbox: WechatSandbox;
  appid: string;
  messageWithinMs: number;
}

const SENDER = 'oReleaseTestOpenId0000000001';
const TEXT = 'TESTCOMPONENT_MSG_TYPE_TEXT';
const QUERY_AUTH_PATH = '/cgi-bin/component/api_query_auth';
const SEND_PATH = '/cgi-bin/message/custom/send';
const MESSAGE_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 20;

const CASES: Readonly<Record<ReleaseTestCase, (subject: Subject) => Promise<Verdict>>> = {
  ticket: tryTicket,
  text: (subject) => tryReply(subject, { MsgType: 'text', Content: TEXT }, `${TEXT}_callback`),
  api_text: tryApiText,
  event: (subject) =>
    tryReply(
      subject,
      {
        MsgType: 'event',
        Event: 'LOCATION',
        Latitude: '23.137466',
        Longitude: '113.352425',
        Precision: '119.385040',
      },
      'LOCATIONfrom_callback',
    ),
};

/**
 * Plays WeChat's full-network release test (全网发布接入检测) against the platform that the sandbox pushes to.
 *
 * Each of the test accounts is added, authorizes the platform by itself, and goes through every case. WeChat takes one
 * pair of them at random; all are tried here, one after the other. A push that only a retry delivered is a failure.
 *
 * @param onStep told of every case when it has ended
 * @param messageWithinMs how long the customer-service message may take; WeChat waits for ten seconds
 * @returns one result for each case and account
 */
export async function runReleaseTest(
  sandbox: WechatSandbox,
  onStep: (result: ReleaseTestResult) => void,
  messageWithinMs = MESSAGE_WITHIN_MS,
): Promise<ReleaseTestResult[]> {
  const results: ReleaseTestResult[] = [];
  for (const [appid, account] of RELEASE_TEST_ACCOUNTS) {
    const subject = { ...account, sandbox, appid, messageWithinMs };
    await authorize(subject);
    for (const name of Object.keys(CASES) as ReleaseTestCase[]) {
      const result = { appid, case: name, ...(await CASES[name](subject)) };
      results.push(result);
      onStep(result);
    }
  }
  return results;
}

/** Whether the event of it arrives is no case of the test, only its condition. */
async function authorize({ sandbox, appid, originalId, accountType }: Subject): Promise<void> {
  sandbox.addAccount({
    appid,
    originalId,
    accountType,
    nickname: `全网发布检测 ${appid.slice(-4)}`,
  });
  await sandbox.authorize({ appid, preAuthCode: null }).pushed;
}

async function tryTicket({ sandbox }: Subject): Promise<Verdict> {
  const result = await sandbox.pushTicket();
  return isPrompt(result) ? passed('success') : failed(whatCame(result));
}

async function tryReply(
  { sandbox, appid, originalId }: Subject,
  fields: Record<string, string>,
  expected: string,
): Promise<Verdict> {
  const { reply, ...result } = await sandbox.pushMessage(appid, {
    FromUserName: SENDER,
    ...fields,
  });
  if (!isPrompt(result)) return failed(whatCame(result));
  if (!reply) return failed('没有被动回复 there was no passive reply');
  const wanted = {
    ToUserName: SENDER,
    FromUserName: originalId,
    MsgType: 'text',
    Content: expected,
  };
  for (const [name, value] of Object.entries(wanted)) {
    if (reply[name] !== value)
      return failed(`${name} 应为 should be ${value}: ${reply[name] ?? ''}`);
  }
  return passed(expected);
}

async function tryApiText(subject: Subject): Promise<Verdict> {
  const { sandbox, appid } = subject;
  const { authCode } = sandbox.authorize({ appid, preAuthCode: null, push: false });
  const { reply, ...result } = await sandbox.pushMessage(appid, {
    FromUserName: SENDER,
    MsgType: 'text',
    Content: `QUERY_AUTH_CODE:${authCode}`,
  });
  if (!isPrompt(result)) return failed(whatCame(result));
  if (reply) return failed('应先返回空 an empty answer should come first, not a passive reply');
  const message = await untilSent(subject, `${authCode}_from_api`);
  if (!message) return failed(whyNotSent(subject, authCode));
  if (message.authorizationCode !== authCode)
    return failed('没有使用该授权码换得的令牌 it was not sent with the token of this code');
  return passed('客服消息已收到 the customer-service message came');
}

async function untilSent(
  { sandbox, appid, messageWithinMs }: Subject,
  content: string,
): Promise<SentMessage | null> {
  // In real time: the sandbox's own may stand still.
  const deadline = Date.now() + messageWithinMs;
  for (;;) {
    const sent = sandbox.data.messages.find(
      (message) => message.appid === appid && isText(message, content),
    );
    if (sent) return sent;
    if (Date.now() >= deadline) return null;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function isText({ toUser, message }: SentMessage, content: string): boolean {
  const { msgtype, text } = message as { msgtype?: unknown; text?: { content?: unknown } };
  return toUser === SENDER && msgtype === 'text' && text?.content === content;
}

function whyNotSent({ sandbox, appid, messageWithinMs }: Subject, authCode: string): string {
  const exchanges = sandbox.journal.filter(
    ({ path, body }) =>
      path === QUERY_AUTH_PATH &&
      (body as { authorization_code?: unknown } | null)?.authorization_code === authCode,
  );
  if (exchanges.length === 0) return '授权码没有被兑换 the code was not exchanged';
  if (!exchanges.some(({ errcode }) => errcode === 0))
    return `授权码兑换失败 the exchange of the code failed: ${exchanges.at(-1)?.errcode}`;
  const last = sandbox.journal.findLast(
    ({ path, tokenAppid }) => path === SEND_PATH && tokenAppid === appid,
  );
  if (last?.errcode)
    return `客服消息被拒绝 the customer-service message was refused: ${last.errcode}`;
  return `${messageWithinMs / 1000} 秒内没有客服消息 no customer-service message came in time`;
}

/** The pusher itself gives up after five seconds, so only a first try counts. */
function isPrompt({ attempts, delivered }: PushResult): boolean {
  return delivered && attempts.length === 1;
}

function whatCame({ attempts }: PushResult): string {
  const first = attempts[0];
  if (!first) return '没有推送地址 there is no address to push to';
  if (first.status === null) return '5 秒内没有应答 no answer within 5 s';
  return `HTTP ${first.status} ${first.body.replace(/\s+/g, ' ').slice(0, 100)}`;
}

function passed(detail: string): Verdict {
  return { passed: true, detail };
}

function failed(detail: string): Verdict {
  return { passed: false, detail };
}
