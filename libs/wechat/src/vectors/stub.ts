import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { WechatHttp } from '../http.js';

/** A server that answers with what a test sets, and keeps what it was asked. */
export interface Stub {
  http: WechatHttp;
  /** Text, so that a number may have 19 digits; bytes for a file. */
  answer: string | Buffer;
  sent: { method: string; url: string; contentType: string; bytes: Buffer };
  /** What was sent, read as JSON. */
  body(): unknown;
  close(): Promise<void>;
}

export async function startStub(): Promise<Stub> {
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const contentType = headers['content-type'] ?? '';
      stub.sent = { method, url, contentType, bytes: Buffer.concat(chunks) };
      response.end(stub.answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const http = new WechatHttp({ baseUrl: `http://127.0.0.1:${port}` });
  const stub: Stub = {
    http,
    answer: '{"errcode":0,"errmsg":"ok"}',
    sent: { method: '', url: '', contentType: '', bytes: Buffer.alloc(0) },
    body: () => JSON.parse(stub.sent.bytes.toString()) as unknown,
    close: async () => {
      await http.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return stub;
}
