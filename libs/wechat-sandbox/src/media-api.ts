import { randomBytes } from 'node:crypto';

import {
  type Api,
  type ApiCall,
  type ApiFamily,
  Bytes,
  Refusal,
  type UploadedFile,
} from './api.js';
import { callerOf } from './sending.js';

/** A file that an account has uploaded. */
export interface SandboxMedia {
  appid: string;
  type: string;
  contentType: string;
  bytes: number;
  /** Milliseconds; null for one that is kept for good. */
  expiresAt: number | null;
}

const UPLOAD_PERMISSIONS = [1, 3, 8, 9, 11, 19, 30, 31, 100];
const TEMPORARY_MS = 3 * 24 * 3_600_000;
const KIB = 1024;
const MIB = 1024 * KIB;

interface Kind {
  maxBytes: number;
  tooLarge: number;
  formats: RegExp;
}

/** By their first bytes, as hexadecimal digits: PNG, JPEG, GIF; AMR, ID3, MPEG frames; `ftyp`. */
const IMAGE = /^(?:89504e470d0a1a0a|ffd8ff|47494638)/;
const VOICE = /^(?:2321414d52|494433|fff[23ab])/;
const VIDEO = /^.{8}66747970/;

const KINDS: Readonly<Record<string, Kind>> = {
  image: { maxBytes: 10 * MIB, tooLarge: 40009, formats: IMAGE },
  voice: { maxBytes: 2 * MIB, tooLarge: 40010, formats: VOICE },
  video: { maxBytes: 10 * MIB, tooLarge: 40011, formats: VIDEO },
  thumb: { maxBytes: 64 * KIB, tooLarge: 40012, formats: /^ffd8ff/ },
};
const ARTICLE_IMAGE: Kind = { maxBytes: MIB - 1, tooLarge: 40009, formats: /^(?:89504e47|ffd8ff)/ };

function fileOf({ upload }: ApiCall, kind: Kind): UploadedFile {
  if (!upload) throw new Refusal(41005, 'media data missing');
  const { bytes } = upload;
  if (bytes.length === 0) throw new Refusal(44001, 'empty media data');
  if (bytes.length > kind.maxBytes) throw new Refusal(kind.tooLarge, 'invalid media size');
  if (!kind.formats.test(bytes.subarray(0, 16).toString('hex')))
    throw new Refusal(40005, 'invalid file type');
  return upload;
}

function kindOf({ query }: ApiCall): [name: string, kind: Kind] {
  const name = query.get('type') ?? '';
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (!kind) throw new Refusal(40004, 'invalid media type');
  return [name, kind];
}

function keep(call: ApiCall, type: string, kind: Kind, expiresAt: number | null): string {
  const { appid } = callerOf(call);
  const { bytes, contentType } = fileOf(call, kind);
  const mediaId = randomBytes(48).toString('base64url');
  call.world.mediaBytes.set(mediaId, bytes);
  call.world.data.media[mediaId] = { appid, type, contentType, bytes: bytes.length, expiresAt };
  return mediaId;
}

const upload: Api = {
  token: 'authorizer',
  isUpload: true,
  permissions: UPLOAD_PERMISSIONS,
  handle: (call) => {
    const [type, kind] = kindOf(call);
    if (callerOf(call).accountType === 'mini_program' && type !== 'image')
      throw new Refusal(40004, 'invalid media type');
    const now = call.world.now();
    const mediaId = keep(call, type, kind, now + TEMPORARY_MS);
    return {
      type,
      [type === 'thumb' ? 'thumb_media_id' : 'media_id']: mediaId,
      created_at: Math.floor(now / 1000),
    };
  },
};

const download: Api = {
  token: 'authorizer',
  method: 'GET',
  permissions: UPLOAD_PERMISSIONS,
  handle: (call) => {
    const mediaId = call.query.get('media_id') ?? '';
    const { type, contentType } = checkMediaId(call, mediaId);
    if (type === 'video') return { video_url: `${call.world.url}/mmopen/${mediaId}/0` };
    const bytes = call.world.mediaBytes.get(mediaId);
    // The ids outlive the process, the bytes do not.
    if (!bytes) throw new Refusal(40007, 'invalid media_id');
    return new Bytes(contentType, bytes);
  },
};

const addMaterial: Api = {
  token: 'authorizer',
  isUpload: true,
  permissions: [11, 100],
  handle: (call) => {
    const [type, kind] = kindOf(call);
    if (type === 'video' && !call.upload?.fields['description'])
      throw new Refusal(41005, 'description missing');
    const mediaId = keep(call, type, kind, null);
    return {
      media_id: mediaId,
      ...(type === 'image' && { url: `${call.world.url}/mmbiz_png/${mediaId}/0` }),
    };
  },
};

const uploadImage: Api = {
  token: 'authorizer',
  isUpload: true,
  permissions: [1, 8, 9, 11, 18, 37, 100],
  handle: (call) => {
    const { bytes } = fileOf(call, ARTICLE_IMAGE);
    const id = randomBytes(16).toString('hex');
    call.world.mediaBytes.set(id, bytes);
    return { url: `${call.world.url}/mmbiz_png/${id}/0` };
  },
};

export const mediaApi: ApiFamily = {
  '/cgi-bin/media/upload': upload,
  '/cgi-bin/media/get': download,
  '/cgi-bin/material/add_material': addMaterial,
  '/cgi-bin/media/uploadimg': uploadImage,
};

/** @throws Refusal 40007 for an id that is not the account's, or whose three days are over */
export function checkMediaId({ world, tokenAppid }: ApiCall, mediaId: unknown): SandboxMedia {
  const media =
    typeof mediaId === 'string' && Object.hasOwn(world.data.media, mediaId)
      ? world.data.media[mediaId]
      : undefined;
  const isOver = media?.expiresAt != null && world.now() >= media.expiresAt;
  if (!media || media.appid !== tokenAppid || isOver) throw new Refusal(40007, 'invalid media_id');
  return media;
}
