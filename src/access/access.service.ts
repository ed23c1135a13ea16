import { createHash, randomBytes, randomUUID, timingSafeEqual } from 'node:crypto';

import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { type Caller, DEFAULT_TENANT, includesRole, type Role, TENANT_ID } from './roles.js';

/** The name of the owner key that the first start makes when the environment gives none. */
const FIRST_OWNER = 'first-owner';

/** Tells who calls, by the key of the request. */
@Injectable()
export class AccessService implements OnApplicationBootstrap {
  constructor(
    private readonly env: Env,
    private readonly keys: ApiKeysRepository,
    private readonly clock: Clock,
  ) {}

  /** Without `ADMIN_API_KEY`, makes the first owner key and prints it: this once, and to the terminal only. */
  async onApplicationBootstrap(): Promise<void> {
    if (this.env.adminApiKey || (await this.keys.findByName(DEFAULT_TENANT, FIRST_OWNER))) return;
    const key = `wck_${randomBytes(32).toString('base64url')}`;
    const isFirst = await this.keys.insertOnce({
      id: randomUUID(),
      name: FIRST_OWNER,
      role: 'owner',
      tenantId: DEFAULT_TENANT,
      keyHash: digest(key).toString('hex'),
      prefix: key.slice(0, 12),
      expiresAt: null,
      lastUsedAt: null,
      createdAt: this.clock.now(),
    });
    if (!isFirst) return;
    process.stderr.write(
      `\n首个 owner API 密钥（只显示这一次，请妥善保存）\nThe first owner API key (shown this once; keep it safe):\n\n  ${key}\n\n`,
    );
  }

  /**
   * @param authorization the `Authorization` header
   * @param tenant the `X-Tenant-Id` header
   * @param needed the role of the route
   * @throws AppError `api_key_missing`, `api_key_invalid` (401), `role_too_small` (403), `invalid_header` (400)
   */
  async authenticate(
    authorization: string | undefined,
    tenant: string | undefined,
    needed: Role,
  ): Promise<Caller> {
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (!key) throw new AppError('api_key_missing');
    const held = await this.#findKey(key);
    if (!held) throw new AppError('api_key_invalid');
    if (!includesRole(held.role, needed)) throw new AppError('role_too_small');
    if (tenant === undefined) return { ...held, allTenants: held.role === 'owner' };
    if (!TENANT_ID.test(tenant)) throw new AppError('invalid_header');
    if (held.role !== 'owner' && tenant !== held.tenantId) throw new AppError('role_too_small');
    return { ...held, tenantId: tenant, allTenants: false };
  }

  async #findKey(key: string): Promise<Omit<Caller, 'allTenants'> | null> {
    const hash = digest(key);
    if (this.env.adminApiKey && timingSafeEqual(hash, digest(this.env.adminApiKey))) {
      return { keyId: 'env', name: 'ADMIN_API_KEY', role: 'owner', tenantId: DEFAULT_TENANT };
    }
    const row = await this.keys.findByHash(hash.toString('hex'));
    return row && { keyId: row.id, name: row.name, role: row.role, tenantId: row.tenantId };
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
