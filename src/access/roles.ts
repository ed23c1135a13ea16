import { applyDecorators, createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiBearerAuth, ApiHeader } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';

import { ExtendRouteConfig } from '../common/route-config.js';

/** Each role includes the ones before it. */
export const ROLES = ['viewer', 'sender', 'admin', 'owner'] as const;
export type Role = (typeof ROLES)[number];

export const DEFAULT_TENANT = 'default';
export const TENANT_ID = /^[a-z0-9-]{1,64}$/;

/** Who is calling, and on whose behalf. */
export interface Caller {
  keyId: string;
  name: string;
  role: Role;
  /** The tenant that is written to. */
  tenantId: string;
  /** An owner that named no tenant: reads every tenant's, and what nobody has claimed. */
  allTenants: boolean;
}

export function includesRole(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}

declare module 'fastify' {
  interface FastifyContextConfig {
    role?: Role;
  }
  interface FastifyRequest {
    caller?: Caller;
  }
}

/**
 * Says who may call a route. It stands in the route's own configuration, where the `onRequest` hook reads it:
 * a caller is refused before a byte of the body is parsed.
 */
export function RequireRole(role: Role): MethodDecorator {
  return applyDecorators(
    ExtendRouteConfig({ role }),
    ApiBearerAuth(),
    ApiHeader({
      name: 'X-Tenant-Id',
      required: false,
      description:
        'owner 指定租户；不填则读取全部租户、写入 default。 An owner names a tenant; without it, all are read and `default` is written.',
      schema: { type: 'string', pattern: TENANT_ID.source },
    }),
  );
}

/** The caller, as the `onRequest` hook found it. */
export const CurrentCaller = createParamDecorator(
  (_data: unknown, context: ExecutionContext): Caller => {
    const { caller } = context.switchToHttp().getRequest<FastifyRequest>();
    if (!caller) throw new TypeError('CurrentCaller needs a route with RequireRole');
    return caller;
  },
);
