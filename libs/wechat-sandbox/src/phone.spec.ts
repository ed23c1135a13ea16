import {
  createQrCode,
  getStableToken,
  imageReply,
  newsReply,
  sendBroadcast,
  sendCustomerServiceMessage,
  sendSubscriptionMessage,
  sendTemplateMessage,
  textReply,
  uploadTemporaryMedia,
  WechatHttp,
  type XmlObject,
} from '@app/wechat';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';

import { WechatSandbox } from './index.js';
import { type Receiver, startReceiver } from './vectors/receiver.js';

const SERVICE_ACCOUNT = 'wx1badb002feedface';
const MINI_PROGRAM = 'wx3c0ffee53c0ffee5';
const OPENID = 'oPerson00000000000000000001';
const PHONE = `/phone/${SERVICE_ACCOUNT}/${OPENID}`;
const MINI_PHONE = `/phone/${MINI_PROGRAM}/${OPENID}`;
const HOSTILE = '<script>document.title="run"</script>';

let sandbox: WechatSandbox;
let http: WechatHttp;
let now: number;
let receiver: Receiver;

beforeEach(async () => {
  now = Date.UTC(2026, 7, 1, 2);
  receiver = await startReceiver();
  sandbox = await WechatSandbox.start({
    component: receiver.component,
    launchDomain: 'channel.test',
    messagesUrl: receiver.messagesUrl,
    now: () => now,
    pushRetryDelaysMs: [0, 0],
  });
  http = new WechatHttp({ baseUrl: sandbox.url });
});

afterEach(async () => {
  await http.close();
  await sandbox.stop();
  await receiver.close();
});

async function tokenOf(appid: string): Promise<string> {
  const { appSecret } = sandbox.account(appid);
  return (await getStableToken(http, { appid, appSecret })).accessToken;
}

interface Shown {
  status: number;
  location: string | null;
  policy: string;
  html: string;
}

async function open(path: string, form?: Record<string, string>): Promise<Shown> {
  const { statusCode, headers, body } = await request(`${sandbox.url}${path}`, {
    ...(form && { method: 'POST', body: new URLSearchParams(form).toString() }),
  });
  return {
    status: statusCode,
    location: typeof headers['location'] === 'string' ? headers['location'] : null,
    policy: String(headers['content-security-policy']),
    html: await body.text(),
  };
}

/** What stands in the conversation, the latest first. */
async function conversation(phone = PHONE): Promise<string> {
  const { html } = await open(`${phone}/conversation`);
  return /<main>([\s\S]*)<\/main>/.exec(html)?.[1] ?? '';
}

/** Sends a form that is on the page. */
async function submit(
  action: string,
  form: Record<string, string> = {},
  phone = PHONE,
): Promise<string | null> {
  const shown = `${(await open(phone)).html}${await conversation(phone)}`;
  expect(shown).toContain(`action="${phone}/${action}"`);
  const { status, location } = await open(`${phone}/${action}`, form);
  expect(status).toBe(303);
  return location;
}

const wordOf = (fields: XmlObject, name: string): string => {
  const value = fields[name];
  return typeof value === 'string' ? value : '';
};

const headOf = (fields: XmlObject) => ({
  to: wordOf(fields, 'FromUserName'),
  from: wordOf(fields, 'ToUserName'),
  createTime: 1,
});

describe('the phone', () => {
  it('shows the accounts, and leads to somebody', async () => {
    const { html } = await open('/phone');
    for (const { appid, nickname } of Object.values(sandbox.data.accounts)) {
      expect(html).toContain(`href="/phone/${appid}"`);
      expect(html).toContain(nickname);
    }
    const { location } = await open(`/phone/${SERVICE_ACCOUNT}`);
    expect((await open(location ?? '')).html).toContain('示例花店');
    const { location: chosen } = await open(`/phone/${SERVICE_ACCOUNT}?openid=${OPENID}`);
    expect(chosen).toBe(PHONE);
    const { location: fresh } = await open(`/phone/${SERVICE_ACCOUNT}?openid=`);
    expect(fresh).toMatch(/^\/phone\/wx1badb002feedface\/o[\w-]{27}$/);
    expect((await open('/')).html).toContain('href="/phone"');
  });

  it.each([
    ['GET', '/phone/wx0/oPerson'],
    ['GET', '/phone/constructor/oPerson'],
    ['GET', `/phone/${SERVICE_ACCOUNT}/<b>`],
    ['GET', `${PHONE}/write`],
    ['GET', `${PHONE}/constructor`],
    ['POST', PHONE],
    ['POST', `${PHONE}/toString`],
    ['POST', '/phone'],
  ])('has nothing for %s %s', async (method, path) => {
    expect((await open(path, method === 'POST' ? {} : undefined)).status).toBe(404);
  });

  it('makes nobody known by looking', async () => {
    await open(PHONE);
    await conversation();
    expect(sandbox.account(SERVICE_ACCOUNT).people).toEqual({});
  });

  it('refreshes the conversation by itself, and not the form that is filled in', async () => {
    expect((await open(`${PHONE}/conversation`)).html).toMatch(
      /<noscript\s*><meta http-equiv="refresh"/,
    );
    const { html } = await open(PHONE);
    expect(html).toContain(`<iframe src="${PHONE}/conversation"`);
    expect(html).not.toMatch(/<script|http-equiv/);
  });
});

describe('a person', () => {
  it('follows, gets the passive reply, and unfollows', async () => {
    receiver.replyTo = (fields) =>
      fields['Event'] === 'subscribe' ? textReply(headOf(fields), '欢迎 & 你好') : null;
    expect(await submit('follow')).toBe(PHONE);
    expect(sandbox.person(SERVICE_ACCOUNT, OPENID).state.isFollower).toBe(true);
    expect(await conversation()).toMatch(/欢迎 &#38; 你好[\s\S]*被动回复[\s\S]*已关注/);
    await submit('unfollow');
    expect(await conversation()).toMatch(/已取消关注[\s\S]*欢迎/);
    expect((await open(PHONE)).html).toContain(`action="${PHONE}/follow"`);
  });

  it('scans what is pasted or chosen: first a follower by the code, then a scan', async () => {
    const { ticket, url } = await createQrCode(http, await tokenOf(SERVICE_ACCOUNT), {
      scene: 'ch:7Q2M',
      expiresInSeconds: 3600,
    });
    expect((await open(PHONE)).html).toContain(`<option value="${ticket}"`);
    await submit('scan', { code: ` ${url} ` });
    await submit('scan', { code: ticket });
    await submit('scan', { code: 'ch:7Q2M' });
    expect(receiver.received).toMatchObject([
      { Event: 'subscribe', EventKey: 'qrscene_ch:7Q2M', Ticket: ticket },
      { Event: 'SCAN', EventKey: 'ch:7Q2M', Ticket: ticket },
      { Event: 'SCAN', EventKey: 'ch:7Q2M', Ticket: ticket },
    ]);
    expect(await conversation()).toMatch(/扫码 Scanned a code · ch:7Q2M[\s\S]*扫码关注/);
    now += 3600_000;
    expect((await open(PHONE)).html).not.toContain('<option value="gQ');
    const location = await submit('scan', { code: url });
    expect(receiver.received).toHaveLength(3);
    expect((await open(location ?? '')).html).toContain('这个码已过期');
  });

  it('sees of each code what sort it is and when it was made, the newest first', async () => {
    const token = await tokenOf(SERVICE_ACCOUNT);
    await createQrCode(http, token, { scene: 'older', expiresInSeconds: null });
    now += 60_000;
    await createQrCode(http, token, { scene: 'newer', expiresInSeconds: 3600 });
    const { html } = await open(PHONE);
    const names = [...html.matchAll(/<option value="gQ[^"]*">([^<]*)</g)].map(([, name]) => name);
    expect(names).toEqual([
      '临时 temporary · 08-01 10:01 创建 made · 08-01 11:01 到期 ends · newer',
      '永久 permanent · 08-01 10:00 创建 made · older',
    ]);
  });

  it('writes, and markup is shown and does not run', async () => {
    receiver.replyTo = (fields) => textReply(headOf(fields), HOSTILE);
    sandbox.account(SERVICE_ACCOUNT).nickname = HOSTILE;
    await submit('write', { text: HOSTILE });
    expect(receiver.received).toMatchObject([{ MsgType: 'text', Content: HOSTILE }]);
    const shown = await conversation();
    expect(shown.split('&#60;script&#62;document.title=&#34;run&#34;')).toHaveLength(3);
    const pages = [await open(PHONE), await open(`${PHONE}/conversation`), await open('/phone')];
    for (const { html, policy } of pages) {
      expect(html).not.toContain('<script>');
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    }
    expect(await submit('write', { text: ' ' })).toBe(`${PHONE}?notice=empty`);
    expect(receiver.received).toHaveLength(1);
  });

  it('has links where an account writes them, to pages only', async () => {
    receiver.replyTo = (fields) =>
      textReply(
        headOf(fields),
        'a <a href="https://m.example.com/?a=1&b=2">活动</a> b <a href="javascript:x()">坏</a> <a href="https://x" onclick="x()">c</a>',
      );
    await submit('write', { text: 'x' });
    const shown = await conversation();
    expect([...shown.matchAll(/<a [^>]*>/g)].map(([tag]) => tag)).toEqual([
      '<a href="https://m.example.com/?a=1&#38;b=2" target="_blank" rel="noreferrer">',
      '<a href="https://x" target="_blank" rel="noreferrer">',
    ]);
    expect(shown).toContain('&#60;a href=&#34;javascript:x()&#34;&#62;坏');
  });

  it('sees what was said in its order, also while the clock stands still', async () => {
    receiver.replyTo = (fields) => textReply(headOf(fields), `re ${wordOf(fields, 'Content')}`);
    await submit('write', { text: 'one' });
    await submit('write', { text: 'two' });
    expect(await conversation()).toMatch(/re two[\s\S]*two[\s\S]*re one[\s\S]*one/);
  });

  it('is told when the platform does not take what she does', async () => {
    sandbox.messagesUrl = 'http://127.0.0.1:9/$APPID$';
    await submit('write', { text: 'x' });
    await sandbox.settled();
    expect(await conversation()).toContain('平台没有收到');
  });

  it('taps a menu item, and an entry of a message menu', async () => {
    await submit('tap-menu', { key: 'KEY' });
    await sendCustomerServiceMessage(http, await tokenOf(SERVICE_ACCOUNT), OPENID, {
      type: 'menu',
      head: '满意吗',
      items: [{ id: 'fb_good', text: '满意' }],
      tail: '谢谢',
    });
    expect(await conversation()).toMatch(
      /满意吗[\s\S]*name="id" value="fb_good"[\s\S]*value="满意"[\s\S]*谢谢/,
    );
    await submit('tap-message-menu', { id: 'fb_good', text: '满意' });
    expect(receiver.received).toMatchObject([
      { Event: 'CLICK', EventKey: 'KEY' },
      { MsgType: 'text', Content: '满意', bizmsgmenuid: 'fb_good' },
    ]);
  });

  it('sees the images that an account has uploaded', async () => {
    const { body } = await request(`${sandbox.url}/mmbiz_png/a/0`);
    const bytes = Buffer.from(await body.arrayBuffer());
    const token = await tokenOf(SERVICE_ACCOUNT);
    const { mediaId } = await uploadTemporaryMedia(http, token, { kind: 'image', bytes });
    receiver.replyTo = (fields) => imageReply(headOf(fields), mediaId);
    await submit('write', { text: 'x' });
    await sendCustomerServiceMessage(http, token, OPENID, { type: 'image', mediaId });
    const sources = [...(await conversation()).matchAll(/<img src="([^"]+)"/g)].map(
      ([, source = '']) => source,
    );
    expect(sources).toHaveLength(2);
    const picture = await request(`${sandbox.url}${sources[0]}`);
    expect(picture.headers['content-type']).toBe('image/png');
    expect(Buffer.from(await picture.body.arrayBuffer())).toEqual(bytes);
    // The bytes do not outlive the process.
    sandbox.mediaBytes.clear();
    expect(await conversation()).not.toContain('<img');
  });

  it('sees articles and broadcasts', async () => {
    const article = (title: string) => ({
      title,
      description: '说明',
      imageUrl: 'javascript:x()',
      url: 'https://m.example.com/a',
    });
    receiver.replyTo = (fields) => newsReply(headOf(fields), [article('甲'), article('乙')]);
    await submit('follow');
    await sendBroadcast(http, await tokenOf(SERVICE_ACCOUNT), {
      audience: { type: 'all' },
      content: { type: 'text', text: '上新了' },
      clientMsgId: 'c1',
    });
    const shown = await conversation();
    expect(shown).toMatch(/上新了[\s\S]*群发[\s\S]*甲[\s\S]*乙[\s\S]*被动回复/);
    expect(shown).toContain('href="https://m.example.com/a"');
    expect(shown).not.toContain('javascript');
  });

  it('sees template messages as cards, the values in their places', async () => {
    await submit('follow');
    await sendTemplateMessage(http, await tokenOf(SERVICE_ACCOUNT), {
      openid: OPENID,
      templateId: sandbox.account(SERVICE_ACCOUNT).templates[0]?.templateId ?? '',
      data: { character_string1: 'SO1', time2: '2026-08-01 10:00', thing3: '<b>' },
      url: 'https://m.example.com/o/88',
    });
    expect(await conversation()).toMatch(
      /订单发货通知[\s\S]*订单编号：SO1[\s\S]*备注：&#60;b&#62;[\s\S]*href="https:\/\/m\.example\.com\/o\/88"[\s\S]*模板消息/,
    );
  });
});

describe('a person with a mini-program', () => {
  it('consents to a template, and gets its message', async () => {
    const templateId = sandbox.account(MINI_PROGRAM).templates[0]?.templateId ?? '';
    await submit('enter-session', {}, MINI_PHONE);
    await submit('accept', { templateId }, MINI_PHONE);
    const { html } = await open(MINI_PHONE);
    expect(html).toContain('剩 left 1');
    expect(html).not.toContain(`action="${MINI_PHONE}/follow"`);
    await sendSubscriptionMessage(http, await tokenOf(MINI_PROGRAM), {
      openid: OPENID,
      templateId,
      page: 'pages/index?a=1',
      data: { date2: '2026年8月8日', thing1: '一号会议室' },
    });
    expect(await conversation(MINI_PHONE)).toMatch(
      /报名结果通知[\s\S]*会议地点:一号会议室[\s\S]*pages\/index\?a=1[\s\S]*订阅消息[\s\S]*进入客服会话/,
    );
    expect((await open(MINI_PHONE)).html).not.toContain('剩 left 1');
    await open(`${MINI_PHONE}/reject`, { templateId });
    await sandbox.settled();
    expect(receiver.received.map((fields) => fields['Event'])).toEqual([
      'user_enter_tempsession',
      'subscribe_msg_popup_event',
      'subscribe_msg_sent_event',
      'subscribe_msg_popup_event',
    ]);
  });
});
