// Runs the suites: everything on SQLite, the end-to-end suites on MySQL or MariaDB too where one can be reached,
// and the browser suite where a Chromium is found. Says which ran; with CI=true a missing one is a failure.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';

const isCi = process.env.CI === 'true';
const onlyE2e = process.argv.includes('--e2e');
const updateOpenApi = process.argv.includes('--update-openapi');
const mysqlUrl = process.env.TEST_MYSQL_URL ?? 'mariadb://root@127.0.0.1:3306';
const chromium = [
  process.env.TEST_CHROMIUM,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path));

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

function answers(url) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 3306), timeout: 2000 });
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

const browserEnv = chromium ? { TEST_CHROMIUM: chromium } : {};
const skipped = chromium ? String.raw`\.mysql\.e2e` : String.raw`\.mysql\.e2e|browser\.e2e`;
if (!chromium) missing.push('Chromium (apt-get install chromium, or TEST_CHROMIUM)');
jest('SQLite', [...(onlyE2e ? ['test/'] : []), '--testPathIgnorePatterns', skipped], browserEnv);

if (await answers(mysqlUrl))
  jest('MySQL', ['test/', '--testPathIgnorePatterns', String.raw`browser\.e2e|process\.e2e`], {
    TEST_DATABASE_URL: mysqlUrl,
  });
else missing.push(`MySQL or MariaDB at ${new URL(mysqlUrl).host} (TEST_MYSQL_URL)`);

console.log(
  `\nran: ${ran.join(', ')}${chromium ? ', browser' : ''} in ${Math.round((Date.now() - startedAt) / 1000)} s`,
);
for (const what of missing) console.log(`did not run for want of ${what}`);
if (isCi && missing.length > 0) process.exit(1);
