import type { Socket } from 'node:net';

import type { FastifyInstance, FastifyRequest } from 'fastify';

import { errorCode } from './common/error-code.js';

/** After the server's own limit: ten megabytes on a line of a megabit a second. */
const MORE_TIME_MS = 90_000;
const TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

/**
 * Gives files on their way longer than other requests have to arrive. The server knows one limit for all; it tells once
 * that it has passed, and leaves what becomes of the connection to whoever listens.
 *
 * Its hook has to come after the one that authenticates: nobody else gets more time.
 */
export function setUpSlowUploads(fastify: FastifyInstance): void {
  const { server } = fastify;
  const uploads = new WeakMap<Socket, FastifyRequest>();
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (request.routeOptions.config.maxFileBytes !== undefined)
      uploads.set(request.socket, request);
    done();
  });
  const listeners = server.listeners('clientError');
  server.removeAllListeners('clientError');
  server.on('clientError', (error: Error, socket: Socket) => {
    const upload = uploads.get(socket);
    if (errorCode(error) !== TIMEOUT || !upload || upload.raw.complete) {
      for (const listener of listeners) Reflect.apply(listener, server, [error, socket]);
      return;
    }
    const timer = setTimeout(() => {
      if (!upload.raw.complete) socket.destroy();
    }, MORE_TIME_MS);
    upload.raw.once('close', () => clearTimeout(timer));
  });
}
