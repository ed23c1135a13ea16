import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { EVENT_TYPES } from '../src/events/event-types.js';
import { startApp, type TestApp } from './app.js';

const FILE = join(import.meta.dirname, 'openapi.json');

interface Operation {
  summary?: string;
  parameters?: {
    name: string;
    in: string;
    required?: boolean;
    example?: unknown;
    schema: { default?: unknown; example?: unknown };
  }[];
  requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
}

let app: TestApp;
let served: {
  webhooks: Record<
    string,
    {
      post: {
        requestBody: {
          content: { 'application/json': { example: { type: string; data: object } } };
        };
      };
    }
  >;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, { properties?: Record<string, { example?: unknown; enum?: unknown }> }>;
  };
};

beforeAll(async () => {
  app = await startApp();
  served = (await (await fetch(`${app.url}/docs-json`)).json()) as typeof served;
  // oxlint-disable-next-line node/no-process-env -- set by `npm run openapi`
  if (process.env['UPDATE_OPENAPI']) await writeFile(FILE, `${JSON.stringify(served, null, 2)}\n`);
});
afterAll(() => app.stop());

describe('/docs-json', () => {
  it('is what is checked in (npm run openapi writes it anew)', async () => {
    expect(served).toEqual(JSON.parse(await readFile(FILE, 'utf8')));
  });

  it('says in both languages what each call does', () => {
    const summaries = Object.values(served.paths).flatMap((methods) =>
      Object.values(methods).map(({ summary }) => summary),
    );
    for (const summary of summaries) expect(summary).toMatch(/[\u4e00-\u9fff].* \/ .*[A-Za-z]/);
  });

  it('shows every type of event as a receiver gets it', () => {
    expect(Object.keys(served.webhooks).toSorted()).toEqual(EVENT_TYPES.toSorted());
    for (const [type, { post }] of Object.entries(served.webhooks)) {
      const { example } = post.requestBody.content['application/json'];
      expect(example).toMatchObject({ type, version: 1, sequence: 1 });
      expect(Object.keys(example.data).length).toBeGreaterThan(0);
    }
  });

  it('refers to nothing that it does not have', () => {
    const text = JSON.stringify(served);
    const names = [...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(0);
    const known = Object.keys(served.components.schemas);
    expect([...new Set(names)].filter((name) => !known.includes(name ?? ''))).toEqual([]);
  });

  it('asks for no header: Swagger UI would send nothing without it', () => {
    const headers = Object.values(served.paths)
      .flatMap((methods) => Object.values(methods))
      .flatMap(({ parameters = [] }) => parameters)
      .filter((parameter) => parameter.in === 'header');
    expect(headers.length).toBeGreaterThan(0);
    expect(headers.filter(({ required }) => required)).toEqual([]);
  });

  it('fills in no filter of channel codes, whose example would find nothing', () => {
    const codes = Object.entries(served.paths).filter(([path]) => path.includes('/qr-codes'));
    const filled = codes
      .flatMap(([, methods]) => Object.values(methods))
      .flatMap(({ parameters = [] }) => parameters)
      .filter((parameter) => parameter.in === 'query')
      .filter(
        ({ example, schema }) => (example ?? schema.example ?? schema.default) !== schema.default,
      );
    expect(filled).toEqual([]);
  });

  it('has the calls that make codes before those that count them', () => {
    const paths = Object.keys(served.paths).filter((path) => path.includes('/qr-codes'));
    expect(paths[0]).toBe('/api/v1/accounts/{appid}/qr-codes');
    expect(paths.findIndex((path) => path.endsWith('/copy'))).toBeLessThan(
      paths.findIndex((path) => path.endsWith('/stats')),
    );
  });

  it('has an example for every field of a body', () => {
    const bodies = Object.values(served.paths)
      .flatMap((methods) => Object.values(methods))
      .flatMap(({ requestBody }) => Object.values(requestBody?.content ?? {}))
      .map(({ schema }) => schema.$ref?.split('/').at(-1) ?? '');
    expect(bodies.length).toBeGreaterThan(0);
    for (const body of bodies) {
      for (const property of Object.values(served.components.schemas[body]?.properties ?? {})) {
        expect(Object.keys(property)).toContain('example');
      }
    }
  });
});

describe('/docs', () => {
  it('is Swagger UI that remembers the key', async () => {
    const page = await (await fetch(`${app.url}/docs`)).text();
    expect(page).toContain('swagger-ui');
    const script = await (await fetch(`${app.url}/docs/swagger-ui-init.js`)).text();
    expect(script).toContain('"persistAuthorization": true');
  });
});
