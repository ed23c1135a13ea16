import type { ServerResponse } from 'node:http';
import { crc32, deflateSync } from 'node:zlib';

import { MEDIA_CONTENT_TYPES, mediaFormatOf } from '@app/wechat';
import QRCode from 'qrcode';

import { isOver } from './qr-codes.js';
import type { WechatSandbox } from './sandbox.js';

export interface Picture {
  /** Default 200. */
  status?: number;
  contentType: string;
  body: Buffer;
  /** E.g. a `location`. */
  headers?: Record<string, string>;
}

const SQUARE_WIDTH = 64;
const QR_CODE_WIDTH = 430;
/** Modules that stay white on each side. */
const QUIET_ZONE = 4;
const SHOW_QR_CODE = '/cgi-bin/showqrcode';

/** Whether the address is one of WeChat's picture servers'. */
export function isPicture({ pathname }: URL): boolean {
  return (
    pathname.startsWith('/mmopen/') ||
    pathname.startsWith('/mmbiz_png/') ||
    pathname === SHOW_QR_CODE
  );
}

/** Sends a picture: the one that was set or uploaded, else one that is drawn; 404 for a ticket that shows nothing. */
export function sendPicture(sandbox: WechatSandbox, url: URL, response: ServerResponse): void {
  const {
    status = 200,
    contentType,
    body,
    headers,
  } = sandbox.pictures.get(url.pathname) ?? uploaded(sandbox, url) ?? draw(sandbox, url);
  response.writeHead(status, { 'content-type': contentType, ...headers }).end(body);
}

/** By its first bytes: what an upload calls itself may be anything. */
function uploaded({ mediaBytes }: WechatSandbox, { pathname }: URL): Picture | null {
  const body = mediaBytes.get(pathname.split('/')[2] ?? '');
  const format = body && mediaFormatOf(body);
  if (!body || !format) return null;
  return { contentType: MEDIA_CONTENT_TYPES[format], body };
}

function draw(sandbox: WechatSandbox, url: URL): Picture {
  const body = drawing(sandbox, url);
  return body
    ? { contentType: 'image/png', body }
    : { status: 404, contentType: 'text/plain', body: Buffer.alloc(0) };
}

function drawing(sandbox: WechatSandbox, { pathname, searchParams }: URL): Buffer | null {
  if (pathname === SHOW_QR_CODE) {
    const ticket = searchParams.get('ticket') ?? '';
    const code = Object.values(sandbox.data.accounts)
      .flatMap(({ qrCodes }) => Object.values(qrCodes))
      .find((one) => one.ticket === ticket);
    return code && !isOver(code, sandbox.now()) ? drawQrCode(code.url) : null;
  }
  return pathname.startsWith('/mmbiz_png/')
    ? drawQrCode(`http://weixin.qq.com/r/${pathname.split('/')[2] ?? ''}`)
    : drawSquare(pathname);
}

/** A QR code that says `text`, as a PNG. At once: an API answers before it is asked again. */
export function drawQrCode(text: string, width = QR_CODE_WIDTH): Buffer {
  const { modules } = QRCode.create(text);
  const scale = Math.max(1, Math.floor(width / (modules.size + 2 * QUIET_ZONE)));
  const margin = Math.floor((width - modules.size * scale) / 2);
  const module = (pixel: number): number => Math.floor((pixel - margin) / scale);
  const isInside = (place: number): boolean => place >= 0 && place < modules.size;
  return png(width, (x, y) => {
    const [column, row] = [module(x), module(y)];
    const isDark = isInside(column) && isInside(row) && modules.get(row, column) === 1;
    return isDark ? [0, 0, 0] : [255, 255, 255];
  });
}

/** A square in a colour of its own. */
function drawSquare(seed: string): Buffer {
  const colour = crc32(seed);
  return png(SQUARE_WIDTH, () => [colour & 0xff, (colour >> 8) & 0xff, (colour >> 16) & 0xff]);
}

/** @see https://www.w3.org/TR/png-3/ */
function png(width: number, pixel: (x: number, y: number) => [number, number, number]): Buffer {
  const lineBytes = 1 + 3 * width;
  const lines = Buffer.alloc(width * lineBytes);
  for (let y = 0; y < width; y++)
    for (let x = 0; x < width; x++) lines.set(pixel(x, y), y * lineBytes + 1 + 3 * x);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(width, 4);
  // Eight bits a channel, RGB.
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(lines)),
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
