import { html } from '@app/html';

import { inLang, type Lang } from '../../common/text.js';
import { accountCard, layout, type PageAccount } from './layout.js';
import { T } from './texts.js';

export interface CallbackPageModel {
  lang: Lang;
  /** `pending`: WeChat could not be asked, a reload tries again. */
  status: 'completed' | 'failed' | 'pending';
  account: PageAccount | null;
  failure: { code: string; text: string } | null;
  /** This page's own path and query, to try again with. */
  selfUrl: string;
  alternateUrl: string;
}

/** Where the browser lands after the scan: which account it was, what is missing, and that it may be closed. */
export function renderCallbackPage(model: CallbackPageModel): string {
  const { lang, status, account, failure, selfUrl, alternateUrl } = model;
  const title = inLang(status === 'completed' ? T.completed : T.failed, lang);
  const isDone = status === 'completed';
  const content = html`<section class="card">
    <h1 class="outcome ${isDone ? 'good' : 'bad'}">${title}</h1>
    ${account && accountCard(account, lang)} ${failure && html`<p>${failure.text}</p>`}
    ${
      status === 'pending'
        ? html`<p><a class="button" href="${selfUrl}">${inLang(T.reload, lang)}</a></p>`
        : html`<p>${inLang(T.close, lang)}</p>`
    }
  </section>`;
  return layout({ lang, title, status, alternateUrl, content });
}
