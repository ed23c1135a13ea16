declare module 'wechat-crypto' {
  /** An independent implementation of the same envelope, to hold ours against. */
  export default class WXBizMsgCrypt {
    constructor(token: string, encodingAesKey: string, appid: string);
    getSignature(timestamp: string, nonce: string, encrypt: string): string;
    encrypt(text: string): string;
    decrypt(encrypted: string): { message: string; id: string };
  }
}
