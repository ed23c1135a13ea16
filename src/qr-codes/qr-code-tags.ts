import { createTag, listTags, REACTIONS, tagPeople, WechatApiError, WechatHttp } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Logger } from '../common/logger.js';
import type { Tx } from '../database/database.js';
import { WorkQueue } from '../queue/work-queue.js';
import { TokensService } from '../tokens/tokens.service.js';
import type { QrCodeTag } from './qr-code.entity.js';
import { QrCodesRepository } from './qr-codes.repository.js';
import type { QrCodeVisit } from './visits/qr-code-visit.entity.js';
import { QrCodeVisitsRepository } from './visits/qr-code-visits.repository.js';

const TAG = 'tag-qr-code-visitor';

interface TagWork {
  visitId: string;
}

/** Puts the account's tags at WeChat on who scans a code. */
@Injectable()
export class QrCodeTags implements OnModuleInit {
  constructor(
    private readonly codes: QrCodesRepository,
    private readonly visits: QrCodeVisitsRepository,
    private readonly tokens: TokensService,
    private readonly work: WorkQueue,
    private readonly wechat: WechatHttp,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.work.register<TagWork>(TAG, ({ visitId }) => this.#tag(visitId));
  }

  /**
   * The tags of these names; those that the account lacks are made.
   *
   * @throws WechatApiError 45056 when it has 100 already; WechatUnavailableError
   */
  async resolve(appid: string, names: readonly string[]): Promise<QrCodeTag[]> {
    if (names.length === 0) return [];
    return this.tokens.withToken(appid, async (token) => {
      const known = new Map(
        (await listTags(this.wechat, token)).map(({ id, name }) => [name, { id, name }]),
      );
      const tags: QrCodeTag[] = [];
      for (const name of new Set(names))
        tags.push(known.get(name) ?? (await createTag(this.wechat, token, name)));
      return tags;
    });
  }

  /** Has the visitor tagged once the transaction has committed. */
  async add(tx: Tx, { id, appid }: QrCodeVisit): Promise<void> {
    const payload: TagWork = { visitId: id };
    await this.work.add(tx, { kind: TAG, key: id, appid, payload });
  }

  /** Twice is the same as once. Who has gone meanwhile, or has too many tags, is left as they are. */
  async #tag(visitId: string): Promise<void> {
    const visit = await this.visits.find(visitId);
    const code = visit?.qrCodeId ? await this.codes.find(visit.appid, visit.qrCodeId) : null;
    if (!visit || !code) return;
    for (const { id: tagId } of code.tags)
      try {
        await this.tokens.withToken(code.appid, (token) =>
          tagPeople(this.wechat, token, tagId, [visit.openid]),
        );
      } catch (error) {
        if (!(error instanceof WechatApiError)) throw error;
        const { errcode, errorClass } = error;
        if (REACTIONS[errorClass].retry !== 'no') throw error;
        this.logger.warn('qr_code.not_tagged', { qrCodeId: code.id, tagId, errcode });
      }
  }
}
