import { sceneOf } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v5 as uuidV5 } from 'uuid';

import { Clock } from '../../common/clock.js';
import { errorFields, Logger } from '../../common/logger.js';
import type { Tx } from '../../database/database.js';
import type { AnyMessageDto } from '../../messages/kinds/customer-service-message.dto.js';
import { PASSIVE_TYPES, passiveReply } from '../../messages/kinds/passive-reply.js';
import { MediaUploads } from '../../messages/media/media-uploads.js';
import type { Happening } from '../../messages/people/people-watchers.js';
import { DeliverySender } from '../../messages/sending/delivery-sender.js';
import { PushAccounts } from '../../pushes/push-accounts.js';
import { type AccountPush, type NotedReply, PushHandlers } from '../../pushes/push-handlers.js';
import { isOurScene } from '../qr-code-maker.js';
import type { QrCode, QrCodeReplies } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';
import { type CarriedFile, firstFilesOf } from './reply-files.js';

/** A code is asked before the rules that answer anybody who follows. */
const RANK = -1;
/** What a push is answered with when nobody else is to answer it either. */
const NOTHING = '';
/** What is noted beside a push that a code has answered. */
const BY = 'qr_code';
/** A copy that ends sooner is not put into an answer any more. */
const LEAST_LIFE_MS = 3_600_000;
const MAX_ACCOUNTS = 10_000;

/** The codes of one account. */
interface KnownCodes {
  /** What has changed up to here is in it. */
  revision: number;
  /** What each says; null for one that says nothing, or has ended. */
  byScene: Map<string, QrCodeReplies | null>;
  /** WeChat's ids of the files that first messages carry. */
  wechatIds: Map<string, string>;
}

/**
 * What codes say to who scans them: the first message inside the answer to the push, when it can be, the others as
 * customer-service messages.
 */
@Injectable()
export class CodeReplies implements OnModuleInit {
  readonly #known = new Map<string, KnownCodes>();

  constructor(
    private readonly codes: QrCodesRepository,
    private readonly uploads: MediaUploads,
    private readonly sender: DeliverySender,
    private readonly accounts: PushAccounts,
    private readonly handlers: PushHandlers,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.accounts.prepare((appid) => this.#read(appid));
    this.handlers.registerReply((push, appid) => this.#reply(push, appid), RANK);
  }

  /**
   * What of the reply was not in the answer to the push goes out after the transaction, once for each push.
   *
   * @returns whether the code has something to say
   */
  async sendRest(tx: Tx, happening: Happening, { replies }: QrCode): Promise<boolean> {
    const { id, account, interaction, answeredBy } = happening;
    const messages = saidTo(interaction.does === 'follow', replies);
    const [first] = messages;
    if (!first) return false;
    const rest =
      answeredBy === BY && PASSIVE_TYPES.includes(first.type) ? messages.slice(1) : messages;
    if (rest.length === 0) return true;
    await this.sender.queue(
      tx,
      account,
      {
        kind: 'customer_service_message',
        openid: interaction.openid,
        userId: null,
        templateId: null,
        content: { messages: rest },
        parts: rest.length,
      },
      uuidV5('qr-code-reply', id),
    );
    return true;
  }

  #reply(push: AccountPush, appid: string): string | NotedReply | null {
    const scene = push.kind === 'event' ? sceneOf(push) : null;
    if (push.kind !== 'event' || scene === null) return null;
    const known = this.#known.get(appid);
    const replies = known?.byScene.get(scene);
    // A code that was made a moment ago: what it has to say is sent once that is known.
    if (!known || replies === undefined) return isOurScene(scene) ? NOTHING : null;
    const [first] = saidTo(push.event === 'subscribe', replies);
    if (!first) return null;
    const createTime = Math.floor(this.clock.now().getTime() / 1000);
    const head = { to: push.fromUserName, from: push.toUserName, createTime };
    const document = passiveReply(
      first,
      head,
      (id, kind) => known.wechatIds.get(fileKey({ id, kind })) ?? null,
    );
    return document === null ? NOTHING : { document, by: BY };
  }

  /** Reads what has changed since the last time. */
  async #read(appid: string): Promise<void> {
    try {
      const revision = await this.codes.findRevision(appid);
      const before = this.#known.get(appid);
      // It counts from the beginning again where the account was deleted and has come back.
      const isUsable = before !== undefined && before.revision <= revision;
      const known = isUsable ? before : newMemory();
      const changed =
        known.revision === revision ? [] : await this.codes.findRepliesSince(appid, known.revision);
      for (const { scene, status, replies } of changed)
        known.byScene.set(scene, status === 'active' ? replies : null);
      known.revision = Math.max(revision, changed.at(-1)?.revision ?? 0);
      known.wechatIds = await this.#findWechatIds(appid, filesOf(known));
      this.#remember(appid, known);
    } catch (error) {
      this.logger.warn('qr_code.replies_not_read', { appid, ...errorFields(error) });
    }
  }

  async #findWechatIds(appid: string, mediaIds: readonly string[]): Promise<Map<string, string>> {
    if (mediaIds.length === 0) return new Map();
    const leastEnd = new Date(this.clock.now().getTime() + LEAST_LIFE_MS);
    const copies = await this.uploads.findCopies(appid, mediaIds);
    return new Map(
      copies
        .filter(({ expiresAt }) => expiresAt > leastEnd)
        .map(({ mediaId, kind, wechatMediaId }) => [fileKey({ id: mediaId, kind }), wechatMediaId]),
    );
  }

  #remember(appid: string, known: KnownCodes): void {
    // At the end again: what is asked for all the time is the last that is forgotten.
    this.#known.delete(appid);
    this.#known.set(appid, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_ACCOUNTS && oldest !== undefined) this.#known.delete(oldest);
  }
}

function fileKey({ id, kind }: CarriedFile): string {
  return `${id}/${kind}`;
}

function newMemory(): KnownCodes {
  return { revision: 0, byScene: new Map(), wechatIds: new Map() };
}

/** Who follows by the code has just become a follower, whether it is for the first time or again. */
function saidTo(isFollowing: boolean, replies: QrCodeReplies | null): AnyMessageDto[] {
  if (!replies) return [];
  return isFollowing ? replies.newFollower : replies.existingFollower;
}

/** The ids of the files that may have to be in an answer. */
function filesOf({ byScene }: KnownCodes): string[] {
  const files = [...byScene.values()].flatMap(firstFilesOf);
  return [...new Set(files.map(({ id }) => id))];
}
