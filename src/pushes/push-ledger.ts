import { parsePushDocument, type Push, PushError, toPush, type XmlObject } from '@app/wechat';
import { SecretBox } from '@app/secret-box';
import { type BeforeApplicationShutdown, Injectable, type OnModuleInit } from '@nestjs/common';
import pLimit, { type LimitFunction } from 'p-limit';

import { Env } from '../../config/env.js';
import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { crashPoint } from '../common/crash-point.js';
import { firstIdOf } from '../common/first-id.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { outsideRequest, type RequestContext, runInRequest } from '../common/request-context.js';
import { STOP_WITHIN_MS } from '../common/stop.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { GroupCommit } from '../database/group-commit.js';
import { SealedColumns } from '../database/sealed-columns.js';
import { Heartbeat } from '../queue/heartbeat.js';
import { LeaseLostError } from '../queue/lease-lost.error.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { PushAccounts } from './push-accounts.js';
import { type PushHandler, PushHandlers } from './push-handlers.js';
import type { PushRow } from './push.entity.js';
import {
  type KeptPush,
  type NewPush,
  type PushFilter,
  PushesRepository,
} from './pushes.repository.js';

/** WeChat waits five seconds for an answer. */
const KEEP_WITHIN_MS = 4_000;
/** SQLite writes on one connection; elsewhere a slow statement must not hold up all others. */
const IN_FLIGHT = {
  sqlite: { inFlight: 1 },
  mysql: { inFlight: 2, inFlightWhenSlow: 6 },
};
const GROUP = {
  maxItems: 500,
  maxBytes: 4 * 1024 * 1024,
  maxWaitingItems: 5_000,
  maxWaitingBytes: 32 * 1024 * 1024,
};
/** What a row weighs beside its content. */
const ROW_BYTES = 400;

/** Of the pool's sixteen connections: however slow the database, handlers must leave some to what WeChat waits for. */
const HANDLERS_AT_ONCE = 8;
/** Of those that write in groups, whose connections are few: as many as a group of theirs may have. */
const GROUPED_AT_ONCE = 500;
/** More than so many are not kept in memory: they wait in the ledger. */
const MAX_QUEUED = 1_000;
const FIRST_RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 600_000;
const MAX_ATTEMPTS = 12;
const SWEEP_SECONDS = 5;
const SWEEP_PAGE = 500;
const PURGE_SECONDS = 3_600;
const PURGE_PAGE = 1_000;
const DAY_MS = 86_400_000;

/** Of the platform's own events, those that are about an account. */
const KINDS_OF_ACCOUNTS = ['authorized', 'updateauthorized', 'unauthorized'];

/** A push that has been verified. */
export interface VerifiedPush {
  row: Pick<PushRow, 'id' | 'account' | 'dedupKey' | 'kind' | 'occurredAt' | 'answer'> &
    Partial<Pick<PushRow, 'answeredBy'>>;
  /** The clear document. */
  content: string;
  /** The same, read; null when it says nothing that we know. */
  push: Push | null;
  handler: PushHandler | null;
  /** The request that brought it. */
  request: RequestContext;
}

/** The ledger of pushes: each kept once before it is answered, and handled from its row afterwards. */
@Injectable()
export class PushLedger implements OnModuleInit, BeforeApplicationShutdown {
  /** What this process handles, by the push's id. */
  readonly #running = new Map<string, Promise<void>>();
  /** Of these, the ones whose rows a handler's transaction has locked, or is about to. */
  readonly #ending = new Set<string>();
  readonly #turns = pLimit(HANDLERS_AT_ONCE);
  readonly #groupedTurns = pLimit(GROUPED_AT_ONCE);
  readonly #inserts: GroupCommit<NewPush, KeptPush | null>;
  readonly #marks: GroupCommit<string, undefined>;
  /** Claimed, but told to stop before their handler began. */
  readonly #notBegun: string[] = [];
  #stopRenewing: (() => void) | null = null;
  #isStopping = false;

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly pushes: PushesRepository,
    private readonly handlers: PushHandlers,
    private readonly accounts: PushAccounts,
    private readonly heartbeat: Heartbeat,
    private readonly schedule: LeasedSchedule,
    private readonly secrets: SecretBox,
    private readonly audit: AuditService,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    const bounds = {
      ...GROUP,
      ...(this.db.isSqlite ? IN_FLIGHT.sqlite : IN_FLIGHT.mysql),
      withinMs: KEEP_WITHIN_MS,
    };
    this.#inserts = new GroupCommit({
      ...bounds,
      commit: (rows) => this.pushes.insertGroup(rows, this.heartbeat.leaseMs),
      weigh: ({ content, answer }) => content.length + (answer?.length ?? 0) + ROW_BYTES,
    });
    this.#marks = new GroupCommit({
      ...bounds,
      // Nobody waits for these.
      inFlightWhenSlow: bounds.inFlight,
      maxWaitingItems: Infinity,
      commit: async (ids) => {
        await this.pushes.markHandled(ids, this.clock.now());
        return ids.map(() => undefined);
      },
      weigh: () => 0,
    });
  }

  onModuleInit(): void {
    this.sealed.register({
      table: 'push',
      idColumn: 'id',
      column: 'content',
      binding: contentOf,
    });
    this.accountData.register({
      table: 'push',
      isHistory: true,
      erase: async (tx, appid, limit) => {
        const erased = await this.pushes.eraseAccount(tx, appid, limit);
        if (erased < limit) await this.#eraseEventsAbout(tx, appid);
        return erased;
      },
      erasePerson: (appid, openid) => this.#erasePerson(appid, openid),
    });
    this.schedule.every('sweep-pushes', SWEEP_SECONDS, () => this.sweep());
    this.schedule.every('purge-pushes', PURGE_SECONDS, () => this.purge());
  }

  /**
   * Keeps a push. When this returns, it is in the database, and its handler has been started if it is new.
   *
   * Null when it is kept, but nobody could tell in time whether it was there before: then the sweep hands it out.
   *
   * @throws AppError `storage_unavailable` when it could not be kept in time, or what it was answered with not be read
   */
  async keep({ row, content, push, handler, request }: VerifiedPush): Promise<KeptPush | null> {
    const now = this.clock.now();
    const isHandled = handler === null;
    const isOurs = !isHandled && !this.#isStopping && this.#running.size < MAX_QUEUED;
    const kept: NewPush = {
      ...row,
      answeredBy: row.answeredBy ?? null,
      content: this.secrets.seal(content, contentOf(row.id)),
      state: isHandled ? 'handled' : 'waiting',
      attempts: isOurs ? 1 : 0,
      nextTryAt: now,
      receivedAt: now,
      handledAt: isHandled ? now : null,
      isOurs,
    };
    const result = await this.#inserts.add(kept);
    crashPoint('push.kept');
    if (!result) {
      // It may have been answered before, in other words; when WeChat asks again, that can be read.
      if (row.answer !== null) throw new AppError('storage_unavailable');
      return null;
    }
    if (result.isNew && isOurs)
      this.#start(
        { ...kept, leaseUntil: null, failure: null },
        () => Promise.resolve({ push, handler }),
        // What is written in groups is no single request's doing, and following each costs every promise of the process.
        this.handlers.isGrouped(handler) ? null : request,
      );
    return result;
  }

  /** Hands out again what a crash, a full memory or a failing handler left behind. */
  async sweep(): Promise<void> {
    while (!this.#isStopping) {
      const due = await this.pushes.findDue(this.clock.now(), SWEEP_PAGE);
      await this.#takeOver(due);
      // Not for everything that runs: where pushes come in all the time, that never ends.
      await Promise.all(due.map(({ id }) => this.#running.get(id) ?? Promise.resolve()));
      if (due.length < SWEEP_PAGE) return;
    }
  }

  /** Resolves when no handler runs in this process. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** The newest first. */
  async list(query: PushFilter & { limit: number; cursor?: string }): Promise<Page<PushRow>> {
    const { limit, cursor, ...filter } = query;
    const rows = await this.pushes.findPage(filter, limit, cursor ? fromCursor(cursor) : null);
    return toPage(
      rows,
      limit,
      ({ receivedAt, id }) => ({ at: receivedAt, id }),
      (row) => row,
    );
  }

  /**
   * Gives a parked push all its tries again, the first of them now.
   *
   * @throws AppError `not_found`, `push_not_parked`
   */
  async redrive(caller: Caller, id: string): Promise<void> {
    const row = await this.db.write(async (tx) => {
      const isParked = (await this.pushes.unpark(tx, { id }, this.clock.now())) > 0;
      const found = await this.pushes.find(id, tx);
      if (!found) throw new AppError('not_found');
      if (!isParked) throw new AppError('push_not_parked');
      const { kind, account } = found;
      await this.#recordRedrive(tx, caller, id, { kind, account, redriven: 1 });
      return found;
    });
    // What comes of it is WeChat's doing, not this request's.
    await outsideRequest(() => this.#takeOver([row]));
  }

  /** The same for all that match; they are handled by and by. @returns how many */
  redriveAll(caller: Caller, filter: Omit<PushFilter, 'state'>): Promise<number> {
    return this.db.write(async (tx) => {
      const redriven = await this.pushes.unpark(tx, filter, this.clock.now());
      if (redriven > 0)
        await this.#recordRedrive(tx, caller, filter.account ?? 'pushes', { ...filter, redriven });
      return redriven;
    });
  }

  backlog(): ReturnType<PushesRepository['backlog']> {
    return this.pushes.backlog();
  }

  /** Deletes what is older than the days that pushes are kept. What still waits is never deleted. */
  async purge(): Promise<void> {
    const before = this.clock.now().getTime() - this.env.pushRetentionDays * DAY_MS;
    while ((await this.pushes.deleteBefore(firstIdOf(before), PURGE_PAGE)) === PURGE_PAGE);
  }

  /** Begins nothing new, lets what runs end in its time, and hands back what does not. */
  async beforeApplicationShutdown(): Promise<void> {
    this.#isStopping = true;
    await inTime(this.settled(), STOP_WITHIN_MS, () => new Error('handlers go on')).catch(() =>
      this.logger.warn('push.stopped_while_running', { count: this.#running.size }),
    );
    const ids = [...this.#notBegun, ...this.#running.keys()];
    await this.pushes
      .handBack(ids)
      .catch((error: unknown) => this.logger.warn('push.not_handed_back', errorFields(error)));
  }

  /** The platform's own events name the account inside their sealed content only. There are few of them. */
  async #eraseEventsAbout(tx: Tx, appid: string): Promise<void> {
    const rows = await this.pushes.findOfKinds(this.env.component.appid, KINDS_OF_ACCOUNTS, tx);
    const about = rows.filter((row) => {
      const push = this.#open(row);
      return push !== null && 'appid' in push && push.appid === appid;
    });
    await this.pushes.erase(
      tx,
      about.map(({ id }) => id),
    );
  }

  /** Who has sent a push stands in its sealed content only: each of the account's is looked into. */
  async #erasePerson(appid: string, openid: string): Promise<void> {
    for (let after = ''; ;) {
      const rows = await this.pushes.findOf(appid, after, PURGE_PAGE);
      const about = rows.filter((row) => {
        const push = this.#open(row);
        return push !== null && 'fromUserName' in push && push.fromUserName === openid;
      });
      const ids = about.map(({ id }) => id);
      await this.db.write((tx) => this.pushes.erase(tx, ids));
      const last = rows.at(-1);
      if (!last || rows.length < PURGE_PAGE) return;
      after = last.id;
    }
  }

  #open({ id, content }: Pick<PushRow, 'id' | 'content'>): Push | null {
    return readPush(parsePushDocument(this.secrets.open(content, contentOf(id))));
  }

  async #recordRedrive(tx: Tx, caller: Caller, target: string, detail: object): Promise<void> {
    await this.audit.record(tx, {
      actor: caller,
      action: 'push.redriven',
      target,
      tenantId: null,
      detail,
    });
  }

  async #takeOver(rows: readonly PushRow[]): Promise<void> {
    if (this.#isStopping) return;
    const idle = rows.filter(({ id }) => !this.#running.has(id));
    for (const row of await this.pushes.claim(idle, this.heartbeat.leaseMs)) {
      row.attempts += 1;
      this.#start(row, () => this.#read(row));
    }
  }

  async #read(row: PushRow): Promise<Subject> {
    const { account } = row;
    const push = this.#open(row);
    const own = await this.accounts.find(account);
    return { push, handler: own?.handler ?? (push && this.handlers.find(push)) };
  }

  /** @param request what brought it, where it is handled right after its answer */
  #start(row: PushRow, read: () => Promise<Subject>, request: RequestContext | null = null): void {
    const handle = (): Promise<void> => this.#handle(row, read);
    const run = (request ? runInRequest(request, handle) : handle()).finally(() => {
      this.#running.delete(row.id);
      this.#ending.delete(row.id);
      if (this.#running.size > 0) return;
      this.#stopRenewing?.();
      this.#stopRenewing = null;
    });
    this.#running.set(row.id, run);
    this.#stopRenewing ??= this.heartbeat.hold(() => this.#renew());
  }

  /**
   * Leaves out what is being ended: its row is locked until the handler's transaction commits, and the renewal would wait
   * for that with all the others' rows locked as well. Nobody else can take a locked row over, whatever its lease.
   */
  async #renew(): Promise<void> {
    const ids = [...this.#running.keys()].filter((id) => !this.#ending.has(id));
    if (ids.length > 0) await this.pushes.renew(ids, this.heartbeat.leaseMs);
  }

  /** Never rejects: a failure that cannot even be written down is left to the sweep. */
  async #handle(row: PushRow, read: () => Promise<Subject>): Promise<void> {
    const fields = { pushId: row.id, kind: row.kind, attempts: row.attempts };
    try {
      const subject = await read();
      await this.#turnsOf(subject)(() => this.#attempt(row, subject));
    } catch (error) {
      this.logger.error('push.handler_failed', { ...fields, ...errorFields(error) });
      if (error instanceof LeaseLostError) return;
      const wait = Math.min(FIRST_RETRY_MS * 2 ** (row.attempts - 1), LONGEST_RETRY_MS);
      await this.pushes
        .markFailed(row, {
          failure: String(error).slice(0, 512),
          nextTryAt: new Date(this.clock.now().getTime() + wait),
          state: row.attempts >= MAX_ATTEMPTS ? 'parked' : 'waiting',
        })
        .catch((lost: unknown) =>
          this.logger.error('push.not_marked', { ...fields, ...errorFields(lost) }),
        );
    }
  }

  #turnsOf({ handler }: Subject): LimitFunction {
    return handler && this.handlers.isGrouped(handler) ? this.#groupedTurns : this.#turns;
  }

  async #attempt(row: PushRow, { push, handler }: Subject): Promise<void> {
    if (this.#isStopping) {
      this.#notBegun.push(row.id);
      return;
    }
    let isFinished = false;
    const finish = async (tx: Tx): Promise<void> => {
      this.#ending.add(row.id);
      await this.pushes.finish(tx, row, this.clock.now());
      this.db.afterCommit(tx, () => (isFinished = true));
    };
    // One that waits had a handler when it came: in a newer process than this one, it may be.
    if (!handler) throw new Error(`This process has no handler for ${row.kind}.`);
    const { id, receivedAt, account, attempts, answer, answeredBy } = row;
    const context = { id, receivedAt, account, attempts, answeredBy, finish };
    if (push) await handler(push, { ...context, isAnswered: !!answer });
    crashPoint('push.effect_done');
    if (!isFinished) await this.#marks.add(row.id);
  }
}

/** What is to be handled, and by whom. */
interface Subject {
  push: Push | null;
  handler: PushHandler | null;
}

/** Null for a document that is WeChat's beyond doubt but says nothing that we know: it is kept and logged. */
export function readPush(fields: XmlObject): Push | null {
  try {
    return toPush(fields);
  } catch (error) {
    if (error instanceof PushError) return null;
    throw error;
  }
}

function contentOf(id: string): { owner: string; field: string } {
  return { owner: `push:${id}`, field: 'content' };
}
