import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { create, type Font } from 'fontkit';

/** A bare machine has no font with Chinese: this one comes with us, cut into slices by what they hold. */
const FAMILY = 'noto-sans-sc';
const PACKAGE = `@fontsource-variable/${FAMILY}`;
/** To the side of the square that a letter stands in. */
const UNITS = 1_000;
/** In the place of what the font does not have. */
const MISSING = 0x25a1;
/** The slices are drawn in their thinnest weight. This makes a regular one of it, in units of the font. */
const STROKE = 30;

interface Slice {
  name: string;
  /** Code points, first and last. */
  ranges: readonly (readonly [number, number])[];
}

interface Glyph {
  path: string;
  width: number;
}

/** A line of text as outlines: whoever looks at it needs no font. */
export interface OutlinedLine {
  /** SVG in the current colour, with the baseline at 0 and the left end at 0. */
  svg: string;
  width: number;
}

/** Draws texts as outlines. Only the slices that a text needs are read, once. */
class OutlineFont {
  #slices: Promise<Slice[]> | null = null;
  readonly #fonts = new Map<string, Promise<Font>>();
  readonly #folder = dirname(createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`));

  /**
   * The text in as many lines as it takes.
   *
   * @param size of the letters, in pixels
   * @param width that a line may have; default: any
   */
  async outline(text: string, size: number, width = Infinity): Promise<OutlinedLine[]> {
    const lines: OutlinedLine[] = [];
    for (const words of text.split(/\r?\n/)) {
      let [paths, x]: [string[], number] = [[], 0];
      const end = (): void => {
        if (paths.length > 0) lines.push(this.#toLine(paths, x, size));
        [paths, x] = [[], 0];
      };
      for (const character of words) {
        const glyph = await this.#glyphOf(character);
        const isFull = ((x + glyph.width) * size) / UNITS > width;
        if (isFull) end();
        if (glyph.path !== '') paths.push(`<path transform="translate(${x})" d="${glyph.path}"/>`);
        x += glyph.width;
      }
      end();
    }
    return lines;
  }

  #toLine(paths: readonly string[], width: number, size: number): OutlinedLine {
    const scale = size / UNITS;
    const svg = `<g transform="scale(${scale} ${-scale})" fill="currentColor" stroke="currentColor" stroke-width="${STROKE}" stroke-linejoin="round">${paths.join('')}</g>`;
    return { svg, width: width * scale };
  }

  async #glyphOf(character: string): Promise<Glyph> {
    const wanted = character.codePointAt(0) ?? MISSING;
    for (const codePoint of [wanted, MISSING]) {
      const font = await this.#fontWith(codePoint);
      if (!font?.hasGlyphForCodePoint(codePoint)) continue;
      const glyph = font.glyphForCodePoint(codePoint);
      return { path: glyph.path.toSVG(), width: glyph.advanceWidth };
    }
    return { path: '', width: UNITS / 2 };
  }

  async #fontWith(codePoint: number): Promise<Font | null> {
    this.#slices ??= this.#readSlices();
    const slice = (await this.#slices).find(({ ranges }) =>
      ranges.some(([first, last]) => codePoint >= first && codePoint <= last),
    );
    if (!slice) return null;
    const known = this.#fonts.get(slice.name) ?? this.#readFont(slice.name);
    this.#fonts.set(slice.name, known);
    return known;
  }

  async #readSlices(): Promise<Slice[]> {
    const text = await readFile(join(this.#folder, 'unicode.json'), 'utf8');
    const ranges = JSON.parse(text) as Record<string, string>;
    return Object.entries(ranges).map(([name, list]) => ({
      name: name.replaceAll(/[[\]]/g, ''),
      ranges: list.split(',').map(readRange),
    }));
  }

  async #readFont(slice: string): Promise<Font> {
    const file = join(this.#folder, 'files', `${FAMILY}-${slice}-wght-normal.woff2`);
    const font = create(await readFile(file));
    if ('glyphForCodePoint' in font) return font;
    throw new TypeError(`${file} holds more than one font.`);
  }
}

/** The one of this process: its slices are read once. */
export const outlineFont = new OutlineFont();

/** E.g. `U+4e00-4e05` or `U+ff01`. */
function readRange(range: string): [number, number] {
  const [first = '', last = first] = range.replace('U+', '').split('-');
  return [Number.parseInt(first, 16), Number.parseInt(last, 16)];
}
