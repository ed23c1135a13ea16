import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jsQr from 'jsqr';
import sharp from 'sharp';

import { Database } from '../src/database/database.js';
import { QrCode } from '../src/qr-codes/qr-code.entity.js';
import { OWNER_KEY, startApp, type TestApp } from './app.js';
import { uploadPicture } from './helpers.js';
import { newSender } from './message-helpers.js';
import { until } from './until.js';

interface CodeBody {
  id: string;
  scene: string;
  contentUrl: string | null;
}

let app: TestApp;
let appid: string;
let code: CodeBody;

beforeAll(async () => {
  app = await startApp();
  appid = await newSender(app);
  code = await newCode(appid);
});
afterAll(() => app.stop());

async function newCode(account: string, name = '上海店'): Promise<CodeBody> {
  const wanted = { name, channel: '线下', permanent: true };
  return (await app.api<CodeBody>('POST', `/accounts/${account}/qr-codes`, wanted)).body;
}

/** Asks, and reads nothing of what comes. It does not go through `fetch`, which connects anew when it is broken off. */
async function begin(path: string): Promise<IncomingMessage> {
  const asked = request(`${app.url}/api/v1/accounts/${path}`, {
    agent: false,
    headers: { authorization: `Bearer ${OWNER_KEY}` },
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  // Breaking off is told as an error of either.
  asked.on('error', () => null);
  return answer.on('error', () => null);
}

async function get(path: string): Promise<{ status: number; type: string | null; bytes: Buffer }> {
  const response = await fetch(`${app.url}/api/v1/accounts/${path}`, {
    headers: { authorization: `Bearer ${OWNER_KEY}` },
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type'), bytes };
}

/** More codes like this one. @returns their ids */
async function copies(id: string, count: number): Promise<string[]> {
  const db = app.app.get(Database);
  const row = await db.read.findOneByOrFail(QrCode, { id });
  const rows = Array.from({ length: count }, (_unused, n) =>
    Object.assign(new QrCode(), row, { id: randomUUID(), scene: `copy${n}` }),
  );
  await db.write((tx) => tx.insert(QrCode, rows));
  return rows.map((copy) => copy.id);
}

const show = (query: string) => get(`${appid}/qr-codes/${code.id}/image?${query}`);

async function pixelsOf(bytes: Buffer) {
  const { data, info } = await sharp(bytes)
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { data: new Uint8ClampedArray(data), width: info.width, height: info.height };
}

/** What a telephone would read. */
async function read(bytes: Buffer): Promise<string | undefined> {
  const { data, width, height } = await pixelsOf(bytes);
  return jsQr.default(data, width, height)?.data;
}

/** How many dark pixels there are below the code. */
async function darkBelow(bytes: Buffer, size: number): Promise<number> {
  const { data, width, height } = await pixelsOf(bytes);
  let dark = 0;
  for (let at = size * width * 4; at < width * height * 4; at += 4)
    if ((data[at] ?? 255) < 128) dark += 1;
  return dark;
}

const captioned = async (caption: string, size: number): Promise<string> =>
  (await show(`format=svg&size=${size}&caption=${encodeURIComponent(caption)}`)).bytes.toString();

/** How many characters each line of a caption has, but for spaces. */
async function linesOf(caption: string, size: number): Promise<number[]> {
  const [, ...lines] = (await captioned(caption, size)).split('<g transform="translate');
  return lines.map((line) => line.match(/<path transform/g)?.length ?? 0);
}

/** How many dark pixels touch the edges of the picture. */
async function darkAtEdges(caption: string, size: number): Promise<number> {
  const { bytes } = await show(`size=${size}&caption=${encodeURIComponent(caption)}`);
  const { data, width, height } = await pixelsOf(bytes);
  const isEdge = (at: number): boolean =>
    at % width === 0 || at % width === width - 1 || at >= width * (height - 1);
  return Array.from({ length: width * height }, (_unused, at) => at).filter(
    (at) => isEdge(at) && (data[at * 4] ?? 255) < 128,
  ).length;
}

/** A green square. */
async function uploadLogo(side = 90): Promise<string> {
  const background = '#07c160';
  const png = await sharp({ create: { width: side, height: side, channels: 3, background } })
    .png()
    .toBuffer();
  const form = new FormData();
  form.append('file', new Blob([new Uint8Array(png)]), 'logo.png');
  const response = await fetch(`${app.url}/api/v1/accounts/${appid}/media`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OWNER_KEY}` },
    body: form,
  });
  return ((await response.json()) as { id: string }).id;
}

describe('the picture', () => {
  it.each([
    ['png', 'image/png', 100],
    ['png', 'image/png', 200],
    ['png', 'image/png', 2000],
    ['jpeg', 'image/jpeg', 200],
    ['svg', 'image/svg+xml; charset=utf-8', 200],
  ])('as %s says what the code says (%s, %d pixels)', async (format, type, size) => {
    const answer = await show(`format=${format}&size=${size}`);
    expect(answer).toMatchObject({ status: 200, type });
    expect(await pixelsOf(answer.bytes)).toMatchObject({ width: size, height: size });
    expect(await read(answer.bytes)).toBe(code.contentUrl);
  });

  it.each(['png', 'jpeg', 'svg'])('bears a logo and a caption in Chinese as %s', async (format) => {
    const logo = await uploadLogo();
    const caption = encodeURIComponent('上海店 Shop 88（三楼）');
    const { bytes } = await show(`format=${format}&size=300&logo=${logo}&caption=${caption}`);
    expect(await read(bytes)).toBe(code.contentUrl);
    const { width, height } = await pixelsOf(bytes);
    expect(width).toBe(300);
    expect(height).toBeGreaterThan(310);
    expect(await darkBelow(bytes, 300)).toBeGreaterThan(200);
  });

  it('has the characters of its caption, each its own', async () => {
    const drawn = await Promise.all(
      ['一', '三'].map(async (caption) => {
        const { bytes } = await show(`size=300&caption=${encodeURIComponent(caption)}`);
        return darkBelow(bytes, 300);
      }),
    );
    const [one = 0, three = 0] = drawn;
    expect(three).toBeGreaterThan(one * 1.5);
  });

  it('leaves out what the font lacks', async () => {
    expect(await linesOf('上海🏬店👨‍👩‍👧', 300)).toEqual([3]);
    const { bytes } = await show(`size=300&caption=${encodeURIComponent('🎉\u{10fffd}')}`);
    expect(await pixelsOf(bytes)).toMatchObject({ width: 300, height: 300 });
  });

  it('has every character of a long caption, in letters that shrink', async () => {
    const caption = '这是一段很长的说明文字，需要换行才能放得下，请扫码关注我们，'
      .repeat(2)
      .slice(0, 60);
    for (const size of [200, 430]) {
      const lines = await linesOf(caption, size);
      expect(lines.length).toBeLessThanOrEqual(4);
      expect(lines.reduce((sum, length) => sum + length, 0)).toBe(60);
      expect(await darkAtEdges(caption, size)).toBe(0);
    }
  });

  it('has its lines end at spaces, and between characters of Chinese', async () => {
    const lengths = (lines: readonly string[]): number[] =>
      lines.map((line) => line.replaceAll(' ', '').length);
    for (const lines of [
      ['Scan to follow our flower shop', 'in Shanghai and get a voucher'],
      ['上海南京东路旗舰店三楼，', 'Shop 88（近地铁站）'],
    ])
      expect(await linesOf(lines.join(' '), 200)).toEqual(lengths(lines));
    expect(await linesOf('W'.repeat(60), 200)).toHaveLength(4);
  });

  it('ends with … where even small letters find no room', async () => {
    const name = '名'.repeat(100);
    const { id } = await newCode(appid, `${name.slice(0, 96)}店一二三`);
    const long = await get(`${appid}/qr-codes/images.zip?ids=${id}&captions=true&format=svg`);
    expect(long.bytes.toString().match(/<path transform/g)).toHaveLength(100);
    expect((await linesOf('行\n'.repeat(30), 200)).at(-1)).toBe(2);
  });

  it('is refused for a logo that is none, and a size beyond the bounds', async () => {
    expect((await show('logo=unknown')).status).toBe(422);
    expect((await show(`logo=${await uploadPicture(app, appid)}`)).status).toBe(422);
    for (const query of ['size=99', 'size=2001', 'format=gif']) {
      expect((await show(query)).status).toBe(400);
    }
  });

  it('is refused for a logo with too many pixels, and says how many it may have', async () => {
    const { status, bytes } = await show(`logo=${await uploadLogo(5001)}`);
    const body = JSON.parse(bytes.toString()) as { code: string; errors: object[] };
    expect({ status, ...body }).toMatchObject({ status: 422, code: 'media_not_usable' });
    expect(body.errors).toMatchObject([{ field: 'logo', code: 'too_large' }]);
    expect(JSON.stringify(body.errors)).toContain('25000000');
    expect((await show(`logo=${await uploadLogo(5000)}`)).status).toBe(200);
  });

  it('of a mini-program is WeChat’s, in any size', async () => {
    const program = await newSender(app, 'mini_program');
    const { id, scene } = await newCode(program);
    const answer = await get(`${program}/qr-codes/${id}/image?size=500`);
    expect(await pixelsOf(answer.bytes)).toMatchObject({ width: 500, height: 500 });
    expect(await read(answer.bytes)).toContain(`scene=${scene}`);
  });
});

describe('the archive', () => {
  it('holds a picture of each code, with its name', async () => {
    const other = await newCode(appid, '北京/店');
    const ids = `${code.id},${other.id}`;
    const answer = await get(`${appid}/qr-codes/images.zip?ids=${ids}&size=200&captions=true`);
    expect(answer).toMatchObject({ status: 200, type: 'application/zip' });
    const files = filesOf(answer.bytes);
    expect(new Set(files.keys())).toEqual(
      new Set([`上海店-${code.scene}.png`, `北京_店-${other.scene}.png`]),
    );
    const read1 = await read(files.get(`上海店-${code.scene}.png`) ?? Buffer.alloc(0));
    expect(read1).toBe(code.contentUrl);
  });

  it('has names that file systems take, however long those of the codes are', async () => {
    for (const name of ['店'.repeat(100), '🎁'.repeat(100)]) {
      const { id, scene } = await newCode(appid, name);
      const { bytes } = await get(`${appid}/qr-codes/images.zip?ids=${id}&size=200`);
      const [file = ''] = filesOf(bytes).keys();
      expect(Buffer.byteLength(file)).toBeLessThanOrEqual(255);
      expect(file).toBe(`${name.slice(0, (name.length / 100) * 50)}-${scene}.png`);
    }
  });

  it('is not made with a code of another account', async () => {
    const other = await newCode(await newSender(app));
    const ids = `${code.id},${other.id}`;
    expect((await get(`${appid}/qr-codes/images.zip?ids=${ids}`)).status).toBe(404);
    expect((await get(`${appid}/qr-codes/images.zip`)).status).toBe(400);
  });

  it('is made for four at a time, and for others once a reader has left', async () => {
    const ids = await copies(code.id, 100);
    const path = `${appid}/qr-codes/images.zip?ids=${ids.join(',')}&format=jpeg&size=2000`;
    const readers = await Promise.all([1, 2, 3, 4].map(() => begin(path)));
    expect(readers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200]);
    const fifth = await begin(path);
    fifth.destroy();
    expect(fifth.statusCode).toBe(429);
    expect(fifth.headers['retry-after']).toBe('10');
    for (const reader of readers) reader.destroy();
    const one = `${appid}/qr-codes/images.zip?ids=${code.id}`;
    await until(async () => (await get(one)).status === 200);
  });
});

const CENTRAL = 0x02014b50;
const LOCAL_HEADER = 30;

/** The files of a zip that are stored as they are. @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
function filesOf(zip: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = zip.indexOf('PK\u0001\u0002'); at >= 0 && zip.readUInt32LE(at) === CENTRAL;) {
    const [size, name, extra, comment] = [
      zip.readUInt32LE(at + 20),
      zip.readUInt16LE(at + 28),
      zip.readUInt16LE(at + 30),
      zip.readUInt16LE(at + 32),
    ];
    const local = zip.readUInt32LE(at + 42);
    const begin =
      local + LOCAL_HEADER + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    files.set(zip.subarray(at + 46, at + 46 + name).toString(), zip.subarray(begin, begin + size));
    at += 46 + name + extra + comment;
  }
  return files;
}
