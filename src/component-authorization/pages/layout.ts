import { html, type Html } from '@app/html';

import { inLang, type Lang } from '../../common/text.js';
import type { AccountType } from '@app/wechat';
import { T } from './texts.js';

/** What a page shows of an account. */
export interface PageAccount {
  appid: string;
  /** Empty until it was read from WeChat. Anybody's words: only ever shown escaped and isolated. */
  nickname: string;
  avatarUrl: string;
  accountType: AccountType;
  missingPermissions: { id: number; name: string }[];
  /** What the scan has changed of an account that was here before; null where it was not. */
  permissionChange: {
    gained: { id: number; name: string }[];
    lost: { id: number; name: string }[];
  } | null;
}

/** A whole document. @param alternateUrl the same page in the other language */
export function layout(page: {
  lang: Lang;
  title: string;
  status: string;
  alternateUrl: string | null;
  content: Html;
  /** Scripts of ours to load, by name. */
  scripts?: string[];
}): string {
  const { lang, title, status, alternateUrl, content, scripts = [] } = page;
  const otherLang = lang === 'en' ? 'zh-CN' : 'en';
  return `<!doctype html>\n${
    html`<html lang="${lang}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex" />
        <title>${title}</title>
        <link rel="stylesheet" href="/authorize/assets/style.css" />
        ${scripts.map((name) => html`<script src="/authorize/assets/${name}" defer></script>`)}
      </head>
      <body>
        <header>
          ${alternateUrl && html`<a class="language" lang="${otherLang}" hreflang="${otherLang}" href="${alternateUrl}">${inLang(T.otherLanguage, lang)}</a>`}
        </header>
        <main data-status="${status}">${content}</main>
      </body>
    </html> `.text
  }`;
}

/** The account with what of the minimum it lacks. */
export function accountCard(account: PageAccount, lang: Lang): Html {
  const { nickname, appid, accountType, missingPermissions, permissionChange } = account;
  const say = (text: { zh: string; en: string }): string => inLang(text, lang);
  const kind = say(accountType === 'mini_program' ? T.miniProgram : T.officialAccount);
  return html`<div class="account">
      ${avatar(account)}
      <div>
        <strong><bdi>${nickname || say(T.unnamed)}</bdi></strong><span class="soft">${kind} · ${appid}</span>
      </div>
    </div>
    ${permissionChange && changes(permissionChange, lang)}
    ${
      missingPermissions.length === 0
        ? html`<p class="good">${say(T.complete)}</p>`
        : html`<div class="warning">
            <p>${say(T.missing)}</p>
            <ul>
              ${permissionItems(missingPermissions)}
            </ul>
            <p>${say(T.missingNext)}</p>
          </div>`
    }`;
}

function changes({ gained, lost }: NonNullable<PageAccount['permissionChange']>, lang: Lang): Html {
  if (gained.length + lost.length === 0)
    return html`<p id="changes" class="soft">${inLang(T.unchanged, lang)}</p>`;
  const list = (text: { zh: string; en: string }, sets: { id: number; name: string }[]) =>
    sets.length > 0 &&
    html`<p>${inLang(text, lang)}</p>
      <ul>
        ${permissionItems(sets)}
      </ul>`;
  return html`<div id="changes">${list(T.gained, gained)} ${list(T.lost, lost)}</div>`;
}

function permissionItems(sets: { id: number; name: string }[]): Html[] {
  return sets.map(({ id, name }) => html`<li>${name} <span class="soft">#${id}</span></li>`);
}

function avatar({ avatarUrl, nickname }: PageAccount): Html {
  const isWeb = URL.canParse(avatarUrl) && /^https?:$/.test(new URL(avatarUrl).protocol);
  return isWeb
    ? html`<img
        class="avatar"
        src="${avatarUrl}"
        alt=""
        width="56"
        height="56"
        referrerpolicy="no-referrer"
      />`
    : html`<span class="avatar" aria-hidden="true">${Array.from(nickname)[0] ?? '微'}</span>`;
}
