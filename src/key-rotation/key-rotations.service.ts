import { SecretBox, SecretBoxError } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import { type SealedColumn, SealedColumns } from '../database/sealed-columns.js';
import { KEYS_CHECK } from '../database/secret-keys.js';
import type { WorkContext } from '../queue/work-handlers.js';
import { WorkQueue } from '../queue/work-queue.js';
import type { KeyRotation } from './key-rotation.entity.js';
import {
  KeyRotationsRepository,
  type Resealed,
  type SealedRow,
} from './key-rotations.repository.js';
import { columnOf, isClean, nextPass, startOf, withPage } from './rotation-progress.js';

const KIND = 'rotate-keys';
const ACTOR = { type: 'system', name: KIND } as const;
const PAGE = 200;
/** So long a turn lasts: what is told to stop need not wait for the end of a large table. */
const TURN_MS = 2_000;
/** A process that was not restarted yet still writes under its older key. */
const PAUSE_MS = 60_000;
const PASSES_WITHOUT_PAUSE = 2;
/** Most of a day: until every process has the new key. */
const RETRIES = { maxAttempts: 1_000, longestRetryMs: 60_000, concurrency: 1 };

interface RotationWork {
  rotationId: string;
}

/**
 * Brings everything that is sealed under the newest key, while the service runs, so that the older ones can be
 * taken out of the ring.
 *
 * A pass walks every registered column page by page. It ends with the first pass that has met no older key; what the
 * service proves its keys by at start follows only then, so that it never starts without a key that it still needs.
 */
@Injectable()
export class KeyRotations implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly rotations: KeyRotationsRepository,
    private readonly columns: SealedColumns,
    private readonly secrets: SecretBox,
    private readonly work: WorkQueue,
    private readonly audit: AuditService,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<RotationWork>(KIND, (work, context) => this.#turn(work, context), RETRIES);
  }

  /** Begins to re-encrypt under the newest key, unless that is going on already. @returns the one that runs */
  async start(caller: Caller): Promise<KeyRotation> {
    const startedAt = this.clock.now();
    const keyId = this.secrets.newestKeyId;
    const row: KeyRotation = {
      id: uuidV7({ msecs: startedAt.getTime() }),
      keyId,
      state: 'running',
      running: 'yes',
      progress: { pass: 1, columns: await this.#begin() },
      keysInUse: [keyId],
      startedAt,
      finishedAt: null,
    };
    await this.db.write(async (tx) => {
      await this.rotations.supersede(tx, keyId, startedAt);
      if (!(await this.rotations.insertUnlessRunning(tx, row))) return;
      await this.work.add(tx, workFor(row.id));
      const about = { target: row.id, tenantId: null, detail: { keyId } };
      await this.audit.record(tx, { actor: caller, action: 'key_rotation.started', ...about });
    });
    return (await this.rotations.find(row.id)) ?? (await this.rotations.findCurrent()) ?? row;
  }

  /** @throws AppError `not_found` */
  async get(id: string): Promise<KeyRotation> {
    const row = await this.rotations.find(id);
    if (!row) throw new AppError('not_found');
    return row;
  }

  /** The newest first. */
  async list({ limit, cursor }: { limit: number; cursor?: string }): Promise<Page<KeyRotation>> {
    const rows = await this.rotations.findPage(limit, cursor ? fromCursor(cursor) : null);
    return toPage(
      rows,
      limit,
      ({ startedAt, id }) => ({ at: startedAt, id }),
      (row) => row,
    );
  }

  #begin(): Promise<KeyRotation['progress']['columns']> {
    return Promise.all(
      this.columns.all().map(async (column) => startOf(column, await this.rotations.count(column))),
    );
  }

  /** Works for a while and leaves the rest to another turn. A turn that is repeated goes on where its pages end. */
  async #turn({ rotationId }: RotationWork, context: WorkContext): Promise<void> {
    const rotation = await this.rotations.find(rotationId);
    if (rotation?.state !== 'running') return;
    // Another process may have the newer ring; a later try may find it.
    if (rotation.keyId !== this.secrets.newestKeyId)
      throw new Error(`This process encrypts under another key than ${rotation.keyId}.`);
    const end = performance.now() + TURN_MS;
    let delayMs = 0;
    while (performance.now() < end && delayMs === 0) {
      const column = this.columns.all().find((one) => !columnOf(rotation.progress, one).isWalked);
      if (!column) return this.#finish(rotation, context);
      if (column !== KEYS_CHECK || isClean(rotation.progress, KEYS_CHECK))
        await this.#page(rotation, column);
      else delayMs = await this.#beginPass(rotation);
    }
    await this.db.write(async (tx) => {
      await context.finish(tx);
      await this.work.add(tx, { ...workFor(rotation.id), delayMs });
    });
  }

  /** @returns how long to wait before it */
  async #beginPass(rotation: KeyRotation): Promise<number> {
    rotation.progress = nextPass(rotation.progress);
    rotation.keysInUse = [rotation.keyId];
    await this.db.write((tx) => this.rotations.saveProgress(tx, rotation));
    if (rotation.progress.pass <= PASSES_WITHOUT_PAUSE) return 0;
    this.logger.warn('key_rotation.older_key_still_written', { rotationId: rotation.id });
    return PAUSE_MS;
  }

  async #page(rotation: KeyRotation, column: SealedColumn): Promise<void> {
    const { keyId } = rotation;
    const known = columnOf(rotation.progress, column);
    const rows = await this.rotations.readPage(column, keyId, known.cursor, PAGE);
    const older = rows.flatMap(({ id, sealed }) => (sealed === null ? [] : [{ id, sealed }]));
    const resealed = older.flatMap((row) => this.#reseal(column, row) ?? []);
    rotation.progress = withPage(rotation.progress, column, {
      looked: rows.length,
      resealed: resealed.length,
      unreadable: older.length - resealed.length,
      cursor: rows.at(-1)?.id ?? known.cursor,
      isLast: rows.length < PAGE,
    });
    // The last column changes keys in a pass that has met no other: what is left is what cannot be read.
    const met = column === KEYS_CHECK ? [] : older;
    rotation.keysInUse = [
      ...new Set([...rotation.keysInUse, ...met.map(({ sealed }) => keyOf(sealed))]),
    ];
    await this.db.write(async (tx) => {
      await this.rotations.replace(tx, column, resealed);
      await this.rotations.saveProgress(tx, rotation);
    });
  }

  /** Null for what no key of ours opens: it is no worse off than before, and must not keep the others from theirs. */
  #reseal(column: SealedColumn, { id, sealed }: SealedRow & { sealed: string }): Resealed | null {
    const binding = column.binding(id);
    try {
      return {
        id,
        from: sealed,
        to: this.secrets.seal(this.secrets.open(sealed, binding), binding),
      };
    } catch (error) {
      if (!(error instanceof SecretBoxError)) throw error;
      const { table, column: name } = column;
      this.logger.error('key_rotation.unreadable', {
        table,
        column: name,
        id,
        ...errorFields(error),
      });
      return null;
    }
  }

  async #finish(rotation: KeyRotation, context: WorkContext): Promise<void> {
    const { id, keyId, keysInUse, progress } = rotation;
    const detail = { keyId, keysInUse, passes: progress.pass };
    await this.db.write(async (tx) => {
      await context.finish(tx);
      if (!(await this.rotations.finish(tx, id, this.clock.now()))) return;
      const about = { target: id, tenantId: null, detail };
      await this.audit.record(tx, { actor: ACTOR, action: 'key_rotation.finished', ...about });
    });
    this.logger.info('key_rotation.finished', { rotationId: id, ...detail });
  }
}

function workFor(rotationId: string): { kind: string; key: string; payload: RotationWork } {
  return { kind: KIND, key: rotationId, payload: { rotationId } };
}

/** The key's id stands in front of what it has sealed. */
function keyOf(sealed: string): string {
  return sealed.split('.', 2)[1] ?? '';
}
