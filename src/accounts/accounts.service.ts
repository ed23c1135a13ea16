import { accountTypeOf, type AccountType, type AuthorizerDetails } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import type { Actor, AuditActor } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { type HeldAccount, PushAccounts } from '../pushes/push-accounts.js';
import { TokensService } from '../tokens/tokens.service.js';
import type { Account } from './account.entity.js';
import { AccountNews } from './account-news.js';
import { AccountStanding } from './account-standing.js';
import { AccountsRepository } from './accounts.repository.js';
import { comparePermissions } from './permissions.js';
import { UserPropertiesService } from './user-properties/user-properties.service.js';

/** An authorization that WeChat has given us for an account. */
export interface Grant {
  appid: string;
  /** What the administrator granted, ascending. */
  permissionIds: number[];
  /** Who asked for it; null when nobody of ours did. */
  tenantId: string | null;
  /** What was asked for: believed only while neither details nor permissions tell the type. */
  askedType: AccountType | null;
  /** When it was given, as near as we know. */
  authorizedAt: Date;
  /** WeChat's time of the change, or an earlier one: see {@link Account.authorizationChangedAt}. */
  changedAt: Date;
  /** Who brought it. */
  actor: Actor;
}

/** What an authorization has come to. */
export interface RecordedGrant {
  /** Who holds the account now. */
  tenantId: string | null;
  /** The permission sets that came and went; null for an account that was not there before. */
  change: { gained: number[]; lost: number[] } | null;
}

const TOKEN_REFRESH: AuditActor = { type: 'system', name: 'token-refresh' };

/** The accounts we hold, and what authorizations, events and admins change about them. */
@Injectable()
export class AccountsService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly accounts: AccountsRepository,
    private readonly tokens: TokensService,
    private readonly news: AccountNews,
    private readonly standing: AccountStanding,
    private readonly properties: UserPropertiesService,
    private readonly accountData: AccountData,
    private readonly pushAccounts: PushAccounts,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'account',
      erase: (tx, appid) => this.accounts.delete(tx, appid),
    });
    this.pushAccounts.register((appid) => this.#findReceiving(appid));
    this.tokens.observe('authorizer', {
      reauthorizationRequired: (tx, appid) => this.#requireReauthorization(tx, appid),
      failing: (tx, appid, failure) => this.#tellTokenFailing(tx, appid, failure),
    });
  }

  /** @throws AppError `not_found`, for another tenant's account too */
  async get(caller: Caller, appid: string): Promise<Account> {
    const account = await this.accounts.find(appid);
    if (!account || !isVisible(account, caller)) throw new AppError('not_found');
    return account;
  }

  /** As {@link get}, inside a transaction: nobody else changes it until that ends. */
  async getForUpdate(tx: Tx, caller: Caller, appid: string): Promise<Account> {
    const account = await this.accounts.findForUpdate(tx, appid);
    if (!account || !isVisible(account, caller)) throw new AppError('not_found');
    return account;
  }

  /** Whoever asks: nobody changes or deletes it until the transaction ends. */
  findForUpdate(tx: Tx, appid: string): Promise<Account | null> {
    return this.accounts.findForUpdate(tx, appid);
  }

  find(appid: string, on?: Tx): Promise<Account | null> {
    return this.accounts.find(appid, on);
  }

  /** Who holds each of the accounts; one that is not there is left out. */
  findHolders(tx: Tx, appids: readonly string[]): Promise<Map<string, string | null>> {
    return this.accounts.findHolders(tx, appids);
  }

  /** Whether another account of the tenant holds the property already. */
  async isPropertyTaken(
    tenantId: string,
    property: string,
    appid: string | null,
  ): Promise<boolean> {
    const holder = await this.accounts.findByProperty(tenantId, property);
    return holder !== null && holder.appid !== appid;
  }

  /**
   * Takes in an authorization: a new account, or an account we know with new permissions.
   * One that another tenant holds stays there.
   *
   * @param openidProperty what the authorization asks for: set where the account has none and nobody else has it
   */
  async recordGrant(tx: Tx, grant: Grant, openidProperty: string | null): Promise<RecordedGrant> {
    const { appid, permissionIds, tenantId, authorizedAt, changedAt, actor } = grant;
    const now = this.clock.now();
    const before = await this.accounts.findForUpdate(tx, appid);
    await this.accounts.insertOnce(tx, newAccount(grant, now));
    if (tenantId) await this.accounts.claim(tx, appid, tenantId);
    await this.accounts.update(tx, appid, {
      permissionIds,
      authorizationState: 'authorized',
      authorizedAt,
      unauthorizedAt: null,
      authorizationChangedAt: inWholeSeconds(changedAt),
      updatedAt: now,
    });
    const account = await this.standing.settle(tx, before, appid);
    const isRequested = tenantId !== null && account.tenantId === tenantId;
    await this.news.authorized(tx, before, account, { actor, isRequested });
    if (openidProperty && isRequested)
      await this.#setFreeProperty(tx, account, openidProperty, actor);
    return {
      tenantId: account.tenantId,
      change: before && comparePermissions(before.permissionIds, permissionIds),
    };
  }

  /** Tells of what is different now in an authorized account, in the transaction that changed it. */
  async tellChanges(tx: Tx, before: Account, actor: Actor): Promise<void> {
    await this.standing.settleAndTell(tx, before, actor);
  }

  /**
   * Says which user property holds people's openids for the account; null clears it.
   *
   * @throws AppError `not_found`, `account_unclaimed`, `openid_property_in_use`, `unknown_user_property`,
   *   `user_property_not_text`, `account_enabled` when it would be without one while it is switched on
   */
  setProperty(caller: Caller, appid: string, property: string | null): Promise<Account> {
    return this.db.write(async (tx) => {
      const before = await this.getForUpdate(tx, caller, appid);
      const { tenantId } = before;
      if (tenantId === null) throw new AppError('account_unclaimed');
      if (before.openidProperty === property) return before;
      if (property === null && before.enabled) throw new AppError('account_enabled');
      if (property !== null) {
        await this.properties.reserve(tx, tenantId, property);
        if (await this.accounts.findByProperty(tenantId, property, tx))
          throw new AppError('openid_property_in_use');
      }
      return this.#writeProperty(tx, before, property, caller);
    });
  }

  /** Whether the caller may give the account to a tenant: one that it sees, or that nobody holds. */
  async isClaimable(caller: Caller, appid: string): Promise<boolean> {
    const account = await this.accounts.find(appid);
    return account !== null && mayClaim(account, caller);
  }

  /**
   * Gives the account to a tenant, which may be another one than holds it. It is switched off on the way: whether it may
   * be on is for its new holder's checks to say. A property that another account of the new
   * holder has, or that its catalogue lacks, is taken off.
   *
   * @throws AppError `not_found`, for the account of another tenant than the caller names too
   */
  claim(caller: Caller, appid: string, tenantId: string): Promise<Account> {
    return this.db.write(async (tx) => {
      const before = await this.accounts.findForUpdate(tx, appid);
      if (!before || !mayClaim(before, caller)) throw new AppError('not_found');
      if (before.tenantId === tenantId) return before;
      const { openidProperty } = before;
      const isKept = openidProperty !== null && (await this.#isFree(tx, tenantId, openidProperty));
      await this.accounts.update(tx, appid, {
        tenantId,
        enabled: false,
        openidProperty: isKept ? openidProperty : null,
        updatedAt: this.clock.now(),
      });
      const after = await this.standing.settle(tx, before, appid);
      await this.news.claimed(tx, before, after, caller);
      return after;
    });
  }

  /** WeChat's own time of an authorization that was taken in before its event came. */
  async recordAuthorizedAt(tx: Tx, appid: string, at: Date): Promise<void> {
    await this.accounts.update(tx, appid, {
      authorizedAt: at,
      authorizationChangedAt: inWholeSeconds(at),
    });
  }

  /** The administrator cancelled: the tokens are dead, and the account is switched off. */
  async recordUnauthorized(
    tx: Tx,
    appid: string,
    { actor, at }: { actor: Actor; at: Date },
    unchangedSince?: Date,
  ): Promise<boolean> {
    const before = await this.accounts.findForUpdate(tx, appid);
    const isApplied = await this.accounts.update(
      tx,
      appid,
      {
        authorizationState: 'unauthorized',
        unauthorizedAt: at,
        authorizationChangedAt: inWholeSeconds(at),
        updatedAt: this.clock.now(),
      },
      unchangedSince,
    );
    if (!before || !isApplied) return false;
    await this.tokens.drop(tx, appid);
    const after = await this.standing.settle(tx, before, appid);
    // The list and the event tell of the same cancellation, each with a time of its own.
    if (before.authorizationState !== 'unauthorized')
      await this.news.ended(tx, before, { actor, at }, 'unauthorized');
    await this.standing.tellSwitchedOff(tx, before, after, actor);
    return true;
  }

  /** WeChat takes our credentials no more, though nobody told us that the authorization had ended. */
  async #requireReauthorization(tx: Tx, appid: string): Promise<void> {
    const before = await this.accounts.findForUpdate(tx, appid);
    if (before?.authorizationState !== 'authorized') return;
    const at = this.clock.now();
    await this.accounts.update(tx, appid, {
      authorizationState: 'reauthorization_required',
      updatedAt: at,
    });
    await this.standing.settle(tx, before, appid);
    await this.news.ended(tx, before, { actor: TOKEN_REFRESH, at }, 'reauthorization_required');
  }

  async #tellTokenFailing(
    tx: Tx,
    appid: string,
    failure: { reason: string; failCount: number },
  ): Promise<void> {
    const account = await this.accounts.find(appid, tx);
    if (account) await this.news.tokenFailing(tx, account, failure);
  }

  /** Keeps what WeChat says of the account. The permissions of an ended authorization are not touched. */
  async recordDetails(
    tx: Tx,
    appid: string,
    details: AuthorizerDetails,
    actor: Actor,
  ): Promise<void> {
    const now = this.clock.now();
    const before = await this.accounts.findForUpdate(tx, appid);
    if (!before) return;
    await this.accounts.update(tx, appid, {
      ...detailColumns(details),
      syncedAt: now,
      updatedAt: now,
    });
    await this.tellChanges(tx, before, actor);
  }

  /** Messages of an account that is switched off or no longer ours have no effect. */
  async #findReceiving(appid: string): Promise<HeldAccount | null> {
    const account = await this.accounts.find(appid);
    const isReceiving = account?.enabled && account.authorizationState !== 'unauthorized';
    if (!isReceiving) return null;
    const { originalId, nickname } = account;
    return { originalId, nickname };
  }

  /** A property that was taken in the meantime is left out: the checks say that it is missing. */
  async #setFreeProperty(
    tx: Tx,
    account: Account,
    openidProperty: string,
    actor: Actor,
  ): Promise<void> {
    const { tenantId } = account;
    if (account.openidProperty || !tenantId) return;
    if (await this.#isFree(tx, tenantId, openidProperty))
      await this.#writeProperty(tx, account, openidProperty, actor);
  }

  /** Whether the tenant's catalogue has the property and no account of the tenant does. */
  async #isFree(tx: Tx, tenantId: string, property: string): Promise<boolean> {
    try {
      await this.properties.reserve(tx, tenantId, property);
    } catch (error) {
      if (error instanceof AppError) return false;
      throw error;
    }
    return (await this.accounts.findByProperty(tenantId, property, tx)) === null;
  }

  async #writeProperty(
    tx: Tx,
    before: Account,
    openidProperty: string | null,
    actor: Actor,
  ): Promise<Account> {
    const { appid } = before;
    await this.accounts.update(tx, appid, { openidProperty, updatedAt: this.clock.now() });
    const after = await this.standing.settle(tx, before, appid);
    await this.news.propertySet(tx, before, after, actor);
    return after;
  }
}

export function isVisible(account: Account, caller: Caller): boolean {
  return caller.allTenants || account.tenantId === caller.tenantId;
}

function mayClaim(account: Account, caller: Caller): boolean {
  return account.tenantId === null || isVisible(account, caller);
}

/** WeChat's events have no milliseconds: one of the same second must not look older than a time of ours. */
function inWholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

function newAccount(grant: Grant, now: Date): Account {
  const accountType = accountTypeOf(grant.permissionIds) ?? grant.askedType ?? 'official_account';
  return {
    appid: grant.appid,
    tenantId: grant.tenantId,
    accountType,
    // Until the details are read, the sort with the fewest abilities.
    subtype: accountType === 'mini_program' ? 'mini_program' : 'subscription_account',
    nickname: '',
    avatarUrl: '',
    qrcodeUrl: null,
    originalId: '',
    alias: '',
    principalName: '',
    verifyType: null,
    accountStatus: 'normal',
    permissionIds: grant.permissionIds,
    authorizationState: 'authorized',
    authorizedAt: grant.authorizedAt,
    unauthorizedAt: null,
    authorizationChangedAt: inWholeSeconds(grant.changedAt),
    openidProperty: null,
    enabled: false,
    flaggedAt: null,
    syncedAt: null,
    createdAt: now,
    updatedAt: now,
  };
}

/** The columns that mirror WeChat's answer, cut to what they hold. */
export function detailColumns(details: AuthorizerDetails) {
  return {
    accountType: details.accountType,
    subtype: details.subtype,
    nickname: details.nickname.slice(0, 255),
    avatarUrl: details.avatarUrl.slice(0, 1024),
    qrcodeUrl: details.qrcodeUrl.slice(0, 1024) || null,
    originalId: details.originalId.slice(0, 64),
    alias: details.alias.slice(0, 128),
    principalName: details.principalName.slice(0, 255),
    verifyType: details.verifyTypeId,
    accountStatus: details.accountStatus,
  } satisfies Partial<Account>;
}
