import { createHash, randomUUID } from 'node:crypto';

import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';

import { ApiKey } from '../src/access/api-key.entity.js';
import { ApiKeysRepository } from '../src/access/api-keys.repository.js';
import { AuditEntry } from '../src/access/audit-entry.entity.js';
import { LIMITS } from '../src/access/rate-limits.js';
import { Database } from '../src/database/database.js';
import { type Answer, OWNER_KEY, startApp, type TestApp } from './app.js';
import { type ApiKeyBody, makeKey } from './helpers.js';
import { until } from './until.js';

interface List {
  items: ApiKeyBody[];
  nextCursor: string | null;
}

interface Problem {
  code: string;
  errors: { field: string; code: string }[];
}

const MINUTE_MS = 60_000;

let names = 0;
const newName = (): string => `key-${(names += 1)}`;

/** Calls what every role may call. */
const use = (
  app: TestApp,
  key: string,
  headers: Record<string, string> = {},
): Promise<Answer<Problem>> =>
  app.api<Problem>('GET', '/accounts', undefined, { authorization: `Bearer ${key}`, ...headers });

/** Created before deleted: by the name, since the clock of the tests stands still between them. */
const audited = (app: TestApp, target: string): Promise<AuditEntry[]> =>
  app.app.get(Database).read.find(AuditEntry, { where: { target }, order: { action: 'ASC' } });

const rowOf = (app: TestApp, id: string): Promise<ApiKey | null> =>
  app.app.get(Database).read.findOneBy(ApiKey, { id });

const repositoryOf = (app: TestApp): ApiKeysRepository => app.app.get(ApiKeysRepository);

const connectionRefused = (): Error =>
  Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

describe('API keys', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());
  afterEach(() => void jest.restoreAllMocks());

  describe('POST /api-keys', () => {
    it('shows the key this once and keeps its digest only', async () => {
      const name = newName();
      const wanted = { name, role: 'sender', expiresAt: '2099-01-01T00:00:00Z' };
      const made = await app.api<ApiKeyBody & { key: string }>('POST', '/api-keys', wanted);
      expect(made.status).toBe(201);
      expect(made.headers.get('cache-control')).toBe('no-store');
      const { id, key } = made.body;
      expect(key).toMatch(/^wck_[\w-]{43}$/);
      expect(made.body).toEqual({
        id: expect.any(String),
        name,
        role: 'sender',
        tenantId: 'default',
        prefix: key.slice(0, 12),
        createdAt: app.clock.now().toISOString(),
        expiresAt: '2099-01-01T00:00:00.000Z',
        lastUsedAt: null,
        key,
      });
      const row = await rowOf(app, id);
      expect(row?.keyHash).toBe(createHash('sha256').update(key).digest('hex'));
      expect(JSON.stringify(row)).not.toContain(key);
      expect((await use(app, key)).status).toBe(200);
    });

    it('belongs to the tenant that is named, in the header or in the body', async () => {
      const headers = { 'x-tenant-id': 'brand-h' };
      const post = async (body: object, from: Record<string, string>): Promise<Answer> =>
        app.api('POST', '/api-keys', { name: newName(), role: 'viewer', ...body }, from);
      expect((await post({}, headers)).body['tenantId']).toBe('brand-h');
      expect((await post({ tenantId: 'brand-h' }, headers)).body['tenantId']).toBe('brand-h');
      expect((await post({ tenantId: 'brand-b' }, {})).body['tenantId']).toBe('brand-b');
      expect(await post({ tenantId: 'brand-b' }, headers)).toMatchObject({
        status: 422,
        body: { errors: [{ field: 'tenantId', code: 'other_tenant' }] },
      });
    });

    it("writes an owner's key to `default`, whichever tenant that key is in", async () => {
      const owner = await makeKey(app, { name: newName(), role: 'owner', tenantId: 'brand-a' });
      const body = { name: newName(), role: 'viewer' };
      const made = await app.api('POST', '/api-keys', body, {
        authorization: `Bearer ${owner.key}`,
      });
      expect(made.body['tenantId']).toBe('default');
    });

    it.each([
      ['name', { name: '' }],
      ['name', { name: 'x'.repeat(129) }],
      ['name', { name: ' padded' }],
      ['name', { name: 'padded ' }],
      ['name', { name: 'two\nlines' }],
      ['name', { name: 7 }],
      ['name', { name: undefined }],
      ['role', { role: 'root' }],
      ['role', { role: undefined }],
      ['tenantId', { tenantId: 'Brand' }],
      ['tenantId', { tenantId: '' }],
      ['tenantId', { tenantId: 'x'.repeat(65) }],
      ['expiresAt', { expiresAt: 'tomorrow' }],
      ['expiresAt', { expiresAt: 4102444800000 }],
      ['expiresAt', { expiresAt: '2099-02-30T00:00:00Z' }],
      ['expiresAt', { expiresAt: '2099-01-01' }],
      ['expiresAt', { expiresAt: '2099-01-01T00:00:00+08:00' }],
      ['expiresAt', { expiresAt: '2026-01-01T00:00:00Z' }],
      ['key', { key: 'wck_mine' }],
    ])('refuses a wrong %s: %j', async (field, wrong) => {
      const body = { name: newName(), role: 'viewer', ...wrong };
      const answer = await app.api<Problem>('POST', '/api-keys', body);
      expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
      expect(new Set(answer.body.errors.map((error) => error.field))).toEqual(new Set([field]));
    });

    it('takes a name once in a tenant, however many ask at the same time', async () => {
      const body = { name: newName(), role: 'viewer', tenantId: 'brand-a' };
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => app.api<Problem>('POST', '/api-keys', body)),
      );
      const refused = answers.filter(({ status }) => status !== 201);
      expect(refused).toHaveLength(4);
      for (const answer of refused)
        expect(answer).toMatchObject({ status: 409, body: { code: 'api_key_name_in_use' } });
      const elsewhere = await app.api('POST', '/api-keys', { ...body, tenantId: 'brand-b' });
      expect(elsewhere.status).toBe(201);
    });

    it('leaves one audit row, and none for what was refused', async () => {
      const wanted = { name: newName(), role: 'admin', tenantId: 'brand-a' } as const;
      const before = await app.app.get(Database).read.countBy(AuditEntry, {});
      const { id, key } = await makeKey(app, wanted);
      await app.api('POST', '/api-keys', wanted);
      const rows = await audited(app, id);
      expect(rows).toMatchObject([
        {
          action: 'api_key.created',
          tenantId: 'brand-a',
          actorType: 'api_key',
          actorId: 'env',
          actorName: 'ADMIN_API_KEY',
          outcome: 'succeeded',
          detail: { name: wanted.name, role: 'admin' },
          ip: '127.0.0.1',
          requestId: expect.any(String),
        },
      ]);
      expect(JSON.stringify(rows)).not.toContain(key);
      expect(await app.app.get(Database).read.countBy(AuditEntry, {})).toBe(before + 1);
    });
  });

  describe('GET /api-keys', () => {
    const list = (query = '', headers?: Record<string, string>): Promise<Answer<List>> =>
      app.api<List>('GET', `/api-keys${query}`, undefined, headers);

    it('pages from the newest on, and shows no key', async () => {
      const made: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        // Two of them at the same instant.
        if (n !== 3) app.clock.advance(1_000);
        made.push((await makeKey(app, { name: newName(), role: 'viewer', tenantId: 'paged' })).id);
      }
      const headers = { 'x-tenant-id': 'paged' };
      const seen: ApiKeyBody[] = [];
      let cursor: string | null = null;
      do {
        const query: string = cursor ? `?limit=2&cursor=${encodeURIComponent(cursor)}` : '?limit=2';
        const { body }: { body: List } = await list(query, headers);
        seen.push(...body.items);
        cursor = body.nextCursor;
      } while (cursor);
      expect(seen.map(({ id }) => id).toSorted()).toEqual(made.toSorted());
      const times = seen.map(({ createdAt }) => createdAt);
      expect(times).toEqual(times.toSorted().toReversed());
      expect(Object.keys(seen[0] ?? {}).toSorted()).toEqual(
        'createdAt,expiresAt,id,lastUsedAt,name,prefix,role,tenantId'.split(','),
      );
    });

    it("shows an owner every tenant's, or those of the tenant that he names", async () => {
      const a = await makeKey(app, { name: newName(), role: 'viewer', tenantId: 'list-a' });
      const b = await makeKey(app, { name: newName(), role: 'viewer', tenantId: 'list-b' });
      const ids = async (headers?: Record<string, string>): Promise<string[]> =>
        (await list('?limit=200', headers)).body.items.map(({ id }) => id);
      expect(await ids()).toEqual(expect.arrayContaining([a.id, b.id]));
      expect(await ids({ 'x-tenant-id': 'list-a' })).toEqual([a.id]);
      expect(await ids({ 'x-tenant-id': 'nobody' })).toEqual([]);
    });

    it.each(['limit=0', 'cursor=nonsense'])('refuses %s', async (query) => {
      expect(await app.api('GET', `/api-keys?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'invalid_query' },
      });
    });
  });

  describe('DELETE /api-keys/{id}', () => {
    it('ends the key at once, although it was used a moment ago', async () => {
      const { id, key, name } = await makeKey(app, { name: newName(), role: 'viewer' });
      expect((await use(app, key)).status).toBe(200);
      expect(await app.api('DELETE', `/api-keys/${id}`)).toMatchObject({ status: 204, body: null });
      expect(await use(app, key)).toMatchObject({ status: 401, body: { code: 'api_key_invalid' } });
      expect(await app.api('DELETE', `/api-keys/${id}`)).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      });
      expect(await audited(app, id)).toMatchObject([
        { action: 'api_key.created' },
        { action: 'api_key.deleted', tenantId: 'default', detail: { name, role: 'viewer' } },
      ]);
      // Its name is free again.
      await makeKey(app, { name, role: 'viewer' });
    });

    it('has one effect and one audit row, however many ask at the same time', async () => {
      const { id } = await makeKey(app, { name: newName(), role: 'viewer' });
      const answers = await Promise.all(
        Array.from({ length: 5 }, () => app.api('DELETE', `/api-keys/${id}`)),
      );
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
        204, 404, 404, 404, 404,
      ]);
      expect(await audited(app, id)).toHaveLength(2);
    });

    it('a look-up that was under way does not bring the key back', async () => {
      const { id, key } = await makeKey(app, { name: newName(), role: 'viewer' });
      const repository = repositoryOf(app);
      const findByHash = repository.findByHash.bind(repository);
      let answer = (): void => undefined;
      const held = new Promise<void>((resolve) => (answer = resolve));
      const lookUp = jest.spyOn(repository, 'findByHash').mockImplementationOnce(async (hash) => {
        const row = await findByHash(hash);
        await held;
        return row;
      });
      const slow = use(app, key);
      await until(() => lookUp.mock.calls.length > 0);
      expect((await app.api('DELETE', `/api-keys/${id}`)).status).toBe(204);
      answer();
      await slow;
      expect((await use(app, key)).status).toBe(401);
    });

    it('leaves alone the key of the call itself, so that nobody locks himself out', async () => {
      const owner = await makeKey(app, { name: newName(), role: 'owner' });
      const answer = await app.api('DELETE', `/api-keys/${owner.id}`, undefined, {
        authorization: `Bearer ${owner.key}`,
      });
      expect(answer).toMatchObject({ status: 409, body: { code: 'api_key_in_use_by_caller' } });
      expect((await use(app, owner.key)).status).toBe(200);
    });

    it("does not find another tenant's key than the one that is named", async () => {
      const { id, key } = await makeKey(app, { name: newName(), role: 'viewer' });
      const answer = await app.api('DELETE', `/api-keys/${id}`, undefined, {
        'x-tenant-id': 'brand-b',
      });
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } });
      expect((await use(app, key)).status).toBe(200);
    });
  });

  describe('a key', () => {
    it('that has expired says so, and what to do', async () => {
      const expiresAt = new Date(app.clock.now().getTime() + MINUTE_MS).toISOString();
      const { key } = await makeKey(app, { name: newName(), role: 'viewer', expiresAt });
      app.clock.advance(MINUTE_MS - 1);
      expect((await use(app, key)).status).toBe(200);
      app.clock.advance(1);
      const answer = await use(app, key, { 'accept-language': 'en' });
      expect(answer).toMatchObject({
        status: 401,
        body: { code: 'api_key_expired', detail: expect.stringContaining('POST /api/v1/api-keys') },
      });
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    });

    it('is looked up once for many requests at the same time', async () => {
      const { key } = await makeKey(app, { name: newName(), role: 'viewer' });
      const findByHash = jest.spyOn(repositoryOf(app), 'findByHash');
      const answers = await Promise.all(Array.from({ length: 50 }, () => use(app, key)));
      expect(answers.every(({ status }) => status === 200)).toBe(true);
      expect(findByHash).toHaveBeenCalledTimes(1);
    });

    it('that another process has deleted opens nothing after five seconds', async () => {
      const { id, key } = await makeKey(app, { name: newName(), role: 'viewer' });
      expect((await use(app, key)).status).toBe(200);
      await app.app.get(Database).write((tx) => tx.delete(ApiKey, { id }));
      const startedAt = Date.now();
      await until(async () => (await use(app, key)).status === 401);
      expect(Date.now() - startedAt).toBeLessThan(5_000);
    });
  });

  describe('lastUsedAt', () => {
    const lastUse = async (id: string): Promise<number | undefined> =>
      (await rowOf(app, id))?.lastUsedAt?.getTime();

    it('is written beside the requests, together, and once a minute at the most', async () => {
      const [one, two] = [
        await makeKey(app, { name: newName(), role: 'viewer' }),
        await makeKey(app, { name: newName(), role: 'viewer' }),
      ];
      const recordUses = jest.spyOn(repositoryOf(app), 'recordUses');
      const usedAt = app.clock.now().getTime();
      for (const { key } of [one, two, one, two]) await use(app, key);
      expect(recordUses).not.toHaveBeenCalled();
      await until(async () => (await lastUse(two.id)) === usedAt);
      expect(await lastUse(one.id)).toBe(usedAt);
      expect(recordUses).toHaveBeenCalledTimes(1);
      expect(recordUses.mock.calls[0]?.[0]).toEqual([one.id, two.id]);

      app.clock.advance(MINUTE_MS - 1);
      await use(app, one.key);
      app.clock.advance(1);
      await use(app, two.key);
      await until(async () => (await lastUse(two.id)) === usedAt + MINUTE_MS);
      expect(await lastUse(one.id)).toBe(usedAt);
    });

    it('is not written over what another process wrote in the same minute', async () => {
      const { id } = await makeKey(app, { name: newName(), role: 'viewer' });
      const now = app.clock.now().getTime();
      const record = (at: number): Promise<void> =>
        repositoryOf(app).recordUses([id], new Date(at), new Date(at - MINUTE_MS));
      await record(now);
      await record(now + 1_000);
      expect(await lastUse(id)).toBe(now);
      await record(now + MINUTE_MS);
      expect(await lastUse(id)).toBe(now + MINUTE_MS);
    });

    it('harms nobody when it cannot be written', async () => {
      const { id, key } = await makeKey(app, { name: newName(), role: 'viewer' });
      const recordUses = jest
        .spyOn(repositoryOf(app), 'recordUses')
        .mockRejectedValueOnce(connectionRefused());
      expect((await use(app, key)).status).toBe(200);
      await until(() => recordUses.mock.calls.length > 0);
      expect((await use(app, key)).status).toBe(200);
      app.clock.advance(MINUTE_MS);
      await use(app, key);
      await until(async () => (await lastUse(id)) === app.clock.now().getTime());
    });

    it('is written when the service stops', async () => {
      const { id, key } = await makeKey(app, { name: newName(), role: 'viewer' });
      await use(app, key);
      await app.restart();
      expect(await lastUse(id)).toBe(app.clock.now().getTime());
    });
  });

  it('while the database is away: 503, and no key counts as wrong for it', async () => {
    const { key } = await makeKey(app, { name: newName(), role: 'viewer' });
    const findByHash = jest
      .spyOn(repositoryOf(app), 'findByHash')
      .mockImplementation(() => Promise.reject(connectionRefused()));
    for (let n = 0; n <= LIMITS.wrongKeys.points; n += 1) {
      expect(await use(app, key)).toMatchObject({
        status: 503,
        body: { code: 'storage_unavailable' },
      });
    }
    findByHash.mockRestore();
    expect((await use(app, 'wrong')).status).toBe(401);
    expect((await use(app, key)).status).toBe(200);
  });
});

describe('the limit of a key', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  /** Fifty at once, those that are let in answered 400 without asking the database. */
  const sendMany = (key: string): Promise<Answer<Problem>[]> =>
    Promise.all(
      Array.from({ length: 50 }, () =>
        app.api<Problem>('GET', '/accounts?limit=0', undefined, { authorization: `Bearer ${key}` }),
      ),
    );

  it.each(['a key', 'ADMIN_API_KEY'])(
    'lets %s make 200 requests at once, and then asks it to come again',
    async (which) => {
      const [mine, other] = [
        await makeKey(app, { name: randomUUID(), role: 'viewer' }),
        await makeKey(app, { name: randomUUID(), role: 'viewer' }),
      ];
      const key = which === 'a key' ? mine.key : OWNER_KEY;
      const startedAt = Date.now();
      let accepted = 0;
      let refused: Answer<Problem>[] = [];
      while (refused.length === 0) {
        const answers = await sendMany(key);
        refused = answers.filter(({ status }) => status !== 400);
        accepted += answers.length - refused.length;
      }
      const seconds = Math.ceil((Date.now() - startedAt) / 1000);
      const { requests, burst } = LIMITS;
      // The second that is under way at the start may have seen other requests of the same key.
      expect(accepted).toBeGreaterThanOrEqual(requests.points + burst.points - 10);
      expect(accepted).toBeLessThanOrEqual(requests.points * (seconds + 1) + burst.points);
      expect(refused[0]).toMatchObject({ status: 429, body: { code: 'too_many_requests' } });
      expect(refused[0]?.headers.get('retry-after')).toBe('1');
      expect((await use(app, other.key)).status).toBe(200);
      await until(async () => (await use(app, key)).status === 200);
    },
  );
});

describe('the limit of wrong keys', () => {
  const { points, duration } = LIMITS.wrongKeys;
  let app: TestApp;
  afterEach(async () => {
    jest.restoreAllMocks();
    await app.stop();
  });

  const guess = (headers?: Record<string, string>): Promise<Answer<Problem>> =>
    use(app, randomUUID(), headers);

  async function guessToTheLimit(headers: (n: number) => Record<string, string>): Promise<void> {
    for (let n = 0; n < points; n += 1)
      expect(await guess(headers(n))).toMatchObject({
        status: 401,
        body: { code: 'api_key_invalid' },
      });
  }

  it('refuses further ones without a look-up, while good keys from the same address go on', async () => {
    app = await startApp();
    const { key } = await makeKey(app, { name: newName(), role: 'viewer' });
    await guessToTheLimit(() => ({}));
    const findByHash = jest.spyOn(repositoryOf(app), 'findByHash');
    const refused = await guess();
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_wrong_keys' } });
    const retryAfter = Number(refused.headers.get('retry-after'));
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(duration);
    expect(findByHash).not.toHaveBeenCalled();
    // One that has not been used before, one that is made now, and the owner's.
    expect((await use(app, key)).status).toBe(200);
    const made = await makeKey(app, { name: newName(), role: 'viewer' });
    expect((await use(app, made.key)).status).toBe(200);
    expect((await use(app, OWNER_KEY)).status).toBe(200);
    expect((await guess()).status).toBe(429);
    // No key at all is no guess.
    expect(await app.api('GET', '/accounts', undefined, { authorization: '' })).toMatchObject({
      status: 401,
      body: { code: 'api_key_missing' },
    });
  });

  it('is not passed by sending many at once', async () => {
    app = await startApp();
    const findByHash = jest.spyOn(repositoryOf(app), 'findByHash');
    const answers = await Promise.all(Array.from({ length: 100 }, () => guess()));
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(100 - points);
    expect(findByHash).toHaveBeenCalledTimes(points);
  });

  it('lists the keys once for many guesses', async () => {
    app = await startApp();
    await guessToTheLimit(() => ({}));
    const findHashes = jest.spyOn(repositoryOf(app), 'findHashes');
    await Promise.all(Array.from({ length: 50 }, () => guess()));
    expect(findHashes).toHaveBeenCalledTimes(1);
  });

  it('is not for pages, pushes and health', async () => {
    app = await startApp();
    await guessToTheLimit(() => ({}));
    expect((await guess()).status).toBe(429);
    expect((await fetch(`${app.url}/health/live`)).status).toBe(200);
    expect((await app.page('/authorize/unknown')).status).toBe(404);
    await app.sandbox.pushTicket();
  });

  it('does not believe a forged X-Forwarded-For', async () => {
    app = await startApp();
    await guessToTheLimit((n) => ({ 'x-forwarded-for': `192.0.2.${n}` }));
    expect((await guess({ 'x-forwarded-for': '192.0.2.200' })).status).toBe(429);
  });

  it('goes by what a trusted proxy says, and not by what it was told itself', async () => {
    app = await startApp({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
    const from = (address: string, told?: string) => ({
      'x-forwarded-for': told === undefined ? address : `${told}, ${address}`,
    });
    await guessToTheLimit((n) => from('203.0.113.9', `192.0.2.${n}`));
    expect((await guess(from('203.0.113.9', '192.0.2.200'))).status).toBe(429);
    expect((await guess(from('203.0.113.10'))).status).toBe(401);
    expect((await guess(from('192.0.2.1'))).status).toBe(401);
    const body = { name: newName(), role: 'viewer' };
    const made = await app.api('POST', '/api-keys', body, from('203.0.113.11', '192.0.2.1'));
    expect(await audited(app, String(made.body['id']))).toMatchObject([{ ip: '203.0.113.11' }]);
  });
});
