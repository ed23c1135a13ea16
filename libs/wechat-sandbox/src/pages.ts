import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import { html, type Html } from '@app/html';
import { PERMISSION_SETS } from '@app/wechat';

import { errorPage, kindOf, page } from './page.js';
import type { WechatSandbox } from './sandbox.js';
import { offeredPermissions, type SandboxAccount } from './state.js';

/** A person who has scanned and is choosing. */
export interface ScanSession {
  preAuthCode: string;
  redirectUri: string;
  authType: number;
  bizAppid: string | null;
  /** Only these permission sets are offered; null offers all. */
  categories: number[] | null;
}

/** WeChat's error page. */
class PageRefusal extends Error {}

interface Visit {
  sandbox: WechatSandbox;
  request: IncomingMessage;
  url: URL;
  form: URLSearchParams;
}

type Answer = { html: string } | { location: string };

const PAGES: Readonly<Record<string, (visit: Visit) => Answer>> = {
  'GET /': home,
  'POST /_home/ticket': ({ sandbox }) => {
    sandbox.requestTicket();
    return { location: '/' };
  },
  'POST /_home/cancel': ({ sandbox, form }) => {
    sandbox.cancel(form.get('appid') ?? '');
    return { location: '/' };
  },
  'POST /_home/authorize': ({ sandbox, form }) => {
    sandbox.authorize({ appid: form.get('appid') ?? '', preAuthCode: null });
    return { location: '/' };
  },
  'GET /cgi-bin/componentloginpage': (visit) => {
    checkReferrer(visit);
    return chooseAccount(visit);
  },
  // The phone's page is opened inside WeChat, where there is no page that it comes from.
  'GET /wxaopen/safe/bindcomponent': chooseAccount,
  'GET /safe/bindcomponent': chooseAccount,
  'POST /_scan/permissions': choosePermissions,
  'POST /_scan/confirm': confirm,
};

/** Answers the pages that a person clicks through. */
export function handlePage(
  sandbox: WechatSandbox,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
  body: string,
): void {
  const show = PAGES[`${request.method} ${url.pathname}`];
  try {
    if (!show) throw new PageRefusal('没有这个页面 / no such page');
    const answer = show({ sandbox, request, url, form: new URLSearchParams(body) });
    if ('location' in answer) response.writeHead(303, { location: answer.location }).end();
    else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(answer.html);
  } catch (error) {
    const isRefusal = error instanceof PageRefusal || error instanceof RangeError;
    const status = !show ? 404 : isRefusal ? 403 : 500;
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
    response.end(errorPage(error instanceof Error ? error.message : 'failed'));
  }
}

/** WeChat looks at which domain the visitor comes from. */
function checkReferrer({ sandbox, request }: Visit): void {
  const referrer = request.headers.referer;
  const from = referrer && URL.canParse(referrer) ? new URL(referrer) : null;
  const wanted = sandbox.launchDomain;
  const isFromThere =
    from !== null && (wanted.includes(':') ? from.host : from.hostname) === wanted;
  if (isFromThere) return;
  throw new PageRefusal(
    `请确认授权入口页所在域名，与授权后回调页所在域名相同，并且，此两者都必须与申请第三方平台时填写的授权发起页域名相同。授权入口页所在域名：${from?.host ?? '空'}；授权发起页域名：${wanted}`,
  );
}

function chooseAccount({ sandbox, url }: Visit): Answer {
  const session = readSession(sandbox, url.searchParams);
  const id = randomUUID();
  sandbox.scanSessions.set(id, session);
  const accounts = Object.values(sandbox.data.accounts).filter((account) =>
    isOffered(account, session),
  );
  const choices = accounts.map(
    (account) =>
      html`<form method="post" action="/_scan/permissions">
        <input type="hidden" name="session" value="${id}" /><input
          type="hidden"
          name="appid"
          value="${account.appid}"
        />
        <button class="choice" data-appid="${account.appid}">
          <span class="avatar" aria-hidden="true">${account.nickname.slice(0, 1)}</span>
          <span>${account.nickname}<span class="en">${kindOf(account)} ·
              ${account.appid}${account.authorization ? ' · 已授权' : ''}</span></span>
        </button>
      </form>`,
  );
  return {
    html: page(
      '选择授权账号',
      html`<div class="card">
        <h1>授权第三方平台<span class="en">Authorize the third-party platform</span></h1>
        <p class="note">
          真正的微信在这里显示二维码；沙箱请直接选择由哪个账号的管理员扫码。<br />The real page
          shows a QR code. Here, choose whose administrator scans it.
        </p>
        ${choices.length > 0 ? choices : html`<p>没有可授权的账号。 No account can be authorized.</p>`}
      </div>`,
    ),
  };
}

function choosePermissions({ sandbox, form }: Visit): Answer {
  const { id, session } = openSession(sandbox, form);
  const account = sandbox.account(form.get('appid') ?? '');
  if (!isOffered(account, session))
    throw new PageRefusal('不能授权该账号 / this account cannot be authorized');
  const sets = offeredPermissions(account.accountType).filter(
    (set) => session.categories?.includes(set) ?? true,
  );
  const boxes = sets.map(
    (set) =>
      html`<label><input type="checkbox" name="permission" value="${set}" checked />
        ${PERMISSION_SETS.get(set)?.name ?? set}</label
      >`,
  );
  return {
    html: page(
      '选择权限',
      html`<form class="card" method="post" action="/_scan/confirm">
        <h1>${account.nickname}<span class="en">${kindOf(account)}</span></h1>
        <p class="note">将以下权限授权给第三方平台。 Grant these permissions to the platform.</p>
        <input type="hidden" name="session" value="${id}" /><input
          type="hidden"
          name="appid"
          value="${account.appid}"
        />${boxes}
        <div class="row"><button id="confirm">授权 / Authorize</button></div>
      </form>`,
    ),
  };
}

function confirm({ sandbox, form }: Visit): Answer {
  const { id, session } = openSession(sandbox, form);
  const account = sandbox.account(form.get('appid') ?? '');
  if (!isOffered(account, session))
    throw new PageRefusal('不能授权该账号 / this account cannot be authorized');
  sandbox.scanSessions.delete(id);
  const { authCode, expiresIn } = sandbox.authorize({
    appid: account.appid,
    preAuthCode: session.preAuthCode,
    permissionIds: [...form.getAll('permission').map(Number), ...untouched(account, session)],
  });
  const redirect = new URL(session.redirectUri);
  redirect.searchParams.set('auth_code', authCode);
  redirect.searchParams.set('expires_in', String(expiresIn));
  return { location: redirect.href };
}

/** What was granted before and is not on the page stays as it is. */
function untouched({ authorization }: SandboxAccount, { categories }: ScanSession): number[] {
  if (categories === null) return [];
  return (authorization?.permissionIds ?? []).filter((id) => !categories.includes(id));
}

function readSession(sandbox: WechatSandbox, query: URLSearchParams): ScanSession {
  if (query.get('component_appid') !== sandbox.component.appid)
    throw new PageRefusal('第三方平台 appid 有误 / wrong component_appid');
  const preAuthCode = query.get('pre_auth_code') ?? '';
  const code = sandbox.data.preAuthCodes[preAuthCode];
  if (!code) throw new PageRefusal('预授权码无效 / unknown pre_auth_code');
  if (code.isUsed) throw new PageRefusal('预授权码已使用 / pre_auth_code was used');
  if (sandbox.now() > code.expiresAt)
    throw new PageRefusal('预授权码已过期 / pre_auth_code has expired');
  const redirectUri = query.get('redirect_uri') ?? '';
  const host = URL.canParse(redirectUri) ? new URL(redirectUri).host : '空';
  const wanted = sandbox.launchDomain;
  const isOurs = (wanted.includes(':') ? host : host.split(':')[0]) === wanted;
  if (!isOurs) throw new PageRefusal(`回调页域名 ${host} 与授权发起页域名 ${wanted} 不一致`);
  const categories = query.get('category_id_list');
  return {
    preAuthCode,
    redirectUri,
    authType: Number(query.get('auth_type') ?? 3),
    bizAppid: query.get('biz_appid'),
    categories: categories === null ? null : categories.split('|').map(Number),
  };
}

function openSession(
  sandbox: WechatSandbox,
  form: URLSearchParams,
): { id: string; session: ScanSession } {
  const id = form.get('session') ?? '';
  const session = sandbox.scanSessions.get(id);
  if (!session) throw new PageRefusal('页面已失效，请重新扫码 / this page has run out, scan again');
  return { id, session };
}

/** `biz_appid` wins over `auth_type`; cancelled, banned and frozen accounts do not show up. */
function isOffered(
  { appid, accountType, accountStatus }: SandboxAccount,
  session: ScanSession,
): boolean {
  if ([14, 16, 19].includes(accountStatus)) return false;
  if (session.bizAppid !== null) return appid === session.bizAppid;
  if (session.authType === 1) return accountType === 'official_account';
  if (session.authType === 2) return accountType === 'mini_program';
  return true;
}

function home({ sandbox }: Visit): Answer {
  const accounts = Object.values(sandbox.data.accounts).slice(0, 50);
  const rows = accounts.map(
    (account) =>
      html`<div class="card">
        <h2>${account.nickname}<span class="en">${kindOf(account)} · ${account.appid}</span></h2>
        <p class="note">
          ${account.authorization ? `已授权 / authorized：${account.authorization.permissionIds.join(', ')}` : '未授权 / not authorized'}
          ${
            account.accountType === 'mini_program' &&
            html`<br />AppSecret <code>${account.appSecret}</code>`
          }
        </p>
        <form
          method="post"
          action="${account.authorization ? '/_home/cancel' : '/_home/authorize'}">
          <input type="hidden" name="appid" value="${account.appid}" />
          <button class="plain">
            ${account.authorization ? '取消授权 / Cancel' : '从控制台授权 / Authorize from the console'}
          </button>
        </form>
      </div>`,
  );
  const content: Html = html`<div class="card">
      <h1>微信沙箱<span class="en">WeChat sandbox</span></h1>
      <p class="note">
        这里扮演微信：API、扫码页与推送。 This plays WeChat: its API, its scan page and its pushes.
      </p>
      <p class="note">
        事件推送到 Events go to <code>${sandbox.eventsUrl ?? '—'}</code><br />授权发起页域名 Launch
        domain <code>${sandbox.launchDomain}</code>
      </p>
      <div class="row">
        <form method="post" action="/_home/ticket">
          <button>推送 ticket / Push a ticket</button>
        </form>
        <a class="button" href="/phone">手机微信 / A phone with WeChat</a>
      </div>
    </div>
    ${rows}`;
  return { html: page('微信沙箱 WeChat sandbox', content) };
}
