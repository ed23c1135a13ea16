const STYLE = `:root {
  color-scheme: light dark;
  --ink: #1c2126; --soft: #5b6570; --line: #dfe3e8; --back: #f3f5f7; --card: #fff;
  --brand: #067d40; --brand-ink: #fff; --good: #0a6b39; --bad: #b3261e; --warn: #7a4a00; --warn-back: #fff6e0;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e8eaed; --soft: #a5adb6; --line: #3a4148; --back: #15181b; --card: #1f2428;
    --brand: #2bb673; --brand-ink: #06140c; --good: #4cc88a; --bad: #ff8a80; --warn: #ffcf7d; --warn-back: #33290f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--back); color: var(--ink);
  font: 16px/1.65 system-ui, -apple-system, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif;
  overflow-wrap: anywhere;
}
header { max-width: 880px; margin: 0 auto; padding: 12px 20px 0; min-height: 44px; text-align: right; }
.language { display: inline-block; padding: 10px 0; color: var(--soft); }
main { max-width: 880px; margin: 0 auto; padding: 0 20px 48px; }
h1 { font-size: 26px; line-height: 1.3; margin: 8px 0; }
h2 { font-size: 18px; margin: 0 0 8px; }
h3 { font-size: 16px; margin: 16px 0 4px; }
p { margin: 8px 0; }
.lead { margin-bottom: 16px; }
.soft { color: var(--soft); font-size: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 20px; margin: 16px 0; }
.card ul { margin: 0; padding-left: 20px; }
.card li { margin: 4px 0; }
.only { border-left: 4px solid var(--brand); padding: 4px 12px; }
.ways { display: grid; gap: 16px; }
.way { margin: 0; }
.phone { display: flex; gap: 16px; align-items: center; }
.qr { background: #fff; border-radius: 10px; line-height: 0; flex: none; }
.qr svg { width: 132px; height: 132px; }
.button {
  display: inline-block; min-height: 48px; padding: 11px 24px; border-radius: 10px; border: 1px solid var(--brand);
  background: var(--brand); color: var(--brand-ink); font-weight: 600; text-decoration: none; text-align: center;
}
.button.second { background: transparent; color: var(--brand); }
.link { display: inline-block; padding: 10px 0; }
.button:hover { filter: brightness(1.08); }
a { color: var(--brand); }
a:focus-visible { outline: 3px solid #2b7de9; outline-offset: 3px; border-radius: 6px; }
.waiting::before {
  content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 8px; border-radius: 50%;
  background: var(--brand); animation: pulse 1.6s ease-in-out infinite;
}
@keyframes pulse { 50% { opacity: 0.25; } }
@media (prefers-reduced-motion: reduce) { .waiting::before { animation: none; } }
.permissions { list-style: none; padding: 0 !important; }
.permissions li {
  display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; margin: 0 !important; padding: 8px 0;
  border-bottom: 1px solid var(--line);
}
.permissions li:last-child { border-bottom: 0; }
.account { display: flex; gap: 16px; align-items: center; margin: 12px 0; }
.account strong, .account .soft { display: block; }
.avatar {
  width: 56px; height: 56px; border-radius: 12px; flex: none; display: grid; place-items: center;
  background: var(--brand); color: var(--brand-ink); font-size: 24px; object-fit: cover;
}
.outcome { font-size: 22px; font-weight: 700; margin: 0 0 8px; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.warning .soft { color: inherit; }
.warning { background: var(--warn-back); color: var(--warn); border-radius: 10px; padding: 8px 16px; margin: 12px 0; }
@media (min-width: 720px) {
  .ways { grid-template-columns: 1fr 1fr; }
  h1 { font-size: 30px; }
}
@media (max-width: 480px) {
  .button { display: block; }
  .phone { flex-direction: column; align-items: stretch; }
  .qr { align-self: center; }
}
`;

/** Watches the state and loads the page anew once it is final: the server draws it. */
const LAUNCH_SCRIPT = `'use strict';
(function () {
  var status = document.getElementById('status');
  if (!status) return;
  var countdown = document.getElementById('countdown');
  var expiresAt = Date.parse(status.dataset.expiresAt);
  var wait = 2000;

  function tick() {
    var left = Math.max(0, Math.round((expiresAt - Date.now()) / 1000));
    countdown.textContent = '(' + Math.floor(left / 60) + ':' + String(left % 60).padStart(2, '0') + ')';
  }

  function look() {
    if (document.hidden) return again();
    fetch(status.dataset.stateUrl, { cache: 'no-store' })
      .then(function (answer) { return answer.ok ? answer.json() : Promise.reject(new Error(answer.status)); })
      .then(function (state) {
        wait = 2000;
        if (state.status !== 'pending') location.reload();
        else again();
      })
      .catch(function () {
        wait = Math.min(wait * 2, 30000);
        again();
      });
  }

  function again() { setTimeout(look, wait); }

  tick();
  setInterval(tick, 1000);
  again();
})();
`;

/** What the pages load, by the name under `/authorize/assets/`. */
export const assets: ReadonlyMap<string, { contentType: string; body: string }> = new Map([
  ['style.css', { contentType: 'text/css; charset=utf-8', body: STYLE }],
  ['launch.js', { contentType: 'text/javascript; charset=utf-8', body: LAUNCH_SCRIPT }],
]);
