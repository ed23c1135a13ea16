import { Injectable } from '@nestjs/common';

import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import type { AccountCountsDto, ListAccountsDto } from './account.dto.js';
import type { Account } from './account.entity.js';
import {
  type AccountCount,
  type AccountFilter,
  type AccountPosition,
  type AccountScope,
  type AccountSort,
  AccountsRepository,
  sortValueOf,
} from './accounts.repository.js';

/** A page of the list, with how many accounts there are of each state. */
export interface AccountList {
  accounts: Account[];
  nextCursor: string | null;
  counts: AccountCountsDto;
}

/** Finds accounts for people: filtered, ordered, by the page, counted. */
@Injectable()
export class AccountsList {
  constructor(private readonly accounts: AccountsRepository) {}

  /** @throws AppError `invalid_query` for a cursor of another list */
  async find(caller: Caller, query: ListAccountsDto): Promise<AccountList> {
    const { limit, cursor, state, sort, ...filter } = query;
    const scope = scopeOf(caller, state === 'unclaimed');
    if (!scope) return { accounts: [], nextCursor: null, counts: toCounts([]) };
    const wanted: AccountFilter = {
      ...filter,
      scope,
      ...(state && state !== 'unclaimed' && { state }),
    };
    const after = cursor ? fromCursor(cursor, sort) : null;
    const [rows, counts] = await Promise.all([
      this.accounts.findPage(wanted, sort, limit, after),
      this.accounts.countByState(wanted),
    ]);
    const accounts = rows.slice(0, limit);
    const last = accounts.at(-1);
    return {
      accounts,
      nextCursor: rows.length > limit && last ? toCursor(last, sort) : null,
      counts: toCounts(counts),
    };
  }
}

/** @returns null when the caller may see none of it */
function scopeOf(caller: Caller, unclaimed: boolean): AccountScope | null {
  if (unclaimed) return caller.role === 'owner' ? 'unclaimed' : null;
  return caller.allTenants ? 'all' : { tenantId: caller.tenantId };
}

function toCursor(account: Account, sort: AccountSort): string {
  const place = [sort, sortValueOf(account, sort), account.appid];
  return Buffer.from(JSON.stringify(place)).toString('base64url');
}

/** One of a list in another order would skip and repeat accounts. */
function fromCursor(cursor: string, sort: AccountSort): AccountPosition {
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(place) && place.length === 3) {
      const [of, value, appid] = place.map(String);
      const isTime = sort.endsWith('At');
      if (of === sort && value !== undefined && appid && (!isTime || /^\d{1,15}$/.test(value)))
        return { value, appid };
    }
  } catch {
    // Not one of ours.
  }
  throw new AppError('invalid_query', [
    {
      field: 'cursor',
      code: 'invalid_cursor',
      detail: {
        zh: '请使用上一页返回的 nextCursor，并保持 sort 不变；从头开始则不要传。',
        en: 'Use `nextCursor` of the page before with the same `sort`, or leave it out to begin anew.',
      },
    },
  ]);
}

function toCounts(rows: readonly AccountCount[]): AccountCountsDto {
  const sum = (matches: (row: AccountCount) => boolean): number =>
    rows.filter(matches).reduce((total, { count }) => total + count, 0);
  return {
    total: sum(() => true),
    authorized: sum(({ state }) => state === 'authorized'),
    unauthorized: sum(({ state }) => state === 'unauthorized'),
    reauthorizationRequired: sum(({ state }) => state === 'reauthorization_required'),
    enabled: sum(({ enabled }) => enabled),
    disabled: sum(({ enabled }) => !enabled),
    flagged: sum(({ flagged }) => flagged),
  };
}
