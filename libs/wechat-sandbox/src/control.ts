import type { ServerResponse } from 'node:http';

import type { XmlInput } from '@app/wechat';

import type { Fault } from './faults.js';
import type { PushConfig, SandboxReceipt } from './own-push.js';
import { PEOPLE_COMMANDS } from './people-control.js';
import type { Corruption } from './pusher.js';
import type { WechatSandbox } from './sandbox.js';
import type { SandboxAccount } from './state.js';

type Input = Record<string, unknown>;

/** What can be scripted over HTTP: `POST /_sandbox/<name>` with a JSON body. The README lists it. */
const COMMANDS: Readonly<Record<string, (sandbox: WechatSandbox, input: Input) => unknown>> = {
  state: ({ data, eventsUrl, messagesUrl, launchDomain }) => ({
    now: new Date().toISOString(),
    eventsUrl,
    messagesUrl,
    launchDomain,
    accounts: Object.values(data.accounts),
    messages: data.messages,
  }),
  journal: ({ journal }) => journal,
  settings: (sandbox, input) => {
    if (typeof input['eventsUrl'] === 'string') sandbox.eventsUrl = input['eventsUrl'];
    if (typeof input['messagesUrl'] === 'string') sandbox.messagesUrl = input['messagesUrl'];
    if (typeof input['launchDomain'] === 'string') sandbox.launchDomain = input['launchDomain'];
    const { eventsUrl, messagesUrl, launchDomain } = sandbox;
    return { eventsUrl, messagesUrl, launchDomain };
  },
  ticket: (sandbox, input) =>
    sandbox.pushTicket(
      typeof input['ticket'] === 'string' ? input['ticket'] : undefined,
      input['corruption'] as Corruption,
    ),
  account: (sandbox, input) =>
    sandbox.addAccount({ ...input, appid: textOf(input, 'appid') } as SandboxAccount),
  authorize: async (sandbox, input) => {
    const { pushed, ...made } = sandbox.authorize({
      appid: textOf(input, 'appid'),
      preAuthCode: typeof input['preAuthCode'] === 'string' ? input['preAuthCode'] : null,
      ...(Array.isArray(input['permissionIds']) && {
        permissionIds: input['permissionIds'].map(Number),
      }),
      push: input['push'] !== false,
    });
    return { ...made, push: await pushed };
  },
  cancel: async (sandbox, input) => {
    const { pushed, ...made } = sandbox.cancel(textOf(input, 'appid'), {
      push: input['push'] !== false,
    });
    return { ...made, push: await pushed };
  },
  'rotate-refresh-token': (sandbox, input) => {
    sandbox.rotateRefreshToken(textOf(input, 'appid'));
    return {};
  },
  push: (sandbox, input) =>
    typeof input['xml'] === 'string'
      ? sandbox.pushXml(input['xml'], input['corruption'] as Corruption)
      : sandbox.pushEvent(
          (input['fields'] ?? {}) as Record<string, string>,
          input['corruption'] as Corruption,
        ),
  message: (sandbox, input) =>
    sandbox.pushMessage(
      textOf(input, 'appid'),
      (input['fields'] ?? {}) as XmlInput,
      input['corruption'] as Corruption,
    ),
  'push-config': (sandbox, input) =>
    sandbox.savePushConfig(textOf(input, 'appid'), {
      url: textOf(input, 'url'),
      token: textOf(input, 'token'),
      encodingAesKey: typeof input['encodingAesKey'] === 'string' ? input['encodingAesKey'] : '',
      mode: (input['mode'] ?? 'plaintext') as PushConfig['mode'],
      format: (input['format'] ?? 'xml') as PushConfig['format'],
    }),
  'own-push': (sandbox, input) =>
    sandbox.pushOwn(textOf(input, 'appid'), (input['fields'] ?? {}) as XmlInput, input),
  receipt: (sandbox, input) =>
    sandbox.pushReceipt(textOf(input, 'appid'), input as unknown as SandboxReceipt, input),
  fault: (sandbox, input) => {
    sandbox.faults.add({
      ...input,
      path: textOf(input, 'path'),
      kind: textOf(input, 'kind') as Fault['kind'],
    });
    return {};
  },
  'clear-faults': (sandbox) => {
    sandbox.faults.clear();
    return {};
  },
  'daily-limit': ({ data }, input) => {
    data.dailyLimits[textOf(input, 'path')] = Number(input['limit']);
    return data.dailyLimits;
  },
  advance: ({ data }, input) => {
    data.clockOffsetMs += Number(input['seconds'] ?? 0) * 1000;
    return { clockOffsetMs: data.clockOffsetMs };
  },
  ...PEOPLE_COMMANDS,
};

/** Answers the control API: 200 with the result, 404 for another command, 400 for input it cannot use. */
export async function handleControl(
  sandbox: WechatSandbox,
  url: URL,
  body: string,
  response: ServerResponse,
): Promise<void> {
  const command = COMMANDS[url.pathname.slice('/_sandbox/'.length)];
  if (!command)
    return send(response, 404, { error: 'unknown command', commands: Object.keys(COMMANDS) });
  try {
    const input: unknown = body === '' ? {} : JSON.parse(body);
    send(response, 200, await command(sandbox, { ...(input as Input) }));
  } catch (error) {
    send(response, 400, { error: error instanceof Error ? error.message : 'bad input' });
  }
}

function textOf(input: Input, name: string): string {
  const value = input[name];
  if (typeof value !== 'string') throw new TypeError(`"${name}" is missing`);
  return value;
}

function send(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify(value ?? {}));
}
