import {
  createServer,
  type IncomingHttpHeaders,
  type RequestListener,
  type Server,
} from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import { WechatApiError, WechatUnavailableError } from './errors.js';
import { type WechatCall, WechatHttp } from './http.js';

const ACCESS_TOKEN = '70_accessTokenThatMustNotLeak';
const SECRET = 'appSecretThatMustNotLeak00';
const PATH = '/cgi-bin/component/api_query_auth';

let server: Server | undefined;
let http: WechatHttp | undefined;
const calls: WechatCall[] = [];

async function serve(
  listener: RequestListener,
  options: { timeoutMs?: number; maxBytes?: number } = {},
): Promise<WechatHttp> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  http = new WechatHttp({
    baseUrl: `http://127.0.0.1:${port}`,
    onCall: (call) => calls.push(call),
    ...options,
  });
  return http;
}

afterEach(async () => {
  calls.length = 0;
  server?.closeAllConnections();
  await http?.close();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  server = undefined;
});

const ask = (client: WechatHttp): Promise<unknown> =>
  client
    .post(
      PATH,
      { component_appid: 'wx0c0ffee0c0ffee00', secret: SECRET },
      { accessToken: ACCESS_TOKEN },
    )
    .catch((error: unknown) => error);

/** Everything that an error shows, its stack and causes too. */
const everythingOf = (error: unknown): string =>
  error instanceof Error
    ? `${error.stack} ${JSON.stringify(error)} ${JSON.stringify(Object.getOwnPropertyNames(error))} ${everythingOf(error.cause)}`
    : '';

describe('WechatHttp', () => {
  it('posts JSON in plain UTF-8 with the token in the query, and reads JSON whatever it is called', async () => {
    let seen = {};
    const client = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen = {
          method: request.method,
          url: request.url,
          type: request.headers['content-type'],
          body: Buffer.concat(chunks).toString(),
        };
        response
          .setHeader('content-type', 'text/plain')
          .end('{"errcode":0,"msgid":2899166829348376577}');
      });
    });
    const answer = await client.post('/cgi-bin/x', { content: '你好' }, { accessToken: 'a+b' });
    expect(seen).toEqual({
      method: 'POST',
      url: '/cgi-bin/x?access_token=a%2Bb',
      type: 'application/json; charset=utf-8',
      body: '{"content":"你好"}',
    });
    expect(answer).toEqual({ errcode: 0, msgid: '2899166829348376577' });
    expect(calls).toEqual([{ path: '/cgi-bin/x', errcode: 0, durationMs: expect.any(Number) }]);
  });

  it('gets with a query', async () => {
    const client = await serve((request, response) =>
      response.end(JSON.stringify({ url: request.url })),
    );
    expect(await client.get('/cgi-bin/y', { a: '1' }, { accessToken: 't' })).toEqual({
      url: '/cgi-bin/y?a=1&access_token=t',
    });
  });

  it('throws a refusal with its rid, without the secrets that WeChat repeats', async () => {
    const client = await serve((_request, response) =>
      response.end(
        JSON.stringify({
          errcode: 40001,
          errmsg: `invalid ${ACCESS_TOKEN} ${SECRET} rid: 6743a1c2-0a1b2c3d-4e5f6a7b`,
        }),
      ),
    );
    const error = await ask(client);
    expect(error).toBeInstanceOf(WechatApiError);
    expect(error).toMatchObject({
      errcode: 40001,
      errmsg: 'invalid *** ***',
      rid: '6743a1c2-0a1b2c3d-4e5f6a7b',
      path: PATH,
      errorClass: 'token_stale',
    });
    expect(everythingOf(error)).not.toMatch(/MustNotLeak/);
    expect(calls).toMatchObject([{ errcode: 40001 }]);
  });

  it.each<[string, RequestListener, string]>([
    ['HTTP 500', (_q, r) => r.writeHead(500).end('oops'), 'http_status'],
    ['a redirect', (_q, r) => r.writeHead(302, { location: '/elsewhere' }).end(), 'http_status'],
    ['HTML', (_q, r) => r.end('<html></html>'), 'not_json'],
    ['a list', (_q, r) => r.end('[]'), 'not_json'],
    ['nothing', (_q, r) => r.end(), 'not_json'],
    ['more than the limit', (_q, r) => r.end(`{"a":"${'x'.repeat(5000)}"}`), 'too_large'],
    ['a broken connection', (_q, r) => r.destroy(), 'reset'],
    [
      'half an answer',
      (_q, r) => {
        r.writeHead(200, { 'content-length': '100' }).write('{"a"');
        setImmediate(() => r.destroy());
      },
      'reset',
    ],
    ['silence', () => undefined, 'timeout'],
    [
      'an answer that drips',
      (_q, r) => {
        r.write('{');
        const drip = setInterval(() => r.write(' '), 20);
        r.on('close', () => clearInterval(drip));
      },
      'timeout',
    ],
  ])(
    'calls %s unavailable, as something that may have been done',
    async (_case, listener, failure) => {
      const client = await serve(listener, { timeoutMs: 150, maxBytes: 1000 });
      const error = await ask(client);
      expect(error).toBeInstanceOf(WechatUnavailableError);
      expect(error).toMatchObject({ failure, maybeApplied: true, path: PATH });
      expect(everythingOf(error)).not.toMatch(/MustNotLeak|access_token/);
      expect(calls).toMatchObject([{ path: PATH, errcode: null }]);
    },
  );

  it('knows that a refused connection did nothing', async () => {
    const client = await serve((_request, response) => response.end('{}'));
    await new Promise((resolve) => server?.close(resolve));
    const error = await ask(client);
    expect(error).toMatchObject({
      failure: 'connect',
      reason: 'ECONNREFUSED',
      maybeApplied: false,
    });
    expect(everythingOf(error)).not.toMatch(/MustNotLeak/);
  });

  it('gives back the answer of a refusal that the caller wants to read', async () => {
    const client = await serve((_request, response) =>
      response.end('{"errcode":45065,"errmsg":"exists","msg_id":3147483704123456789}'),
    );
    expect(await client.post(PATH, { a: 1 }, { accepts: [45065] })).toMatchObject({
      errcode: 45065,
      msg_id: '3147483704123456789',
    });
    expect(calls).toMatchObject([{ errcode: 45065 }]);
    await expect(client.post(PATH, { a: 1 }, { accepts: [45066] })).rejects.toThrow(WechatApiError);
  });

  it.each(['image/jpeg', 'text/plain', 'application/json'])(
    'tells a file from a refusal by what it says, also where WeChat calls it %s',
    async (contentType) => {
      const picture = Buffer.from('\xff\xd8\xff\xe0 not { UTF-8 \xfe', 'latin1');
      let answer: Buffer | string = picture;
      const client = await serve((_request, response) =>
        response.setHeader('content-type', contentType).end(answer),
      );
      const fetchFile = () => client.postForBytes(PATH, { scene: 'a' }, { accessToken: 't' });
      expect(await fetchFile()).toEqual(picture);
      answer = '\n{"errcode":41030,"errmsg":"invalid page rid: 6743a1c2-0a1b2c3d-4e5f6a7b"}';
      await expect(fetchFile()).rejects.toMatchObject({
        errcode: 41030,
        errmsg: 'invalid page',
        rid: '6743a1c2-0a1b2c3d-4e5f6a7b',
      });
      expect(calls).toMatchObject([{ errcode: 0 }, { errcode: 41030 }]);
      answer = '{"errcode":0,"errmsg":"ok"}';
      await expect(fetchFile()).rejects.toMatchObject({ failure: 'bad_answer' });
      answer = '{"errcode":41030';
      await expect(fetchFile()).rejects.toMatchObject({ failure: 'not_json' });
    },
  );

  it('reads a file with the same limits', async () => {
    const client = await serve(
      (request, response) => {
        if (request.url === '/large') response.end(Buffer.alloc(5000, 0xff));
      },
      { timeoutMs: 150, maxBytes: 1000 },
    );
    await expect(client.postForBytes('/large', { a: 1 })).rejects.toMatchObject({
      failure: 'too_large',
    });
    await expect(client.postForBytes('/silence', { a: 1 })).rejects.toMatchObject({
      failure: 'timeout',
    });
  });

  it('uploads a form of an announced length, and ends it in time', async () => {
    let headers: IncomingHttpHeaders = {};
    const client = await serve((request, response) => {
      ({ headers } = request);
      request.resume();
      request.on('end', () => {
        if (request.url?.startsWith('/slow') === false) response.end('{"media_id":"M"}');
      });
    });
    const file = { fileName: 'media.png', contentType: 'image/png', bytes: Buffer.alloc(100_000) };
    expect(
      await client.upload('/upload', { type: 'image' }, file, { accessToken: ACCESS_TOKEN }),
    ).toEqual({ media_id: 'M' });
    expect(Number(headers['content-length'])).toBeGreaterThan(100_000);
    expect(headers['transfer-encoding']).toBeUndefined();
    const late = await client
      .upload('/slow', {}, file, { accessToken: ACCESS_TOKEN, timeoutMs: 50 })
      .catch((error: unknown) => error);
    expect(late).toMatchObject({ failure: 'timeout', maybeApplied: true });
    expect(everythingOf(late)).not.toContain(ACCESS_TOKEN);
  });
});
