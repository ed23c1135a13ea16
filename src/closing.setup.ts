import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { FastifyInstance } from 'fastify';

/** So long a request that is on its way when the door closes has to arrive whole. */
const ARRIVE_WITHIN_MS = 2_000;

/**
 * Lets nobody keep the door from closing who sends nothing. Node ends connections between two requests by itself; one on
 * which nothing has come yet it takes for busy, and with the door it closes its watch over requests that do not arrive.
 */
export function setUpClosing(fastify: FastifyInstance): void {
  const { server } = fastify;
  /** With the newest answer on each; null where nothing has come yet. */
  const open = new Map<Socket, ServerResponse | null>();
  server.on('connection', (socket: Socket) => {
    open.set(socket, null);
    socket.once('close', () => open.delete(socket));
  });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    open.set(socket, response);
  });
  fastify.addHook('preClose', (done) => {
    for (const socket of open.keys()) if (socket.bytesRead === 0) socket.destroy();
    const timer = setTimeout(() => {
      for (const [socket, response] of open) if (!isAnswering(response)) socket.destroy();
    }, ARRIVE_WITHIN_MS);
    server.once('close', () => clearTimeout(timer));
    done();
  });
}

/** Whether a request has arrived whole and is being answered. */
function isAnswering(response: ServerResponse | null): boolean {
  return response !== null && response.req.complete && !response.writableFinished;
}
