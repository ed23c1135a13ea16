import { createHash, randomBytes } from 'node:crypto';
import { type ClientRequest, request, type Server } from 'node:http';
import type { Socket } from 'node:net';

import { WechatHttp } from '@app/wechat';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { Caller } from '../src/access/roles.js';
import type { Account } from '../src/accounts/account.entity.js';
import { AccountsService } from '../src/accounts/accounts.service.js';
import { Clock } from '../src/common/clock.js';
import { AccountData } from '../src/database/account-data.js';
import { UploadedFile } from '../src/common/form-data.js';
import { Database, type Tx } from '../src/database/database.js';
import { MediaUploads } from '../src/messages/media/media-uploads.js';
import { MediaUploadsRepository } from '../src/messages/media/media-uploads.repository.js';
import { MediaPiece, MediaUpload } from '../src/messages/media/media.entity.js';
import { MediaRepository } from '../src/messages/media/media.repository.js';
import { MediaService } from '../src/messages/media/media.service.js';
import { MediaUsers } from '../src/messages/media/media-users.js';
import { TokensService } from '../src/tokens/tokens.service.js';
import { type Answer, OWNER_KEY, startApp, type TestApp } from './app.js';
import { authorizationOf, begin } from './helpers.js';
import { until } from './until.js';

interface MediaBody {
  id: string;
  name: string;
  kind: 'image' | 'voice' | 'video' | 'thumb';
  format: string;
  bytes: number;
  sha256: string;
  createdAt: string;
  code: string;
  detail: string;
  errors?: { field: string; code: string; detail: string }[];
}

interface Form {
  bytes?: Buffer;
  name?: string;
  kind?: string;
  more?: Record<string, string>;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const HOUR_MS = 3_600_000;
const UPLOAD = '/cgi-bin/media/upload';

const fileOf = (head: string, bytes = 64): Buffer =>
  Buffer.concat([Buffer.from(head, 'latin1'), randomBytes(bytes)]).subarray(0, bytes);
const HEADS = {
  png: '\x89PNG\r\n\x1a\n',
  jpeg: '\xff\xd8\xff\xe0',
  gif: 'GIF89a',
  mp3: 'ID3\x04\0',
  amr: '#!AMR\n',
  mp4: '\0\0\0\x20ftypisom',
} as const;
const OWNER: Caller = {
  keyId: 'owner',
  name: 'owner',
  role: 'owner',
  tenantId: 'default',
  allTenants: true,
};
const PROGRAM = fileOf('MZ\x90\0\x03', 4 * KIB);

let app: TestApp;
let appid: string;
let miniProgram: string;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
  appid = await newAccount('official_account');
  miniProgram = await newAccount('mini_program');
});
afterEach(() => app.sandbox.faults.clear());
afterAll(() => app.stop());

async function newAccount(
  accountType: 'official_account' | 'mini_program',
  tenant?: string,
): Promise<string> {
  const made = `wx${(0x3ed1a000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid: made, accountType });
  const { preAuthCode } = await begin(app, { accountType }, tenant);
  await app.sandbox.authorize({ appid: made, preAuthCode }).pushed;
  await app.settled();
  return made;
}

function formOf({ bytes, name = 'a.bin', kind, more = {} }: Form): FormData {
  const form = new FormData();
  if (bytes) form.append('file', new Blob([new Uint8Array(bytes)]), name);
  if (kind !== undefined) form.append('kind', kind);
  for (const [field, value] of Object.entries(more)) form.append(field, value);
  return form;
}

async function send(
  to: string,
  body: FormData | string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer<MediaBody>> {
  const response = await fetch(`${app.url}/api/v1/accounts/${to}/media`, {
    method: 'POST',
    headers: { authorization: `Bearer ${OWNER_KEY}`, ...headers },
    body: Buffer.isBuffer(body) ? new Uint8Array(body) : body,
  });
  return {
    status: response.status,
    body: (await response.json()) as MediaBody,
    headers: response.headers,
  };
}

const upload = (
  form: Form,
  to = appid,
  headers?: Record<string, string>,
): Promise<Answer<MediaBody>> => send(to, formOf(form), headers);

async function newMedia(form: Form, to = appid): Promise<MediaBody> {
  const { status, body } = await upload(form, to);
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

async function download(path: string): Promise<{ headers: Headers; status: number; body: Buffer }> {
  const response = await fetch(`${app.url}/api/v1/accounts/${path}/content`, {
    headers: { authorization: `Bearer ${OWNER_KEY}`, accept: '*/*' },
  });
  const { status, headers } = response;
  return { status, headers, body: Buffer.from(await response.arrayBuffer()) };
}

const db = (): Database => app.app.get(Database);
const countPieces = (): Promise<number> => db().read.count(MediaPiece);

describe('POST /accounts/{appid}/media', () => {
  it.each([
    ['png', 'image', 2 * MIB],
    ['jpeg', 'image', 2 * MIB],
    ['gif', 'image', 2 * MIB],
    ['mp3', 'voice', 2 * MIB],
    ['amr', 'voice', 2 * MIB],
    ['mp4', 'video', 10 * MIB],
  ] as const)('takes a %s as %s, up to its limit', async (format, kind, limit) => {
    for (const bytes of [fileOf(HEADS[format]), fileOf(HEADS[format], limit)]) {
      const { status, body } = await upload({ bytes, name: 'x' });
      expect(status).toBe(201);
      expect(body).toMatchObject({ kind, format, bytes: bytes.length });
      expect((await download(`${appid}/media/${body.id}`)).body.equals(bytes)).toBe(true);
    }
    const before = await countPieces();
    const { status, body } = await upload({ bytes: fileOf(HEADS[format], limit + 1) });
    expect([status, body.code]).toEqual([413, 'media_too_large']);
    expect(await countPieces()).toBe(before);
  });

  it('takes a small JPEG as a thumb when it is asked to', async () => {
    const bytes = fileOf(HEADS.jpeg, 64 * KIB);
    expect((await upload({ bytes, kind: 'thumb' })).body).toMatchObject({ kind: 'thumb' });
    const large = await upload({ bytes: fileOf(HEADS.jpeg, 64 * KIB + 1), kind: 'thumb' });
    expect(large).toMatchObject({ status: 413, body: { code: 'media_too_large' } });
    expect(large.body.errors?.[0]?.detail).toContain('64 KB');
    const png = await upload({ bytes: fileOf(HEADS.png), kind: 'thumb' });
    expect(png.status).toBe(422);
    expect(png.body.errors).toMatchObject([{ field: 'file', code: 'media_format' }]);
  });

  it('names what it is and what it holds', async () => {
    const bytes = fileOf(HEADS.png);
    const { body } = await upload({ bytes, name: '双十一 海报.png' });
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: '双十一 海报.png',
      kind: 'image',
      format: 'png',
      bytes: 64,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      createdAt: app.clock.now().toISOString(),
    });
  });

  it.each([
    ['a program that is called a picture', { bytes: PROGRAM, name: 'poster.png' }, 'media_format'],
    [
      'a picture with scripts',
      { bytes: Buffer.from('<svg xmlns="x"/>'), name: 'a.png' },
      'media_format',
    ],
    ['an empty file', { bytes: Buffer.alloc(0), name: 'a.png' }, 'media_empty'],
    ['a picture as a voice', { bytes: fileOf(HEADS.png), kind: 'voice' }, 'media_format'],
    ['a voice as a picture', { bytes: fileOf(HEADS.mp3), kind: 'image' }, 'media_format'],
    ['no file', {}, 'required'],
    ['a text in place of the file', { more: { file: 'x' } }, 'is_instance'],
    ['another kind', { bytes: fileOf(HEADS.png), kind: 'poster' }, 'is_in'],
    ['an unknown field', { bytes: fileOf(HEADS.png), more: { a: '1' } }, 'whitelist_validation'],
  ])('refuses %s', async (_case, form: Form, code) => {
    const before = await countPieces();
    const zh = await upload(form);
    expect(zh).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(zh.body.errors).toMatchObject([{ code }]);
    expect(zh.body.errors?.[0]?.detail).toMatch(/[\u4e00-\u9fff]/);
    const en = await upload(form, appid, { 'accept-language': 'en' });
    expect(en.body.errors?.[0]?.detail).not.toMatch(/[\u4e00-\u9fff]/);
    expect(await countPieces()).toBe(before);
  });

  it.each(['mp3', 'mp4'] as const)('takes no %s for a mini-program', async (format) => {
    const { status, body } = await upload({ bytes: fileOf(HEADS[format]) }, miniProgram);
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([{ field: 'file', code: 'media_kind_not_supported' }]);
    expect(body.errors?.[0]?.detail).toContain('小程序只能发送图片');
  });

  it('takes images for a mini-program', async () => {
    const { status } = await upload({ bytes: fileOf(HEADS.png) }, miniProgram);
    expect(status).toBe(201);
    const { body } = await upload({ bytes: PROGRAM }, miniProgram);
    expect(body.errors?.[0]?.detail).toContain('PNG / JPEG / GIF');
  });

  it.each([
    ['C:\\fakepath\\..\\海报.PNG', '海报.PNG'],
    ['../../etc/passwd', 'passwd.png'],
    ['evil.exe', 'evil.exe.png'],
    ['poster.jpg', 'poster.jpg.png'],
    ['.hidden.png', 'hidden.png'],
    ['a\u202egnp.exe', 'agnp.exe.png'],
    ['', 'media.png'],
    ['字'.repeat(300), `${'字'.repeat(251)}.png`],
  ])('calls %j %j', async (given, name) => {
    const { body } = await upload({ bytes: fileOf(HEADS.png), name: given });
    expect(body.name).toBe(name);
  });

  it('makes two of the same file', async () => {
    const bytes = fileOf(HEADS.png);
    const [one, other] = [await newMedia({ bytes }), await newMedia({ bytes })];
    expect(one.sha256).toBe(other.sha256);
    expect(one.id).not.toBe(other.id);
  });

  it('makes one of a request that is repeated with its key', async () => {
    const bytes = fileOf(HEADS.png);
    const key = { 'idempotency-key': 'media-1' };
    const first = await upload({ bytes }, appid, key);
    const again = await upload({ bytes }, appid, key);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const other = await upload({ bytes: fileOf(HEADS.png) }, appid, key);
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    const renamed = await upload({ bytes, name: 'b.png' }, appid, key);
    expect(renamed.body.code).toBe('idempotency_key_reused');
  });

  it('leaves the key of a refused request free', async () => {
    const key = { 'idempotency-key': 'media-2' };
    expect((await upload({ bytes: PROGRAM }, appid, key)).status).toBe(422);
    const large = { bytes: fileOf(HEADS.png, 3 * MIB) };
    expect((await upload(large, appid, key)).status).toBe(413);
    expect((await upload({ bytes: fileOf(HEADS.png) }, appid, key)).status).toBe(201);
  });
});

describe('a form', () => {
  const part = (name: string, value: string, fileName?: string): string =>
    `--b\r\ncontent-disposition: form-data; name="${name}"${
      fileName === undefined ? '' : `; filename="${fileName}"`
    }\r\n\r\n${value}\r\n`;
  const file = part('file', HEADS.gif, 'a.gif');
  const headers = { 'content-type': 'multipart/form-data; boundary=b' };

  it.each([
    ['without a boundary', `${file}--b--`, 'multipart/form-data'],
    ['of another boundary', `${file}--b--`, 'multipart/form-data; boundary=c'],
    ['that breaks off in its file', file.slice(0, -4), null],
    ['that breaks off behind its file', file, null],
    ['that breaks off in a header', '--b\r\ncontent-dispo', null],
    ['that is empty', '', null],
    ['that is no form', 'hello', null],
    ['with two files', `${file}${part('file', HEADS.gif, 'b.gif')}--b--`, null],
    ['with a field twice', `${file}${part('kind', 'image')}${part('kind', 'voice')}--b--`, null],
    ['with a file and a text of one name', `${part('file', 'x')}${file}--b--`, null],
    ['with a long field', `${file}${part('kind', 'x'.repeat(1_025))}--b--`, null],
    [
      'with many fields',
      `${file}${Array.from({ length: 9 }, (_unused, n) => part(`f${n}`, '')).join('')}--b--`,
      null,
    ],
    [
      'with a field that has no name',
      '--b\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b--',
      null,
    ],
  ])('%s is refused', async (_case, body, contentType) => {
    const type = contentType === null ? headers : { 'content-type': contentType };
    const answer = await send(appid, Buffer.from(body, 'latin1'), type);
    expect(answer).toMatchObject({ status: 400, body: { code: 'malformed_form' } });
  });

  it('is read whatever stands around it', async () => {
    const body = `preamble\r\n${file}--b--\r\nepilogue`;
    expect((await send(appid, Buffer.from(body, 'latin1'), headers)).status).toBe(201);
    const named = { 'content-type': 'Multipart/Form-Data; charset=utf-8; boundary="b"' };
    const asked = `${part('kind', 'image')}${file}--b--`;
    expect((await send(appid, Buffer.from(asked, 'latin1'), named)).status).toBe(201);
  });

  it('that goes on and on is read to its end, and refused', async () => {
    const bytes = fileOf(HEADS.mp4, 15 * MIB);
    expect(await upload({ bytes })).toMatchObject({
      status: 413,
      body: { code: 'media_too_large', detail: expect.stringContaining('视频 10 MB') },
    });
  });

  it('is taken where a file is wanted, and nowhere else', async () => {
    const form = await fetch(`${app.url}/api/v1/authorizations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${OWNER_KEY}` },
      body: formOf({ bytes: fileOf(HEADS.png) }),
    });
    expect(form.status).toBe(415);
    for (const body of ['{"file":"x"}', '{"file":{"name":"a.gif","bytes":"GIF89a"}}']) {
      const json = await send(appid, body, { 'content-type': 'application/json' });
      expect(json).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    }
    const text = await send(appid, 'x', { 'content-type': 'text/plain' });
    expect(text).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    expect(text.body.detail).toContain('multipart/form-data');
  });

  /** Announces a body and sends none. */
  const announce = (authorization: string, to: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request(`${app.url}/api/v1/accounts/${to}/media`, {
        method: 'POST',
        headers: { ...headers, authorization, 'content-length': 10 * MIB },
      });
      sent.on('error', reject).on('response', ({ statusCode }) => {
        resolve(statusCode ?? 0);
        sent.destroy();
      });
      sent.flushHeaders();
    });

  it('of somebody who may not send one is not waited for', async () => {
    expect(await announce('Bearer wrong', appid)).toBe(401);
    const { authorization } = await authorizationOf(app, 'viewer', 'default');
    expect(await announce(authorization, appid)).toBe(403);
  });

  it('on a slow line has longer to arrive than other bodies', async () => {
    const server: Server = app.app.getHttpServer();
    const { requestTimeout, headersTimeout } = server;
    Object.assign(server, { requestTimeout: 100, headersTimeout: 100 });
    /** Sends half of a body. */
    const sendHalf = (
      path: string,
      type: string,
    ): { sent: ClientRequest; status: Promise<number> } => {
      const sent = request(`${app.url}/api/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': type, authorization: `Bearer ${OWNER_KEY}` },
      });
      const status = new Promise<number>((resolve, reject) => {
        sent
          .on('response', (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject);
      });
      sent.write(file.slice(0, file.indexOf(HEADS.gif)));
      return { sent, status };
    };
    try {
      const late = new Set<number | undefined>();
      server.on('clientError', (_error, { remotePort }: Socket) => late.add(remotePort));
      const slow = sendHalf(`/accounts/${appid}/media`, headers['content-type']);
      const other = sendHalf('/authorizations', 'application/json');
      expect(await other.status).toBe(408);
      await until(() => late.has(slow.sent.socket?.localPort));
      slow.sent.end(`${HEADS.gif}\r\n--b--`);
      expect(await slow.status).toBe(201);
    } finally {
      Object.assign(server, { requestTimeout, headersTimeout });
    }
  });

  it('that its sender gives up leaves nothing behind', async () => {
    const before = await countPieces();
    await new Promise<void>((resolve) => {
      const sent = request(`${app.url}/api/v1/accounts/${appid}/media`, {
        method: 'POST',
        headers: {
          ...headers,
          authorization: `Bearer ${OWNER_KEY}`,
          'content-length': 10 * MIB,
        },
      });
      sent.on('error', () => resolve()).on('close', () => resolve());
      sent.write(Buffer.from(file.slice(0, -4), 'latin1'), () => sent.destroy());
    });
    expect((await upload({ bytes: fileOf(HEADS.png) })).status).toBe(201);
    expect(await countPieces()).toBe(before + 1);
  });
});

describe('media that are kept', () => {
  it('come back byte for byte, to be saved and never shown as a page', async () => {
    const bytes = fileOf(HEADS.mp4, 10 * MIB);
    const { id } = await newMedia({ bytes, name: '新品 (1)".mp4' });
    const { status, headers, body } = await download(`${appid}/media/${id}`);
    expect(status).toBe(200);
    expect(body.equals(bytes)).toBe(true);
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'video/mp4',
      'content-length': String(10 * MIB),
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    const disposition = headers.get('content-disposition') ?? '';
    expect(disposition).toMatch(
      /^attachment; filename="[\w.-]+\.mp4"; filename\*=UTF-8''[\w.%-]+$/,
    );
    expect(decodeURIComponent(disposition.split("''")[1] ?? '')).toMatch(/^新品 \(1\).*\.mp4$/);
  });

  it('lie in pieces that the smallest packet takes', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.mp4, 10 * MIB) });
    const pieces = await db().read.findBy(MediaPiece, { mediaId: id });
    expect(pieces.length).toBeGreaterThan(1);
    for (const { content } of pieces) expect(content.length).toBeLessThan(MIB - KIB);
  });

  it('are listed page by page, the newest first', async () => {
    const own = await newAccount('official_account');
    const made: string[] = [];
    for (let n = 0; n < 5; n++) {
      app.clock.advance(n === 2 ? 0 : 1_000);
      made.push((await newMedia({ bytes: fileOf(HEADS.png) }, own)).id);
    }
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '?limit=2' : `?limit=2&cursor=${cursor}`;
      const { body } = await app.api<{ items: MediaBody[]; nextCursor: string | null }>(
        'GET',
        `/accounts/${own}/media${query}`,
      );
      seen.push(...body.items.map(({ id }) => id));
      cursor = body.nextCursor;
    } while (cursor !== null);
    expect(seen.toSorted()).toEqual(made.toSorted());
    expect([seen[0], seen.at(-1)]).toEqual([made[4], made[0]]);
    const one = await app.api('GET', `/accounts/${own}/media/${seen[0]}`, undefined, {
      accept: '*/*',
    });
    expect(one).toMatchObject({ status: 200, body: { id: seen[0], format: 'png' } });
    expect(await app.api('GET', `/accounts/${own}/media?cursor=x`)).toMatchObject({ status: 400 });
  });

  it('are deleted once, with all of their pieces and copies', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    await idFor(id);
    const path = `/accounts/${appid}/media/${id}`;
    expect((await app.api('DELETE', path)).status).toBe(204);
    expect((await app.api('DELETE', path)).status).toBe(404);
    expect((await app.api('GET', path)).status).toBe(404);
    expect((await download(`${appid}/media/${id}`)).status).toBe(404);
    expect(await db().read.countBy(MediaPiece, { mediaId: id })).toBe(0);
    expect(await db().read.countBy(MediaUpload, { mediaId: id })).toBe(0);
    await expect(idFor(id)).rejects.toMatchObject({ code: 'media_not_found' });
  });

  it('are all gone with their account', async () => {
    const own = await newAccount('official_account');
    for (let n = 0; n < 12; n++) await newMedia({ bytes: fileOf(HEADS.png) }, own);
    const before = await countPieces();
    app.clock.advance(60_000);
    await app.sandbox.cancel(own).pushed;
    await app.settled();
    expect((await app.api('DELETE', `/accounts/${own}?confirm=${own}`)).status).toBe(204);
    expect(await countPieces()).toBe(before - 12);
  });

  it('are not kept for an account that goes while they come', async () => {
    const own = await newAccount('official_account');
    app.clock.advance(60_000);
    await app.sandbox.cancel(own).pushed;
    await app.settled();
    const before = await countPieces();
    const { app: nest } = app;
    /** The database, to which nobody writes before the account is gone. */
    const late = new Proxy(db(), {
      get: (target, name) =>
        name !== 'write'
          ? Reflect.get(target, name)
          : async (work: (tx: Tx) => Promise<unknown>) => {
              await app.api('DELETE', `/accounts/${own}?confirm=${own}`);
              return target.write(work);
            },
    });
    const media = new MediaService(
      late,
      nest.get(MediaRepository),
      nest.get(MediaUsers),
      nest.get(AccountsService),
      nest.get(AccountData),
      nest.get(Clock),
    );
    const file = Object.assign(new UploadedFile(), { name: '', bytes: fileOf(HEADS.png) });
    const making = media.create(OWNER, own, file, null);
    await expect(making).rejects.toMatchObject({ code: 'not_found' });
    expect(await countPieces()).toBe(before);
  });

  it("are one account's: elsewhere, and for another tenant, there are none of them", async () => {
    const foreign = await newAccount('official_account', 'brand-b');
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    const asB = await authorizationOf(app, 'admin', 'brand-b');
    const seen = async (path: string, method = 'GET') =>
      (await app.api(method, path, undefined, asB)).status;
    for (const path of [`/accounts/${appid}/media`, `/accounts/${foreign}/media`])
      for (const end of [`/${id}`, `/${id}/content`]) expect(await seen(path + end)).toBe(404);
    for (const owner of [appid, foreign])
      expect(await seen(`/accounts/${owner}/media/${id}`, 'DELETE')).toBe(404);
    const at = { bytes: fileOf(HEADS.png) };
    expect((await upload(at, appid, asB)).body.code).toBe('not_found');
    expect((await upload({ bytes: PROGRAM }, appid, asB)).status).toBe(404);
    expect((await app.api('GET', `/accounts/${appid}/media/${id}`)).status).toBe(200);
  });

  it('are for senders to make and delete, and for viewers to look at', async () => {
    const viewer = await authorizationOf(app, 'viewer', 'default');
    const sender = await authorizationOf(app, 'sender', 'default');
    const { body } = await upload({ bytes: fileOf(HEADS.png) }, appid, sender);
    const path = `/accounts/${appid}/media/${body.id}`;
    expect((await upload({ bytes: fileOf(HEADS.png) }, appid, viewer)).status).toBe(403);
    expect((await app.api('GET', path, undefined, viewer)).status).toBe(200);
    expect((await app.api('DELETE', path, undefined, viewer)).status).toBe(403);
    expect((await app.api('DELETE', path, undefined, sender)).status).toBe(204);
  });
});

const withToken = <T>(call: (token: string) => Promise<T>): Promise<T> =>
  app.app.get(TokensService).withToken(appid, call);

async function idFor(
  mediaId: string,
  kind: MediaBody['kind'] = 'image',
  { uploads = app.app.get<MediaUploads>(MediaUploads), of = appid, token = withToken } = {},
): Promise<string> {
  return uploads.idFor(await accountOf(of), mediaId, kind, token);
}

async function accountOf(of: string): Promise<Account> {
  const account = await app.app.get(AccountsService).find(of);
  if (!account) throw new Error('no account');
  return account;
}

/** What another process has in its memory. */
function otherProcess(): MediaUploads {
  const { app: nest } = app;
  return new MediaUploads(
    nest.get(Database),
    nest.get(MediaRepository),
    nest.get(MediaUploadsRepository),
    nest.get(WechatHttp),
    nest.get(AccountData),
    nest.get(Clock),
  );
}

describe("WeChat's copy", () => {
  const uploadsOf = (wechatId: string): Buffer | undefined => app.sandbox.mediaBytes.get(wechatId);

  it('is made when it is needed, of the same bytes, and once', async () => {
    const bytes = fileOf(HEADS.mp4, 10 * MIB);
    const { id } = await newMedia({ bytes });
    const before = app.sandbox.callsTo(UPLOAD);
    const ids = await Promise.all(Array.from({ length: 50 }, () => idFor(id, 'video')));
    expect(new Set(ids).size).toBe(1);
    expect(await idFor(id, 'video')).toBe(ids[0]);
    expect(app.sandbox.callsTo(UPLOAD)).toBe(before + 1);
    expect(uploadsOf(ids[0] ?? '')?.equals(bytes)).toBe(true);
  });

  it('is made anew an hour before WeChat forgets it', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    const first = await idFor(id);
    app.clock.advance(71 * HOUR_MS - 1);
    await app.sandbox.pushTicket();
    await app.settled();
    expect(await idFor(id)).toBe(first);
    app.clock.advance(1);
    const second = await idFor(id);
    expect(second).not.toBe(first);
    app.clock.advance(2 * HOUR_MS);
    expect(await idFor(id)).toBe(second);
    const [row] = await db().read.findBy(MediaUpload, { mediaId: id });
    expect(row).toMatchObject({ wechatMediaId: second, kind: 'image', appid });
  });

  it('is made anew when WeChat has called it unknown', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    const first = await idFor(id);
    await app.app.get(MediaUploads).forget(appid, id, first);
    const second = await idFor(id);
    expect(second).not.toBe(first);
    // Somebody else, who had the first one too.
    await app.app.get(MediaUploads).forget(appid, id, first);
    await app.app.get(MediaUploads).forget('wx0', id, second);
    expect(await idFor(id)).toBe(second);
  });

  it('may be made by two processes at once, and both are good', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    const ids = await Promise.all([idFor(id), idFor(id, 'image', { uploads: otherProcess() })]);
    for (const one of ids) expect(uploadsOf(one)).toBeDefined();
    const kept = await idFor(id);
    expect(ids).toContain(kept);
    expect(await idFor(id, 'image', { uploads: otherProcess() })).toBe(kept);
    expect(await db().read.countBy(MediaUpload, { mediaId: id })).toBe(1);
  });

  it('is one for each use: an image that is small enough is a thumb as well', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.jpeg) });
    const [image, thumb] = [await idFor(id), await idFor(id, 'thumb')];
    expect(image).not.toBe(thumb);
    expect([await idFor(id), await idFor(id, 'thumb')]).toEqual([image, thumb]);
  });

  it.each([
    ['a large image as a thumb', fileOf(HEADS.jpeg, 65 * KIB), 'thumb', 'media_too_large'],
    ['a PNG as a thumb', fileOf(HEADS.png), 'thumb', 'media_format'],
    ['an image as a video', fileOf(HEADS.png), 'video', 'media_format'],
  ] as const)('is not made of %s', async (_case, bytes, kind, code) => {
    const { id } = await newMedia({ bytes });
    const before = app.sandbox.callsTo(UPLOAD);
    await expect(idFor(id, kind)).rejects.toMatchObject({
      code: 'media_not_usable',
      fields: [{ field: 'mediaId', code }],
    });
    expect(app.sandbox.callsTo(UPLOAD)).toBe(before);
  });

  it("is not made for another account, nor of another account's", async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    await idFor(id);
    for (const mediaId of [id, 'unknown'])
      await expect(idFor(mediaId, 'image', { of: miniProgram })).rejects.toMatchObject({
        code: 'media_not_found',
      });
    const other = await newMedia({ bytes: fileOf(HEADS.png) }, miniProgram);
    await expect(idFor(other.id, 'voice', { of: miniProgram })).rejects.toMatchObject({
      code: 'media_not_usable',
      fields: [{ code: 'media_kind_not_supported' }],
    });
  });

  it('that cannot be made is tried again by the next who needs it', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    app.sandbox.faults.add({ path: UPLOAD, kind: 'errcode', errcode: 45009 });
    const account = await accountOf(appid);
    const uploads = app.app.get(MediaUploads);
    const outcomes = await Promise.allSettled(
      [1, 2].map(() => uploads.idFor(account, id, 'image', withToken)),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(outcomes[0]).toMatchObject({ reason: { errcode: 45009 } });
    app.sandbox.faults.add({ path: UPLOAD, kind: 'reset' });
    await expect(idFor(id)).rejects.toMatchObject({ name: 'WechatUnavailableError' });
    expect(uploadsOf(await idFor(id))).toBeDefined();
  });

  it('goes up with a new token when WeChat calls the old one stale', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    app.sandbox.faults.add({ path: UPLOAD, kind: 'errcode', errcode: 40001 });
    expect(uploadsOf(await idFor(id))).toBeDefined();
  });

  it('of a file that is deleted meanwhile is not written down', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.png) });
    const wechatId = await idFor(id, 'image', {
      token: async (call) => {
        await app.api('DELETE', `/accounts/${appid}/media/${id}`);
        return withToken(call);
      },
    });
    expect(uploadsOf(wechatId)).toBeDefined();
    expect(await db().read.countBy(MediaUpload, { mediaId: id })).toBe(0);
  });
});

describe('MediaService', () => {
  it('finds a file by its account and id, and nothing by another account', async () => {
    const { id } = await newMedia({ bytes: fileOf(HEADS.amr) });
    const media = app.app.get(MediaService);
    expect(await media.find(appid, id)).toMatchObject({ id, kind: 'voice', format: 'amr' });
    expect(await media.find(miniProgram, id)).toBeNull();
  });
});
