import { createHash } from 'node:crypto';

import { type SecretBinding, SecretBox } from '@app/secret-box';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Clock } from '../common/clock.js';
import { SealedColumns } from '../database/sealed-columns.js';
import { renewalTime } from './renewal.js';
import type { TokenHistoryRow, TokenSourceName } from './token-history.entity.js';
import type { IssuedToken } from './token-sources.js';
import type { TokenRow } from './token.entity.js';

/** A token that ends sooner than this is not handed out: the call it is for must still find it alive. */
export const HARD_MARGIN_MS = 60_000;

/** A token in clear text, with when it ends. */
export interface LiveToken {
  token: string;
  expiresAt: number;
  /** From then on it is renewed while it is still handed out. */
  renewAt: number;
}

type TokenField = 'accessToken' | 'refreshToken';

export type SealedTokens = Pick<TokenRow, 'accessToken' | 'refreshToken' | 'expiresAt'>;

/** Seals tokens to their row and opens them again. */
@Injectable()
export class TokenVault implements OnModuleInit {
  constructor(
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    const token = { table: 'token', idColumn: 'appid' };
    this.sealed.register({
      ...token,
      column: 'access_token',
      binding: (appid) => tokenBinding(appid, 'accessToken'),
    });
    this.sealed.register({
      ...token,
      column: 'refresh_token',
      binding: (appid) => tokenBinding(appid, 'refreshToken'),
    });
    this.sealed.register({
      table: 'token_history',
      idColumn: 'id',
      column: 'refresh_token',
      binding: historyBinding,
    });
  }

  /** The row's access token, if it lives for another minute at least. */
  openLive(
    row: Pick<TokenRow, 'appid' | 'accessToken' | 'expiresAt' | 'updatedAt'> | null,
  ): LiveToken | null {
    if (!row?.accessToken || !row.expiresAt) return null;
    const expiresAt = row.expiresAt.getTime();
    if (expiresAt - this.clock.now().getTime() <= HARD_MARGIN_MS) return null;
    const binding = tokenBinding(row.appid, 'accessToken');
    return {
      token: this.secrets.open(row.accessToken, binding),
      expiresAt,
      renewAt: renewalTime(row.appid, row.updatedAt.getTime(), expiresAt),
    };
  }

  /** The row's access token, dead or alive. */
  openAccess(row: TokenRow): string | null {
    return this.#open(row, 'accessToken');
  }

  openRefresh(row: TokenRow): string | null {
    return this.#open(row, 'refreshToken');
  }

  seal(
    appid: string,
    { accessToken, expiresInSeconds, refreshToken }: Partial<IssuedToken>,
  ): SealedTokens {
    const seal = (field: TokenField, text: string | null | undefined): string | null =>
      text ? this.secrets.seal(text, tokenBinding(appid, field)) : null;
    const now = this.clock.now().getTime();
    return {
      accessToken: seal('accessToken', accessToken),
      refreshToken: seal('refreshToken', refreshToken),
      expiresAt: accessToken ? new Date(now + (expiresInSeconds ?? 0) * 1000) : null,
    };
  }

  /** The row that a refresh token is remembered by. */
  sealHistory(about: {
    appid: string;
    refreshToken: string;
    authorizationEpoch: number;
    source: TokenSourceName;
  }): TokenHistoryRow {
    const { appid, refreshToken, authorizationEpoch, source } = about;
    const receivedAt = this.clock.now();
    const id = uuidV7({ msecs: receivedAt.getTime() });
    return {
      id,
      appid,
      fingerprint: fingerprintOf(refreshToken),
      refreshToken: this.secrets.seal(refreshToken, historyBinding(id)),
      authorizationEpoch,
      source,
      receivedAt,
    };
  }

  openHistory({ id, refreshToken }: TokenHistoryRow): string {
    return this.secrets.open(refreshToken, historyBinding(id));
  }

  #open(row: TokenRow, field: TokenField): string | null {
    const sealed = row[field];
    return sealed ? this.secrets.open(sealed, tokenBinding(row.appid, field)) : null;
  }
}

/** Tells tokens apart without showing them. */
export function fingerprintOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

function tokenBinding(appid: string, field: TokenField): SecretBinding {
  return { owner: `token:${appid}`, field };
}

function historyBinding(id: string): SecretBinding {
  return { owner: `token_history:${id}`, field: 'refreshToken' };
}
