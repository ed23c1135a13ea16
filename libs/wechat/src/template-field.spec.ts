import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { WechatApiError } from './errors.js';
import {
  checkTemplateData,
  fieldRule,
  readFieldExamples,
  readTemplateFields,
  refusedField,
  TEMPLATE_FIELD_TYPES,
  type TemplateField,
} from './template-field.js';

const fieldOf = (key: string, over: Partial<TemplateField> = {}): TemplateField => ({
  ...(readTemplateFields(`{{${key}.DATA}}`)[0] as TemplateField),
  ...over,
});
const check = (key: string, value: string) => checkTemplateData([fieldOf(key)], { [key]: value });

describe('readTemplateFields', () => {
  it('reads keys, types and labels, each key once', () => {
    expect(
      readTemplateFields(
        '您好，{{name01.DATA}}\r\n取件码： {{character_string2.DATA}} 电话:{{phone_number3.DATA}}\n{{ car_number4.DATA }}{{name01.DATA}}{{amount}}',
      ).map(({ key, type, label }) => [key, type, label]),
    ).toEqual([
      ['name01', 'name', '您好，'],
      ['character_string2', 'character_string', '取件码'],
      ['phone_number3', 'phone_number', '电话'],
      ['car_number4', 'car_number', ''],
    ]);
  });

  it.each(['', 'no fields', '{{}}', '{{.DATA}}', '{{a.DATA'])('finds none in %j', (content) => {
    expect(readTemplateFields(content)).toEqual([]);
  });
});

describe('readFieldExamples', () => {
  it.each([
    [
      '订单编号：{{character_string1.DATA}}\n发货时间：{{time2.DATA}}\n',
      '订单编号：SO20260801\n发货时间：2026-08-01 10:00\n',
      { character_string1: 'SO20260801', time2: '2026-08-01 10:00' },
    ],
    // The other colon, and blank lines.
    [
      '会议:{{thing1.DATA}}\n\n{{date2.DATA}}',
      '会议： 年会\r\n2026年8月8日',
      { thing1: '年会', date2: '2026年8月8日' },
    ],
    // Several in a line.
    [
      '{{name1.DATA}}，您的{{thing2.DATA}}已到',
      '张三，您的快递已到',
      { name1: '张三', thing2: '快递' },
    ],
    ['{{first.DATA}}\n{{keyword1.DATA}}', '', {}],
    ['金额：{{amount1.DATA}}\n姓名：{{name2.DATA}}', '数量：3\n姓名：李四', { name2: '李四' }],
    ['{{thing1.DATA}}{{thing2.DATA}}', '一二', { thing1: '一二' }],
    ['没有字段', '没有字段', {}],
    ['', '样例', {}],
  ])('of %j in %j', (content, sample, examples) => {
    expect(Object.fromEntries(readFieldExamples(content, sample))).toEqual(examples);
  });
});

describe('fieldRule', () => {
  it.each(TEMPLATE_FIELD_TYPES)('says what a %s takes', (type) => {
    const { zh, en } = fieldRule({ type, values: null });
    expect([zh, en]).toEqual([
      expect.stringMatching(/[\u4e00-\u9fff]/),
      expect.stringMatching(/\w/),
    ]);
  });

  it('names the values where there are no others', () => {
    expect(fieldRule({ type: 'enum', values: ['待处理', '已处理'] })).toEqual({
      zh: '只能填写：待处理、已处理',
      en: 'one of: 待处理, 已处理',
    });
    expect(fieldRule({ type: null, values: null }).en).toBe('any text, line breaks too');
  });
});

describe('checkTemplateData', () => {
  it.each([
    ['thing1', '二十个字二十个字二十个字二十个字二十个字'],
    ['thing1', 'Parcel 到了 🎉 №1'],
    ['thing1', '🎉'.repeat(20)],
    ['number1', '0'],
    ['number1', '18.50'],
    ['number1', '1'.repeat(32)],
    ['letter1', 'AbC'],
    ['symbol1', '¥!?…。'],
    ['character_string1', 'SO-2026/0801 #1'],
    ['time1', '15:01'],
    ['time1', '9:05:30'],
    ['time1', '2019年10月1日 15:01'],
    ['time1', '2026-08-01 10:00'],
    ['time1', '2026-08-01 10:00~2026-08-01 12:00'],
    ['time1', '10:00 ~ 12:00'],
    ['date1', '2019年10月1日'],
    ['date1', '2019/10/01'],
    ['date1', '2019.10.01'],
    ['date1', '2019年10月1日 15:01'],
    ['date1', '2024-02-29~2024-03-01'],
    ['amount1', '¥18.50'],
    ['amount1', '￥1234567890元'],
    ['amount1', '100'],
    ['amount1', 'USD 3.5'],
    ['phone_number1', '+86-0766-66888866'],
    ['phone_number1', '138****1234'],
    ['car_number1', '粤A8Z888挂'],
    ['car_number1', '粤A12345'],
    ['name1', '欧阳娜娜欧阳娜娜欧阳'],
    ['name1', 'Anne-Marie O’Brien'],
    ['name1', '张Anna'],
    ['phrase1', '已发货'],
    ['const1', '审核通过'],
    ['enum1', 'anything that WeChat may list for it'],
    ['keyword1', 'first line\nsecond line'],
  ])('%s takes %j', (key, value) => {
    expect(check(key, value)).toEqual([]);
  });

  it.each([
    ['thing1', '二十一个字二十一个字二十一个字二十一个字啊', 'field_too_long'],
    ['thing1', '🎉'.repeat(21), 'field_too_long'],
    ['thing1', 'a\nb', 'field_control_character'],
    ['thing1', 'a\u0000b', 'field_control_character'],
    ['thing1', 'half of one \ud83c', 'field_control_character'],
    ['thing1', '', 'field_empty'],
    ['thing1', ' \u3000', 'field_empty'],
    ['number1', '1,000', 'field_format'],
    ['number1', '１', 'field_format'],
    ['number1', '1'.repeat(33), 'field_too_long'],
    ['letter1', 'A1', 'field_format'],
    ['symbol1', 'a', 'field_format'],
    ['symbol1', '!!!!!!', 'field_too_long'],
    ['character_string1', '订单1', 'field_format'],
    ['character_string1', 'x'.repeat(33), 'field_too_long'],
    ['time1', '25:00', 'field_format'],
    ['time1', '2026-08-01', 'field_format'],
    ['time1', '2026-02-30 10:00', 'field_format'],
    ['time1', '10:00~11:00~12:00', 'field_format'],
    ['time1', 'tomorrow', 'field_format'],
    ['date1', '15:01', 'field_format'],
    ['date1', '2023-02-29', 'field_format'],
    ['date1', '2026-13-01', 'field_format'],
    ['date1', '10月1日', 'field_format'],
    ['amount1', '12345678901', 'field_format'],
    ['amount1', '一百元', 'field_format'],
    ['phone_number1', '13812345678 转 1', 'field_format'],
    ['phone_number1', '+86-0766-668888661', 'field_too_long'],
    ['car_number1', '粤A8Z8888挂', 'field_too_long'],
    ['car_number1', 'A粤1', 'field_format'],
    ['name1', '张三1', 'field_format'],
    ['name1', '欧阳娜娜欧阳娜娜欧阳娜', 'field_format'],
    ['name1', 'x'.repeat(21), 'field_too_long'],
    ['phrase1', '已发货了吗好', 'field_too_long'],
    ['phrase1', 'OK', 'field_format'],
    ['const1', '二十一个字二十一个字二十一个字二十一个字啊', 'field_too_long'],
    ['keyword1', '', 'field_empty'],
    ['keyword1', 'a\tb', 'field_control_character'],
  ])('%s does not take %j: %s', (key, value, code) => {
    expect(check(key, value)).toMatchObject([{ field: key, code }]);
  });

  it('takes only the values that WeChat lists', () => {
    const fields = [fieldOf('enum1', { label: '房型', values: ['大床', '双床'] })];
    expect(checkTemplateData(fields, { enum1: '双床' })).toEqual([]);
    expect(checkTemplateData(fields, { enum1: '单间' })).toMatchObject([
      {
        code: 'field_value_not_allowed',
        detail: { zh: expect.stringContaining('大床、双床'), en: expect.stringContaining('enum1') },
      },
    ]);
  });

  it('tells of every field that is missing or does not exist', () => {
    const fields = [fieldOf('thing1'), fieldOf('time2'), fieldOf('first')];
    expect(checkTemplateData(fields, { thing01: 'x', constructor: 'y' })).toMatchObject([
      { field: 'thing1', code: 'field_missing' },
      { field: 'time2', code: 'field_missing' },
      { field: 'thing01', code: 'field_unknown' },
      { field: 'constructor', code: 'field_unknown' },
    ]);
    expect(checkTemplateData([fieldOf('constructor1')], {})).toMatchObject([
      { code: 'field_missing' },
    ]);
  });

  it('says in both languages what a field takes, and how long the value is', () => {
    const [problem] = checkTemplateData([fieldOf('thing1', { label: '备注' })], {
      thing1: 'x'.repeat(25),
    });
    expect(problem?.detail.zh).toBe('字段 备注（thing1） 应为：20 个以内字符（当前 25 个字符）。');
    expect(problem?.detail.en).toBe(
      'The field thing1 takes up to 20 characters; it has 25 characters now.',
    );
  });

  it('judges whatever comes, and repeats no value', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...TEMPLATE_FIELD_TYPES, 'keyword'),
        fc.string({ unit: 'binary', minLength: 12, maxLength: 60 }),
        (type, value) => {
          for (const { detail } of check(`${type}1`, value)) {
            expect(detail.zh).not.toContain(value);
            expect(detail.en).not.toContain(value);
          }
        },
      ),
    );
  });
});

describe('refusedField', () => {
  it.each([
    [47003, 'argument invalid! data.thing3.value invalid', 'thing3'],
    [47003, 'argument invalid! data.character_string12.value invalid', 'character_string12'],
    [47003, 'thing01.DATA is invalid', 'thing01'],
    [47003, 'argument invalid!', null],
    [40037, 'thing01.DATA is invalid', null],
  ])('%i %s', (errcode, errmsg, field) => {
    const error = new WechatApiError(errcode, errmsg, null, '/cgi-bin/message/subscribe/send');
    expect(refusedField(error)).toBe(field);
  });
});
