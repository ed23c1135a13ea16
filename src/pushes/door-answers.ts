import { PushError, type PushQuery, readPushQuery } from '@app/wechat';
import { HttpException, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { Logger } from '../common/logger.js';
import { type Door, Metrics } from '../common/metrics.js';
import type { RequestContext } from '../common/request-context.js';
import type { PushAnswer } from './push-keeper.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body is handed over as the bytes that came, whatever its Content-Type. */
    rawBody?: boolean;
  }
}

/** What every door does around its own work. Every refusal has an empty body; the reason stands in the log and the counters. */
@Injectable()
export class DoorAnswers {
  constructor(
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {}

  /** Sends what `take` comes to. @throws what the refusal is answered with */
  async send(
    door: Door,
    reply: FastifyReply,
    take: () => Promise<PushAnswer>,
  ): Promise<FastifyReply> {
    try {
      const { body, contentType } = await take();
      return reply.status(200).header('content-type', contentType).send(body);
    } catch (error) {
      throw this.#refusal(door, reply.request.id, error);
    }
  }

  #refusal(door: Door, requestId: string, error: unknown): unknown {
    const reason = reasonOf(error);
    this.metrics.pushRefusals.inc({ door, reason });
    if (!(error instanceof PushError)) return error;
    this.logger.warn('push.refused', { requestId, door, reason, status: error.status });
    return new HttpException('', error.status);
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof PushError) return error.reason;
  return error instanceof AppError && error.code === 'not_found' ? 'unknown_address' : 'not_kept';
}

/** Read from the request itself: what is handed over by parameter goes through the pipes of the API. */
export function queryOf({ query }: Pick<FastifyRequest, 'query'>): PushQuery {
  return readPushQuery(query as Record<string, unknown>);
}

export function contextOf({ id, ip }: Pick<FastifyRequest, 'id' | 'ip'>): RequestContext {
  return { requestId: id, ip };
}

export function bytesOf({ body }: Pick<FastifyRequest, 'body'>): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}
