import { inLang, type Lang, type Text } from '../../common/text.js';
import { FIGURES, type Figures } from './figures.js';
import type { Grouping } from './qr-code-visits.repository.js';
import type { Stats, StatsRow } from './stats.service.js';

/** Without it, spreadsheets take UTF-8 for something else. */
const BYTE_ORDER_MARK = '\uFEFF';

export const FIGURE_NAMES: Readonly<Record<keyof Figures, Text>> = {
  scans: { zh: '扫码次数', en: 'Scans' },
  people: { zh: '扫码人数', en: 'People' },
  newFollowers: { zh: '新关注', en: 'New followers' },
  returningFollowers: { zh: '再次关注', en: 'Returning followers' },
  existingFollowers: { zh: '已关注', en: 'Existing followers' },
  unfollows: { zh: '取消关注', en: 'Unfollows' },
  stayed: { zh: '仍在关注', en: 'Stayed' },
};

type Label = keyof StatsRow & ('day' | 'qrCodeId' | 'name' | 'channel');

/** What a row is called by; there where there are no rows, too. */
const LABELS: Readonly<Record<Grouping, readonly Label[]>> = {
  day: ['day'],
  channel: ['channel'],
  code: ['qrCodeId', 'name', 'channel'],
};
const LABEL_NAMES: Readonly<Record<Label, Text>> = {
  day: { zh: '日期', en: 'Day' },
  qrCodeId: { zh: '二维码编号', en: 'Code id' },
  name: { zh: '名称', en: 'Name' },
  channel: { zh: '渠道', en: 'Channel' },
};
const TOTAL: Text = { zh: '合计', en: 'Total' };

/** The rows and their sum for a spreadsheet. @see https://www.rfc-editor.org/rfc/rfc4180.html */
export function toCsv({ items, totals }: Stats, by: Grouping, lang: Lang): string {
  const labels = LABELS[by];
  const head = [
    ...labels.map((label) => inLang(LABEL_NAMES[label], lang)),
    ...FIGURES.map((figure) => inLang(FIGURE_NAMES[figure], lang)),
  ];
  const rows = items.map((item) => [
    ...labels.map((label) => item[label] ?? ''),
    ...FIGURES.map((figure) => item[figure]),
  ]);
  const sum = [
    ...labels.map((_label, place) => (place === 0 ? inLang(TOTAL, lang) : '')),
    ...FIGURES.map((figure) => totals[figure]),
  ];
  const lines = [head, ...rows, sum].map((cells) => cells.map(toCell).join(','));
  return `${BYTE_ORDER_MARK}${lines.join('\r\n')}\r\n`;
}

/** A text that a spreadsheet would run as a formula is made a text again. @see https://owasp.org/www-community/attacks/CSV_Injection */
function toCell(value: string | number): string {
  if (typeof value === 'number') return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
