import { once } from 'node:events';
import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import {
  TEST_CERTIFICATE,
  TEST_CERTIFICATE_KEY,
} from '../libs/safe-fetch/src/vectors/certificates.js';

/** A customer's token server on loopback, which answers what a test tells it to. */
export class TokenServer {
  readonly asked: { url: string; headers: IncomingHttpHeaders }[] = [];
  answer: RequestListener = (_request, response) => response.end();

  private constructor(
    private readonly server: Server,
    private readonly scheme: 'http' | 'https',
  ) {
    server.on('request', (request, response) => {
      this.asked.push({ url: request.url ?? '', headers: request.headers });
      this.answer(request, response);
    });
  }

  static async start(options: { tls?: boolean } = {}): Promise<TokenServer> {
    const server = options.tls
      ? createTlsServer({ cert: TEST_CERTIFICATE, key: TEST_CERTIFICATE_KEY })
      : createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new TokenServer(server, options.tls ? 'https' : 'http');
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Answers so from now on. */
  answers(body: unknown): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.answer = (_request, response) => response.end(text);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
