import type { WechatCall } from '@app/wechat';
import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

const PREFIX = 'wechat_channel_';
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Where a push comes in: at the component's two addresses, or at a mini-program's own. */
export type Door = 'component' | 'account' | 'receipt';

/** What this process counts. Gauges that are read from the database are added where they are answered. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  readonly pushes = new Counter({
    name: `${PREFIX}pushes_total`,
    help: 'Pushes that were answered 200, by what became of them',
    labelNames: ['door', 'kind', 'outcome'] as const,
    registers: [this.registry],
  });

  readonly pushRefusals = new Counter({
    name: `${PREFIX}push_refusals_total`,
    help: 'Pushes that were refused, by the reason that the sender is not told',
    labelNames: ['door', 'reason'] as const,
    registers: [this.registry],
  });

  readonly wechatCalls = new Counter({
    name: `${PREFIX}wechat_calls_total`,
    help: 'Calls of WeChat; errcode is 0 for success and "none" where there was no usable answer',
    labelNames: ['path', 'errcode'] as const,
    registers: [this.registry],
  });

  readonly wechatCallSeconds = new Histogram({
    name: `${PREFIX}wechat_call_duration_seconds`,
    help: 'How long WeChat took to answer',
    labelNames: ['path'] as const,
    buckets: SECONDS,
    registers: [this.registry],
  });

  readonly deliveries = new Counter({
    name: `${PREFIX}deliveries_total`,
    help: 'Statuses that single messages have come to; reason is "none" where all went well',
    labelNames: ['kind', 'status', 'reason'] as const,
    registers: [this.registry],
  });

  readonly httpSeconds = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'How long requests took, by the pattern of their address',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: SECONDS,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry, prefix: PREFIX });
  }

  /** One call of WeChat. Its path has no query and is one of the few that we call. */
  countCall({ path, errcode, durationMs }: WechatCall): void {
    this.wechatCalls.inc({ path, errcode: errcode === null ? 'none' : String(errcode) });
    this.wechatCallSeconds.observe({ path }, durationMs / 1000);
  }
}

/** The name of a metric of ours. */
export function metricName(name: string): string {
  return PREFIX + name;
}
