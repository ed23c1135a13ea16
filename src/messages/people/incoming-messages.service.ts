import { hash } from 'node:crypto';

import { SecretBox, type SecretBinding } from '@app/secret-box';
import {
  activityOf,
  type EventPush,
  isMenuTap,
  isOfPerson,
  type MessagePush,
  sceneOf,
  type XmlObject,
} from '@app/wechat';
import { Injectable, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../../config/env.js';
import { AccountsService } from '../../accounts/accounts.service.js';
import { Clock } from '../../common/clock.js';
import { firstIdOf } from '../../common/first-id.js';
import { fromCursor, type Page, toPage } from '../../common/paging.js';
import { AccountData } from '../../database/account-data.js';
import { Database } from '../../database/database.js';
import { SealedColumns } from '../../database/sealed-columns.js';
import { EventsService, type NewEvent } from '../../events/events.service.js';
import { type AccountPush, type PushContext, PushHandlers } from '../../pushes/push-handlers.js';
import { LeasedSchedule } from '../../queue/leased-schedule.js';
import type { IncomingMessage } from './incoming-message.entity.js';
import {
  type IncomingMessageFilter,
  IncomingMessagesRepository,
} from './incoming-messages.repository.js';
import type { Interaction } from './ledger.js';
import { PeopleWatchers } from './people-watchers.js';
import { PeopleService } from './people.service.js';

const PURGE_SECONDS = 3_600;
const PURGE_PAGE = 1_000;
const DAY_MS = 86_400_000;
const MAX_OPENID = 64;
const MAX_SCENE = 64;
/** Of what a person has written, in an event. */
const MAX_TEXT = 2_048;
const MAX_KEY = 1_024;

/** What stands in columns of its own, or says nothing. */
const ENVELOPE = new Set(['ToUserName', 'FromUserName', 'CreateTime', 'MsgType', 'Event', 'MsgId']);

/** A message as it was received. */
export interface OpenedMessage extends Omit<IncomingMessage, 'content' | 'dedupKey'> {
  /** What WeChat sent, without what stands in the other fields. Every value is text. */
  content: XmlObject;
}

/** What people of accounts write and do, from the push to the ledger of who can be reached. */
@Injectable()
export class IncomingMessages implements OnModuleInit {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly messages: IncomingMessagesRepository,
    private readonly people: PeopleService,
    private readonly accounts: AccountsService,
    private readonly events: EventsService,
    private readonly watchers: PeopleWatchers,
    private readonly handlers: PushHandlers,
    private readonly schedule: LeasedSchedule,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly accountData: AccountData,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    this.sealed.register({
      table: 'incoming_message',
      idColumn: 'id',
      column: 'content',
      binding: bindingOf,
    });
    this.accountData.register({
      table: 'incoming_message',
      isHistory: true,
      erase: (tx, appid, limit) => this.messages.eraseAccount(tx, appid, limit),
      erasePerson: async (appid, openid) => {
        const page = (): Promise<number> =>
          this.db.write((tx) => this.messages.erasePerson(tx, appid, openid, PURGE_PAGE));
        while ((await page()) === PURGE_PAGE);
      },
    });
    this.handlers.register('message', (push, context) => this.#take(push, context));
    this.handlers.register('event', (push, context) => this.#take(push, context), isOfPerson);
    this.schedule.every('purge-incoming-messages', PURGE_SECONDS, () => this.purge());
  }

  /** The last received first. @throws AppError `invalid_query` for a cursor that is not ours */
  async list(
    appid: string,
    query: IncomingMessageFilter & { limit: number; cursor?: string },
  ): Promise<Page<OpenedMessage>> {
    const { limit, cursor, ...filter } = query;
    const after = cursor ? fromCursor(cursor) : null;
    const rows = await this.messages.findPage(appid, filter, limit, after);
    return toPage(
      rows,
      limit,
      ({ receivedAt, id }) => ({ at: receivedAt, id }),
      (row) => this.#open(row),
    );
  }

  /** Deletes what is older than the days that messages are kept. */
  async purge(): Promise<void> {
    const before = this.clock.now().getTime() - this.env.messageRetentionDays * DAY_MS;
    while ((await this.messages.deleteBefore(firstIdOf(before), PURGE_PAGE)) === PURGE_PAGE);
  }

  /**
   * Nothing is erased when somebody unfollows: who comes back is told from who is new by what is kept. WeChat demands
   * that it can be erased, which `DELETE /accounts/{appid}/people/{openid}` does.
   */
  async #take(push: AccountPush, context: PushContext): Promise<void> {
    const row = this.#toRow(push, context);
    await this.db.write(async (tx) => {
      await context.finish(tx);
      const account = await this.accounts.find(context.account, tx);
      // Nothing is kept for an account that is gone, and one message by two doors is one.
      if (!account || !(await this.messages.insertOnce(tx, row))) return;
      const interaction = interactionOf(push, row);
      const noted = await this.people.noteInteraction(tx, account, interaction);
      const { tenantId, appid } = account;
      const key = { tenantId, appid, openid: row.openid };
      await this.events.emitAll(tx, [{ ...newsOf(push, row, interaction, noted), key }]);
      const { id, isAnswered, answeredBy } = context;
      const answer = { isAnswered, answeredBy };
      await this.watchers.tell(tx, { id, account, push, interaction, ...noted, ...answer });
    });
  }

  #toRow(push: AccountPush, { id, account, receivedAt }: PushContext): IncomingMessage {
    const { fromUserName, createTime, fields } = push;
    const said = Object.entries(fields).filter(([name]) => !ENVELOPE.has(name));
    return {
      id,
      appid: account,
      openid: fromUserName.slice(0, MAX_OPENID),
      dedupKey: dedupKeyOf(push),
      messageType: push.kind === 'message' ? push.msgType : 'event',
      event: push.kind === 'event' ? push.event : null,
      messageId: push.kind === 'message' ? push.msgId : null,
      content: this.secrets.seal(JSON.stringify(Object.fromEntries(said)), bindingOf(id)),
      occurredAt: new Date(createTime * 1000),
      receivedAt,
    };
  }

  #open({ dedupKey: _dedupKey, content, ...row }: IncomingMessage): OpenedMessage {
    const said = JSON.parse(this.secrets.open(content, bindingOf(row.id))) as XmlObject;
    return { ...row, content: said };
  }
}

function bindingOf(id: string): SecretBinding {
  return { owner: `incoming_message:${id}`, field: 'content' };
}

/** What WeChat advises, with what tells two events of one second apart. */
function dedupKeyOf(push: AccountPush): string {
  if (push.kind === 'message' && push.msgId && /^\d{1,20}$/.test(push.msgId)) return push.msgId;
  const { fromUserName, createTime } = push;
  const said = push.kind === 'event' ? [push.event, push.eventKey] : [push.msgType, push.fields];
  return hash('sha256', JSON.stringify([fromUserName, createTime, ...said]), 'hex');
}

function interactionOf(
  push: AccountPush,
  { openid, occurredAt: at }: IncomingMessage,
): Interaction {
  const activity = activityOf(push);
  if (push.kind === 'message')
    return { openid, at, does: isMenuTap(push) ? 'act' : 'write', scene: null, activity };
  const does =
    push.event === 'subscribe' ? 'follow' : push.event === 'unsubscribe' ? 'unfollow' : 'act';
  return { openid, at, does, scene: sceneOf(push)?.slice(0, MAX_SCENE) ?? null, activity };
}

function newsOf(
  push: MessagePush | EventPush,
  { id, appid, openid, messageType, event, messageId, occurredAt }: IncomingMessage,
  { does, scene }: Interaction,
  { isReturning }: { isReturning: boolean },
): Pick<NewEvent, 'type' | 'payload'> {
  const about = { appid, openid, occurredAt: occurredAt.toISOString() };
  if (does === 'follow')
    return { type: 'follower.subscribed', payload: { ...about, isReturning, scene } };
  if (does === 'unfollow') return { type: 'follower.unsubscribed', payload: about };
  const { fields } = push;
  return {
    type: 'message.received',
    payload: {
      ...about,
      incomingMessageId: id,
      messageId,
      messageType,
      event,
      eventKey: wordOf(fields, 'EventKey', MAX_KEY),
      isMenuTap: push.kind === 'message' && isMenuTap(push),
      text: wordOf(fields, 'Content', MAX_TEXT),
      mediaId: wordOf(fields, 'MediaId', MAX_KEY),
      picUrl: wordOf(fields, 'PicUrl', MAX_KEY),
    },
  };
}

function wordOf(fields: XmlObject, name: string, max: number): string | null {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value.slice(0, max) : null;
}
