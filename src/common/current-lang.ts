import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import { type Lang, pickLang } from './text.js';

/** The language that the caller wants to be answered in. Said once for all calls in the documentation, not for each. */
export const CurrentLang = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Lang => {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    return pickLang(headers['accept-language']);
  },
);
