import { describe, expect, it } from '@jest/globals';

import { foldText } from './fold-text.js';
import { KeywordSearch } from './keyword-search.js';
import { type KeywordMatch, type MatchableRule, type Occasion, RuleMatcher } from './matching.js';

/** Noon in Shanghai. */
const NOON = new Date('2026-11-25T04:00:00Z');

interface Short extends Partial<Omit<MatchableRule, 'trigger'>> {
  exact?: string[];
  contains?: string[];
  types?: string[];
  on?: 'follow' | 'message';
}

let made = 0;

/** A rule by the keywords that it has; of two, the one that is made first is the older. */
function rule(id: string, { exact = [], contains = [], types, on, ...over }: Short): MatchableRule {
  const of = (match: KeywordMatch) => (text: string) => ({ text, match });
  const keywords = [...exact.map(of('exact')), ...contains.map(of('contains'))];
  return {
    id,
    trigger:
      on === 'follow'
        ? { type: 'follow' }
        : on === 'message'
          ? { type: 'message', ...(types && { messageTypes: types }) }
          : { type: 'keyword', keywords },
    priority: 0,
    enabled: true,
    activeFrom: null,
    activeTo: null,
    dailyWindow: null,
    quietHours: null,
    createdAt: new Date(1_700_000_000_000 + ++made),
    ...over,
  };
}

const text = (words: string): Occasion => ({ type: 'message', messageType: 'text', text: words });

async function answerOf(
  rules: MatchableRule[],
  occasion: Occasion,
  at = NOON,
): Promise<string | null> {
  return (await RuleMatcher.of(rules)).match(occasion, at)?.rule.id ?? null;
}

/** One keyword against one text. */
const WORDS: [name: string, match: KeywordMatch, keyword: string, text: string, isMet: boolean][] =
  [
    ['the same', 'exact', '优惠', '优惠', true],
    ['more behind it', 'exact', '优惠', '优惠券', false],
    ['more before it', 'exact', '优惠', '有优惠', false],
    ['less', 'exact', '优惠券', '优惠', false],
    ['spaces around', 'exact', '优惠', '  优惠\t\n', true],
    ['wide spaces around', 'exact', '优惠', '\u3000优惠\u3000', true],
    ['spaces around the keyword', 'exact', ' 优惠 ', '优惠', true],
    ['runs of spaces inside', 'exact', '会员 中心', '会员   \u3000 中心', true],
    ['a line break inside', 'exact', '会员 中心', '会员\r\n中心', true],
    ['a space that the keyword has not', 'exact', '会员中心', '会员 中心', false],
    ['an unbreakable space', 'exact', '会员 中心', '会员\u00A0中心', true],
    ['a zero-width space', 'exact', '优惠', '优\u200B惠', true],
    ['capitals', 'exact', 'vip', 'VIP', true],
    ['mixed case', 'exact', 'VIP', 'vIp', true],
    ['wide letters', 'exact', 'vip', 'ＶＩＰ', true],
    ['wide digits', 'exact', '618', '６１８', true],
    ['a wide keyword', 'exact', '６１８', '618', true],
    ['wide punctuation', 'exact', '你好!', '你好！', true],
    ['half-width katakana', 'exact', 'カード', 'ｶｰﾄﾞ', true],
    ['an accent written apart', 'exact', 'café', 'cafe\u0301', true],
    ['no accent', 'exact', 'café', 'cafe', false],
    ['a sharp s', 'exact', 'straße', 'STRASSE', true],
    ['a final sigma', 'exact', 'ΟΔΟΣ', 'οδος', true],
    ['a ligature', 'exact', 'office', 'oﬃce', true],
    ['a compatibility character', 'exact', '㎏', 'kg', true],
    ['traditional characters', 'exact', '优惠', '優惠', false],
    ['a character beyond the plane', 'exact', '𠮷野家', '𠮷野家', true],
    ['an emoji', 'exact', '🎁', '🎁', true],
    ['another emoji of the same first half', 'exact', '🎁', '🎂', false],
    ['an emoji drawn in colour', 'exact', '❤', '❤\uFE0F', true],
    ['a family of emoji', 'exact', '👨‍👩‍👧', '👨‍👩‍👧', true],
    ['nothing', 'exact', '优惠', '', false],
    ['only spaces', 'exact', '优惠', ' \u3000 ', false],
    ['contained at the beginning', 'contains', '优惠', '优惠券在哪', true],
    ['contained at the end', 'contains', '优惠', '有没有优惠', true],
    ['contained in the middle', 'contains', '优惠', '有优惠吗', true],
    ['the whole', 'contains', '优惠', '优惠', true],
    ['torn apart', 'contains', '优惠', '优先实惠', false],
    ['torn apart by a space', 'contains', '优惠', '优 惠', false],
    ['contained in other case and width', 'contains', 'vip', '我要ＶＩＰ卡', true],
    ['contained with a run of spaces', 'contains', 'gift card', 'my  GIFT   CARD please', true],
    ['a part of a word', 'contains', 'art', 'start', true],
    ['begun and broken off', 'contains', 'aab', 'aaab', true],
    ['begun twice', 'contains', 'abab', 'abaabab', true],
    ['an emoji among others', 'contains', '🎁', '我要🎉🎁🎂', true],
    ['half of an emoji beside another', 'contains', '🎁', '🎀🎂', false],
    ['an emoji between letters', 'contains', 'a🎁b', 'xa🎁by', true],
    ['a lone half of a pair', 'contains', '🎁', 'a\uD83Cb\uDF81', false],
    ['one character of a long text', 'contains', '终', `${'长'.repeat(2_000)}终`, true],
    ['what looks like a pattern', 'contains', '.*', '优惠', false],
    ['what looks like a pattern, said', 'contains', '.*', 'a.*b', true],
    ['a keyword of spaces only', 'contains', '   ', '你 好', false],
  ];

describe('a keyword', () => {
  it.each(WORDS)('%s (%s)', async (_name, match, keyword, said, isMet) => {
    const only = rule('r', { [match]: [keyword] });
    expect(await answerOf([only], text(said))).toBe(isMet ? 'r' : null);
  });

  it('is told as the rule has it: the one that is met, of several the longest', async () => {
    const matcher = await RuleMatcher.of([
      rule('r', { exact: ['Vip'], contains: ['卡', '会员卡', '员卡'] }),
    ]);
    expect(matcher.match(text('ｖｉｐ'), NOON)?.keyword).toBe('Vip');
    expect(matcher.match(text('我的会员卡呢'), NOON)?.keyword).toBe('会员卡');
    expect(matcher.match(text('卡'), NOON)?.keyword).toBe('卡');
  });
});

const daily = (from: string, to: string) => ({ from, to });
const at = (time: string): Date => new Date(`2026-11-25T${time}:00+08:00`);
const says = (words: string, moment = NOON) => ({ occasion: text(words), moment });
const follows = (moment = NOON) => ({ occasion: { type: 'follow' } as const, moment });
const sends = (messageType: string) => ({
  occasion: { type: 'message', messageType, text: null } as const,
  moment: NOON,
});

const CONTESTS: [
  name: string,
  rules: Record<string, Short>,
  event: { occasion: Occasion; moment: Date },
  winner: string | null,
][] = [
  [
    'the larger priority',
    { a: { exact: ['x'] }, b: { exact: ['x'], priority: 1 } },
    says('x'),
    'b',
  ],
  [
    'a negative priority',
    { a: { exact: ['x'], priority: -1 }, b: { exact: ['x'] } },
    says('x'),
    'b',
  ],
  ['exact before contains', { a: { contains: ['x'] }, b: { exact: ['x'] } }, says('x'), 'b'],
  [
    'priority before exact',
    { a: { contains: ['x'], priority: 1 }, b: { exact: ['x'] } },
    says('x'),
    'a',
  ],
  ['the older of two', { a: { contains: ['x'] }, b: { contains: ['x'] } }, says('x'), 'a'],
  [
    'the older of two that overlap, not the longer',
    { a: { contains: ['优惠'] }, b: { contains: ['优惠券'] } },
    says('优惠券'),
    'a',
  ],
  [
    'a longer one with a larger priority',
    { a: { contains: ['优惠'] }, b: { contains: ['优惠券'], priority: 5 } },
    says('我要优惠券'),
    'b',
  ],
  [
    'one that is met later in the text',
    { a: { contains: ['先'] }, b: { contains: ['后'], priority: 1 } },
    says('先有前后'),
    'b',
  ],
  [
    'a keyword inside another one',
    { a: { contains: ['abcd'], enabled: false }, b: { contains: ['bc'] } },
    says('abcd'),
    'b',
  ],
  [
    'the exact keyword of a rule that has both',
    { a: { contains: ['x'] }, b: { contains: ['y'], exact: ['x'] } },
    says('x'),
    'b',
  ],
  [
    'any of ten keywords',
    { a: { contains: ['一', '二', '三', '四', '五', '六', '七', '八', '九', '十'] } },
    says('第九'),
    'a',
  ],
  ['none that is disabled', { a: { exact: ['x'], enabled: false } }, says('x'), null],
  [
    'the next one where the first is disabled',
    { a: { exact: ['x'], priority: 9, enabled: false }, b: { contains: ['x'] } },
    says('x'),
    'b',
  ],
  ['none before its time', { a: { exact: ['x'], activeFrom: at('12:01') } }, says('x'), null],
  ['one from its time on', { a: { exact: ['x'], activeFrom: at('12:00') } }, says('x'), 'a'],
  ['none after its time', { a: { exact: ['x'], activeTo: at('12:00') } }, says('x'), null],
  ['one until its time', { a: { exact: ['x'], activeTo: at('12:01') } }, says('x'), 'a'],
  [
    'one in its daily window',
    { a: { exact: ['x'], dailyWindow: daily('09:00', '18:00') } },
    says('x', at('09:00')),
    'a',
  ],
  [
    'none outside of it',
    { a: { exact: ['x'], dailyWindow: daily('09:00', '18:00') } },
    says('x', at('18:00')),
    null,
  ],
  [
    'one in a window over midnight, before it',
    { a: { exact: ['x'], dailyWindow: daily('22:00', '02:00') } },
    says('x', at('23:59')),
    'a',
  ],
  [
    'one in a window over midnight, after it',
    { a: { exact: ['x'], dailyWindow: daily('22:00', '02:00') } },
    says('x', at('01:59')),
    'a',
  ],
  [
    'none outside a window over midnight',
    { a: { exact: ['x'], dailyWindow: daily('22:00', '02:00') } },
    says('x', at('02:00')),
    null,
  ],
  [
    'none in its quiet hours',
    { a: { exact: ['x'], quietHours: daily('22:00', '08:00') } },
    says('x', at('07:59')),
    null,
  ],
  [
    'one outside its quiet hours',
    { a: { exact: ['x'], quietHours: daily('22:00', '08:00') } },
    says('x', at('08:00')),
    'a',
  ],
  [
    'none where the window is quiet',
    {
      a: {
        exact: ['x'],
        dailyWindow: daily('20:00', '23:00'),
        quietHours: daily('22:00', '08:00'),
      },
    },
    says('x', at('22:30')),
    null,
  ],
  [
    'keyword rules before any message, whatever their priority',
    { a: { on: 'message', priority: 99 }, b: { contains: ['x'], priority: -9 } },
    says('x'),
    'b',
  ],
  ['any message where no keyword is met', { a: { on: 'message' } }, says('x'), 'a'],
  [
    'the larger priority of two for any message',
    { a: { on: 'message' }, b: { on: 'message', priority: 1 } },
    says('x'),
    'b',
  ],
  ['a picture by type', { a: { on: 'message', types: ['image'] } }, sends('image'), 'a'],
  ['no text by another type', { a: { on: 'message', types: ['image'] } }, says('x'), null],
  [
    'the next one where the type is another',
    { a: { on: 'message', types: ['voice'], priority: 1 }, b: { on: 'message' } },
    sends('image'),
    'b',
  ],
  ['no keyword for a picture', { a: { contains: ['x'] } }, sends('image'), null],
  ['a follow', { a: { on: 'message' }, b: { on: 'follow' } }, follows(), 'b'],
  ['no message by a rule for follows', { a: { on: 'follow' } }, says('x'), null],
  [
    'the larger priority of two for follows',
    { a: { on: 'follow' }, b: { on: 'follow', priority: 1 } },
    follows(),
    'b',
  ],
  [
    'no follow in quiet hours',
    { a: { on: 'follow', quietHours: daily('22:00', '08:00') } },
    follows(at('03:00')),
    null,
  ],
];

describe('of several rules', () => {
  it.each(CONTESTS)('%s', async (_name, rules, { occasion, moment }, winner) => {
    const list = Object.entries(rules).map(([id, short]) => rule(id, short));
    expect(await answerOf(list, occasion, moment)).toBe(winner);
    expect(await answerOf(list.toReversed(), occasion, moment)).toBe(winner);
  });

  it('tells which keywords win over one, and which are the same', async () => {
    const asked = rule('asked', { contains: ['优惠券'], priority: 1 });
    const matcher = await RuleMatcher.of([
      rule('a', { contains: ['优惠'], priority: 2 }),
      rule('b', { exact: ['优惠券'], priority: 2 }),
      rule('c', { contains: ['券'], priority: 2, enabled: false }),
      rule('d', { contains: ['别的'], priority: 2 }),
      rule('e', { contains: ['券'] }),
      asked,
    ]);
    const [entry] = matcher.keywordsOf(asked);
    if (!entry) throw new Error('It has a keyword.');
    const names = (entries: Iterable<typeof entry>): string[] =>
      [...entries].map((found) => found.rule.id);
    expect(names(matcher.ahead(entry)).toSorted()).toEqual(['a', 'b']);
    expect(names(matcher.same(entry))).toEqual(['b', 'asked']);
  });
});

describe('the search', () => {
  it('finds exactly what a plain look for each word finds', async () => {
    const random = randomly(7);
    const letters = ['a', 'b', '券', '🎁', '🎂'];
    const make = (most: number): string =>
      Array.from({ length: 1 + random(most) }, () => letters[random(letters.length)]).join('');
    for (let round = 0; round < 300; round++) {
      const words = [...new Set(Array.from({ length: 1 + random(30) }, () => make(6)))];
      const search = await KeywordSearch.of(words);
      const said = make(60);
      const found: string[] = [];
      search.search(said, (word) => found.push(words[word] ?? ''));
      const plain = words.filter((word) => said.includes(word));
      expect(found.toSorted()).toEqual(plain.toSorted());
    }
  });
});

describe('rules that change', () => {
  it('answer as a plain look at all of them does, however they came to be so', async () => {
    const random = randomly(11);
    const letters = ['a', 'b', '券', '🎁'];
    const make = (most: number): string =>
      Array.from({ length: 1 + random(most) }, () => letters[random(letters.length)]).join('');
    const some = (most: number): string[] => Array.from({ length: random(most) }, () => make(4));
    const rules = new Map<string, MatchableRule>();
    let matcher = await RuleMatcher.of<MatchableRule>([]);
    let answered = 0;
    for (let round = 0; round < 250; round++) {
      const put = Array.from({ length: random(6) }, () => {
        const short = { exact: some(3), contains: some(4), priority: random(3) };
        return rule(`r${random(200)}`, { ...short, enabled: random(9) > 0 });
      });
      // In a row of changes there may be several of one rule; the matcher gets the last.
      const last = [...new Map(put.map((one) => [one.id, one])).values()];
      const gone = [...rules.keys()].filter(
        (id) => random(20) === 0 && !last.some((r) => r.id === id),
      );
      const before = [matcher, matcher.match(text('券a'), NOON)] as const;
      matcher = await matcher.with(last, gone);
      expect(before[0].match(text('券a'), NOON)).toEqual(before[1]);
      for (const id of gone) rules.delete(id);
      for (const one of last) rules.set(one.id, one);
      expect(new Set(matcher.rules.keys())).toEqual(new Set(rules.keys()));
      for (let n = 0; n < 5; n++) {
        const said = make(8);
        const found = matcher.match(text(said), NOON)?.rule.id ?? null;
        expect(found).toBe(plainAnswer([...rules.values()], said));
        if (found !== null) answered++;
      }
    }
    expect(answered).toBeGreaterThan(500);
  });
});

/** The same numbers each time, below what is asked for. */
function randomly(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

function plainAnswer(rules: readonly MatchableRule[], said: string): string | null {
  const folded = foldText(said);
  const met = rules.flatMap((one) =>
    one.enabled && one.trigger.type === 'keyword'
      ? one.trigger.keywords
          .filter(({ text: word, match }) =>
            match === 'exact' ? foldText(word) === folded : folded.includes(foldText(word)),
          )
          .map(({ match }) => ({ one, place: match === 'exact' ? 0 : 1 }))
      : [],
  );
  const [best] = met.toSorted(
    (a, b) =>
      b.one.priority - a.one.priority || a.place - b.place || +a.one.createdAt - +b.one.createdAt,
  );
  return best?.one.id ?? null;
}

describe('making rules ready', () => {
  it('lets others have their turn, however many keywords there are', async () => {
    const words = Array.from({ length: 5_000 }, (_unused, n) => `${n} `.repeat(6).trim());
    const many = words.map((word, n) => rule(`r${n}`, { contains: [word, `${word}。`] }));
    let matcher: RuleMatcher<MatchableRule> | null = null;
    void RuleMatcher.of(many).then((made) => (matcher = made));
    let turns = 0;
    for (; matcher === null; turns++) await new Promise((go) => setImmediate(go));
    expect(turns).toBeGreaterThan(3);
  });
});

describe('a folded text', () => {
  it.each(['Straße ＶＩＰ', '㎏ ﬃ İı', 'ΟΔΟΣ οδος', 'e\u0301\u200B 👨‍👩‍👧'])(
    'folds to itself: %j',
    (words) => {
      expect(foldText(foldText(words))).toBe(foldText(words));
    },
  );
});
