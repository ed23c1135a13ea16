import { describe, expect, it } from '@jest/globals';

import type { AnyMessageDto } from './customer-service-message.dto.js';
import { fillIn, variablesOf } from './fill-in.js';

const VARIABLES = variablesOf('示例花店', '优惠', new Date('2026-11-25T04:05:00Z'));
const WORDS = '{account} {keyword} {date} {time} {other}';
const FILLED = '示例花店 优惠 2026-11-25 12:05 {other}';

const CASES: [AnyMessageDto, object][] = [
  [{ type: 'text', text: WORDS }, { text: FILLED }],
  [
    { type: 'menu', head: WORDS, items: [{ id: '1', text: '{time}' }], tail: WORDS },
    { head: FILLED, items: [{ id: '1', text: '12:05' }], tail: FILLED },
  ],
  [
    { type: 'news', title: WORDS, description: WORDS, url: 'u{time}', imageUrl: 'i' },
    { title: FILLED, description: FILLED, url: 'u{time}' },
  ],
  [
    { type: 'video', mediaId: 'm', thumbMediaId: 't', title: WORDS },
    { title: FILLED, mediaId: 'm' },
  ],
  [
    { type: 'music', url: 'u', hqUrl: 'h', thumbMediaId: 't', title: WORDS, description: WORDS },
    { title: FILLED, description: FILLED },
  ],
  [
    { type: 'mini_program_page', title: WORDS, appid: 'a', pagePath: '{time}', thumbMediaId: 't' },
    { title: FILLED, pagePath: '{time}' },
  ],
  [{ type: 'image', mediaId: '{time}' }, { mediaId: '{time}' }],
];

describe('fillIn', () => {
  it.each(CASES)('puts variables into what people read: %j', (message, expected) => {
    expect(fillIn(message, VARIABLES)).toMatchObject(expected);
  });

  it('adds nothing to a message that has no title', () => {
    const filled = fillIn({ type: 'video', mediaId: 'm', thumbMediaId: 't' }, VARIABLES);
    expect(JSON.stringify(filled)).toBe('{"type":"video","mediaId":"m","thumbMediaId":"t"}');
  });
});
