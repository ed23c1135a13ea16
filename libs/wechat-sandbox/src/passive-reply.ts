import { openPush, parseXml, PushError, type XmlValue } from '@app/wechat';

import type { PushIdentity } from './pusher.js';

/**
 * Opens a passive reply as WeChat does: signature, key, the appid at its end, document.
 *
 * @returns its texts by name, nested ones as `Image.MediaId` or `Articles.item.0.Title`; null when it is no reply that
 *   WeChat would take
 */
export function readReply(body: string, identity: PushIdentity): Record<string, string> | null {
  try {
    const outer = parseXml(body.trim());
    // A reply is sealed like a push, except that the signature's parts stand in the envelope.
    const { fields } = openPush(
      Buffer.from(body),
      {
        msgSignature: textOf(outer['MsgSignature']),
        timestamp: textOf(outer['TimeStamp']),
        nonce: textOf(outer['Nonce']),
      },
      {
        tokens: [identity.token],
        encodingAesKeys: [identity.encodingAesKey],
        appid: identity.appid,
        mode: 'secure',
        formats: ['xml'],
      },
    );
    return Object.fromEntries(flatten(fields));
  } catch (error) {
    if (error instanceof PushError) return null;
    throw error;
  }
}

function textOf(value: XmlValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function flatten(value: XmlValue, path = ''): [string, string][] {
  if (typeof value === 'string') return [[path, value]];
  return Object.entries<XmlValue>(value).flatMap(([name, inner]) =>
    flatten(inner, path === '' ? name : `${path}.${name}`),
  );
}
