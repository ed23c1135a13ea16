import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { AutoRepliesRepository } from './auto-replies.repository.js';

/** Of a rule that the account does not have, nobody is told what is wrong with a body for it. Comes after the account's guard. */
@Injectable()
export class ExistingRuleGuard implements CanActivate {
  constructor(private readonly rules: AutoRepliesRepository) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { params } = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { appid: string; id?: string } }>>();
    const { appid, id } = params;
    if (id !== undefined && !(await this.rules.find(appid, id))) throw new AppError('not_found');
    return true;
  }
}
