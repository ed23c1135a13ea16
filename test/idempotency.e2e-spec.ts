import { createHash, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Body, Controller, HttpCode, Post, StreamableFile } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { IsInt } from 'class-validator';

import { AuditEntry } from '../src/access/audit-entry.entity.js';
import { RequireRole } from '../src/access/roles.js';
import { AppError } from '../src/common/app-error.js';
import { ShownOnce, WithoutIdempotency } from '../src/common/route-config.js';
import { Authorization } from '../src/component-authorization/authorization.entity.js';
import { Database } from '../src/database/database.js';
import { Idempotency } from '../src/idempotency/idempotency.service.js';
import { IdempotentAnswer } from '../src/idempotency/idempotent-answer.entity.js';
import { type Answer, OWNER_KEY, startApp, type TestApp } from './app.js';
import { until } from './until.js';

const DAY_MS = 86_400_000;
const AUTHORIZATION = { accountType: 'any' };

/** How often each route has run, and what keeps the slow one from ending. */
const runs = { slow: 0, secret: 0, failing: 0, refused: 0, empty: 0, streamed: 0 };
let gate: Promise<void> = Promise.resolve();

class CountDto {
  @IsInt()
  count: number;
}

@Controller('api/v1/tests')
class TestController {
  @Post('slow')
  @RequireRole('owner')
  async slow(@Body() body: object): Promise<object> {
    runs.slow += 1;
    await gate;
    return { ran: runs.slow, body };
  }

  @Post('secret')
  @ShownOnce('key')
  @RequireRole('owner')
  secret(@Body() { count }: CountDto): object {
    runs.secret += 1;
    return { id: `id-${count}`, key: 'the-secret', made: [{ key: 'another-secret', name: 'n' }] };
  }

  @Post('failing')
  @RequireRole('owner')
  failing(): object {
    runs.failing += 1;
    throw new Error('half way');
  }

  @Post('refused')
  @RequireRole('owner')
  refused(): object {
    runs.refused += 1;
    throw new AppError('push_not_parked');
  }

  @Post('empty')
  @HttpCode(204)
  @RequireRole('viewer')
  empty(): void {
    runs.empty += 1;
  }

  @Post('streamed')
  @RequireRole('owner')
  @WithoutIdempotency()
  streamed(): StreamableFile {
    runs.streamed += 1;
    return new StreamableFile(Readable.from(['{"a":', `${runs.streamed}}`]));
  }
}

let app: TestApp;
let db: Database;

beforeAll(async () => {
  app = await startApp({ controllers: [TestController], env: { LEASE_SECONDS: '1' } });
  db = app.app.get(Database);
});
afterAll(() => app.stop());
afterEach(() => {
  gate = Promise.resolve();
});

function post(
  path: string,
  key: string,
  body: unknown = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  return app.api('POST', path, body, { 'idempotency-key': key, ...headers });
}

function newKey(): string {
  return `key ${randomUUID()}`;
}

/** Of the owner that names no tenant. */
function rowId(key: string): string {
  return createHash('sha256').update(`default\n${key}`).digest('hex');
}

const findRow = (key: string): Promise<IdempotentAnswer> =>
  db.read.findOneByOrFail(IdempotentAnswer, { id: rowId(key) });

function isReplayed({ headers }: Answer): boolean {
  return headers.get('idempotency-replayed') === 'true';
}

function closeGate(): () => void {
  let open = (): void => undefined;
  gate = new Promise((resolve) => (open = resolve));
  return open;
}

const countAuthorizations = (): Promise<number> => db.read.count(Authorization);

describe('an Idempotency-Key', () => {
  it('makes one authorization of fifty equal requests at once', async () => {
    const [before, key] = [await countAuthorizations(), newKey()];
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post('/authorizations', key, AUTHORIZATION)),
    );
    expect(await countAuthorizations()).toBe(before + 1);
    const made = answers.filter(({ status }) => status === 201);
    expect(made.filter((answer) => !isReplayed(answer))).toHaveLength(1);
    for (const { body } of made) expect(body).toEqual(made[0]?.body);
    const others = answers.filter(({ status }) => status !== 201);
    expect(others.length).toBeGreaterThan(0);
    for (const { status, body, headers } of others) {
      expect({ status, code: body['code'] }).toEqual({
        status: 409,
        code: 'idempotency_key_in_progress',
      });
      expect(headers.get('retry-after')).toBe('1');
    }
  });

  it('answers the first answer again, whatever the order of the fields', async () => {
    const [before, key] = [await countAuthorizations(), newKey()];
    const body = { accountType: 'any', openidProperty: `p-${randomUUID()}` };
    const first = await post('/authorizations', key, body);
    const again = await post('/authorizations', key, {
      openidProperty: body.openidProperty,
      accountType: 'any',
    });
    expect(await countAuthorizations()).toBe(before + 1);
    expect([first.status, isReplayed(first)]).toEqual([201, false]);
    expect([again.status, isReplayed(again)]).toEqual([201, true]);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'));
    expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  });

  it('is refused with another body or address, also while the first runs', async () => {
    const key = newKey();
    const open = closeGate();
    const first = post('/tests/slow', key, { a: 1 });
    await until(() => runs.slow === 1);
    const other = { status: 422, body: { code: 'idempotency_key_reused' } };
    expect(await post('/tests/slow', key, { a: 2 })).toMatchObject(other);
    open();
    expect((await first).status).toBe(201);
    expect(await post('/tests/slow', key, { a: 2 })).toMatchObject(other);
    expect(await post('/tests/slow?x=1', key, { a: 1 })).toMatchObject(other);
    expect(await post('/tests/empty', key, { a: 1 })).toMatchObject(other);
    expect(await post('/tests/slow', key, { a: 1 })).toMatchObject({ status: 201 });
    expect(runs.slow).toBe(1);
  });

  it("is a tenant's own", async () => {
    const [before, key] = [await countAuthorizations(), newKey()];
    for (const tenant of ['brand-a', 'brand-b', 'brand-a']) {
      const headers = { 'x-tenant-id': tenant };
      expect((await post('/authorizations', key, AUTHORIZATION, headers)).status).toBe(201);
    }
    expect(await countAuthorizations()).toBe(before + 2);
  });

  it('is not one for an owner that names the tenant and one that reads them all', async () => {
    const key = newKey();
    expect((await post('/tests/empty', key)).status).toBe(204);
    expect(await post('/tests/empty', key, {}, { 'x-tenant-id': 'default' })).toMatchObject({
      status: 422,
    });
  });

  it('is as new after 24 hours, also with another body', async () => {
    const key = newKey();
    const runsBefore = runs.secret;
    await post('/tests/secret', key, { count: 1 });
    app.clock.advance(DAY_MS - 1);
    expect(isReplayed(await post('/tests/secret', key, { count: 1 }))).toBe(true);
    app.clock.advance(1);
    const anew = await post('/tests/secret', key, { count: 2 });
    expect([anew.status, isReplayed(anew), anew.body['id']]).toEqual([201, false, 'id-2']);
    expect(runs.secret).toBe(runsBefore + 2);
  });

  it.each([
    ['empty', ''],
    ['256 characters long', 'k'.repeat(256)],
    ['not printable', 'caf\u00e9'],
  ])('is refused when it is %s', async (_case, key) => {
    expect(await post('/tests/empty', key)).toMatchObject({
      status: 400,
      body: { code: 'invalid_header' },
    });
  });

  it('may have 255 characters', async () => {
    expect((await post('/tests/empty', '~'.repeat(255))).status).toBe(204);
  });

  it('means nothing to a GET, an unknown route, or a route without it', async () => {
    const headers = { 'idempotency-key': newKey() };
    expect((await app.api('GET', '/accounts', undefined, headers)).status).toBe(200);
    expect((await app.api('POST', '/nothing', {}, headers)).status).toBe(404);
    const bodies = [await post('/tests/streamed', 'k'), await post('/tests/streamed', 'k')];
    expect(bodies.map(({ body }) => body)).toEqual([{ a: 1 }, { a: 2 }]);
    expect(await db.read.countBy(IdempotentAnswer, { answer: '' })).toBe(0);
  });

  it('stands in the document of every POST that takes it', async () => {
    const { paths } = (await (await fetch(`${app.url}/docs-json`)).json()) as {
      paths: Record<string, { post?: { parameters?: { name: string }[] } }>;
    };
    const posts = Object.entries(paths).filter(([, { post: operation }]) => operation);
    const without = posts
      .filter(([, { post: operation }]) =>
        (operation?.parameters ?? []).every(({ name }) => name !== 'Idempotency-Key'),
      )
      .map(([path]) => path);
    expect(without).toEqual(['/api/v1/tests/streamed']);
  });
});

describe('what is kept', () => {
  it('is no request that was refused before it ran', async () => {
    const before = await db.read.count(IdempotentAnswer);
    const key = newKey();
    const wrong: [unknown, Record<string, string>, number][] = [
      [{ count: 'x' }, {}, 422],
      ['{', {}, 400],
      [{ count: 1 }, { authorization: 'Bearer wrong' }, 401],
      [{ count: 1 }, { 'x-tenant-id': 'Brand A' }, 400],
    ];
    for (const [body, headers, status] of wrong)
      expect((await post('/tests/secret', key, body, headers)).status).toBe(status);
    expect(await db.read.count(IdempotentAnswer)).toBe(before);
    const right = await post('/tests/secret', key, { count: 1 });
    expect([right.status, isReplayed(right)]).toEqual([201, false]);
  });

  it('is no request about what is not there', async () => {
    const before = await db.read.count(IdempotentAnswer);
    for (const appid of ['wx00000000000000ff', 'x'.repeat(33), encodeURIComponent('账号')])
      expect((await post(`/accounts/${appid}/disable`, newKey())).status).toBe(404);
    expect(await db.read.count(IdempotentAnswer)).toBe(before);
  });

  it.each([
    ['failing', 500, 'internal_error'],
    ['refused', 409, 'push_not_parked'],
  ] as const)('is an answer of %s, %i, all the same', async (route, status, code) => {
    const key = newKey();
    const first = await post(`/tests/${route}`, key);
    const again = await post(`/tests/${route}`, key, {}, { 'accept-language': 'en' });
    expect(first).toMatchObject({ status, body: { code } });
    expect(again.body).toEqual(first.body);
    expect(again.status).toBe(status);
    expect(again.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(again.headers.get('content-language')).toBe('zh-CN');
    expect(runs[route]).toBe(1);
  });

  it('is an answer without a body', async () => {
    const [key, before] = [newKey(), runs.empty];
    await post('/tests/empty', key);
    const again = await post('/tests/empty', key);
    expect([again.status, isReplayed(again), again.body]).toEqual([204, true, null]);
    expect(runs.empty).toBe(before + 1);
  });

  it('is no secret that is shown once', async () => {
    const key = newKey();
    const first = await post('/tests/secret', key, { count: 7 });
    expect(first.body).toEqual({
      id: 'id-7',
      key: 'the-secret',
      made: [{ key: 'another-secret', name: 'n' }],
    });
    const again = await post('/tests/secret', key, { count: 7 });
    expect(again.body).toEqual({ id: 'id-7', made: [{ name: 'n' }], replayed: true });
  });

  it('cannot be read in the database, nor the key', async () => {
    const key = newKey();
    const { body } = await post('/authorizations', key, AUTHORIZATION);
    const rows = await db.read.find(IdempotentAnswer);
    expect(rows.length).toBeGreaterThan(0);
    const text = JSON.stringify(rows);
    for (const clear of [String(body['id']), 'launchUrl', 'the-secret', key])
      expect(text).not.toContain(clear);
    for (const { answer } of rows) expect(answer).toMatch(/^v1\.k1\./);
  });

  it('is what a caller that has gone away did not wait for', async () => {
    const [key, before] = [newKey(), runs.slow];
    const open = closeGate();
    const gone = new AbortController();
    const request = fetch(`${app.url}/api/v1/tests/slow`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${OWNER_KEY}`,
        'idempotency-key': key,
        'content-type': 'application/json',
      },
      body: '{}',
      signal: gone.signal,
    });
    await until(() => runs.slow === before + 1);
    gone.abort();
    await expect(request).rejects.toThrow('aborted');
    open();
    await until(async () => (await post('/tests/slow', key)).status === 201);
    expect(isReplayed(await post('/tests/slow', key))).toBe(true);
    expect(runs.slow).toBe(before + 1);
  });

  it('goes when its time is over', async () => {
    await post('/tests/empty', newKey());
    app.clock.advance(DAY_MS);
    await app.app.get(Idempotency).purge();
    expect(await db.read.count(IdempotentAnswer)).toBe(0);
    expect(app.app.get(SchedulerRegistry).getIntervals()).toContain('purge-idempotency');
  });
});

describe('a request that runs', () => {
  it('keeps its key for longer than a lease', async () => {
    const [key, before] = [newKey(), runs.slow];
    const open = closeGate();
    const first = post('/tests/slow', key);
    const leaseUntil = async (): Promise<number> => (await findRow(key)).leaseUntil?.getTime() ?? 0;
    await until(() => runs.slow === before + 1);
    const begun = await leaseUntil();
    // Renewed often enough that the first lease is long past.
    await until(async () => (await leaseUntil()) > begun + 1_000);
    expect((await post('/tests/slow', key)).status).toBe(409);
    open();
    expect((await first).status).toBe(201);
    expect(runs.slow).toBe(before + 1);
  });

  it('passes to the next one when its process has died', async () => {
    const [key, before] = [newKey(), runs.slow];
    await post('/tests/slow', key, { a: 1 });
    const past = new Date(Date.now() - 60_000);
    await db.write((tx) =>
      tx.update(IdempotentAnswer, { id: rowId(key) }, { answer: null, leaseUntil: past }),
    );
    const anew = await Promise.all(
      Array.from({ length: 10 }, () => post('/tests/slow', key, { a: 1 })),
    );
    expect(anew.filter((answer) => answer.status === 201 && !isReplayed(answer))).toHaveLength(1);
    expect(runs.slow).toBe(before + 2);
  });

  it('keeps no answer over that of the one that has taken it over', async () => {
    const [key, before] = [newKey(), runs.slow];
    const open = closeGate();
    const first = post('/tests/slow', key);
    await until(() => runs.slow === before + 1);
    const row = await findRow(key);
    await db.write((tx) => tx.update(IdempotentAnswer, { id: row.id }, { epoch: row.epoch + 1 }));
    open();
    expect((await first).status).toBe(201);
    expect(await findRow(key)).toMatchObject({
      epoch: row.epoch + 1,
      answer: null,
    });
    expect((await post('/tests/slow', key)).status).toBe(409);
  });

  it('is known in the log of who did what by its own request', async () => {
    const { headers } = await post('/key-rotations', newKey());
    const entry = await db.read.findOneBy(AuditEntry, { action: 'key_rotation.started' });
    expect(entry?.requestId).toBe(headers.get('x-request-id'));
  });
});
