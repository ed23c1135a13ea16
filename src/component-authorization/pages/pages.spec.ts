import { describe, expect, it } from '@jest/globals';

import { assets } from './assets.js';
import { renderCallbackPage } from './callback-page.js';
import { type LaunchPageModel, type PageAccount, renderLaunchPage } from './launch-page.js';
import { renderMessagePage } from './message-page.js';
import { REFUSALS, T, UNKNOWN_LINK } from './texts.js';

const account: PageAccount = {
  appid: 'wx1badb002feedface',
  nickname: '示例花店',
  avatarUrl: 'http://wx.qlogo.cn/mmopen/fixture/0',
  accountType: 'official_account',
  missingPermissions: [],
  permissionChange: null,
};
const model: LaunchPageModel = {
  lang: 'zh-CN',
  form: 'desktop',
  selfUrl: '/authorize/abc',
  mobileUrl: 'https://channel.example.com/authorize/abc?form=phone',
  accountType: 'any',
  onlyAppid: null,
  onlyNickname: null,
  onlyPermissionIds: null,
  scanUrl: 'https://mp.weixin.qq.com/cgi-bin/componentloginpage?a=1&b=2',
  phoneUrl: 'https://open.weixin.qq.com/wxaopen/safe/bindcomponent?a=1#wechat_redirect',
  expiresAt: new Date('2026-01-01T16:30:00Z'),
  status: 'pending',
  account: null,
  failure: null,
};

/** Every page there is, hostile names included. */
async function everyPage(): Promise<string[]> {
  const hostile: PageAccount = {
    ...account,
    nickname: '"><script>alert(1)</script>\u202e',
    avatarUrl: 'javascript:alert(1)',
    missingPermissions: [{ id: 7, name: '<b>群发</b>' }],
  };
  const failure = { code: 'wechat_error', text: '<i>坏</i>' };
  const pages: string[] = [];
  for (const lang of ['zh-CN', 'en'] as const) {
    for (const form of ['desktop', 'phone'] as const) {
      for (const status of ['pending', 'completed', 'failed', 'expired'] as const) {
        const about = {
          ...model,
          lang,
          form,
          status,
          account: hostile,
          failure,
          onlyAppid: 'wx<',
          onlyNickname: '<u>',
        };
        pages.push(await renderLaunchPage(about));
      }
    }
    for (const status of ['pending', 'completed', 'failed'] as const) {
      const about = {
        lang,
        status,
        account: hostile,
        failure,
        selfUrl: '/a?b="',
        alternateUrl: '/a?lang="',
      };
      pages.push(renderCallbackPage(about));
    }
    pages.push(renderMessagePage({ lang, ...UNKNOWN_LINK }));
  }
  return pages;
}

describe('every page', () => {
  it('escapes what others have written, and runs nothing of its own in the page', async () => {
    for (const page of await everyPage()) {
      expect(page).not.toMatch(/<script>|<b>|<i>|<u>|javascript:/);
      expect(
        page.replace(/<script src="\/authorize\/assets\/launch\.js" defer><\/script>/, ''),
      ).not.toMatch(/<script/);
      expect(page).not.toMatch(/<style|\sstyle="|\son[a-z]+="/);
    }
  });

  it('never hides from WeChat where the visitor comes from', async () => {
    for (const page of await everyPage()) expect(page).not.toMatch(/noreferrer|<meta[^>]*referrer/);
  });

  it('says its language and its status', async () => {
    for (const page of await everyPage()) {
      expect(page).toMatch(/^<!doctype html>\s*<html lang="(zh-CN|en)"/);
      expect(page).toMatch(/<main data-status="(pending|completed|failed|expired|refused)"/);
    }
  });
});

describe('renderLaunchPage', () => {
  it.each([
    ['any', true, true],
    ['official_account', true, false],
    ['mini_program', false, true],
  ] as const)('lists the minimum of %s', async (accountType, hasOfficial, hasMini) => {
    const page = await renderLaunchPage({ ...model, accountType });
    expect(page.includes('群发与通知')).toBe(hasOfficial);
    expect(page.includes('小程序链接管理')).toBe(hasMini);
  });

  it('offers both ways, the one that fits first', async () => {
    const desktop = await renderLaunchPage(model);
    const phone = await renderLaunchPage({ ...model, form: 'phone' });
    expect(desktop).toContain('id="scan-link" class="button"');
    expect(desktop).toContain('<svg');
    expect(phone).toContain('id="phone-link" class="button"');
    expect(phone).toContain('id="scan-link" class="button second"');
    expect(phone).not.toContain('<svg');
    expect(phone.indexOf('phone-link')).toBeLessThan(phone.indexOf('scan-link'));
  });

  it('tells the end in Chinese time', async () => {
    expect(await renderLaunchPage(model)).toContain('00:30 （北京时间）');
    expect(await renderLaunchPage({ ...model, lang: 'en' })).toContain('00:30 (Beijing time)');
  });

  it('can be refreshed without JavaScript, and links to itself in the other language', async () => {
    const page = await renderLaunchPage({ ...model, form: 'phone' });
    expect(page).toMatch(/<noscript\s*>.*href="\/authorize\/abc\?lang=zh-CN&#38;form=phone"/s);
    expect(page).toContain('href="/authorize/abc?lang=en&#38;form=phone"');
  });

  it('links to WeChat no more once it is over', async () => {
    for (const status of ['completed', 'failed', 'expired'] as const) {
      const page = await renderLaunchPage({ ...model, status, account, failure: null });
      expect(page).not.toMatch(/scan-link|phone-link|launch\.js/);
    }
  });
});

describe('renderCallbackPage', () => {
  const page = { lang: 'zh-CN', failure: null, selfUrl: '/c', alternateUrl: '/c?lang=en' } as const;

  it('says which account it was, that nothing is missing, and that the window may be closed', () => {
    const text = renderCallbackPage({ ...page, status: 'completed', account });
    for (const words of ['示例花店', account.appid, T.complete.zh, T.close.zh])
      expect(text).toContain(words);
    expect(text).toMatch(
      /<img\s+class="avatar"\s+src="http:\/\/wx\.qlogo\.cn\/mmopen\/fixture\/0"/,
    );
  });

  it('offers another try only while there is one', () => {
    const failure = { code: 'try_again', text: '稍候' };
    expect(renderCallbackPage({ ...page, status: 'pending', account: null, failure })).toContain(
      T.reload.zh,
    );
    expect(renderCallbackPage({ ...page, status: 'failed', account: null, failure })).not.toContain(
      T.reload.zh,
    );
  });
});

describe('the texts', () => {
  it('say everything in both languages', () => {
    const texts = [
      ...Object.values(T).flat(),
      ...Object.values(REFUSALS).flatMap(({ title, detail }) => [title, detail]),
    ];
    for (const { zh, en } of texts) {
      expect(zh).not.toBe('');
      expect(en).not.toBe('');
    }
  });

  it('come with their style and script', () => {
    expect([...assets.keys()]).toEqual(['style.css', 'launch.js']);
  });
});
