import { timingSafeEqual } from 'node:crypto';

import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import type { ApiKey } from './api-key.entity.js';
import { KeyCache } from './key-cache.js';
import { digestOf } from './key-material.js';
import { KeyUses } from './key-uses.js';
import { RateLimits } from './rate-limits.js';
import { type Caller, DEFAULT_TENANT, includesRole, type Role, TENANT_ID } from './roles.js';

/** What a request says of its sender. */
export interface Credentials {
  /** The `Authorization` header. */
  authorization: string | undefined;
  /** The `X-Tenant-Id` header. */
  tenant: string | undefined;
  /** Where it came from, as far as that can be believed. */
  address: string;
}

type Holder = Omit<Caller, 'allTenants'>;

/** Tells who calls, by the key of the request. */
@Injectable()
export class AccessService {
  constructor(
    private readonly env: Env,
    private readonly cache: KeyCache,
    private readonly uses: KeyUses,
    private readonly limits: RateLimits,
    private readonly clock: Clock,
  ) {}

  /**
   * @param needed the role of the route
   * @throws AppError `api_key_missing`, `api_key_invalid`, `api_key_expired` (401), `role_too_small` (403),
   *   `invalid_header` (400), `too_many_requests`, `too_many_wrong_keys` (429)
   */
  async authenticate(credentials: Credentials, needed: Role): Promise<Caller> {
    const { authorization, tenant, address } = credentials;
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (!key) throw new AppError('api_key_missing');
    const holder = this.#asAdmin(key) ?? (await this.#asKey(key, address));
    const wait = await this.limits.countRequest(holder.keyId);
    if (wait !== null) throw new AppError('too_many_requests', [], wait);
    if (!includesRole(holder.role, needed)) throw new AppError('role_too_small');
    return onBehalfOf(holder, tenant);
  }

  #asAdmin(key: string): Holder | null {
    const { adminApiKey } = this.env;
    if (!adminApiKey || !timingSafeEqual(digestOf(key), digestOf(adminApiKey))) return null;
    return { keyId: 'env', name: 'ADMIN_API_KEY', role: 'owner', tenantId: DEFAULT_TENANT };
  }

  async #asKey(key: string, address: string): Promise<Holder> {
    const keyHash = digestOf(key).toString('hex');
    const row = this.cache.find(keyHash) ?? (await this.#lookUp(keyHash, address));
    if (!row) throw new AppError('api_key_invalid');
    if (row.expiresAt && row.expiresAt <= this.clock.now()) throw new AppError('api_key_expired');
    this.uses.note(row.id);
    return { keyId: row.id, name: row.name, role: row.role, tenantId: row.tenantId };
  }

  /**
   * From an address that sends too many wrong keys, only keys that are in the list are looked up: guessing costs the
   * database nothing, and whoever shares the address with a guesser is not shut out with him.
   */
  async #lookUp(keyHash: string, address: string): Promise<ApiKey | null> {
    const wait = await this.limits.countAsWrong(address);
    if (wait !== null && !(await this.cache.isListed(keyHash)))
      throw new AppError('too_many_wrong_keys', [], wait);
    let isWrong = false;
    try {
      const row = await this.cache.read(keyHash);
      isWrong = row === null;
      return row;
    } finally {
      // That the database is away is not the caller's fault either.
      if (!isWrong) await this.limits.forgive(address);
    }
  }
}

/** Adds the tenant: the key's own, or for an owner the one that the header names, if any. */
function onBehalfOf(holder: Holder, tenant: string | undefined): Caller {
  const isOwner = holder.role === 'owner';
  if (tenant === undefined)
    return { ...holder, ...(isOwner && { tenantId: DEFAULT_TENANT }), allTenants: isOwner };
  if (!TENANT_ID.test(tenant)) throw new AppError('invalid_header');
  if (!isOwner && tenant !== holder.tenantId) throw new AppError('role_too_small');
  return { ...holder, tenantId: tenant, allTenants: false };
}
