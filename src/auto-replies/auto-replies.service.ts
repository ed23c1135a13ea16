import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import type { Account } from '../accounts/account.entity.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AppError, type FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';
import { fillIn, variablesOf } from '../messages/kinds/fill-in.js';
import { passiveReply } from '../messages/kinds/passive-reply.js';
import { ReplyMessages } from '../messages/kinds/reply-messages.js';
import { WorkQueue } from '../queue/work-queue.js';
import { AutoRepliesRepository, type RuleFilter } from './auto-replies.repository.js';
import type { AutoReply, AutoReplyStat, FrequencyCap, ReplyMode } from './auto-reply.entity.js';
import { type Conflict, conflictsOf, hiddenBy } from './conflicts.js';
import { foldText } from './fold-text.js';
import type { DailySpan } from './hours.js';
import type { Occasion, RuleMatcher, Trigger } from './matching.js';
import { ReplyMedia } from './reply-media.js';
import { planOf } from './reply-plan.js';
import { countOnce } from './responder.js';
import { RuleBook } from './rule-book.js';

const MAX_RULES = 10_000;
const PAGE = 1_000;
/** Who was answered by a rule that is gone. */
const FORGET = 'forget-auto-reply-people';

interface ForgetWork {
  ruleId: string;
}

const NOBODY = { openid: '', to: '', from: '', createTime: 0 };

/** What a client wants a rule to be. */
export interface WantedRule {
  name: string;
  trigger: Trigger;
  replies: object[];
  mode: ReplyMode;
  priority: number;
  activeFrom: Date | null;
  activeTo: Date | null;
  dailyWindow: DailySpan | null;
  quietHours: DailySpan | null;
  frequencyCap: FrequencyCap | null;
  enabled: boolean;
}

/** A rule as it is shown. */
export interface SavedRule {
  rule: AutoReply;
  /** Null while it has answered nobody. */
  stat: AutoReplyStat | null;
  conflicts: Conflict[];
}

/** Something that is only tried. */
export interface Tried {
  occasion: Occasion;
  /** Whose cap is looked at. */
  openid?: string;
  at: Date;
}

/** What it would be answered with. */
export interface TriedOccasion {
  matched: SavedRule | null;
  replies: AnyMessageDto[];
  /** The first of them stands inside the response. */
  isPassive: boolean;
  /** The person has had all that the rule's cap allows. */
  isCapped: boolean;
}

/** The rules by which accounts answer, as admins set them up. */
@Injectable()
export class AutoRepliesService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly rules: AutoRepliesRepository,
    private readonly book: RuleBook,
    private readonly media: ReplyMedia,
    private readonly messages: ReplyMessages,
    private readonly accounts: AccountsService,
    private readonly audit: AuditService,
    private readonly work: WorkQueue,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    const { rules } = this;
    this.work.register<ForgetWork>(FORGET, ({ ruleId }) => this.#forgetPeople(ruleId));
    this.accountData.register({
      table: 'auto_reply_person',
      isHistory: true,
      erase: (tx, appid, limit) => rules.erasePeople(tx, appid, limit),
      erasePerson: (appid, openid) => this.db.write((tx) => rules.erasePerson(tx, appid, openid)),
    });
    this.accountData.register({
      table: 'auto_reply',
      erase: (tx, appid, limit) => rules.eraseRules(tx, appid, limit),
    });
    this.accountData.register({
      table: 'auto_reply_stat',
      erase: (tx, appid) => rules.eraseStats(tx, appid),
    });
    this.accountData.register({
      table: 'auto_reply_revision',
      erase: (tx, appid) => rules.eraseRevision(tx, appid),
    });
  }

  /** The newest first. @throws AppError `not_found`; `invalid_query` for a cursor that is not ours */
  async list(
    caller: Caller,
    appid: string,
    query: RuleFilter & { limit: number; cursor?: string },
  ): Promise<Page<SavedRule>> {
    await this.accounts.get(caller, appid);
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.rules.findPage(appid, filter, limit, after);
    const { items, nextCursor } = toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
    const { matcher } = await this.book.refresh(appid);
    return { items: await this.#show(matcher, items), nextCursor };
  }

  /** @throws AppError `not_found`, for another account's too */
  async get(caller: Caller, appid: string, id: string): Promise<SavedRule> {
    await this.accounts.get(caller, appid);
    return this.#showOne(await this.#find(appid, id));
  }

  /**
   * Adds a rule, by which every process answers within a second.
   *
   * @throws AppError `not_found`, `official_account_only`, `too_many_auto_replies`, `validation_failed`
   */
  async create(caller: Caller, appid: string, wanted: WantedRule): Promise<SavedRule> {
    const replies = await this.#check(caller, appid, wanted);
    const now = this.clock.now();
    const id = uuidV7({ msecs: now.getTime() });
    const rule: AutoReply = {
      ...{ ...wanted, replies, id, appid },
      ...{ version: 1, renewMediaAt: null, createdAt: now, updatedAt: now },
    };
    rule.renewMediaAt = this.media.firstLookAt(rule);
    await this.#change(caller, rule, 'auto_reply.created', async (tx, account) => {
      if ((await this.rules.count(tx, appid)) >= MAX_RULES)
        throw new AppError('too_many_auto_replies');
      await this.messages.hold(tx, account, replies, 'replies');
      await this.rules.insert(tx, rule);
      await this.media.prepareSoon(tx, rule);
    });
    return this.#showOne(rule);
  }

  /** Puts another rule in its place, with its figures. @throws as {@link create}, and `not_found` for an unknown rule */
  async replace(caller: Caller, appid: string, id: string, wanted: WantedRule): Promise<SavedRule> {
    await this.accounts.get(caller, appid);
    const rule = await this.#find(appid, id);
    const replies = await this.#check(caller, appid, wanted);
    await this.#change(caller, rule, 'auto_reply.changed', async (tx, account) => {
      const before = await this.rules.findForUpdate(tx, appid, id);
      if (!before) throw new AppError('not_found');
      await this.messages.hold(tx, account, replies, 'replies');
      const [version, updatedAt] = [before.version + 1, this.clock.now()];
      Object.assign(rule, before, wanted, { replies, version, updatedAt });
      rule.renewMediaAt = this.media.firstLookAt(rule);
      const { id: _id, appid: _appid, createdAt: _createdAt, ...values } = rule;
      await this.rules.update(tx, id, values);
      await this.media.prepareSoon(tx, rule);
    });
    return this.#showOne(rule);
  }

  /** @throws AppError `not_found` */
  async delete(caller: Caller, appid: string, id: string): Promise<void> {
    await this.accounts.get(caller, appid);
    const rule = await this.#find(appid, id);
    await this.#change(caller, rule, 'auto_reply.deleted', async (tx) => {
      await this.rules.remove(tx, id);
      const payload: ForgetWork = { ruleId: id };
      await this.work.add(tx, { kind: FORGET, key: id, appid, payload });
    });
  }

  /** What something would be answered with. Nothing is sent. @throws AppError `not_found` */
  async try(
    caller: Caller,
    appid: string,
    { occasion, openid, at }: Tried,
  ): Promise<TriedOccasion> {
    const account = await this.accounts.get(caller, appid);
    const { matcher, media } = await this.book.refresh(appid);
    const match = matcher.match(occasion, at);
    if (!match) return { matched: null, replies: [], isPassive: false, isCapped: false };
    const { rule, keyword } = match;
    const person = openid === undefined ? null : await this.rules.findPerson(rule.id, openid);
    const isCapped = person !== null && countOnce(person, rule.frequencyCap, at) === null;
    const variables = variablesOf(account.nickname, keyword, at);
    const plan = planOf(rule, `${openid} ${at.getTime()}`);
    const replies = plan.map(({ message }) => fillIn(message, variables));
    const [first] = replies;
    return {
      matched: await this.#showOne(rule),
      replies: isCapped ? [] : replies,
      isPassive:
        !rule.frequencyCap && first !== undefined && passiveReply(first, NOBODY, media) !== null,
      isCapped,
    };
  }

  /** All changes of an account's rules take turns: the row with their revision is the first that each writes. */
  async #change(
    caller: Caller,
    rule: AutoReply,
    action: string,
    write: (tx: Tx, account: Account) => Promise<void>,
  ): Promise<void> {
    const { appid, id } = rule;
    await this.db.write(async (tx) => {
      const account = await this.accounts.getForUpdate(tx, caller, appid);
      const { tenantId } = account;
      await this.rules.writeRevision(tx, appid, uuidV7());
      await write(tx, account);
      const detail = { ruleId: id, name: rule.name, enabled: rule.enabled };
      await this.audit.record(tx, { actor: caller, action, target: appid, tenantId, detail });
    });
    await this.book.refresh(appid);
  }

  /** @returns the replies in their form */
  async #check(caller: Caller, appid: string, wanted: WantedRule): Promise<AnyMessageDto[]> {
    const account = await this.accounts.get(caller, appid);
    if (account.accountType !== 'official_account') throw new AppError('official_account_only');
    const { trigger } = wanted;
    const keywords = trigger.type === 'keyword' ? trigger.keywords.map(({ text }) => text) : [];
    const where = { field: 'replies', keywords };
    const { messages, errors } = await this.messages.read(account, wanted.replies, where);
    const wrong = [...scheduleErrors(wanted), ...keywordErrors(trigger), ...errors];
    if (wrong.length > 0) throw new AppError('validation_failed', wrong);
    return messages;
  }

  async #forgetPeople(ruleId: string): Promise<void> {
    const page = (): Promise<number> =>
      this.db.write((tx) => this.rules.removePeople(tx, ruleId, PAGE));
    while ((await page()) === PAGE);
  }

  async #find(appid: string, id: string): Promise<AutoReply> {
    const rule = await this.rules.find(appid, id);
    if (!rule) throw new AppError('not_found');
    return rule;
  }

  /** With the rules that it keeps from answering: too much to look for in a list. */
  async #showOne(rule: AutoReply): Promise<SavedRule> {
    const { matcher } = await this.book.refresh(rule.appid);
    const [shown] = await this.#show(matcher, [rule]);
    const { stat = null, conflicts = [] } = shown ?? {};
    return { rule, stat, conflicts: [...conflicts, ...hiddenBy(rule, matcher)] };
  }

  async #show(matcher: RuleMatcher<AutoReply>, rules: readonly AutoReply[]): Promise<SavedRule[]> {
    const stats = await this.rules.findStats(rules.map(({ id }) => id));
    const now = this.clock.now();
    return rules.map((rule) => ({
      rule,
      stat: stats.get(rule.id) ?? null,
      conflicts: conflictsOf(rule, matcher, now),
    }));
  }
}

function scheduleErrors(wanted: WantedRule): FieldError[] {
  const errors: FieldError[] = [];
  if (wanted.activeFrom && wanted.activeTo && wanted.activeFrom >= wanted.activeTo)
    errors.push({
      field: 'activeTo',
      code: 'period_empty',
      detail: { zh: '须晚于 activeFrom。', en: 'It has to be later than `activeFrom`.' },
    });
  for (const field of ['dailyWindow', 'quietHours'] as const)
    if (wanted[field] && wanted[field].from === wanted[field].to)
      errors.push({
        field: `${field}.to`,
        code: 'span_empty',
        detail: {
          zh: 'from 与 to 不能相同；全天请不要填写。',
          en: '`from` and `to` must differ. For the whole day, leave it out.',
        },
      });
  return errors;
}

function keywordErrors(trigger: Trigger): FieldError[] {
  if (trigger.type !== 'keyword') return [];
  return trigger.keywords.flatMap(({ text }, place) =>
    foldText(text) === ''
      ? [
          {
            field: `trigger.keywords.${place}.text`,
            code: 'keyword_empty',
            detail: {
              zh: '关键词不能只有空白或不可见字符。',
              en: 'A keyword has to be more than spaces.',
            },
          },
        ]
      : [],
  );
}
