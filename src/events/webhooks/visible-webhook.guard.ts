import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../../common/app-error.js';
import { WebhooksService } from './webhooks.service.js';

/** That the webhook is not there for the caller comes before anything that is wrong with the request. */
@Injectable()
export class VisibleWebhookGuard implements CanActivate {
  constructor(private readonly webhooks: WebhooksService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { caller, params } = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { id: string } }>>();
    if (!caller) throw new AppError('not_found');
    await this.webhooks.get(caller, params.id);
    return true;
  }
}
