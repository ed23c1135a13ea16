import { createHash } from 'node:crypto';

import { SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { crashPoint } from '../common/crash-point.js';
import { Logger } from '../common/logger.js';
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
    this.schedule.every('purge-idempotency', PURGE_SECONDS, () => this.purge());
  }

  /**
   * Takes the key for a request that is to run now, or finds the answer that it was given.
   *
   * @throws AppError `idempotency_key_reused`, `idempotency_key_in_progress`
   */
  async begin({ tenantId, key, asked }: KeyedRequest): Promise<RunningRequest | KeptAnswer> {
    const now = this.clock.now();
    const times = { now, expiresAt: later(now), leaseMs: this.heartbeat.leaseMs };
    const id = digest(`${tenantId}\n${key}`);
    const fingerprint = digest(asked);
    const first = await this.answers.insert({ id, tenantId, fingerprint }, times);
    if (first) return this.#run(first);
    const row = await this.answers.find(id);
    // Null when it was refused just now: the caller comes again.
    if (!row) throw new AppError('idempotency_key_in_progress');
    if (row.expiresAt > now) {
      if (row.fingerprint !== fingerprint) throw new AppError('idempotency_key_reused');
      if (row.answer !== null) return this.#open(id, row.answer);
    }
    const taken = await this.answers.takeOver(row, fingerprint, times);
    if (!taken) throw new AppError('idempotency_key_in_progress');
    return this.#run(taken);
  }

  /** Keeps the answer of a request that has run. */
  async keep({ held }: RunningRequest, answer: KeptAnswer): Promise<void> {
    crashPoint('idempotency.effect_done');
    const sealed = this.secrets.seal(JSON.stringify(answer), answerBinding(held.id));
    const isKept = await this.answers.keep(held, sealed, later(this.clock.now()));
    if (!isKept) this.logger.warn('idempotency.lease_lost');
  }

  /** Gives the key back: the request was refused before anything was done. */
  async release({ held }: RunningRequest): Promise<void> {
    await this.answers.release(held);
  }

  /** Deletes the answers that have had their 24 hours. */
  async purge(): Promise<void> {
    while ((await this.answers.deleteExpired(this.clock.now(), PURGE_PAGE)) === PURGE_PAGE);
  }

  #run(held: HeldRequest): RunningRequest {
    const { leaseMs } = this.heartbeat;
    return { held, stopRenewing: this.heartbeat.hold(() => this.answers.renew(held, leaseMs)) };
  }

  #open(id: string, sealed: string): KeptAnswer {
    // What we sealed is what `keep` was given.
    return JSON.parse(this.secrets.open(sealed, answerBinding(id))) as KeptAnswer;
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
