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

/**
 * Over all accounts. What is let go is read again when it is asked for; the largest account by itself, ten thousand rules
 * with ten keywords of 64 letters, is 170 MB without its replies.
 */
const MAX_HELD_BYTES = 256 * 1024 * 1024;
/** As measured on Node 20 with Chinese texts, within a tenth: what 9,000 rules of several forms take, made ready. */
const BYTES_PER_ACCOUNT = 2_000;
const BYTES_PER_RULE = 1_200;
const BYTES_PER_KEYWORD = 320;
/** In the text, and in its node of the search. */
const BYTES_PER_KEYWORD_LETTER = 20;
const BYTES_PER_REPLY_LETTER = 2;

/** The rules of an account, ready to answer. */
export interface HeldRules {
  /** Null for an account that never had any. */
  revision: string | null;
  matcher: RuleMatcher<AutoReply>;
  /** Bytes, about. */
  weight: number;
  /** WeChat's ids of what the rules answer with passively, while they are good. */
  media: ReadyMedia;
}

/** A look at the rules of an account as they are in the database. */
interface Look {
  now: Promise<HeldRules>;
  /** For all that came after it had begun. */
  next: Promise<HeldRules> | null;
}

/**
 * Every account's rules, in memory while its pushes come: a push is answered out of it, without a look at the database.
 * Beside an account's other facts it is seen once a second whether they have changed; then the rules that are different
 * are read, and made ready beside the others.
 */
@Injectable()
export class RuleBook implements OnModuleInit {
  readonly #looks = new Map<string, Look>();
  /** What is made in transactions, by account and revision. */
  readonly #making = new Map<string, Promise<RuleMatcher<AutoReply>>>();
  readonly #held = new WeighedMemory<HeldRules>(MAX_HELD_BYTES, ({ weight }) => weight);
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
    // Others may wait for this one: it needs no connection but its own.
    const key = `${appid} ${revision}`;
    const making = this.#making.get(key) ?? this.#makeIn(tx, appid, held, revision);
    this.#making.set(key, making);
    return making.finally(() => this.#making.delete(key));
  }

  /** The rules as they are now; from now on this process answers by them. */
  refresh(appid: string): Promise<HeldRules> {
    this.#seen.forget(appid);
    return this.find(appid);
  }

  async #makeIn(
    tx: Tx,
    appid: string,
    held: HeldRules | undefined,
    revision: string | null,
  ): Promise<RuleMatcher<AutoReply>> {
    const { put, gone } = await this.#differences(appid, held, revision, tx);
    return held ? held.matcher.with(put, gone) : RuleMatcher.of(put);
  }

  async #warm(appid: string): Promise<void> {
    try {
      await this.find(appid);
    } catch (error) {
      this.logger.warn('auto_reply.rules_not_read', { appid, ...errorFields(error) });
    }
  }

  /** One at a time of each account. While one runs, all who want to know more than it may see wait for one other. */
  #look(appid: string): Promise<HeldRules> {
    const running = this.#looks.get(appid);
    if (!running) return this.#begin(appid);
    const begin = (): Promise<HeldRules> => this.#begin(appid);
    return (running.next ??= running.now.then(begin, begin));
  }

  #begin(appid: string): Promise<HeldRules> {
    const look: Look = {
      next: null,
      now: this.#read(appid).finally(() => {
        if (look.next === null) this.#looks.delete(appid);
      }),
    };
    this.#looks.set(appid, look);
    return look.now;
  }

  async #read(appid: string): Promise<HeldRules> {
    const known = this.#held.get(appid);
    const revision = await this.rules.findRevision(appid);
    // Of rules that are newer than their revision, the next look finds out.
    const held = known?.revision === revision ? known : await this.#follow(appid, known, revision);
    this.#held.put(appid, held);
    return held;
  }

  async #follow(
    appid: string,
    known: HeldRules | undefined,
    revision: string | null,
  ): Promise<HeldRules> {
    const { put, gone } = await this.#differences(appid, known, revision);
    const before = [...put.map(({ id }) => id), ...gone].flatMap(
      (id) => known?.matcher.rules.get(id) ?? [],
    );
    const weight =
      (known?.weight ?? BYTES_PER_ACCOUNT) + sumOf(put, weightOf) - sumOf(before, weightOf);
    const matcher = known ? await known.matcher.with(put, gone) : await RuleMatcher.of(put);
    const files = [...matcher.rules.values()].flatMap(filesOf);
    return { revision, matcher, weight, media: await this.media.findReady(appid, files) };
  }

  /** What is not in memory as the database has it: the rules to put there, and the ids of those that are gone. */
  async #differences(
    appid: string,
    held: HeldRules | undefined,
    revision: string | null,
    on?: Tx,
  ): Promise<{ put: AutoReply[]; gone: string[] }> {
    const versions = revision === null ? [] : await this.rules.findVersions(appid, on);
    const there = new Set(versions.map(({ id }) => id));
    const known = held?.matcher.rules ?? new Map<string, AutoReply>();
    const other = versions.filter(({ id, version }) => known.get(id)?.version !== version);
    const ids = other.map(({ id }) => id);
    return {
      put: await this.rules.findMany(appid, ids, on),
      gone: [...known.keys()].filter((id) => !there.has(id)),
    };
  }
}

/** Bytes in memory, about: what takes them are the letters of keywords and replies. */
function weightOf({ trigger, replies }: AutoReply): number {
  const keywords = trigger.type === 'keyword' ? trigger.keywords : [];
  return (
    BYTES_PER_RULE +
    sumOf(keywords, ({ text }) => BYTES_PER_KEYWORD + text.length * BYTES_PER_KEYWORD_LETTER) +
    JSON.stringify(replies).length * BYTES_PER_REPLY_LETTER
  );
}

function sumOf<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((sum, one) => sum + of(one), 0);
}

/** What the replies carry that may stand inside the response: the first, or whichever is chosen. */
export function filesOf({ mode, replies }: AutoReply): CarriedFile[] {
  return (mode === 'all' ? replies.slice(0, 1) : replies).flatMap(passiveMediaOf);
}
