import { inLang, type Lang } from '../../common/text.js';
import { type OutlinedLine, outlineLine } from '../pictures/text-lines.js';
import { FIGURE_NAMES } from './stats-table.js';
import type { Stats } from './stats.service.js';

const WIDTH = 640;
const HEIGHT = 412;
const PLOT = { left: 48, right: 624, top: 96, bottom: 340 };
const WIDE = PLOT.right - PLOT.left;
/** The square before a word that says what its colour means. */
const KEY = { side: 14, gap: 6 };
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
  /** Its letters shrink to it. */
  width?: number;
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
  const keys = await drawKeys(
    PARTS.map(({ figure, colour }) => ({ text: nameOf(figure), colour })),
  );
  const every = Math.ceil(items.length / MAX_LABELS);
  const summary = (['scans', 'unfollows', 'stayed'] as const).map(nameOf).join(' · ');
  const labels: Label[] = [
    ...marks.map((value) => ({
      ...{ text: String(value), x: PLOT.left - 8, y: PLOT.bottom - heightOf(value) + 5 },
      ...{ size: 14, colour: PALE, anchor: 'end' as const, width: PLOT.left - 12 },
    })),
    ...items
      .map(({ day = '' }, place) => ({
        ...{ text: day.slice(5), x: PLOT.left + (place + 0.5) * step, y: PLOT.bottom + 22 },
        ...{ size: 14, colour: PALE, anchor: 'middle' as const },
      }))
      .filter((_label, place) => place % every === 0),
    { text: summary, x: PLOT.left, y: 394, size: 16, colour: DARK, width: WIDE },
  ];
  const words = await Promise.all([drawTitle(title), ...labels.map(drawLabel)]);
  const told = [title, ...PARTS.map(({ figure }) => nameOf(figure)), summary].join('，');
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escape(told)}">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    ...[keys, ...grid, ...bars, ...words],
    '</svg>',
  ].join('');
}

/** A name may be longer than there is room for. It stands in the `aria-label` as a whole. */
async function drawTitle(title: string): Promise<string> {
  return place(await outlineLine(title, 20, WIDE), PLOT.left, 36, DARK);
}

/** Beside each other, with the same space between them, whatever their words are. */
async function drawKeys(keys: readonly { text: string; colour: string }[]): Promise<string> {
  const [size, space] = [16, 22];
  const lines = await Promise.all(keys.map(({ text }) => outlineLine(text, size)));
  const widths = lines.map((line) => KEY.side + KEY.gap + (line?.width ?? 0));
  const sum = widths.reduce((one, other) => one + other, space * (keys.length - 1));
  const scale = Math.min(1, WIDE / sum);
  const drawn = keys.map(({ colour }, n) => {
    const x = widths.slice(0, n).reduce((one, other) => one + other + space, 0);
    const square = `<rect x="${round(x)}" y="-13" width="${KEY.side}" height="${KEY.side}" rx="2" fill="${colour}"/>`;
    return square + place(lines[n] ?? null, x + KEY.side + KEY.gap, 0, DARK);
  });
  return `<g transform="translate(${PLOT.left} 71) scale(${scale})">${drawn.join('')}</g>`;
}

async function drawLabel(label: Label): Promise<string> {
  const { text, x, y, size, colour, anchor = 'start', width = Infinity } = label;
  const wanted = await outlineLine(text, size);
  if (!wanted) return '';
  const isWide = wanted.width > width;
  const line = isWide ? await outlineLine(text, (size * width) / wanted.width) : wanted;
  const used = line?.width ?? 0;
  return place(line, { start: x, middle: x - used / 2, end: x - used }[anchor], y, colour);
}

function place(line: OutlinedLine | null, x: number, y: number, colour: string): string {
  if (!line) return '';
  return `<g color="${colour}" transform="translate(${round(x)} ${round(y)})">${line.svg}</g>`;
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
