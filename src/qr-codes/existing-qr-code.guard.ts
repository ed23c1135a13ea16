import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { AppError } from '../common/app-error.js';
import { QrCodesRepository } from './qr-codes.repository.js';

/** Of a code that the account does not have, nobody is told what is wrong with a body for it. Comes after the account's guard. */
@Injectable()
export class ExistingQrCodeGuard implements CanActivate {
  constructor(private readonly codes: QrCodesRepository) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { params } = context
      .switchToHttp()
      .getRequest<FastifyRequest<{ Params: { appid: string; id?: string } }>>();
    const { appid, id } = params;
    if (id !== undefined && !(await this.codes.find(appid, id))) throw new AppError('not_found');
    return true;
  }
}
