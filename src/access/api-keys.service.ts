import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Env } from '../../config/env.js';
import { AppError, type FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { fromCursor, type Page, type PageQueryDto, toPage } from '../common/paging.js';
import { Database } from '../database/database.js';
import type { CreateApiKeyDto } from './api-key.dto.js';
import type { ApiKey } from './api-key.entity.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { type AuditActor, AuditService } from './audit.service.js';
import { KeyCache } from './key-cache.js';
import { makeKey } from './key-material.js';
import { type Caller, DEFAULT_TENANT, type Role } from './roles.js';

/** The name of the owner key that the first start makes when the environment gives none. */
const FIRST_OWNER = 'first-owner';

/** What a new key is to be. */
interface KeyWanted {
  name: string;
  role: Role;
  tenantId: string;
  expiresAt: Date | null;
}

/** A key that was just made: the only time that it is known. */
export interface MadeKey {
  row: ApiKey;
  key: string;
}

/** The keys that owners give out and take back. */
@Injectable()
export class ApiKeysService implements OnApplicationBootstrap {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly keys: ApiKeysRepository,
    private readonly cache: KeyCache,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /**
   * Where nobody could be an owner, makes the first owner key and prints it: this once, and to the terminal only.
   * Whoever has replaced the first key by one of his own is not given another at each start.
   */
  async onApplicationBootstrap(): Promise<void> {
    if (this.env.adminApiKey || (await this.keys.hasOwner(this.clock.now()))) return;
    const made = await this.#make(
      { type: 'system', name: 'first-start' },
      { name: FIRST_OWNER, role: 'owner', tenantId: DEFAULT_TENANT, expiresAt: null },
    );
    if (!made) return;
    process.stderr.write(
      `\n首个 owner API 密钥（只显示这一次，请妥善保存）\nThe first owner API key (shown this once; keep it safe):\n\n  ${made.key}\n\n`,
    );
  }

  /** @throws AppError `api_key_name_in_use`, `validation_failed` */
  async create(caller: Caller, asked: CreateApiKeyDto): Promise<MadeKey> {
    const { name, role } = asked;
    const tenantId = tenantFor(caller, asked.tenantId);
    const expiresAt = this.#inFuture(asked.expiresAt);
    const made = await this.#make(caller, { name, role, tenantId, expiresAt });
    if (!made) throw new AppError('api_key_name_in_use');
    return made;
  }

  /** The newest first. */
  async list(caller: Caller, { limit, cursor }: PageQueryDto): Promise<Page<ApiKey>> {
    const tenantId = caller.allTenants ? null : caller.tenantId;
    const rows = await this.keys.findPage(tenantId, limit, cursor ? fromCursor(cursor) : null);
    return toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (row) => row,
    );
  }

  /** @throws AppError `not_found`, for another tenant's too; `api_key_in_use_by_caller` */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.db.write(async (tx) => {
      const row = await this.keys.find(id, tx);
      if (!row || !isVisible(row, caller)) throw new AppError('not_found');
      if (row.id === caller.keyId) throw new AppError('api_key_in_use_by_caller');
      // Read without a lock: another owner may have been quicker.
      if (!(await this.keys.delete(tx, id))) throw new AppError('not_found');
      await this.audit.record(tx, { actor: caller, action: 'api_key.deleted', ...aboutKey(row) });
      this.db.afterCommit(tx, () => this.cache.forgetAll());
    });
  }

  /** @returns null when the name is in use */
  async #make(actor: Caller | AuditActor, wanted: KeyWanted): Promise<MadeKey | null> {
    const { key, keyHash, prefix } = makeKey();
    const createdAt = this.clock.now();
    const id = uuidV7({ msecs: createdAt.getTime() });
    const row: ApiKey = { ...wanted, id, keyHash, prefix, createdAt, lastUsedAt: null };
    const isMade = await this.db.write(async (tx) => {
      if (!(await this.keys.insertOnce(tx, row))) return false;
      await this.audit.record(tx, { actor, action: 'api_key.created', ...aboutKey(row) });
      this.db.afterCommit(tx, () => this.cache.forgetAll());
      return true;
    });
    return isMade ? { row, key } : null;
  }

  #inFuture(asked: string | null | undefined): Date | null {
    if (asked === undefined || asked === null) return null;
    const expiresAt = new Date(asked);
    if (expiresAt > this.clock.now()) return expiresAt;
    throw new AppError('validation_failed', [NOT_IN_FUTURE]);
  }
}

/** An owner who has named a tenant for the request does not mean another one in its body. */
function tenantFor(caller: Caller, asked: string | null | undefined): string {
  if (asked === undefined || asked === null || asked === caller.tenantId) return caller.tenantId;
  if (caller.allTenants) return asked;
  throw new AppError('validation_failed', [OTHER_TENANT]);
}

function isVisible(row: ApiKey, caller: Caller): boolean {
  return caller.allTenants || row.tenantId === caller.tenantId;
}

function aboutKey({ id, name, role, tenantId }: ApiKey) {
  return { target: id, tenantId, detail: { name, role } };
}

const NOT_IN_FUTURE: FieldError = {
  field: 'expiresAt',
  code: 'not_in_future',
  detail: {
    zh: '失效时间应晚于现在；长期有效则不要传。',
    en: 'It must lie in the future. Leave it out for a key that never expires.',
  },
};

const OTHER_TENANT: FieldError = {
  field: 'tenantId',
  code: 'other_tenant',
  detail: {
    zh: '与请求头 X-Tenant-Id 不一致，请只用其中之一。',
    en: 'It differs from the header X-Tenant-Id. Use only one of them.',
  },
};
