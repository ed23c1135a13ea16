import {
  type AuthorizerListItem,
  getAuthorizerInfo,
  isReleaseTestAccount,
  listAuthorizers,
  WechatApiError,
  WechatHttp,
  WechatUnavailableError,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import pMap from 'p-map';

import { Env } from '../../config/env.js';
import { type Actor, type AuditActor, AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError, PROBLEMS } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import type { Text } from '../common/text.js';
import { Database, type Tx } from '../database/database.js';
import { WorkQueue } from '../queue/work-queue.js';
import { TokensService } from '../tokens/tokens.service.js';
import type { Account } from './account.entity.js';
import { AccountsRepository } from './accounts.repository.js';
import { AccountsService, detailColumns } from './accounts.service.js';

/** The most WeChat gives a page. */
const LIST_PAGE = 500;
const DETAIL_CONCURRENCY = 8;
const READ_DETAILS = 'read-account-details';
const DETAILS_AFTER_MS = 60_000;
const DETAILS_READER: AuditActor = { type: 'system', name: READ_DETAILS };
/** `component is not authorized by this account`. */
const NOT_AUTHORIZED = 61003;

export interface SyncReport {
  added: string[];
  updated: string[];
  unauthorized: string[];
  unchanged: number;
  failed: { appid: string; code: string; detail: Text }[];
}

/** Whose accounts: a tenant's, or all. */
export type SyncScope = Pick<Caller, 'allTenants' | 'tenantId'>;

/** Why WeChat could not be asked about an account. */
export interface SyncFailure {
  code: string;
  detail: Text;
}

type Outcome = 'added' | 'updated' | 'unauthorized' | 'unchanged' | SyncFailure;

/** What WeChat tells of an account, ready to be kept. */
interface News {
  details: ReturnType<typeof detailColumns>;
  permissionIds: number[];
  authorizedAt: Date;
  /** Null when ours is the same. */
  refreshToken: string | null;
  /** The version that ours was compared at; null where we hold none. */
  tokenVersion: number | null;
  /** Who asked for it. */
  actor: Actor;
}

type RefreshTokens = Awaited<ReturnType<TokensService['readRefreshTokens']>>;

/** Compares our accounts with WeChat's list and takes in what differs. A call that fails changes nothing. */
@Injectable()
export class AccountsSyncService implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly repository: AccountsRepository,
    private readonly accounts: AccountsService,
    private readonly tokens: TokensService,
    private readonly audit: AuditService,
    private readonly wechat: WechatHttp,
    private readonly work: WorkQueue,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<{ appid: string }>(READ_DETAILS, ({ appid }) =>
      this.#readMissingDetails(appid),
    );
  }

  /** Has the details read later, should reading them right after the authorization fail. */
  async readDetailsLater(tx: Tx, appid: string): Promise<void> {
    await this.work.add(tx, {
      kind: READ_DETAILS,
      key: appid,
      appid,
      payload: { appid },
      delayMs: DETAILS_AFTER_MS,
    });
  }

  /**
   * Reconciles a tenant's accounts, or everybody's and the unclaimed.
   *
   * @param actor whom the log names for it
   * @returns what was changed, by appid, and which accounts could not be read and were left as they were
   * @throws WechatApiError, WechatUnavailableError when WeChat's list cannot be read whole
   */
  async sync(scope: SyncScope, actor: Actor): Promise<SyncReport> {
    // What we hold is read before WeChat is asked: a change that comes in between wins over the older answer.
    const held = await this.repository.findAllIn(
      scope.allTenants ? 'all' : { tenantId: scope.tenantId },
    );
    const refreshTokens = await this.tokens.readRefreshTokens();
    const listed = await this.#readWholeList();
    const ours = new Map(held.map((account) => [account.appid, account]));
    const visible = [...listed.values()].filter(
      // The accounts of WeChat's release test stay in its list for ever and are nobody's.
      ({ appid }) => ours.has(appid) || (scope.allTenants && !isReleaseTestAccount(appid)),
    );
    const absent = held.filter(
      ({ appid, authorizationState }) => authorizationState === 'authorized' && !listed.has(appid),
    );
    const outcomes = [
      ...(await this.#each(visible, (item) =>
        this.#take(item, ours.get(item.appid) ?? null, refreshTokens, actor),
      )),
      ...(await this.#each(absent, (account) => this.#confirmAbsence(account, actor))),
    ];
    const report = toReport(outcomes);
    await this.#recordSync(scope, actor, report);
    return report;
  }

  /**
   * Compares one account with WeChat, as {@link sync} does with all.
   *
   * @returns null, or why it could not be read and was left as it was
   */
  async refresh(account: Account, actor: Actor): Promise<SyncFailure | null> {
    const { appid, authorizedAt } = account;
    const refreshTokens = await this.tokens.readRefreshTokens(appid);
    // WeChat's list, which would have to be read whole, knows the time of an authorization that we have missed.
    const item = { appid, refreshToken: null, authorizedAt: authorizedAt.getTime() / 1000 };
    const outcome = await this.#take(item, account, refreshTokens, actor);
    return typeof outcome === 'string' ? null : outcome;
  }

  /**
   * Whether WeChat says that the account has authorized us.
   *
   * @throws WechatApiError, WechatUnavailableError, AppError when it cannot be asked
   */
  async isAuthorized(appid: string): Promise<boolean> {
    try {
      await this.#readInfo(appid);
      return true;
    } catch (error) {
      if (isNotAuthorized(error)) return false;
      throw error;
    }
  }

  /** Each account's change has its own entry: this one says who asked. */
  async #recordSync(scope: SyncScope, actor: Actor, report: SyncReport): Promise<void> {
    const { added, updated, unauthorized, unchanged, failed } = report;
    await this.db.write((tx) =>
      this.audit.record(tx, {
        actor,
        action: 'accounts.synced',
        target: 'accounts',
        tenantId: scope.allTenants ? null : scope.tenantId,
        detail: {
          added: added.length,
          updated: updated.length,
          unauthorized: unauthorized.length,
          unchanged,
          failed: failed.length,
        },
      }),
    );
  }

  /** Reads the account's details from WeChat and keeps them. @throws what the call throws */
  async refreshDetails(appid: string): Promise<void> {
    const { details } = await this.#readInfo(appid);
    await this.db.write((tx) => this.accounts.recordDetails(tx, appid, details, DETAILS_READER));
  }

  async #readMissingDetails(appid: string): Promise<void> {
    const account = await this.repository.find(appid);
    if (account?.authorizationState === 'authorized' && !account.syncedAt)
      await this.refreshDetails(appid);
  }

  /** Every account that has authorized us, by appid. */
  async #readWholeList(): Promise<Map<string, AuthorizerListItem>> {
    const found = new Map<string, AuthorizerListItem>();
    for (let offset = 0; ;) {
      const page = await this.#withComponentToken((token, componentAppid) =>
        listAuthorizers(this.wechat, token, { componentAppid, offset, count: LIST_PAGE }),
      );
      for (const item of page.items) found.set(item.appid, item);
      offset += page.items.length;
      if (page.items.length === 0 || offset >= page.totalCount) return found;
    }
  }

  #readInfo(appid: string) {
    return this.#withComponentToken((token, componentAppid) =>
      getAuthorizerInfo(this.wechat, token, { componentAppid, appid }),
    );
  }

  #withComponentToken<T>(call: (token: string, componentAppid: string) => Promise<T>): Promise<T> {
    const { appid } = this.env.component;
    return this.tokens.withToken(appid, (token) => call(token, appid));
  }

  #each<T extends { appid: string }>(
    items: readonly T[],
    work: (item: T) => Promise<Outcome>,
  ): Promise<[string, Outcome][]> {
    return pMap(items, async (item) => [item.appid, await work(item)], {
      concurrency: DETAIL_CONCURRENCY,
    });
  }

  /** @param account what we hold of it, read before WeChat was asked; null when it is new to us */
  async #take(
    item: AuthorizerListItem,
    account: Account | null,
    refreshTokens: RefreshTokens,
    actor: Actor,
  ): Promise<Outcome> {
    try {
      const { details, authorization } = await this.#readInfo(item.appid);
      const { permissionIds } = authorization;
      const before = refreshTokens.get(item.appid);
      const refreshToken = authorization.refreshToken ?? item.refreshToken;
      const news: News = {
        details: detailColumns(details),
        permissionIds,
        authorizedAt: new Date(item.authorizedAt * 1000),
        refreshToken: refreshToken === before?.refreshToken ? null : refreshToken,
        tokenVersion: before?.version ?? null,
        actor,
      };
      const isSame = account !== null && isUpToDate(account, news);
      const isKept = await this.db.write((tx) => this.#keep(tx, item.appid, account, news, isSame));
      if (isSame || !isKept) return 'unchanged';
      return account ? 'updated' : 'added';
    } catch (error) {
      // It was in the list a moment ago, or was believed to be.
      if (account && isNotAuthorized(error)) return this.#end(account, actor);
      return this.#failure(item.appid, error);
    }
  }

  async #keep(
    tx: Tx,
    appid: string,
    account: Account | null,
    news: News,
    isSame: boolean,
  ): Promise<boolean> {
    const before = account && (await this.repository.findForUpdate(tx, appid));
    if (!(await this.#keepAuthorization(tx, appid, account, news))) return false;
    const now = this.clock.now();
    const seen = { ...news.details, syncedAt: now, ...(!isSame && { updatedAt: now }) };
    await this.repository.update(tx, appid, seen);
    if (before?.authorizationState === 'authorized' && !isSame)
      await this.accounts.tellChanges(tx, before, news.actor);
    if (news.refreshToken) {
      await this.tokens.adopt(tx, appid, news.refreshToken, news.tokenVersion);
    }
    return true;
  }

  /** @returns false when an event came while WeChat was asked: it knows better than the list */
  async #keepAuthorization(
    tx: Tx,
    appid: string,
    account: Account | null,
    { permissionIds, authorizedAt, actor }: News,
  ): Promise<boolean> {
    const readAt = account?.authorizationChangedAt;
    if (account?.authorizationState === 'authorized') {
      return this.repository.update(tx, appid, { permissionIds }, readAt);
    }
    const current = await this.repository.find(appid, tx);
    if (current?.authorizationChangedAt.getTime() !== readAt?.getTime()) return false;
    const changedAt = latest(authorizedAt, readAt);
    const grant = {
      appid,
      permissionIds,
      tenantId: null,
      askedType: null,
      authorizedAt,
      changedAt,
      actor,
    };
    await this.accounts.recordGrant(tx, grant, null);
    return true;
  }

  /** The list may have moved between its pages: an account is gone only when WeChat says so of this account. */
  async #confirmAbsence(account: Account, actor: Actor): Promise<Outcome> {
    try {
      const isAuthorized = await this.isAuthorized(account.appid);
      return isAuthorized ? 'unchanged' : await this.#end(account, actor);
    } catch (error) {
      return this.#failure(account.appid, error);
    }
  }

  /** WeChat says that it has not authorized us; an event that came meanwhile knows better. */
  async #end(account: Account, actor: Actor): Promise<Outcome> {
    if (account.authorizationState === 'unauthorized') return 'unchanged';
    const isApplied = await this.db.write((tx) =>
      this.accounts.recordUnauthorized(
        tx,
        account.appid,
        { actor, at: this.clock.now() },
        account.authorizationChangedAt,
      ),
    );
    return isApplied ? 'unauthorized' : 'unchanged';
  }

  #failure(appid: string, error: unknown): Outcome {
    this.logger.warn('account.sync_failed', { appid, ...errorFields(error) });
    if (error instanceof WechatApiError) return { code: 'wechat_error', detail: error.advice };
    const code =
      error instanceof WechatUnavailableError
        ? 'wechat_unavailable'
        : error instanceof AppError
          ? error.code
          : 'internal_error';
    return { code, detail: PROBLEMS[code].detail };
  }
}

function isNotAuthorized(error: unknown): boolean {
  return error instanceof WechatApiError && error.errcode === NOT_AUTHORIZED;
}

function isUpToDate(account: Account, news: News): boolean {
  const { details, permissionIds, refreshToken } = news;
  if (account.authorizationState !== 'authorized' || refreshToken !== null) return false;
  return Object.entries({ ...details, permissionIds }).every(
    ([column, value]) => JSON.stringify(account[column as keyof Account]) === JSON.stringify(value),
  );
}

function latest(one: Date, other: Date = one): Date {
  return one > other ? one : other;
}

function toReport(outcomes: readonly (readonly [string, Outcome])[]): SyncReport {
  const report: SyncReport = { added: [], updated: [], unauthorized: [], unchanged: 0, failed: [] };
  for (const [appid, outcome] of outcomes) {
    if (outcome === 'unchanged') report.unchanged += 1;
    else if (typeof outcome === 'string') report[outcome].push(appid);
    else report.failed.push({ appid, ...outcome });
  }
  return report;
}
