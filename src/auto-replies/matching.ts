import { shanghaiClock } from '../accounts/quota/shanghai-time.js';
import { Breath } from '../common/breath.js';
import { groupBy } from '../common/group-by.js';
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
  /** The smaller wins. */
  rank: number;
}

/** What a matcher is made of. */
interface MatcherParts<R> {
  /** By precedence, without those that are switched off. */
  sorted: readonly R[];
  /** By rank. */
  entries: readonly Entry<R>[];
  exact: ReadonlyMap<string, readonly Entry<R>[]>;
  /** Of each keyword that may be contained, who has it, by rank. */
  contained: readonly (readonly Entry<R>[])[];
  search: KeywordSearch;
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
  readonly #exact: ReadonlyMap<string, readonly Entry<R>[]>;
  readonly #contained: readonly (readonly Entry<R>[])[];
  readonly #entries: readonly Entry<R>[];
  /** The keywords of each rule, once somebody wants to know. */
  #byRule: ReadonlyMap<string, readonly Entry<R>[]> | null = null;
  readonly #search: KeywordSearch;
  readonly #onFollow: readonly R[];
  readonly #onMessage: readonly R[];

  private constructor(
    readonly rules: readonly R[],
    { sorted, entries, exact, contained, search }: MatcherParts<R>,
  ) {
    this.#onFollow = sorted.filter(({ trigger }) => trigger.type === 'follow');
    this.#onMessage = sorted.filter(({ trigger }) => trigger.type === 'message');
    this.#entries = entries;
    this.#exact = exact;
    this.#contained = contained;
    this.#search = search;
  }

  /** Makes rules ready. Of ten thousand it takes a second, in which others have their turn. */
  static async of<R extends MatchableRule>(rules: readonly R[]): Promise<RuleMatcher<R>> {
    const breath = new Breath();
    const sorted = rules.filter(({ enabled }) => enabled).toSorted(byPrecedence);
    const entries = await entriesOf(sorted, breath);
    const [exact, contained] = [new Map<string, Entry<R>[]>(), new Map<string, Entry<R>[]>()];
    for (const entry of entries) addTo(entry.keyword.match === 'exact' ? exact : contained, entry);
    const search = await KeywordSearch.of([...contained.keys()], breath);
    const parts = { sorted, entries, exact, contained: [...contained.values()], search };
    return new RuleMatcher(rules, parts);
  }

  /** The one rule that answers at that moment; null when none does. */
  match(occasion: Occasion, at: Date): Match<R> | null {
    const { minute } = shanghaiClock(at);
    const isActive = (rule: R): boolean => isOpen(rule, at, minute);
    if (occasion.type === 'follow') return matchOf(this.#onFollow.find(isActive));
    const { messageType, text } = occasion;
    const byKeyword = text === null ? null : this.#matchText(foldText(text), isActive);
    if (byKeyword) return { rule: byKeyword, keyword: keywordMet(byKeyword, text ?? '') };
    return matchOf(this.#onMessage.find((rule) => takesType(rule, messageType) && isActive(rule)));
  }

  /** Those that are asked for the same occasion, before this one and after it; none for keywords. Of what is switched off, none. */
  beside(rule: R): { before: R[]; after: R[] } {
    const { type } = rule.trigger;
    const list = type === 'keyword' ? [] : type === 'follow' ? this.#onFollow : this.#onMessage;
    const place = list.findIndex(({ id }) => id === rule.id);
    return place < 0
      ? { before: [], after: [] }
      : { before: list.slice(0, place), after: list.slice(place + 1) };
  }

  /** The keywords of a rule that is not switched off. */
  keywordsOf({ id }: R): readonly Entry<R>[] {
    return this.#keywordsByRule().get(id) ?? [];
  }

  /** The keywords of every rule that is not switched off, by rule. */
  keywords(): Iterable<readonly Entry<R>[]> {
    return this.#keywordsByRule().values();
  }

  #keywordsByRule(): ReadonlyMap<string, readonly Entry<R>[]> {
    return (this.#byRule ??= groupBy(this.#entries, ({ rule }) => rule.id));
  }

  /** Those that are the same when folded, of all rules. */
  *same({ folded }: Entry<R>): Iterable<Entry<R>> {
    yield* this.#exact.get(folded) ?? [];
    const [contained] = this.#lists(folded).filter(([entry]) => entry?.folded === folded);
    yield* contained ?? [];
  }

  /** Those that win over this one wherever a text is just this keyword. */
  *ahead({ folded, rank }: Entry<R>): Iterable<Entry<R>> {
    for (const entries of [this.#exact.get(folded) ?? [], ...this.#lists(folded)])
      for (const entry of entries) {
        if (entry.rank >= rank) break;
        yield entry;
      }
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

  /** Of each keyword that the text contains, who has it, by rank. */
  #lists(folded: string): (readonly Entry<R>[])[] {
    const lists: (readonly Entry<R>[])[] = [];
    this.#search.search(folded, (word) => lists.push(this.#contained[word] ?? []));
    return lists;
  }
}

function byPrecedence(one: MatchableRule, other: MatchableRule): number {
  const byAge = one.createdAt.getTime() - other.createdAt.getTime();
  return other.priority - one.priority || byAge || (one.id < other.id ? -1 : 1);
}

/** The keywords of all rules, by rank. A keyword that folds to nothing is none. @param sorted by precedence */
async function entriesOf<R extends MatchableRule>(
  sorted: readonly R[],
  breath: Breath,
): Promise<Entry<R>[]> {
  const entries: Entry<R>[] = [];
  for (const alike of groupBy(sorted, ({ priority }) => priority).values())
    for (const match of KEYWORD_MATCHES)
      for (const rule of alike) {
        await breath.take();
        const { trigger } = rule;
        if (trigger.type !== 'keyword') continue;
        for (const keyword of trigger.keywords) {
          if (keyword.match !== match) continue;
          const folded = foldText(keyword.text);
          if (folded !== '') entries.push({ rule, keyword, folded, rank: entries.length });
        }
      }
  return entries;
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
