import { shanghaiClock } from '../accounts/quota/shanghai-time.js';
import { Breath } from '../common/breath.js';
import { foldText } from './fold-text.js';
import { type Hours, isOpen } from './hours.js';
import { KeywordSearch } from './keyword-search.js';

/** An exact keyword goes before one that is contained. */
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

/** What of a rule decides whether it answers. */
export interface MatchableRule extends Hours {
  id: string;
  trigger: Trigger;
  /** The larger ones are asked first. */
  priority: number;
  enabled: boolean;
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
export interface Entry<R> {
  rule: R;
  keyword: Keyword;
  folded: string;
}

/** Who has each keyword, by its folded text and in the order in which they are asked. */
type Holders<R> = ReadonlyMap<string, readonly Entry<R>[]>;

/** What a matcher is made of. None of it changes: the next one shares what is the same. */
interface MatcherParts<R> {
  /** By id. */
  rules: ReadonlyMap<string, R>;
  /** The keywords of each rule that is not switched off, by the rule's id. */
  keywords: Holders<R>;
  exact: Holders<R>;
  /** Of the keywords that may be contained. Of one that the search finds and no rule has any more, nobody. */
  contained: Holders<R>;
  /** By precedence. */
  onFollow: readonly R[];
  onMessage: readonly R[];
  search: KeywordSearch;
  /** What the search finds, by its numbers. */
  words: readonly string[];
  /** What may be contained and came after the search was made: looked for one by one. */
  late: ReadonlySet<string>;
}

/** The search is made anew when more keywords than this have come or gone since… */
const FEW_CHANGES = 64;
/** …and than this times the square root of all: then neither the looks for late ones nor the making cost much. */
const CHANGES_PER_ROOT = 1.5;

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
  private constructor(private readonly parts: MatcherParts<R>) {}

  /** Makes rules ready. Of ten thousand it takes seconds, in which others have their turn. */
  static async of<R extends MatchableRule>(rules: readonly R[]): Promise<RuleMatcher<R>> {
    return new RuleMatcher<R>({
      rules: new Map(),
      keywords: new Map(),
      exact: new Map(),
      contained: new Map(),
      onFollow: [],
      onMessage: [],
      search: await KeywordSearch.of([]),
      words: [],
      late: new Set(),
    }).with(rules);
  }

  /** By id. */
  get rules(): ReadonlyMap<string, R> {
    return this.parts.rules;
  }

  /**
   * The same with other rules, made ready in a time that follows from what is different. This one stays as it is.
   *
   * @param put new ones, and those that take the place of the ones with their ids
   * @param gone ids of rules that are no more
   */
  async with(put: readonly R[], gone: readonly string[] = []): Promise<RuleMatcher<R>> {
    const { parts } = this;
    const breath = new Breath();
    const changed = new Set([...gone, ...put.map(({ id }) => id)]);
    const [rules, keywords] = [new Map(parts.rules), new Map(parts.keywords)];
    const added = { exact: new Map<string, Entry<R>[]>(), contains: new Map<string, Entry<R>[]>() };
    const touch = ({ folded, keyword }: Entry<R>): Entry<R>[] => {
      const known = added[keyword.match].get(folded) ?? [];
      added[keyword.match].set(folded, known);
      return known;
    };
    for (const id of changed) {
      for (const entry of keywords.get(id) ?? []) touch(entry);
      rules.delete(id);
      keywords.delete(id);
    }
    for (const rule of put.toSorted(byPrecedence)) {
      await breath.take();
      rules.set(rule.id, rule);
      const entries = rule.enabled ? entriesOf(rule) : [];
      if (entries.length > 0) keywords.set(rule.id, entries);
      for (const entry of entries) touch(entry).push(entry);
    }
    const listOf = (before: readonly R[], type: Trigger['type']): readonly R[] =>
      [
        ...before.filter(({ id }) => !changed.has(id)),
        ...put.filter(({ enabled, trigger }) => enabled && trigger.type === type),
      ].sort(byPrecedence);
    const exact = withEntries(parts.exact, added.exact, changed);
    for (const folded of added.exact.keys())
      if (exact.get(folded)?.length === 0) exact.delete(folded);
    const contained = withEntries(parts.contained, added.contains, changed);
    const found = await searchOf(parts, contained, added.contains.keys(), breath);
    return new RuleMatcher({
      ...{ rules, keywords, exact, contained, ...found },
      onFollow: listOf(parts.onFollow, 'follow'),
      onMessage: listOf(parts.onMessage, 'message'),
    });
  }

  /** The one rule that answers at that moment; null when none does. */
  match(occasion: Occasion, at: Date): Match<R> | null {
    const { minute } = shanghaiClock(at);
    const isActive = (rule: R): boolean => isOpen(rule, at, minute);
    if (occasion.type === 'follow') return matchOf(this.parts.onFollow.find(isActive));
    const { messageType, text } = occasion;
    const byKeyword = text === null ? null : this.#matchText(foldText(text), isActive);
    if (byKeyword) return { rule: byKeyword, keyword: keywordMet(byKeyword, text ?? '') };
    const { onMessage } = this.parts;
    return matchOf(onMessage.find((rule) => takesType(rule, messageType) && isActive(rule)));
  }

  /** Those that are asked for the same occasion, before this one and after it; none for keywords. Of what is switched off, none. */
  beside(rule: R): { before: readonly R[]; after: readonly R[] } {
    const { onFollow, onMessage } = this.parts;
    const { type } = rule.trigger;
    const list = type === 'keyword' ? [] : type === 'follow' ? onFollow : onMessage;
    const place = list.findIndex(({ id }) => id === rule.id);
    return place < 0
      ? { before: [], after: [] }
      : { before: list.slice(0, place), after: list.slice(place + 1) };
  }

  /** The keywords of a rule that is not switched off. */
  keywordsOf({ id }: R): readonly Entry<R>[] {
    return this.parts.keywords.get(id) ?? [];
  }

  /** The keywords of every rule that is not switched off, by rule. */
  keywords(): Iterable<readonly Entry<R>[]> {
    return this.parts.keywords.values();
  }

  /** Those that are the same when folded, of all rules. */
  *same({ folded }: Entry<R>): Iterable<Entry<R>> {
    yield* this.parts.exact.get(folded) ?? [];
    yield* this.parts.contained.get(folded) ?? [];
  }

  /** Those that win over this one wherever a text is just this keyword. */
  *ahead(entry: Entry<R>): Iterable<Entry<R>> {
    const lists: (readonly Entry<R>[])[] = [];
    this.#visit(entry.folded, (entries) => lists.push(entries));
    for (const entries of lists)
      for (const one of entries) {
        if (compareEntries(one, entry) >= 0) break;
        yield one;
      }
  }

  #matchText(folded: string, isActive: (rule: R) => boolean): R | null {
    let best: Entry<R> | null = null;
    this.#visit(folded, (entries) => {
      for (const entry of entries) {
        if (best && compareEntries(entry, best) > 0) return;
        if (!isActive(entry.rule)) continue;
        best = entry;
        return;
      }
    });
    // The compiler does not see that the visit assigns it.
    return (best as Entry<R> | null)?.rule ?? null;
  }

  /** Hands over who has each keyword that is met, in the order in which they are asked. */
  #visit(folded: string, visit: (entries: readonly Entry<R>[]) => void): void {
    const { exact, contained, search, words, late } = this.parts;
    visit(exact.get(folded) ?? []);
    search.search(folded, (word) => visit(contained.get(words[word] ?? '') ?? []));
    for (const word of late) if (folded.includes(word)) visit(contained.get(word) ?? []);
  }
}

function byPrecedence(one: MatchableRule, other: MatchableRule): number {
  const byAge = one.createdAt.getTime() - other.createdAt.getTime();
  return other.priority - one.priority || byAge || (one.id < other.id ? -1 : 1);
}

/** The one that comes first wins over the other wherever a text leads to both; 0 for two of one rule and match. */
export function compareEntries<R extends MatchableRule>(one: Entry<R>, other: Entry<R>): number {
  const place = ({ keyword }: Entry<R>): number => KEYWORD_MATCHES.indexOf(keyword.match);
  return (
    other.rule.priority - one.rule.priority ||
    place(one) - place(other) ||
    (one.rule.id === other.rule.id ? 0 : byPrecedence(one.rule, other.rule))
  );
}

/** A keyword that folds to nothing is none. */
function entriesOf<R extends MatchableRule>(rule: R): Entry<R>[] {
  const { trigger } = rule;
  if (trigger.type !== 'keyword') return [];
  return trigger.keywords.flatMap((keyword) => {
    const folded = foldText(keyword.text);
    // Most are the same folded: one text less in memory.
    return folded === ''
      ? []
      : [{ rule, keyword, folded: folded === keyword.text ? keyword.text : folded }];
  });
}

/** @param added of each keyword that anything is different of, who has it now @param changed the rules that it is about */
function withEntries<R extends MatchableRule>(
  before: Holders<R>,
  added: ReadonlyMap<string, readonly Entry<R>[]>,
  changed: ReadonlySet<string>,
): Map<string, readonly Entry<R>[]> {
  const after = new Map(before);
  for (const [folded, entries] of added) {
    const kept = (before.get(folded) ?? []).filter(({ rule }) => !changed.has(rule.id));
    after.set(folded, kept.length > 0 ? [...kept, ...entries].sort(compareEntries) : entries);
  }
  return after;
}

/**
 * What finds the keywords that may be contained: the search that there was, or a new one.
 *
 * @param before those that there were
 * @param contained who has them now; changed here to what is still looked for
 * @param touched keywords that may have come or gone
 */
async function searchOf<R>(
  { search, words, late, contained: before }: MatcherParts<R>,
  contained: Map<string, readonly Entry<R>[]>,
  touched: Iterable<string>,
  breath: Breath,
): Promise<Pick<MatcherParts<R>, 'search' | 'words' | 'late'>> {
  const stillLate = new Set(late);
  for (const word of touched) {
    const isHeld = contained.get(word)?.length !== 0;
    if (isHeld && !before.has(word)) stillLate.add(word);
    else if (!isHeld && (stillLate.delete(word) || !before.has(word))) contained.delete(word);
  }
  const gone = [...contained.values()].filter(({ length }) => length === 0).length;
  const few = FEW_CHANGES + CHANGES_PER_ROOT * Math.sqrt(words.length);
  if (stillLate.size + gone <= few) return { search, words, late: stillLate };
  for (const [word, { length }] of contained) if (length === 0) contained.delete(word);
  const all = [...contained.keys()];
  return { search: await KeywordSearch.of(all, breath), words: all, late: new Set() };
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
