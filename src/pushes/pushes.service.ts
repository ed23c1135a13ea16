import {
  answerHandshake,
  dedupKey,
  openPush,
  parseXml,
  type Push,
  PushError,
  type PushQuery,
  toPush,
  type XmlObject,
} from '@app/wechat';
import { SecretBox } from '@app/secret-box';
import { type BeforeApplicationShutdown, Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../config/env.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { inTime } from '../common/in-time.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { PushHandlers } from './push-handlers.js';
import { PushRow } from './push.entity.js';
import { PushesRepository } from './pushes.repository.js';

/** A claimed push is another's again after this long: by then its handler has died with its process. */
const CLAIM_MS = 120_000;
/** WeChat waits five seconds for an answer. */
const KEEP_WITHIN_MS = 4_000;
const FIRST_RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 600_000;
const MAX_ATTEMPTS = 12;
const SWEEP_SECONDS = 10;
const SWEEP_PAGE = 100;
const UNKNOWN_KIND = 'unknown';

/** The component's push door and its ledger: verify, keep once, answer; the handler runs from the kept row. */
@Injectable()
export class PushesService implements OnModuleInit, BeforeApplicationShutdown {
  readonly #running = new Set<Promise<void>>();

  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly pushes: PushesRepository,
    private readonly handlers: PushHandlers,
    private readonly schedule: LeasedSchedule,
    private readonly secrets: SecretBox,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.schedule.every('sweep-pushes', SWEEP_SECONDS, () => this.sweep());
  }

  /** The address check that WeChat may make when the component's address is saved. @throws PushError */
  answerHandshake(query: PushQuery): string {
    return answerHandshake(query, [this.env.component.token]);
  }

  /**
   * Takes a push to the component's event address. When this returns, the push is in the database.
   *
   * @param body the bytes as they came
   * @throws PushError 400 or 403 for what is not a good push of WeChat's
   */
  async receiveComponentEvent(body: Buffer, query: PushQuery): Promise<void> {
    const { appid, token, encodingAesKey } = this.env.component;
    const opened = openPush(body, query, {
      tokens: [token],
      encodingAesKeys: [encodingAesKey],
      appid,
      mode: 'secure',
      formats: ['xml'],
    });
    const push = readPush(opened.fields);
    if (push && 'componentAppid' in push && push.componentAppid !== appid) {
      throw new PushError('appid');
    }
    const now = this.clock.now();
    const id = uuidV7({ msecs: now.getTime() });
    const row: PushRow = {
      id,
      account: appid,
      dedupKey: dedupKey(opened),
      kind: push?.kind ?? UNKNOWN_KIND,
      occurredAt: push ? new Date(push.createTime * 1000) : now,
      content: this.secrets.seal(opened.content, contentOf(id)),
      state: 'waiting',
      // The insert is the first claim: the handler starts here, and a sweep takes over if this process dies.
      attempts: 1,
      nextTryAt: new Date(now.getTime() + CLAIM_MS),
      failure: null,
      receivedAt: now,
      handledAt: null,
    };
    // A slow database must not make us late: WeChat then tries again, and what is kept after all is kept once.
    await inTime(this.#keep(row, push), KEEP_WITHIN_MS, () => new AppError('storage_unavailable'));
  }

  async #keep(row: PushRow, push: Push | null): Promise<void> {
    const isNew = await this.pushes.insertOnce(row);
    this.logger.info('push.received', { pushId: row.id, kind: row.kind, isNew });
    if (isNew) this.#start(row, () => push);
  }

  /** Hands out again what a crash or a failing handler left behind. */
  async sweep(): Promise<void> {
    const due = await this.pushes.findDue(this.clock.now(), SWEEP_PAGE);
    for (const row of due) {
      if (!(await this.pushes.claim(row, new Date(this.clock.now().getTime() + CLAIM_MS))))
        continue;
      row.attempts += 1;
      this.#start(row, () => this.#read(row));
    }
    await this.settled();
  }

  /** Resolves when no handler runs in this process. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.settled();
  }

  #read(row: PushRow): Push | null {
    return readPush(parseXml(this.secrets.open(row.content, contentOf(row.id))));
  }

  #start(row: PushRow, read: () => Push | null): void {
    const run = this.#handle(row, read);
    this.#running.add(run);
    void run.finally(() => this.#running.delete(run));
  }

  /** Never rejects: a failure that cannot even be written down is left to the sweep. */
  async #handle(row: PushRow, read: () => Push | null): Promise<void> {
    const fields = { pushId: row.id, kind: row.kind, attempts: row.attempts };
    try {
      await this.#attempt(row, read());
    } catch (error) {
      this.logger.error('push.handler_failed', { ...fields, ...errorFields(error) });
      const isParked = row.attempts >= MAX_ATTEMPTS;
      const wait = Math.min(FIRST_RETRY_MS * 2 ** (row.attempts - 1), LONGEST_RETRY_MS);
      const nextTryAt = new Date(this.clock.now().getTime() + wait);
      const failure = String(error).slice(0, 512);
      await this.db
        .write((tx) => this.pushes.markFailed(tx, row.id, { failure, nextTryAt, isParked }))
        .catch((lost: unknown) =>
          this.logger.error('push.not_marked', { ...fields, ...errorFields(lost) }),
        );
    }
  }

  async #attempt(row: PushRow, push: Push | null): Promise<void> {
    const handler = push && this.handlers.find(push.kind);
    if (handler) await handler(push);
    else this.logger.info('push.no_handler', { pushId: row.id, kind: kindForLog(push) });
    await this.db.write((tx) => this.pushes.markHandled(tx, row.id, this.clock.now()));
  }
}

/** Null for a document that is WeChat's beyond doubt but says nothing that we know: it is kept and logged. */
function readPush(fields: XmlObject): Push | null {
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

function kindForLog(push: Push | null): string {
  return push?.kind === 'other_info' ? push.infoType : (push?.kind ?? UNKNOWN_KIND);
}
