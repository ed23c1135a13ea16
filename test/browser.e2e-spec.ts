import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

import { freePort, Program } from './processes.js';
import { until } from './until.js';

// oxlint-disable-next-line node/no-process-env -- test/run.mjs looks for a Chromium and says where it is
const { env } = process;
const { TEST_CHROMIUM: executablePath = '/usr/bin/chromium', TEST_SCREENSHOTS: screenshots } = env;
const NO_NETWORK = [
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let folder: string;
let quickstart: Program;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** What the page complained of: a blocked script or style is a fault of ours. */
const complaints: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'channel-browser-'));
  const args = ['--port', String(await freePort()), '--sandbox-port', String(await freePort())];
  quickstart = Program.start('libs/wechat-sandbox/src/quickstart.js', { args, cwd: folder });
  browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', ...NO_NETWORK],
  });
  await until(() => quickstart.output.includes('Ready'));
  context = await browser.newContext({ locale: 'zh-CN', viewport: { width: 1280, height: 900 } });
  page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await quickstart?.stop();
  await rm(folder, { recursive: true, force: true });
});

const printed = (pattern: RegExp): string => pattern.exec(quickstart.output)?.[1] ?? '';

async function look(name: string): Promise<void> {
  if (screenshots)
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** A call as Swagger UI shows it, opened. */
async function open(method: 'get' | 'post', path: string) {
  const at = page.locator(`[data-path="/api/v1${path}"]`);
  const block = page.locator(`.opblock-${method}`, { has: at });
  await block.locator('.opblock-summary').click();
  /** With what stands there. @returns what the service answers */
  const execute = async (): Promise<Record<string, unknown>> => {
    const answered = page.waitForResponse(
      (one) =>
        one.request().method() === method.toUpperCase() && one.url().includes('/api/v1/accounts/'),
    );
    await block.locator('.execute').click();
    return (await (await answered).json()) as Record<string, unknown>;
  };
  return { block, execute };
}

describe('a newcomer with a browser', () => {
  it('authorizes an account from the page that the quick start prints', async () => {
    await page.goto(printed(/(http:\S+\/authorize\/[\w-]+)/));
    expect(await page.textContent('h1')).toContain('授权微信账号');
    await look('launch-desktop');
    const launch = page.url();
    await page.click('#scan-link');
    await look('sandbox-accounts');
    await page.click('[data-appid="wx1badb002feedface"]');
    await look('sandbox-permissions');
    await page.uncheck('input[value="7"]');
    await page.click('#confirm');
    await page.waitForSelector('main[data-status="completed"]');
    expect(await page.textContent('main')).toMatch(/示例花店.*群发与通知/s);
    await look('callback-desktop');
    await page.reload();
    expect(await page.getAttribute('main', 'data-status')).toBe('completed');
    await page.goto(launch);
    expect(await page.getAttribute('main', 'data-status')).toBe('completed');
    await look('launch-completed');
  }, 60_000);

  it('sees the account in Swagger UI, which remembers the key', async () => {
    await page.goto(printed(/(http:\S+\/docs)/));
    await page.click('.authorize');
    await page.fill('.auth-container input', printed(/key: (\S+)/));
    await page.click('.auth-btn-wrapper .authorize');
    await page.click('.btn-done');
    await page.reload();
    const list = page.locator('.opblock', { hasText: '账号列表' });
    await list.locator('.opblock-summary').click();
    await list.locator('.execute').click();
    await list.locator('.live-responses-table .response-col_status', { hasText: '200' }).waitFor();
    expect(await list.locator('.live-responses-table').textContent()).toContain(
      'wx1badb002feedface',
    );
    await look('swagger');
  }, 60_000);

  it('is refused by WeChat when the scan page is not reached from our page', async () => {
    const scan = await page.evaluate(
      async (key) => {
        const made = await fetch('/api/v1/authorizations', {
          method: 'POST',
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
          body: '{"accountType":"mini_program"}',
        });
        return (await made.json()) as { launchUrl: string; mobileUrl: string };
      },
      printed(/key: (\S+)/),
    );
    await page.goto(scan.launchUrl);
    const href = (await page.getAttribute('#scan-link', 'href')) ?? '';
    const typed = await context.newPage();
    const response = await typed.goto(href);
    expect(response?.status()).toBe(403);
    expect(await typed.textContent('#refusal')).toContain('授权入口页所在域名：空');
    await typed.close();
    complaints.length = 0;
  }, 60_000);

  it('authorizes on a phone while the desktop page waits and notices by itself', async () => {
    const waiting = page.url();
    const phone = await browser.newContext({
      locale: 'en-US',
      viewport: { width: 390, height: 844 },
    });
    const small = await phone.newPage();
    await small.goto(`${waiting}?form=phone`);
    expect(await small.textContent('h1')).toBe('Authorize a WeChat account');
    expect(await small.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(
      true,
    );
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'launch-phone-en.png'), fullPage: true });
    await small.click('#phone-link');
    await small.click('[data-appid="wx3c0ffee53c0ffee5"]');
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'sandbox-phone.png'), fullPage: true });
    await small.click('#confirm');
    await small.waitForSelector('main[data-status="completed"]');
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'callback-phone-en.png'), fullPage: true });
    await phone.close();
    await page.waitForSelector('main[data-status="completed"]', { timeout: 15_000 });
    expect(await page.textContent('main')).toContain('示例花店商城');
  }, 60_000);

  it('is a follower on a phone, and sees the conversation go on while writing', async () => {
    const phone = await browser.newContext({
      locale: 'zh-CN',
      viewport: { width: 390, height: 844 },
    });
    const small = await phone.newPage();
    small.on('pageerror', (error) => complaints.push(error.message));
    await small.goto(printed(/(http:\S+\/phone)\s/));
    await small.click('[href="/phone/wx1badb002feedface"]');
    const conversation = small.frameLocator('iframe');
    await small.click('#follow');
    await conversation.getByText('已关注 Followed').waitFor();
    const hostile = '<script>document.title="run"</script>';
    await small.fill('[name="text"]', hostile);
    await small.press('[name="text"]', 'Enter');
    await conversation.getByText(hostile).waitFor();
    // One message follows the other without a tap.
    expect(await small.getAttribute(':focus', 'name')).toBe('text');
    await small.keyboard.type('half a sen');
    const [, , appid = '', openid = ''] = new URL(small.url()).pathname.split('/');
    await fetch(new URL('/_sandbox/write', small.url()), {
      method: 'POST',
      body: JSON.stringify({ appid, openid, content: '在别处写的' }),
    });
    await conversation.getByText('在别处写的').waitFor();
    expect(await small.inputValue('[name="text"]')).toBe('half a sen');
    for (const frame of small.frames()) {
      expect(await frame.title()).not.toBe('run');
      expect(
        await frame.evaluate('document.documentElement.scrollWidth <= window.innerWidth'),
      ).toBe(true);
    }
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'phone.png'), fullPage: true });
    await phone.close();
  }, 60_000);

  it('sends the examples from Swagger UI, and sees them arrive on the phone', async () => {
    const appid = 'wx1badb002feedface';
    const call = async (method: string, path: string, body?: object) => {
      const response = await fetch(`${printed(/(http:\S+)\/docs/)}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${printed(/key: (\S+)/)}`,
          'content-type': 'application/json',
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      return (await response.json()) as {
        launchUrl: string;
        enabled: boolean;
        suggestedOpenidProperty: { name: string };
      };
    };
    await page.goto((await call('POST', '/authorizations', { accountType: 'any' })).launchUrl);
    await page.click('#scan-link');
    await page.click(`[data-appid="${appid}"]`);
    await page.check('input[value="7"]');
    await page.click('#confirm');
    await page.waitForSelector('main[data-status="completed"]');
    const { suggestedOpenidProperty } = await call('GET', `/accounts/${appid}`);
    const property = suggestedOpenidProperty.name;
    await call('PUT', `/accounts/${appid}/openid-property`, { property });
    expect(await call('POST', `/accounts/${appid}/enable`)).toMatchObject({ enabled: true });

    const phone = await browser.newContext({ viewport: { width: 390, height: 844 } });
    const small = await phone.newPage();
    await small.goto(`${printed(/(http:\S+\/phone)\s/)}/${appid}`);
    const conversation = small.frameLocator('iframe');
    await conversation.getByText('你好', { exact: true }).waitFor();

    await page.goto(printed(/(http:\S+\/docs)/));
    const { block, execute } = await open('post', '/accounts/{appid}/messages');
    // As it stands there; then the next ones.
    expect(await execute()).toMatchObject({ kind: 'template_message', failure: null });
    const examples = block.locator('.opblock-section-request-body .examples-select select');
    for (const kind of ['customer_service_message', 'broadcast']) {
      await examples.selectOption(kind);
      expect(await execute()).toMatchObject({ kind, failure: null });
    }
    for (const words of ['订单发货通知', '您好，订单已发货。', '秋季新品已上架'])
      await conversation.getByText(words, { exact: true }).waitFor();
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'phone-examples.png'), fullPage: true });
    await phone.close();
  }, 60_000);

  it('makes a rule and a code in Swagger UI, and sees replies and figures of who scans it on a phone', async () => {
    await page.goto(printed(/(http:\S+\/docs)/));
    const rule = await open('post', '/accounts/{appid}/auto-replies');
    expect(await rule.execute()).toMatchObject({ name: '优惠咨询', enabled: true });
    const maker = await open('post', '/accounts/{appid}/qr-codes');
    const code = await maker.execute();
    expect(code).toMatchObject({ name: '上海店收银台', status: 'active' });

    const phone = await browser.newContext({ viewport: { width: 390, height: 844 } });
    const small = await phone.newPage();
    await small.goto(
      `${printed(/(http:\S+\/phone)\s/)}/wx1badb002feedface?openid=oScansInTheBrowser`,
    );
    const conversation = small.frameLocator('iframe');
    const made = small.locator('select[name="code"] option', { hasText: String(code['scene']) });
    await small.selectOption('select[name="code"]', String(await made.getAttribute('value')));
    await small.click('.codes button');
    await conversation.getByText('欢迎关注示例花店！', { exact: true }).waitFor();
    await small.fill('[name="text"]', '请问有优惠吗');
    await small.press('[name="text"]', 'Enter');
    await conversation.getByText('您好，示例花店的优惠在这里').waitFor();
    if (screenshots)
      await small.screenshot({ path: join(screenshots, 'phone-scan.png'), fullPage: true });
    await phone.close();

    const stats = await open('get', '/accounts/{appid}/qr-codes/{id}/stats');
    await stats.block.locator('[data-param-name="id"] input').fill(String(code['id']));
    let figures: unknown;
    await until(async () => {
      const { totals } = await stats.execute();
      figures = totals;
      return (totals as { scans: number }).scans > 0;
    });
    expect(figures).toMatchObject({ scans: 1, people: 1, newFollowers: 1, unfollows: 0 });
    await look('swagger-figures');
  }, 60_000);

  it('reads everything but the live state without JavaScript', async () => {
    const plain = await browser.newContext({ javaScriptEnabled: false, locale: 'zh-CN' });
    const bare = await plain.newPage();
    const home = printed(/sandbox: (\S+)/);
    await bare.goto(`${printed(/(http:\S+\/authorize\/[\w-]+)/)}?lang=en`);
    expect(await bare.textContent('main')).toContain('示例花店');
    await bare.goto(home);
    expect(await bare.textContent('main')).toContain('示例花店');
    await bare.goto(`${home}/phone/wx1badb002feedface?openid=oPlain`);
    await bare.fill('[name="text"]', '没有脚本');
    await bare.press('[name="text"]', 'Enter');
    await bare.frameLocator('iframe').getByText('没有脚本').waitFor();
    await plain.close();
  }, 60_000);

  it('meets no blocked script, style or picture on our pages', () => {
    expect(complaints).toEqual([]);
  });
});
