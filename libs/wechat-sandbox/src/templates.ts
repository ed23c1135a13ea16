import { hash } from 'node:crypto';

import type { AccountType } from './state.js';

/** A template that an account has chosen: of template messages, or of a mini-program's subscription messages. */
export interface SandboxTemplate {
  templateId: string;
  title: string;
  content: string;
  example: string;
  /** Of subscription messages: 2 one-time, 3 long-term. */
  type: 2 | 3;
  /** The values that a field takes, by its key. */
  values: Record<string, string[]>;
  isBanned: boolean;
}

/** Fills in what a caller leaves out. The id is the account's own, and the same again for the same title. */
export function makeTemplate(
  appid: string,
  given: Partial<SandboxTemplate> & { title: string; content: string },
): SandboxTemplate {
  return {
    templateId: hash('sha256', `${appid} ${given.title}`, 'base64url'),
    example: '',
    type: 2,
    values: {},
    isBanned: false,
    ...given,
  };
}

/** What a new account has. */
export function readyTemplates(appid: string, accountType: AccountType): SandboxTemplate[] {
  const given =
    accountType === 'mini_program'
      ? [
          {
            title: '报名结果通知',
            content: '会议时间:{{date2.DATA}}\n会议地点:{{thing1.DATA}}\n',
            example: '会议时间:2026年8月8日\n会议地点:一号会议室\n',
          },
          {
            title: '设备故障提醒',
            content: '发生时间:{{time1.DATA}}\n处理状态:{{enum2.DATA}}\n',
            example: '发生时间:15:01\n处理状态:待处理\n',
            type: 3 as const,
            values: { enum2: ['待处理', '处理中', '已处理'] },
          },
        ]
      : [
          {
            title: '订单发货通知',
            content:
              '订单编号：{{character_string1.DATA}}\n发货时间：{{time2.DATA}}\n备注：{{thing3.DATA}}\n',
            example: '订单编号：SO20260801\n发货时间：2026-08-01 10:00\n备注：请留意查收\n',
          },
          {
            title: '付款成功通知',
            content: '付款金额：{{amount1.DATA}}\n付款人：{{name2.DATA}}\n',
            example: '付款金额：¥18.50\n付款人：张三\n',
          },
        ];
  return given.map((template) => makeTemplate(appid, template));
}

/** The sandbox's own reading of WeChat's rules, apart from the one that the service checks with. */
const RULES: Readonly<Record<string, RegExp>> = {
  thing: /^.{1,20}$/u,
  number: /^-?[0-9.]{1,32}$/,
  letter: /^[A-Za-z]{1,32}$/,
  symbol: /^[^\p{L}\p{N}]{1,5}$/u,
  character_string: /^[^\p{Script=Han}]{1,32}$/u,
  time: /\d{1,2}[:：]\d{2}/,
  date: /\d{4}(?:年|[-/.])\d{1,2}/,
  amount: /^.{0,3}-?\d{1,10}(?:\.\d+)?元?$/u,
  phone_number: /^[^\p{L}]{1,17}$/u,
  car_number: /^.{1,8}$/u,
  name: /^(?:[^\p{Script=Han}]{1,20}|.{1,10})$/u,
  phrase: /^\p{Script=Han}{1,5}$/u,
  const: /^.{1,20}$/u,
};

/**
 * The field of a message that WeChat would refuse.
 *
 * @returns its key; null when all is well
 */
export function wrongField(template: SandboxTemplate, data: unknown): string | null {
  const values = new Map(
    Object.entries(typeof data === 'object' && data !== null ? data : {}).map(([key, field]) => [
      key,
      (field as { value?: unknown } | null)?.value,
    ]),
  );
  const keys = [...template.content.matchAll(/\{\{(\w+)\.DATA\}\}/g)].map(([, key = '']) => key);
  const wrong = keys.find((key) => {
    const value = values.get(key);
    if (key === 'first' || key === 'remark') return false;
    if (typeof value !== 'string' || value.trim() === '') return true;
    const allowed = template.values[key];
    if (allowed) return !allowed.includes(value);
    const rule = RULES[key.replace(/\d+$/, '')];
    return rule !== undefined && (/\p{Cc}/u.test(value) || !rule.test(value));
  });
  return wrong ?? null;
}
