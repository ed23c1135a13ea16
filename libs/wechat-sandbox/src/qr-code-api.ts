import { type Api, type ApiFamily, Bytes, Refusal, textOf } from './api.js';
import { drawQrCode } from './pictures.js';
import { makeQrCode } from './qr-codes.js';
import { callerOf, checkAbility, objectOf } from './sending.js';

const MAX_SCENE_LENGTH = 64;
const MAX_SCENE_ID = 0xffff_ffff;
const MAX_PERMANENT_SCENE_ID = 100_000;
const MAX_EXPIRE_SECONDS = 2_592_000;
/** So long a code lives whose life is not said. */
const EXPIRE_SECONDS = 60;

/** By action: whether the code lasts, and how the scene is written. */
const ACTIONS: Readonly<Record<string, { isPermanent: boolean; maxId?: number }>> = {
  QR_SCENE: { isPermanent: false, maxId: MAX_SCENE_ID },
  QR_STR_SCENE: { isPermanent: false },
  QR_LIMIT_SCENE: { isPermanent: true, maxId: MAX_PERMANENT_SCENE_ID },
  QR_LIMIT_STR_SCENE: { isPermanent: true },
};

const create: Api = {
  token: 'authorizer',
  permissions: [3],
  handle: (call) => {
    const { body, world } = call;
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: false, isService: true });
    const name = textOf(body, 'action_name', new Refusal(40052, 'invalid action name'));
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (!action) throw new Refusal(40052, 'invalid action name');
    const scene = sceneOf(objectOf(objectOf(body, 'action_info'), 'scene'), action.maxId);
    const seconds = action.isPermanent ? null : lifeOf(body['expire_seconds']);
    const now = world.now();
    const expiresAt = seconds === null ? null : now + seconds * 1000;
    const code = makeQrCode(account, scene, expiresAt, now);
    if (!code) throw new Refusal(45029, 'qrcode count out of limit');
    return {
      ticket: code.ticket,
      ...(seconds !== null && { expire_seconds: seconds }),
      url: code.url,
    };
  },
};

function sceneOf(scene: Record<string, unknown>, maxId: number | undefined): string {
  const { scene_str: words, scene_id: id } = scene;
  const isText = typeof words === 'string' && words !== '' && words.length <= MAX_SCENE_LENGTH;
  if (maxId === undefined && isText) return words;
  if (maxId !== undefined && Number.isInteger(id) && Number(id) >= 1 && Number(id) <= maxId)
    return String(id);
  throw new Refusal(40053, 'invalid action info');
}

function lifeOf(seconds: unknown = EXPIRE_SECONDS): number {
  const life = Number(seconds);
  if (Number.isInteger(life) && life >= 1 && life <= MAX_EXPIRE_SECONDS) return life;
  throw new Refusal(40053, 'invalid action info');
}

const MAX_MINI_PROGRAM_SCENE_LENGTH = 32;
const MINI_PROGRAM_SCENE = /^[0-9A-Za-z!#$&'()*+,/:;=?@\-._~]*$/;
const WIDTH = 430;
const ENV_VERSIONS: readonly unknown[] = [undefined, 'release', 'trial', 'develop'];

/** WeChat draws a round code. This one is square, so that anything can read it. */
const createForMiniProgram: Api = {
  token: 'authorizer',
  permissions: [17, 58],
  handle: (call) => {
    const { body } = call;
    const account = callerOf(call);
    checkAbility(account, { isMiniProgram: true });
    const wrongLength = new Refusal(40169, 'invalid length for scene, or the data is not json');
    const scene = textOf(body, 'scene', wrongLength);
    if (scene.length > MAX_MINI_PROGRAM_SCENE_LENGTH) throw wrongLength;
    if (!MINI_PROGRAM_SCENE.test(scene)) throw new Refusal(40129, 'invalid scene');
    if (scene.includes('scancode_time'))
      throw new Refusal(85096, 'not allow include scancode_time field');
    const page = typeof body['page'] === 'string' ? body['page'] : '';
    if (/^\/|\?/.test(page)) throw new Refusal(41030, 'invalid page');
    const isLookedAt = page !== '' && body['check_path'] !== false;
    if (isLookedAt && account.pages && !account.pages.includes(page))
      throw new Refusal(41030, 'invalid page');
    const { width = WIDTH, env_version: version } = body;
    if (typeof width !== 'number' || width < 280 || width > 1280 || !ENV_VERSIONS.includes(version))
      throw new Refusal(40097, 'invalid args');
    const query = new URLSearchParams({ page, scene });
    return new Bytes(
      'image/png',
      drawQrCode(`https://mp.weixin.qq.com/a/${account.appid}?${query.toString()}`, width),
    );
  },
};

export const qrCodeApi: ApiFamily = {
  '/cgi-bin/qrcode/create': create,
  '/wxa/getwxacodeunlimit': createForMiniProgram,
};
