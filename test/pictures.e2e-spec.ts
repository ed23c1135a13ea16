import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startApp, type TestApp } from './app.js';
import { begin } from './helpers.js';
import { until } from './until.js';

interface Pictures {
  avatarUrl: string;
  qrcodeUrl: string;
}

const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex');
const JPEG = Buffer.from('ffd8ffe000104a464946', 'hex');

let app: TestApp;
let serial = 0;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

/** An account whose pictures are at these paths of WeChat's. */
async function authorized(avatar: string, qrcode = ''): Promise<string> {
  const appid = `wx${(0x71c7e000000 + ++serial).toString(16).padStart(16, '0')}`;
  app.sandbox.addAccount({ appid, headImg: avatar, qrcodeUrl: qrcode });
  const { preAuthCode } = await begin(app);
  await app.sandbox.authorize({ appid, preAuthCode }).pushed;
  await app.settled();
  return appid;
}

const picturesOf = async (appid: string): Promise<Pictures> =>
  (await app.api<Pictures>('GET', `/accounts/${appid}`)).body;
const isOurs = (url: string): boolean => /^http:\/\/channel\.test\/pictures\/[\w-]{43}$/.test(url);

async function show(
  address: string,
): Promise<{ status: number; type: string | null; body: Buffer }> {
  const response = await fetch(app.url + new URL(address).pathname);
  const body = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get('content-type'), body };
}

/** No copying is under way or waits for its turn. */
const settled = (appid: string): Promise<void> =>
  until(async () => {
    const path = '/work?kind=copy-account-picture&limit=200';
    const { body } = await app.api<{ items: { appid: string }[] }>('GET', path);
    return !body.items.some((work) => work.appid === appid);
  });

describe('the pictures of an account', () => {
  it('are copied when it is authorized, and shown under addresses that nobody can guess', async () => {
    app.sandbox.pictures.set('/mmopen/a/0', { contentType: 'text/plain', body: PNG });
    app.sandbox.pictures.set('/mmbiz_png/a/0', { contentType: 'image/png', body: JPEG });
    const appid = await authorized('/mmopen/a/0', '/mmbiz_png/a/0');
    await until(async () => isOurs((await picturesOf(appid)).qrcodeUrl));
    await settled(appid);
    const { avatarUrl, qrcodeUrl } = await picturesOf(appid);
    expect(isOurs(avatarUrl)).toBe(true);
    // By what they are, not by what WeChat's server calls them.
    expect(await show(avatarUrl)).toEqual({ status: 200, type: 'image/png', body: PNG });
    expect(await show(qrcodeUrl)).toEqual({ status: 200, type: 'image/jpeg', body: JPEG });
  });

  it('can be kept by a browser for a day and shown on other pages, but be nothing else', async () => {
    app.sandbox.pictures.set('/mmopen/b/0', { contentType: 'image/png', body: PNG });
    const appid = await authorized('/mmopen/b/0');
    await until(async () => isOurs((await picturesOf(appid)).avatarUrl));
    const { avatarUrl } = await picturesOf(appid);
    const { headers } = await fetch(app.url + new URL(avatarUrl).pathname);
    expect(Object.fromEntries(headers)).toMatchObject({
      'cache-control': 'public, max-age=86400, immutable',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringContaining("default-src 'none'"),
    });
    expect((await show(`${avatarUrl}x`)).status).toBe(404);
  });

  it('are copied again when WeChat shows others, under another address', async () => {
    app.sandbox.pictures.set('/mmopen/c/0', { contentType: 'image/png', body: PNG });
    app.sandbox.pictures.set('/mmopen/c/1', { contentType: 'image/png', body: JPEG });
    const appid = await authorized('/mmopen/c/0');
    await until(async () => isOurs((await picturesOf(appid)).avatarUrl));
    const former = (await picturesOf(appid)).avatarUrl;
    app.sandbox.account(appid).headImg = '/mmopen/c/1';
    await app.api('POST', '/accounts/sync');
    await until(async () => (await picturesOf(appid)).avatarUrl !== former);
    const { avatarUrl } = await picturesOf(appid);
    expect((await show(avatarUrl)).body).toEqual(JPEG);
    expect((await show(former)).status).toBe(404);
    app.sandbox.account(appid).headImg = '';
    await app.api('POST', '/accounts/sync');
    expect((await picturesOf(appid)).avatarUrl).toBe('');
    expect((await show(avatarUrl)).status).toBe(404);
  });

  it('stay as they were while WeChat does not show the new one', async () => {
    app.sandbox.pictures.set('/mmopen/d/0', { contentType: 'image/png', body: PNG });
    app.sandbox.pictures.set('/mmopen/d/1', { status: 404, contentType: 'text/html', body: PNG });
    const appid = await authorized('/mmopen/d/0');
    await until(async () => isOurs((await picturesOf(appid)).avatarUrl));
    const { avatarUrl } = await picturesOf(appid);
    app.sandbox.account(appid).headImg = '/mmopen/d/1';
    await app.api('POST', '/accounts/sync');
    await settled(appid);
    expect((await picturesOf(appid)).avatarUrl).toBe(avatarUrl);
  });

  it.each([
    ['no picture', { contentType: 'image/png', body: Buffer.from('<html>hot link</html>') }],
    [
      'an SVG, which may hold scripts',
      { contentType: 'image/svg+xml', body: Buffer.from('<svg/>') },
    ],
    [
      'larger than a MiB',
      { contentType: 'image/png', body: Buffer.concat([PNG, Buffer.alloc(1024 * 1024)]) },
    ],
    [
      'elsewhere now',
      {
        status: 302,
        headers: { location: '/mmopen/a/0' },
        contentType: 'image/png',
        body: PNG,
      },
    ],
    ['gone', { status: 404, contentType: 'image/png', body: PNG }],
  ])('are not copied when what comes is %s', async (_case, picture) => {
    const path = `/mmopen/odd-${++serial}/0`;
    app.sandbox.pictures.set(path, picture);
    const appid = await authorized(path);
    await settled(appid);
    expect((await picturesOf(appid)).avatarUrl).toBe(app.sandbox.url + path);
  });

  it('are tried again when WeChat is away for a moment', async () => {
    app.sandbox.pictures.set('/mmopen/e/0', { status: 503, contentType: 'text/html', body: PNG });
    const appid = await authorized('/mmopen/e/0');
    const failed = async (): Promise<boolean> => {
      const path = '/work?kind=copy-account-picture&limit=200';
      const { body } = await app.api<{ items: { appid: string; failure: string | null }[] }>(
        'GET',
        path,
      );
      return body.items.some((work) => work.appid === appid && work.failure !== null);
    };
    await until(failed);
    app.sandbox.pictures.set('/mmopen/e/0', { contentType: 'image/png', body: PNG });
    app.clock.advance(60_000);
    await until(async () => isOurs((await picturesOf(appid)).avatarUrl));
    expect((await show((await picturesOf(appid)).avatarUrl)).body).toEqual(PNG);
  });

  it('are fetched from WeChat’s servers only', async () => {
    const appid = await authorized('http://169.254.169.254/latest/meta-data');
    await settled(appid);
    // Shown as WeChat gives it; a browser may look.
    expect((await picturesOf(appid)).avatarUrl).toBe('http://169.254.169.254/latest/meta-data');
    const { body } = await app.api<{ items: object[] }>('GET', `/work?kind=copy-account-picture`);
    expect(body.items).toEqual([]);
  });

  it('are on the page that the administrator lands on', async () => {
    app.sandbox.pictures.set('/mmopen/f/0', { contentType: 'image/png', body: PNG });
    const appid = await authorized('/mmopen/f/0');
    await until(async () => isOurs((await picturesOf(appid)).avatarUrl));
    const { avatarUrl } = await picturesOf(appid);
    const { preAuthCode, launchUrl } = await begin(app);
    await app.sandbox.authorize({ appid, preAuthCode, permissionIds: [1, 2] }).pushed;
    await app.settled();
    expect((await app.page(launchUrl)).text).toContain(`src="${avatarUrl}"`);
  });
});
