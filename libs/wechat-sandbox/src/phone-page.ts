import { createHash } from 'node:crypto';

import { Html, html, type HtmlValue } from '@app/html';

import type { Card, Content, ConversationLine } from './conversation.js';
import { kindOf, page } from './page.js';
import type { SandboxPerson } from './people.js';
import { isOver, type SandboxQrCode } from './qr-codes.js';
import type { WechatSandbox } from './sandbox.js';
import type { SandboxAccount } from './state.js';

const REFRESH_MS = 1_500;
/** Without JavaScript, where every refresh begins anew at the latest message. */
const PLAIN_REFRESH_SECONDS = 5;
const PAUSE_MS = 5 * 60_000;

const STYLE = `
main{max-width:960px}
.phone{display:grid;gap:16px;grid-template-columns:minmax(0,1fr)}
.screen{background:#ededed;border:1px solid var(--line);border-radius:12px;overflow:hidden;display:flex;flex-direction:column;height:min(560px,70vh)}
.bar{display:flex;align-items:center;gap:12px;background:#f7f7f7;border-bottom:1px solid var(--line);padding:8px 12px}
.bar h1{font-size:17px;margin:0;flex:1;min-width:0}
.bar .avatar{width:36px;height:36px}
.bar button{padding:8px 12px}
iframe{flex:1;border:0;width:100%;min-height:0}
.write{display:flex;gap:8px;padding:8px 12px;background:#f7f7f7;border-top:1px solid var(--line)}
input[type=text],select{font:inherit;min-height:44px;min-width:0;flex:1;width:100%;padding:8px 12px;border:1px solid var(--line);border-radius:8px;background:#fff}
button{white-space:nowrap}
.notice{background:#fff3cd;color:#6b4e00;border-radius:8px;padding:8px 12px;margin:0 0 16px}
.tools .card{padding:16px;margin-bottom:12px}
.tools form+form{margin-top:8px}
.line{display:flex;gap:8px;align-items:center}
.line span:first-child{flex:1 1 160px;min-width:0;overflow-wrap:anywhere}
.consent{flex-wrap:wrap}
@media(min-width:860px){.phone{grid-template-columns:400px minmax(0,1fr)}.screen{height:min(760px,calc(100vh - 110px))}}
@media(max-width:859px){main{margin:12px auto;padding:0 12px}.consent span:first-child{flex-basis:100%}.codes{flex-wrap:wrap}.codes select{flex-basis:100%}}
`;

const CONVERSATION_STYLE = `
html,body{height:100%;background:#ededed}
.ribbon{display:none}
main{margin:0;padding:12px;max-width:none;height:100%;overflow-y:auto;display:flex;flex-direction:column-reverse;gap:12px}
main>:first-child{margin-bottom:auto}
.time,.happened{align-self:center;text-align:center;color:#6a6a6a;font-size:13px;margin:0;overflow-wrap:anywhere}
.said{max-width:82%;align-self:flex-start}
.said.person{align-self:flex-end}
.bubble{background:#fff;border-radius:8px;padding:10px 12px;overflow-wrap:anywhere;width:fit-content;max-width:100%}
.bubble .words{margin:0;color:inherit;font-size:inherit;white-space:pre-wrap}
.person .bubble{background:#95ec69;margin-left:auto}
.bubble img{display:block;max-width:100%;max-height:240px;border-radius:4px}
.bubble h2{font-size:16px;margin:0 0 4px}
.bubble p{margin:0;color:var(--soft);font-size:14px}
.bubble.shown{min-width:220px}
.bubble+.bubble{margin-top:4px}
.way{font-size:12px;color:#6a6a6a;margin:2px 4px 0}
.person .way{text-align:right}
.refused{color:#b3261e}
.entry{display:block;width:100%;background:none;color:#2b5fad;text-align:left;padding:4px 0;font-weight:400;border-top:1px solid var(--line);border-radius:0;white-space:normal}
a{color:#2b5fad}
`;

/** Puts what is new in the place of what is there, and leaves alone who has scrolled back. */
const SCRIPT = `setInterval(async()=>{
  const answer=await fetch(location.href).catch(()=>null);
  if(!answer?.ok)return;
  const fresh=new DOMParser().parseFromString(await answer.text(),'text/html').querySelector('main');
  const shown=document.querySelector('main');
  if(fresh&&fresh.innerHTML!==shown.innerHTML)shown.replaceChildren(...fresh.childNodes);
},${REFRESH_MS})`;

const PICTURES = "img-src 'self' http: https:";
const EVERYTHING_ELSE = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'";
/** What people and accounts write is shown; nothing of it runs. */
export const PHONE_POLICY = `${EVERYTHING_ELSE}; ${PICTURES}; frame-src 'self'; form-action 'self'`;
export const CONVERSATION_POLICY = `${EVERYTHING_ELSE}; ${PICTURES}; connect-src 'self'; form-action 'self'; script-src 'sha256-${createHash('sha256').update(SCRIPT).digest('base64')}'`;

/** What a person is told, by the word in the address. */
export const NOTICES = {
  'code-over': '这个码已过期，或不是该账号的。 The code has ended, or is not of this account.',
  empty: '没有填写内容。 Nothing was entered.',
} as const;
export type Notice = keyof typeof NOTICES;

const WAYS: Readonly<Record<NonNullable<ConversationLine['way']>, string>> = {
  passive_reply: '被动回复 Passive reply',
  customer_service_message: '客服消息 Customer-service message',
  template_message: '模板消息 Template message',
  subscription_message: '订阅消息 Subscription message',
  broadcast: '群发 Broadcast',
};

/** The accounts that somebody may talk to. */
export function accountsPage(accounts: readonly SandboxAccount[]): string {
  const choices = accounts.map(
    (account) =>
      html`<a class="button choice" href="/phone/${account.appid}">
        <span class="avatar" aria-hidden="true">${account.nickname.slice(0, 1)}</span>
        <span>${account.nickname}<span class="en">${kindOf(account)} · ${account.appid}</span></span>
      </a>`,
  );
  return page(
    '手机微信 A phone with WeChat',
    html`<div class="card">
      <h1>手机微信<span class="en">A phone with WeChat</span></h1>
      <p class="note">
        扮演一位粉丝：关注、扫码、发消息，看账号回复什么。<br />Be a follower: follow, scan, write, and
        see what the account answers.
      </p>
      ${choices}
    </div>`,
  );
}

/** A person's WeChat, open at one account. @param seen what she is told, and whether she has just written */
export function phonePage(
  sandbox: WechatSandbox,
  account: SandboxAccount,
  openid: string,
  seen: { notice: Notice | null; isWriting: boolean },
): string {
  const { notice, isWriting } = seen;
  const path = `/phone/${account.appid}/${openid}`;
  const person = Object.hasOwn(account.people, openid) ? account.people[openid] : undefined;
  const isFollower = person?.isFollower ?? false;
  const isMiniProgram = account.accountType === 'mini_program';
  return page(
    `${account.nickname} · 手机微信`,
    html`${notice && html`<p class="notice" role="status">${NOTICES[notice]}</p>`}
      <div class="phone">
        <section class="screen" aria-label="对话 Conversation">
          <div class="bar">
            <span class="avatar" aria-hidden="true">${account.nickname.slice(0, 1)}</span>
            <h1>${account.nickname}<span class="en">${kindOf(account)}</span></h1>
            ${isMiniProgram ? enterForm(path) : followForm(path, isFollower)}
          </div>
          <iframe src="${path}/conversation" title="对话 Conversation"></iframe>
          <form class="write" method="post" action="${path}/write">
            <input
              type="text"
              name="text"
              autocomplete="off"
              aria-label="消息 Message"
              placeholder="发消息 Write"
              ${isWriting && new Html('autofocus')}
            />
            <button>发送 Send</button>
          </form>
        </section>
        <div class="tools">
          ${isMiniProgram ? consentCard(path, account, person) : scanCard(sandbox, path, account)}
          ${isMiniProgram ? null : menuCard(path)} ${personCard(account, openid)}
        </div>
      </div>`,
    { style: STYLE },
  );
}

function followForm(path: string, isFollower: boolean): Html {
  return html`<form method="post" action="${path}/${isFollower ? 'unfollow' : 'follow'}">
    <button id="follow"${new Html(isFollower ? ' class="plain"' : '')}>
      ${isFollower ? '取消关注 Unfollow' : '关注 Follow'}
    </button>
  </form>`;
}

function enterForm(path: string): Html {
  return html`<form method="post" action="${path}/enter-session">
    <button class="plain">进入客服 Enter</button>
  </form>`;
}

function scanCard(sandbox: WechatSandbox, path: string, account: SandboxAccount): Html {
  const codes = Object.values(account.qrCodes)
    .filter((code) => !isOver(code, sandbox.now()))
    .toReversed();
  return html`<section class="card">
    <h2>扫一扫<span class="en">Scan a code: what it says, its ticket, or a scene</span></h2>
    <form method="post" action="${path}/scan">
      <div class="line">
        <input
          type="text"
          name="code"
          autocomplete="off"
          aria-label="二维码内容 What the code says"
          placeholder="二维码内容或场景值"
        />
        <button>扫码 Scan</button>
      </div>
    </form>
    ${
      codes.length === 0
        ? html`<p class="note">该账号还没有二维码。 The account has made no codes yet.</p>`
        : html`<form method="post" action="${path}/scan">
            <div class="line codes">
              <select name="code" aria-label="该账号的二维码 Codes of the account">
                ${codes.map(
                  (code) => html`<option value="${code.ticket}">${nameOf(code)}</option>`,
                )}
              </select>
              <button>扫码 Scan</button>
            </div>
          </form>`
    }
  </section>`;
}

/** WeChat knows no names of codes: when one was made tells it from the others. */
function nameOf({ scene, expiresAt, madeAt }: SandboxQrCode): string {
  const sort = expiresAt === null ? '永久 permanent' : '临时 temporary';
  const made = madeAt === undefined ? '' : `${dayOf(madeAt)} ${timeOf(madeAt)} 创建 made`;
  const end = expiresAt === null ? '' : `${dayOf(expiresAt)} ${timeOf(expiresAt)} 到期 ends`;
  return [sort, made, end, scene].filter(Boolean).join(' · ');
}

function menuCard(path: string): Html {
  return html`<section class="card">
    <h2>自定义菜单<span class="en">The account's menu</span></h2>
    <form class="line" method="post" action="${path}/tap-menu">
      <input
        type="text"
        name="key"
        autocomplete="off"
        aria-label="菜单项的 key Key of the item"
        placeholder="菜单 key"
      />
      <button class="plain">点击 Tap</button>
    </form>
  </section>`;
}

function consentCard(path: string, account: SandboxAccount, person?: SandboxPerson): Html {
  const countOf = (templateId: string): string => {
    const left = person?.grants[templateId];
    return left === null ? '长期 always' : `剩 left ${left ?? 0}`;
  };
  return html`<section class="card">
    <h2>订阅消息<span class="en">Subscription messages</span></h2>
    ${account.templates.map(
      ({ templateId, title }) =>
        html`<form class="line consent" method="post" action="${path}/accept">
          <span>${title}<span class="en">${countOf(templateId)}</span></span>
          <input type="hidden" name="templateId" value="${templateId}" />
          <button>允许 Accept</button>
          <button class="plain" formaction="${path}/reject">拒绝 Reject</button>
        </form>`,
    )}
  </section>`;
}

function personCard({ appid, people }: SandboxAccount, openid: string): Html {
  const others = Object.keys(people)
    .filter((one) => one !== openid)
    .slice(-20);
  return html`<section class="card">
    <h2>我是谁<span class="en">Who I am</span></h2>
    <p class="note"><code>${openid}</code></p>
    <form class="line" action="/phone/${appid}">
      <select name="openid" aria-label="换一个人 Be somebody else">
        <option value="">新的人 New</option>
        ${others.map((one) => html`<option value="${one}">${one}</option>`)}
      </select>
      <button class="plain">换人 Change</button>
    </form>
    <p class="note"><a href="/phone">换一个账号 Another account</a></p>
  </section>`;
}

/** The conversation by itself: it refreshes under a form that is being filled in. */
export function conversationPage(
  sandbox: WechatSandbox,
  account: SandboxAccount,
  openid: string,
  lines: readonly ConversationLine[],
): string {
  const path = `/phone/${account.appid}/${openid}`;
  const shown = lines.flatMap((line, place) => {
    const before = lines[place - 1];
    const isLater = !before || line.at - before.at > PAUSE_MS;
    const time = html`<p class="time">${dayOf(line.at)} ${timeOf(line.at)}</p>`;
    return [...(isLater ? [time] : []), showLine(sandbox, path, line)];
  });
  const content =
    shown.length > 0
      ? // The page begins at its end: so the latest is in sight, also without JavaScript.
        shown.toReversed()
      : html`<p class="happened">还没有消息。 Nothing was said yet.</p>`;
  return page('对话 Conversation', html`${content}`, {
    style: CONVERSATION_STYLE,
    head: html`<noscript
        ><meta http-equiv="refresh" content="${PLAIN_REFRESH_SECONDS}"
      /></noscript>
      <script type="module">${new Html(SCRIPT)}</script>`,
  });
}

function showLine(sandbox: WechatSandbox, path: string, line: ConversationLine): Html {
  const { content, by, way, isRefused } = line;
  if (content.type === 'note')
    return html`<p class="happened">
      ${content.text}${isRefused && html`<br />${showRefusal()}`}
    </p>`;
  return html`<div class="said ${by}">
    ${showContent(sandbox, path, content)}
    ${way && html`<p class="way">${WAYS[way]}</p>`}
    ${isRefused && html`<p class="way">${showRefusal()}</p>`}
  </div>`;
}

function showRefusal(): Html {
  return html`<span class="refused">平台没有收到 The platform did not take it</span>`;
}

function showContent(
  sandbox: WechatSandbox,
  path: string,
  content: Exclude<Content, { type: 'note' }>,
): Html | Html[] {
  switch (content.type) {
    case 'text':
      return html`<div class="bubble">${words(withLinks(content.text))}</div>`;
    case 'images':
      return content.mediaIds.map(
        (id) => html`<div class="bubble">${showImage(sandbox, id)}</div>`,
      );
    case 'menu':
      return html`<div class="bubble shown">
        ${words(content.head)}
        ${content.items.map(
          ({ id, text }) =>
            html`<form method="post" action="${path}/tap-message-menu" target="_top">
              <input type="hidden" name="id" value="${id}" />
              <button class="entry" name="text" value="${text}">${text}</button>
            </form>`,
        )}
        ${words(content.tail)}
      </div>`;
    case 'cards':
      return content.cards.map(showCard);
  }
}

/** With their line breaks. */
function words(text: HtmlValue): Html {
  return html`<p class="words">${text}</p>`;
}

function showImage(sandbox: WechatSandbox, mediaId: string): Html {
  return sandbox.mediaBytes.has(mediaId)
    ? html`<img src="/mmbiz_png/${mediaId}/0" alt="图片 Image" />`
    : html`[图片 Image]`;
}

function showCard({ title, lines, url, pictureUrl }: Card): Html {
  return html`<div class="bubble shown">
    ${isAddress(pictureUrl) && html`<img src="${pictureUrl}" alt="" referrerpolicy="no-referrer" />`}
    <h2>${title}</h2>
    ${lines.map((line) => html`<p>${line}</p>`)}
    ${isAddress(url) && html`<p>${link(url, url)}</p>`}
  </div>`;
}

const LINK = /<a\s[^>]*?href=(?:"(https?:\/\/[^"]*)"|'(https?:\/\/[^']*)')[^>]*>([^<]*)<\/a>/gi;

/** WeChat makes links of such tags, and of no other markup. */
function withLinks(text: string): (string | Html)[] {
  const parts: (string | Html)[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const [whole, double, single, name = ''] = match;
    parts.push(text.slice(end, match.index), link(double ?? single ?? '', name));
    end = match.index + whole.length;
  }
  return [...parts, text.slice(end)];
}

function link(url: string, name: string): Html {
  return html`<a href="${url}" target="_blank" rel="noreferrer">${name}</a>`;
}

/** Of a page; anything else, such as `javascript:`, is no link. */
function isAddress(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

function timeOf(at: number): string {
  return new Date(at + SHANGHAI_MS).toISOString().slice(11, 16);
}

function dayOf(at: number): string {
  return new Date(at + SHANGHAI_MS).toISOString().slice(5, 10);
}

const SHANGHAI_MS = 8 * 3_600_000;
