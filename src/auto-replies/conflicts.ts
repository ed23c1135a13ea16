import type { Text } from '../common/text.js';
import { PASSIVE_TYPES } from '../messages/kinds/passive-reply.js';
import type { AutoReply } from './auto-reply.entity.js';
import { foldText } from './fold-text.js';
import { isWithin, type Keyword, type RuleMatcher } from './matching.js';

/** Something about a rule that is probably not meant. It is saved all the same. */
export interface Conflict {
  code: 'same_keyword' | 'never_matches' | 'too_many_for_window';
  detail: Text;
  /** The other rule; null where it is about this one alone. */
  ruleId: string | null;
}

const MINUTES_A_DAY = 1_440;
/** What WeChat lets through within a minute after somebody has followed. */
const AFTER_FOLLOW = 3;

/**
 * What stands against a rule of the account: a keyword that another rule has too, that it can never answer, and that
 * WeChat will not let all of its replies through.
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

function neverInTime({ activeTo, dailyWindow, quietHours }: AutoReply, now: Date): Conflict | null {
  if (activeTo && activeTo <= now)
    return {
      code: 'never_matches',
      detail: {
        zh: '生效时间已过，该规则不会再回复。请延长 activeTo，或停用、删除该规则。',
        en: 'Its time is over and it will answer nobody. Move `activeTo`, or switch it off or delete it.',
      },
      ruleId: null,
    };
  if (!dailyWindow || !quietHours) return null;
  for (let minute = 0; minute < MINUTES_A_DAY; minute++)
    if (isWithin(dailyWindow, minute) && !isWithin(quietHours, minute)) return null;
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
  const first =
    rule.trigger.type === 'keyword'
      ? firstOfAll(rule.trigger.keywords.map((keyword) => shadowOf(rule, keyword, matcher)))
      : matcher.before(rule).find((other) => takesAll(other, rule) && isAwakeWith(other, rule));
  return first
    ? {
        code: 'never_matches',
        detail: {
          zh: `规则“${first.name}”总是先回复，该规则不会生效。请提高 priority、修改关键词，或停用其中一条。`,
          en: `The rule ${first.name} always answers first. Raise \`priority\`, change the keywords, or switch one of them off.`,
        },
        ruleId: first.id,
      }
    : null;
}

/** The rule that answers whatever text the keyword would lead to this one by. */
function shadowOf(
  rule: AutoReply,
  { text, match }: Keyword,
  matcher: RuleMatcher<AutoReply>,
): AutoReply | null {
  for (const { rule: other, keyword } of matcher.findAll(text)) {
    if (other.id === rule.id) {
      if (keyword.match === match && foldText(keyword.text) === foldText(text)) return null;
      continue;
    }
    // An exact keyword leaves all longer texts to one that is contained in them.
    const isWide = match === 'exact' || keyword.match === 'contains';
    if (isWide && isAwakeWith(other, rule)) return other;
  }
  return null;
}

function firstOfAll(shadows: readonly (AutoReply | null)[]): AutoReply | null {
  return shadows.includes(null) ? null : (shadows[0] ?? null);
}

function sameKeywords(rule: AutoReply, matcher: RuleMatcher<AutoReply>): Conflict[] {
  if (rule.trigger.type !== 'keyword') return [];
  const others = new Map<string, Conflict>();
  for (const { text } of rule.trigger.keywords)
    for (const { rule: other, keyword } of matcher.findAll(text)) {
      const isSame = foldText(keyword.text) === foldText(text);
      if (!isSame || !other.enabled || other.id === rule.id || others.has(other.id)) continue;
      others.set(other.id, {
        code: 'same_keyword',
        detail: {
          zh: `关键词“${text}”也在规则“${other.name}”中，只有一条会回复：priority 大的优先，其次完全匹配，再次较早创建的。`,
          en: `The rule ${other.name} has the keyword ${text} too, and one of them answers: the larger \`priority\`, then the exact match, then the older rule.`,
        },
        ruleId: other.id,
      });
    }
  return [...others.values()];
}

function tooManyAfterFollow({ trigger, mode, replies, frequencyCap }: AutoReply): Conflict | null {
  if (trigger.type !== 'follow' || mode !== 'all') return null;
  const [first] = replies;
  const inResponse = first && PASSIVE_TYPES.includes(first.type) && !frequencyCap ? 1 : 0;
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

/** Whether a rule answers at each moment at which another one would. */
function isAwakeWith(one: AutoReply, other: AutoReply): boolean {
  if (!one.enabled) return false;
  const times = ({ activeFrom, activeTo, dailyWindow, quietHours }: AutoReply): string =>
    JSON.stringify([activeFrom, activeTo, dailyWindow, quietHours]);
  return times(one) === '[null,null,null,null]' || times(one) === times(other);
}
