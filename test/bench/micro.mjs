// Verify, decrypt and parse, without a server: libs/wechat, and the same cryptography around fast-xml-parser.
// Argument: folder of the build. Tells the best microseconds per push of each over IPC.
import { deepEqual } from 'node:assert/strict';

import { XMLParser } from 'fast-xml-parser';

import { COMPONENT, fromBuild, makeReceipt } from './shared.mjs';

const PUSHES = 2_000;
const ROUNDS = 25;

const [, , build] = process.argv;
const { decryptMessage, openPush, readPushQuery, sameText, sign, toPush } = await fromBuild(
  build,
  'libs/wechat/src/index.js',
);
const { makePush } = await fromBuild(build, 'libs/wechat-sandbox/src/pusher.js');
const credentials = {
  tokens: [COMPONENT.token],
  encodingAesKeys: [COMPONENT.encodingAesKey],
  appid: COMPONENT.appid,
  mode: 'secure',
  formats: ['xml'],
};
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  processEntities: false,
});
const pushes = Array.from({ length: PUSHES }, (_, n) => {
  const { query, body } = makeReceipt(makePush, n);
  return { body: Buffer.from(body), query: readPushQuery(query) };
});

function withOurs({ body, query }) {
  return toPush(openPush(body, query, credentials).fields);
}

function withFastXmlParser({ body, query }) {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  const encrypted = parser.parse(text).xml.Encrypt;
  const { token, encodingAesKey, appid } = COMPONENT;
  if (!sameText(query.msgSignature, sign(token, query.timestamp, query.nonce, encrypted)))
    throw new Error('signature');
  const opened = decryptMessage(encodingAesKey, encrypted);
  if (!sameText(opened.appid, appid)) throw new Error('appid');
  return toPush(parser.parse(opened.message).xml);
}

function microseconds(open) {
  const startedAt = performance.now();
  for (const push of pushes) open(push);
  return ((performance.now() - startedAt) * 1_000) / PUSHES;
}

const plain = (push) => ({ ...push, fields: { ...push.fields } });
deepEqual(plain(withOurs(pushes[0])), plain(withFastXmlParser(pushes[0])));

const best = { ours: Infinity, fastXmlParser: Infinity };
for (let round = 0; round < ROUNDS; round += 1) {
  best.ours = Math.min(best.ours, microseconds(withOurs));
  best.fastXmlParser = Math.min(best.fastXmlParser, microseconds(withFastXmlParser));
}
process.send(best, () => process.exit());
