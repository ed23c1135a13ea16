import { optionalText, text } from './answer.js';
import type { WechatHttp } from './http.js';
import type { AccountType } from './permissions.js';
import type { Text } from './text.js';

export type MediaFormat = 'png' | 'jpeg' | 'gif' | 'mp3' | 'amr' | 'mp4';
/** `thumb`: the small picture of a video or a mini-program page. */
export type MediaKind = 'image' | 'voice' | 'video' | 'thumb';

export const MEDIA_CONTENT_TYPES: Readonly<Record<MediaFormat, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  mp3: 'audio/mpeg',
  amr: 'audio/amr',
  mp4: 'video/mp4',
};

/** Of a file's name, without the dot. */
export const MEDIA_ENDINGS: Readonly<Record<MediaFormat, string>> = {
  png: 'png',
  jpeg: 'jpg',
  gif: 'gif',
  mp3: 'mp3',
  amr: 'amr',
  mp4: 'mp4',
};

/** Major brands of MP4 files; other files of the family are QuickTime, HEIC, AVIF and M4A. */
const MP4_BRANDS = /^(?:isom|iso[2-9]|mp4[12]|mp71|avc1|M4V |MSNV|dash|f4v )$/;
const MPEG_FRAME_SYNC = 0xe0;
const LAYER_MASK = 0x06;
const LAYER_3 = 0x02;
const NO_BITRATE = 0xf0;
const NO_SAMPLE_RATE = 0x0c;

/**
 * Tells what a file is by its first bytes, whatever it is called.
 *
 * @returns null for anything that WeChat would not take
 * @see https://mimesniff.spec.whatwg.org/
 */
export function mediaFormatOf(bytes: Uint8Array): MediaFormat | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 16));
  const starts = (words: string, at = 0): boolean =>
    head.toString('latin1', at, at + words.length) === words;
  if (starts('\x89PNG\r\n\x1a\n')) return 'png';
  if (starts('\xff\xd8\xff')) return 'jpeg';
  if (starts('GIF87a') || starts('GIF89a')) return 'gif';
  if (starts('#!AMR\n')) return 'amr';
  if (starts('ftyp', 4) && MP4_BRANDS.test(head.toString('latin1', 8, 12))) return 'mp4';
  if (starts('ID3') || isMp3Frame(head)) return 'mp3';
  return null;
}

/** A file without tags begins with a frame. */
function isMp3Frame(head: Buffer): boolean {
  const [first = 0, second = 0, third = 0] = head;
  return (
    first === 0xff &&
    (second & MPEG_FRAME_SYNC) === MPEG_FRAME_SYNC &&
    (second & LAYER_MASK) === LAYER_3 &&
    (third & NO_BITRATE) !== NO_BITRATE &&
    (third & NO_SAMPLE_RATE) !== NO_SAMPLE_RATE
  );
}

export interface MediaLimit {
  maxBytes: number;
  formats: readonly MediaFormat[];
}

const KIB = 1024;
const MIB = 1024 * KIB;

/** What is kept for three days. For images WeChat's page says 10 MB and 2 MB: the smaller is sure. */
export const TEMPORARY_MEDIA_LIMITS: Readonly<Record<MediaKind, MediaLimit>> = {
  image: { maxBytes: 2 * MIB, formats: ['png', 'jpeg', 'gif'] },
  // And no longer than 60 seconds.
  voice: { maxBytes: 2 * MIB, formats: ['amr', 'mp3'] },
  video: { maxBytes: 10 * MIB, formats: ['mp4'] },
  thumb: { maxBytes: 64 * KIB, formats: ['jpeg'] },
};

/** What is kept for good. WeChat takes some formats more, which we do not tell apart. */
export const MATERIAL_LIMITS: Readonly<Record<MediaKind, MediaLimit>> = {
  ...TEMPORARY_MEDIA_LIMITS,
  image: { maxBytes: 10 * MIB, formats: ['png', 'jpeg', 'gif'] },
};

/** A picture inside an article. */
export const ARTICLE_IMAGE_LIMIT: MediaLimit = { maxBytes: MIB - 1, formats: ['png', 'jpeg'] };

/** What each type of account can upload for three days. */
export const TEMPORARY_MEDIA_KINDS: Readonly<Record<AccountType, readonly MediaKind[]>> = {
  official_account: ['image', 'voice', 'video', 'thumb'],
  mini_program: ['image'],
};

/** What is wrong with a file. */
export interface MediaProblem {
  code: 'media_empty' | 'media_too_large' | 'media_format';
  detail: Text;
}

/** What a limit is about. */
export interface MediaFacts {
  /** How many. */
  bytes: number;
  /** Of {@link mediaFormatOf}. */
  format: MediaFormat | null;
}

/**
 * Holds a file against a limit, before it is uploaded.
 *
 * @returns null when WeChat takes it. How long a voice is, only WeChat tells
 * @see https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia
 */
export function checkMedia(bytes: Uint8Array, limit: MediaLimit): MediaProblem | null {
  return checkMediaFacts({ bytes: bytes.length, format: mediaFormatOf(bytes) }, limit);
}

/** As {@link checkMedia}, for a file that is not at hand. */
export function checkMediaFacts(
  { bytes, format }: MediaFacts,
  { maxBytes, formats }: MediaLimit,
): MediaProblem | null {
  if (bytes === 0)
    return {
      code: 'media_empty',
      detail: { zh: '文件是空的，请重新选择文件。', en: 'The file is empty. Choose another one.' },
    };
  if (bytes > maxBytes) {
    const limit =
      maxBytes >= MIB ? `${Math.floor(maxBytes / MIB)} MB` : `${Math.ceil(maxBytes / KIB)} KB`;
    return {
      code: 'media_too_large',
      detail: {
        zh: `文件超过微信的上限 ${limit}，请压缩后重新上传。`,
        en: `The file is larger than WeChat's limit of ${limit}. Make it smaller and upload it again.`,
      },
    };
  }
  if (format !== null && formats.includes(format)) return null;
  const names = formats.map((name) => name.toUpperCase()).join(' / ');
  return {
    code: 'media_format',
    detail: {
      zh: `文件内容不是 ${names}（按内容判断，与文件名无关），请转换格式后重新上传。`,
      en: `The file is not ${names}, by its content, whatever its name says. Convert it and upload it again.`,
    },
  };
}

/** How long WeChat keeps temporary media. */
export const TEMPORARY_MEDIA_LIFE_MS = 3 * 24 * 3_600_000;

/** Ten megabytes on a slow line. */
const UPLOAD_TIMEOUT_MS = 60_000;

/**
 * Uploads a file that WeChat keeps for three days, for this account only. Uploading it again makes another one: harmless.
 *
 * @param accessToken the account's own
 * @param media bytes that {@link checkMedia} takes, with {@link TEMPORARY_MEDIA_LIMITS}
 * @returns the id to send with, for {@link TEMPORARY_MEDIA_LIFE_MS} from now on
 * @throws WechatApiError 40004..40012 for a file that WeChat does not take, 45001 for one that is too large
 * @throws RangeError for a file whose format is not known
 * @see https://developers.weixin.qq.com/doc/service/api/material/temporary/api_uploadtempmedia
 */
export async function uploadTemporaryMedia(
  http: WechatHttp,
  accessToken: string,
  media: { kind: MediaKind; bytes: Uint8Array },
): Promise<{ mediaId: string }> {
  const path = '/cgi-bin/media/upload';
  const answer = await http.upload(path, { type: media.kind }, fileOf(media.bytes), {
    accessToken,
    timeoutMs: UPLOAD_TIMEOUT_MS,
  });
  return {
    mediaId: optionalText(answer, 'thumb_media_id') ?? text(answer, 'media_id', path),
  };
}

/**
 * Uploads a file into the account's library, for good. Each upload takes a place in it, 100,000 for images and 1,000 for
 * others: after a lost answer a second try may leave the first one behind.
 *
 * @param material `title` and `introduction` are for videos, which need them
 * @returns the id, and for an image its address on WeChat's servers
 * @throws WechatApiError 45034 or 45074 when the library is full
 * @throws RangeError for a file whose format is not known
 * @see https://developers.weixin.qq.com/doc/service/api/material/permanent/api_addmaterial
 */
export async function uploadMaterial(
  http: WechatHttp,
  accessToken: string,
  material: { kind: MediaKind; bytes: Uint8Array; title?: string; introduction?: string },
): Promise<{ mediaId: string; url: string | null }> {
  const { kind, bytes, title = '', introduction = '' } = material;
  const path = '/cgi-bin/material/add_material';
  const file = fileOf(bytes);
  const answer = await http.upload(
    path,
    { type: kind },
    kind === 'video'
      ? { ...file, fields: { description: JSON.stringify({ title, introduction }) } }
      : file,
    { accessToken, timeoutMs: UPLOAD_TIMEOUT_MS },
  );
  return { mediaId: text(answer, 'media_id', path), url: optionalText(answer, 'url') };
}

/**
 * Uploads a picture for the text of articles, where WeChat shows no others. It takes no place in the library.
 *
 * @param bytes that {@link checkMedia} takes, with {@link ARTICLE_IMAGE_LIMIT}
 * @returns its address
 * @throws RangeError for a file whose format is not known
 * @see https://developers.weixin.qq.com/doc/service/api/material/permanent/api_uploadimage
 */
export async function uploadArticleImage(
  http: WechatHttp,
  accessToken: string,
  bytes: Uint8Array,
): Promise<string> {
  const path = '/cgi-bin/media/uploadimg';
  const options = { accessToken, timeoutMs: UPLOAD_TIMEOUT_MS };
  return text(await http.upload(path, {}, fileOf(bytes), options), 'url', path);
}

/** Under a name of ours: WeChat looks at its ending only, and the original one may be anything. */
function fileOf(bytes: Uint8Array): { fileName: string; contentType: string; bytes: Uint8Array } {
  const format = mediaFormatOf(bytes);
  if (!format) throw new RangeError('The format of the file is not known.');
  return {
    fileName: `media.${MEDIA_ENDINGS[format]}`,
    contentType: MEDIA_CONTENT_TYPES[format],
    bytes,
  };
}
