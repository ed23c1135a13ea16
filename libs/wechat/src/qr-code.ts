import { badAnswer, text } from './answer.js';
import type { WechatHttp } from './http.js';
import { mediaFormatOf } from './media.js';

/** A parametric QR code (带参数二维码) as WeChat has made it. */
export interface QrCode {
  /** What WeChat's own picture of it is fetched by. */
  ticket: string;
  /** What the picture says, e.g. `http://weixin.qq.com/q/02…`: draw one's own from it. */
  url: string;
  /** As WeChat granted it; null for one that lasts. */
  expiresInSeconds: number | null;
}

const MAX_SCENE_LENGTH = 64;
const MAX_EXPIRES_IN_SECONDS = 30 * 24 * 3600;

/**
 * Makes a QR code of a verified service account. Who scans it follows, or opens the conversation; either comes as an
 * event with the scene. The same permanent scene again gives the same code; WeChat neither lists nor deletes them.
 *
 * @param accessToken the account's own
 * @param code the scene has 1..64 characters; life in whole seconds, 30 days at the most, or null for a permanent code,
 *   of which an account has 100,000
 * @throws WechatApiError 45029 when the permanent codes are used up, 48001 for any account but a verified service account
 * @throws RangeError for another scene or life
 * @see https://developers.weixin.qq.com/doc/service/api/qrcode/qrcodes/api_createqrcode
 */
export async function createQrCode(
  http: WechatHttp,
  accessToken: string,
  { scene, expiresInSeconds }: { scene: string; expiresInSeconds: number | null },
): Promise<QrCode> {
  if (scene.length < 1 || scene.length > MAX_SCENE_LENGTH)
    throw new RangeError('A scene has 1..64 characters.');
  const isLife = (seconds: number): boolean =>
    Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_EXPIRES_IN_SECONDS;
  if (expiresInSeconds !== null && !isLife(expiresInSeconds))
    throw new RangeError('A QR code lives for 1..2,592,000 seconds.');
  const path = '/cgi-bin/qrcode/create';
  const answer = await http.post(
    path,
    {
      // Without it, WeChat takes a minute.
      ...(expiresInSeconds !== null && { expire_seconds: expiresInSeconds }),
      action_name: expiresInSeconds === null ? 'QR_LIMIT_STR_SCENE' : 'QR_STR_SCENE',
      action_info: { scene: { scene_str: scene } },
    },
    { accessToken },
  );
  const granted = answer['expire_seconds'];
  return {
    ticket: text(answer, 'ticket', path),
    url: text(answer, 'url', path),
    expiresInSeconds:
      expiresInSeconds !== null && typeof granted === 'number' && granted > 0
        ? granted
        : expiresInSeconds,
  };
}

export interface MiniProgramCode {
  /** What the page is opened with: 1..32 digits, letters and ``!#$&'()*+,/:;=?@-._~``. */
  scene: string;
  /** Without a leading `/` and without a query; the home page where it is left out. */
  page?: string;
  /** False takes a page that is not published; default true. */
  checkPath?: boolean;
  /** Default `release`. */
  envVersion?: 'release' | 'trial' | 'develop';
  /** 280..1280 pixels; default 430. */
  width?: number;
}

const MINI_PROGRAM_SCENE = /^[\w!#$&'()*+,/:;=?@\-.~]{1,32}$/;
const PAGE = /^[^/?][^?]*$/;
const MIN_WIDTH = 280;
const MAX_WIDTH = 1280;

/**
 * Makes a mini-program code (小程序码). It never ends and there may be as many as one likes, 5,000 a minute.
 *
 * @param accessToken the mini-program's own
 * @returns the picture, a PNG or a JPEG
 * @throws WechatApiError 41030 for a page that is not published, 40129 or 40169 for a scene, 45009 for too many a minute
 * @throws RangeError for another scene, page or width
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/qrcode-link/qr-code/getUnlimitedQRCode.html
 */
export async function createMiniProgramCode(
  http: WechatHttp,
  accessToken: string,
  { scene, page, checkPath, envVersion, width }: MiniProgramCode,
): Promise<Buffer> {
  if (!MINI_PROGRAM_SCENE.test(scene))
    throw new RangeError('The scene of a mini-program code has 1..32 of the allowed characters.');
  if (page !== undefined && !PAGE.test(page))
    throw new RangeError('A page has neither a leading slash nor a query.');
  if (width !== undefined && !(width >= MIN_WIDTH && width <= MAX_WIDTH))
    throw new RangeError('A mini-program code is 280..1280 pixels wide.');
  const path = '/wxa/getwxacodeunlimit';
  const picture = await http.postForBytes(
    path,
    {
      scene,
      ...(page !== undefined && { page }),
      ...(checkPath !== undefined && { check_path: checkPath }),
      ...(envVersion !== undefined && { env_version: envVersion }),
      ...(width !== undefined && { width }),
    },
    { accessToken },
  );
  const format = mediaFormatOf(picture);
  if (format !== 'png' && format !== 'jpeg') throw badAnswer(path);
  return picture;
}
