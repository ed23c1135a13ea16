import { type ApiCall, Refusal, textOf } from './api.js';
import type { SandboxPerson } from './people.js';
import { type SandboxAccount, type SentMessage } from './state.js';

/** The account that calls. */
export function callerOf({ world, tokenAppid }: ApiCall): SandboxAccount {
  const account = world.findAccount(tokenAppid ?? '');
  if (!account) throw new Refusal(40013, 'invalid appid');
  return account;
}

const SERVICE_ACCOUNT = 2;

/** @throws Refusal 48001 for an account that has not the ability, whatever it granted */
export function checkAbility(
  account: SandboxAccount,
  needs: { isMiniProgram?: boolean; isService?: boolean },
): void {
  const { accountType, verifyType, serviceType } = account;
  const isMiniProgram = accountType === 'mini_program';
  const isRightType = needs.isMiniProgram === undefined || needs.isMiniProgram === isMiniProgram;
  const isVerified = isMiniProgram || verifyType === 0;
  const isService = !needs.isService || serviceType === SERVICE_ACCOUNT;
  if (!isRightType || !isVerified || !isService) throw new Refusal(48001, 'api unauthorized');
}

/** Whom a message goes to. @throws Refusal 40003 for somebody that the account does not know */
export function recipientOf(
  call: ApiCall,
  account: SandboxAccount,
): { openid: string; person: SandboxPerson } {
  const openid = textOf(call.body, 'touser', new Refusal(40003, 'invalid openid'));
  const person = Object.hasOwn(account.people, openid) ? account.people[openid] : undefined;
  if (!person) throw new Refusal(40003, 'invalid openid');
  return { openid, person };
}

/** Keeps a message that WeChat has taken. */
export function keepMessage(
  call: ApiCall,
  message: Pick<SentMessage, 'kind' | 'toUser' | 'msgid' | 'isSeen'>,
): void {
  const { world, tokenAppid, token, body } = call;
  world.data.messages.push({
    appid: tokenAppid ?? '',
    message: body,
    at: world.now(),
    authorizationCode: world.data.accessTokens[token ?? '']?.authorizationCode ?? null,
    ...message,
  });
}

/** An object of the body. @throws Refusal 47001 */
export function objectOf(body: Record<string, unknown>, name: string): Record<string, unknown> {
  const value = body[name];
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal(47001, 'data format error');
  return { ...value };
}
