import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { AccountsService } from './accounts.service.js';

/** That the account is not there for the caller comes before anything that is wrong with the body. */
@Injectable()
export class ClaimableAccountGuard implements CanActivate {
  constructor(private readonly accounts: AccountsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { caller, params } = context.switchToHttp().getRequest<FastifyRequest<Params>>();
    if (!caller || !(await this.accounts.isClaimable(caller, params.appid)))
      throw new AppError('not_found');
    return true;
  }
}

interface Params {
  Params: { appid: string };
}
