import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startApp, type TestApp } from './app.js';
import {
  getDelivery,
  newFollower,
  newSender,
  newSubscriber,
  newTemplate,
  newWriter,
  preview,
  send,
  subscriptionMessage,
  templateMessage,
  textMessage,
} from './message-helpers.js';

/** WeChat's code, what it is called, and whether the same message may go through later. */
type Refusal = [errcode: number, reason: string, retryable: boolean];

/** What can meet every kind. */
const EVERY_KIND: readonly Refusal[] = [
  [40003, 'user_unknown', false],
  [40013, 'config', false],
  [41002, 'bug', false],
  [43019, 'user_blacklisted', false],
  [44002, 'bug', false],
  [45009, 'quota_day', true],
  [48001, 'permission', false],
  [48002, 'user_blocked', false],
  [48004, 'permission', false],
  [48008, 'permission', false],
  [50001, 'account_state', true],
  [50002, 'account_state', true],
  [61003, 'reauthorize', false],
  [61004, 'config', false],
  [61007, 'permission', false],
];

const OF_KIND: Readonly<Record<string, { path: string; refusals: readonly Refusal[] }>> = {
  template_message: {
    path: '/cgi-bin/message/template/send',
    refusals: [
      [40036, 'template_invalid', false],
      [40037, 'template_invalid', false],
      [40039, 'content_invalid', false],
      [40249, 'content_refused', false],
      [43004, 'user_not_follower', false],
      [43116, 'template_invalid', false],
      [43117, 'user_throttled', true],
      [47003, 'field_invalid', false],
    ],
  },
  customer_service_message: {
    path: '/cgi-bin/message/custom/send',
    // -1 is tried once more: see auto-replies.
    refusals: [
      [43004, 'user_not_follower', false],
      [45002, 'content_invalid', false],
      [45008, 'content_invalid', false],
      [45015, 'window_closed', false],
      [45047, 'window_used_up', false],
      [45086, 'content_invalid', false],
      [45087, 'feature_banned', false],
      [45093, 'window_used_up', false],
      [45094, 'feature_banned', false],
      [70000, 'user_blocked', false],
    ],
  },
  subscription_message: {
    path: '/cgi-bin/message/subscribe/send',
    refusals: [
      [-1, 'transient', true],
      [40037, 'template_invalid', false],
      [41030, 'content_invalid', false],
      [43101, 'no_grant', false],
      [43102, 'template_invalid', false],
      [43107, 'feature_banned', false],
      [45168, 'content_refused', false],
      [47003, 'field_invalid', false],
    ],
  },
  broadcast: {
    path: '/cgi-bin/message/mass/preview',
    refusals: [
      [-1, 'transient', true],
      [43004, 'user_not_follower', false],
      [40008, 'content_invalid', false],
      [45062, 'console_action', false],
      [48003, 'console_action', false],
      [89501, 'awaiting_confirmation', true],
    ],
  },
};

let app: TestApp;
let service: string;
let mini: string;
beforeAll(async () => {
  app = await startApp();
  service = await newSender(app);
  mini = await newSender(app, 'mini_program');
});
afterAll(() => app.stop());

/** A message to somebody who can be reached. */
async function reachable(kind: string, appid: string): Promise<Parameters<typeof send>[2]> {
  switch (kind) {
    case 'template_message':
      return templateMessage(await newFollower(app, appid), newTemplate(app, appid));
    case 'customer_service_message':
      return textMessage(await newWriter(app, appid), '您好');
    case 'subscription_message': {
      const template = newTemplate(app, appid);
      return subscriptionMessage(await newSubscriber(app, appid, template), template);
    }
    default:
      return preview(await newFollower(app, appid));
  }
}

describe.each(Object.entries(OF_KIND))('a %s', (kind, { path, refusals }) => {
  it.each([...EVERY_KIND, ...refusals])('that WeChat refuses with %i: %s', async (...refusal) => {
    const [errcode, reason, retryable] = refusal;
    // What is used up, or taken away, is so for the whole account.
    const isOwn = errcode === 45009;
    const ready = kind === 'subscription_message' ? mini : service;
    const appid = isOwn
      ? await newSender(app, ready === mini ? 'mini_program' : 'official_account')
      : ready;
    const message = await reachable(kind, appid);
    app.sandbox.faults.add({ path, kind: 'errcode', errcode });
    const { status, body } = await send(app, appid, message);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      status: 'failed',
      attempts: 1,
      failure: { reason, errcode, retryable, detail: expect.stringMatching(/[\u4e00-\u9fff]/) },
      finishedAt: expect.any(String),
    });
    expect(await getDelivery(app, body.id)).toEqual(body);
    const { openid } = message.to as { openid: string };
    expect(app.sandbox.person(appid, openid).messages).toEqual([]);
  });
});
