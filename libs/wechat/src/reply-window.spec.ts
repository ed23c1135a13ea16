import { describe, expect, it } from '@jest/globals';

import { type EventPush, type MessagePush, toPush } from './push.js';
import { activityOf, isOfPerson, sceneOf } from './reply-window.js';

function pushOf(fields: Record<string, string>): MessagePush | EventPush {
  const head = { ToUserName: 'gh_1', FromUserName: 'o1', CreateTime: '1785000000' };
  const push = toPush({ ...head, ...fields });
  if (push.kind !== 'message' && push.kind !== 'event') throw new Error('It is of the component.');
  return push;
}

const eventOf = (Event: string, EventKey = ''): EventPush => {
  const push = pushOf({ MsgType: 'event', Event, EventKey });
  if (push.kind !== 'event') throw new Error('It is a message.');
  return push;
};

describe('activityOf', () => {
  it.each([
    ['subscribe', 'follow'],
    ['SCAN', 'scan'],
    ['CLICK', 'menu_click'],
    ['click', 'menu_click'],
    ['scancode_push', 'menu_click'],
    ['scancode_waitmsg', 'menu_click'],
    ['user_enter_tempsession', 'enter_session'],
    ['VIEW', null],
    ['view_miniprogram', null],
    ['unsubscribe', null],
    ['LOCATION', null],
    ['TEMPLATESENDJOBFINISH', null],
  ])('of the event %s is %s', (event, activity) => {
    expect(activityOf(eventOf(event))).toBe(activity);
  });

  it.each(['text', 'image', 'voice', 'a type of tomorrow'])('of a message, %s, is one', (type) => {
    expect(activityOf(pushOf({ MsgType: type }))).toBe('message');
  });

  it('of a tap in a message menu, which comes as a text, is a tap', () => {
    expect(activityOf(pushOf({ MsgType: 'text', Content: '1', bizmsgmenuid: '101' }))).toBe(
      'menu_click',
    );
  });
});

describe('isOfPerson', () => {
  it.each([
    ['VIEW', true],
    ['unsubscribe', true],
    ['pic_weixin', true],
    ['LOCATION', false],
    ['MASSSENDJOBFINISH', false],
    ['subscribe_msg_sent_event', false],
    ['kf_create_session', false],
  ])('%s: %s', (event, isOne) => {
    expect(isOfPerson(eventOf(event))).toBe(isOne);
  });
});

describe('sceneOf', () => {
  it.each([
    ['subscribe', 'qrscene_ch:7Q2M', 'ch:7Q2M'],
    // A scene is any text, also one that looks like the prefix.
    ['subscribe', 'qrscene_qrscene_1', 'qrscene_1'],
    ['subscribe', 'qrscene_', null],
    ['subscribe', '', null],
    ['subscribe', 'last_trade_no_1', null],
    ['SCAN', 'qrscene_1', 'qrscene_1'],
    ['CLICK', 'qrscene_1', null],
  ])('of %s with the key "%s" is %s', (event, key, scene) => {
    expect(sceneOf(eventOf(event, key))).toBe(scene);
  });
});
