import { createHash } from 'node:crypto';

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import WXBizMsgCrypt from 'wechat-crypto';

import { decryptMessage, encryptMessage, sign } from './crypto.js';
import { PushError } from './push-error.js';
import {
  answerHandshake,
  dedupKey,
  openPush,
  type PushCredentials,
  type PushQuery,
  readPushQuery,
  toPush,
} from './push.js';
import {
  imageReply,
  musicReply,
  newsReply,
  sealReply,
  textReply,
  transferCustomerServiceReply,
  videoReply,
  voiceReply,
} from './reply.js';
import { FIXTURE, VECTORS } from './vectors/fixtures.js';
import { parseXml } from './xml.js';

const { token, encodingAesKey, componentAppid, miniProgramAppid, timestamp, nonce } = FIXTURE;
const component: PushCredentials = {
  tokens: [token],
  encodingAesKeys: [encodingAesKey],
  appid: componentAppid,
  mode: 'secure',
  formats: ['xml'],
};
const miniProgram: PushCredentials = {
  ...component,
  appid: miniProgramAppid,
  formats: ['xml', 'json'],
};

const envelope = (encrypted: string): string =>
  `<xml>\n  <AppId><![CDATA[${componentAppid}]]></AppId>\n  <Encrypt><![CDATA[${encrypted}]]></Encrypt>\n</xml>`;
const queryFor = (encrypted: string, by = token): PushQuery => ({
  signature: sign(by, timestamp, nonce),
  timestamp,
  nonce,
  msgSignature: sign(by, timestamp, nonce, encrypted),
});
const push = (message: string, credentials = component): { body: Buffer; query: PushQuery } => {
  const encrypted = encryptMessage(encodingAesKey, message, credentials.appid);
  return { body: Buffer.from(envelope(encrypted)), query: queryFor(encrypted) };
};
const refusalOf = (work: () => unknown): { reason: string; status: number } | 'taken' => {
  try {
    work();
  } catch (error) {
    if (error instanceof PushError) return { reason: error.reason, status: error.status };
    throw error;
  }
  return 'taken';
};
const message = '<xml><Demo>ok</Demo></xml>';

describe('openPush', () => {
  it.each(VECTORS)('opens $name', ({ name, appid, message: clear, encrypted, msgSignature }) => {
    const isJson = name.includes('JSON');
    const body = isJson
      ? JSON.stringify({ ToUserName: 'gh_0123456789ab', Encrypt: encrypted })
      : envelope(encrypted);
    const opened = openPush(
      Buffer.from(body),
      { timestamp, nonce, msgSignature },
      { ...miniProgram, appid },
    );
    expect(opened).toMatchObject({
      content: clear,
      encodingAesKey,
      format: isJson ? 'json' : 'xml',
    });
  });

  it('opens what the independent implementation encrypted', () => {
    const encrypted = new WXBizMsgCrypt(token, encodingAesKey, componentAppid).encrypt(message);
    expect(openPush(Buffer.from(envelope(encrypted)), queryFor(encrypted), component).content).toBe(
      message,
    );
  });

  it('takes a byte order mark, white space in front, and the previous Token and key', () => {
    const other = 'ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg';
    const { body, query } = push(message);
    const credentials = {
      ...component,
      tokens: ['newToken', token],
      encodingAesKeys: [other, encodingAesKey],
    };
    expect(
      openPush(Buffer.concat([Buffer.from('\uFEFF \n'), body]), query, credentials).encodingAesKey,
    ).toBe(encodingAesKey);
  });

  const good = push(message);
  const foreign = push(message, miniProgram);
  const clear = Buffer.from('<xml><ToUserName>gh_1</ToUserName></xml>');
  it.each<[string, Buffer, PushQuery, Partial<PushCredentials>, string, number]>([
    [
      'one flipped digit of the signature',
      good.body,
      { ...good.query, msgSignature: flip(good.query.msgSignature) },
      {},
      'signature',
      403,
    ],
    [
      'a right plain signature beside a wrong one',
      good.body,
      { ...good.query, msgSignature: '0'.repeat(40) },
      {},
      'signature',
      403,
    ],
    ['another Token', good.body, good.query, { tokens: ['otherToken'] }, 'signature', 403],
    [
      'a body changed on its way',
      Buffer.from(good.body.toString().replace(/(.)\]\]><\/Encrypt>/, 'A]]></Encrypt>')),
      good.query,
      {},
      'signature',
      403,
    ],
    [
      'another key',
      good.body,
      good.query,
      { encodingAesKeys: ['ABCDEFGhijklmnopqrstuvwxyz0123456789abcdefg'] },
      'decrypt',
      403,
    ],
    ['another appid', foreign.body, foreign.query, {}, 'appid', 403],
    [
      'no msg_signature',
      good.body,
      { ...good.query, msgSignature: undefined },
      {},
      'query_missing',
      403,
    ],
    ['no timestamp', good.body, { ...good.query, timestamp: undefined }, {}, 'query_missing', 403],
    ['no nonce', good.body, { ...good.query, nonce: undefined }, {}, 'query_missing', 403],
    ['no query', good.body, {}, {}, 'query_missing', 403],
    ['clear text', clear, good.query, {}, 'plaintext_refused', 403],
    ['an empty Encrypt', Buffer.from(envelope('')), queryFor(''), {}, 'decrypt', 403],
    [
      'Encrypt twice',
      Buffer.from(`<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>`),
      good.query,
      {},
      'unparsable',
      400,
    ],
    [
      'Encrypt with children',
      Buffer.from('<xml><Encrypt><a>1</a></Encrypt></xml>'),
      good.query,
      {},
      'unparsable',
      400,
    ],
    [
      'a DOCTYPE around it',
      Buffer.from(`<!DOCTYPE x>${good.body.toString()}`),
      good.query,
      {},
      'unparsable',
      400,
    ],
    ['a truncated body', good.body.subarray(0, 80), good.query, {}, 'unparsable', 400],
    ['nothing', Buffer.alloc(0), good.query, {}, 'unparsable', 400],
    [
      'bytes that are not UTF-8',
      Buffer.from([0x3c, 0xff, 0xfe]),
      good.query,
      {},
      'unparsable',
      400,
    ],
    [
      'JSON where only XML is agreed',
      Buffer.from('{"Encrypt":"x"}'),
      good.query,
      {},
      'format_refused',
      400,
    ],
  ])('refuses %s', (_case, body, query, credentials, reason, status) => {
    expect(refusalOf(() => openPush(body, query, { ...component, ...credentials }))).toEqual({
      reason,
      status,
    });
  });

  it('refuses a signed document that is no XML inside', () => {
    const { body, query } = push('not xml');
    expect(refusalOf(() => openPush(body, query, component))).toEqual({
      reason: 'unparsable',
      status: 400,
    });
  });

  it('trusts only the decrypted content in compatible mode', () => {
    const encrypted = encryptMessage(
      encodingAesKey,
      '<xml><Content>true</Content></xml>',
      miniProgramAppid,
    );
    const body = Buffer.from(`<xml><Content>forged</Content><Encrypt>${encrypted}</Encrypt></xml>`);
    const opened = openPush(body, queryFor(encrypted), { ...miniProgram, mode: 'compatible' });
    expect(opened.fields['Content']).toBe('true');
  });

  it.each(['plaintext', 'compatible'] as const)(
    'takes clear text by its signature in %s mode',
    (mode) => {
      const query = { signature: FIXTURE.signature, timestamp, nonce };
      const credentials = { ...miniProgram, mode };
      expect(openPush(clear, query, credentials).fields).toMatchObject({ ToUserName: 'gh_1' });
      expect(
        refusalOf(() => openPush(clear, { ...query, signature: 'x' }, credentials)),
      ).toMatchObject({ reason: 'signature' });
      expect(refusalOf(() => openPush(clear, { timestamp, nonce }, credentials))).toMatchObject({
        reason: 'query_missing',
      });
    },
  );

  it('refuses nothing but ciphertext in plaintext mode, and takes the clear text that stands beside some', () => {
    const query = { signature: FIXTURE.signature, timestamp, nonce };
    const credentials = { ...miniProgram, mode: 'plaintext' as const };
    const both = Buffer.from('<xml><MsgType>event</MsgType><Encrypt>x</Encrypt></xml>');
    expect(refusalOf(() => openPush(good.body, query, credentials))).toEqual({
      reason: 'ciphertext_refused',
      status: 403,
    });
    expect(openPush(both, query, credentials).fields).toMatchObject({ MsgType: 'event' });
  });

  it('throws nothing but its own refusal, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat({ max: good.body.length }),
        (noise, cut) => {
          const body = Buffer.concat([good.body.subarray(0, cut), noise, good.body.subarray(cut)]);
          const outcome = refusalOf(() => openPush(body, good.query, component));
          expect(noise.length === 0 || outcome !== undefined).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

function flip(signature = ''): string {
  return (signature.startsWith('0') ? '1' : '0') + signature.slice(1);
}

describe('answerHandshake', () => {
  const query = { signature: FIXTURE.signature, timestamp, nonce, echostr: '5837397520665436492' };

  it('echoes, for the previous Token too', () => {
    expect(answerHandshake(query, [token])).toBe('5837397520665436492');
    expect(answerHandshake(query, ['newToken', token])).toBe('5837397520665436492');
  });

  it('refuses another Token and a missing parameter', () => {
    expect(refusalOf(() => answerHandshake(query, ['x']))).toMatchObject({ reason: 'signature' });
    expect(
      refusalOf(() => answerHandshake({ ...query, echostr: undefined }, [token])),
    ).toMatchObject({
      reason: 'query_missing',
    });
  });
});

describe('readPushQuery', () => {
  it('leaves out what is repeated or empty', () => {
    expect(readPushQuery({ nonce: ['1', '2'], timestamp: '', msg_signature: 'x' })).toEqual({
      msgSignature: 'x',
    });
  });
});

describe('dedupKey', () => {
  it('is the MsgId, else the digest of the clear document', () => {
    const at = { format: 'xml', encodingAesKey } as const;
    expect(
      dedupKey({
        ...at,
        content: 'x',
        fields: parseXml('<xml><MsgId>6060349595123187712</MsgId></xml>'),
      }),
    ).toBe('6060349595123187712');
    expect(dedupKey({ ...at, content: 'x', fields: parseXml('<xml></xml>') })).toBe(
      createHash('sha256').update('x').digest('hex'),
    );
  });
});

describe('toPush', () => {
  const info = (rest: string): string =>
    `<xml><AppId>${componentAppid}</AppId><CreateTime>1767225700</CreateTime>${rest}</xml>`;
  const authorized = (rest: string): string =>
    info(
      `<InfoType>authorized</InfoType><AuthorizerAppid>wx1</AuthorizerAppid><AuthorizationCode>queryauthcode@@@a</AuthorizationCode>${rest}`,
    );
  const read = (xml: string): unknown => toPush(parseXml(xml));

  it('reads a ticket', () => {
    const xml = info(
      '<InfoType>component_verify_ticket</InfoType><ComponentVerifyTicket>ticket@@@a</ComponentVerifyTicket>',
    );
    expect(read(xml)).toEqual({
      kind: 'component_verify_ticket',
      componentAppid,
      createTime: 1767225700,
      ticket: 'ticket@@@a',
    });
  });

  it.each([
    [
      'a moment',
      '<AuthorizationCodeExpiredTime>1767229300</AuthorizationCodeExpiredTime>',
      1767229300,
    ],
    ['a duration', '<AuthorizationCodeExpiredTime>600</AuthorizationCodeExpiredTime>', 1767226300],
    ['nothing', '', null],
  ])('reads an authorization whose code ends at %s', (_case, rest, expected) => {
    expect(read(authorized(`${rest}<PreAuthCode>preauthcode@@@p</PreAuthCode>`))).toEqual({
      kind: 'authorized',
      componentAppid,
      createTime: 1767225700,
      appid: 'wx1',
      authorizationCode: 'queryauthcode@@@a',
      authorizationCodeExpiresAt: expected,
      preAuthCode: 'preauthcode@@@p',
    });
  });

  it('reads a cancellation, and an InfoType it does not know', () => {
    expect(
      read(info('<InfoType>unauthorized</InfoType><AuthorizerAppid>wx1</AuthorizerAppid>')),
    ).toMatchObject({
      kind: 'unauthorized',
      appid: 'wx1',
    });
    expect(read(info('<InfoType>notify_3rd_wxa_auth</InfoType>'))).toMatchObject({
      kind: 'other_info',
      infoType: 'notify_3rd_wxa_auth',
    });
  });

  it('reads a message with its id, and an event in lower case', () => {
    expect(read(VECTORS[1]?.message ?? '')).toMatchObject({
      kind: 'message',
      msgType: 'text',
      msgId: '6060349595123187712',
      toUserName: 'gh_0123456789ab',
    });
    const event =
      '<xml><ToUserName>gh</ToUserName><FromUserName>o</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>SCAN</Event><EventKey>k</EventKey></xml>';
    expect(read(event)).toMatchObject({ kind: 'event', event: 'scan', eventKey: 'k' });
  });

  it.each([
    [
      'no CreateTime',
      `<xml><AppId>a</AppId><InfoType>unauthorized</InfoType><AuthorizerAppid>b</AuthorizerAppid></xml>`,
    ],
    [
      'a CreateTime that is no time',
      `<xml><AppId>a</AppId><CreateTime>1e9</CreateTime><InfoType>x</InfoType></xml>`,
    ],
    [
      'a CreateTime of eleven digits',
      `<xml><AppId>a</AppId><CreateTime>17672257000</CreateTime><InfoType>x</InfoType></xml>`,
    ],
    ['a ticket without its ticket', info('<InfoType>component_verify_ticket</InfoType>')],
    ['an authorization without its account', info('<InfoType>authorized</InfoType>')],
    ['neither InfoType nor MsgType', '<xml><a>1</a></xml>'],
  ])('refuses %s', (_case, xml) => {
    expect(() => read(xml)).toThrow(PushError);
  });
});

describe('replies', () => {
  const head = { to: 'oPerson', from: 'gh_0123456789ab', createTime: 1767225602 };

  it('writes a text whose content may hold anything', () => {
    const xml = textReply(head, '收到 ]]> <a>');
    expect(JSON.parse(JSON.stringify(parseXml(xml)))).toEqual({
      ToUserName: 'oPerson',
      FromUserName: 'gh_0123456789ab',
      CreateTime: '1767225602',
      MsgType: 'text',
      Content: '收到 ]]> <a>',
    });
  });

  it.each([
    ['image', imageReply(head, 'm1'), { Image: { MediaId: 'm1' } }],
    ['voice', voiceReply(head, 'm1'), { Voice: { MediaId: 'm1' } }],
    [
      'video',
      videoReply(head, { mediaId: 'm1', title: 't', description: 'd' }),
      { Video: { MediaId: 'm1', Title: 't', Description: 'd' } },
    ],
    [
      'music',
      musicReply(head, { title: 't', description: 'd', url: 'u', hqUrl: 'h', thumbMediaId: 'm' }),
      { Music: { MusicUrl: 'u', HQMusicUrl: 'h', ThumbMediaId: 'm' } },
    ],
    ['transfer_customer_service', transferCustomerServiceReply(head), {}],
  ])('writes %s', (msgType, xml, content) => {
    expect(JSON.parse(JSON.stringify(parseXml(xml)))).toMatchObject({
      MsgType: msgType,
      ...content,
    });
  });

  it('writes one to eight articles', () => {
    const article = { title: 't', description: 'd', imageUrl: 'i', url: 'u' };
    expect(JSON.parse(JSON.stringify(parseXml(newsReply(head, [article, article]))))).toMatchObject(
      {
        ArticleCount: '2',
        Articles: { item: [{ Title: 't', PicUrl: 'i' }, { Title: 't' }] },
      },
    );
    expect(() => newsReply(head, [])).toThrow(RangeError);
    expect(() => newsReply(head, Array(9).fill(article))).toThrow(RangeError);
  });

  it.each(['xml', 'json'] as const)(
    'seals a reply in %s under its own timestamp and nonce',
    (format) => {
      const sealed = sealReply('clear', {
        token,
        encodingAesKey,
        appid: componentAppid,
        timestamp: 1767225602,
        nonce: '42',
        format,
      });
      const fields: Record<string, unknown> =
        format === 'xml'
          ? { ...parseXml(sealed) }
          : (JSON.parse(sealed) as Record<string, unknown>);
      const encrypted = String(fields['Encrypt']);
      expect(decryptMessage(encodingAesKey, encrypted)).toEqual({
        message: 'clear',
        appid: componentAppid,
      });
      expect(fields['MsgSignature']).toBe(sign(token, '1767225602', '42', encrypted));
      expect(fields['TimeStamp']).toBe(format === 'xml' ? '1767225602' : 1767225602);
      expect(fields['Nonce']).toBe('42');
    },
  );
});
