/** Composed for these tests: the platform, the accounts and the texts are invented. */
export const FIXTURE = {
  token: 'fixtureToken2026',
  /** Its last character is not canonical base64, as in most real keys. */
  encodingAesKey: 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG',
  componentAppid: 'wx0c0ffee0c0ffee00',
  miniProgramAppid: 'wx1badb002feedface',
  random: Buffer.from('abcdef0123456789'),
  timestamp: '1767225600',
  nonce: '1234567890',
  /** Of the handshake: token, timestamp and nonce alone. */
  signature: '21861773ceb08f266af97467aa0fdd42e5aaa3b1',
};

export interface Vector {
  name: string;
  appid: string;
  message: string;
  encrypted: string;
  msgSignature: string;
}

export const VECTORS: readonly Vector[] = [
  {
    name: 'a component ticket',
    appid: FIXTURE.componentAppid,
    message:
      '<xml><AppId><![CDATA[wx0c0ffee0c0ffee00]]></AppId><CreateTime>1767225600</CreateTime><InfoType><![CDATA[component_verify_ticket]]></InfoType><ComponentVerifyTicket><![CDATA[ticket@@@fixture-0001]]></ComponentVerifyTicket></xml>',
    encrypted:
      '2Lqo6exTh2YIEucqfTfIbsJctTHHX2BnFPNWpyImm4ZATNnW517ihhPzlrd4/XCIomPWnQaJE6DkKo4mYDr46JC310+z32D1h5Pdbiz2MbyTUYjT5oAauE4DhKEbgPyB3arfsF8iDb/EZh0ANkd2lnmps+aI3+GRwP0UQdCrrByN0qhZ9mM1COe90CARiv/RpyPJz5/siaiKAB3jcO0rAGAboM8dFVWtYhG8/pQu3KEUZgs8QCEvk/RrsFsVWpL6yhKlpYYjHjdSuQFVRKVGjivkkpKyFfVrR+ySZR/AvjhS27LMGembcSAGNjSUFCS10RqLYOC2EiTEjnijknJbFy0+PEv54qqqq0G2zk4WZulhUWHDS9SYniNlgXk+nmUh',
    msgSignature: '1a1642fcfc144a88d8e78addfb4d381b18eda7b7',
  },
  {
    name: 'a text with Chinese and a 64-bit id',
    appid: FIXTURE.componentAppid,
    message:
      '<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName><FromUserName><![CDATA[oFixtureOpenId0000000000001]]></FromUserName><CreateTime>1767225601</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[你好]]></Content><MsgId>6060349595123187712</MsgId></xml>',
    encrypted:
      '2Lqo6exTh2YIEucqfTfIbvOej6Whdp4SXyfEjVALSysFcdYiyjsXHcjJ5+z3bwyIc2W7I6Wg/Qg+r5wESYbI/5jcWs280RjKtqfo+h9/lXBEFMuhT9W7lp/r8qEIDYSVqzs4xZtf4pRqIQVlvc9GiYFOTZFaDaQ9MiHXwiP0oacSgj67ar1YgcNNV8NmA0vl70vJXXsivyL6H0n2hfEPB/zpU6eeL3xk6hneIkL7ygOXqXjbZ3EEY1f+KRfcv7AOuv6cSQVKHTMkusMYfKPHbU0pECOQYWdmPzCZ+mc/KySkuMtcOw+6qHl6fBSgzj1genE7JKlxXSyKdQC3UF5niyBl4rnt3HKZlsraDTZfgLHwrSamwEJ5ocDBnFHR49ecjq2emQ6KfDA0tF578YoDOq5lTkHF6r79WRfCjDhFfew=',
    msgSignature: 'ed440b2f7d29b99e1fc22ccd6c888301fe8e6bd8',
  },
  {
    name: "a mini-program's own push in JSON",
    appid: FIXTURE.miniProgramAppid,
    message:
      '{"ToUserName":"gh_0123456789ab","FromUserName":"oFixtureOpenId0000000000001","CreateTime":1767225601,"MsgType":"event","Event":"user_enter_tempsession","SessionFrom":"fixture"}',
    encrypted:
      '2Lqo6exTh2YIEucqfTfIbuYAJf+WDC0ALYKXArnVH3+rMQW0TBdeIA+Iqrb10NiBW9yJILnnnhfsCg7LX7p23rx4gqbvQZTS7REOp9JlVjugIdBFGhS80KmLobMIgsH0mBXaBldLmbHeT14p0aBMQrBZC2/3u5ds4ls8yki6qlM53f/BezF6NE8QCEBoi2Khs+s8Z8P7e0/XYqakK6hhdg90utPVHpBbx66azpa9+ucvZrS7OdUwvPLALfLQuX3T1oWH0f5llvnmZsqkA6C/A3OLrOpWMXLbaLFRj0v1YI8=',
    msgSignature: '6c564125a6c640e1153c6b124e400a677d4731ee',
  },
  {
    name: 'a message that fills its blocks, so that a whole pad follows',
    appid: FIXTURE.componentAppid,
    message: '<xml><Demo>ok</Demo></xml>',
    encrypted:
      '2Lqo6exTh2YIEucqfTfIbjNkGCoSgmIn3ROniJrSvIOGBUIGITJoq6xP7LJK/7Dh9IU2qRz2DDw11vazh4pMtNjJo8hzED9WASz8qsT+C4g2zTzMLFqaqTi/8SSbtA32',
    msgSignature: '079a5673bc6dc031f563b5811e5932e100bea8e3',
  },
];
