import type { FastifyReply, FastifyRequest } from 'fastify';

import type { AccessService } from './access.service.js';

/** Everything below these needs a key; a route there that names no role is open to owners only. */
const GUARDED = ['/api/', '/metrics'];

/**
 * Makes the Fastify `onRequest` hook that authenticates: Nest's guards run only after the body was read,
 * and a caller without a key must not make us read one.
 */
export function accessHook(access: AccessService) {
  return (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
    const { config, url } = request.routeOptions;
    const { role } = config;
    // By the route that was found, not by the address: that may be spelt in many ways.
    const place = url ?? request.url;
    if (!role && !GUARDED.some((prefix) => place.startsWith(prefix))) return done();
    const tenant = request.headers['x-tenant-id'];
    access
      .authenticate(
        {
          authorization: request.headers.authorization,
          tenant: Array.isArray(tenant) ? tenant.join() : tenant,
          address: request.ip,
        },
        role ?? 'owner',
      )
      .then((caller) => {
        request.caller = caller;
        done();
      }, done);
  };
}
