import { createHash } from 'node:crypto';

import { SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { crashPoint } from '../common/crash-point.js';
import { Logger } from '../common/logger.js';
import { AccountData } from '../database/account-data.js';
import type { Tx } from '../database/database.js';
import { SealedColumns } from '../database/sealed-columns.js';
import { Heartbeat } from '../queue/heartbeat.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { type HeldRequest, IdempotentAnswersRepository } from './idempotent-answers.repository.js';

const KEPT_MS = 24 * 3_600_000;
const PURGE_SECONDS = 3_600;
const PURGE_PAGE = 500;

/** A request as far as it must be the same to be answered the same. */
export interface KeyedRequest {
  tenantId: string;
  /** The client's `Idempotency-Key`. */
  key: string;
  /** The account that its address names; null for none. */
  appid: string | null;
  /** What is asked: the same text for the same request. */
  asked: string;
}

/** An answer as it is sent. */
export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  /** Null for none. */
  body: string | null;
}

/** A request that this process runs, until its lease is no longer renewed. */
export interface RunningRequest {
  held: HeldRequest;
  stopRenewing: () => void;
}

/**
 * Runs a request once however often it is sent, and answers it the same for 24 hours.
 *
 * The key is taken in the database before the request runs, under a lease that is renewed while it does, so that this
 * holds across processes. It is at-least-once all the same: a process that dies between what the request did and
 * keeping its answer leaves a lease that runs out, and the next request with the key runs anew.
 */
@Injectable()
export class Idempotency implements OnModuleInit {
  constructor(
    private readonly answers: IdempotentAnswersRepository,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly heartbeat: Heartbeat,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.sealed.register({
      table: 'idempotent_answer',
      idColumn: 'id',
      column: 'answer',
      binding: answerBinding,
    });
    this.accountData.register({
      table: 'idempotent_answer',
      isHistory: true,
      erase: async (tx, appid, limit) => {
        const erased = await this.answers.eraseAccount(tx, appid, limit);
        if (erased < limit) await this.#eraseMentions(tx, appid);
        return erased;
      },
    });
    this.schedule.every('purge-idempotency', PURGE_SECONDS, () => this.purge());
  }

  /**
   * Takes the key for a request that is to run now, or finds the answer that it was given.
   *
   * @throws AppError `idempotency_key_reused`, `idempotency_key_in_progress`
   */
  async begin({ tenantId, key, appid, asked }: KeyedRequest): Promise<RunningRequest | KeptAnswer> {
    const now = this.clock.now();
    const times = { now, expiresAt: later(now), leaseMs: this.heartbeat.leaseMs };
    const id = digest(`${tenantId}\n${key}`);
    const fingerprint = digest(asked);
    const first = await this.answers.insert({ id, tenantId, appid, fingerprint }, times);
    if (first) return this.#run(first);
    const row = await this.answers.find(id);
    // Null when it was refused just now: the caller comes again.
    if (!row) throw new AppError('idempotency_key_in_progress');
    if (row.expiresAt > now) {
      if (row.fingerprint !== fingerprint) throw new AppError('idempotency_key_reused');
      if (row.answer !== null) return this.#open(id, row.answer);
    }
    const taken = await this.answers.takeOver(row, { appid, fingerprint }, times);
    if (!taken) throw new AppError('idempotency_key_in_progress');
    return this.#run(taken);
  }

  /** Keeps the answer of a request that has run. */
  async keep({ held }: RunningRequest, answer: KeptAnswer): Promise<void> {
    crashPoint('idempotency.effect_done');
    const sealed = this.secrets.seal(JSON.stringify(answer), answerBinding(held.id));
    const isKept = await this.answers.keep(held, sealed, later(this.clock.now()));
    if (isKept) return;
    this.logger.warn('idempotency.lease_lost');
    // Does nothing to a key that another request has taken over.
    await this.answers.release(held);
  }

  /** Gives the key back: the request was refused before anything was done. */
  async release({ held }: RunningRequest): Promise<void> {
    await this.answers.release(held);
  }

  /** Deletes the answers that have had their 24 hours. */
  async purge(): Promise<void> {
    while ((await this.answers.deleteExpired(this.clock.now(), PURGE_PAGE)) === PURGE_PAGE);
  }

  /**
   * Where the address names no account, which ones an answer tells of stands in its sealed text only: each is looked into.
   * What an answer under way will tell of nobody knows: it is not kept, and a repetition of the request runs anew.
   */
  async #eraseMentions(tx: Tx, appid: string): Promise<void> {
    for (let after = ''; ;) {
      const rows = await this.answers.findOfNoAccount(tx, after, PURGE_PAGE);
      const [about, running]: [string[], string[]] = [[], []];
      for (const { id, answer } of rows) {
        if (answer === null) running.push(id);
        else if (this.#openText(id, answer).includes(appid)) about.push(id);
      }
      await this.answers.erase(tx, about);
      await this.answers.assignTo(tx, appid, running);
      const last = rows.at(-1);
      if (!last || rows.length < PURGE_PAGE) return;
      after = last.id;
    }
  }

  #run(held: HeldRequest): RunningRequest {
    const { leaseMs } = this.heartbeat;
    return { held, stopRenewing: this.heartbeat.hold(() => this.answers.renew(held, leaseMs)) };
  }

  #open(id: string, sealed: string): KeptAnswer {
    // What we sealed is what `keep` was given.
    return JSON.parse(this.#openText(id, sealed)) as KeptAnswer;
  }

  #openText(id: string, sealed: string): string {
    return this.secrets.open(sealed, answerBinding(id));
  }
}

function answerBinding(id: string): { owner: string; field: string } {
  return { owner: `idempotent_answer:${id}`, field: 'answer' };
}

function later(now: Date): Date {
  return new Date(now.getTime() + KEPT_MS);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
