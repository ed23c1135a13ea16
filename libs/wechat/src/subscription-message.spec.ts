import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { listSubscriptionTemplates, sendSubscriptionMessage } from './subscription-message.js';
import { type Stub, startStub } from './vectors/stub.js';

const MSGID = '1864323726461255680';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const message = { openid: 'oUser01', templateId: 'TPL_A', data: { thing1: '会议室' } };

describe('sendSubscriptionMessage', () => {
  it('always names the version and the language, and keeps the 19 digits of its number', async () => {
    stub.answer = `{"errcode":0,"errmsg":"ok","msgid":${MSGID}}`;
    expect(await sendSubscriptionMessage(stub.http, '72_a', message)).toEqual({ msgid: MSGID });
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: '/cgi-bin/message/subscribe/send?access_token=72_a',
    });
    expect(stub.body()).toEqual({
      touser: 'oUser01',
      template_id: 'TPL_A',
      data: { thing1: { value: '会议室' } },
      miniprogram_state: 'formal',
      lang: 'zh_CN',
    });
  });

  it('sends the page, and the version and the language that are wanted', async () => {
    await sendSubscriptionMessage(stub.http, '72_a', {
      ...message,
      page: 'pages/index?foo=bar',
      miniProgramState: 'trial',
      lang: 'en_US',
    });
    expect(stub.body()).toMatchObject({
      page: 'pages/index?foo=bar',
      miniprogram_state: 'trial',
      lang: 'en_US',
    });
  });

  it('is a success without a number, too', async () => {
    expect(await sendSubscriptionMessage(stub.http, '72_a', message)).toEqual({ msgid: null });
  });
});

describe('listSubscriptionTemplates', () => {
  it('reads them with their fields, and the values that a field takes', async () => {
    stub.answer = JSON.stringify({
      errcode: 0,
      errmsg: 'ok',
      data: [
        {
          priTmplId: 'TPL_A',
          title: '报名结果通知',
          content: '会议时间:{{date2.DATA}}\n房型:{{enum1.DATA}}\n',
          example: '',
          type: 2,
          keywordEnumValueList: [{ keywordCode: 'enum1.DATA', enumValueList: ['大床', '双床'] }],
        },
        {
          priTmplId: 'TPL_B',
          title: '故障提醒',
          content: '提示说明:{{enum_string3.DATA}}\n',
          type: 3,
          keywordEnumValueList: [{ keywordCode: 'enum_string3', enumValueList: ['请检查'] }],
        },
      ],
    });
    const templates = await listSubscriptionTemplates(stub.http, '72_a');
    expect(templates).toMatchObject([
      {
        templateId: 'TPL_A',
        consent: 'one_time',
        fields: [
          { key: 'date2', type: 'date', label: '会议时间', values: null },
          { key: 'enum1', type: 'enum', label: '房型', values: ['大床', '双床'] },
        ],
      },
      {
        templateId: 'TPL_B',
        consent: 'long_term',
        fields: [{ key: 'enum_string3', type: 'enum', values: ['请检查'] }],
      },
    ]);
    expect(stub.sent).toMatchObject({
      method: 'GET',
      url: '/wxaapi/newtmpl/gettemplate?access_token=72_a',
    });
  });
});
