import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../accounts/accounts.service.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import { Database } from '../database/database.js';
import { LeasedSchedule } from '../queue/leased-schedule.js';
import { QrCodeMaker, renewalOf } from './qr-code-maker.js';
import type { QrCode } from './qr-code.entity.js';
import { QrCodesRepository } from './qr-codes.repository.js';
import { QrCodesService } from './qr-codes.service.js';
import { ReplyFiles } from './replies/reply-files.js';

const EVERY_SECONDS = 60;
const PAGE = 200;
/** Where WeChat does not make it, it is asked again so much later. */
const RETRY_MS = 3_600_000;

/** Keeps temporary codes alive under their scenes and their media at WeChat, and ends those whose time is over. */
@Injectable()
export class QrCodeUpkeep implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly codes: QrCodesRepository,
    private readonly service: QrCodesService,
    private readonly maker: QrCodeMaker,
    private readonly files: ReplyFiles,
    private readonly accounts: AccountsService,
    private readonly schedule: LeasedSchedule,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.schedule.every('keep-up-qr-codes', EVERY_SECONDS, () => this.keepUp());
  }

  async keepUp(): Promise<void> {
    const now = this.clock.now();
    let due: QrCode[];
    do {
      due = await this.codes.findDueToEnd(now, PAGE);
      for (const code of due) await this.service.endOverdue(code);
    } while (due.length === PAGE);
    do {
      due = await this.codes.findDueForRenewal(now, PAGE);
      for (const code of due) await this.#renew(code);
    } while (due.length === PAGE);
    await this.files.renew();
  }

  /** The picture before it works until its own end. */
  async #renew(code: QrCode): Promise<void> {
    const values = await this.#ask(code).catch((error: unknown) => {
      this.logger.warn('qr_code.not_renewed', { qrCodeId: code.id, ...errorFields(error) });
      return { renewAt: new Date(this.clock.now().getTime() + RETRY_MS) };
    });
    await this.db.write(async (tx) => {
      await this.accounts.findForUpdate(tx, code.appid);
      const row = await this.codes.findForUpdate(tx, code.appid, code.id);
      if (row?.status !== 'active') return;
      await this.codes.update(tx, code.id, { ...values, ...this.#lookAgain(row, values) });
    });
  }

  async #ask(code: QrCode): Promise<Partial<QrCode>> {
    const account = await this.accounts.find(code.appid);
    if (!account) return { renewAt: null };
    await this.maker.checkAvailable(account);
    const { contentUrl, ticket, expiresAt, renewAt } = await this.maker.make(account, code);
    return { contentUrl, ticket, expiresAt, renewAt };
  }

  /** While WeChat was asked, the end of the code may have been moved. */
  #lookAgain({ endsAt }: QrCode, { expiresAt }: Partial<QrCode>): Partial<QrCode> {
    if (!expiresAt) return {};
    const now = this.clock.now();
    return { renewAt: renewalOf(expiresAt, endsAt, expiresAt.getTime() - now.getTime(), now) };
  }
}
