import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { openPush, readPushQuery, sealReply, type XmlObject } from '@app/wechat';

/** A platform that keeps the messages and events of accounts, opened. */
export interface Receiver {
  component: { appid: string; appSecret: string; token: string; encodingAesKey: string };
  /** With `$APPID$`, as the sandbox takes it. */
  messagesUrl: string;
  received: XmlObject[];
  /** What a push is answered with: the clear document of a passive reply; null, as at first, for `success`. */
  replyTo: (fields: XmlObject) => string | null;
  close(): Promise<void>;
}

const component = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: 'sandbox0secret0sandbox0secret000',
  token: 'sandboxToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};

export async function startReceiver(): Promise<Receiver> {
  const { appid, token, encodingAesKey } = component;
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { searchParams } = new URL(incoming.url ?? '', 'http://x');
      const query = readPushQuery(Object.fromEntries(searchParams));
      const { fields } = openPush(Buffer.concat(chunks), query, {
        tokens: [token],
        encodingAesKeys: [encodingAesKey],
        appid,
        mode: 'secure',
        formats: ['xml'],
      });
      receiver.received.push(fields);
      const reply = receiver.replyTo(fields);
      const seal = { token, encodingAesKey, appid, timestamp: 1, nonce: '1' };
      response.end(reply === null ? 'success' : sealReply(reply, { ...seal, format: 'xml' }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    component,
    messagesUrl: `http://127.0.0.1:${port}/accounts/$APPID$/messages`,
    received: [],
    replyTo: () => null,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}
