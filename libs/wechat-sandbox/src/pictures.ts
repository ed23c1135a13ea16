import type { ServerResponse } from 'node:http';
import { crc32, deflateSync } from 'node:zlib';

import QRCode from 'qrcode';

import type { WechatSandbox } from './sandbox.js';

export interface Picture {
  /** Default 200. */
  status?: number;
  contentType: string;
  body: Buffer;
  /** E.g. a `location`. */
  headers?: Record<string, string>;
}

const SIZE = 64;

/** Whether the address is one of WeChat's picture servers'. */
export function isPicture({ pathname }: URL): boolean {
  return pathname.startsWith('/mmopen/') || pathname.startsWith('/mmbiz_png/');
}

/** Sends an account's avatar or QR code: the one that was set, else one that is drawn. */
export async function sendPicture(
  sandbox: WechatSandbox,
  { pathname }: URL,
  response: ServerResponse,
): Promise<void> {
  const set = sandbox.pictures.get(pathname);
  const { status = 200, contentType, body, headers } = set ?? (await draw(pathname));
  response.writeHead(status, { 'content-type': contentType, ...headers }).end(body);
}

async function draw(pathname: string): Promise<Picture> {
  const body = pathname.startsWith('/mmbiz_png/')
    ? await QRCode.toBuffer(`http://weixin.qq.com/r/${pathname.split('/')[2] ?? ''}`)
    : square(pathname);
  return { contentType: 'image/png', body };
}

/** A square in a colour of its own. @see https://www.w3.org/TR/png-3/ */
function square(seed: string): Buffer {
  const colour = crc32(seed);
  const pixel = [colour & 0xff, (colour >> 8) & 0xff, (colour >> 16) & 0xff];
  const line = Buffer.from([0, ...Array.from({ length: SIZE }, () => pixel).flat()]);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(SIZE, 0);
  header.writeUInt32BE(SIZE, 4);
  // Eight bits a channel, RGB.
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(Array.from({ length: SIZE }, () => line)))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
