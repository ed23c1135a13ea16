import type { AccountType } from './permissions.js';
import type { EventPush, MessagePush } from './push.js';
import type { XmlValue } from './xml.js';

/** An account of WeChat's own, with which it tries a platform. */
export interface ReleaseTestAccount {
  /** `gh_…`: what the account's pushes are addressed to. */
  readonly originalId: string;
  readonly accountType: AccountType;
}

/** What the release test wants to see after a push of one of its accounts. */
export type ReleaseTestAnswer =
  /** A passive text reply. */
  | { kind: 'reply'; content: string }
  /** An empty answer at once; then a customer-service message to the sender, under the token of this code. */
  | { kind: 'query_auth'; authorizationCode: string; content: string };

type Row = readonly [appid: string, originalId: string];

const OFFICIAL_ACCOUNTS: readonly Row[] = [
  ['wx570bc396a51b8ff8', 'gh_3c884a361561'],
  ['wx9252c5e0bb1836fc', 'gh_c0f28a78b318'],
  ['wx8e1097c5bc82cde9', 'gh_3f222ed8d140'],
  ['wx14550af28c71a144', 'gh_26128078e9ab'],
  ['wxa35b9c23cfe664eb', 'gh_2b3713f184a6'],
];

const MINI_PROGRAMS: readonly Row[] = [
  ['wxd101a85aa106f53e', 'gh_8dad206e9538'],
  ['wxc39235c15087f6f3', 'gh_905ae9d01059'],
  ['wx7720d01d4b2a4500', 'gh_393666f1fdf4'],
  ['wx05d483572dcd5d8b', 'gh_39abb5d4e1b7'],
  ['wx5910277cae6fd970', 'gh_7818dcb60240'],
];

const TEXT = 'TESTCOMPONENT_MSG_TYPE_TEXT';
const QUERY_AUTH = 'QUERY_AUTH_CODE:';

/**
 * The accounts of the full-network release test (全网发布接入检测), by appid. Each release is tried with some of them.
 *
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/operation/thirdparty/releases_instructions.html
 */
export const RELEASE_TEST_ACCOUNTS: ReadonlyMap<string, ReleaseTestAccount> = new Map([
  ...OFFICIAL_ACCOUNTS.map((row) => toEntry(row, 'official_account')),
  ...MINI_PROGRAMS.map((row) => toEntry(row, 'mini_program')),
]);

function toEntry([appid, originalId]: Row, accountType: AccountType): [string, ReleaseTestAccount] {
  return [appid, { originalId, accountType }];
}

/** Whether the account is WeChat's tester and nobody's customer. */
export function isReleaseTestAccount(appid: string): boolean {
  return RELEASE_TEST_ACCOUNTS.has(appid);
}

/**
 * Tells what the release test expects for a push. Only for accounts of {@link isReleaseTestAccount}: any event of
 * theirs has an answer.
 *
 * @returns null for a push that is no case of the test
 * @see https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/operation/thirdparty/releases_instructions.html
 */
export function releaseTestAnswer(push: MessagePush | EventPush): ReleaseTestAnswer | null {
  // As WeChat spelt it: the test compares to the letter.
  if (push.kind === 'event')
    return { kind: 'reply', content: `${text(push.fields['Event']) ?? push.event}from_callback` };
  const content = push.msgType === 'text' ? text(push.fields['Content']) : null;
  if (content === TEXT) return { kind: 'reply', content: `${TEXT}_callback` };
  if (!content?.startsWith(QUERY_AUTH)) return null;
  const authorizationCode = content.slice(QUERY_AUTH.length);
  if (authorizationCode === '') return null;
  return { kind: 'query_auth', authorizationCode, content: `${authorizationCode}_from_api` };
}

function text(value: XmlValue | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
