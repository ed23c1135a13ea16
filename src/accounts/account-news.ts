import { Injectable } from '@nestjs/common';

import { type Actor, AuditService } from '../access/audit.service.js';
import type { Tx } from '../database/database.js';
import type { AccountSummary, EventSubject } from '../events/event-types.js';
import { EventsService } from '../events/events.service.js';
import { missingPermissions } from './account.dto.js';
import type { Account } from './account.entity.js';

/** What an event about a changed account is for. */
const TOLD_FIELDS = [
  'permissionIds',
  'accountType',
  'subtype',
  'nickname',
  'avatarUrl',
  'originalId',
  'alias',
  'principalName',
  'verifyType',
  'accountStatus',
] as const satisfies (keyof Account)[];

/** Permissions have an entry of their own; that WeChat keeps a picture elsewhere is nothing to look into. */
const NOT_AUDITED: readonly string[] = ['permissionIds', 'avatarUrl'];

/**
 * Tells of what has become of an account, in the transaction that changed it: an event for the systems of whoever holds
 * it, and an entry in the audit log.
 */
@Injectable()
export class AccountNews {
  constructor(
    private readonly events: EventsService,
    private readonly audit: AuditService,
  ) {}

  /**
   * It was authorized: for the first time, again, or with other permissions.
   *
   * @param isRequested whether its holder has asked for that
   */
  async authorized(
    tx: Tx,
    before: Account | null,
    after: Account,
    { actor, isRequested }: { actor: Actor; isRequested: boolean },
  ): Promise<void> {
    const permissions = permissionChange(before, after);
    const isNews =
      before?.authorizationState !== 'authorized' || before.tenantId !== after.tenantId;
    if (isNews) await this.#emitAuthorized(tx, after);
    else await this.#emitUpdated(tx, before, after);
    await this.audit.record(tx, {
      actor,
      action: isNews || !permissions.isChanged ? 'account.authorized' : PERMISSIONS_CHANGED,
      ...placeOf(after),
      detail: { reauthorized: before !== null, requested: isRequested, ...permissions.ids },
    });
  }

  /** Its permissions or details are different now, if they are. */
  async changed(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    if (after.authorizationState !== 'authorized') return;
    const changed = await this.#emitUpdated(tx, before, after);
    const permissions = permissionChange(before, after);
    const about = { actor, ...placeOf(after) };
    if (permissions.isChanged)
      await this.audit.record(tx, {
        ...about,
        action: PERMISSIONS_CHANGED,
        detail: { reauthorized: false, requested: false, ...permissions.ids },
      });
    const fields = changed.filter((field) => !NOT_AUDITED.includes(field));
    // Before they were read for the first time there was nothing to change.
    if (fields.length > 0 && before.syncedAt)
      await this.audit.record(tx, {
        ...about,
        action: 'account.details_changed',
        detail: { changed: fields },
      });
  }

  /** It is no longer authorized, as its state says. */
  async ended(
    tx: Tx,
    account: Account,
    { actor, at }: { actor: Actor; at: Date },
    state: 'unauthorized' | 'reauthorization_required',
  ): Promise<void> {
    await this.events.emit(tx, 'account.unauthorized', subjectOf(account), {
      ...summaryOf(account),
      unauthorizedAt: at.toISOString(),
      state,
    });
    await this.audit.record(tx, { actor, action: `account.${state}`, ...placeOf(account) });
  }

  /** An authorization has brought the property that holds people's openids. */
  async propertySet(tx: Tx, account: Account, openidProperty: string, actor: Actor): Promise<void> {
    await this.audit.record(tx, {
      actor,
      action: 'account.openid_property_set',
      ...placeOf(account),
      detail: { openidProperty },
    });
  }

  /** It has passed to another holder. Neither of the two learns who the other one is. */
  async claimed(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    const about = { actor, action: 'account.claimed', target: after.appid };
    if (before.tenantId !== null) {
      await this.events.emit(tx, 'account.updated', subjectOf(before), {
        ...summaryOf(before),
        changed: ['tenant'],
        gainedPermissionIds: [],
        lostPermissionIds: [],
      });
      await this.audit.record(tx, {
        ...about,
        tenantId: before.tenantId,
        detail: { direction: 'given_away' },
      });
    }
    if (after.authorizationState === 'authorized') await this.#emitAuthorized(tx, after);
    await this.audit.record(tx, {
      ...about,
      tenantId: after.tenantId,
      detail: {
        direction: 'received',
        wasUnclaimed: before.tenantId === null,
        wasEnabled: before.enabled,
        clearedOpenidProperty: after.openidProperty ? null : before.openidProperty,
      },
    });
  }

  /** Refreshing its token keeps failing. Nothing of the account has changed. */
  async tokenFailing(
    tx: Tx,
    account: Account,
    failure: { reason: string; failCount: number },
  ): Promise<void> {
    await this.events.emit(tx, 'token.failing', subjectOf(account), {
      ...summaryOf(account),
      ...failure,
    });
  }

  async #emitAuthorized(tx: Tx, account: Account): Promise<void> {
    await this.events.emit(tx, 'account.authorized', subjectOf(account), {
      ...summaryOf(account),
      authorizedAt: account.authorizedAt.toISOString(),
      permissionIds: account.permissionIds,
      missingPermissionIds: missingPermissions(account).map(({ id }) => id),
    });
  }

  /** @returns the columns that are different now; without any, nothing is told */
  async #emitUpdated(tx: Tx, before: Account, after: Account): Promise<string[]> {
    const changed = TOLD_FIELDS.filter(
      (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
    );
    if (changed.length === 0) return [];
    await this.events.emit(tx, 'account.updated', subjectOf(after), {
      ...summaryOf(after),
      changed: changed.map((field) => (field === 'permissionIds' ? 'permissions' : field)),
      ...permissionChange(before, after).ids,
    });
    return changed;
  }
}

const PERMISSIONS_CHANGED = 'account.permissions_changed';

function placeOf({ appid, tenantId }: Account): { target: string; tenantId: string | null } {
  return { target: appid, tenantId };
}

function subjectOf({ tenantId, appid }: Account): EventSubject {
  return { tenantId, appid };
}

function summaryOf({ appid, accountType, nickname }: Account): AccountSummary {
  return { appid, accountType, nickname };
}

function permissionChange(before: Account | null, after: Account) {
  const held = before?.permissionIds ?? [];
  const gainedPermissionIds = without(after.permissionIds, held);
  const lostPermissionIds = without(held, after.permissionIds);
  return {
    isChanged: gainedPermissionIds.length > 0 || lostPermissionIds.length > 0,
    ids: { gainedPermissionIds, lostPermissionIds },
  };
}

function without(ids: readonly number[], others: readonly number[]): number[] {
  return ids.filter((id) => !others.includes(id));
}
