import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v5 as uuidV5 } from 'uuid';

import type { Account } from '../accounts/account.entity.js';
import { Clock } from '../common/clock.js';
import type { Tx } from '../database/database.js';
import type { AnyMessageDto } from '../messages/kinds/customer-service-message.dto.js';
import { fillIn, variablesOf } from '../messages/kinds/fill-in.js';
import { passiveReply } from '../messages/kinds/passive-reply.js';
import { type Happening, PeopleWatchers } from '../messages/people/people-watchers.js';
import { DeliverySender } from '../messages/sending/delivery-sender.js';
import {
  type AccountPush,
  type AnsweringAccount,
  type NotedReply,
  PushHandlers,
} from '../pushes/push-handlers.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import type { AutoReply, AutoReplyPerson, FrequencyCap } from './auto-reply.entity.js';
import { keywordMet } from './matching.js';
import { noteOf, occasionOf, planOf, readNote, seedOf } from './reply-plan.js';
import { RuleBook } from './rule-book.js';

/** A rule that answers, and what of its replies has not been said yet. */
interface Rest {
  rule: AutoReply;
  messages: AnyMessageDto[];
}

/**
 * Answers people by the account's rules: the first reply inside the response to the push, where it can stand there, the
 * others as customer-service messages in their order.
 */
@Injectable()
export class Responder implements OnModuleInit {
  constructor(
    private readonly book: RuleBook,
    private readonly rules: AutoRepliesRepository,
    private readonly sender: DeliverySender,
    private readonly handlers: PushHandlers,
    private readonly watchers: PeopleWatchers,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.handlers.registerReply((push, account) => this.#reply(push, account));
    this.watchers.register((tx, happening) => this.#hear(tx, happening));
  }

  /** A rule with a cap is silent here: how often a person was answered, only the database knows. */
  #reply(push: AccountPush, { appid, nickname }: AnsweringAccount): NotedReply | null {
    const held = this.book.peek(appid);
    const occasion = occasionOf(push);
    if (!held || !occasion) return null;
    const at = timeOf(push);
    const match = held.matcher.match(occasion, at);
    if (!match || match.rule.frequencyCap) return null;
    const { rule, keyword } = match;
    const [first] = planOf(rule, seedOf(push));
    if (!first) return null;
    const { fromUserName: to, toUserName: from } = push;
    const head = { to, from, createTime: Math.floor(this.clock.now().getTime() / 1000) };
    const message = fillIn(first.message, variablesOf(nickname, keyword, at));
    const document = passiveReply(message, head, held.media);
    if (document === null) return null;
    return {
      document,
      by: noteOf({ ruleId: rule.id, version: rule.version, place: first.place }),
    };
  }

  async #hear(tx: Tx, happening: Happening): Promise<boolean> {
    const { id, account, interaction, isAnswered } = happening;
    const given = readNote(happening.answeredBy);
    // A channel code's, for one.
    if (isAnswered && !given) return false;
    const rest = given
      ? await this.#restOf(tx, happening, given)
      : await this.#wholeOf(tx, happening);
    if (!rest) return given !== null;
    const { rule, messages } = rest;
    const { openid, at } = interaction;
    const person = await this.rules.lockPerson(tx, rule, openid, at);
    const counted = countOnce(person, rule.frequencyCap, at);
    // Who has been answered often enough is not answered by another rule instead.
    if (!counted) return true;
    await this.rules.savePerson(tx, person, counted);
    if (messages.length > 0) await this.#queue(tx, account, openid, messages, id);
    await this.rules.countHit(tx, rule, at, person.hits === 0);
    return true;
  }

  /** What the rule says besides what was said in the response. Of a rule that was changed since, nothing. */
  async #restOf(
    tx: Tx,
    { account, push }: Happening,
    { ruleId, version, place }: NonNullable<ReturnType<typeof readNote>>,
  ): Promise<Rest | null> {
    const rule = await this.rules.find(account.appid, ruleId, tx);
    if (!rule) return null;
    const plan = rule.version === version ? planOf(rule, seedOf(push)) : [];
    const left = plan.filter((reply) => reply.place !== place).map(({ message }) => message);
    return { rule, messages: filled(left, rule, account, push) };
  }

  /** All that the rule says: nothing has been said in the response. */
  async #wholeOf(tx: Tx, { account, push }: Happening): Promise<Rest | null> {
    const occasion = occasionOf(push);
    if (!occasion || account.accountType !== 'official_account') return null;
    const matcher = await this.book.findIn(tx, account.appid);
    const match = matcher.match(occasion, timeOf(push));
    // One that was deleted a moment ago answers nobody any more, and leaves no figures behind.
    if (!match || !(await this.rules.find(account.appid, match.rule.id, tx))) return null;
    const messages = planOf(match.rule, seedOf(push)).map(({ message }) => message);
    return { rule: match.rule, messages: filled(messages, match.rule, account, push) };
  }

  /** In one delivery, which keeps their order, and stops for none of them. Its id is made of the push's: it is sent once. */
  async #queue(
    tx: Tx,
    account: Account,
    openid: string,
    messages: AnyMessageDto[],
    pushId: string,
  ): Promise<void> {
    const request = {
      kind: 'customer_service_message',
      openid,
      userId: null,
      templateId: null,
      content: { messages },
      parts: messages.length,
      passesOver: true,
    } as const;
    await this.sender.queue(tx, account, request, uuidV5('auto_reply', pushId));
  }
}

/** By WeChat's clock: the same in each process, and when the push is handled late. */
function timeOf({ createTime }: AccountPush): Date {
  return new Date(createTime * 1000);
}

function filled(
  messages: readonly AnyMessageDto[],
  rule: AutoReply,
  { nickname }: Account,
  push: AccountPush,
): AnyMessageDto[] {
  const occasion = occasionOf(push);
  const text = occasion?.type === 'message' ? occasion.text : null;
  const keyword = text === null ? null : keywordMet(rule, text);
  const variables = variablesOf(nickname, keyword, timeOf(push));
  return messages.map((message) => fillIn(message, variables));
}

/** What is counted of a person, with one answer more; null for one who has had all that the cap allows. */
export function countOnce(
  person: AutoReplyPerson,
  cap: FrequencyCap | null,
  at: Date,
): Pick<AutoReplyPerson, 'hits' | 'countedFrom' | 'counted'> | null {
  const hits = person.hits + 1;
  const { countedFrom, counted } = person;
  if (!cap) return { hits, countedFrom, counted };
  const isOver = +at >= +countedFrom + cap.perSeconds * 1000;
  if (isOver || counted === 0) return { hits, countedFrom: at, counted: 1 };
  if (counted >= cap.count) return null;
  return { hits, countedFrom, counted: counted + 1 };
}
