import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

import { conversationOf } from './conversation.js';
import { FIRST_OPENID } from './first-person.js';
import { errorPage } from './page.js';
import type { Person } from './person.js';
import {
  accountsPage,
  conversationPage,
  CONVERSATION_POLICY,
  NOTICES,
  type Notice,
  phonePage,
  PHONE_POLICY,
} from './phone-page.js';
import { readQrCode } from './qr-codes.js';
import type { WechatSandbox } from './sandbox.js';

const OPENID = /^[\w-]{1,64}$/;
/** So long an answer to what she did is waited for; what comes later shows up by itself. */
const ANSWER_MS = 1_500;

type Action = (person: Person, form: URLSearchParams) => Promise<unknown>;

/** What a person does, by the last part of the path. */
const ACTIONS: Readonly<Record<string, Action>> = {
  follow: (person) => person.follow(),
  unfollow: (person) => person.unfollow(),
  scan: (person, form) => person.scan(form.get('code')?.trim() ?? ''),
  write: (person, form) => person.write(form.get('text') ?? ''),
  'tap-menu': (person, form) => person.clickMenu(form.get('key') ?? ''),
  'tap-message-menu': (person, form) =>
    person.clickMessageMenu(form.get('id') ?? '', form.get('text') ?? ''),
  'enter-session': (person) => person.enterSession(),
  accept: (person, form) => person.accept(form.get('templateId') ?? ''),
  reject: (person, form) => person.reject(form.get('templateId') ?? ''),
};

/** Whether the address is of somebody's WeChat. */
export function isPhone({ pathname }: URL): boolean {
  return pathname === '/phone' || pathname.startsWith('/phone/');
}

/** Answers the pages that are a person's WeChat, with one account at a time. */
export async function handlePhone(
  sandbox: WechatSandbox,
  method: string,
  url: URL,
  body: string,
  response: ServerResponse,
): Promise<void> {
  const [, , appid = '', openid = '', part = ''] = url.pathname.split('/');
  const account = sandbox.findAccount(appid);
  const query = url.searchParams;
  const show = (page: string, policy = PHONE_POLICY): void => {
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
    });
    response.end(page);
  };
  const lead = (location: string): void => void response.writeHead(303, { location }).end();

  if (method === 'GET' && appid === '')
    return show(accountsPage(Object.values(sandbox.data.accounts)));
  if (method === 'GET' && account && openid === '')
    return lead(`/phone/${appid}/${openidOf(query.get('openid'))}`);
  if (account && OPENID.test(openid)) {
    if (method === 'GET' && part === '') {
      const notice = Object.keys(NOTICES).find((one): one is Notice => one === query.get('notice'));
      const seen = { notice: notice ?? null, isWriting: query.has('writing') };
      return show(phonePage(sandbox, account, openid, seen));
    }
    if (method === 'GET' && part === 'conversation') {
      const lines = conversationOf(sandbox.data, account, openid);
      return show(conversationPage(sandbox, account, openid, lines), CONVERSATION_POLICY);
    }
    const act = Object.hasOwn(ACTIONS, part) ? ACTIONS[part] : undefined;
    if (method === 'POST' && act) {
      const notice = await perform(sandbox, sandbox.person(appid, openid), act, part, body);
      const next = notice ? `?notice=${notice}` : part === 'write' ? '?writing' : '';
      return lead(`/phone/${appid}/${openid}${next}`);
    }
  }
  response.writeHead(404, { 'content-type': 'text/html; charset=utf-8' });
  response.end(errorPage('没有这个页面 / no such page'));
}

/** @returns what she is told when nothing came of it */
async function perform(
  sandbox: WechatSandbox,
  person: Person,
  act: Action,
  name: string,
  body: string,
): Promise<Notice | null> {
  const form = new URLSearchParams(body);
  const account = sandbox.account(person.appid);
  if (name === 'write' && (form.get('text') ?? '').trim() === '') return 'empty';
  if (name === 'scan') {
    const code = form.get('code')?.trim() ?? '';
    if (code === '') return 'empty';
    if (!readQrCode(account, code, sandbox.now())) return 'code-over';
  }
  const done = sandbox.inBackground(act(person, form));
  await Promise.race([done, pause(ANSWER_MS, undefined, { ref: false })]);
  return null;
}

/** Somebody new where it is asked for without a name. */
function openidOf(asked: string | null): string {
  if (asked === null) return FIRST_OPENID;
  return OPENID.test(asked) ? asked : `o${randomBytes(20).toString('base64url')}`;
}
