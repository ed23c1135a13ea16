import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { AccountsService } from './accounts.service.js';

/** That the caller has no such account, or that it is no mini-program, comes before anything that is wrong with the body. */
@Injectable()
export class MiniProgramGuard implements CanActivate {
  constructor(private readonly accounts: AccountsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { caller, params } = context.switchToHttp().getRequest<FastifyRequest<Params>>();
    if (!caller) throw new AppError('not_found');
    const { accountType } = await this.accounts.get(caller, params.appid);
    if (accountType !== 'mini_program') throw new AppError('mini_program_only');
    return true;
  }
}

interface Params {
  Params: { appid: string };
}
