import { sceneOf } from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { v5 as uuidV5 } from 'uuid';

import { Clock } from '../../common/clock.js';
import { WeighedMemory } from '../../common/weighed-memory.js';
import type { Tx } from '../../database/database.js';
import type { AnyMessageDto } from '../../messages/kinds/customer-service-message.dto.js';
import { fillIn, variablesOf } from '../../messages/kinds/fill-in.js';
import { PassiveMedia } from '../../messages/kinds/passive-media.js';
import { passiveReply, type ReadyMedia } from '../../messages/kinds/passive-reply.js';
import type { Happening } from '../../messages/people/people-watchers.js';
import { DeliverySender } from '../../messages/sending/delivery-sender.js';
import { PushAccounts } from '../../pushes/push-accounts.js';
import {
  type AccountPush,
  type AnsweringAccount,
  type NotedReply,
  PushHandlers,
} from '../../pushes/push-handlers.js';
import { isOurScene } from '../qr-code-maker.js';
import type { QrCode, QrCodeReplies } from '../qr-code.entity.js';
import { QrCodesRepository } from '../qr-codes.repository.js';
import { filesOf } from './reply-files.js';

/** A code is asked before the rules that answer anybody who follows. */
const RANK = -1;
/** What a push is answered with when nobody else is to answer it either. */
const NOTHING = '';
/** Over all accounts. What is let go is read again with the account's next push. */
const MAX_KNOWN_CODES = 500_000;
/** What an account without codes weighs beside them. */
const WEIGHT = 1;

/** The codes of one account. */
interface KnownCodes {
  /** What has changed up to here is in it. */
  revision: number;
  byScene: Map<string, KnownCode>;
  /** WeChat's ids of the files that first messages carry. */
  media: ReadyMedia;
}

interface KnownCode {
  /** Null for one that says nothing, or has ended. */
  replies: QrCodeReplies | null;
  updatedAt: Date;
}

/**
 * What codes say to who scans them: the first message inside the answer to the push, when it can be, the others as
 * customer-service messages.
 */
@Injectable()
export class CodeReplies implements OnModuleInit {
  readonly #known = new WeighedMemory<KnownCodes>(
    MAX_KNOWN_CODES,
    ({ byScene }) => WEIGHT + byScene.size,
  );

  constructor(
    private readonly codes: QrCodesRepository,
    private readonly media: PassiveMedia,
    private readonly sender: DeliverySender,
    private readonly accounts: PushAccounts,
    private readonly handlers: PushHandlers,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.accounts.prepare((appid) => this.#read(appid));
    this.handlers.registerReply((push, account) => this.#reply(push, account), RANK);
  }

  /**
   * What of the reply was not in the answer to the push goes out after the transaction, once for each push.
   *
   * @returns whether the code has something to say
   */
  async sendRest(tx: Tx, happening: Happening, code: QrCode): Promise<boolean> {
    const { id, account, interaction, answeredBy } = happening;
    const said = readNote(answeredBy);
    const messages = saidTo(interaction.does === 'follow', code.replies);
    // Of a code that has changed since it answered, nothing more is said: half of each would be worse.
    const isChanged = said !== null && +said !== +code.updatedAt;
    const rest = isChanged ? [] : said ? messages.slice(1) : messages;
    if (rest.length === 0) return said !== null;
    const variables = variablesOf(account.nickname, null, interaction.at);
    await this.sender.queue(
      tx,
      account,
      {
        kind: 'customer_service_message',
        openid: interaction.openid,
        userId: null,
        templateId: null,
        content: { messages: rest.map((message) => fillIn(message, variables)) },
        parts: rest.length,
        passesOver: true,
      },
      uuidV5('qr-code-reply', id),
    );
    return true;
  }

  #reply(push: AccountPush, { appid, nickname }: AnsweringAccount): string | NotedReply | null {
    const scene = push.kind === 'event' ? sceneOf(push) : null;
    if (push.kind !== 'event' || scene === null) return null;
    const known = this.#known.get(appid);
    const code = known?.byScene.get(scene);
    // A code that was made a moment ago: what it has to say is sent once that is known.
    if (!known || !code) return isOurScene(scene) ? NOTHING : null;
    const [first] = saidTo(push.event === 'subscribe', code.replies);
    if (!first) return null;
    const createTime = Math.floor(this.clock.now().getTime() / 1000);
    const head = { to: push.fromUserName, from: push.toUserName, createTime };
    const variables = variablesOf(nickname, null, new Date(push.createTime * 1000));
    const document = passiveReply(fillIn(first, variables), head, known.media);
    return document === null ? NOTHING : { document, by: noteOf(code) };
  }

  /** Reads what has changed since the last time. */
  async #read(appid: string): Promise<void> {
    const revision = await this.codes.findRevision(appid);
    const known = this.#known.get(appid);
    // It counts from the beginning again where the account was deleted and has come back.
    const before = known && known.revision <= revision ? known : newMemory();
    this.#known.put(
      appid,
      before.revision === revision ? before : await this.#readOn(appid, before, revision),
    );
  }

  async #readOn(appid: string, before: KnownCodes, revision: number): Promise<KnownCodes> {
    const changed = await this.codes.findRepliesSince(appid, before.revision);
    const { byScene } = before;
    for (const { scene, status, replies, updatedAt } of changed)
      byScene.set(scene, { replies: status === 'active' ? replies : null, updatedAt });
    const files = [...byScene.values()].flatMap(({ replies }) => filesOf(replies));
    return {
      // Some may have changed since that was read.
      revision: Math.max(revision, changed.at(-1)?.revision ?? 0),
      byScene,
      media: await this.media.findReady(appid, files),
    };
  }
}

function newMemory(): KnownCodes {
  return { revision: 0, byScene: new Map(), media: () => null };
}

/** How it is noted beside a push that a code has answered, and when the code was last changed. */
function noteOf({ updatedAt }: KnownCode): string {
  return `qr_code:${updatedAt.getTime()}`;
}

/** @returns when the code was last changed that has answered; null for a note that is not of a code */
function readNote(note: string | null): Date | null {
  const [, updatedAt] = /^qr_code:(\d+)$/.exec(note ?? '') ?? [];
  return updatedAt === undefined ? null : new Date(Number(updatedAt));
}

/** Who follows by the code has just become a follower, whether it is for the first time or again. */
function saidTo(isFollowing: boolean, replies: QrCodeReplies | null): AnyMessageDto[] {
  if (!replies) return [];
  return isFollowing ? replies.newFollower : replies.existingFollower;
}
