import { describe, expect, it } from '@jest/globals';

import { parsePushJson } from './json.js';
import { dedupKey } from './push.js';
import {
  isSubscriptionEvent,
  readSubscriptionEvent,
  type SubscriptionEvent,
} from './subscription-event.js';
import { parseXml, type XmlObject } from './xml.js';

type Entry = Record<string, string>;

const HOLDERS: Record<SubscriptionEvent, string> = {
  subscribe_msg_popup_event: 'SubscribeMsgPopupEvent',
  subscribe_msg_change_event: 'SubscribeMsgChangeEvent',
  subscribe_msg_sent_event: 'SubscribeMsgSentEvent',
};
const HEAD = {
  ToUserName: 'gh_0123456789ab',
  FromUserName: 'oUser01',
  CreateTime: '1785000000',
  MsgType: 'event',
};

const elements = (fields: Entry): string =>
  Object.entries(fields)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('');

/** The shapes in which WeChat tells the same. */
const SHAPES: Record<string, (event: SubscriptionEvent, entries: Entry[]) => XmlObject> = {
  XML: (event, entries) =>
    parseXml(
      `<xml>${elements({ ...HEAD, Event: event })}<${HOLDERS[event]}>${entries
        .map((entry) => `<List>${elements(entry)}</List>`)
        .join('')}</${HOLDERS[event]}></xml>`,
    ),
  'JSON with the list at the top': (event, entries) =>
    parsePushJson(JSON.stringify({ ...HEAD, Event: event, List: oneOrMore(entries) })),
  'JSON with the list inside': (event, entries) =>
    parsePushJson(
      JSON.stringify({ ...HEAD, Event: event, [HOLDERS[event]]: { List: oneOrMore(entries) } }),
    ),
};

const oneOrMore = (entries: Entry[]): Entry | Entry[] =>
  entries.length === 1 ? (entries[0] as Entry) : entries;

const POPUP = [
  { TemplateId: 'TPL_A', SubscribeStatusString: 'accept', PopupScene: '0' },
  { TemplateId: 'TPL_B', SubscribeStatusString: 'reject', PopupScene: '2' },
];
const CHANGE = [
  { TemplateId: 'TPL_A', SubscribeStatusString: 'reject' },
  { TemplateId: 'TPL_B', SubscribeStatusString: 'reject' },
];
const SENT = [
  {
    TemplateId: 'TPL_A',
    MsgID: '1864323726461255680',
    ErrorCode: '0',
    ErrorStatus: 'success',
  },
  {
    TemplateId: 'TPL_B',
    MsgID: '1864323726461255681',
    ErrorCode: '43107',
    ErrorStatus: 'user refuse to accept the msg',
  },
];
const EVENTS: [SubscriptionEvent, Entry[], object[]][] = [
  [
    'subscribe_msg_popup_event',
    POPUP,
    POPUP.map(({ TemplateId, SubscribeStatusString }) => ({
      templateId: TemplateId,
      msgid: null,
      status: SubscribeStatusString,
      errorCode: null,
      detail: null,
    })),
  ],
  [
    'subscribe_msg_change_event',
    CHANGE,
    CHANGE.map(({ TemplateId }) => ({
      templateId: TemplateId,
      msgid: null,
      status: 'reject',
      errorCode: null,
      detail: null,
    })),
  ],
  [
    'subscribe_msg_sent_event',
    SENT,
    [
      {
        templateId: 'TPL_A',
        msgid: '1864323726461255680',
        status: 'success',
        errorCode: '0',
        detail: 'success',
      },
      {
        templateId: 'TPL_B',
        msgid: '1864323726461255681',
        status: 'failed',
        errorCode: '43107',
        detail: 'user refuse to accept the msg',
      },
    ],
  ],
];

describe.each(EVENTS)('%s', (event, entries, expected) => {
  it.each(
    Object.keys(SHAPES).flatMap((shape) => [1, 2].map((count): [string, number] => [shape, count])),
  )('is read from %s with %i', (shape, count) => {
    const given = entries.slice(0, count);
    const fields = SHAPES[shape]?.(event, given) ?? {};
    const receipts = readSubscriptionEvent(event, fields);
    expect(receipts).toMatchObject(expected.slice(0, count));
    expect(receipts.map(({ payload }) => ({ ...payload }))).toEqual(given);
  });

  it('is the same push in every shape, and another one when it says something else', () => {
    const keyOf = (fields: XmlObject): string =>
      dedupKey({ format: 'json', content: String(Math.random()), fields, encodingAesKey: null });
    const keys = Object.values(SHAPES).map((make) => keyOf(make(event, entries)));
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    const [make] = Object.values(SHAPES);
    for (const other of [
      make?.(event, entries.slice(0, 1)),
      make?.(event, entries.toReversed()),
      { ...make?.(event, entries), FromUserName: 'ouser01' },
      { ...make?.(event, entries), CreateTime: '1785000001' },
    ])
      expect(keyOf(other ?? {})).not.toBe(keys[0]);
  });

  it.each([
    ['nothing', {}],
    ['a text', { List: 'x' }],
    ['texts', { List: ['x', 'y'] }],
    ['an empty element', { [HOLDERS[event]]: '' }],
    ['no entries', { List: [] }],
  ])('has no entries where there is %s', (_case, fields) => {
    expect(readSubscriptionEvent(event, fields)).toEqual([]);
  });

  it('takes the element itself for the entries where it holds no list', () => {
    expect(readSubscriptionEvent(event, { [HOLDERS[event]]: entries })).toMatchObject(expected);
  });
});

it('keeps a number of 19 digits that JSON has without quotation marks', () => {
  const fields = parsePushJson(
    '{"List":{"TemplateId":"TPL_A","MsgID":1864323726461255681,"ErrorCode":0}}',
  );
  expect(readSubscriptionEvent('subscribe_msg_sent_event', fields)).toMatchObject([
    { msgid: '1864323726461255681', errorCode: '0', status: 'success' },
  ]);
});

it('knows its own events from others', () => {
  expect(isSubscriptionEvent('subscribe_msg_sent_event')).toBe(true);
  for (const other of ['subscribe', 'constructor', 'TEMPLATESENDJOBFINISH'])
    expect(isSubscriptionEvent(other)).toBe(false);
});
