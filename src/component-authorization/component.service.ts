import { SecretBox } from '@app/secret-box';
import {
  type ApiQuota,
  createPreAuthCode,
  getComponentToken,
  getQuota,
  startPushTicket,
  type TicketPush,
  WechatApiError,
  WechatHttp,
} from '@app/wechat';
import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { AuditService } from '../access/audit.service.js';
import type { Caller } from '../access/roles.js';
import { AppError } from '../common/app-error.js';
import { Clock } from '../common/clock.js';
import { errorFields, Logger } from '../common/logger.js';
import type { Text } from '../common/text.js';
import { Database } from '../database/database.js';
import { SealedColumns } from '../database/sealed-columns.js';
import { EventsService } from '../events/events.service.js';
import { PushHandlers } from '../pushes/push-handlers.js';
import type { IssuedToken } from '../tokens/token-sources.js';
import { TokensService } from '../tokens/tokens.service.js';
import type { ComponentTicket } from './component-ticket.entity.js';
import { ComponentTicketsRepository } from './component-tickets.repository.js';

const MINUTE_MS = 60_000;
/** WeChat pushes every ten minutes: three missing ones are no accident. */
const LATE_AFTER_MS = 30 * MINUTE_MS;
const RESTART_AFTER_MS = 60 * MINUTE_MS;
/** How long WeChat takes a ticket. */
const TICKET_LIFE_MS = 12 * 60 * MINUTE_MS;
/** A new platform has no ticket yet: that is no news before it has been asked for so often, a quarter of an hour after the start. */
const ASKED_IN_VAIN = 3;
const FIRST_RESTART_WAIT_MS = 5 * MINUTE_MS;
const LONGEST_RESTART_WAIT_MS = 60 * MINUTE_MS;

export type TicketState = 'fresh' | 'late' | 'expired' | 'missing';

export interface ComponentStatus {
  appid: string;
  ticket: { receivedAt: Date | null; ageSeconds: number | null; state: TicketState };
  accessToken: { expiresAt: Date | null; state: 'fresh' | 'expired' | 'missing' };
  callbackUrls: { events: string; messages: string };
  launchPageDomain: string;
  warnings: { code: string; detail: Text }[];
}

/** The third-party platform itself: its ticket, its token, and what can be done with them. */
@Injectable()
export class ComponentService implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly tickets: ComponentTicketsRepository,
    private readonly tokens: TokensService,
    private readonly handlers: PushHandlers,
    private readonly events: EventsService,
    private readonly audit: AuditService,
    private readonly wechat: WechatHttp,
    private readonly secrets: SecretBox,
    private readonly sealed: SealedColumns,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  get appid(): string {
    return this.env.component.appid;
  }

  async onModuleInit(): Promise<void> {
    this.sealed.register({
      table: 'component_ticket',
      idColumn: 'appid',
      column: 'ticket',
      binding: ticketBinding,
    });
    await this.db.write(async (tx) => {
      await this.tickets.insertEmpty(tx, this.appid);
      await this.tokens.ensure(tx, this.appid, 'component');
    });
    this.tokens.registerSource('component', {
      appid: this.appid,
      fetch: () => this.#fetchToken(),
    });
    this.handlers.register('component_verify_ticket', (push) => this.#keepTicket(push));
  }

  /** At boot too: a ticket may have run out while we were down. Not waited for, WeChat may be slow. */
  onApplicationBootstrap(): void {
    void this.watchTicket();
  }

  /** Calls WeChat with the component's token, renewing it once when WeChat calls it stale. */
  call<T>(call: (token: string, componentAppid: string) => Promise<T>): Promise<T> {
    return this.tokens.withToken(this.appid, (token) => call(token, this.appid));
  }

  /** A fresh pre-auth code, for one authorization. */
  createPreAuthCode(): Promise<{ preAuthCode: string; expiresInSeconds: number }> {
    return this.call((token, appid) => createPreAuthCode(this.wechat, token, appid));
  }

  /** WeChat's own figures for one of the APIs that the platform calls for itself. */
  look(path: string): Promise<ApiQuota> {
    return this.call((token) => getQuota(this.wechat, token, path));
  }

  /** Asks WeChat to push the ticket again, whatever its age. */
  async requestTicketPush(caller: Caller): Promise<void> {
    await this.#startPush();
    await this.db.write((tx) =>
      this.audit.record(tx, {
        actor: caller,
        action: 'component.ticket_push_requested',
        target: this.appid,
        tenantId: null,
      }),
    );
  }

  /** Warns of a late ticket and has it pushed again, with growing pauses. Called every minute; never rejects. */
  async watchTicket(): Promise<void> {
    try {
      const row = await this.#getTicket();
      const age = this.#ageMs(row);
      if (age !== null && age <= LATE_AFTER_MS) return;
      this.logger.warn('component.ticket_late', { state: stateOf(age), ageMs: age });
      await this.#reportLate(row, stateOf(age));
      if (age === null || age > RESTART_AFTER_MS) await this.#restartPush(row);
    } catch (error) {
      this.logger.error('component.ticket_watch_failed', errorFields(error));
    }
  }

  async status(): Promise<ComponentStatus> {
    const row = await this.#getTicket();
    const age = this.#ageMs(row);
    const expiresAt = await this.tokens.findExpiry(this.appid);
    const isFresh = expiresAt !== null && expiresAt > this.clock.now();
    const { publicUrl } = this.env;
    return {
      appid: this.appid,
      ticket: {
        receivedAt: row.receivedAt,
        ageSeconds: age === null ? null : Math.floor(age / 1000),
        state: stateOf(age),
      },
      accessToken: {
        expiresAt,
        state: expiresAt === null ? 'missing' : isFresh ? 'fresh' : 'expired',
      },
      callbackUrls: {
        events: `${publicUrl}/wechat/component/events`,
        messages: `${publicUrl}/wechat/accounts/$APPID$/messages`,
      },
      launchPageDomain: new URL(publicUrl).host,
      warnings: [...ticketWarnings(stateOf(age)), ...addressWarnings(publicUrl)],
    };
  }

  /** An older push never undoes a newer one, in whatever order they come. */
  async #keepTicket(push: TicketPush): Promise<void> {
    const ticket = this.secrets.seal(push.ticket, ticketBinding(this.appid));
    const issuedAt = new Date(push.createTime * 1000);
    const isNewest = await this.db.write((tx) =>
      this.tickets.replaceUnlessNewer(tx, this.appid, {
        ticket,
        issuedAt,
        receivedAt: this.clock.now(),
      }),
    );
    this.logger.info('component.ticket_received', { issuedAt, isNewest });
  }

  /** One event for each time that tickets stay away, however many processes watch. */
  async #reportLate(row: ComponentTicket, state: TicketState): Promise<void> {
    const isJustNew = state === 'missing' && row.restartAttempts < ASKED_IN_VAIN;
    if (state === 'fresh' || isJustNew || row.lateReportedAt) return;
    await this.db.write(async (tx) => {
      if (!(await this.tickets.claimLateReport(tx, row, this.clock.now()))) return;
      const subject = { tenantId: null, appid: null };
      await this.events.emit(tx, 'component.ticket_late', subject, {
        componentAppid: this.appid,
        state,
        lastReceivedAt: row.receivedAt?.toISOString() ?? null,
      });
    });
  }

  /** Not more often than the pauses allow, however many processes watch. */
  async #restartPush(row: ComponentTicket): Promise<void> {
    const now = this.clock.now();
    const last = row.restartRequestedAt?.getTime();
    if (last !== undefined && now.getTime() < last + restartWait(row)) return;
    if (await this.db.write((tx) => this.tickets.claimRestart(tx, row, now)))
      await this.#startPush();
  }

  async #startPush(): Promise<void> {
    const { appid, appSecret } = this.env.component;
    await startPushTicket(this.wechat, { componentAppid: appid, componentSecret: appSecret });
    this.logger.info('component.ticket_push_requested');
  }

  async #fetchToken(): Promise<IssuedToken> {
    const row = await this.#getTicket();
    if (!row.ticket) throw new AppError('component_ticket_missing');
    const { appid, appSecret } = this.env.component;
    try {
      const issued = await getComponentToken(this.wechat, {
        componentAppid: appid,
        componentAppSecret: appSecret,
        ticket: this.secrets.open(row.ticket, ticketBinding(appid)),
      });
      return { ...issued, refreshToken: null };
    } catch (error) {
      // WeChat no longer takes the newest ticket that we have: only another push helps.
      if (error instanceof WechatApiError && error.errorClass === 'ticket')
        await this.#restartPush(row);
      throw error;
    }
  }

  async #getTicket(): Promise<ComponentTicket> {
    const row = await this.tickets.find(this.appid);
    if (!row) throw new TypeError('The ticket row is made at start.');
    return row;
  }

  /** Since it came: how long WeChat has been silent is what is watched. */
  #ageMs({ receivedAt }: ComponentTicket): number | null {
    return receivedAt && Math.max(0, this.clock.now().getTime() - receivedAt.getTime());
  }
}

function ticketBinding(appid: string): { owner: string; field: string } {
  return { owner: `component_ticket:${appid}`, field: 'ticket' };
}

function stateOf(ageMs: number | null): TicketState {
  if (ageMs === null) return 'missing';
  if (ageMs <= LATE_AFTER_MS) return 'fresh';
  return ageMs <= TICKET_LIFE_MS ? 'late' : 'expired';
}

function restartWait({ restartAttempts }: ComponentTicket): number {
  return Math.min(
    FIRST_RESTART_WAIT_MS * 2 ** Math.max(0, restartAttempts - 1),
    LONGEST_RESTART_WAIT_MS,
  );
}

function ticketWarnings(state: TicketState): ComponentStatus['warnings'] {
  if (state === 'fresh') return [];
  const next: Text = {
    zh: '请检查控制台“授权事件接收配置”的地址是否为 callbackUrls.events、Token 与 Key 是否一致、微信能否访问本服务；也可调用 POST /api/v1/component/ticket-push。',
    en: 'Check that the console sends authorization events to callbackUrls.events with the same Token and key, and that WeChat can reach us; or call POST /api/v1/component/ticket-push.',
  };
  const what: Record<Exclude<TicketState, 'fresh'>, Text> = {
    missing: { zh: '还没有收到过 ticket。', en: 'No ticket has come yet. ' },
    late: {
      zh: '超过 30 分钟没有收到新的 ticket。',
      en: 'No new ticket for more than 30 minutes. ',
    },
    expired: {
      zh: 'ticket 已超过 12 小时，微信不再接受。',
      en: 'The ticket is older than 12 hours and refused by WeChat. ',
    },
  };
  return [
    {
      code: `ticket_${state}`,
      detail: { zh: what[state].zh + next.zh, en: what[state].en + next.en },
    },
  ];
}

/** WeChat calls ports 80 and 443 only, and people's secrets travel over these pages. */
function addressWarnings(publicUrl: string): ComponentStatus['warnings'] {
  const { protocol, hostname, port } = new URL(publicUrl);
  const warnings: ComponentStatus['warnings'] = [];
  if (hostname === 'localhost' || hostname.startsWith('127.')) {
    warnings.push({
      code: 'public_url_is_local',
      detail: {
        zh: 'PUBLIC_URL 指向本机，微信无法访问；仅适用于沙箱。请设为公网域名。',
        en: 'PUBLIC_URL is this machine: WeChat cannot reach it, only the sandbox can. Set it to a public domain.',
      },
    });
    return warnings;
  }
  if (protocol !== 'https:') {
    warnings.push({
      code: 'public_url_not_https',
      detail: {
        zh: 'PUBLIC_URL 不是 https，请配置证书。',
        en: 'PUBLIC_URL is not https. Put a certificate in front.',
      },
    });
  }
  if (port) {
    warnings.push({
      code: 'public_url_has_port',
      detail: {
        zh: '微信只访问 80 与 443 端口，请去掉 PUBLIC_URL 中的端口。',
        en: 'WeChat calls ports 80 and 443 only. Serve PUBLIC_URL without a port.',
      },
    });
  }
  return warnings;
}
