import type { FieldError } from '../common/app-error.js';
import type { QrCode } from './qr-code.entity.js';
import type { NewQrCode } from './qr-codes.service.js';

/** What WeChat's two sorts of codes do not have. */
export function newErrors(
  { permanent, expiresInDays, page }: NewQrCode,
  isProgram: boolean,
): FieldError[] {
  return [
    ...(isProgram && !permanent ? [PROGRAM_CODES_LAST] : []),
    ...(permanent && expiresInDays !== undefined ? [PERMANENT_ONES_LAST] : []),
    ...(!isProgram && page !== undefined ? [PAGES_OF_PROGRAMS] : []),
  ];
}

export function changeErrors(
  { isPermanent }: QrCode,
  { permanent, expiresInDays }: Partial<Pick<NewQrCode, 'permanent' | 'expiresInDays'>>,
): FieldError[] {
  const isOther = permanent !== undefined && permanent !== isPermanent;
  return [
    ...(isOther ? [STAYS_AS_MADE] : []),
    ...(isPermanent && expiresInDays !== undefined ? [PERMANENT_ONES_LAST] : []),
  ];
}

const fieldError = (field: string, code: string, zh: string, en: string): FieldError => ({
  field,
  code,
  detail: { zh, en },
});

export const ENDS_IN_THE_PAST = fieldError(
  'endsAt',
  'in_the_past',
  '结束时间须在将来。',
  'It has to end in the future.',
);
const PROGRAM_CODES_LAST = fieldError(
  'permanent',
  'mini_program_codes_last',
  '小程序码长期有效，请填写 permanent: true；需要按时结束请使用 endsAt。',
  'Codes of mini-programs last: set `permanent` to true, and `endsAt` for one that is to end.',
);
const PERMANENT_ONES_LAST = fieldError(
  'expiresInDays',
  'permanent_codes_last',
  '永久二维码没有有效天数，请去掉 expiresInDays；需要按时结束请使用 endsAt。',
  'A permanent code has no life in days: leave `expiresInDays` out, and use `endsAt` for one that is to end.',
);
const PAGES_OF_PROGRAMS = fieldError(
  'page',
  'mini_program_only',
  '只有小程序码可以打开页面，请去掉 page。',
  'Only a mini-program’s code opens a page: leave `page` out.',
);
const STAYS_AS_MADE = fieldError(
  'permanent',
  'stays_as_made',
  '二维码创建后不能在永久与临时之间更改，请另建一个。',
  'A code stays permanent or temporary as it was made. Make another one.',
);

/** WeChat tells us of no scan of a mini-program's code: its own page does something about it. */
export function notOfPrograms(field: string): FieldError {
  return fieldError(
    field,
    'official_account_only',
    '扫小程序码不会通知服务端，无法回复或打标签，请去掉该字段。',
    'WeChat tells of no scan of a mini-program’s code, so it can neither be answered nor tagged. Leave the field out.',
  );
}
