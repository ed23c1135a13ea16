import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import type { Account } from '../accounts/account.entity.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database, type Tx } from '../database/database.js';
import { passiveMediaOf } from '../messages/kinds/passive-reply.js';
import { MediaUploads } from '../messages/media/media-uploads.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import type { WorkContext } from '../queue/work-handlers.js';
import { WorkQueue } from '../queue/work-queue.js';
import { TokensService } from '../tokens/tokens.service.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import type { AutoReply } from './auto-reply.entity.js';
import { passiveRepliesOf, RuleBook } from './rule-book.js';

const PREPARE = 'prepare-auto-reply-media';
const RENEW_SECONDS = 600;
const RENEW_PAGE = 200;
const HOUR_MS = 3_600_000;
/** Copies live three days: a renewal that fails all night is done in the morning still. */
const RENEW_BEFORE_MS = 24 * HOUR_MS;

interface PrepareWork {
  ruleId: string;
}

/** WeChat's copies of what rules answer with inside the response: there before they are needed, and renewed before they end. */
@Injectable()
export class ReplyMedia implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly rules: AutoRepliesRepository,
    private readonly book: RuleBook,
    private readonly accounts: AccountsService,
    private readonly uploads: MediaUploads,
    private readonly tokens: TokensService,
    private readonly work: WorkQueue,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<PrepareWork>(PREPARE, (work, context) => this.#prepare(work, context));
    this.schedule.every('renew-auto-reply-media', RENEW_SECONDS, () => this.renew());
  }

  /** When a rule's media are to be looked after next, from now on; null where it answers with none. */
  firstLookAt(rule: AutoReply): Date | null {
    return mediaOf(rule).length > 0 ? this.clock.now() : null;
  }

  /** Has the media of a rule that was changed uploaded after the transaction. */
  async prepareSoon(tx: Tx, { id, appid, renewMediaAt }: AutoReply): Promise<void> {
    if (renewMediaAt !== null) await this.#addWork(tx, { id, appid });
  }

  /** Has those renewed that end within a day. */
  async renew(): Promise<void> {
    const due = await this.rules.findMediaDue(this.clock.now(), RENEW_PAGE);
    if (due.length > 0)
      await this.db.write(async (tx) => {
        for (const rule of due) await this.#addWork(tx, rule);
      });
  }

  async #addWork(tx: Tx, { id, appid }: Pick<AutoReply, 'id' | 'appid'>): Promise<void> {
    const payload: PrepareWork = { ruleId: id };
    await this.work.add(tx, { kind: PREPARE, key: id, appid, payload });
  }

  async #prepare({ ruleId }: PrepareWork, context: WorkContext): Promise<void> {
    const { appid } = context;
    const account = appid === null ? null : await this.accounts.find(appid);
    const rule = account && (await this.rules.find(account.appid, ruleId));
    if (!rule) return;
    const renewMediaAt = await this.#upload(account, rule);
    await this.db.write(async (tx) => {
      await this.rules.writeRevision(tx, rule.appid, uuidV7());
      await this.rules.writeRenewal(tx, rule, renewMediaAt);
      await context.finish(tx);
    });
    await this.book.refresh(rule.appid);
  }

  /** @returns when to look again */
  async #upload(account: Account, rule: AutoReply): Promise<Date | null> {
    const { appid } = account;
    const media = mediaOf(rule);
    for (const { id, kind } of media)
      await this.uploads
        .idFor(account, id, kind, (call) => this.tokens.withToken(appid, call), RENEW_BEFORE_MS)
        .catch((error: unknown) => {
          // One that was deleted stays away; sending it says so.
          if (!(error instanceof AppError) || !LASTING.has(error.code)) throw error;
          this.logger.warn('auto_reply.medium_gone', { ruleId: rule.id, ...errorFields(error) });
        });
    const copies = await this.uploads.findCopies(
      appid,
      media.map(({ id }) => id),
    );
    const ends = copies.map(({ expiresAt }) => +expiresAt);
    return ends.length > 0 ? new Date(Math.min(...ends) - RENEW_BEFORE_MS) : null;
  }
}

const LASTING: ReadonlySet<string> = new Set(['media_not_found', 'media_not_usable']);

function mediaOf(rule: AutoReply): ReturnType<typeof passiveMediaOf> {
  return passiveRepliesOf(rule).flatMap(passiveMediaOf);
}
