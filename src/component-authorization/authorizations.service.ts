import { randomBytes } from 'node:crypto';

import { type SecretBinding, SecretBox } from '@app/secret-box';
import { authorizationPageUrl, mobileAuthorizationPageUrl } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import type { Account } from '../accounts/account.entity.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { UserPropertiesService } from '../accounts/user-properties/user-properties.service.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { AccountData } from '../database/account-data.js';
import { Database } from '../database/database.js';
import { SealedColumns } from '../database/sealed-columns.js';
import type { AskedType, Authorization } from './authorization.entity.js';
import { AuthorizationsRepository } from './authorizations.repository.js';
import { ComponentService } from './component.service.js';
import { digest } from './digest.js';
import type { FailureCode } from './failures.js';

const AUTH_TYPES = { official_account: 1, mini_program: 2, any: 3 } as const;

type SealedField = 'stateToken' | 'preAuthCode';

export interface NewAuthorization {
  accountType: AskedType;
  appid?: string;
  openidProperty?: string;
  /** Only these permission sets are shown to the administrator; without any, all. */
  permissionIds?: number[];
}

/** An authorization as it stands, with the account it led to where the asker may see it. */
export interface AuthorizationView {
  authorization: Authorization;
  status: 'pending' | 'completed' | 'failed' | 'expired';
  account: Account | null;
  failure: { code: FailureCode; errcode: number | null } | null;
}

/** What clients and pages see of authorizations, and how one begins. */
@Injectable()
export class AuthorizationsService implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly authorizations: AuthorizationsRepository,
    private readonly component: ComponentService,
    private readonly accounts: AccountsService,
    private readonly properties: UserPropertiesService,
    private readonly audit: AuditService,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'authorization',
      erase: (tx, appid, limit) => this.authorizations.eraseAccount(tx, appid, limit),
    });
    const authorization = { table: 'authorization', idColumn: 'id' };
    this.sealed.register({
      ...authorization,
      column: 'state_token',
      binding: (id) => bindingOf(id, 'stateToken'),
    });
    this.sealed.register({
      ...authorization,
      column: 'pre_auth_code',
      binding: (id) => bindingOf(id, 'preAuthCode'),
    });
  }

  /**
   * Prepares an authorization. It ends with its pre-auth code, half an hour as a rule.
   *
   * @throws AppError `not_found` for another tenant's account, `openid_property_in_use`, `unknown_user_property`,
   *   `user_property_not_text`, `component_ticket_missing`
   */
  async create(caller: Caller, asked: NewAuthorization): Promise<AuthorizationView> {
    const { appid = null, openidProperty = null, accountType } = asked;
    const { tenantId } = caller;
    const account = appid && (await this.accounts.find(appid));
    if (account && account.tenantId !== null && account.tenantId !== tenantId)
      throw new AppError('not_found');
    if (openidProperty && (await this.accounts.isPropertyTaken(tenantId, openidProperty, appid))) {
      throw new AppError('openid_property_in_use');
    }
    if (openidProperty) await this.properties.check(tenantId, openidProperty);
    const { preAuthCode, expiresInSeconds } = await this.component.createPreAuthCode();
    const [id, state] = [randomToken(), randomToken()];
    const now = this.clock.now();
    const row: Authorization = {
      id,
      tenantId,
      accountType,
      onlyAppid: appid,
      openidProperty,
      onlyPermissionIds: asked.permissionIds ?? null,
      stateToken: this.secrets.seal(state, bindingOf(id, 'stateToken')),
      stateHash: digest(state),
      preAuthCode: this.secrets.seal(preAuthCode, bindingOf(id, 'preAuthCode')),
      preAuthCodeHash: digest(preAuthCode),
      authCodeHash: null,
      answerLostAt: null,
      status: 'pending',
      appid: null,
      gainedPermissionIds: null,
      lostPermissionIds: null,
      failureCode: null,
      failureErrcode: null,
      createdAt: now,
      expiresAt: new Date(now.getTime() + expiresInSeconds * 1000),
      finishedAt: null,
    };
    await this.db.write(async (tx) => {
      await this.authorizations.insert(tx, row);
      await this.audit.record(tx, {
        actor: caller,
        action: 'authorization.started',
        target: id,
        tenantId,
        detail: {
          accountType,
          onlyAppid: appid,
          openidProperty,
          onlyPermissionIds: row.onlyPermissionIds,
        },
      });
    });
    this.logger.info('authorization.created', {
      tenantId,
      accountType,
      onlyAppid: appid,
      by: caller.name,
    });
    return this.view(row);
  }

  /**
   * Prepares an update of the authorization of an account that we hold, as {@link create} does.
   *
   * @param permissionIds only these are shown; without them, all
   */
  async createAgain(
    caller: Caller,
    appid: string,
    permissionIds?: number[],
  ): Promise<AuthorizationView> {
    const { accountType, tenantId } = await this.accounts.get(caller, appid);
    const asked = { accountType, appid, ...(permissionIds && { permissionIds }) };
    // An owner who names no tenant sees every account, and updates it for whoever holds it.
    return this.create(tenantId === null ? caller : { ...caller, tenantId }, asked);
  }

  /** @throws AppError `not_found`, for another tenant's too */
  async get(caller: Caller, id: string): Promise<AuthorizationView> {
    const row = await this.authorizations.find(id);
    if (!row || !(caller.allTenants || row.tenantId === caller.tenantId))
      throw new AppError('not_found');
    return this.view(row);
  }

  /** For the launch page: whoever has the address may see it. */
  async find(id: string): Promise<AuthorizationView | null> {
    const row = await this.authorizations.find(id);
    return row && this.view(row);
  }

  /** The name of the only account that may be chosen, where the asker holds it. */
  async findOnlyNickname({ onlyAppid, tenantId }: Authorization): Promise<string | null> {
    const account = onlyAppid === null ? null : await this.accounts.find(onlyAppid);
    return account?.tenantId === tenantId ? account.nickname : null;
  }

  /** The addresses of WeChat's pages for an authorization that is pending. */
  scanPages(row: Authorization): { scanUrl: string; phoneUrl: string } {
    const open = (field: SealedField): string =>
      this.secrets.open(row[field], bindingOf(row.id, field));
    const page = {
      componentAppid: this.component.appid,
      preAuthCode: open('preAuthCode'),
      redirectUri: `${this.env.publicUrl}/authorize/callback/${open('stateToken')}`,
      authType: AUTH_TYPES[row.accountType],
      ...(row.onlyAppid && { bizAppid: row.onlyAppid }),
      ...(row.onlyPermissionIds && { permissionIds: row.onlyPermissionIds }),
    };
    return {
      scanUrl: authorizationPageUrl({ mpBaseUrl: this.env.wechatMpBaseUrl, ...page }),
      phoneUrl: mobileAuthorizationPageUrl({ openBaseUrl: this.env.wechatOpenBaseUrl, ...page }),
    };
  }

  /** How an authorization stands for its asker. */
  async view(row: Authorization): Promise<AuthorizationView> {
    const isExpired = row.status === 'pending' && row.expiresAt <= this.clock.now();
    const account = row.appid === null ? null : await this.accounts.find(row.appid);
    return {
      authorization: row,
      status: isExpired ? 'expired' : row.status,
      // Of another tenant's account nothing is told.
      account: account?.tenantId === row.tenantId ? account : null,
      failure: row.failureCode && { code: row.failureCode, errcode: row.failureErrcode },
    };
  }
}

function bindingOf(id: string, field: SealedField): SecretBinding {
  return { owner: `authorization:${id}`, field };
}

/** 256 random bits, 43 characters. */
function randomToken(): string {
  return randomBytes(32).toString('base64url');
}
