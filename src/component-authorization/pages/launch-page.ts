import { html, Html } from '@app/html';
import { type AccountType, MINIMUM_PERMISSIONS, permissionName } from '@app/wechat';
import QRCode from 'qrcode';

import { inLang, type Lang, type Text } from '../../common/text.js';
import { accountCard, layout, type PageAccount } from './layout.js';
import { T } from './texts.js';

export type { PageAccount } from './layout.js';

export interface LaunchPageModel {
  lang: Lang;
  /** A phone is offered WeChat's own page first, a desktop the scan page. */
  form: 'desktop' | 'phone';
  /** This page's own path. */
  selfUrl: string;
  mobileUrl: string;
  accountType: AccountType | 'any';
  /** Only this account may be chosen. */
  onlyAppid: string | null;
  onlyNickname: string | null;
  /** Only these permission sets are asked for; null for all that the platform needs. */
  onlyPermissionIds: readonly number[] | null;
  /** WeChat's page with the QR code: works only as a link that shows its referrer. */
  scanUrl: string;
  /** WeChat's page for a phone. */
  phoneUrl: string;
  expiresAt: Date;
  status: 'pending' | 'completed' | 'failed' | 'expired';
  account: PageAccount | null;
  failure: { code: string; text: string } | null;
}

/** The page that an account's administrator is sent to: what will be asked, where to scan, how it stands. */
export async function renderLaunchPage(model: LaunchPageModel): Promise<string> {
  const { lang, form, status, selfUrl } = model;
  const title = inLang(T.launchTitle, lang);
  const isPending = status === 'pending';
  const content = html`<h1>${title}</h1>
    ${isPending ? await asking(model) : result(model)}`;
  const other = `${selfUrl}?lang=${lang === 'en' ? 'zh-CN' : 'en'}${form === 'phone' ? '&form=phone' : ''}`;
  return layout({
    lang,
    title,
    status,
    alternateUrl: other,
    content,
    scripts: isPending ? ['launch.js'] : [],
  });
}

async function asking(model: LaunchPageModel): Promise<Html> {
  const { lang, form, onlyAppid, onlyNickname, selfUrl, expiresAt } = model;
  const say = (text: Text): string => inLang(text, lang);
  const ways = [scanWay(model), await phoneWay(model)];
  return html`<p class="lead">${say(T.launchLead)}</p>
    ${
      onlyAppid &&
      html`<p class="only">
        ${say(T.updateLead)} <strong><bdi>${onlyNickname || onlyAppid}</bdi></strong>
        <span class="soft">${onlyAppid}</span><br />${say(T.updateNote)}
      </p>`
    }
    <section class="card notice">
      <h2>${say(T.noticeTitle)}</h2>
      <ul>
        ${T.notices.map((notice) => html`<li>${say(notice)}</li>`)}
      </ul>
    </section>
    <div class="ways">${form === 'phone' ? ways.toReversed() : ways}</div>
    <section
      class="card"
      id="status"
      data-state-url="${selfUrl}/state?lang=${lang}"
      data-expires-at="${expiresAt.toISOString()}">
      <h2>${say(T.statusTitle)}</h2>
      <p class="waiting" role="status" aria-live="polite">${say(T.pending)}</p>
      <p class="soft">
        ${say(T.validUntil)}
        <time datetime="${expiresAt.toISOString()}">${clockTime(expiresAt, lang)}</time>
        <span id="countdown"></span>
      </p>
      <noscript><p>
          <a href="${selfUrl}?lang=${lang}${form === 'phone' ? '&form=phone' : ''}">${say(T.refresh)}</a>
        </p></noscript>
    </section>
    <section class="card">
      <h2>${say(model.onlyPermissionIds ? T.onlyPermissionsTitle : T.permissionsTitle)}</h2>
      ${askedPermissions(model)}
    </section>`;
}

function scanWay({ lang, form, scanUrl }: LaunchPageModel): Html {
  const isFirst = form === 'desktop';
  return html`<section class="card way">
    <h2>${inLang(T.scanTitle, lang)}</h2>
    <p class="soft">${inLang(T.scanHint, lang)}</p>
    <a id="scan-link" class="button${isFirst ? '' : ' second'}" href="${scanUrl}">${inLang(T.scanButton, lang)}</a>
  </section>`;
}

async function phoneWay({ lang, form, phoneUrl, mobileUrl }: LaunchPageModel): Promise<Html> {
  const isFirst = form === 'phone';
  const code = isFirst
    ? null
    : html`<div class="qr" role="img" aria-label="${inLang(T.qrLabel, lang)}">
        ${new Html(await QRCode.toString(mobileUrl, { type: 'svg', margin: 2, width: 168 }))}
      </div>`;
  return html`<section class="card way">
    <h2>${inLang(T.phoneTitle, lang)}</h2>
    <div class="phone">
      ${code}
      <div>
        <p class="soft">${inLang(isFirst ? T.phoneHere : T.phoneHint, lang)}</p>
        <a id="phone-link" class="${isFirst ? 'button' : 'link'}" href="${phoneUrl}">${inLang(T.phoneButton, lang)}</a>
      </div>
    </div>
  </section>`;
}

function askedPermissions({ accountType, onlyPermissionIds, lang }: LaunchPageModel): Html[] {
  const types = (['official_account', 'mini_program'] as const).filter(
    (type) => accountType === 'any' || accountType === type,
  );
  return types.map((type) => permissions(type, onlyPermissionIds, lang));
}

function permissions(
  accountType: AccountType,
  onlyIds: readonly number[] | null,
  lang: Lang,
): Html {
  const title = accountType === 'mini_program' ? T.miniProgram : T.officialAccount;
  const minimum = MINIMUM_PERMISSIONS[accountType];
  const purposeOf = (id: number): Text | undefined => minimum.find((set) => set.id === id)?.purpose;
  const ids = onlyIds ?? minimum.map(({ id }) => id);
  return html`<h3>${inLang(title, lang)}</h3>
    <ul class="permissions">
      ${ids.map((id) => {
        const purpose = purposeOf(id);
        return html`<li>
          <span><bdi>${permissionName(id)}</bdi> <span class="soft">#${id}</span></span><span class="soft">${purpose && inLang(purpose, lang)}</span>
        </li>`;
      })}
    </ul>`;
}

function result({ lang, status, account, failure }: LaunchPageModel): Html {
  if (status === 'completed') {
    return html`<section class="card">
      <p class="outcome good" role="status">${inLang(T.completed, lang)}</p>
      ${account && accountCard(account, lang)}
      <p>${inLang(T.close, lang)}</p>
    </section>`;
  }
  const [what, next] =
    status === 'expired'
      ? [T.expired, inLang(T.expiredDetail, lang)]
      : [T.failed, failure?.text ?? inLang(T.expiredDetail, lang)];
  return html`<section class="card">
    <p class="outcome bad" role="status">${inLang(what, lang)}</p>
    <p>${next}</p>
  </section>`;
}

/** In Chinese time, which is what WeChat's administrators live by. */
function clockTime(at: Date, lang: Lang): string {
  const time = new Intl.DateTimeFormat('en-GB', {
    timeZone: 'Asia/Shanghai',
    hour: '2-digit',
    minute: '2-digit',
  }).format(at);
  return `${time} ${inLang(T.chineseTime, lang)}`;
}
