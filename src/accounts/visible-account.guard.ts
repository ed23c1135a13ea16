import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { AccountsService } from './accounts.service.js';

/** As {@link ClaimableAccountGuard}, for whoever may only act on accounts that they see. */
@Injectable()
export class VisibleAccountGuard implements CanActivate {
  constructor(private readonly accounts: AccountsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { caller, params } = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { appid: string } }>>();
    if (!caller) throw new AppError('not_found');
    await this.accounts.get(caller, params.appid);
    return true;
  }
}
