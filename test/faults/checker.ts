import { DataSource, type DataSourceOptions } from 'typeorm';

import { dataSourceOptions } from '../../config/database.js';
import { readEnv } from '../../config/env.js';
import { serviceEnv } from '../processes.js';
import { type PushHistory, wasAcknowledged } from './history.js';

/** What a run has left in the database, against what its senders saw. Every list should be empty. */
export interface Verdict {
  /** Acknowledged, and not in the ledger. */
  lost: string[];
  /** In the ledger more than once. */
  doubled: string[];
  /** In the ledger, but its handler has not ended. */
  unhandled: string[];
  /** Acknowledged authorizations without exactly one account, token and event; receipts without exactly one row and event. */
  wrongEffects: string[];
  /** Acknowledged, altogether. */
  acknowledged: number;
  kept: number;
}

/** A view of the database that is not the service's own. */
export async function openView(databaseUrl: string): Promise<DataSource> {
  const target = readEnv(
    serviceEnv(databaseUrl, { SECRET_KEYS: `k1:${Buffer.alloc(32, 7).toString('base64')}` }),
  ).database;
  return new DataSource(dataSourceOptions(target) as DataSourceOptions).initialize();
}

/** After quiescence: set arithmetic over what was acknowledged and what is there. */
export async function judge(view: DataSource, history: readonly PushHistory[]): Promise<Verdict> {
  const rows = await view.query<{ dedup_key: string; state: string; n: number | string }[]>(
    'SELECT dedup_key, MIN(state) AS state, COUNT(*) AS n FROM push GROUP BY dedup_key',
  );
  const kept = new Map(rows.map((row) => [row.dedup_key, row]));
  const acknowledged = history.filter(wasAcknowledged);
  const [accounts, tokens, events] = await Promise.all([
    countBy(view, 'SELECT appid, COUNT(*) AS n FROM account GROUP BY appid'),
    countBy(
      view,
      'SELECT appid, COUNT(*) AS n FROM token WHERE refresh_token IS NOT NULL GROUP BY appid',
    ),
    countBy(
      view,
      "SELECT appid, COUNT(*) AS n FROM event WHERE type = 'account.authorized' GROUP BY appid",
    ),
  ]);
  const [receipts, receiptEvents] = [await countReceipts(view), await countReceiptEvents(view)];
  const isRight = (appid: string): boolean =>
    [accounts, tokens, events].every((counts) => counts.get(appid) === 1);
  return {
    lost: acknowledged
      .filter(({ dedupKey }) => !kept.has(dedupKey))
      .map(({ dedupKey }) => dedupKey),
    doubled: rows.filter(({ n }) => Number(n) !== 1).map(({ dedup_key }) => dedup_key),
    unhandled: rows.filter(({ state }) => state !== 'handled').map(({ dedup_key }) => dedup_key),
    wrongEffects: acknowledged.flatMap(({ authorizes, receipt }) => [
      ...(authorizes === null || isRight(authorizes)
        ? []
        : [
            `${authorizes}: ${accounts.get(authorizes)} ${tokens.get(authorizes)} ${events.get(authorizes)}`,
          ]),
      ...(receipt === null || (receipts.get(receipt) === 1 && receiptEvents.get(receipt) === 1)
        ? []
        : [`${receipt}: ${receipts.get(receipt)} ${receiptEvents.get(receipt)}`]),
    ]),
    acknowledged: acknowledged.length,
    kept: rows.length,
  };
}

/** Nothing lost, nothing twice, everything handled. */
export const SPOTLESS = { lost: [], doubled: [], unhandled: [], wrongEffects: [] };

async function countBy(view: DataSource, sql: string): Promise<Map<string, number>> {
  const rows = await view.query<{ appid: string; n: number | string }[]>(sql);
  return new Map(rows.map(({ appid, n }) => [appid, Number(n)]));
}

async function countReceipts(view: DataSource): Promise<Map<string, number>> {
  const rows = await view.query<{ msgid: string; n: number | string }[]>(
    'SELECT msgid, COUNT(*) AS n FROM receipt GROUP BY msgid',
  );
  return new Map(rows.map(({ msgid, n }) => [msgid, Number(n)]));
}

async function countReceiptEvents(view: DataSource): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const rows = await view.query<{ payload: string }[]>(
    "SELECT payload FROM event WHERE type = 'receipt.received'",
  );
  for (const { payload } of rows) {
    const { msgid } = JSON.parse(payload) as { msgid: string };
    counts.set(msgid, (counts.get(msgid) ?? 0) + 1);
  }
  return counts;
}
