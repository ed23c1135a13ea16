import type { PushRefusal } from '@app/wechat';

import type { Text } from '../common/text.js';

/** What a person does about a refused push, by the reason. */
export const REJECTIONS: Readonly<Record<PushRefusal, Text>> = {
  not_configured: {
    zh: '这里还没有保存 Token。请先在此保存接收配置，再到微信控制台（或转发方）提交。',
    en: 'No Token is saved here yet. Save the receipt configuration first, then submit it in WeChat’s console or at the forwarder.',
  },
  signature: {
    zh: '对方以另一个 Token 签名，或内容在途中被改动。请核对两边的 Token 完全一致（前后没有空格），并确认转发方原样转发请求体。',
    en: 'It was signed with another Token, or changed on its way. Check that the Token is the same on both sides, without spaces, and that the forwarder passes the body on untouched.',
  },
  decrypt: {
    zh: '对方以另一个 EncodingAESKey 加密。请核对两边的 EncodingAESKey 完全一致（43 位）。',
    en: 'It was encrypted with another EncodingAESKey. Check that all 43 characters are the same on both sides.',
  },
  appid: {
    zh: '这是另一个小程序的消息。请检查是否把本地址填到了别的小程序，或转发方转错了账号。',
    en: 'It is another mini-program’s message. Check that this address was not entered for another one, and that the forwarder keeps the accounts apart.',
  },
  plaintext_refused: {
    zh: '收到明文，而此处配置为安全模式。请在微信控制台改为安全模式，或把此处的 encryptionMode 改为与控制台一致。',
    en: 'Plaintext came, secure is configured. Choose 安全模式 in WeChat’s console, or set encryptionMode here to what the console says.',
  },
  ciphertext_refused: {
    zh: '收到密文，而此处配置为明文模式。请把此处的 encryptionMode 改为 secure 并填写 EncodingAESKey，或在微信控制台改为明文模式。',
    en: 'Ciphertext came, plaintext is configured. Set encryptionMode here to secure with the EncodingAESKey, or choose 明文模式 in WeChat’s console.',
  },
  query_missing: {
    zh: '地址中缺少签名参数（signature、timestamp、nonce、msg_signature）。请让转发方保留微信原始请求的查询字符串。',
    en: 'The address lacks the parameters of the signature (signature, timestamp, nonce, msg_signature). Have the forwarder keep the query string of WeChat’s request.',
  },
  unparsable: {
    zh: '内容不是完整的 XML 或 JSON。请确认转发方原样转发微信的请求体，没有截断或重新编码。',
    en: 'The content is not whole XML or JSON. Have the forwarder pass WeChat’s body on as it is, neither cut nor encoded anew.',
  },
  format_refused: {
    zh: '数据格式不符。请在微信控制台选择 XML 或 JSON。',
    en: 'The format is not agreed. Choose XML or JSON in WeChat’s console.',
  },
};
