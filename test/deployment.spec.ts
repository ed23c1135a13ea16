import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, it } from '@jest/globals';

const ROOT = join(import.meta.dirname, '..');

const GAUGES_AND_COUNTERS = [
  'component_ticket_age_seconds',
  'component_token_expires_in_seconds',
  'tokens',
  'pushes_total',
  'push_refusals_total',
  'push_backlog',
  'push_oldest_waiting_seconds',
  'wechat_calls_total',
  'work',
  'work_oldest_ready_seconds',
  'outbox_lag_seconds',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
];
const HISTOGRAMS = ['wechat_call_duration_seconds', 'http_request_duration_seconds'];
const SERIES = new Set(
  [
    ...GAUGES_AND_COUNTERS,
    ...HISTOGRAMS.flatMap((name) => ['bucket', 'count', 'sum'].map((part) => `${name}_${part}`)),
  ].map((name) => `wechat_channel_${name}`),
);
const PROMQL_WORDS = new Set(['or', 'and', 'unless']);

interface Panel {
  id: number;
  type: string;
  title: string;
  targets?: { expr: string; datasource: { uid: string } }[];
  fieldConfig?: { defaults: { unit?: string } };
}

interface Dashboard {
  schemaVersion: number;
  templating: { list: { name: string; type: string; definition?: string }[] };
  panels: Panel[];
}

function read(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8');
}

async function dashboard(): Promise<Dashboard> {
  return JSON.parse(await read('config/grafana/wechat-channel.json')) as Dashboard;
}

/** The names of an expression that are neither label, function nor operator: what it reads from Prometheus. */
function seriesOf(expr: string): string[] {
  const bare = expr
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\b(?:by|without)\s*\([^)]*\)/g, ' ');
  const words = [...bare.matchAll(/[a-z_:][\w:]*\b(?!\s*\()/gi)].map(([word]) => word);
  return words.filter((word) => !PROMQL_WORDS.has(word));
}

describe('the dashboard', () => {
  it('reads every metric of the service and no other', async () => {
    const { panels, templating } = await dashboard();
    const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const used = new Set(expressions.flatMap(seriesOf));
    expect([...used].filter((name) => !SERIES.has(name))).toEqual([]);
    const unused = [...GAUGES_AND_COUNTERS, ...HISTOGRAMS].filter(
      (name) => ![...used].some((series) => series.startsWith(`wechat_channel_${name}`)),
    );
    expect(unused).toEqual([]);
    for (const { definition = '' } of templating.list)
      for (const [name] of definition.matchAll(/wechat_channel_\w+/g))
        expect(SERIES.has(name)).toBe(true);
  });

  it('names its panels in both languages, once, and gives each a unit and the data source', async () => {
    const { panels, templating, schemaVersion } = await dashboard();
    expect(schemaVersion).toBeGreaterThanOrEqual(39);
    expect(templating.list.map(({ name }) => name)).toEqual(['DS_PROMETHEUS', 'instance']);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
    for (const { type, title, targets = [], fieldConfig } of panels) {
      expect(title).toMatch(/[A-Za-z]{2}/);
      expect(title).toMatch(/\p{Script=Han}/u);
      if (type === 'row') continue;
      expect(targets.length).toBeGreaterThan(0);
      expect(fieldConfig?.defaults.unit).toBeTruthy();
      for (const { datasource } of targets) expect(datasource.uid).toBe('${DS_PROMETHEUS}');
    }
    expect(panels.filter(({ type }) => type === 'row').map(({ title }) => title)).toEqual([
      '微信凭据 Credentials',
      '推送 Pushes',
      '微信接口 WeChat API',
      '任务与事件 Work and events',
      '服务 Service',
    ]);
  });

  it('comes with alerts on the same metrics', async () => {
    const text = await read('config/grafana/README.md');
    const expressions = [...text.matchAll(/^ +expr: (.+)$/gm)].map(([, expr = '']) => expr);
    expect(expressions).toHaveLength(5);
    expect(expressions.flatMap(seriesOf).filter((name) => !SERIES.has(name))).toEqual([]);
  });
});

describe('Dockerfile', () => {
  it('runs the build as a user without rights and can be stopped', async () => {
    const runtime = (await read('Dockerfile')).split(/^FROM /m).at(-1) ?? '';
    expect(runtime).toMatch(/^node:24-bookworm-slim\n/);
    expect(runtime).toMatch(/^USER node$/m);
    expect(runtime).toMatch(/^VOLUME \/app\/data$/m);
    expect(runtime).toMatch(/^EXPOSE 3000$/m);
    expect(runtime).toMatch(/^STOPSIGNAL SIGTERM$/m);
    expect(runtime).toMatch(/^ENV NODE_ENV=production\b/m);
    const { scripts } = JSON.parse(await read('package.json')) as {
      scripts: Record<string, string>;
    };
    const command = JSON.parse(/^CMD (\[.+\])$/m.exec(runtime)?.[1] ?? '[]') as string[];
    expect(command.join(' ')).toBe(scripts['start:prod']);
  });

  it.each([
    [200, 0],
    [503, 1],
  ])('is healthy by what /health/ready answers: %d', async (status, code) => {
    const asked: (string | undefined)[] = [];
    const server = createServer(({ url }, response) => {
      asked.push(url);
      response.writeHead(status).end('{}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const port = (server.address() as AddressInfo).port;
    expect(await runHealthcheck(port)).toBe(code);
    expect(asked).toEqual(['/health/ready']);
    server.close();
    await once(server, 'close');
    expect(await runHealthcheck(port)).toBe(1);
  });

  it('takes into the build what it copies', async () => {
    const kept = (await read('.dockerignore')).split('\n');
    expect(kept).toContain('*');
    const copies = [...(await read('Dockerfile')).matchAll(/^COPY (?!--from)(.+) \S+$/gm)];
    const names = copies.flatMap(([, list = '']) => list.split(' '));
    expect(names).toEqual(expect.arrayContaining(['package-lock.json', 'config', 'libs', 'src']));
    for (const name of names) expect(kept).toContain(`!${name}`);
  });
});

async function runHealthcheck(port: number): Promise<number | null> {
  const text = (await read('Dockerfile')).replace(/\\\n/g, '');
  const command = JSON.parse(/HEALTHCHECK .*?CMD (\[.+\])/.exec(text)?.[1] ?? '[]') as string[];
  expect(command[0]).toBe('node');
  const child = spawn(process.execPath, command.slice(1), { env: { PORT: String(port) } });
  return await new Promise((resolve) => child.once('exit', resolve));
}

describe('docker-compose.yml', () => {
  it('has the four services, MySQL with the collation that the service asks for', async () => {
    const text = await read('docker-compose.yml');
    const services = text.split(/^services:$/m)[1]?.split(/^\w/m)[0] ?? '';
    const names = [...services.matchAll(/^ {2}([\w-]+):$/gm)].map(([, name]) => name);
    expect(names).toEqual(['main', 'worker', 'mysql', 'redis']);
    expect(text).not.toContain('\t');
    expect(text).toContain('--character-set-server=utf8mb4\n');
    expect(text).toContain('--collation-server=utf8mb4_bin\n');
    expect(text).toContain('dist/src/worker.js');
    expect(text).toMatch(/appendonly.+yes.+maxmemory-policy.+noeviction/);
    expect(text.match(/condition: service_healthy/g)).toHaveLength(2);
    expect(text.match(/^ {4}healthcheck:$/gm)).toHaveLength(2);
  });

  it('sets and reads only variables that are known', async () => {
    const text = (await read('docker-compose.yml')).replace(/^ *#.*$/gm, '');
    const example = await read('.env.example');
    const known = new Set([...example.matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name));
    for (const name of ['REDIS_URL', 'LEASE_SECONDS', 'NODE_ENV']) known.add(name);
    const set = [...text.matchAll(/^ +([A-Z][A-Z_]+):/gm)].map(([, name]) => name);
    const asked = [...text.matchAll(/\$\{?([A-Z_]+)/g)].map(([, name]) => name);
    const unknown = [...set, ...asked].filter(
      (name = '') => !known.has(name) && !name.startsWith('MYSQL_'),
    );
    expect(unknown).toEqual([]);
  });

  it('names every secret that is missing, and holds none itself', async () => {
    const text = await read('docker-compose.yml');
    for (const name of [
      'PUBLIC_URL',
      'SECRET_KEYS',
      'ADMIN_API_KEY',
      'WECHAT_COMPONENT_APPID',
      'WECHAT_COMPONENT_APPSECRET',
      'WECHAT_COMPONENT_TOKEN',
      'WECHAT_COMPONENT_ENCODING_AES_KEY',
      'MYSQL_PASSWORD',
      'MYSQL_ROOT_PASSWORD',
    ])
      expect(text).toMatch(new RegExp(`^ +${name}: \\$\\{${name}:\\?.*${name}`, 'm'));
  });
});
