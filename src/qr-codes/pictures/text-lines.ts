import { type Letter, outlineFont, UNITS } from './outline-font.js';

/** Letters come in the thinnest weight of the font. This makes a regular one of it, in units of the font. */
const STROKE = 30;
const LINE_HEIGHT = 1.45;
/** From one size of letters that is tried to the next. */
const SHRINK = 0.97;
const ELLIPSIS = '…';

/** Between two of them, and beside one, a line may end. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u;
/** No line begins with these, */
const CLOSING = /[，。、；：！？）》」』】〉〕”’…—～·,.;:!?)\]}%]/u;
/** and none ends with these. */
const OPENING = /[（《「『【〈〔“‘([{]/u;

/** A line of text as outlines. */
export interface OutlinedLine {
  /** SVG in the current colour, with the baseline at 0 and the left end at 0. */
  svg: string;
  width: number;
}

/** Lengths in pixels. */
export interface Room {
  width: number;
  height: number;
  /** Of the letters, as large as they are where there is room. */
  most: number;
  /** As small as they may become. */
  least: number;
}

export interface OutlinedText {
  lines: OutlinedLine[];
  /** From one baseline to the next. */
  lineHeight: number;
  size: number;
}

type Line = readonly Letter[];

/**
 * A text in as many lines as it takes, in letters as large as there is room for. Lines end at spaces and between Chinese
 * characters, inside a word only where it finds no room otherwise. What finds none in the smallest letters is left out, and
 * ends with `…`.
 *
 * @returns no lines for a text of which the font has nothing
 */
export async function outlineText(text: string, room: Room): Promise<OutlinedText> {
  const paragraphs: Line[] = [];
  for (const paragraph of text.split(/[\n\r\u2028\u2029]+/))
    paragraphs.push(await outlineFont.spell(plain(paragraph)));
  const breakAll = (size: number): Broken => {
    const width = (room.width / size) * UNITS;
    const broken = paragraphs.map((letters) => breakLines(letters, width));
    return {
      lines: broken.flatMap(({ lines }) => lines),
      cutsWords: broken.some(({ cutsWords }) => cutsWords),
    };
  };
  const linesAt = (size: number): number =>
    Math.max(1, Math.floor(room.height / (size * LINE_HEIGHT)));
  const toText = (lines: readonly Line[], size: number): OutlinedText => ({
    lines: lines.map((line) => toOutlines(line, size)),
    lineHeight: size * LINE_HEIGHT,
    size,
  });
  for (const mayCut of [false, true])
    for (const size of sizesOf(room)) {
      const { lines, cutsWords } = breakAll(size);
      if (lines.length <= linesAt(size) && (mayCut || !cutsWords)) return toText(lines, size);
    }
  const { lines } = breakAll(room.least);
  const kept = lines.slice(0, linesAt(room.least));
  const last = await shorten(kept.pop() ?? [], (room.width / room.least) * UNITS);
  return toText([...kept, last], room.least);
}

/** A text in one line, shortened with `…` to a width. @param size of the letters @returns null where the font has nothing of it */
export async function outlineLine(
  text: string,
  size: number,
  width = Infinity,
): Promise<OutlinedLine | null> {
  const letters = await outlineFont.spell(plain(text));
  const most = (width / size) * UNITS;
  const line = widthOf(letters) <= most ? letters : await shorten(letters, most);
  return line.length > 0 ? toOutlines(line, size) : null;
}

/** With single spaces. */
function plain(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

function* sizesOf({ most, least }: Room): Generator<number> {
  for (let size = most; size > least; size *= SHRINK) yield size;
  yield least;
}

interface Broken {
  lines: Line[];
  cutsWords: boolean;
}

/** @param width of a line, in units of the font */
function breakLines(letters: Line, width: number): Broken {
  const lines: Line[] = [];
  let [line, cutsWords]: [Letter[], boolean] = [[], false];
  const add = (part: Line): void => {
    if (line.length > 0 && widthOf([...line, ...part]) > width) {
      lines.push(trimEnd(line));
      line = [];
    }
    line.push(...part);
  };
  for (const word of wordsOf(letters)) {
    const isTooLong = widthOf(word) > width;
    cutsWords ||= isTooLong;
    for (const part of isTooLong ? word.map((letter) => [letter]) : [word]) add(part);
  }
  if (line.length > 0) lines.push(trimEnd(line));
  return { lines: lines.filter(({ length }) => length > 0), cutsWords };
}

/** What stays together, each with the space after it. */
function wordsOf(letters: Line): Letter[][] {
  const words: Letter[][] = [];
  let before: string | null = null;
  for (const letter of letters) {
    if (before === null || mayEndBetween(before, letter.character)) words.push([]);
    words.at(-1)?.push(letter);
    before = letter.character;
  }
  return words;
}

function mayEndBetween(one: string, next: string): boolean {
  if (next === ' ') return false;
  if (one === ' ') return true;
  if (OPENING.test(one) || CLOSING.test(next)) return false;
  return WIDE.test(one) || WIDE.test(next);
}

async function shorten(letters: Line, width: number): Promise<Line> {
  const ellipsis = await outlineFont.spell(ELLIPSIS);
  let end = letters.length;
  while (end > 0 && widthOf([...letters.slice(0, end), ...ellipsis]) > width) end -= 1;
  return [...trimEnd(letters.slice(0, end)), ...ellipsis];
}

function trimEnd(letters: Line): Line {
  return letters.at(-1)?.character === ' ' ? letters.slice(0, -1) : letters;
}

/** Without a space at its end. */
function widthOf(letters: Line): number {
  return trimEnd(letters).reduce((sum, { width }) => sum + width, 0);
}

function toOutlines(letters: Line, size: number): OutlinedLine {
  const scale = size / UNITS;
  let x = 0;
  const paths = letters.map(({ path, width }) => {
    const at = x;
    x += width;
    return path === '' ? '' : `<path transform="translate(${at})" d="${path}"/>`;
  });
  const svg = `<g transform="scale(${scale} ${-scale})" fill="currentColor" stroke="currentColor" stroke-width="${STROKE}" stroke-linejoin="round">${paths.join('')}</g>`;
  return { svg, width: x * scale };
}
