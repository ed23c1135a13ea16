import type { WechatApiError } from './errors.js';
import type { Text } from './text.js';

/** The kinds of values that WeChat knows, by the beginning of a field's key. */
export const TEMPLATE_FIELD_TYPES = [
  'thing',
  'number',
  'letter',
  'symbol',
  'character_string',
  'time',
  'date',
  'amount',
  'phone_number',
  'car_number',
  'name',
  'phrase',
  'enum',
  'const',
] as const;
export type TemplateFieldType = (typeof TEMPLATE_FIELD_TYPES)[number];

/** One placeholder of a template. */
export interface TemplateField {
  /** E.g. `thing1`, under which its value is sent. */
  key: string;
  /** Null for one whose key tells nothing, such as `keyword1` of an old template. */
  type: TemplateFieldType | null;
  /** What stands before it, e.g. 订单号; may be empty. */
  label: string;
  /** The values that WeChat takes; null when it takes others too, or does not say. */
  values: string[] | null;
  /** False for `first` and `remark` of old templates, which WeChat no longer shows. */
  isRequired: boolean;
}

const TYPES: ReadonlySet<string> = new Set(TEMPLATE_FIELD_TYPES);
const NO_LONGER_SHOWN: ReadonlySet<string> = new Set(['first', 'remark']);
const PLACEHOLDER = /\{\{\s*([A-Za-z0-9_]+)\.DATA\s*\}\}/g;

/**
 * Reads the fields out of a template's content, e.g. `订单号：{{character_string1.DATA}}\n`.
 *
 * @returns in their order, each once
 */
export function readTemplateFields(content: string): TemplateField[] {
  const fields = content.split('\n').flatMap((line) => {
    let end = 0;
    return [...line.matchAll(PLACEHOLDER)].map((match) => {
      const [whole, key = ''] = match;
      const label = line.slice(end, match.index).replace(/[\s:：]+$/, '');
      end = match.index + whole.length;
      return toField(key, label.trim());
    });
  });
  const keys = fields.map(({ key }) => key);
  return fields.filter(({ key }, place) => keys.indexOf(key) === place);
}

function toField(key: string, label: string): TemplateField {
  return { key, type: typeOf(key), label, values: null, isRequired: !NO_LONGER_SHOWN.has(key) };
}

function typeOf(key: string): TemplateFieldType | null {
  // WeChat's own sample has `enum_string2`.
  const beginning = key.replace(/\d+$/, '').replace(/^enum_string$/, 'enum');
  return TYPES.has(beginning) ? (beginning as TemplateFieldType) : null;
}

/**
 * Reads what the fields hold in a template's sample, e.g. `SO20260801` in `订单号：SO20260801\n`.
 *
 * @returns by the fields' keys; a field that does not stand in the sample as in the content is left out
 */
export function readFieldExamples(content: string, sample: string): Map<string, string> {
  const found = new Map<string, string>();
  const lines = linesOf(sample);
  for (const [at, line] of linesOf(content).entries()) readLine(line, lines[at] ?? '', found);
  return found;
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** By the words around the placeholders; a colon is one, whichever is written. */
function readLine(line: string, sample: string, found: Map<string, string>): void {
  const same = (text: string): string => text.replaceAll('：', ':');
  const keys = [...line.matchAll(PLACEHOLDER)].map(([, key = '']) => key);
  const [first = '', ...words] = same(line).replaceAll(PLACEHOLDER, '\n').split('\n');
  if (!same(sample).startsWith(first.trimEnd())) return;
  let at = first.trimEnd().length;
  for (const [n, key] of keys.entries()) {
    const word = (words[n] ?? '').trim();
    const end = word === '' ? sample.length : same(sample).indexOf(word, at);
    if (end < 0) return;
    const value = sample.slice(at, end).trim();
    if (value !== '' && !found.has(key)) found.set(key, value);
    at = end + word.length;
  }
}

/** What is wrong with one field of a content. */
export interface ContentProblem {
  /** The field's key. */
  field: string;
  code:
    | 'field_missing'
    /** The template has no such field. */
    | 'field_unknown'
    | 'field_empty'
    /** Line breaks and other control characters. */
    | 'field_control_character'
    | 'field_too_long'
    | 'field_format'
    | 'field_value_not_allowed';
  detail: Text;
}

/**
 * Holds values against the fields of a template, template messages and subscription messages alike. What WeChat's page
 * leaves open passes: then WeChat itself says 47003.
 *
 * @param data by the fields' keys
 * @returns one problem a field at the most; empty when all is well
 * @see https://developers.weixin.qq.com/miniprogram/dev/OpenApiDoc/mp-message-management/subscribe-message/sendMessage.html
 */
export function checkTemplateData(
  fields: readonly TemplateField[],
  data: Readonly<Record<string, string>>,
): ContentProblem[] {
  const known = new Set(fields.map(({ key }) => key));
  return [
    ...fields.flatMap((field) => problemOf(field, valueOf(data, field.key)) ?? []),
    ...Object.keys(data)
      .filter((key) => !known.has(key))
      .map((key): ContentProblem => {
        const names = [...known].join(', ');
        return problem(
          key,
          'field_unknown',
          `模板中没有字段 ${key}，可用的字段：${names}。`,
          `The template has no field ${key}. It has: ${names}.`,
        );
      }),
  ];
}

/** Not by `data[key]`: a key may be named like something of every object. */
function valueOf(data: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(data, key) ? data[key] : undefined;
}

function problemOf(field: TemplateField, value: string | undefined): ContentProblem | null {
  const { key, type, isRequired } = field;
  const name = field.label === '' ? key : `${field.label}（${key}）`;
  if (value === undefined || (value.trim() === '' && !isRequired)) {
    if (!isRequired) return null;
    return problem(
      key,
      'field_missing',
      `缺少字段 ${name}，请填写。`,
      `The field ${key} is missing. Give it a value.`,
    );
  }
  if (value.trim() === '')
    return problem(
      key,
      'field_empty',
      `字段 ${name} 不能为空。`,
      `The field ${key} may not be empty.`,
    );
  // A field of an old template may have lines; half a character may stand nowhere.
  if ((type === null ? /(?!\n)\p{Cc}|\p{Cs}/u : /[\p{Cc}\p{Cs}]/u).test(value))
    return problem(
      key,
      'field_control_character',
      `字段 ${name} 不能包含换行或控制字符。`,
      `The field ${key} may have no line breaks or control characters.`,
    );
  if (field.values && !field.values.includes(value)) {
    const values = field.values.join('、');
    return problem(
      key,
      'field_value_not_allowed',
      `字段 ${name} 只能填写：${values}。`,
      `The field ${key} takes only: ${values}.`,
    );
  }
  return type === null ? null : ruleProblem(key, name, type, value);
}

interface Rule {
  /** In characters, as a person counts them. */
  maxLength: number;
  test?: (value: string) => boolean;
  wanted: Text;
}

const CLOCK = String.raw`(?:[01]?\d|2[0-3])[:：][0-5]\d(?:[:：][0-5]\d)?`;
const DAY = String.raw`\d{4}(?:年|[-/.])\d{1,2}(?:月|[-/.])\d{1,2}日?`;
const TIME = new RegExp(`^(?:(${DAY})\\s*)?${CLOCK}$`, 'u');
const DATE = new RegExp(`^(${DAY})(?:\\s*${CLOCK})?$`, 'u');

const RULES: Readonly<Record<TemplateFieldType, Rule>> = {
  thing: rule(20, null, '20 个以内字符', 'up to 20 characters'),
  number: rule(32, /^-?\d+(?:\.\d+)?$/, '32 位以内数字，可带小数', 'up to 32 digits, decimals too'),
  letter: rule(32, /^[A-Za-z]+$/, '32 位以内字母', 'up to 32 letters'),
  symbol: rule(5, /^[^\p{L}\p{N}\s]+$/u, '5 位以内符号', 'up to 5 symbols'),
  character_string: rule(
    32,
    // Letters that have no case are those of Chinese and its neighbours.
    /^[^\p{Lo}]+$/u,
    '32 位以内数字、字母或符号，不含汉字',
    'up to 32 digits, letters or symbols, no Chinese',
  ),
  time: {
    maxLength: 64,
    test: (value) => isRangeOf(value, TIME),
    wanted: {
      zh: '24 小时制时间，可带年月日，时间段用 ~ 连接，例如 15:01 或 2019年10月1日 15:01',
      en: 'a 24-hour time, with a date or without, a range joined by ~, e.g. 15:01 or 2019-10-01 15:01',
    },
  },
  date: {
    maxLength: 64,
    test: (value) => isRangeOf(value, DATE),
    wanted: {
      zh: '年月日，可带 24 小时制时间，时间段用 ~ 连接，例如 2019年10月1日',
      en: 'a date, with a 24-hour time or without, a range joined by ~, e.g. 2019-10-01',
    },
  },
  amount: {
    maxLength: 32,
    test: (value) => /^(?:\p{Sc}|[A-Za-z]{1,3})?\s*-?\d{1,10}(?:\.\d+)?\s*元?$/u.test(value),
    wanted: {
      zh: '1 个币种符号加 10 位以内数字，可带小数，结尾可带“元”，例如 ¥18.50',
      en: 'a currency symbol and up to 10 digits, decimals too, 元 at the end or not, e.g. ¥18.50',
    },
  },
  phone_number: rule(17, /^[^\p{L}]+$/u, '17 位以内数字或符号', 'up to 17 digits or symbols'),
  car_number: rule(
    8,
    /^[\p{Script=Han}A-Za-z0-9][A-Za-z0-9·-]*[\p{Script=Han}A-Za-z0-9]$/u,
    '8 位以内，首末位可为汉字，其余为字母或数字，例如 粤A8Z888挂',
    'up to 8, Chinese at the ends only, letters and digits between, e.g. 粤A8Z888挂',
  ),
  name: {
    maxLength: 20,
    test: (value) => !/\p{N}/u.test(value) && (!/\p{Lo}/u.test(value) || lengthOf(value) <= 10),
    wanted: {
      zh: '10 个以内汉字，或 20 个以内字母或符号（混合时按汉字计）',
      en: 'up to 10 Chinese characters, or up to 20 letters or symbols; mixed ones count as Chinese',
    },
  },
  phrase: rule(5, /^\p{Script=Han}+$/u, '5 个以内汉字', 'up to 5 Chinese characters'),
  // Where its values are known they are held against those.
  enum: rule(Infinity, null, '模板规定的枚举值', "one of the template's values"),
  const: rule(20, null, '20 个以内字符，且为模板规定的值', "one of the template's values"),
};

function rule(maxLength: number, pattern: RegExp | null, zh: string, en: string): Rule {
  const wanted = { zh, en };
  return pattern
    ? { maxLength, test: (value) => pattern.test(value), wanted }
    : { maxLength, wanted };
}

/** What a field takes, in words. */
export function fieldRule({ type, values }: Pick<TemplateField, 'type' | 'values'>): Text {
  if (values) return { zh: `只能填写：${values.join('、')}`, en: `one of: ${values.join(', ')}` };
  return type === null ? ANY_TEXT : RULES[type].wanted;
}

const ANY_TEXT: Text = { zh: '任意文字，可换行', en: 'any text, line breaks too' };

function ruleProblem(
  key: string,
  name: string,
  type: TemplateFieldType,
  value: string,
): ContentProblem | null {
  const { maxLength, test, wanted } = RULES[type];
  const length = lengthOf(value);
  if (length <= maxLength && (!test || test(value))) return null;
  return problem(
    key,
    length > maxLength ? 'field_too_long' : 'field_format',
    `字段 ${name} 应为：${wanted.zh}（当前 ${length} 个字符）。`,
    `The field ${key} takes ${wanted.en}; it has ${length} characters now.`,
  );
}

/** In code points: a character beyond the first plane is one. */
function lengthOf(value: string): number {
  return Array.from(value).length;
}

function isRangeOf(value: string, pattern: RegExp): boolean {
  const parts = value.split(/[~～]/);
  return (
    parts.length <= 2 &&
    parts.every((part) => {
      const match = pattern.exec(part.trim());
      return match !== null && (match[1] === undefined || isOnTheCalendar(match[1]));
    })
  );
}

function isOnTheCalendar(day: string): boolean {
  const [year = 0, month = 0, date = 0] = (day.match(/\d+/g) ?? []).map(Number);
  const at = new Date(Date.UTC(year, month - 1, date));
  return at.getUTCMonth() === month - 1 && at.getUTCDate() === date;
}

function problem(
  field: string,
  code: ContentProblem['code'],
  zh: string,
  en: string,
): ContentProblem {
  return { field, code, detail: { zh, en } };
}

const DATA_REFUSED = 47003;

/**
 * The field that WeChat refuses, from its words, such as `argument invalid! data.thing3.value invalid`.
 *
 * @returns its key; null when the refusal is about something else, or names none
 */
export function refusedField({ errcode, errmsg }: WechatApiError): string | null {
  if (errcode !== DATA_REFUSED) return null;
  return /(?:data\.)?\b([a-z_]+\d*)\.(?:value|DATA)\b/i.exec(errmsg)?.[1] ?? null;
}
