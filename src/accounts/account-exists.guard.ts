import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { AccountsService } from './accounts.service.js';

/** For owners' routes below an account: that it is not there comes before anything that is wrong with the body. */
@Injectable()
export class AccountExistsGuard implements CanActivate {
  constructor(private readonly accounts: AccountsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { params } = context.switchToHttp().getRequest<FastifyRequest<Params>>();
    if (!(await this.accounts.find(params.appid))) throw new AppError('not_found');
    return true;
  }
}

interface Params {
  Params: { appid: string };
}
