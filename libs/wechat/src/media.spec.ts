import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { WechatApiError } from './errors.js';
import {
  ARTICLE_IMAGE_LIMIT,
  checkMedia,
  MATERIAL_LIMITS,
  mediaFormatOf,
  TEMPORARY_MEDIA_LIMITS,
  uploadArticleImage,
  uploadMaterial,
  uploadTemporaryMedia,
} from './media.js';
import { type Stub, startStub } from './vectors/stub.js';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const file = (head: string, size = 32): Buffer =>
  Buffer.concat([Buffer.from(head, 'latin1'), Buffer.alloc(Math.max(size - head.length, 0))]);
const PNG = file('\x89PNG\r\n\x1a\n');
const JPEG = file('\xff\xd8\xff\xe0');
const MP4 = file('\0\0\0\x20ftypisom');

describe('mediaFormatOf', () => {
  it.each([
    ['\x89PNG\r\n\x1a\n', 'png'],
    ['\xff\xd8\xff\xe0', 'jpeg'],
    ['GIF87a', 'gif'],
    ['GIF89a', 'gif'],
    ['ID3\x04', 'mp3'],
    ['\xff\xfb\x90', 'mp3'],
    ['\xff\xf3\x40', 'mp3'],
    ['#!AMR\n', 'amr'],
    ['\0\0\0\x20ftypisom', 'mp4'],
    ['\0\0\0\x18ftypmp42', 'mp4'],
    ['\0\0\0\x1cftypM4V ', 'mp4'],
  ])('knows %j', (head, format) => {
    expect(mediaFormatOf(file(head))).toBe(format);
  });

  it.each([
    '',
    'hello',
    '<svg xmlns="http://www.w3.org/2000/svg">',
    '<html>',
    '%PDF-1.7',
    'RIFF\0\0\0\0WEBPVP8 ',
    'RIFF\0\0\0\0WAVEfmt ',
    'BM',
    '#!AMR-WB\n',
    '\0\0\0\x14ftypqt  ',
    '\0\0\0\x18ftypheic',
    '\0\0\0\x1cftypM4A ',
    // AAC and MPEG layer 2, which begin much like MP3.
    '\xff\xf1\x50',
    '\xff\xfd\x90',
    // No such bitrate, no such sample rate.
    '\xff\xfb\xf0',
    '\xff\xfb\x9c',
  ])('does not take %j', (head) => {
    expect(mediaFormatOf(Buffer.from(head, 'latin1'))).toBeNull();
  });

  it('looks at the bytes of a view, not of what is behind it', () => {
    const whole = Buffer.concat([Buffer.from('xxxx'), PNG]);
    expect(mediaFormatOf(whole.subarray(4))).toBe('png');
    expect(mediaFormatOf(new Uint8Array(PNG))).toBe('png');
  });
});

describe('checkMedia', () => {
  const MIB = 1024 * 1024;

  it.each([
    ['an image of 2 MB', file('GIF89a', 2 * MIB), TEMPORARY_MEDIA_LIMITS.image],
    ['a voice', file('#!AMR\n'), TEMPORARY_MEDIA_LIMITS.voice],
    ['a video of 10 MB', file('\0\0\0\x20ftypisom', 10 * MIB), TEMPORARY_MEDIA_LIMITS.video],
    ['a thumb of 64 KB', file('\xff\xd8\xff', 65_536), TEMPORARY_MEDIA_LIMITS.thumb],
    ['a picture of 10 MB for good', file('\xff\xd8\xff', 10 * MIB), MATERIAL_LIMITS.image],
    ['a picture of an article', file('\xff\xd8\xff', MIB - 1), ARTICLE_IMAGE_LIMIT],
  ])('takes %s', (_what, bytes, limit) => {
    expect(checkMedia(bytes, limit)).toBeNull();
  });

  it.each([
    ['nothing', Buffer.alloc(0), TEMPORARY_MEDIA_LIMITS.image, 'media_empty'],
    ['too much', file('GIF89a', 2 * MIB + 1), TEMPORARY_MEDIA_LIMITS.image, 'media_too_large'],
    [
      'a large thumb',
      file('\xff\xd8\xff', 65_537),
      TEMPORARY_MEDIA_LIMITS.thumb,
      'media_too_large',
    ],
    ['a thumb that is a PNG', PNG, TEMPORARY_MEDIA_LIMITS.thumb, 'media_format'],
    ['a voice that is a video', MP4, TEMPORARY_MEDIA_LIMITS.voice, 'media_format'],
    ['a page', file('<html>'), TEMPORARY_MEDIA_LIMITS.image, 'media_format'],
    ['a GIF in an article', file('GIF89a'), ARTICLE_IMAGE_LIMIT, 'media_format'],
  ])('refuses %s', (_what, bytes, limit, code) => {
    const problem = checkMedia(bytes, limit);
    expect(problem).toMatchObject({ code });
    expect(problem?.detail.zh).toMatch(/[\u4e00-\u9fff].*。$/);
    expect(problem?.detail.en).toMatch(/\.$/);
  });

  it('names the limit in words for a person', () => {
    expect(checkMedia(file('GIF89a', 3 * MIB), TEMPORARY_MEDIA_LIMITS.image)?.detail.en).toContain(
      '2 MB',
    );
    expect(
      checkMedia(file('\xff\xd8\xff', MIB), TEMPORARY_MEDIA_LIMITS.thumb)?.detail.en,
    ).toContain('64 KB');
  });
});

/** Read by the runtime's own parser. */
async function form(): Promise<FormData> {
  const { bytes, contentType } = stub.sent;
  return new Response(new Uint8Array(bytes), {
    headers: { 'content-type': contentType },
  }).formData();
}

async function mediaOf(data: FormData): Promise<{ name: string; type: string; bytes: Buffer }> {
  const media = data.get('media');
  if (!(media instanceof Blob)) throw new Error('There is no file.');
  const { name, type } = media as File;
  return { name, type, bytes: Buffer.from(await media.arrayBuffer()) };
}

describe('uploadTemporaryMedia', () => {
  it('sends the bytes as a form of an announced length', async () => {
    stub.answer = '{"type":"image","media_id":"MEDIA_1","created_at":1785000000}';
    const bytes = Buffer.concat([PNG, Buffer.from('\r\n------x\r\n\0\xff', 'latin1')]);
    expect(await uploadTemporaryMedia(stub.http, '71_a', { kind: 'image', bytes })).toEqual({
      mediaId: 'MEDIA_1',
    });
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: '/cgi-bin/media/upload?type=image&access_token=71_a',
    });
    expect(await mediaOf(await form())).toEqual({ name: 'media.png', type: 'image/png', bytes });
  });

  it('takes the id of a thumb, which has a name of its own', async () => {
    stub.answer = '{"type":"thumb","thumb_media_id":"THUMB_1","created_at":1785000000}';
    expect(await uploadTemporaryMedia(stub.http, '71_a', { kind: 'thumb', bytes: JPEG })).toEqual({
      mediaId: 'THUMB_1',
    });
  });

  it('refuses an answer without an id, and a file that it does not know', async () => {
    stub.answer = '{"type":"image"}';
    await expect(
      uploadTemporaryMedia(stub.http, '71_a', { kind: 'image', bytes: PNG }),
    ).rejects.toMatchObject({ failure: 'bad_answer' });
    await expect(
      uploadTemporaryMedia(stub.http, '71_a', { kind: 'image', bytes: file('<html>') }),
    ).rejects.toThrow(RangeError);
  });

  it('repeats the token in no error', async () => {
    const token = '71_tokenThatMustNotLeak';
    stub.answer = JSON.stringify({ errcode: 40009, errmsg: `invalid image size ${token}` });
    const error = await uploadTemporaryMedia(stub.http, token, { kind: 'image', bytes: PNG }).catch(
      (refused: unknown) => refused,
    );
    expect(error).toBeInstanceOf(WechatApiError);
    expect(error).toMatchObject({ errorClass: 'media_invalid' });
    expect(String(error)).not.toContain(token);
  });
});

describe('uploadMaterial', () => {
  it('brings back the address of an image', async () => {
    stub.answer = '{"media_id":"MATERIAL_1","url":"http://mmbiz.qpic.cn/1"}';
    expect(await uploadMaterial(stub.http, '71_a', { kind: 'image', bytes: JPEG })).toEqual({
      mediaId: 'MATERIAL_1',
      url: 'http://mmbiz.qpic.cn/1',
    });
    expect(stub.sent.url).toBe('/cgi-bin/material/add_material?type=image&access_token=71_a');
    expect([...(await form()).keys()]).toEqual(['media']);
  });

  it('describes a video', async () => {
    stub.answer = '{"media_id":"MATERIAL_2"}';
    const video = { kind: 'video', bytes: MP4, title: '标题', introduction: '"介绍"' } as const;
    expect(await uploadMaterial(stub.http, '71_a', video)).toEqual({
      mediaId: 'MATERIAL_2',
      url: null,
    });
    expect(JSON.parse((await form()).get('description') as string)).toEqual({
      title: '标题',
      introduction: '"介绍"',
    });
  });
});

describe('uploadArticleImage', () => {
  it('brings back the address', async () => {
    stub.answer = '{"url":"http://mmbiz.qpic.cn/2"}';
    expect(await uploadArticleImage(stub.http, '71_a', PNG)).toBe('http://mmbiz.qpic.cn/2');
    expect(stub.sent.url).toBe('/cgi-bin/media/uploadimg?access_token=71_a');
  });
});
