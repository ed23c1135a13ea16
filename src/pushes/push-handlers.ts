import type { EventPush, MessagePush, Push } from '@app/wechat';
import { Injectable } from '@nestjs/common';

import type { Tx } from '../database/database.js';

/** What a handler knows of the push beside its content. */
export interface PushContext {
  /** The ledger's id of the push, a UUID v7. */
  id: string;
  receivedAt: Date;
  /** The appid of the address it came to: the component's for its own events. */
  account: string;
  /** 1 at the first try. */
  attempts: number;
  /** Whether it was answered with something to read, and not with `success` or nothing. */
  isAnswered: boolean;
  /** What whoever gave the answer has noted of it; null where nothing was. */
  answeredBy: string | null;
  /**
   * Ends the handling in the transaction of its effect, which then happens once however often it is tried.
   *
   * @throws LeaseLostError when another process has taken the push over: the transaction must not be kept
   */
  finish(tx: Tx): Promise<void>;
}

/**
 * Does what a push asks for. Runs from the ledger, after the answer; may run again after a failure or a crash,
 * so doing it twice must be the same as doing it once.
 */
export type PushHandler<P extends Push = Push> = (push: P, context: PushContext) => Promise<void>;

/** A push of an account, as opposed to the component's own events. */
export type AccountPush = MessagePush | EventPush;

/** An answer with a note, which is kept with the push: by it, whoever handles the push knows what was said. */
export interface NotedReply {
  document: string;
  /** 64 characters at the most. No secret and no person's words. */
  by: string;
}

/**
 * Answers a push inside its own response, out of memory: it must not wait for anything.
 *
 * @returns the reply's clear document (see `textReply` and its kin), empty for an empty answer, or null for `success`
 */
export type PassiveReply = (
  push: AccountPush,
  account: AnsweringAccount,
) => string | NotedReply | null;

/** What an answer may say of the account that it comes from. */
export interface AnsweringAccount {
  appid: string;
  nickname: string;
}

/** Who handles what: the rooms above register themselves, the ledger knows none of them. */
@Injectable()
export class PushHandlers {
  readonly #handlers = new Map<string, { handler: PushHandler; takes: (push: Push) => boolean }>();
  readonly #ofEvents = new Map<string, PushHandler>();
  readonly #grouped = new WeakSet<PushHandler>();
  readonly #replies: { reply: PassiveReply; rank: number }[] = [];

  /**
   * @param takes tells the pushes of the kind that it is for; the others are kept, and end with that. Default: all
   * @throws TypeError when the kind has a handler already
   */
  register<K extends Push['kind']>(
    kind: K,
    handler: PushHandler<Extract<Push, { kind: K }>>,
    takes: (push: Extract<Push, { kind: K }>) => boolean = () => true,
  ): void {
    if (this.#handlers.has(kind))
      throw new TypeError(`The push kind ${kind} has a handler already.`);
    // The ledger hands every handler the pushes of its own kind only.
    this.#handlers.set(kind, {
      handler: handler as PushHandler,
      takes: takes as (push: Push) => boolean,
    });
  }

  /**
   * Takes the events of these names from whoever handles all other events.
   *
   * @param events in lower case
   * @param handler gathers what it is called with and writes it together: it is called with hundreds at once
   * @throws TypeError when one of them has a handler of its own already
   */
  registerEvents(events: readonly string[], handler: PushHandler<EventPush>): void {
    const taken = events.find((event) => this.#ofEvents.has(event));
    if (taken !== undefined) throw new TypeError(`The event ${taken} has a handler already.`);
    for (const event of events) this.#ofEvents.set(event, handler as PushHandler);
    this.#grouped.add(handler as PushHandler);
  }

  /** Adds somebody who may have an answer; the first that has one gives it. @param rank the lower ones are asked first */
  registerReply(reply: PassiveReply, rank = 0): void {
    this.#replies.push({ reply, rank });
    this.#replies.sort((one, other) => one.rank - other.rank);
  }

  find(push: Push): PushHandler | null {
    const own = push.kind === 'event' ? this.#ofEvents.get(push.event) : undefined;
    if (own) return own;
    const ofKind = this.#handlers.get(push.kind);
    return ofKind?.takes(push) ? ofKind.handler : null;
  }

  /** Whether the handler writes what it is called with in groups, on few connections however many there are. */
  isGrouped(handler: PushHandler): boolean {
    return this.#grouped.has(handler);
  }

  reply(push: AccountPush, account: AnsweringAccount): string | NotedReply | null {
    for (const { reply } of this.#replies) {
      const given = reply(push, account);
      if (given !== null) return given;
    }
    return null;
  }
}
