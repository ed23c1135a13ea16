import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One delivery, as it came over the wire. */
export interface Received {
  headers: IncomingHttpHeaders;
  body: string;
  event: { id: string; type: string; appid: string | null; sequence: number; data: object };
}

/** What a receiver says; a promise keeps the sender waiting. */
export type Says = (
  received: Received,
) => { status: number; headers?: Record<string, string> } | Promise<{ status: number }>;

/** A system of the marketing platform's that events are sent to. */
export class Receiver {
  readonly received: Received[] = [];
  says: Says = () => ({ status: 204 });

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Receiver> {
    const server = createServer();
    const self = new Receiver(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const body = Buffer.concat(chunks).toString('utf8');
        const event = JSON.parse(body) as Received['event'];
        const one: Received = { headers: request.headers, body, event };
        self.received.push(one);
        void Promise.resolve(self.says(one)).then((answer) => {
          const headers = 'headers' in answer ? answer.headers : {};
          response.writeHead(answer.status, headers).end();
        });
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return self;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hooks`;
  }

  /** What arrived well, by the subject's sequence numbers. */
  sequencesOf(appid: string): number[] {
    return this.received
      .filter(({ event }) => event.appid === appid)
      .map(({ event }) => event.sequence);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
