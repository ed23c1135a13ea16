import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import {
  EVENT_VERSIONS,
  type EventPayloads,
  type EventSubject,
  type EventType,
} from './event-types.js';
import type { EventRow } from './event.entity.js';
import { EventWords } from './event-words.js';
import { EventsRepository, subjectKeyOf } from './events.repository.js';

/** The feed and everything that is sent goes back so far. */
const KEPT_DAYS = 7;
const PAGE = 500;
const PLACE_EVERY_SECONDS = 5;
const TRIM_EVERY_SECONDS = 3_600;

/** One that is told together with others. */
export interface NewEvent<T extends EventType = EventType> {
  type: T;
  key: EventSubject;
  payload: EventPayloads[T];
}

/** A stretch of the feed, and where the next one begins. */
export interface FeedPage {
  rows: EventRow[];
  /** Where to go on, now or later. */
  after: string;
  hasMore: boolean;
}

/** The outbox: an event is written with the change that it tells of, and read by whoever wants to know. */
@Injectable()
export class EventsService implements OnModuleInit {
  /** Counts this process's events: what it tells within one millisecond keeps its order by it. */
  #serial = 0;

  constructor(
    private readonly db: Database,
    private readonly events: EventsRepository,
    private readonly words: EventWords,
    private readonly schedule: LeasedSchedule,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  async onModuleInit(): Promise<void> {
    this.accountData.register({
      table: 'event',
      isHistory: true,
      erase: (tx, appid, limit) => this.events.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.events.erasePerson(tx, appid, openid, PAGE));
        while ((await page()) === PAGE);
      },
    });
    await this.db.write((tx) => this.events.insertFeed(tx));
    this.schedule.every('place-events', PLACE_EVERY_SECONDS, () => this.place());
    this.schedule.every('trim-events', TRIM_EVERY_SECONDS, () => this.trim());
  }

  /**
   * Tells of a change, in its transaction: both are kept, or neither.
   *
   * @param key whom it is about; events of one key keep their order
   * @param payload ids and facts, and what people have written where the type says so; no secret
   */
  async emit<T extends EventType>(
    tx: Tx,
    type: T,
    key: EventSubject,
    payload: EventPayloads[T],
  ): Promise<void> {
    await this.emitAll(tx, [{ type, key, payload }]);
  }

  /** The same for many at once, in their order. */
  async emitAll(tx: Tx, events: readonly NewEvent[]): Promise<void> {
    if (events.length === 0) return;
    const now = this.clock.now();
    await this.events.insert(
      tx,
      events.map(({ type, key: { tenantId, appid, openid }, payload }) => {
        this.#serial = (this.#serial + 1) % 2 ** 32;
        const id = uuidV7({ msecs: now.getTime(), seq: this.#serial });
        return {
          id,
          type,
          version: EVENT_VERSIONS[type],
          subjectKey: subjectKeyOf(appid, openid),
          tenantId,
          appid,
          ...this.words.seal(id, type, payload),
          occurredAt: now,
        };
      }),
    );
  }

  /**
   * Reads the feed in order. Nothing is left out, in whatever order the transactions of the events ended.
   *
   * @param after `after` of an earlier page; null begins with the oldest that is kept
   * @throws AppError `invalid_query` for an `after` that is not ours, `event_cursor_expired` when what follows it is not here
   */
  async read(
    caller: Pick<Caller, 'allTenants' | 'tenantId'>,
    query: { types: readonly string[]; after: string | null; limit: number },
  ): Promise<FeedPage> {
    await this.place();
    const { last, trimmedThrough } = await this.events.findFeed();
    const from = query.after === null ? trimmedThrough : fromPosition(query.after);
    // Beyond the end: of another database, or of this one before it was restored.
    if (from < trimmedThrough || from > last) throw new AppError('event_cursor_expired');
    const tenantId = caller.allTenants ? null : caller.tenantId;
    const rows = await this.events.findAfter(
      from,
      { tenantId, types: query.types },
      query.limit + 1,
    );
    const kept = rows.slice(0, query.limit).map((row) => this.words.open(row));
    const hasMore = rows.length > query.limit;
    const through = kept.at(-1)?.position ?? from;
    // At the end of what matches, everything that was placed before the look has been seen.
    return { rows: kept, after: toPosition(hasMore ? through : Math.max(through, last)), hasMore };
  }

  /** Gives every committed event its place in the feed. */
  async place(): Promise<void> {
    if (!(await this.events.hasUnplaced())) return;
    while ((await this.events.place(PAGE)) === PAGE);
  }

  /** Cuts off what is older than the feed goes back. */
  async trim(): Promise<void> {
    const now = await this.db.now();
    const moment = new Date(now.getTime() - KEPT_DAYS * 86_400_000);
    while ((await this.events.trim(moment, PAGE)) === PAGE);
  }

  /** How long the oldest event waits to be seen by readers; 0 when none does. */
  async lagMs(): Promise<number> {
    const oldest = await this.events.findOldestUnplaced();
    return oldest ? Math.max(0, (await this.db.now()).getTime() - oldest.getTime()) : 0;
  }
}

function toPosition(position: number): string {
  return Buffer.from(`e${position}`).toString('base64url');
}

function fromPosition(after: string): number {
  const digits = /^e(\d{1,15})$/.exec(Buffer.from(after, 'base64url').toString())?.[1];
  if (digits !== undefined) return Number(digits);
  throw new AppError('invalid_query', [
    {
      field: 'after',
      code: 'invalid_cursor',
      detail: {
        zh: '请使用上一次返回的 after；从最早保留的事件开始则不要传。',
        en: 'Use `after` of the answer before, or leave it out to begin with the oldest event that is kept.',
      },
    },
  ]);
}
