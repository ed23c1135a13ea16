import { Injectable } from '@nestjs/common';

import { Clock } from '../common/clock.js';
import { ComponentService } from '../component-authorization/component.service.js';
import { EventsService } from '../events/events.service.js';
import { PushLedger } from '../pushes/push-ledger.js';
import { WorkQueue } from '../queue/work-queue.js';
import { TokensService } from '../tokens/tokens.service.js';

interface Reading {
  labels: Record<string, string>;
  value: number;
}

/** A figure that is read from the database whenever somebody asks. */
export interface GaugeReading {
  /** Without the service's prefix. */
  name: string;
  help: string;
  labelNames: string[];
  read: () => Promise<Reading[]>;
}

/** How things stand: what the operator watches, from every room that has something to tell. */
@Injectable()
export class Readings {
  constructor(
    private readonly component: ComponentService,
    private readonly tokens: TokensService,
    private readonly pushes: PushLedger,
    private readonly work: WorkQueue,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  gauges(): GaugeReading[] {
    return [
      {
        name: 'component_ticket_age_seconds',
        help: 'Since the last ticket came; absent while none has',
        labelNames: [],
        read: async () => one((await this.component.status()).ticket.ageSeconds),
      },
      {
        name: 'component_token_expires_in_seconds',
        help: "Until the component's token ends; negative when it has, absent while there is none",
        labelNames: [],
        read: async () => {
          const { expiresAt } = (await this.component.status()).accessToken;
          return one(expiresAt && (expiresAt.getTime() - this.#now()) / 1000);
        },
      },
      {
        name: 'tokens',
        help: 'Access tokens by kind and state; "expiring" within ten minutes',
        labelNames: ['kind', 'state'],
        read: async () =>
          (await this.tokens.countByState()).map(({ kind, state, count }) => ({
            labels: { kind, state },
            value: count,
          })),
      },
      {
        name: 'push_backlog',
        help: 'Pushes that were not handled: waiting, or parked after too many failures',
        labelNames: ['state'],
        read: async () => {
          const { waiting, parked } = await this.pushes.backlog();
          return [
            { labels: { state: 'waiting' }, value: waiting },
            { labels: { state: 'parked' }, value: parked },
          ];
        },
      },
      {
        name: 'push_oldest_waiting_seconds',
        help: 'Since the longest waiting push came; 0 when none waits',
        labelNames: [],
        read: async () => one(this.#since((await this.pushes.backlog()).oldestWaitingAt)),
      },
      {
        name: 'work',
        help: 'Work by kind and state',
        labelNames: ['kind', 'state'],
        read: async () =>
          (await this.work.depths()).map(({ kind, state, count }) => ({
            labels: { kind, state },
            value: count,
          })),
      },
      {
        name: 'work_oldest_ready_seconds',
        help: 'For how long the longest due work of a kind has waited; 0 before its time',
        labelNames: ['kind'],
        read: async () =>
          (await this.work.depths())
            .filter(({ state }) => state === 'ready')
            .map(({ kind, oldestRunAt }) => ({
              labels: { kind },
              value: this.#since(oldestRunAt),
            })),
      },
      {
        name: 'outbox_lag_seconds',
        help: 'For how long the oldest event has waited to be seen by readers; 0 when none does',
        labelNames: [],
        read: async () => one((await this.events.lagMs()) / 1000),
      },
    ];
  }

  #now(): number {
    return this.clock.now().getTime();
  }

  #since(moment: Date | null): number {
    return moment ? Math.max(0, (this.#now() - moment.getTime()) / 1000) : 0;
  }
}

function one(value: number | null): Reading[] {
  return value === null ? [] : [{ labels: {}, value }];
}
