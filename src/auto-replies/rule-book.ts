import { Injectable, type OnModuleInit } from '@nestjs/common';

import { BriefMemory } from '../common/brief-memory.js';
import { errorFields, Logger } from '../common/logger.js';
import { WeighedMemory } from '../common/weighed-memory.js';
import { Database, type Tx } from '../database/database.js';
import { PassiveMedia } from '../messages/kinds/passive-media.js';
import {
  type CarriedFile,
  passiveMediaOf,
  type ReadyMedia,
} from '../messages/kinds/passive-reply.js';
import { PushAccounts } from '../pushes/push-accounts.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import type { AutoReply } from './auto-reply.entity.js';
import { RuleMatcher } from './matching.js';

/** Over all accounts. What is let go is read again when it is asked for. */
const MAX_HELD_RULES = 200_000;
/** What an account without rules weighs beside them. */
const WEIGHT = 1;

/** The rules of an account, ready to answer. */
export interface HeldRules {
  /** Null for an account that never had any. */
  revision: string | null;
  matcher: RuleMatcher<AutoReply>;
  /** WeChat's ids of what the rules answer with passively, while they are good. */
  media: ReadyMedia;
  /** Which look at the database it is of: a later one has the larger number. */
  look: number;
}

/**
 * Every account's rules, in memory while its pushes come: a push is answered out of it, without a look at the database.
 * Beside an account's other facts it is seen once a second whether they have changed.
 */
@Injectable()
export class RuleBook implements OnModuleInit {
  #looks = 0;
  readonly #held = new WeighedMemory<HeldRules>(
    MAX_HELD_RULES,
    ({ matcher }) => WEIGHT + matcher.rules.length,
  );
  /** Of when it was seen last; what was seen is held above, where it can be let go. */
  readonly #seen = new BriefMemory((appid) => this.#look(appid).then(() => true));

  constructor(
    private readonly rules: AutoRepliesRepository,
    private readonly db: Database,
    private readonly media: PassiveMedia,
    private readonly pushAccounts: PushAccounts,
    private readonly logger: Logger,
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

  /** Likewise inside a transaction, on its connection alone: waiting for another one, it might wait for itself. */
  async findIn(tx: Tx, appid: string): Promise<RuleMatcher<AutoReply>> {
    const held = this.#held.get(appid);
    if (held && this.#seen.peek(appid)) return held.matcher;
    const revision = await this.rules.findRevision(appid, tx);
    if (held?.revision === revision) return held.matcher;
    // The next one finds it here.
    this.db.afterCommit(tx, () => void this.#warm(appid));
    return RuleMatcher.of(revision === null ? [] : await this.rules.findAll(appid, tx));
  }

  /** The rules as they are now; from now on this process answers by them. */
  refresh(appid: string): Promise<HeldRules> {
    this.#seen.forget(appid);
    return this.find(appid);
  }

  async #warm(appid: string): Promise<void> {
    try {
      await this.find(appid);
    } catch (error) {
      this.logger.warn('auto_reply.rules_not_read', { appid, ...errorFields(error) });
    }
  }

  async #look(appid: string): Promise<HeldRules> {
    const look = ++this.#looks;
    const revision = await this.rules.findRevision(appid);
    const known = this.#held.get(appid);
    // Of rules that are newer than their revision, the next look finds out.
    const read = known?.revision === revision ? known : await this.#read(appid, revision);
    // One that has begun later may have been sooner done.
    const present = this.#held.get(appid);
    if (present && present.look > look) return present;
    const held = { ...read, look };
    this.#held.put(appid, held);
    return held;
  }

  async #read(appid: string, revision: string | null): Promise<Omit<HeldRules, 'look'>> {
    const rules = revision === null ? [] : await this.rules.findAll(appid);
    return {
      revision,
      matcher: await RuleMatcher.of(rules),
      media: await this.media.findReady(appid, rules.flatMap(filesOf)),
    };
  }
}

/** What the replies carry that may stand inside the response: the first, or whichever is chosen. */
export function filesOf({ mode, replies }: AutoReply): CarriedFile[] {
  return (mode === 'all' ? replies.slice(0, 1) : replies).flatMap(passiveMediaOf);
}
