import { Injectable } from '@nestjs/common';

import { AuditService } from '../../access/audit.service.js';
import type { Caller } from '../../access/roles.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { Database, type Tx } from '../../database/database.js';
import type { Account } from '../account.entity.js';
import { isText, type Suggestion, suggestProperty } from './openid-property.js';
import { UserPropertiesRepository } from './user-properties.repository.js';
import type { UserProperty } from './user-property.entity.js';

export type NewProperty = Pick<UserProperty, 'name' | 'displayName' | 'dataType'>;

/** A property with the account whose openids it holds. */
export interface PropertyInUse extends NewProperty {
  usedBy: string | null;
}

/** What replacing a catalogue has changed. */
export interface CatalogueDiff {
  added: string[];
  removed: string[];
  changed: string[];
  unchanged: number;
}

/** The marketing platform's user properties, and which of them may hold an account's openids. */
@Injectable()
export class UserPropertiesService {
  constructor(
    private readonly db: Database,
    private readonly properties: UserPropertiesRepository,
    private readonly audit: AuditService,
    private readonly clock: Clock,
  ) {}

  /** The catalogue of the tenant that the caller writes to. */
  async list({ tenantId }: Caller): Promise<PropertyInUse[]> {
    const uses = await this.properties.findUses([tenantId]);
    const users = new Map(uses.map(({ openidProperty, appid }) => [openidProperty, appid]));
    const rows = await this.properties.findAll([tenantId]);
    return rows.map(({ name, displayName, dataType }) => ({
      name,
      displayName,
      dataType,
      usedBy: users.get(name) ?? null,
    }));
  }

  /**
   * Replaces the catalogue whole.
   *
   * @throws AppError `validation_failed` for a name that stands twice, `user_property_in_use` naming the accounts when
   *   one that holds their openids would go, or be no text any more
   */
  replace(caller: Caller, wanted: readonly NewProperty[]): Promise<CatalogueDiff> {
    refuseRepeated(wanted);
    const { tenantId } = caller;
    return this.db.write(async (tx) => {
      await this.properties.lock(tx, tenantId);
      const before = await this.properties.findAll([tenantId], tx);
      await this.#refuseLosingUsed(tx, tenantId, wanted);
      const diff = compare(before, wanted);
      const rows = wanted.map((property, place) => ({ ...property, tenantId, place }));
      await this.properties.replace(tx, tenantId, rows, this.clock.now());
      const { added, removed, changed } = diff;
      if (added.length + removed.length + changed.length > 0)
        await this.audit.record(tx, {
          actor: caller,
          action: 'user_properties.replaced',
          target: 'user-properties',
          tenantId,
          detail: { ...diff, total: rows.length },
        });
      return diff;
    });
  }

  /**
   * Whether the property may hold openids, as far as the catalogue tells; whoever asks keeps the catalogue from
   * changing until the transaction ends.
   *
   * @throws AppError `unknown_user_property`, `user_property_not_text`
   */
  async reserve(tx: Tx, tenantId: string, name: string): Promise<void> {
    await this.properties.lock(tx, tenantId);
    await this.check(tenantId, name, tx);
  }

  /** @throws AppError `unknown_user_property`, `user_property_not_text` */
  async check(tenantId: string, name: string, on?: Tx): Promise<void> {
    const property = await this.properties.find(tenantId, name, on);
    if (property && !isText(property.dataType)) throw new AppError('user_property_not_text');
    // Before the platform has sent a catalogue, any name is believed.
    if (!property && (await this.properties.hasAny(tenantId, on)))
      throw new AppError('unknown_user_property');
  }

  /** What to propose for those of the accounts that have no property, by appid. */
  async suggest(accounts: readonly Account[]): Promise<Map<string, Suggestion>> {
    const without = accounts.filter(({ openidProperty }) => openidProperty === null);
    const tenantIds = [...new Set(without.flatMap(({ tenantId }) => tenantId ?? []))];
    if (tenantIds.length === 0) return new Map();
    const catalogue = await this.properties.findAll(tenantIds);
    const uses = await this.properties.findUses(tenantIds);
    return new Map(
      without.flatMap((account) => {
        if (account.tenantId === null) return [];
        const ofTenant = ({ tenantId }: { tenantId: string }): boolean =>
          tenantId === account.tenantId;
        const taken = new Set(uses.filter(ofTenant).map(({ openidProperty }) => openidProperty));
        return [[account.appid, suggestProperty(account, catalogue.filter(ofTenant), taken)]];
      }),
    );
  }

  async #refuseLosingUsed(tx: Tx, tenantId: string, wanted: readonly NewProperty[]): Promise<void> {
    const kept = new Set(wanted.filter(({ dataType }) => isText(dataType)).map(({ name }) => name));
    const lost = (await this.properties.findUses([tenantId], tx)).filter(
      ({ openidProperty }) => !kept.has(openidProperty),
    );
    if (lost.length === 0) return;
    throw new AppError(
      'user_property_in_use',
      lost.map(({ openidProperty, appid, nickname }) => ({
        field: openidProperty,
        code: 'in_use',
        detail: {
          zh: `账号 ${nickname} ${appid} 正在使用`,
          en: `held by the account ${nickname} ${appid}`,
        },
      })),
    );
  }
}

function refuseRepeated(wanted: readonly NewProperty[]): void {
  const seen = new Set<string>();
  const repeated = wanted.flatMap(({ name }, n) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    return [
      {
        field: `properties.${n}.name`,
        code: 'repeated',
        detail: { zh: `属性 ${name} 重复出现`, en: `the property ${name} stands twice` },
      },
    ];
  });
  if (repeated.length > 0) throw new AppError('validation_failed', repeated);
}

function compare(before: readonly NewProperty[], after: readonly NewProperty[]): CatalogueDiff {
  const old = new Map(before.map((property) => [property.name, property]));
  const names = new Set(after.map(({ name }) => name));
  const added = after.filter(({ name }) => !old.has(name));
  const changed = after.filter(({ name, displayName, dataType }) => {
    const known = old.get(name);
    return known && (known.displayName !== displayName || known.dataType !== dataType);
  });
  const nameOf = ({ name }: NewProperty): string => name;
  return {
    added: added.map(nameOf),
    removed: before.filter(({ name }) => !names.has(name)).map(nameOf),
    changed: changed.map(nameOf),
    unchanged: after.length - added.length - changed.length,
  };
}
