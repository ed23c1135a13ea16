// Runs the suites: everything on SQLite, the end-to-end suites on MySQL or MariaDB too where one can be reached, their
// flows once more on two mains and two workers where Redis can be reached as well, and the browser suite where a
// Chromium is found. Says which ran; with CI=true a missing one is a failure. `--faults` runs the long fault runs
// instead and writes their report.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

const isCi = process.env.CI === 'true';
const onlyE2e = process.argv.includes('--e2e');
const updateOpenApi = process.argv.includes('--update-openapi');
const isFaultRun = process.argv.includes('--faults');
const redisUrl = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379';
const mysqlUrl = process.env.TEST_MYSQL_URL ?? 'mariadb://root@127.0.0.1:3306';
const chromium = [
  process.env.TEST_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));

// Suites share nothing. Jest leaves one processor idle, which of two is half of them.
const PARALLEL = `--maxWorkers=${Math.min(availableParallelism(), 4)}`;

const missing = [];
const ran = [];

function run(command, args, env = {}) {
  const { status } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status !== 0) {
    console.error(`\n✗ ${[command, ...args].join(' ')}`);
    process.exit(1);
  }
}

function jest(name, args, env = {}) {
  console.log(`\n── ${name}`);
  const flags = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
  ];
  run(process.execPath, [...flags, ...args], env);
  ran.push(name);
}

function answers(url, usualPort) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || usualPort), timeout: 2000 });
    const end = (isUp) => {
      socket.destroy();
      resolve(isUp);
    };
    socket
      .once('connect', () => end(true))
      .once('error', () => end(false))
      .once('timeout', () => end(false));
  });
}

const startedAt = Date.now();
// Some suites start the service as processes of their own: those run from the build.
run('npm', ['run', '--silent', 'build']);

if (updateOpenApi) {
  jest('OpenAPI', ['test/openapi'], { UPDATE_OPENAPI: '1' });
  process.exit(0);
}

const hasMysql = await answers(mysqlUrl, 3306);
const hasRedis = await answers(redisUrl, 6379);
if (!hasMysql) missing.push(`MySQL or MariaDB at ${new URL(mysqlUrl).host} (TEST_MYSQL_URL)`);
if (!hasRedis) missing.push(`Redis at ${new URL(redisUrl).host} (TEST_REDIS_URL)`);
const mysqlEnv = { TEST_DATABASE_URL: mysqlUrl, TEST_REDIS_URL: redisUrl };

if (isFaultRun) {
  const rows = join(mkdtempSync(join(tmpdir(), 'faults-')), 'rows.md');
  const faultEnv = { FAULTS: 'long', FAULT_REPORT: rows };
  const args = ['--runInBand', String.raw`test/faults/.+\.e2e-spec`];
  jest('faults on SQLite', [...args, '--testPathIgnorePatterns', String.raw`\.mysql\.`], faultEnv);
  if (hasMysql) jest('faults on MySQL', args, { ...mysqlEnv, ...faultEnv });
  writeFaultReport(readFileSync(rows, 'utf8'));
  finish();
}

const browserEnv = chromium ? { TEST_CHROMIUM: chromium } : {};
const skipped = chromium
  ? String.raw`\.(mysql|redis)\.e2e`
  : String.raw`\.(mysql|redis)\.e2e|browser\.e2e`;
if (!chromium) missing.push('Chromium (apt-get install chromium, or TEST_CHROMIUM)');
const sqliteEnv = { ...browserEnv, ...(hasRedis && { TEST_REDIS_URL: redisUrl }) };
jest(
  'SQLite',
  [PARALLEL, ...(onlyE2e ? ['test/'] : []), '--testPathIgnorePatterns', skipped],
  sqliteEnv,
);

// What does not depend on the database, or hardly, has run already.
const ranBefore = String.raw`browser\.e2e|process\.e2e|half-open|fault-proxy|faults/(quota|webhooks)|deployment|readme|openapi|send-config`;
if (hasMysql)
  jest(
    'MySQL',
    [
      PARALLEL,
      String.raw`test/.+spec`,
      '--testPathIgnorePatterns',
      hasRedis ? ranBefore : String.raw`${ranBefore}|\.redis\.e2e`,
    ],
    mysqlEnv,
  );

if (hasMysql && hasRedis)
  jest(
    'two mains and two workers',
    [
      PARALLEL,
      String.raw`test/(access|accounts|audit|authorization|auto-replies|claim|component|custody|deletion|events|pictures|pushes|quota|reauthorization|release-test|schema|tokens)\.e2e`,
    ],
    // Databases of its own, one for each worker from here down: they are emptied all the time.
    { ...mysqlEnv, TEST_CLUSTER_REDIS_URL: new URL('/15', redisUrl).href },
  );

finish();

function finish() {
  const seconds = Math.round((Date.now() - startedAt) / 1000);
  console.log(
    `\nran: ${ran.join(', ')}${chromium && !isFaultRun ? ', browser' : ''} in ${seconds} s`,
  );
  for (const what of missing) console.log(`did not run for want of ${what}`);
  process.exit(isCi && missing.length > 0 ? 1 : 0);
}

function writeFaultReport(rows) {
  const date = new Date().toISOString().slice(0, 10);
  const report = `# The long fault runs

\`npm run test:faults\`, ${date}, Node ${process.version}, ${availableParallelism()} cores. \`FAULT_SEED\` repeats a run.

| run | seed | what came of it |
| --- | --- | --- |
${rows}`;
  writeFileSync('test/faults/report.md', report);
  run('npx', ['prettier', '--write', 'test/faults/report.md']);
}
