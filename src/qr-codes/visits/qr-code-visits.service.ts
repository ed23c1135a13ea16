import { Injectable, type OnModuleInit } from '@nestjs/common';

import { shanghaiDay } from '../../accounts/quota/shanghai-time.js';
import { AccountData } from '../../database/account-data.js';
import { Database, type Tx } from '../../database/database.js';
import { EventsService } from '../../events/events.service.js';
import { type Happening, PeopleWatchers } from '../../messages/people/people-watchers.js';
import { QrCodeTags } from '../qr-code-tags.js';
import type { QrCode } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';
import { CodeReplies } from '../replies/code-replies.js';
import { attribute, type Derived } from './attribution.js';
import type { Act, QrCodeVisit, Visit } from './qr-code-visit.entity.js';
import { QrCodeVisitsRepository } from './qr-code-visits.repository.js';

/** A code is asked before the rules that answer anybody who follows. */
const RANK = -1;
const PAGE = 500;

/** Who came by which code: written down with the push that tells of it, once. */
@Injectable()
export class QrCodeVisits implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly codes: QrCodesRepository,
    private readonly visits: QrCodeVisitsRepository,
    private readonly watchers: PeopleWatchers,
    private readonly replies: CodeReplies,
    private readonly tags: QrCodeTags,
    private readonly events: EventsService,
    private readonly accountData: AccountData,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'qr_code_visit',
      isHistory: true,
      erase: (tx, appid, limit) => this.visits.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.visits.erasePerson(tx, appid, openid, PAGE));
        while ((await page()) === PAGE);
      },
    });
    this.watchers.register((tx, happening) => this.#take(tx, happening), RANK);
  }

  /** @returns whether the code answers the person */
  async #take(tx: Tx, happening: Happening): Promise<boolean> {
    const { account, interaction } = happening;
    const { does, scene } = interaction;
    // Who can only be followed without a code is nobody's visitor, and mini-programs are not followed at all.
    if (account.subtype !== 'service_account') return false;
    const code = scene === null ? null : await this.codes.findByScene(tx, account.appid, scene);
    const act = actOf(does, code);
    if (!act) return false;
    const row = toRow(happening, act, code);
    if (!(await this.add(tx, row)) || !code || !row.visit) return false;
    await this.#tell(tx, happening, code, row);
    if (code.status === 'ended') return false;
    if (code.tags.length > 0) await this.tags.add(tx, row);
    return this.replies.sendRest(tx, happening, code);
  }

  /**
   * Writes down what a person did, and what it makes of what is there already. Nobody else may do so for the same person
   * until the transaction ends.
   *
   * @param row gets what is told from the person's others: its `visit`, its `stays` and, for an unfollow, its code
   * @returns false when it was there already
   */
  async add(tx: Tx, row: QrCodeVisit): Promise<boolean> {
    if (!(await this.visits.insertOnce(tx, row))) return false;
    if (row.act === 'scan') {
      await this.visits.makeReturning(tx, row);
      return true;
    }
    const rows = await this.visits.findFollows(tx, row.appid, row.openid);
    const derived = attribute(rows);
    const own = derived.get(row.id);
    if (own?.visit === 'new_follower' && (await this.visits.hasScannedBefore(tx, row)))
      own.visit = 'returning_follower';
    for (const before of rows) {
      const now = derived.get(before.id);
      if (now && !isSame(before, now)) await this.visits.update(tx, before.id, now);
    }
    Object.assign(row, own);
    return true;
  }

  async #tell(
    tx: Tx,
    { account }: Happening,
    { id: qrCodeId, scene }: QrCode,
    { appid, openid, visit, at }: QrCodeVisit,
  ): Promise<void> {
    if (visit === null) return;
    const key = { tenantId: account.tenantId, appid, openid };
    const payload = { appid, openid, qrCodeId, scene, visit, occurredAt: at.toISOString() };
    await this.events.emit(tx, 'qr_code.scanned', key, payload);
  }
}

/** What counts; a scan only of a code of ours. */
function actOf(does: Happening['interaction']['does'], code: QrCode | null): Act | null {
  if (does === 'follow' || does === 'unfollow') return does;
  return does === 'act' && code ? 'scan' : null;
}

function toRow(
  { id, account, interaction, isReturning }: Happening,
  act: Act,
  code: QrCode | null,
): QrCodeVisit {
  const { openid, at } = interaction;
  return {
    id,
    appid: account.appid,
    openid,
    act,
    qrCodeId: act === 'unfollow' ? null : (code?.id ?? null),
    visit: firstGuess(act, isReturning),
    stays: act === 'follow',
    at,
    day: shanghaiDay(at),
  };
}

/** What it is unless the person's other rows say otherwise. */
function firstGuess(act: Act, isReturning: boolean): Visit | null {
  if (act === 'unfollow') return null;
  if (act === 'scan') return 'existing_follower';
  return isReturning ? 'returning_follower' : 'new_follower';
}

function isSame(one: Derived, other: Derived): boolean {
  return one.visit === other.visit && one.qrCodeId === other.qrCodeId && one.stays === other.stays;
}
