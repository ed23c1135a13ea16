import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import type { Account } from './account.entity.js';
import { AccountsService } from './accounts.service.js';

declare module 'fastify' {
  interface FastifyRequest {
    account?: Account;
  }
}

/** As {@link ClaimableAccountGuard}, for whoever may only act on accounts that they see. */
@Injectable()
export class VisibleAccountGuard implements CanActivate {
  constructor(private readonly accounts: AccountsService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { appid: string } }>>();
    const { caller, params } = request;
    if (!caller) throw new AppError('not_found');
    request.account = await this.accounts.get(caller, params.appid);
    return true;
  }
}

/** The account of the address, as {@link VisibleAccountGuard} found it a moment ago. */
export const CurrentAccount = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Account => {
    const { account } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!account) throw new TypeError('CurrentAccount needs a route with VisibleAccountGuard');
    return account;
  },
);
