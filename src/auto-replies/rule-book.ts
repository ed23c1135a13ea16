import type { MediaKind } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../accounts/accounts.service.js';
import { BriefMemory } from '../common/brief-memory.js';
import { Clock } from '../common/clock.js';
import { passiveMediaOf, type ReadyMedia } from '../messages/kinds/passive-reply.js';
import { MediaUploads } from '../messages/media/media-uploads.js';
import { PushAccounts } from '../pushes/push-accounts.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import type { AutoReply } from './auto-reply.entity.js';
import { RuleMatcher } from './matching.js';

/** Over all accounts. Those that have not been asked for the longest time go first; they are read again when they are. */
const MAX_HELD_RULES = 200_000;
/** What an account without rules weighs beside them. */
const WEIGHT = 1;
/** WeChat fetches a reply's medium at once. */
const LEAST_LIFE_MS = 60_000;

/** The rules of an account, ready to answer. */
export interface HeldRules {
  /** Null for an account that never had any. */
  revision: string | null;
  matcher: RuleMatcher<AutoReply>;
  accountName: string;
  /** WeChat's ids of what the rules answer with passively, while they are good. */
  media: ReadyMedia;
}

/**
 * Every account's rules, in memory while its pushes come: a push is answered out of it, without a look at the database.
 * Beside an account's other facts it is seen once a second whether they have changed.
 */
@Injectable()
export class RuleBook implements OnModuleInit {
  readonly #held = new Map<string, HeldRules>();
  #weight = 0;
  /** Of when it was seen last; what was seen is held above, where it can be let go. */
  readonly #seen = new BriefMemory((appid) => this.#look(appid).then(() => true));

  constructor(
    private readonly rules: AutoRepliesRepository,
    private readonly accounts: AccountsService,
    private readonly uploads: MediaUploads,
    private readonly pushAccounts: PushAccounts,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.pushAccounts.prepare((appid) => this.find(appid));
  }

  /** What is in memory, without waiting; undefined where nothing is. While pushes come it is a second old at the most. */
  peek(appid: string): HeldRules | undefined {
    return this.#held.get(appid);
  }

  /** The rules as they were a second ago or later. */
  async find(appid: string): Promise<HeldRules> {
    await this.#seen.find(appid);
    return this.#held.get(appid) ?? this.#look(appid);
  }

  /** The rules as they are now; from now on this process answers by them. */
  refresh(appid: string): Promise<HeldRules> {
    this.#seen.forget(appid);
    return this.find(appid);
  }

  async #look(appid: string): Promise<HeldRules> {
    const revision = await this.rules.findRevision(appid);
    const known = this.#held.get(appid);
    // Of rules that are newer than their revision, the next look finds out.
    const held = known?.revision === revision ? known : await this.#read(appid, revision);
    this.#hold(appid, held);
    return held;
  }

  async #read(appid: string, revision: string | null): Promise<HeldRules> {
    const rules = revision === null ? [] : await this.rules.findAll(appid);
    const account = rules.length > 0 ? await this.accounts.find(appid) : null;
    return {
      revision,
      matcher: new RuleMatcher(rules),
      accountName: account?.nickname ?? '',
      media: await this.#mediaOf(appid, rules),
    };
  }

  async #mediaOf(appid: string, rules: readonly AutoReply[]): Promise<ReadyMedia> {
    const needed = rules.flatMap((rule) => passiveRepliesOf(rule).flatMap(passiveMediaOf));
    const ids = [...new Set(needed.map(({ id }) => id))];
    const copies = await this.uploads.findCopies(appid, ids);
    const byUse = new Map(copies.map((copy) => [useOf(copy.mediaId, copy.kind), copy]));
    return (mediaId, kind) => {
      const copy = byUse.get(useOf(mediaId, kind));
      const isGood = copy && +copy.expiresAt - +this.clock.now() > LEAST_LIFE_MS;
      return isGood ? copy.wechatMediaId : null;
    };
  }

  #hold(appid: string, held: HeldRules): void {
    this.#drop(appid);
    this.#held.set(appid, held);
    this.#weight += weightOf(held);
    for (const oldest of this.#held.keys()) {
      if (this.#weight <= MAX_HELD_RULES || oldest === appid) return;
      this.#drop(oldest);
    }
  }

  #drop(appid: string): void {
    const held = this.#held.get(appid);
    if (held && this.#held.delete(appid)) this.#weight -= weightOf(held);
  }
}

/** Of what a rule answers, what may stand inside the response: the first, or whichever is chosen. */
export function passiveRepliesOf({ mode, replies }: AutoReply): AutoReply['replies'] {
  return mode === 'all' ? replies.slice(0, 1) : replies;
}

function weightOf({ matcher }: HeldRules): number {
  return WEIGHT + matcher.rules.length;
}

function useOf(mediaId: string, kind: MediaKind): string {
  return `${kind} ${mediaId}`;
}
