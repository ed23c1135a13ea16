import { Injectable } from '@nestjs/common';

import { type Actor, AuditService } from '../access/audit.service.js';
import type { Tx } from '../database/database.js';
import type { AccountSummary, EventPayloads, EventSubject } from '../events/event-types.js';
import { EventsService } from '../events/events.service.js';
import type { Account } from './account.entity.js';
import { type CheckId, failingChecks } from './enable-checks.js';
import { comparePermissions, missingPermissions } from './permissions.js';
import { allowedScenes, type Scene } from './scenes.js';

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
  'openidProperty',
] as const satisfies (keyof Account)[];

/** These have an entry of their own; that WeChat keeps a picture elsewhere is nothing to look into. */
const NOT_AUDITED: readonly string[] = ['permissionIds', 'openidProperty', 'avatarUrl', 'checks'];

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
    const change = changeOf(before, after);
    const isNews =
      before?.authorizationState !== 'authorized' || before.tenantId !== after.tenantId;
    if (isNews) await this.#emitAuthorized(tx, after);
    else await this.#emitUpdated(tx, before, after);
    await this.audit.record(tx, {
      actor,
      action: isNews || !change.hasOtherPermissions ? 'account.authorized' : PERMISSIONS_CHANGED,
      ...placeOf(after),
      detail: { reauthorized: before !== null, requested: isRequested, ...change.facts },
    });
    if (before) await this.#recordFlag(tx, before, after, actor);
  }

  /** Its permissions or details are different now, if they are. */
  async changed(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    if (after.authorizationState !== 'authorized') return;
    const changed = await this.#emitUpdated(tx, before, after);
    const change = changeOf(before, after);
    const about = { actor, ...placeOf(after) };
    if (change.hasOtherPermissions)
      await this.audit.record(tx, {
        ...about,
        action: PERMISSIONS_CHANGED,
        detail: { reauthorized: false, requested: false, ...change.facts },
      });
    await this.#recordFlag(tx, before, after, actor);
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

  /** Another property, or none, holds people's openids. */
  async propertySet(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    const { openidProperty } = after;
    await this.#emitUpdated(tx, before, after);
    await this.audit.record(tx, {
      actor,
      action: 'account.openid_property_set',
      ...placeOf(after),
      detail: { openidProperty, before: before.openidProperty },
    });
    await this.#recordFlag(tx, before, after, actor);
  }

  async enabled(tx: Tx, account: Account, actor: Actor): Promise<void> {
    await this.events.emit(tx, 'account.enabled', subjectOf(account), summaryOf(account));
    await this.audit.record(tx, { actor, action: 'account.enabled', ...placeOf(account) });
  }

  async disabled(
    tx: Tx,
    account: Account,
    reason: EventPayloads['account.disabled']['reason'],
    actor: Actor,
  ): Promise<void> {
    await this.events.emit(tx, 'account.disabled', subjectOf(account), {
      ...summaryOf(account),
      reason,
    });
    await this.audit.record(tx, {
      actor,
      action: 'account.disabled',
      ...placeOf(account),
      detail: { reason },
    });
  }

  /** It is gone, with all that belonged to it. */
  async deleted(tx: Tx, account: Account, actor: Actor): Promise<void> {
    await this.events.emit(tx, 'account.deleted', subjectOf(account), summaryOf(account));
    await this.audit.record(tx, { actor, action: 'account.deleted', ...placeOf(account) });
  }

  /** It has passed to another holder. Neither of the two learns who the other one is. */
  async claimed(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    const about = { actor, action: 'account.claimed', target: after.appid };
    if (before.tenantId !== null) {
      await this.events.emit(tx, 'account.updated', subjectOf(before), {
        ...summaryOf(before),
        changed: ['tenant'],
        ...changeOf(before, before).facts,
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
    const changed: string[] = TOLD_FIELDS.filter(
      (field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]),
    );
    if (hasOtherChecks(before, after)) changed.push('checks');
    if (changed.length === 0) return [];
    await this.events.emit(tx, 'account.updated', subjectOf(after), {
      ...summaryOf(after),
      changed: changed.map((field) => (field === 'permissionIds' ? 'permissions' : field)),
      ...changeOf(before, after).facts,
    });
    return changed;
  }

  /** It is switched on and fails other checks than before. */
  async #recordFlag(tx: Tx, before: Account, after: Account, actor: Actor): Promise<void> {
    if (!hasOtherChecks(before, after)) return;
    const failing = failingWhileEnabled(after);
    await this.audit.record(tx, {
      actor,
      action: failing.length > 0 ? 'account.flagged' : 'account.unflagged',
      ...placeOf(after),
      detail: { failingChecks: failing },
    });
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

/** What has become of the permissions, and of what can be done with them. */
function changeOf(before: Account | null, after: Account) {
  const { gained, lost } = comparePermissions(before?.permissionIds ?? [], after.permissionIds);
  const [could, can]: Scene[][] = [before ? allowedScenes(before) : [], allowedScenes(after)];
  return {
    hasOtherPermissions: gained.length > 0 || lost.length > 0,
    facts: {
      gainedPermissionIds: gained,
      lostPermissionIds: lost,
      gainedScenes: can?.filter((scene) => !could?.includes(scene)) ?? [],
      lostScenes: could?.filter((scene) => !can?.includes(scene)) ?? [],
      failingChecks: failingWhileEnabled(after),
    },
  };
}

function failingWhileEnabled(account: Account): CheckId[] {
  return account.enabled ? failingChecks(account) : [];
}

/** One that is switched on or off meanwhile is told of by that. */
function hasOtherChecks(before: Account, after: Account): boolean {
  if (!before.enabled || !after.enabled) return false;
  return String(failingChecks(before)) !== String(failingChecks(after));
}
