import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { WechatApiError } from './errors.js';
import { listTemplates, readTemplateResult, sendTemplateMessage } from './template-message.js';
import { type Stub, startStub } from './vectors/stub.js';
import { parseXml } from './xml.js';

const MSGID = '3557254367693750277';

let stub: Stub;
beforeEach(async () => {
  stub = await startStub();
});
afterEach(() => stub.close());

const message = {
  openid: 'oUser000000000000000000000001',
  templateId: 'tplA0000000000000000000000000000000000000001',
  data: { character_string1: 'SO20260801', thing3: '包裹已发出' },
};

describe('sendTemplateMessage', () => {
  it('sends all there is to a template message, and keeps the 19 digits of its number', async () => {
    stub.answer = `{"errcode":0,"errmsg":"ok","msgid":${MSGID}}`;
    const sent = await sendTemplateMessage(stub.http, '71_a', {
      ...message,
      url: 'https://m.example.com/o/88',
      miniProgram: { appid: 'wx00000000000000aa', pagePath: 'pages/order?id=88' },
      clientMsgId: 'job42',
    });
    expect(sent).toEqual({ msgid: MSGID });
    expect(stub.sent).toMatchObject({
      method: 'POST',
      url: '/cgi-bin/message/template/send?access_token=71_a',
    });
    expect(stub.body()).toEqual({
      touser: message.openid,
      template_id: message.templateId,
      url: 'https://m.example.com/o/88',
      miniprogram: { appid: 'wx00000000000000aa', pagepath: 'pages/order?id=88' },
      client_msg_id: 'job42',
      data: { character_string1: { value: 'SO20260801' }, thing3: { value: '包裹已发出' } },
    });
  });

  it('leaves out what is not given', async () => {
    stub.answer = '{"errcode":0,"errmsg":"ok","msgid":200228332}';
    expect(await sendTemplateMessage(stub.http, '71_a', message)).toEqual({ msgid: '200228332' });
    expect(Object.keys(stub.body() as object)).toEqual(['touser', 'template_id', 'data']);
  });

  it('is a success without a number, too', async () => {
    for (const answer of ['{}', '{"msgid":0}', '{"msgid":""}']) {
      stub.answer = answer;
      expect(await sendTemplateMessage(stub.http, '71_a', message)).toEqual({ msgid: null });
    }
  });

  it('takes no id of more than 32 characters', async () => {
    const tooLong = { ...message, clientMsgId: 'x'.repeat(33) };
    await expect(sendTemplateMessage(stub.http, '71_a', tooLong)).rejects.toThrow(RangeError);
    expect(stub.sent.method).toBe('');
  });

  it('repeats neither the person nor the token in a refusal', async () => {
    stub.answer = JSON.stringify({ errcode: 40003, errmsg: `invalid openid ${message.openid}` });
    const error = await sendTemplateMessage(stub.http, '71_tokenThatMustNotLeak', message).catch(
      (refused: unknown) => refused,
    );
    expect(error).toBeInstanceOf(WechatApiError);
    expect(error).toMatchObject({ errcode: 40003, errorClass: 'user_unknown' });
    expect(String(error)).not.toContain(message.openid);
  });
});

describe('listTemplates', () => {
  it('reads them with their fields', async () => {
    stub.answer = JSON.stringify({
      template_list: [
        {
          template_id: 'tplA',
          title: '发货通知',
          primary_industry: '',
          deputy_industry: '',
          content: '订单号：{{character_string1.DATA}}\n时间：{{time2.DATA}}\n',
          example: '订单号：SO1\n时间：15:01\n',
        },
        { template_id: 'tplB', title: '旧', content: '{{first.DATA}}\n编号：{{keyword1.DATA}}' },
      ],
    });
    const field = { values: null, isRequired: true };
    expect(await listTemplates(stub.http, '71_a')).toEqual([
      {
        templateId: 'tplA',
        title: '发货通知',
        content: '订单号：{{character_string1.DATA}}\n时间：{{time2.DATA}}\n',
        example: '订单号：SO1\n时间：15:01\n',
        fields: [
          { key: 'character_string1', type: 'character_string', label: '订单号', ...field },
          { key: 'time2', type: 'time', label: '时间', ...field },
        ],
      },
      {
        templateId: 'tplB',
        title: '旧',
        content: '{{first.DATA}}\n编号：{{keyword1.DATA}}',
        example: '',
        fields: [
          { key: 'first', type: null, label: '', values: null, isRequired: false },
          { key: 'keyword1', type: null, label: '编号', ...field },
        ],
      },
    ]);
    expect(stub.sent).toMatchObject({
      method: 'GET',
      url: '/cgi-bin/template/get_all_private_template?access_token=71_a',
    });
  });

  it('finds none where WeChat lists none, and refuses one without an id', async () => {
    stub.answer = '{"template_list":[]}';
    expect(await listTemplates(stub.http, '71_a')).toEqual([]);
    stub.answer = '{"template_list":[{"title":"x"}]}';
    await expect(listTemplates(stub.http, '71_a')).rejects.toMatchObject({ failure: 'bad_answer' });
  });
});

describe('readTemplateResult', () => {
  const read = (status: string, msgid = MSGID) =>
    readTemplateResult(
      parseXml(
        `<xml><Event><![CDATA[TEMPLATESENDJOBFINISH]]></Event><MsgID>${msgid}</MsgID><Status><![CDATA[${status}]]></Status></xml>`,
      ),
    );

  it.each([
    ['success', 'delivered'],
    [' Success ', 'delivered'],
    ['failed:user block', 'user_blocked'],
    ['failed: user block', 'user_blocked'],
    ['failed:freq limit', 'throttled'],
    ['failed: system failed', 'failed'],
    ['failed:system failed', 'failed'],
    ['something new', 'failed'],
  ])('takes %j for %s', (status, outcome) => {
    expect(read(status)).toMatchObject({ msgid: MSGID, outcome });
  });

  it('takes 0 for no number, and keeps WeChat’s words', () => {
    expect(read('failed: system failed', '0')).toEqual({
      msgid: null,
      outcome: 'failed',
      status: 'failed: system failed',
    });
    expect(readTemplateResult({})).toEqual({ msgid: null, outcome: 'failed', status: '' });
  });
});
