import type { Answer, TestApp } from './app.js';
import { begin } from './helpers.js';

export interface DeliveryBody {
  id: string;
  appid: string;
  kind: string;
  openid: string | null;
  userId: string | null;
  status: string;
  msgid: string | null;
  failure: { reason: string; errcode: number | null; detail: string; retryable: boolean } | null;
  parts: { sent: number; total: number };
  attempts: number;
  createdAt: string;
  acceptedAt: string | null;
  finishedAt: string | null;
  campaignId: string | null;
}

let serial = 0;

/** An account that is switched on, of a sort that can send everything its type can. */
export async function newSender(
  app: TestApp,
  accountType: 'official_account' | 'mini_program' = 'official_account',
  over: { serviceType?: number } = {},
): Promise<string> {
  const appid = `wx${(0x5e4d0000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, accountType, ...over });
  const { preAuthCode } = await begin(app, {
    accountType: 'any',
    openidProperty: propertyOf(appid),
  });
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  if (accountType === 'mini_program') {
    const { appSecret } = app.sandbox.account(appid);
    await app.api('PUT', `/accounts/${appid}/send-config`, { strategy: 'app_secret', appSecret });
  }
  const { status, body } = await app.api('POST', `/accounts/${appid}/enable`);
  if (status !== 200) throw new Error(`It was not switched on: ${JSON.stringify(body)}`);
  return appid;
}

/** The user property that holds people's openids for the account. */
export function propertyOf(appid: string): string {
  return `openid_${appid}`;
}

/** A person of whom nobody has heard. */
export function newOpenid(): string {
  return `oPerson${String(++serial).padStart(21, '0')}`;
}

/** One who follows the account. */
export async function newFollower(app: TestApp, appid: string): Promise<string> {
  const openid = newOpenid();
  await app.sandbox.person(appid, openid).follow();
  await app.settled();
  return openid;
}

/** One who has just written to the account: five messages within 48 hours. */
export async function newWriter(app: TestApp, appid: string): Promise<string> {
  const openid = newOpenid();
  await app.sandbox.person(appid, openid).write('你好');
  await app.settled();
  return openid;
}

/** A template of the account with one field, `thing1`. WeChat is asked for new ones once a minute at the most. */
export function newTemplate(app: TestApp, appid: string): string {
  app.clock.advance(60_001);
  return app.sandbox.addTemplate(appid, {
    title: `通知 ${++serial}`,
    content: '内容：{{thing1.DATA}}\n',
  }).templateId;
}

/** One who has consented to the template so often. */
export async function newSubscriber(
  app: TestApp,
  appid: string,
  templateId: string,
  times = 1,
): Promise<string> {
  const openid = newOpenid();
  const person = app.sandbox.person(appid, openid);
  for (let n = 0; n < times; n++) {
    await person.accept(templateId);
    // WeChat's events have no number: two of one second that say the same are one.
    app.clock.advance(1_000);
  }
  await app.settled();
  return openid;
}

export function send(
  app: TestApp,
  appid: string,
  message: { kind: string; content: object; to: object },
  headers: Record<string, string> = {},
): Promise<Answer<DeliveryBody>> {
  return app.api<DeliveryBody>('POST', `/accounts/${appid}/messages`, message, headers);
}

export const templateMessage = (openid: string, templateId: string, words = '已发货') => ({
  kind: 'template_message',
  content: { templateId, data: { thing1: words } },
  to: { openid },
});

export const subscriptionMessage = (openid: string, templateId: string, words = '已发货') => ({
  kind: 'subscription_message',
  content: { templateId, data: { thing1: words } },
  to: { openid },
});

export const textMessage = (openid: string, ...texts: string[]) => ({
  kind: 'customer_service_message',
  content: { messages: texts.map((text) => ({ type: 'text', text })) },
  to: { openid },
});

export const preview = (openid: string, text = '秋季新品') => ({
  kind: 'broadcast',
  content: { type: 'text', text },
  to: { openid },
});

export async function getDelivery(app: TestApp, id: string): Promise<DeliveryBody> {
  return (await app.api<DeliveryBody>('GET', `/deliveries/${id}`)).body;
}
