import { Injectable } from '@nestjs/common';

import type { Caller } from '../../access/roles.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { nextMidnight, shanghaiDay, startOfDay } from '../../accounts/quota/shanghai-time.js';
import { AppError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import type { QrCode } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';
import { addUp, type Figures, NO_FIGURES } from './figures.js';
import { type Grouping, QrCodeVisitsRepository, type Span } from './qr-code-visits.repository.js';

const DAY_MS = 86_400_000;
const USUAL_DAYS = 30;
const MAX_DAYS = 366;
const NAMED_AT_ONCE = 500;

export interface StatsRow extends Figures, Span {
  day?: string;
  channel?: string;
  qrCodeId?: string;
  name?: string;
}

export interface Stats {
  items: StatsRow[];
  /** The rows added up. */
  totals: Figures;
  /** Different people in the whole span. */
  distinctPeople: number;
}

/** What has come of codes. */
@Injectable()
export class QrCodeStats {
  constructor(
    private readonly codes: QrCodesRepository,
    private readonly visits: QrCodeVisitsRepository,
    private readonly accounts: AccountsService,
    private readonly clock: Clock,
  ) {}

  /**
   * One code by day; days on which nothing happened are there too.
   *
   * @throws AppError `not_found`; `invalid_query` for a span of more than 366 days
   */
  async ofCode(
    caller: Caller,
    appid: string,
    id: string,
    asked: Partial<Span>,
  ): Promise<{ code: QrCode; stats: Stats }> {
    await this.accounts.get(caller, appid);
    const code = await this.codes.find(appid, id);
    if (!code) throw new AppError('not_found');
    return { code, stats: await this.#read(appid, id, asked, 'day') };
  }

  /** All codes of the account. @throws as {@link ofCode} */
  async ofAccount(
    caller: Caller,
    appid: string,
    asked: Partial<Span>,
    by: Grouping,
  ): Promise<Stats> {
    await this.accounts.get(caller, appid);
    return this.#read(appid, null, asked, by);
  }

  async #read(
    appid: string,
    qrCodeId: string | null,
    asked: Partial<Span>,
    by: Grouping,
  ): Promise<Stats> {
    const span = this.#spanOf(asked);
    const found = await this.visits.count(appid, qrCodeId, span, by);
    const items =
      by === 'day'
        ? daysOf(span).map((day) => ({ ...day, ...(found.get(day.day) ?? NO_FIGURES) }))
        : await this.#name(appid, span, found, by);
    return {
      items,
      totals: addUp(items),
      distinctPeople: await this.visits.countPeople(appid, qrCodeId, span),
    };
  }

  /** The most scanned first. */
  async #name(
    appid: string,
    span: Span,
    found: ReadonlyMap<string, Figures>,
    by: 'channel' | 'code',
  ): Promise<StatsRow[]> {
    const rows = [...found].toSorted(([, one], [, other]) => other.scans - one.scans);
    if (by === 'channel')
      return rows.map(([channel, figures]) => ({ ...span, channel, ...figures }));
    const names = new Map<string, QrCode>();
    const ids = rows.map(([id]) => id);
    for (let at = 0; at < ids.length; at += NAMED_AT_ONCE)
      for (const code of await this.codes.findAll(appid, ids.slice(at, at + NAMED_AT_ONCE)))
        names.set(code.id, code);
    return rows.map(([qrCodeId, figures]) => ({
      ...span,
      qrCodeId,
      name: names.get(qrCodeId)?.name ?? '',
      channel: names.get(qrCodeId)?.channel ?? '',
      ...figures,
    }));
  }

  #spanOf({ from, to }: Partial<Span>): Span {
    const end = to ?? nextMidnight(this.clock.now());
    const begin = from ?? startOfDay(shanghaiDay(new Date(end.getTime() - USUAL_DAYS * DAY_MS)));
    const length = end.getTime() - begin.getTime();
    if (length > 0 && length <= MAX_DAYS * DAY_MS) return { from: begin, to: end };
    throw new AppError('invalid_query', [
      {
        field: 'from',
        code: 'span',
        detail: {
          zh: `from 须早于 to，相隔不超过 ${MAX_DAYS} 天。请缩短范围，或分段查询。`,
          en: `\`from\` has to be before \`to\`, by ${MAX_DAYS} days at the most. Ask for less, or several times.`,
        },
      },
    ]);
  }
}

/** The days in Shanghai that a span covers, the first and the last perhaps in part. */
function daysOf({ from, to }: Span): (Span & { day: string })[] {
  const days: (Span & { day: string })[] = [];
  for (let at = from; at < to; at = nextMidnight(at)) {
    const end = nextMidnight(at);
    days.push({ from: at, to: end < to ? end : to, day: shanghaiDay(at) });
  }
  return days;
}
