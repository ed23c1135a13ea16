import { dedupKey, type OpenedPush, type Push } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { v7 as uuidV7 } from 'uuid';

import { Clock } from '../common/clock.js';
import { Logger } from '../common/logger.js';
import { type Door, Metrics } from '../common/metrics.js';
import { PushLedger, type VerifiedPush } from './push-ledger.js';

/** What a push is answered with when there is nothing to say. */
const SUCCESS = 'success';
const UNKNOWN_KIND = 'unknown';
const XML_TYPE = 'application/xml; charset=utf-8';
export const TEXT_TYPE = 'text/plain; charset=utf-8';

/** What to answer, once the push is kept. */
export interface PushAnswer {
  body: string;
  contentType: string;
}

/** A push that has been opened, and what is known of it. */
export interface ArrivedPush extends Pick<VerifiedPush, 'push' | 'handler' | 'request'> {
  door: Door;
  /** The appid that the address stands for. */
  account: string;
  opened: OpenedPush;
  /** A passive reply, sealed; null for `success`. */
  answer: string | null;
  /** What is noted of it. */
  answeredBy?: string | null;
}

/** The end of every door: has the push kept once, and says what it is answered with. */
@Injectable()
export class PushKeeper {
  constructor(
    private readonly ledger: PushLedger,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {}

  /**
   * Keeps a push. When this returns, it is in the database.
   *
   * @throws AppError `storage_unavailable` when it could not be kept
   */
  async keep(arrived: ArrivedPush): Promise<PushAnswer> {
    const { door, account, opened, push, handler, request, answer, answeredBy } = arrived;
    const now = this.clock.now();
    const kind = kindOf(push);
    const kept = await this.ledger.keep({
      row: {
        id: uuidV7({ msecs: now.getTime() }),
        account,
        dedupKey: dedupKey(opened),
        kind,
        occurredAt: push ? new Date(push.createTime * 1000) : now,
        answer,
        answeredBy: answeredBy ?? null,
      },
      content: opened.content,
      push,
      handler,
      request,
    });
    const isNew = kept?.isNew ?? true;
    this.metrics.pushes.inc({ door, kind, outcome: isNew ? 'kept' : 'duplicate' });
    this.logger.debug('push.received', { account, kind, isNew });
    const body = kept?.answer ?? null;
    return body === null
      ? { body: SUCCESS, contentType: TEXT_TYPE }
      : { body, contentType: XML_TYPE };
  }

  /** Answers a push that nobody wants, and forgets it. */
  drop({
    door,
    account,
    push,
    request,
  }: Omit<ArrivedPush, 'opened' | 'handler' | 'answer' | 'answeredBy'>): PushAnswer {
    const kind = kindOf(push);
    this.metrics.pushes.inc({ door, kind, outcome: 'dropped' });
    this.logger.info('push.dropped', { ...request, appid: account, kind });
    return { body: SUCCESS, contentType: TEXT_TYPE };
  }
}

function kindOf(push: Push | null): string {
  return push?.kind ?? UNKNOWN_KIND;
}
