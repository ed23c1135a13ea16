/** The platform of the quick start. Invented: it opens nothing but the sandbox. */
export const QUICKSTART_COMPONENT = {
  appid: 'wx0c0ffee0c0ffee00',
  appSecret: 'sandbox0secret0sandbox0secret000',
  token: 'sandboxToken2026',
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
};
