import { FIRST_OPENID, greet } from '@app/wechat-sandbox';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startApp, type TestApp } from './app.js';
import { begin, getAccount, MINI_PROGRAM, SERVICE_ACCOUNT } from './helpers.js';
import type { DeliveryBody } from './message-helpers.js';

interface Example {
  value: unknown;
}
interface Send {
  parameters: { name: string; examples?: Record<string, Example> }[];
  requestBody: { content: { 'application/json': { examples: Record<string, Example> } } };
}

let app: TestApp;
let paths: Record<string, { post?: Send }>;

beforeAll(async () => {
  app = await startApp();
  const document = (await (await fetch(`${app.url}/docs-json`)).json()) as { paths: typeof paths };
  ({ paths } = document);
  await switchOn(SERVICE_ACCOUNT);
  await switchOn(MINI_PROGRAM);
}, 30_000);
afterAll(() => app.stop());

/** As somebody does who follows the proposals; then, as in the quick start, the account is greeted. */
async function switchOn(appid: string): Promise<void> {
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  const property = (await getAccount(app, appid))?.suggestedOpenidProperty?.name;
  await app.api('PUT', `/accounts/${appid}/openid-property`, { property });
  if (appid === MINI_PROGRAM) {
    const { appSecret } = app.sandbox.account(appid);
    const config = { strategy: 'app_secret', appSecret };
    expect((await app.api('PUT', `/accounts/${appid}/send-config`, config)).status).toBe(200);
  }
  expect((await app.api('POST', `/accounts/${appid}/enable`)).status).toBe(200);
  await greet(app.sandbox, appid);
  await app.settled();
}

describe('the examples of a send, in the quick start', () => {
  it('are one for each kind, with whom each comes from', () => {
    const { parameters, requestBody } = sendOf();
    expect(Object.keys(requestBody.content['application/json'].examples)).toEqual([
      'template_message',
      'customer_service_message',
      'subscription_message',
      'broadcast',
    ]);
    const appid = parameters.find(({ name }) => name === 'appid');
    expect(Object.values(appid?.examples ?? {}).map(({ value }) => value)).toEqual([
      SERVICE_ACCOUNT,
      MINI_PROGRAM,
    ]);
  });

  it.each([
    ['template_message', SERVICE_ACCOUNT, 1],
    ['customer_service_message', SERVICE_ACCOUNT, 2],
    ['subscription_message', MINI_PROGRAM, 1],
    ['broadcast', SERVICE_ACCOUNT, 1],
  ])('%s arrives on the phone', async (kind, appid, count) => {
    const example = sendOf().requestBody.content['application/json'].examples[kind];
    const before = app.sandbox.person(appid, FIRST_OPENID).messages.length;
    const path = `/accounts/${appid}/messages`;
    const { status, body } = await app.api<DeliveryBody>('POST', path, example?.value);
    expect({ status, body }).toMatchObject({ status: 200, body: { kind, failure: null } });
    expect(['accepted', 'delivered']).toContain(body.status);
    const { messages } = app.sandbox.person(appid, FIRST_OPENID);
    expect(messages.slice(before).map((message) => message.kind)).toEqual(
      Array.from({ length: count }, () => kind),
    );
  });
});

function sendOf(): Send {
  const send = paths['/api/v1/accounts/{appid}/messages']?.post;
  if (!send) throw new Error('There is no such call.');
  return send;
}
