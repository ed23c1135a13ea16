import { Agent, request } from 'undici';

/** Why a picture could not be fetched. `gone`: trying again is of no use. */
export class PictureError extends Error {
  override readonly name = 'PictureError';

  constructor(
    readonly failure: 'gone' | 'unreachable',
    reason: string,
  ) {
    super(`The picture cannot be fetched: ${reason}`);
  }
}

export interface Picture {
  contentType: 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';
  body: Buffer;
}

/** WeChat's picture servers; all of them speak https, whatever the address says. */
const HOSTS = /(?:^|\.)(?:qlogo\.cn|qpic\.cn)$/;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 1024 * 1024;

/**
 * Whether an address is of WeChat's picture servers: no other one is fetched.
 *
 * @param ownOrigin taken too, whatever it is: where the platform's WeChat is elsewhere
 */
export function isWechatPicture(address: string, ownOrigin: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, origin, username, port } = new URL(address);
  if (origin === ownOrigin) return true;
  return (
    ['http:', 'https:'].includes(protocol) && HOSTS.test(hostname) && username === '' && port === ''
  );
}

/**
 * Fetches an avatar or the picture of a QR code from WeChat, which moves them and refuses to show them on other pages.
 *
 * @param address one that {@link isWechatPicture} takes
 * @returns up to 1 MiB; the type by its first bytes, whatever the server says
 * @throws PictureError
 */
export async function fetchPicture(address: string, ownOrigin: string): Promise<Picture> {
  const url = new URL(address);
  if (!isWechatPicture(address, ownOrigin)) throw new PictureError('gone', 'not a WeChat address');
  if (url.origin !== ownOrigin) url.protocol = 'https:';
  const body = await read(url);
  const contentType = typeOf(body);
  if (!contentType) throw new PictureError('gone', 'not a PNG, JPEG, GIF or WebP');
  return { contentType, body };
}

async function read(url: URL): Promise<Buffer> {
  const dispatcher = new Agent({ connect: { timeout: TIMEOUT_MS } });
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    // Redirects are not followed.
    const { statusCode, body } = await request(url, { dispatcher, signal });
    if (statusCode !== 200) {
      const isGone = statusCode >= 300 && statusCode < 500 && statusCode !== 429;
      throw new PictureError(isGone ? 'gone' : 'unreachable', `HTTP ${statusCode}`);
    }
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) throw new PictureError('gone', 'larger than 1 MiB');
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  } catch (error) {
    if (error instanceof PictureError) throw error;
    throw new PictureError('unreachable', error instanceof Error ? error.name : 'unknown');
  } finally {
    await dispatcher.destroy();
  }
}

/** @see https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern */
function typeOf(body: Buffer): Picture['contentType'] | null {
  const starts = (text: string, at = 0): boolean =>
    body.subarray(at, at + text.length).toString('latin1') === text;
  if (starts('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (starts('\xff\xd8\xff')) return 'image/jpeg';
  if (starts('GIF87a') || starts('GIF89a')) return 'image/gif';
  if (starts('RIFF') && starts('WEBPVP', 8)) return 'image/webp';
  return null;
}
