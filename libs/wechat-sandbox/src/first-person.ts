import type { WechatSandbox } from './sandbox.js';

/** Whose phone it is where nobody else is named. The examples of the service's documentation write to her. */
export const FIRST_OPENID = 'oFixtureOpenId00000000000001';

const GREETING = '你好';

/**
 * Has her do what lets an account write to her: she follows it and says hello, or consents to a mini-program's first
 * template. What a platform has not been told it does not know, so this is for a moment when it listens.
 */
export async function greet(sandbox: WechatSandbox, appid: string): Promise<void> {
  const { accountType, templates } = sandbox.account(appid);
  const person = sandbox.person(appid, FIRST_OPENID);
  const [template] = templates;
  if (accountType === 'official_account' && !person.state.isFollower) await person.follow();
  if (accountType === 'mini_program' && template) await person.accept(template.templateId);
  await person.write(GREETING);
}
