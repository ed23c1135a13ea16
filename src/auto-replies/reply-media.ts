import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { AccountsService } from '../accounts/accounts.service.js';
import type { FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { Database, type Tx } from '../database/database.js';
import { PassiveMedia } from '../messages/kinds/passive-media.js';
import { MediaUsers } from '../messages/media/media-users.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import type { WorkContext } from '../queue/work-handlers.js';
import { WorkQueue } from '../queue/work-queue.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';
import type { AutoReply } from './auto-reply.entity.js';
import { filesOf, RuleBook } from './rule-book.js';

const PREPARE = 'prepare-auto-reply-media';
const RENEW_SECONDS = 600;
const RENEW_PAGE = 200;
/** Where WeChat takes them not, so much later: others have their turn meanwhile. */
const RETRY_MS = 3_600_000;

/** Of what answers with a medium. */
const NAMED_USERS = 5;

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
    private readonly media: PassiveMedia,
    private readonly users: MediaUsers,
    private readonly work: WorkQueue,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.users.register((tx, appid, mediaId) => this.#name(tx, appid, mediaId));
    this.work.register<PrepareWork>(PREPARE, (work, context) => this.#prepare(work, context));
    this.schedule.every('renew-auto-reply-media', RENEW_SECONDS, () => this.renew());
  }

  /** When a rule's media are to be looked after: from its last change on, until that has been done; null without any. */
  firstLookAt(rule: AutoReply): Date | null {
    return filesOf(rule).length > 0 ? rule.updatedAt : null;
  }

  /** Has the media of a rule that was changed uploaded after the transaction. */
  async prepareSoon(tx: Tx, { id, appid, renewMediaAt }: AutoReply): Promise<void> {
    if (renewMediaAt !== null) await this.#addWork(tx, { id, appid });
  }

  /** Has those renewed that end within a day. */
  async renew(): Promise<void> {
    const now = this.clock.now();
    const due = await this.rules.findMediaDue(now, RENEW_PAGE);
    if (due.length === 0) return;
    await this.db.write(async (tx) => {
      for (const rule of due) {
        await this.rules.writeRenewal(tx, rule, new Date(+now + RETRY_MS));
        await this.#addWork(tx, rule);
      }
    });
  }

  async #name(tx: Tx, appid: string, mediaId: string): Promise<FieldError[]> {
    const rules = await this.rules.findWithMedium(tx, appid, mediaId, NAMED_USERS);
    return rules.map(({ name }) => ({
      field: 'id',
      code: 'auto_reply',
      detail: { zh: `自动回复“${name}”`, en: `The automatic reply ${name}` },
    }));
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
    const renewMediaAt = await this.media.keep(account, filesOf(rule));
    await this.db.write(async (tx) => {
      // Whoever has read the rule before may not know of the copies.
      await this.rules.writeRevision(tx, rule.appid, uuidV7());
      await this.rules.writeRenewal(tx, rule, renewMediaAt);
      await context.finish(tx);
    });
    await this.book.refresh(rule.appid);
  }
}
