import { html } from '@app/html';

import { inLang, type Lang, type Text } from '../../common/text.js';
import { layout } from './layout.js';

/** A page that only says something: a link that leads nowhere, a browser that is not believed. */
export function renderMessagePage(page: { lang: Lang; title: Text; detail: Text }): string {
  const { lang } = page;
  const title = inLang(page.title, lang);
  const content = html`<section class="card">
    <h1 class="outcome bad">${title}</h1>
    <p>${inLang(page.detail, lang)}</p>
  </section>`;
  return layout({ lang, title, status: 'refused', alternateUrl: null, content });
}
