import type { XmlInput } from '@app/wechat';

import type { Person } from './person.js';
import type { Release, ResultTiming } from './results.js';
import type { WechatSandbox } from './sandbox.js';
import type { SandboxTemplate } from './templates.js';

type Input = Record<string, unknown>;
type Command = (sandbox: WechatSandbox, input: Input) => unknown;

const TIMINGS: readonly ResultTiming[] = ['after_answer', 'before_answer', 'held'];

const textOf = (input: Input, name: string, missing?: string): string => {
  const value = input[name] ?? missing;
  if (typeof value !== 'string') throw new TypeError(`"${name}" is missing`);
  return value;
};
const textsOf = (input: Input, name: string): string[] => {
  const value = input[name];
  if (!Array.isArray(value)) throw new TypeError(`"${name}" is no list`);
  return value.map(String);
};

/** Somebody does something. What only the account knows of, or nobody, answers with how she stands to it then. */
const person =
  (act: (person: Person, input: Input) => unknown): Command =>
  async (sandbox, input) => {
    const somebody = sandbox.person(textOf(input, 'appid'), textOf(input, 'openid'));
    return (await act(somebody, input)) ?? somebody.state;
  };

/** What people do, what accounts have ready for them, and when results are told. */
export const PEOPLE_COMMANDS: Readonly<Record<string, Command>> = {
  person: person(({ state, messages }) => ({ ...state, messages })),
  follow: person((one, input) =>
    one.follow(typeof input['scene'] === 'string' ? input['scene'] : undefined),
  ),
  unfollow: person((one) => one.unfollow()),
  write: person((one, input) =>
    one.write((input['fields'] as XmlInput | undefined) ?? textOf(input, 'content')),
  ),
  scan: person((one, input) => one.scan(textOf(input, 'scene'))),
  'click-menu': person((one, input) =>
    one.clickMenu(textOf(input, 'key'), input['event'] === 'VIEW' ? 'VIEW' : 'CLICK'),
  ),
  'click-message-menu': person((one, input) =>
    one.clickMessageMenu(textOf(input, 'id'), textOf(input, 'content')),
  ),
  'enter-session': person((one, input) => one.enterSession(textOf(input, 'sessionFrom', ''))),
  accept: person((one, input) => one.accept(...textsOf(input, 'templateIds'))),
  reject: person((one, input) => one.reject(...textsOf(input, 'templateIds'))),
  withdraw: person((one, input) => one.withdraw(...textsOf(input, 'templateIds'))),
  block: person((one, input) => one.block(input['isBlocking'] !== false)),
  blacklist: person((one, input) => one.blacklist(input['isBlacklisted'] !== false)),
  tag: person((one, input) => one.tag(...textsOf(input, 'tagIds').map(Number))),
  'spoil-result': person((one, input) =>
    one.spoilNextResult({
      status: textOf(input, 'status'),
      ...(typeof input['errorCode'] === 'string' && { errorCode: input['errorCode'] }),
    }),
  ),
  template: (sandbox, input) =>
    sandbox.addTemplate(textOf(input, 'appid'), {
      ...(input as Partial<SandboxTemplate>),
      title: textOf(input, 'title'),
      content: textOf(input, 'content'),
    }),
  'qr-code-limit': (sandbox, input) => {
    const account = sandbox.account(textOf(input, 'appid'));
    account.permanentQrCodes = Number(input['limit']);
    return { permanentQrCodes: account.permanentQrCodes };
  },
  results: ({ results }, input) => {
    const timing = TIMINGS.find((one) => one === input['timing']);
    if (timing) results.timing = timing;
    return { timing: results.timing, held: results.held };
  },
  'release-results': ({ results }, input) => results.release(input as Release),
  'drop-results': ({ results }, input) => ({
    dropped: results.drop(input['msgids'] === undefined ? undefined : textsOf(input, 'msgids')),
  }),
  'minute-limit': ({ data }, input) => {
    data.minuteLimits[textOf(input, 'path')] = Number(input['limit']);
    return data.minuteLimits;
  },
};
