import type { MediaKind } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { AccountsService } from '../../accounts/accounts.service.js';
import type { Tx } from '../../database/database.js';
import { passiveMediaOf } from '../../messages/kinds/passive-reply.js';
import { MediaUploads } from '../../messages/media/media-uploads.js';
import { WorkQueue } from '../../queue/work-queue.js';
import { TokensService } from '../../tokens/tokens.service.js';
import type { QrCode, QrCodeReplies } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';

const UPLOAD = 'upload-qr-code-files';

interface UploadWork {
  appid: string;
  qrCodeId: string;
}

/** A file of ours that a message carries. */
export interface CarriedFile {
  id: string;
  kind: MediaKind;
}

/** Has WeChat hold what first messages carry before anybody scans: an answer to a push cannot wait for an upload. */
@Injectable()
export class ReplyFiles implements OnModuleInit {
  constructor(
    private readonly codes: QrCodesRepository,
    private readonly uploads: MediaUploads,
    private readonly accounts: AccountsService,
    private readonly tokens: TokensService,
    private readonly work: WorkQueue,
  ) {}

  onModuleInit(): void {
    this.work.register<UploadWork>(UPLOAD, (work) => this.#upload(work));
  }

  /** Once the transaction has committed. */
  async add(tx: Tx, { appid, id: qrCodeId, replies }: QrCode): Promise<void> {
    if (firstFilesOf(replies).length === 0) return;
    const payload: UploadWork = { appid, qrCodeId };
    await this.work.add(tx, { kind: UPLOAD, key: qrCodeId, appid, payload });
  }

  async #upload({ appid, qrCodeId }: UploadWork): Promise<void> {
    const [code, account] = [
      await this.codes.find(appid, qrCodeId),
      await this.accounts.find(appid),
    ];
    if (!code || !account || code.status === 'ended') return;
    for (const { id, kind } of firstFilesOf(code.replies))
      await this.uploads.idFor(account, id, kind, (call) => this.tokens.withToken(appid, call));
  }
}

/** The files that may have to be in an answer. */
export function firstFilesOf(replies: QrCodeReplies | null): CarriedFile[] {
  const firsts = [replies?.newFollower[0], replies?.existingFollower[0]];
  return firsts.flatMap((message) => (message ? passiveMediaOf(message) : []));
}
