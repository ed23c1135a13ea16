import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import type { Account } from '../accounts/account.entity.js';
import { AccountsService } from '../accounts/accounts.service.js';
import { AppError, type FieldError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { fromCursor, type Page, toPage } from '../common/paging.js';
import { inLang, type Lang, type Text } from '../common/text.js';
import { AccountData } from '../database/account-data.js';
import { Database, type Tx } from '../database/database.js';
import { changeErrors, ENDS_IN_THE_PAST, newErrors, notOfPrograms } from './qr-code-errors.js';
import { newScene, QrCodeMaker, renewalOf } from './qr-code-maker.js';
import { QrCodeTags } from './qr-code-tags.js';
import type { QrCode } from './qr-code.entity.js';
import { type QrCodeFilter, QrCodesRepository } from './qr-codes.repository.js';
import { ReplyContents, type WantedReplies } from './replies/reply-contents.js';
import { ReplyFiles } from './replies/reply-files.js';
import { type Figures, NO_FIGURES } from './visits/figures.js';
import { QrCodeVisitsRepository } from './visits/qr-code-visits.repository.js';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MAX_NAME = 100;
const COPY_MARK: Text = { zh: '（副本）', en: ' (copy)' };

/** What can be changed about a code. What is left out is none. */
export interface QrCodeSettings {
  name: string;
  channel: string;
  group?: string;
  /** Names of the account's tags at WeChat. */
  tags?: readonly string[];
  replies?: WantedReplies;
  /** When it ends by itself. */
  endsAt?: Date;
}

export interface NewQrCode extends QrCodeSettings {
  permanent: boolean;
  /** Of a temporary one: 1..30, how long a picture lives before it is made anew. */
  expiresInDays?: number;
  /** Of a mini-program's code. */
  page?: string;
}

/** A code with what has come of it since it was made. */
export interface CountedQrCode {
  code: QrCode;
  figures: Figures;
}

/** Channel codes, from the day they are made to the day they end. */
@Injectable()
export class QrCodesService implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly codes: QrCodesRepository,
    private readonly visits: QrCodeVisitsRepository,
    private readonly maker: QrCodeMaker,
    private readonly tags: QrCodeTags,
    private readonly contents: ReplyContents,
    private readonly files: ReplyFiles,
    private readonly accounts: AccountsService,
    private readonly audit: AuditService,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accountData.register({
      table: 'qr_code',
      erase: (tx, appid, limit) => this.codes.eraseAccount(tx, appid, limit),
    });
    this.accountData.register({
      table: 'qr_code_picture',
      erase: (tx, appid, limit) => this.codes.erasePictures(tx, appid, limit),
    });
    this.accountData.register({
      table: 'qr_code_account',
      erase: (tx, appid) => this.codes.eraseShared(tx, appid),
    });
  }

  /**
   * Makes a code, at WeChat and here.
   *
   * @throws AppError `not_found`, `qr_codes_not_supported`, `account_disabled`, `qr_codes_not_available`,
   *   `qr_codes_used_up`, `validation_failed`
   * @throws WechatApiError, WechatUnavailableError
   */
  async create(caller: Caller, appid: string, wanted: NewQrCode): Promise<CountedQrCode> {
    const account = await this.accounts.get(caller, appid);
    await this.maker.checkAvailable(account);
    const isProgram = account.accountType === 'mini_program';
    const settings = await this.#read(account, wanted, newErrors(wanted, isProgram));
    const shape = {
      scene: newScene(),
      isPermanent: wanted.permanent,
      expiresInDays: wanted.permanent ? null : (wanted.expiresInDays ?? DEFAULT_DAYS),
      endsAt: settings.endsAt,
      page: wanted.page ?? null,
    };
    const { picture, ...made } = await this.maker.make(account, shape);
    const now = this.clock.now();
    const code = await this.db.write(async (tx) => {
      // The account may be gone by now.
      const { tenantId } = await this.accounts.getForUpdate(tx, caller, appid);
      await this.contents.hold(tx, account, settings.replies);
      const row: QrCode = {
        id: uuidV7({ msecs: now.getTime() }),
        appid,
        ...shape,
        ...settings,
        ...made,
        renewMediaAt: this.files.firstLookAt({ replies: settings.replies, updatedAt: now }),
        status: 'active',
        endedAt: null,
        revision: await this.codes.nextRevision(tx, appid),
        createdBy: caller.name.slice(0, 128),
        createdAt: now,
        updatedAt: now,
      };
      await this.codes.insert(tx, row);
      if (picture) await this.codes.insertPicture(tx, appid, row.id, picture);
      await this.files.prepareSoon(tx, row);
      await this.#record(tx, caller, tenantId, row, 'qr_code.created');
      return row;
    });
    return { code, figures: NO_FIGURES };
  }

  /**
   * Another code with the settings of this one, under a scene of its own. An ended one may be copied too.
   *
   * @param wanted its name; left out, the name of the other, said to be a copy in the caller's language
   * @throws as {@link create}
   */
  async copy(
    caller: Caller,
    appid: string,
    id: string,
    { name, lang }: { name?: string; lang: Lang },
  ): Promise<CountedQrCode> {
    const { code } = await this.get(caller, appid, id);
    const { group, replies, page, expiresInDays, endsAt } = code;
    const isOver = endsAt !== null && endsAt <= this.clock.now();
    return this.create(caller, appid, {
      name: name ?? nameOfCopy(code.name, lang),
      channel: code.channel,
      permanent: code.isPermanent,
      tags: code.tags.map((tag) => tag.name),
      ...(group !== null && { group }),
      ...(replies && { replies }),
      ...(page !== null && { page }),
      ...(expiresInDays !== null && { expiresInDays }),
      ...(endsAt && !isOver && { endsAt }),
    });
  }

  /**
   * Puts other settings in place of its own. The code and its picture stay.
   *
   * @throws AppError `not_found`, `qr_code_ended`, `validation_failed`
   * @throws WechatApiError, WechatUnavailableError where WeChat's tags cannot be read or made
   */
  async update(
    caller: Caller,
    appid: string,
    id: string,
    wanted: QrCodeSettings & Partial<Pick<NewQrCode, 'permanent' | 'expiresInDays'>>,
  ): Promise<CountedQrCode> {
    const account = await this.accounts.get(caller, appid);
    const { code: before, figures } = await this.get(caller, appid, id);
    if (before.status === 'ended') throw new AppError('qr_code_ended');
    const settings = await this.#read(account, wanted, changeErrors(before, wanted));
    const code = await this.#change(caller, appid, id, async (tx, row) => {
      if (row.status === 'ended') throw new AppError('qr_code_ended');
      await this.contents.hold(tx, account, settings.replies);
      const updatedAt = this.clock.now();
      const values = {
        ...settings,
        renewMediaAt: this.files.firstLookAt({ replies: settings.replies, updatedAt }),
        ...(!row.isPermanent && { expiresInDays: wanted.expiresInDays ?? row.expiresInDays }),
        updatedAt,
        // Whether the picture lasts until the new end is looked at again.
        ...(row.expiresAt && { renewAt: this.#nextRenewal(row, row.expiresAt, settings.endsAt) }),
        revision: await this.codes.nextRevision(tx, appid),
      };
      await this.codes.update(tx, id, values);
      const changed = Object.assign(row, values);
      await this.files.prepareSoon(tx, changed);
      return { row: changed, action: 'qr_code.changed' };
    });
    return { code, figures };
  }

  /** Ends it: it is renewed no more, says and tags nothing. Who scans it still counts. One that has ended stays as it is. */
  async end(caller: Caller, appid: string, id: string): Promise<CountedQrCode> {
    const { figures } = await this.get(caller, appid, id);
    const code = await this.#change(caller, appid, id, async (tx, row) =>
      row.status === 'ended'
        ? { row, action: null }
        : { row: await this.#end(tx, row), action: 'qr_code.ended' },
    );
    return { code, figures };
  }

  /** @throws AppError `not_found`, `qr_code_active` */
  async delete(caller: Caller, appid: string, id: string): Promise<void> {
    await this.accounts.get(caller, appid);
    await this.#change(caller, appid, id, async (tx, row) => {
      if (row.status === 'active') throw new AppError('qr_code_active');
      await this.codes.delete(tx, id);
      return { row, action: 'qr_code.deleted' };
    });
  }

  /** @throws AppError `not_found`, for another account's too */
  async get(caller: Caller, appid: string, id: string): Promise<CountedQrCode> {
    await this.accounts.get(caller, appid);
    const code = await this.codes.find(appid, id);
    if (!code) throw new AppError('not_found');
    const figures = await this.visits.countAll([id]);
    return { code, figures: figures.get(id) ?? NO_FIGURES };
  }

  /**
   * The newest first.
   *
   * @returns with the permanent codes that the account has used up; null for a mini-program, which may have any number
   * @throws AppError `not_found`; `invalid_query` for a cursor that is not ours
   */
  async list(
    caller: Caller,
    appid: string,
    query: QrCodeFilter & { limit: number; cursor?: string },
  ): Promise<Page<CountedQrCode> & { permanentUsed: number | null }> {
    const { accountType } = await this.accounts.get(caller, appid);
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.codes.findPage(appid, filter, limit, after);
    const figures = await this.visits.countAll(rows.map(({ id }) => id));
    const page = toPage(
      rows,
      limit,
      ({ createdAt, id }) => ({ at: createdAt, id }),
      (code) => ({ code, figures: figures.get(code.id) ?? NO_FIGURES }),
    );
    const isProgram = accountType === 'mini_program';
    return { ...page, permanentUsed: isProgram ? null : await this.codes.findPermanentUsed(appid) };
  }

  /** Ends one whose time is over, unless somebody has meanwhile. */
  async endOverdue({ appid, id }: QrCode): Promise<void> {
    await this.db.write(async (tx) => {
      await this.accounts.findForUpdate(tx, appid);
      const row = await this.codes.findForUpdate(tx, appid, id);
      const now = this.clock.now();
      if (row?.status === 'active' && row.endsAt && row.endsAt <= now) await this.#end(tx, row);
    });
  }

  /** Of the picture that a code has now. WeChat may have given it less than it was to live, never more. */
  #nextRenewal({ expiresInDays }: QrCode, expiresAt: Date, endsAt: Date | null): Date | null {
    return renewalOf(expiresAt, endsAt, (expiresInDays ?? 0) * DAY_MS, this.clock.now());
  }

  async #end(tx: Tx, row: QrCode): Promise<QrCode> {
    const now = this.clock.now();
    const values = {
      status: 'ended' as const,
      endedAt: now,
      renewAt: null,
      renewMediaAt: null,
      updatedAt: now,
      revision: await this.codes.nextRevision(tx, row.appid),
    };
    await this.codes.update(tx, row.id, values);
    return Object.assign(row, values);
  }

  async #change(
    caller: Caller,
    appid: string,
    id: string,
    change: (tx: Tx, row: QrCode) => Promise<{ row: QrCode; action: string | null }>,
  ): Promise<QrCode> {
    return this.db.write(async (tx) => {
      // Everybody who changes a code locks its account first, but for ReplyFiles, which notes what it has done with files.
      const { tenantId } = await this.accounts.getForUpdate(tx, caller, appid);
      const before = await this.codes.findForUpdate(tx, appid, id);
      if (!before) throw new AppError('not_found');
      const { row, action } = await change(tx, before);
      if (action) await this.#record(tx, caller, tenantId, row, action);
      return row;
    });
  }

  /** The settings as they are kept. @param wrong what is known to be wrong already */
  async #read(
    account: Account,
    { name, channel, group, tags = [], replies, endsAt }: QrCodeSettings,
    wrong: FieldError[],
  ): Promise<
    Pick<QrCode, 'name' | 'channel' | 'group' | 'tags' | 'replies'> & { endsAt: Date | null }
  > {
    const isProgram = account.accountType === 'mini_program';
    const isPast = endsAt !== undefined && endsAt <= this.clock.now();
    const read = await this.contents.read(account, replies ?? {});
    const errors = [
      ...wrong,
      ...(isPast ? [ENDS_IN_THE_PAST] : []),
      ...(isProgram && tags.length > 0 ? [notOfPrograms('tags')] : []),
      ...(isProgram && replies !== undefined ? [notOfPrograms('replies')] : []),
      ...read.errors,
    ];
    if (errors.length > 0) throw new AppError('validation_failed', errors);
    return {
      name,
      channel,
      group: group ?? null,
      tags: await this.tags.resolve(account.appid, tags),
      replies: read.replies,
      endsAt: endsAt ?? null,
    };
  }

  async #record(
    tx: Tx,
    actor: Caller,
    tenantId: string | null,
    { id, appid, scene, name, channel }: QrCode,
    action: string,
  ): Promise<void> {
    const detail = { qrCodeId: id, scene, name, channel };
    await this.audit.record(tx, { actor, action, target: appid, tenantId, detail });
  }
}

/** However long the name is, it is told from that of the other. */
function nameOfCopy(name: string, lang: Lang): string {
  const mark = inLang(COPY_MARK, lang);
  return (
    Array.from(name)
      .slice(0, MAX_NAME - mark.length)
      .join('') + mark
  );
}
