import { Html, html } from '@app/html';

import type { SandboxAccount } from './state.js';

const STYLE = `
:root{--green:#07c160;--ink:#1d1f21;--soft:#5f6670;--line:#e3e6ea;--back:#f4f5f7}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.6 -apple-system,"PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
.ribbon{background:#fff3cd;color:#6b4e00;text-align:center;padding:8px 16px;font-size:14px}
main{max-width:640px;margin:24px auto;padding:0 16px}
.card{background:#fff;border:1px solid var(--line);border-radius:12px;padding:24px;margin-bottom:16px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:0 0 8px}
.en{color:var(--soft);font-size:14px;font-weight:400;display:block}
button,.button{font:inherit;min-height:44px;padding:8px 20px;border:0;border-radius:8px;background:var(--green);color:#fff;cursor:pointer;font-weight:600;text-decoration:none;display:inline-block}
button.plain{background:#fff;color:var(--ink);border:1px solid var(--line);font-weight:400}
button:focus-visible,a:focus-visible,input:focus-visible{outline:3px solid #2b7de9;outline-offset:2px}
.choice{display:flex;align-items:center;gap:16px;width:100%;text-align:left;background:#fff;color:var(--ink);border:1px solid var(--line);margin-bottom:8px;padding:12px 16px;font-weight:400}
.choice:hover{border-color:var(--green)}
.avatar{width:44px;height:44px;border-radius:8px;background:var(--green);color:#fff;display:grid;place-items:center;font-weight:700;flex:none}
label{display:flex;gap:12px;align-items:center;min-height:44px;border-bottom:1px solid var(--line)}
input[type=checkbox]{width:20px;height:20px}
.row{display:flex;gap:8px;flex-wrap:wrap;margin-top:16px}
.note{color:var(--soft);font-size:14px}
code{font-size:14px;overflow-wrap:anywhere}
form{margin:0}
`;

/**
 * A whole page. It says that it is not the real WeChat.
 *
 * @param more style over the common one, and what else stands in its head
 */
export function page(
  title: string,
  content: Html,
  more: { style?: string; head?: Html } = {},
): string {
  return `<!doctype html>${
    html`<html lang="zh-CN">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width,initial-scale=1" />
        <link rel="icon" href="/mmopen/sandbox/0" />
        <title>${title}</title>
        <style>
          ${new Html(STYLE + (more.style ?? ''))}
        </style>
        ${more.head}
      </head>
      <body>
        <div class="ribbon">
          微信沙箱，不是真正的微信 · A sandbox on this machine, not the real WeChat
        </div>
        <main>${content}</main>
      </body>
    </html>`.text
  }`;
}

/** What sort of account it is, in words. */
export function kindOf({ accountType, serviceType, verifyType }: SandboxAccount): string {
  const kind = accountType === 'mini_program' ? '小程序' : serviceType === 2 ? '服务号' : '订阅号';
  return `${kind}${verifyType === 0 ? '（已认证）' : '（未认证）'}`;
}

/** Says why a page cannot be shown. */
export function errorPage(message: string): string {
  return page(
    '出错了',
    html`<div class="card">
      <h1>无法继续<span class="en">Cannot go on</span></h1>
      <p id="refusal">${message}</p>
    </div>`,
  );
}
