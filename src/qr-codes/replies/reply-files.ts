import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../../accounts/accounts.service.js';
import type { FieldError } from '../../common/app-error.js';
import { Clock } from '../../common/clock.js';
import { Database, type Tx } from '../../database/database.js';
import { PassiveMedia } from '../../messages/kinds/passive-media.js';
import { type CarriedFile, passiveMediaOf } from '../../messages/kinds/passive-reply.js';
import { MediaUsers } from '../../messages/media/media-users.js';
import type { WorkContext } from '../../queue/work-handlers.js';
import { WorkQueue } from '../../queue/work-queue.js';
import type { QrCode, QrCodeReplies } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';

const UPLOAD = 'upload-qr-code-files';
const RENEW_PAGE = 200;
/** Where WeChat takes them not, so much later: others have their turn meanwhile. */
const RETRY_MS = 3_600_000;

/** Of what answers with a medium. */
const NAMED_USERS = 5;

interface UploadWork {
  qrCodeId: string;
}

/** WeChat's copies of what codes say in answers: there before anybody scans, and renewed before they end. */
@Injectable()
export class ReplyFiles implements OnModuleInit {
  constructor(
    private readonly db: Database,
    private readonly codes: QrCodesRepository,
    private readonly media: PassiveMedia,
    private readonly users: MediaUsers,
    private readonly accounts: AccountsService,
    private readonly work: WorkQueue,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.users.register((tx, appid, mediaId) => this.#name(tx, appid, mediaId));
    this.work.register<UploadWork>(UPLOAD, (work, context) => this.#upload(work, context));
  }

  /** When a code's files are to be looked after: from its last change on, until that has been done; null without any. */
  firstLookAt({ replies, updatedAt }: Pick<QrCode, 'replies' | 'updatedAt'>): Date | null {
    return filesOf(replies).length > 0 ? updatedAt : null;
  }

  /** Has the files of a code that was changed uploaded after the transaction. */
  async prepareSoon(tx: Tx, { id, appid, renewMediaAt }: QrCode): Promise<void> {
    if (renewMediaAt !== null) await this.#addWork(tx, { id, appid });
  }

  /** Has those renewed that end within a day. */
  async renew(): Promise<void> {
    const now = this.clock.now();
    const due = await this.codes.findMediaDue(now, RENEW_PAGE);
    if (due.length === 0) return;
    await this.db.write(async (tx) => {
      for (const code of due) {
        await this.codes.update(tx, code.id, { renewMediaAt: new Date(+now + RETRY_MS) });
        await this.#addWork(tx, code);
      }
    });
  }

  async #name(tx: Tx, appid: string, mediaId: string): Promise<FieldError[]> {
    const codes = await this.codes.findWithMedium(tx, appid, mediaId, NAMED_USERS);
    return codes.map(({ name }) => ({
      field: 'id',
      code: 'qr_code',
      detail: { zh: `渠道二维码“${name}”`, en: `The channel code ${name}` },
    }));
  }

  async #addWork(tx: Tx, { id, appid }: Pick<QrCode, 'id' | 'appid'>): Promise<void> {
    const payload: UploadWork = { qrCodeId: id };
    await this.work.add(tx, { kind: UPLOAD, key: id, appid, payload });
  }

  async #upload({ qrCodeId }: UploadWork, context: WorkContext): Promise<void> {
    const { appid } = context;
    const account = appid === null ? null : await this.accounts.find(appid);
    const code = account && (await this.codes.find(account.appid, qrCodeId));
    if (!code || code.status === 'ended') return;
    const renewMediaAt = await this.media.keep(account, filesOf(code.replies));
    await this.db.write(async (tx) => {
      await context.finish(tx);
      const row = await this.codes.findForUpdate(tx, code.appid, code.id);
      // Whoever has changed it meanwhile has had its files looked after.
      if (+(row?.updatedAt ?? 0) !== +code.updatedAt) return;
      // Whoever has read the code before may not know of the copies.
      const revision = await this.codes.nextRevision(tx, code.appid);
      await this.codes.update(tx, code.id, { renewMediaAt, revision });
    });
  }
}

/** What replies carry that may have to be in an answer. */
export function filesOf(replies: QrCodeReplies | null): CarriedFile[] {
  const firsts = [replies?.newFollower[0], replies?.existingFollower[0]];
  return firsts.flatMap((message) => (message ? passiveMediaOf(message) : []));
}
