import type { Text } from '../common/text.js';
import { PASSIVE_TYPES } from '../messages/kinds/passive-reply.js';
import type { AutoReply } from './auto-reply.entity.js';
import { covers, isNever, overlap } from './hours.js';
import { compareEntries, type Entry, type RuleMatcher } from './matching.js';

/** Something about a rule that is probably not meant. It is saved all the same. */
export interface Conflict {
  code: 'same_keyword' | 'never_matches' | 'hides_rule' | 'too_many_for_window';
  detail: Text;
  /** The other rule; null where it is about this one alone. */
  ruleId: string | null;
}

/** What WeChat lets through within a minute after somebody has followed. */
const AFTER_FOLLOW = 3;
/** Of others, so many are told of. */
const MAX_TOLD = 5;
/** However many rules share a keyword, a look at one of them takes no longer. */
const MAX_LOOKED_AT = 50;

/**
 * What stands against a rule of the account: a keyword that another rule has too, that it can never answer, and that
 * WeChat will not let all of its replies through. A rule that is switched off stands in nobody's way.
 *
 * @param matcher made of all rules of the account, with this one
 */
export function conflictsOf(
  rule: AutoReply,
  matcher: RuleMatcher<AutoReply>,
  now: Date,
): Conflict[] {
  if (!rule.enabled) return [];
  const never = neverInTime(rule, now) ?? neverInTurn(rule, matcher);
  const tooMany = tooManyAfterFollow(rule);
  return [...(never ? [never] : []), ...sameKeywords(rule, matcher), ...(tooMany ? [tooMany] : [])];
}

/** The rules that can never answer because of this one. Takes the longer the more rules there are. */
export function hiddenBy(rule: AutoReply, matcher: RuleMatcher<AutoReply>): Conflict[] {
  if (!rule.enabled) return [];
  return first(MAX_TOLD, hiddenRules(rule, matcher)).map(({ id, name }) => ({
    code: 'hides_rule',
    detail: {
      zh: `规则“${name}”不会再生效：总是本规则先回复。请调整 priority、修改关键词，或停用其中一条。`,
      en: `The rule ${name} can answer nobody any more: this one always answers first. Change \`priority\` or the keywords, or switch one of them off.`,
    },
    ruleId: id,
  }));
}

function* hiddenRules(rule: AutoReply, matcher: RuleMatcher<AutoReply>): Iterable<AutoReply> {
  for (const other of matcher.beside(rule).after)
    if (takesAll(rule, other) && covers(rule, other)) yield other;
  const own = matcher.keywordsOf(rule);
  if (own.length === 0) return;
  for (const entries of matcher.keywords()) {
    const other = entries[0]?.rule;
    if (!other || other.id === rule.id) continue;
    const isHidden = entries.every((entry) => own.some((one) => wins(one, entry)));
    if (isHidden && covers(rule, other)) yield other;
  }
}

function neverInTime(rule: AutoReply, now: Date): Conflict | null {
  if (rule.activeTo && rule.activeTo <= now)
    return {
      code: 'never_matches',
      detail: {
        zh: '生效时间已过，该规则不会再回复。请延长 activeTo，或停用、删除该规则。',
        en: 'Its time is over and it will answer nobody. Move `activeTo`, or switch it off or delete it.',
      },
      ruleId: null,
    };
  if (!isNever(rule)) return null;
  return {
    code: 'never_matches',
    detail: {
      zh: '每日时段完全落在免打扰时段内，该规则不会回复。请调整其中之一。',
      en: 'Its daily window lies in its quiet hours: it will answer nobody. Change one of them.',
    },
    ruleId: null,
  };
}

/** Another rule answers wherever this one would. */
function neverInTurn(rule: AutoReply, matcher: RuleMatcher<AutoReply>): Conflict | null {
  const before =
    rule.trigger.type === 'keyword'
      ? firstOfAll(matcher.keywordsOf(rule).map((entry) => shadowOf(entry, matcher)))
      : first(MAX_LOOKED_AT, matcher.beside(rule).before).find(
          (other) => takesAll(other, rule) && covers(other, rule),
        );
  return before
    ? {
        code: 'never_matches',
        detail: {
          zh: `规则“${before.name}”总是先回复，该规则不会生效。请提高 priority、修改关键词，或停用其中一条。`,
          en: `The rule ${before.name} always answers first. Raise \`priority\`, change the keywords, or switch one of them off.`,
        },
        ruleId: before.id,
      }
    : null;
}

/** The rule that answers whatever text the keyword would lead to its own rule by; of several, the first to answer. */
function shadowOf(entry: Entry<AutoReply>, matcher: RuleMatcher<AutoReply>): AutoReply | null {
  const [shadow] = first(MAX_LOOKED_AT, matcher.ahead(entry))
    .filter((one) => one.rule.id !== entry.rule.id && wins(one, entry))
    .filter(({ rule }) => covers(rule, entry.rule))
    .toSorted(compareEntries);
  return shadow?.rule ?? null;
}

/** Whether a keyword takes every text that another one takes. */
function wins(one: Entry<AutoReply>, other: Entry<AutoReply>): boolean {
  if (compareEntries(one, other) >= 0) return false;
  // An exact keyword leaves all longer texts to one that is contained in them.
  return one.keyword.match === 'contains'
    ? other.folded.includes(one.folded)
    : other.keyword.match === 'exact' && other.folded === one.folded;
}

function firstOfAll(shadows: readonly (AutoReply | null)[]): AutoReply | null {
  return shadows.includes(null) ? null : (shadows[0] ?? null);
}

function sameKeywords(rule: AutoReply, matcher: RuleMatcher<AutoReply>): Conflict[] {
  const others = new Map<string, Conflict>();
  const own = new Map<string, string>();
  for (const entry of matcher.keywordsOf(rule)) {
    const { text } = entry.keyword;
    const twin = own.get(entry.folded);
    if (twin !== undefined) others.set(rule.id, twice(twin, text));
    own.set(entry.folded, text);
    for (const { rule: other } of first(MAX_LOOKED_AT, matcher.same(entry))) {
      if (others.size >= MAX_TOLD) break;
      if (other.id === rule.id || others.has(other.id) || !overlap(other, rule)) continue;
      others.set(other.id, alsoIn(text, other));
    }
  }
  return [...others.values()];
}

function twice(one: string, other: string): Conflict {
  return {
    code: 'same_keyword',
    detail: {
      zh: `关键词“${one}”与“${other}”相同（不区分大小写与全角半角），保留一个即可。`,
      en: `The keywords ${one} and ${other} are the same, case and width aside. One of them will do.`,
    },
    ruleId: null,
  };
}

function alsoIn(text: string, { id, name }: AutoReply): Conflict {
  return {
    code: 'same_keyword',
    detail: {
      zh: `关键词“${text}”也在规则“${name}”中，只有一条会回复：priority 大的优先，其次完全匹配，再次较早创建的。`,
      en: `The rule ${name} has the keyword ${text} too, and one of them answers: the larger \`priority\`, then the exact match, then the older rule.`,
    },
    ruleId: id,
  };
}

function tooManyAfterFollow({ trigger, mode, replies, frequencyCap }: AutoReply): Conflict | null {
  if (trigger.type !== 'follow' || mode !== 'all') return null;
  const [opening] = replies;
  const inResponse = opening && PASSIVE_TYPES.includes(opening.type) && !frequencyCap ? 1 : 0;
  if (replies.length - inResponse <= AFTER_FOLLOW) return null;
  return {
    code: 'too_many_for_window',
    detail: {
      zh: `关注后一分钟内微信只允许 ${AFTER_FOLLOW} 条客服消息，多出的回复会发送失败。请减少回复，或把文字、图片、语音、视频、音乐、图文放在第一条。`,
      en: `Within a minute after a follow WeChat lets ${AFTER_FOLLOW} customer-service messages through; the others fail. Use fewer replies, or begin with a text, image, voice, video, music or news.`,
    },
    ruleId: null,
  };
}

function takesAll({ trigger: one }: AutoReply, { trigger: other }: AutoReply): boolean {
  if (one.type !== 'message' || other.type !== 'message') return one.type === other.type;
  const [all, some] = [one.messageTypes ?? [], other.messageTypes ?? []];
  return all.length === 0 || (some.length > 0 && some.every((type) => all.includes(type)));
}

function first<T>(most: number, all: Iterable<T>): T[] {
  const taken: T[] = [];
  for (const one of all) {
    if (taken.length >= most) break;
    taken.push(one);
  }
  return taken;
}
