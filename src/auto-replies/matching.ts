import { minuteOf, shanghaiClock } from '../accounts/quota/shanghai-time.js';
import { foldText } from './fold-text.js';
import { KeywordSearch } from './keyword-search.js';

export const KEYWORD_MATCHES = ['exact', 'contains'] as const;
export type KeywordMatch = (typeof KEYWORD_MATCHES)[number];

export interface Keyword {
  text: string;
  match: KeywordMatch;
}

/** What a rule answers. */
export type Trigger =
  | { type: 'keyword'; keywords: Keyword[] }
  | { type: 'follow' }
  /** Any message that no keyword rule answers; of these types of WeChat's only, where some are named. */
  | { type: 'message'; messageTypes?: string[] };

/** A stretch of every day by the clock in Shanghai: from `HH:mm`, included, to `HH:mm`, not included; over midnight too. */
export interface DailySpan {
  from: string;
  to: string;
}

/** What of a rule decides whether it answers. */
export interface MatchableRule {
  id: string;
  trigger: Trigger;
  /** The larger ones are asked first. */
  priority: number;
  enabled: boolean;
  activeFrom: Date | null;
  /** Not included. */
  activeTo: Date | null;
  dailyWindow: DailySpan | null;
  /** When it does not answer. */
  quietHours: DailySpan | null;
  createdAt: Date;
}

/** Something to be answered. */
export type Occasion =
  | { type: 'follow' }
  /** @property messageType WeChat's word, in lower case; `text` is null for what is not text */
  | { type: 'message'; messageType: string; text: string | null };

export interface Match<R> {
  rule: R;
  /** As the rule has it; null where none led to it. */
  keyword: string | null;
}

/** A keyword of a rule. */
interface Entry<R> {
  rule: R;
  keyword: Keyword;
  folded: string;
  /** The smaller wins. */
  rank: number;
}

/**
 * The rules of one account, made ready to be asked: which of them answers does not take longer the more there are.
 *
 * | decides | |
 * |---|---|
 * | first | keyword rules before those for any message |
 * | then | the larger priority |
 * | then | an exact keyword before one that is contained |
 * | then | the older rule |
 */
export class RuleMatcher<R extends MatchableRule> {
  readonly #exact = new Map<string, Entry<R>[]>();
  readonly #contained: readonly (readonly Entry<R>[])[];
  readonly #search: KeywordSearch;
  readonly #onFollow: readonly R[];
  readonly #onMessage: readonly R[];

  constructor(readonly rules: readonly R[]) {
    const sorted = rules.toSorted(byPrecedence);
    this.#onFollow = sorted.filter(({ trigger }) => trigger.type === 'follow');
    this.#onMessage = sorted.filter(({ trigger }) => trigger.type === 'message');
    const contained = new Map<string, Entry<R>[]>();
    for (const entry of entriesOf(sorted))
      addTo(entry.keyword.match === 'exact' ? this.#exact : contained, entry);
    this.#contained = [...contained.values()];
    this.#search = new KeywordSearch([...contained.keys()]);
  }

  /** The one rule that answers at that moment; null when none does. */
  match(occasion: Occasion, at: Date): Match<R> | null {
    const { minute } = shanghaiClock(at);
    const isActive = (rule: R): boolean => isActiveAt(rule, at, minute);
    if (occasion.type === 'follow') return matchOf(this.#onFollow.find(isActive));
    const { messageType, text } = occasion;
    const byKeyword = text === null ? null : this.#matchText(foldText(text), isActive);
    if (byKeyword) return { rule: byKeyword, keyword: keywordMet(byKeyword, text ?? '') };
    return matchOf(this.#onMessage.find((rule) => takesType(rule, messageType) && isActive(rule)));
  }

  /** The rules for the same occasion that are asked before this one, which is none for keywords. */
  before(rule: R): R[] {
    const { type } = rule.trigger;
    if (type === 'keyword') return [];
    const list = type === 'follow' ? this.#onFollow : this.#onMessage;
    const place = list.findIndex(({ id }) => id === rule.id);
    return list.slice(0, Math.max(place, 0));
  }

  /** Every rule with a keyword that the text is, or contains, whether it would answer or not; the first to answer first. */
  findAll(text: string): { rule: R; keyword: Keyword }[] {
    const found: Entry<R>[] = [];
    this.#visit(foldText(text), (entries) => found.push(...entries));
    return found.toSorted((one, other) => one.rank - other.rank);
  }

  #matchText(folded: string, isActive: (rule: R) => boolean): R | null {
    let best: Entry<R> | null = null;
    this.#visit(folded, (entries) => {
      for (const entry of entries) {
        if (best && entry.rank > best.rank) return;
        if (!isActive(entry.rule)) continue;
        best = entry;
        return;
      }
    });
    // The compiler does not see that the visit assigns it.
    return (best as Entry<R> | null)?.rule ?? null;
  }

  /** Hands over the entries of each keyword that is met, those of one keyword by their rank. */
  #visit(folded: string, visit: (entries: readonly Entry<R>[]) => void): void {
    visit(this.#exact.get(folded) ?? []);
    this.#search.search(folded, (word) => visit(this.#contained[word] ?? []));
  }
}

/** Whether a moment is in the stretch. */
export function isWithin({ from, to }: DailySpan, minute: number): boolean {
  const [first, end] = [minuteOf(from), minuteOf(to)];
  return first < end ? minute >= first && minute < end : minute >= first || minute < end;
}

function isActiveAt(rule: MatchableRule, at: Date, minute: number): boolean {
  const { enabled, activeFrom, activeTo, dailyWindow, quietHours } = rule;
  return (
    enabled &&
    (activeFrom === null || at >= activeFrom) &&
    (activeTo === null || at < activeTo) &&
    (dailyWindow === null || isWithin(dailyWindow, minute)) &&
    (quietHours === null || !isWithin(quietHours, minute))
  );
}

function byPrecedence(one: MatchableRule, other: MatchableRule): number {
  const byAge = one.createdAt.getTime() - other.createdAt.getTime();
  return other.priority - one.priority || byAge || (one.id < other.id ? -1 : 1);
}

/** The keywords of all rules, each with its rank. A keyword that folds to nothing is none. */
function entriesOf<R extends MatchableRule>(sorted: readonly R[]): Entry<R>[] {
  const entries = sorted.flatMap((rule) =>
    rule.trigger.type === 'keyword'
      ? rule.trigger.keywords.map((keyword) => ({
          ...{ rule, keyword, folded: foldText(keyword.text) },
          rank: 0,
        }))
      : [],
  );
  // The sort keeps the order of age that the rules have.
  const ranked = entries
    .filter(({ folded }) => folded !== '')
    .toSorted(
      (one, other) =>
        other.rule.priority - one.rule.priority ||
        Number(one.keyword.match === 'contains') - Number(other.keyword.match === 'contains'),
    );
  ranked.forEach((entry, rank) => (entry.rank = rank));
  return ranked;
}

function addTo<R>(map: Map<string, Entry<R>[]>, entry: Entry<R>): void {
  const known = map.get(entry.folded);
  if (known) known.push(entry);
  else map.set(entry.folded, [entry]);
}

/**
 * Which of the rule's keywords the text is or contains, as the rule has it. Of several, the one that it is, or else the
 * longest: that says most about what was asked.
 */
export function keywordMet({ trigger }: MatchableRule, text: string): string | null {
  if (trigger.type !== 'keyword') return null;
  const folded = foldText(text);
  const exact = trigger.keywords.find(
    (keyword) => keyword.match === 'exact' && foldText(keyword.text) === folded,
  );
  if (exact) return exact.text;
  const met = trigger.keywords.filter(
    (keyword) => keyword.match === 'contains' && folded.includes(foldText(keyword.text)),
  );
  return met.toSorted((one, other) => other.text.length - one.text.length)[0]?.text ?? null;
}

function takesType({ trigger }: MatchableRule, messageType: string): boolean {
  const types = trigger.type === 'message' ? trigger.messageTypes : undefined;
  return types === undefined || types.length === 0 || types.includes(messageType);
}

function matchOf<R>(rule: R | undefined): Match<R> | null {
  return rule ? { rule, keyword: null } : null;
}
