import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { WechatApiError } from './errors.js';
import { createMiniProgramCode, createQrCode } from './qr-code.js';
import { type Stub, startStub } from './vectors/stub.js';

const TICKET = 'gQH47joAAAAAAAAAASxodHRw+/8=';
const URL = 'http://weixin.qq.com/q/kZgfwMTm72WWPkovabbI';
const PNG = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(64)]);
const JPEG = Buffer.concat([Buffer.from('ffd8ffe0', 'hex'), Buffer.alloc(64)]);

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

describe('createQrCode', () => {
  it('makes a temporary code, which lives as long as WeChat grants', async () => {
    stub.answer = JSON.stringify({ ticket: TICKET, expire_seconds: 3600, url: URL });
    const code = { scene: 'ch:7Q2M', expiresInSeconds: 86_400 };
    expect(await createQrCode(stub.http, '71_a', code)).toEqual({
      ticket: TICKET,
      url: URL,
      expiresInSeconds: 3600,
    });
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: '/cgi-bin/qrcode/create?access_token=71_a',
    });
    expect(stub.body()).toEqual({
      expire_seconds: 86_400,
      action_name: 'QR_STR_SCENE',
      action_info: { scene: { scene_str: 'ch:7Q2M' } },
    });
  });

  it('takes what was asked where WeChat does not say what it granted', async () => {
    stub.answer = JSON.stringify({ ticket: TICKET, url: URL });
    const code = { scene: 'a', expiresInSeconds: 2_592_000 };
    expect(await createQrCode(stub.http, '71_a', code)).toMatchObject({
      expiresInSeconds: 2_592_000,
    });
  });

  it.each(['', ',"expire_seconds":0', ',"expire_seconds":60'])(
    'makes a permanent code, which has no end (%j)',
    async (more) => {
      stub.answer = `{"ticket":"${TICKET}","url":"${URL}"${more}}`;
      const code = { scene: 'x'.repeat(64), expiresInSeconds: null };
      expect(await createQrCode(stub.http, '71_a', code)).toEqual({
        ticket: TICKET,
        url: URL,
        expiresInSeconds: null,
      });
      expect(stub.body()).toEqual({
        action_name: 'QR_LIMIT_STR_SCENE',
        action_info: { scene: { scene_str: 'x'.repeat(64) } },
      });
    },
  );

  it.each([
    ['no scene', { scene: '', expiresInSeconds: null }],
    ['a scene of 65 characters', { scene: 'x'.repeat(65), expiresInSeconds: null }],
    ['no life', { scene: 'a', expiresInSeconds: 0 }],
    ['half a second', { scene: 'a', expiresInSeconds: 0.5 }],
    ['more than 30 days', { scene: 'a', expiresInSeconds: 2_592_001 }],
    ['no number', { scene: 'a', expiresInSeconds: Number.NaN }],
  ])('asks nothing for %s', async (_what, code) => {
    await expect(createQrCode(stub.http, '71_a', code)).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });

  it.each([{ ticket: TICKET }, { url: URL }, {}])('does not take %j', async (answer) => {
    stub.answer = JSON.stringify(answer);
    await expect(
      createQrCode(stub.http, '71_a', { scene: 'a', expiresInSeconds: 60 }),
    ).rejects.toMatchObject({ failure: 'bad_answer' });
  });

  it('repeats neither the scene nor the token in a refusal', async () => {
    const scene = 'sceneThatMustNotLeak';
    const token = '71_tokenThatMustNotLeak';
    stub.answer = JSON.stringify({ errcode: 45029, errmsg: `out of limit ${scene} ${token}` });
    const error = await createQrCode(stub.http, token, { scene, expiresInSeconds: null }).catch(
      (refused: unknown) => refused,
    );
    expect(error).toBeInstanceOf(WechatApiError);
    expect(error).toMatchObject({ errcode: 45029, errorClass: 'limit_reached' });
    expect(String(error)).not.toMatch(/MustNotLeak/);
  });
});

describe('createMiniProgramCode', () => {
  it.each([
    ['a PNG', PNG],
    ['a JPEG', JPEG],
  ])('brings back %s as it is', async (_what, picture) => {
    stub.answer = picture;
    const code = {
      scene: "aZ09!#$&'()*+,/:;=?@-._~",
      page: 'pages/index/index',
      checkPath: false,
      envVersion: 'trial',
      width: 280,
    } as const;
    expect(await createMiniProgramCode(stub.http, '71_a', code)).toEqual(picture);
    expect(stub.sent.url).toBe('/wxa/getwxacodeunlimit?access_token=71_a');
    expect(stub.body()).toEqual({
      scene: code.scene,
      page: 'pages/index/index',
      check_path: false,
      env_version: 'trial',
      width: 280,
    });
  });

  it('leaves out what is not given', async () => {
    stub.answer = PNG;
    await createMiniProgramCode(stub.http, '71_a', { scene: 'x'.repeat(32) });
    expect(stub.body()).toEqual({ scene: 'x'.repeat(32) });
  });

  it.each([
    ['no scene', { scene: '' }],
    ['a scene of 33 characters', { scene: 'x'.repeat(33) }],
    ['Chinese', { scene: '渠道' }],
    ['a percent sign', { scene: 'a%20b' }],
    ['a space', { scene: 'a b' }],
    ['a line', { scene: 'a\n' }],
    ['a page with a slash before it', { scene: 'a', page: '/pages/index' }],
    ['a page with a query', { scene: 'a', page: 'pages/index?a=1' }],
    ['no page', { scene: 'a', page: '' }],
    ['279 pixels', { scene: 'a', width: 279 }],
    ['1281 pixels', { scene: 'a', width: 1281 }],
  ])('asks nothing for %s', async (_what, code) => {
    await expect(createMiniProgramCode(stub.http, '71_a', code)).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });

  it('throws what WeChat refuses', async () => {
    stub.answer = '{"errcode":41030,"errmsg":"invalid page rid: 6743a1c2-0a1b2c3d-4e5f6a7b"}';
    await expect(
      createMiniProgramCode(stub.http, '71_a', { scene: 'a', page: 'gone' }),
    ).rejects.toMatchObject({ errcode: 41030, errorClass: 'content_invalid' });
  });

  it.each(['<html></html>', '', 'GIF89a', '{}'])('takes %j for no picture', async (answer) => {
    stub.answer = answer;
    await expect(createMiniProgramCode(stub.http, '71_a', { scene: 'a' })).rejects.toMatchObject({
      failure: 'bad_answer',
    });
  });
});
