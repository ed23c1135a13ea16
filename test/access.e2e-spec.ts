import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { type Role, ROLES } from '../src/access/roles.js';
import { startApp, type TestApp } from './app.js';
import { makeKey } from './helpers.js';

let app: TestApp;
const keys = new Map<Role, string>();

beforeAll(async () => {
  app = await startApp();
  for (const role of ROLES) {
    const { key } = await makeKey(app, { name: role, role, tenantId: 'brand-a' });
    keys.set(role, key);
  }
});
afterAll(() => app.stop());

describe('every route', () => {
  it('refuses a caller before it reads the body', async () => {
    const answer = await app.api('POST', '/authorizations', '{ not json', {
      authorization: `Bearer ${keys.get('viewer')}`,
    });
    expect(answer).toMatchObject({ status: 403, body: { code: 'role_too_small' } });
    expect(await app.api('POST', '/authorizations', '{', { authorization: '' })).toMatchObject({
      status: 401,
    });
  });
});

describe('an address that leads nowhere', () => {
  const nowhere = [
    'a'.repeat(101),
    'a'.repeat(4_000),
    '%ff',
    '%',
    '%zz',
    'a%2',
    '%25ff',
    'a%c3%28b',
  ];
  const ask = async (path: string, key?: string) => {
    const response = await fetch(app.url + path, {
      headers: { 'x-request-id': 'trace-9', ...(key && { authorization: `Bearer ${key}` }) },
    });
    return { response, text: await response.text() };
  };

  it('is not found by whoever may look, however long or badly written it is', async () => {
    for (const id of nowhere) {
      const { response, text } = await ask(`/api/v1/accounts/${id}`, keys.get('viewer'));
      expect([id.slice(0, 9), response.status]).toEqual([id.slice(0, 9), 404]);
      expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
      expect(JSON.parse(text)).toMatchObject({ code: 'not_found', requestId: 'trace-9' });
      expect((await ask(`/api/v1/accounts/${id}`)).response.status).toBe(401);
    }
  });

  it('says nothing to whoever pushes to it', async () => {
    for (const id of nowhere) {
      const { response, text } = await ask(`/wechat/receipts/${id}`);
      expect([id.slice(0, 9), response.status, text]).toEqual([id.slice(0, 9), 404, '']);
    }
  });

  it('is a page that says so to a person', async () => {
    const { response, text } = await ask(`/authorize/${'a'.repeat(101)}`);
    expect(response.status).toBe(404);
    expect(text).toContain('<!doctype html>');
  });
});

describe('X-Tenant-Id', () => {
  const tenant = (role: Role, id: string) =>
    app.api('GET', '/accounts', undefined, {
      authorization: `Bearer ${keys.get(role)}`,
      'x-tenant-id': id,
    });

  it('is for owners; others may name their own', async () => {
    expect((await tenant('owner', 'brand-b')).status).toBe(200);
    expect((await tenant('admin', 'brand-a')).status).toBe(200);
    expect((await tenant('admin', 'brand-b')).status).toBe(403);
  });

  it('has a form', async () => {
    expect(await tenant('owner', 'Brand B')).toMatchObject({
      status: 400,
      body: { code: 'invalid_header' },
    });
  });
});

describe('problems', () => {
  it('are RFC 9457, in Chinese unless English is asked for', async () => {
    const zh = await app.api('GET', '/accounts/wx0');
    expect(zh.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(zh.body).toEqual({
      type: 'urn:wechat-channel:problem:not_found',
      title: '未找到',
      status: 404,
      detail: expect.stringContaining('请检查'),
      code: 'not_found',
      instance: '/api/v1/accounts/wx0',
      requestId: zh.headers.get('x-request-id'),
    });
    const en = await app.api('GET', '/accounts/wx0', undefined, {
      'accept-language': 'en-US,en;q=0.9',
    });
    expect(en.body).toMatchObject({ title: 'Not found' });
    const browser = await app.api('GET', '/accounts/wx0', undefined, {
      'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8',
    });
    expect(browser.body).toMatchObject({ title: '未找到' });
  });

  it('echo a request id that is fit to stand in a log, and make one otherwise', async () => {
    const echoed = await app.api('GET', '/accounts', undefined, { 'x-request-id': 'trace-42' });
    expect(echoed.headers.get('x-request-id')).toBe('trace-42');
    const made = await app.api('GET', '/accounts', undefined, { 'x-request-id': 'a b{}' });
    expect(made.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each([
    ['an unknown route', 'GET', '/nothing', undefined, {}, 404, 'not_found'],
    ['a wrong method', 'DELETE', '/accounts', undefined, {}, 404, 'not_found'],
    [
      'another Content-Type',
      'POST',
      '/authorizations',
      'a=1',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_media_type',
    ],
    [
      'a body over 256 KiB',
      'POST',
      '/authorizations',
      `"${'x'.repeat(262_144)}"`,
      {},
      413,
      'body_too_large',
    ],
  ])('for %s', async (_case, method, path, body, headers, status, code) => {
    expect(await app.api(method, path, body, headers)).toMatchObject({ status, body: { code } });
  });

  it.each([
    ['that is no JSON', '{', {}, 400, 'malformed_body'],
    [
      'of another Content-Type',
      'a=1',
      { 'content-type': 'text/plain' },
      415,
      'unsupported_media_type',
    ],
    [
      'that is a form',
      '--x--',
      { 'content-type': 'multipart/form-data; boundary=x' },
      415,
      'unsupported_media_type',
    ],
  ])('say of a body %s only where there is something to read it', async (...given) => {
    const [, body, headers, status, code] = given;
    const notThere = { status: 404, body: { code: 'not_found' } };
    const path = '/accounts/wx00000000deadbeef';
    expect(await app.api('POST', `${path}/messages`, body, headers)).toMatchObject(notThere);
    expect(await app.api('PUT', `${path}/openid-property`, body, headers)).toMatchObject(notThere);
    const key = { ...headers, 'idempotency-key': `unreadable ${code} ${body}` };
    for (const again of [headers, key, key])
      expect(await app.api('POST', '/webhooks', body, again)).toMatchObject({
        status,
        body: { code },
      });
    // It was not taken: the same key is free for a body that can be read.
    const read = await app.api(
      'POST',
      '/webhooks',
      {},
      { 'idempotency-key': key['idempotency-key'] },
    );
    expect(read).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
  });
});

describe('/health', () => {
  it('is open, and says in words what is missing', async () => {
    expect(await (await fetch(`${app.url}/health/live`)).json()).toEqual({ status: 'ok' });
    const ready = await fetch(`${app.url}/health/ready`, { headers: { 'accept-language': 'en' } });
    expect(ready.status).toBe(200);
    expect(await ready.json()).toEqual({
      status: 'ready',
      database: 'up',
      component: { ticket: 'fresh', accessToken: expect.stringMatching(/fresh|missing/) },
      missing: ['PUBLIC_URL is not https. Put a certificate in front.'],
    });
  });
});
