import { inLang, type Lang } from '../../common/text.js';
import { outlineLine } from '../pictures/text-lines.js';
import { FIGURE_NAMES } from './stats-table.js';
import type { Stats } from './stats.service.js';

const WIDTH = 640;
const HEIGHT = 412;
const PLOT = { left: 48, right: 624, top: 96, bottom: 340 };
const LINES = 4;
/** More would run into each other on a phone. */
const MAX_LABELS = 6;
const DARK = '#22313a';
const PALE = '#56646c';
const STEPS = [1, 2, 3, 4, 5, 6, 8, 10];

/** From the bottom of a bar to its top. */
const PARTS = [
  { figure: 'newFollowers', colour: '#07843f' },
  { figure: 'returningFollowers', colour: '#5bb98c' },
  { figure: 'existingFollowers', colour: '#9db2bf' },
] as const;

/** A text, by the place of its baseline. */
interface Label {
  text: string;
  x: number;
  y: number;
  size: number;
  colour: string;
  anchor?: 'start' | 'middle' | 'end';
}

/**
 * The days of a code as bars: who came, on which day, and what sort of visit it was. Its words are outlines, which look
 * the same where no font has Chinese; for who cannot see them, they are told as they are too.
 */
export async function toChart(
  title: string,
  { items, totals }: Stats,
  lang: Lang,
): Promise<string> {
  const top = topOf(Math.max(1, ...items.map(({ scans }) => scans)));
  const step = (PLOT.right - PLOT.left) / Math.max(1, items.length);
  const heightOf = (count: number): number => (count / top) * (PLOT.bottom - PLOT.top);
  const nameOf = (figure: keyof typeof FIGURE_NAMES): string =>
    `${inLang(FIGURE_NAMES[figure], lang)} ${totals[figure]}`;

  const bars = items.flatMap((item, place) => {
    let y = PLOT.bottom;
    return PARTS.filter(({ figure }) => item[figure] > 0).map(({ figure, colour }) => {
      const height = heightOf(item[figure]);
      y -= height;
      const x = PLOT.left + (place + 0.15) * step;
      const told = `${item.day ?? ''} ${inLang(FIGURE_NAMES[figure], lang)} ${item[figure]}`;
      return `<rect x="${round(x)}" y="${round(y)}" width="${round(step * 0.7)}" height="${round(height)}" fill="${colour}"><title>${escape(told)}</title></rect>`;
    });
  });
  const marks = Array.from({ length: LINES + 1 }, (_unused, line) => (top / LINES) * line);
  const grid = marks.map((value) => {
    const y = round(PLOT.bottom - heightOf(value));
    return `<line x1="${PLOT.left}" y1="${y}" x2="${PLOT.right}" y2="${y}" stroke="#e3e8eb"/>`;
  });
  const keys = PARTS.map(
    ({ colour }, place) =>
      `<rect x="${PLOT.left + place * 192}" y="58" width="14" height="14" rx="2" fill="${colour}"/>`,
  );
  const every = Math.ceil(items.length / MAX_LABELS);
  const summary = (['scans', 'unfollows', 'stayed'] as const).map(nameOf).join('　');
  const labels: Label[] = [
    { text: title, x: PLOT.left, y: 36, size: 20, colour: DARK },
    ...PARTS.map(({ figure }, place) => ({
      ...{ text: nameOf(figure), x: PLOT.left + place * 192 + 20, y: 71 },
      ...{ size: 16, colour: DARK },
    })),
    ...marks.map((value) => ({
      ...{ text: String(value), x: PLOT.left - 8, y: PLOT.bottom - heightOf(value) + 5 },
      ...{ size: 14, colour: PALE, anchor: 'end' as const },
    })),
    ...items
      .map(({ day = '' }, place) => ({
        ...{ text: day.slice(5), x: PLOT.left + (place + 0.5) * step, y: PLOT.bottom + 22 },
        ...{ size: 14, colour: PALE, anchor: 'middle' as const },
      }))
      .filter((_label, place) => place % every === 0),
    { text: summary, x: PLOT.left, y: 394, size: 16, colour: DARK },
  ];
  const words = await Promise.all(labels.map(drawLabel));
  const told = [title, ...PARTS.map(({ figure }) => nameOf(figure)), summary].join('，');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escape(told)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...[...keys, ...grid, ...bars, ...words],
    '</svg>',
  ].join('');
}

async function drawLabel({ text, x, y, size, colour, anchor = 'start' }: Label): Promise<string> {
  const line = await outlineLine(text, size);
  if (!line) return '';
  const left = { start: x, middle: x - line.width / 2, end: x - line.width }[anchor];
  return `<g color="${colour}" transform="translate(${round(left)} ${round(y)})">${line.svg}</g>`;
}

/** The next round number that the lines divide evenly. */
function topOf(most: number): number {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(most / LINES)));
  const step = STEPS.find((one) => one * power * LINES >= most) ?? 10;
  return step * power * LINES;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
