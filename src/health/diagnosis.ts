import { Injectable } from '@nestjs/common';

import { Env } from '../../config/env.js';
import { Clock } from '../common/clock.js';
import { Drain } from '../common/drain.js';
import { inTime } from '../common/in-time.js';
import type { Text } from '../common/text.js';
import {
  ComponentService,
  type TicketState,
} from '../component-authorization/component.service.js';
import { Database } from '../database/database.js';
import { PushLedger } from '../pushes/push-ledger.js';
import { WorkQueue } from '../queue/work-queue.js';

/** A load balancer asks every few seconds: it must not wait longer for the database than this. */
const DATABASE_MS = 2_000;
/** Healthy work is begun within seconds of its time. */
const WORK_LATE_MS = 60_000;
const PUSH_LATE_MS = 300_000;

export interface Findings {
  isReady: boolean;
  isDatabaseUp: boolean;
  component: { ticket: TicketState; accessToken: 'fresh' | 'expired' | 'missing' } | null;
  /** What is wrong, and what to do about it. */
  missing: Text[];
}

/** Says in words what is wrong with the service. */
@Injectable()
export class Diagnosis {
  constructor(
    private readonly env: Env,
    private readonly db: Database,
    private readonly component: ComponentService,
    private readonly pushes: PushLedger,
    private readonly work: WorkQueue,
    private readonly drain: Drain,
    private readonly clock: Clock,
  ) {}

  /** Never rejects, and never takes longer than the database is waited for. */
  async make(): Promise<Findings> {
    try {
      const findings = await inTime(
        this.#look(),
        DATABASE_MS,
        () => new Error('the database is too slow'),
      );
      if (!this.drain.hasBegun) return findings;
      return { ...findings, isReady: false, missing: [STOPPING, ...findings.missing] };
    } catch {
      return {
        isReady: false,
        isDatabaseUp: false,
        component: null,
        missing: [databaseAway(this.db.isSqlite)],
      };
    }
  }

  async #look(): Promise<Findings> {
    const { ticket, accessToken, warnings } = await this.component.status();
    return {
      isReady: true,
      isDatabaseUp: true,
      component: { ticket: ticket.state, accessToken: accessToken.state },
      missing: [
        ...warnings.map(({ detail }) => detail),
        ...(await this.#pushFindings()),
        ...(await this.#workFindings()),
      ],
    };
  }

  async #pushFindings(): Promise<Text[]> {
    const { parked, oldestWaitingAt } = await this.pushes.backlog();
    const findings: Text[] = [];
    if (parked > 0) {
      findings.push({
        zh: `有 ${parked} 条推送多次处理失败，已搁置。请用 GET /api/v1/pushes?state=parked 查看原因，处理后 POST /api/v1/pushes/redrive。`,
        en: `${parked} pushes kept failing and are parked. See why with GET /api/v1/pushes?state=parked, put it right, then POST /api/v1/pushes/redrive.`,
      });
    }
    if (this.#ageOf(oldestWaitingAt) > PUSH_LATE_MS) {
      findings.push({
        zh: '有推送等待处理超过 5 分钟。请查看日志中的 push.handler_failed。',
        en: 'A push has waited for more than 5 minutes. Look for push.handler_failed in the log.',
      });
    }
    return findings;
  }

  async #workFindings(): Promise<Text[]> {
    const depths = await this.work.depths();
    const dead = depths
      .filter(({ state }) => state === 'dead')
      .reduce((sum, { count }) => sum + count, 0);
    const isLate = depths.some(
      ({ state, oldestRunAt }) => state === 'ready' && this.#ageOf(oldestRunAt) > WORK_LATE_MS,
    );
    const findings: Text[] = [];
    if (dead > 0) {
      findings.push({
        zh: `有 ${dead} 个任务多次失败，已停止重试。请用 GET /api/v1/work?state=dead 查看原因，处理后 POST /api/v1/work/{id}/retry。`,
        en: `${dead} pieces of work kept failing and are dead. See why with GET /api/v1/work?state=dead, put it right, then POST /api/v1/work/{id}/retry.`,
      });
    }
    if (isLate) findings.push(this.env.redisUrl ? WORK_LATE_WITH_REDIS : WORK_LATE);
    return findings;
  }

  #ageOf(moment: Date | null): number {
    return moment ? this.clock.now().getTime() - moment.getTime() : 0;
  }
}

const STOPPING: Text = { zh: '正在停止。', en: 'Stopping.' };

const WORK_LATE: Text = {
  zh: '有任务到期超过一分钟仍未开始：处理跟不上，请查看日志与数据库负载。',
  en: 'Work has been due for more than a minute: we do not keep up. Look at the log and the load of the database.',
};

const WORK_LATE_WITH_REDIS: Text = {
  zh: '有任务到期超过一分钟仍未开始：设置了 REDIS_URL 时任务由 worker 进程处理，请确认至少有一个 worker 在运行且 Redis 可用。',
  en: 'Work has been due for more than a minute: with REDIS_URL set, worker processes do it. Check that one is running and that Redis answers.',
};

function databaseAway(isSqlite: boolean): Text {
  return {
    zh: `数据库没有应答（${isSqlite ? '检查磁盘空间与文件权限' : '检查数据库地址与状态'}）。`,
    en: `The database does not answer (${isSqlite ? 'check disk space and file permissions' : 'check its address and state'}).`,
  };
}
