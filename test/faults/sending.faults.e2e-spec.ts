import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { MINI_PROGRAM, SERVICE_ACCOUNT } from '../helpers.js';
import {
  type DeliveryBody,
  newOpenid,
  subscriptionMessage,
  templateMessage,
  textMessage,
} from '../message-helpers.js';
import { until } from '../until.js';
import { type Process, Stage } from './stage.js';

const CRASH_AT = 'delivery.answered';
const FINAL = ['accepted', 'delivered', 'failed', 'unknown'];

let stage: Stage;

beforeAll(async () => {
  stage = await Stage.set();
  const { appSecret } = stage.sandbox.account(MINI_PROGRAM);
  const process = await stage.start();
  const config = { strategy: 'app_secret', appSecret };
  const saved = await process.api('PUT', `/accounts/${MINI_PROGRAM}/send-config`, config);
  if (saved.status !== 200) throw new Error(`The send config was not saved: ${saved.status}`);
  await process.program.stop();
}, 60_000);
afterAll(() => stage.clear());

const template = (appid: string): string =>
  stage.sandbox.addTemplate(appid, { title: '通知', content: '内容：{{thing1.DATA}}' }).templateId;

/** What becomes of a message whose process dies when WeChat has answered. */
async function sendAndDie(
  appid: string,
  prepare: (openid: string) => Promise<unknown>,
  toMessage: (openid: string) => object,
): Promise<{ delivery: DeliveryBody; seen: number; calls: number }> {
  const { sandbox } = stage;
  const calls = (): number =>
    sandbox.journal.filter(({ path }) => /\/(?:template|custom|subscribe)\/send$/.test(path))
      .length;
  const openid = newOpenid();
  const doomed = await stage.start({ env: { CRASH_AT } });
  listen(doomed);
  await prepare(openid);
  await sandbox.settled();
  await stage.settled();
  const before = calls();
  await expect(
    doomed.api('POST', `/accounts/${appid}/messages`, toMessage(openid)),
  ).rejects.toThrow('fetch failed');
  await doomed.program.exited;
  const heir = await stage.start();
  listen(heir);
  const list = async (): Promise<DeliveryBody[]> => {
    const path = `/accounts/${appid}/deliveries?openid=${openid}`;
    return (await heir.api<{ items: DeliveryBody[] }>('GET', path)).body.items;
  };
  await until(async () => FINAL.includes((await list())[0]?.status ?? ''));
  const [delivery, ...others] = await list();
  await heir.program.stop();
  if (!delivery || others.length > 0) throw new Error('There is not exactly one delivery.');
  const seen = sandbox.person(appid, openid).messages.length;
  return { delivery, seen, calls: calls() - before };
}

/** Has what people do, and what becomes of messages, pushed to this process. */
function listen({ url }: Process): void {
  stage.sandbox.messagesUrl = `${url}/wechat/accounts/$APPID$/messages`;
}

describe('a process that dies when WeChat has taken a message', () => {
  it('has a template message sent again under its id: the person sees one', async () => {
    const ended = await sendAndDie(
      SERVICE_ACCOUNT,
      (openid) => stage.sandbox.person(SERVICE_ACCOUNT, openid).follow(),
      (openid) => templateMessage(openid, template(SERVICE_ACCOUNT)),
    );
    expect(ended).toMatchObject({ seen: 1, calls: 2, delivery: { attempts: 2 } });
    expect(['accepted', 'delivered']).toContain(ended.delivery.status);
  }, 60_000);

  it('leaves customer-service messages unknown: the person sees one, and none is sent again', async () => {
    const ended = await sendAndDie(
      SERVICE_ACCOUNT,
      (openid) => stage.sandbox.person(SERVICE_ACCOUNT, openid).write('你好'),
      (openid) => textMessage(openid, '一', '二'),
    );
    expect(ended).toMatchObject({
      seen: 1,
      calls: 1,
      delivery: {
        status: 'unknown',
        failure: { reason: 'answer_lost', retryable: false },
        parts: { sent: 0, total: 2 },
      },
    });
  }, 60_000);

  it('leaves a subscription message to its result: the person sees one', async () => {
    const templateId = template(MINI_PROGRAM);
    const ended = await sendAndDie(
      MINI_PROGRAM,
      (openid) => stage.sandbox.person(MINI_PROGRAM, openid).accept(templateId),
      (openid) => subscriptionMessage(openid, templateId),
    );
    expect(ended).toMatchObject({ seen: 1, calls: 1 });
    expect(['unknown', 'delivered']).toContain(ended.delivery.status);
  }, 60_000);

  it('has each of many sent again under its id: every person sees one', async () => {
    const { sandbox } = stage;
    const templateId = template(SERVICE_ACCOUNT);
    const people = Array.from({ length: 40 }, () => newOpenid());
    const doomed = await stage.start({ env: { CRASH_AT } });
    listen(doomed);
    for (const openid of people) await sandbox.person(SERVICE_ACCOUNT, openid).follow();
    await sandbox.settled();
    await stage.settled();
    // Late enough for all of them to have begun.
    const path = '/cgi-bin/message/template/send';
    sandbox.faults.add({ path, kind: 'delay', delayMs: 1_000, times: people.length });
    await Promise.all(
      people.map((openid) =>
        doomed
          .api('POST', `/accounts/${SERVICE_ACCOUNT}/messages`, templateMessage(openid, templateId))
          .catch(() => null),
      ),
    );
    await doomed.program.exited;
    sandbox.faults.clear();
    const heir = await stage.start();
    listen(heir);
    const all = async (): Promise<DeliveryBody[]> => {
      const list = `/accounts/${SERVICE_ACCOUNT}/deliveries?limit=100`;
      const { body } = await heir.api<{ items: DeliveryBody[] }>('GET', list);
      return body.items.filter(({ openid }) => people.includes(openid ?? ''));
    };
    await until(async () => (await all()).every(({ status }) => FINAL.includes(status)));
    const deliveries = await all();
    await heir.program.stop();
    // The process died at the first answer: what it had begun by then has all come to an end, and nothing else was sent.
    expect(deliveries.length).toBeGreaterThan(1);
    const seen = people.map((openid) => sandbox.person(SERVICE_ACCOUNT, openid).messages.length);
    const begun = new Set(deliveries.map(({ openid }) => openid));
    expect(seen).toEqual(people.map((openid) => (begun.has(openid) ? 1 : 0)));
    expect(deliveries.every(({ status }) => ['accepted', 'delivered'].includes(status))).toBe(true);
  }, 60_000);
});
