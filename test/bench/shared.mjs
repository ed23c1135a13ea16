// What the parts of the push benchmark agree on.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';

export const COMPONENT = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: '0c0ffee00c0ffee00c0ffee00c0ffee0',
  token: 'fixtureToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
export const SECRET_KEYS = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
/** The account that the pushes are for. */
export const ACCOUNT = { appid: 'wx1badb002feedface', originalId: 'gh_7f083739789a' };

const SECONDS = 1_790_000_000;

/**
 * An event that is kept and that nobody handles, so that the door and the ledger are measured alone: what handling costs
 * beside them, `bench:receipts` tells. @param n makes it another one
 */
export function eventXml(n) {
  return `<xml><ToUserName><![CDATA[${ACCOUNT.originalId}]]></ToUserName><FromUserName><![CDATA[${openidOf(n)}]]></FromUserName><CreateTime>${SECONDS}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_create_session]]></Event><KfAccount><![CDATA[kf2001@fixture${3_000_000_000 + n}]]></KfAccount></xml>`;
}

/** What is agreed for the account's own pushes. */
export const OWN = {
  token: 'ownToken2026',
  encodingAesKey: 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg',
  mode: 'secure',
  format: 'xml',
};

/** The number of the message that the nth receipt of a mini-program is about. */
export function msgidOf(n) {
  return String(1_860_000_000_000_000_000n + BigInt(n));
}

/** The receipt of a subscription message, by the mini-program's own configuration. */
export function makeOwnReceipt(makeOwnPush, n) {
  const document = `<xml><ToUserName><![CDATA[${ACCOUNT.originalId}]]></ToUserName><FromUserName><![CDATA[${openidOf(n)}]]></FromUserName><CreateTime>${SECONDS}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe_msg_sent_event]]></Event><SubscribeMsgSentEvent><List><TemplateId><![CDATA[VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc]]></TemplateId><MsgID>${msgidOf(n)}</MsgID><ErrorCode>0</ErrorCode><ErrorStatus><![CDATA[success]]></ErrorStatus></List></SubscribeMsgSentEvent></xml>`;
  const address = { ...ACCOUNT, toUserName: ACCOUNT.originalId, openid: openidOf(n) };
  return makeOwnPush(document, OWN, address, SECONDS);
}

/** The same as WeChat delivers it: query and encrypted envelope. */
export function makeReceipt(makePush, n) {
  const address = { toUserName: ACCOUNT.originalId, openid: openidOf(n) };
  return makePush(eventXml(n), COMPONENT, SECONDS, {}, address);
}

function openidOf(n) {
  return `oia2TjuEGTNoeX76${String(n).padStart(12, '0')}`;
}

/** Imports a module of the build. @param folder where the build is */
export async function fromBuild(folder, file) {
  return import(pathToFileURL(`${folder}/${file}`).href);
}

const TASKSET = ['/usr/bin/taskset', '/bin/taskset'].find((path) => existsSync(path));
export const isPinned = TASKSET !== undefined && availableParallelism() > 1;

/**
 * Starts a program of Node on one processor, with nothing of this process's environment.
 *
 * @param cpu ignored where programs cannot be pinned
 * @param output a file descriptor for both of its streams
 */
export function startNode(cpu, args, { env = {}, output = 'inherit', ipc = true } = {}) {
  const command = [process.execPath, ...args];
  if (isPinned) command.unshift(TASKSET, '-c', String(cpu));
  return spawn(command[0], command.slice(1), {
    env: { PATH: '/usr/bin:/bin', NODE_ENV: 'production', ...env },
    stdio: ['ignore', output, output, ...(ipc ? ['ipc'] : [])],
  });
}

/** Resolves to the next message of a child. @throws Error when the child ends instead, or says that it failed */
export function answerOf(child, onProgress = () => undefined) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      child.off('message', hear);
      child.off('exit', leave);
      settle(value);
    };
    const hear = (message) => {
      if (message.progress !== undefined) onProgress(message.progress);
      else if (message.failure !== undefined) end(reject, new Error(message.failure));
      else end(resolve, message);
    };
    const leave = (code, signal) => end(reject, new Error(`A child ended (${code ?? signal}).`));
    child.on('message', hear);
    child.on('exit', leave);
  });
}
